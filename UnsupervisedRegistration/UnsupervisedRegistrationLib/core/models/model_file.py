"""Model files: network, configuration and card in one file."""

from __future__ import annotations

import dataclasses
import os
import pickle
import types
import typing
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch

from ..images.preprocessing import PreprocessingConfiguration
from ..networks.architectures import Build, build_network
from ..networks.network import Network, NetworkConfiguration
from .card import Card
from .selection import SUFFIX

MAX_WEIGHT = 1e6  # Trained weights stay below 100; the largest number of half precision is 65,504.
_FORMAT = "unsupervised-registration-model"
_VERSION = 3
# Exceptions that torch and zipfile raise for damaged files.
_DAMAGED = (
    *(RuntimeError, EOFError, zipfile.BadZipFile, LookupError, TypeError, AttributeError),
    *(AssertionError, UnicodeDecodeError, NotImplementedError),
)
_Configuration = TypeVar("_Configuration")


@dataclass(frozen=True)
class ModelConfiguration:
    """Configuration of a model, without its weights.

    Attributes:
        network: Architecture and size.
        preprocessing: Spacing and intensities of its images.
        training: Configuration of the training run, as plain values.
    """

    network: NetworkConfiguration = field(default_factory=NetworkConfiguration)
    preprocessing: PreprocessingConfiguration = field(default_factory=PreprocessingConfiguration)
    training: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Model:
    """A network ready for use, with configuration, card and the name of its file."""

    name: str
    network: Network
    configuration: ModelConfiguration
    card: Card


def save_model(model: Model, path: Path) -> None:
    """Writes a model file; weights keep their precision.

    Raises:
        OSError: The file could not be written; see ``save_whole``.
    """
    content = {
        "format": _FORMAT,
        "version": _VERSION,
        "configuration": dataclasses.asdict(model.configuration),
        "card": dataclasses.asdict(model.card),
        "weights": dict(model.network.state_dict()),
    }
    save_whole(content, path)


def save_whole(content: dict[str, Any], path: Path) -> None:
    """Writes a PyTorch file completely or not at all, and creates its folder.

    Raises:
        OSError: The file could not be written. An existing file is unchanged.
    """
    beside = path.with_name(f"{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            _write(content, beside)
            os.replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)
    except (OSError, RuntimeError) as error:  # PyTorch replaces the error of the system by its own.
        raise OSError(
            f"'{path}' could not be written ({_first_cause(error)}); an existing file is unchanged."
            " Free some space or choose another folder, and repeat the command."
        ) from error


def _write(content: dict[str, Any], path: Path) -> None:
    with path.open("wb") as stream:
        torch.save(content, stream)
        stream.flush()
        os.fsync(stream.fileno())


def _first_cause(error: BaseException) -> BaseException:
    cause = error.__cause__ or error.__context__
    return _first_cause(cause) if cause else error


def load_model(path: Path, build: Build = build_network) -> Model:
    """Reads a model file; no code in it is executed.

    Args:
        path: Model file.
        build: Makes the network from its configuration.

    Raises:
        OSError: The file cannot be read.
        ValueError: The file is not a model, is damaged, or has another version.
    """
    content = read_archive(path)
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise ValueError(f"'{path}' is a PyTorch file but not a model of this extension; pick a file made by 'export'.")
    if content.get("version") != _VERSION:
        raise ValueError(
            f"'{path}' has the model version {content.get('version')}; this release reads {_VERSION}."
            f" Convert it with: python -m training convert {path} NEW{SUFFIX}"
        )
    try:
        configuration = read_configuration(ModelConfiguration, content["configuration"])
        card = read_configuration(Card, content["card"])
        network = build(configuration.network)
        network.load_state_dict({name: weight.float() for name, weight in content["weights"].items()})
    except ValueError as error:  # An unknown setting or an invalid value.
        raise ValueError(
            f"The settings in the model file '{path}' do not fit this release: {error} Train it again, or take the"
            " release that made it."
        ) from error
    except (KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise ValueError(
            f"The model file '{path}' is incomplete: its parts do not fit each other ({error})."
        ) from error
    if not all(bool((weight.abs() < MAX_WEIGHT).all()) for weight in network.state_dict().values()):
        raise ValueError(
            f"The model file '{path}' has weights that are not finite or larger than {MAX_WEIGHT:g}; train or export it"
            " again."
        )
    return Model(path.stem, network.eval().requires_grad_(False), configuration, card)


def read_archive(path: Path) -> Any:
    """Plain values and tensors of a file written by ``torch.save``; no code in it is executed.

    Raises:
        OSError: The file cannot be read.
        ValueError: The file is damaged or contains other objects.
    """
    with path.open("rb"):  # Raises OSError if the file is missing or protected.
        pass
    if not zipfile.is_zipfile(path):
        raise ValueError(f"'{path}' is truncated or not a model file; copy it again, or pick a {SUFFIX} file.")
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() is not None:  # torch does not check the checksums.
                raise zipfile.BadZipFile("a checksum is wrong")
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"'{path}' contains code or foreign objects, not only weights; it was not opened. Use files you trust."
        ) from error
    except _DAMAGED as error:
        raise ValueError(f"'{path}' is damaged or not a model file; copy it again.") from error


def read_configuration(kind: type[_Configuration], values: dict[str, Any]) -> _Configuration:
    """A configuration dataclass from plain values, nested ones included.

    Raises:
        ValueError: A name is unknown, or a value has another type.
    """
    if not isinstance(values, dict):
        raise ValueError(f"{kind.__name__} is given by names and values, not by {values!r:.40}.")
    hints = typing.get_type_hints(kind)
    unknown = sorted(set(values) - set(hints))
    if unknown:
        raise ValueError(f"{kind.__name__} has no {', '.join(unknown)}; it knows {', '.join(hints)}.")
    for name, value in values.items():
        if not dataclasses.is_dataclass(hints[name]) and not _is_of(value, hints[name]):
            raise ValueError(f"{kind.__name__} has {name} = {value!r:.40}, which should be {_spelled(hints[name])}.")
    nested = {
        name: read_configuration(hints[name], value) if dataclasses.is_dataclass(hints[name]) else value
        for name, value in values.items()
    }
    return kind(**nested)


def _is_of(value: Any, hint: Any) -> bool:
    """Whether a plain value has the type of a setting; an int is a float too, a list is a tuple too."""
    origin, choices = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return True
    if origin is typing.Literal:
        return value in choices
    if origin in (typing.Union, types.UnionType):
        return any(_is_of(value, choice) for choice in choices)
    if origin is tuple:
        kinds = choices[:1] * len(value) if isinstance(value, (list, tuple)) and choices[-1] is ... else choices
        fits = isinstance(value, (list, tuple)) and len(value) == len(kinds)
        return fits and all(map(_is_of, value, kinds))
    if origin is dict:
        return isinstance(value, dict) and all(
            _is_of(name, choices[0]) and _is_of(one, choices[1]) for name, one in value.items()
        )
    if isinstance(value, bool):
        return hint is bool
    return isinstance(value, (int, float)) if hint is float else isinstance(value, origin or hint)


def _spelled(hint: Any) -> str:
    """A type as a person reads it, such as ``float | None``."""
    return hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")
