"""Model files of the former format, converted to the present one."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from training.configuration import read_run
from UnsupervisedRegistrationLib.core.models.model_file import Model, load_model, read_archive, save_whole

FORMER_VERSION = 2
_CONVERTED_VERSION = 3


def convert(former: Path, output: Path, configuration: Path | None = None, half: bool = False) -> Model:
    """Writes a model file of version 2 as one of version 3; the weights stay as they are.

    Args:
        former: Model file of version 2.
        output: Receives the model.
        configuration: YAML file of a run whose card texts and domain replace those of the file, which has no domain.
        half: Store the weights in half precision.

    Raises:
        OSError: A file cannot be read or written.
        ValueError: The file is damaged, of another version, or was made to apply its network more than once.
    """
    content = read_archive(former)
    version = content.get("version") if isinstance(content, dict) else None
    if version != FORMER_VERSION:
        raise ValueError(f"'{former}' has the model version {version}; only version {FORMER_VERSION} can be converted.")
    passes = content["configuration"].pop("passes", 1)
    if passes != 1:
        raise ValueError(f"'{former}' applies its network {passes} times, which this release does not; train it again.")
    card = content["card"] | (_card(configuration) if configuration else {})
    weights = {name: weight.half() if half else weight for name, weight in content["weights"].items()}
    save_whole(content | {"version": _CONVERTED_VERSION, "card": card, "weights": weights}, output)
    return load_model(output)


def _card(configuration: Path) -> dict[str, Any]:
    return dataclasses.asdict(read_run(configuration, []).card)
