"""Lists the model files in folders, and the models that fit a pair of images; needs no torch at import."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .card import Domain
    from .model_file import Model

SUFFIX = ".pt"
DEFAULT = "any-contrast"


def find_model(name_or_file: str | os.PathLike[str], folders: list[Path]) -> Path:
    """File of a model, given by its name in one of the ``folders`` or by its path.

    Raises:
        ValueError: There is no such model.
    """
    path = Path(name_or_file)
    if path.is_file():
        return path
    found = model_files(folders)
    if str(name_or_file) in found:
        return found[str(name_or_file)]
    raise ValueError(f"There is no model '{name_or_file}'. Known are: {', '.join(found) or 'none'}; or give a file.")


def model_files(folders: list[Path]) -> dict[str, Path]:
    """Name to file of each model in the ``folders``. The first folder has priority; the default model comes first."""
    files: dict[str, Path] = {}
    for folder in folders:
        for path in sorted(folder.glob(f"*{SUFFIX}")):
            files.setdefault(path.stem, path)
    return dict(sorted(files.items(), key=lambda item: item[0] != DEFAULT))


AIR_HU = -200.0  # Below it lie lung and the surroundings of a patient, so such intensities are HU, and MR has none.
CLIPPED_BACKGROUND = 0.2  # Share of the lowest value in a slice of CT whose air and fat were clipped to it.
CLIPPED_BRIGHTEST = 5e-4  # Share of the highest value in it, as bone is clipped; in livers .0014 and more.
STRIPPED_BACKGROUND = 0.3  # Share of the lowest value around a skull-stripped brain; .39 and more in 108 slices.


def admissible_models(
    models: Sequence[Model], images: Sequence[NDArray[np.generic]], free_models_only: bool = False
) -> list[Model]:
    """The models that may have been trained on such images, the default first.

    Args:
        models: All that there are.
        images: Intensities of the fixed and the moving image, of any shape.
        free_models_only: Whether models for research use only are left out.

    Raises:
        ValueError: None is left.
    """
    allowed = [model for model in models if not (free_models_only and model.card.research_only)]
    fitting = [model for model in allowed if all(fits(model.card.domain, image) for image in images)]
    if not fitting:
        raise ValueError(
            f"None of the {len(models)} models may register these images"
            f"{' with free models only' if free_models_only else ''}; choose a model by its name or file."
        )
    return sorted(fitting, key=lambda model: model.name != DEFAULT)


def fits(domain: Domain, image: NDArray[np.generic]) -> bool:
    """Whether an image may be of a domain, by its intensities alone."""
    low, high = float(image.min()), float(image.max())
    lowest, highest = float((image == low).mean()), float((image == high).mean())
    clipped = lowest > CLIPPED_BACKGROUND and highest > CLIPPED_BRIGHTEST
    if domain.modality == "CT" and domain.intensity_range is not None and low > AIR_HU:
        return lowest > CLIPPED_BACKGROUND and high <= domain.intensity_range[1]
    if domain.modality == "MR" and (low < AIR_HU or (clipped and (low, high) == (0, 255))):
        return False
    return lowest > STRIPPED_BACKGROUND or not domain.skull_stripped
