"""The models that may register a pair: the one that was chosen, or all that fit."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from ...core.models.card import Card
from ...core.models.model_file import Model, load_model
from ...core.models.selection import DEFAULT, admissible_models, find_model, model_files
from ...core.registration.options import AUTOMATIC, RegistrationOptions
from .model_folders import modelFolders
from .phantom_nodes import isSynthetic
from .slice_pair import SlicePair


def modelsFor(pair: SlicePair, options: RegistrationOptions) -> list[Model]:
    """As ``candidateModels``, for a pair of slices."""
    synthetic = isSynthetic(pair.fixedVolume, pair.movingVolume)
    return candidateModels(options, pair.fixed.pixels, pair.moving.pixels, synthetic)


def candidateModels(
    options: RegistrationOptions, fixed: np.ndarray, moving: np.ndarray, synthetic: bool = False
) -> list[Model]:
    """The chosen model, or all models that fit images of such intensities, the default first.

    Args:
        options: What the user chose.
        fixed: Intensities of the fixed image, of any shape.
        moving: Likewise.
        synthetic: Whether an image shows no person; then it is of no domain, and only the default model fits.

    Raises:
        OSError: The chosen model cannot be read.
        ValueError: There is no such model, or none fits.
    """
    if options.model != AUTOMATIC or synthetic:
        return [openModel(DEFAULT if options.model == AUTOMATIC else options.model)]
    models = []
    for path in model_files(modelFolders()).values():
        try:
            models.append(openFile(path))
        except (ValueError, OSError):  # A file that nobody chose must not stop the work.
            continue
    return admissible_models(models, (fixed, moving), options.free_models_only)


def openModel(nameOrFile: str) -> Model:
    """A model by its name or file.

    Raises:
        OSError: The file cannot be read.
        ValueError: There is none of that name, or it is damaged.
    """
    return openFile(find_model(nameOrFile, modelFolders()))


def openFile(path: Path) -> Model:
    """A model file; read once while it stays the same."""
    state = path.stat()
    return _read(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=16)
def _read(path: Path, modified: int, size: int) -> Model:
    return load_model(path)


def modelCards() -> dict[str, Card]:
    """Name to card of every model that can be chosen by name.

    Raises:
        ValueError: A file in one of the folders is no model.
    """
    return {name: openFile(path).card for name, path in model_files(modelFolders()).items()}
