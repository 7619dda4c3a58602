"""Everything that decides a training run, from a YAML file plus overrides; the whole of it goes into the model file."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from training.parsing import fitted
from training.synthesis.synthesis import SynthesisConfiguration
from UnsupervisedRegistrationLib.core.images.preprocessing import PreprocessingConfiguration
from UnsupervisedRegistrationLib.core.models.model_file import load_model, read_configuration
from UnsupervisedRegistrationLib.core.networks.network import NetworkConfiguration


@dataclass(frozen=True)
class DataConfiguration:
    """Which scans are learned from; without a folder only synthesised pairs are.

    Attributes:
        folders: With images of any kind that Slicer reads; searched with all their subfolders.
        people: Share of the people that is used, 0..1; they are taken in the order of their names.
        masks: ``""`` for none, ``"auto"`` for the foreground of each image, or a folder with files named as the images.
        plane: Orientation of the slices.
        every: Every how many-th slice of a volume is taken.
        spacing: mm of a pixel of the prepared slices.
        pixel: mm of a pixel of 2-D files, which seldom say it themselves; 0 takes what they say.
        preprocessing: Intensity mapping, the model's.
        pairs: ``"across"`` joins different people at the same level, ``"within"`` the images of one person.
        background_noise: Strength of noise that replaces all outside the mask, as share of the intensities; for
            trying out what a mask is good for.
        saturated: Share of the pairs of which the network sees the brightest pixels only, as files with too few
            greys show them; the similarity still compares the whole images.
        alike: Share of the pairs of which both images are bent alike or, half of them, not at all, so that what is
            between them is what the scanner saw; the images of the others are bent each by itself.
        turned: Whether pairs come turned by quarters of a circle, too, and not only mirrored; for square sizes.
        apart: Pixels along each axis by which the images of a pair are shifted against each other, at most, in half of
            the pairs; teaches what the pairs do not show.
        cache: Folder of the prepared slices.
    """

    folders: tuple[str, ...] = ()
    people: float = 1.0
    masks: str = ""
    plane: Literal["axial", "sagittal", "coronal"] = "axial"
    every: int = 4
    spacing: float = 1.0
    pixel: float = 0.0
    preprocessing: PreprocessingConfiguration = field(default_factory=PreprocessingConfiguration)
    pairs: Literal["across", "within"] = "across"
    background_noise: float = 0.0
    saturated: float = 0.0
    alike: float = 0.0
    turned: bool = False
    apart: float = 0.0
    cache: str = "out/cache"

    def __post_init__(self) -> None:
        if not 0 < self.people <= 1 or self.every < 1 or not self.spacing > 0 or self.pixel < 0 or self.apart < 0:
            raise ValueError(
                "people is a share above 0, every at least 1, spacing and pixel are in mm, apart in pixels, not"
                f" {self}."
            )


@dataclass(frozen=True)
class LossConfiguration:
    """What is minimised.

    Attributes:
        similarity: Of the warped and the fixed image.
        similarity_weight: Its weight.
        photometric_weight: Of the squared difference of the intensities beside another similarity, which alone does
            not tell flat regions apart that are larger than its window.
        smoothness: Of the displacement. ``"total_variation"`` is ``"edge_aware"`` that no edge releases.
        smoothness_weight: Its weight.
        edge_strength: How strongly an edge of the fixed image releases the displacement.
        compression_weight: Of how much cells are compressed that fold or nearly do.
        endpoint: Distance from the true displacement in voxels, or the mean square of its components. Where the images
            tell little of it, the mean of what it may be has the least square.
        endpoint_weight: Its weight, where the truth is known.
        both_ways: Whether the inverse deformation has to warp the fixed onto the moving image as well.
        inverse_consistency_weight: Of how far a voxel is from itself, in voxels, after the deformation of the pair and
            that of the swapped pair; for networks that are not symmetric by construction.
    """

    similarity: Literal["photometric", "local_ncc", "mind"] = "photometric"
    similarity_weight: float = 100.0
    photometric_weight: float = 0.0
    smoothness: Literal["edge_aware", "total_variation", "diffusion", "bending"] = "edge_aware"
    smoothness_weight: float = 0.3
    edge_strength: float = 10.0
    compression_weight: float = 0.0
    endpoint: Literal["distance", "square"] = "distance"
    endpoint_weight: float = 1.0
    both_ways: bool = False
    inverse_consistency_weight: float = 0.0

    def __post_init__(self) -> None:
        weights = {name: value for name, value in vars(self).items() if name.endswith(("_weight", "_strength"))}
        if min(weights.values()) < 0:
            raise ValueError(f"Weights of the loss are 0 or more: {weights}.")


@dataclass(frozen=True)
class OptimisationConfiguration:
    """How it is minimised.

    Attributes:
        steps: Updates of the weights.
        batch: Pairs an update over all devices; synthesised pairs are drawn fastest in multiples of four.
        rate: Learning rate of Adam after the warm-up.
        schedule: Its course down to a hundredth.
        warmup: Updates until ``rate`` is reached.
        clip: Largest norm of the gradient.
        average: Decay of the moving average of the weights that is validated and exported.
        precision: As Lightning names it; ``"auto"`` is mixed on a GPU and full elsewhere.
        validate_every: Updates between validations, each followed by a checkpoint.
        start: Model file whose weights are taken at the start, or nothing. A pyramid may have fewer levels and channels
            than that of the file: the finest, and those that matter most.
        teacher: Model file that tells the displacement of the pairs of which the network sees a part
            (``data.saturated``) and it the whole, or nothing.
    """

    steps: int = 8000
    batch: int = 8
    rate: float = 1e-3
    schedule: Literal["cosine", "exponential"] = "cosine"
    warmup: int = 200
    clip: float = 1.0
    average: float = 0.998
    precision: str = "auto"
    validate_every: int = 200
    start: str = ""
    teacher: str = ""

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 1 or not self.rate > 0 or self.validate_every < 1:
            raise ValueError(f"steps, batch, rate and validate_every must be positive: {self}.")
        if self.clip < 0 or not 0 <= self.average < 1:
            raise ValueError(f"clip is 0 (none) or more, average from 0 to below 1: {self}.")


@dataclass(frozen=True)
class ValidationConfiguration:
    """What a run is watched by; it never chooses weights or settings by labels of the people it is scored on.

    Attributes:
        pairs: Folder of labelled pairs as ``evaluate`` reads it; without it synthesised pairs with known landmarks.
        slices: Of volumes in that folder.
        count: How many pairs are looked at.
    """

    pairs: str = ""
    slices: tuple[int, ...] = (0,)
    count: int = 8


@dataclass(frozen=True)
class CardConfiguration:
    """What the model's card says that no command can find out."""

    description: str = ""
    data: str = ""
    licence: str = ""


@dataclass(frozen=True)
class RunConfiguration:
    """A whole run; the defaults are the run of the default model.

    Attributes:
        network: What is trained; what is not said of it is as in the model of ``optimisation.start``.
        data: Real slices, if any.
        synthesis: Drawn pairs.
        loss: What is minimised.
        optimisation: How.
        validation: How it is watched.
        card: Words for the model file.
        passes: How often the exported model applies the network to a pair.
        seed: Of weights, pairs and augmentation.
    """

    network: NetworkConfiguration = field(default_factory=NetworkConfiguration)
    data: DataConfiguration = field(default_factory=DataConfiguration)
    synthesis: SynthesisConfiguration = field(default_factory=SynthesisConfiguration)
    loss: LossConfiguration = field(default_factory=LossConfiguration)
    optimisation: OptimisationConfiguration = field(default_factory=OptimisationConfiguration)
    validation: ValidationConfiguration = field(default_factory=ValidationConfiguration)
    card: CardConfiguration = field(default_factory=CardConfiguration)
    passes: int = 1
    seed: int = 1

    def __post_init__(self) -> None:
        if self.optimisation.teacher and not (self.data.saturated and self.loss.endpoint_weight):
            raise ValueError(
                f"optimisation.teacher is '{self.optimisation.teacher}', but it teaches nothing without data.saturated"
                " and loss.endpoint_weight above 0."
            )
        if self.data.turned and self.synthesis.size[0] != self.synthesis.size[1]:
            raise ValueError(f"data.turned needs squares, but synthesis.size is {self.synthesis.size}.")


def read_run(path: Path, overrides: list[str]) -> RunConfiguration:
    """A run from a YAML file and ``--part.name value`` pairs.

    Args:
        path: YAML; parts that are not named keep their defaults.
        overrides: ``["--optimisation.steps", "100", "--data.folders=[a, b]"]``; values are YAML too.

    Raises:
        OSError: The file cannot be read.
        ValueError: A name is unknown, or a value is of the wrong kind or makes no sense.
    """
    values = _yaml(path.read_text(encoding="utf-8"), str(path)) or {}
    if not isinstance(values, dict):
        raise ValueError(f"'{path}' holds no settings; it needs lines such as 'seed: 1'.")
    words = [part for word in overrides for part in (word.split("=", 1) if word.startswith("--") else [word])]
    if len(words) % 2 or any(not name.startswith("--") for name in words[::2]):
        raise ValueError(f"Overrides come as '--part.name value', not as '{' '.join(overrides)}'.")
    for name, text in zip(words[::2], words[1::2], strict=True):
        _set(values, name.removeprefix("--"), _yaml(text, name))
    return run_from(values)


def run_from(values: dict[str, Any]) -> RunConfiguration:
    """A run from nested plain values, as in a YAML file or a checkpoint.

    Raises:
        OSError: The model to start from cannot be read.
        ValueError: A name is unknown, or a value is of the wrong kind or makes no sense.
    """
    return read_configuration(RunConfiguration, fitted(RunConfiguration, values | _network(values)))


def _network(values: dict[str, Any]) -> dict[str, Any]:
    """The part ``network`` with what the model to start from says of it; nothing if there is none or it is no part."""
    optimisation, named = values.get("optimisation"), values.get("network", {})
    start = optimisation.get("start") if isinstance(optimisation, dict) else None
    if not isinstance(start, str) or not Path(start).is_file() or not isinstance(named, dict):
        return {}
    return {"network": dataclasses.asdict(load_model(Path(start)).configuration.network) | named}


def plain(run: RunConfiguration) -> dict[str, Any]:
    """Nested plain values that ``run_from`` reads."""
    return dataclasses.asdict(run)


class _Loader(yaml.SafeLoader):
    """Takes ``8e-4`` for a number, as YAML 1.2 does; the older YAML of the library wants ``8.0e-4``."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("+-.0123456789")
)


def _yaml(text: str, place: str) -> Any:
    try:
        return yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise ValueError(f"'{place}' is not YAML: {error}") from error


def _set(values: dict[str, Any], name: str, value: Any) -> None:
    *parts, last = name.split(".")
    for part in parts:
        values = values.setdefault(part, {})
        if not isinstance(values, dict):
            raise ValueError(f"There is no setting '{name}': '{part}' is a value, not a part.")
    values[last] = value
