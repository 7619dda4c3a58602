"""Where model files lie."""

from __future__ import annotations

import os
from pathlib import Path

from ...core.models.selection import model_files

MODELS_VARIABLE = "UNSUPERVISED_REGISTRATION_MODELS"
"""Environment variable with further folders of model files, separated as in PATH."""


def modelFolders() -> list[Path]:
    """The folder of the bundled models, then those of the environment variable."""
    library = Path(__file__).resolve().parents[2]
    bundled = [library.parent / "Resources" / "Models", library / "Models"]  # In Slicer and the clone; in a wheel.
    further = [Path(entry) for entry in os.environ.get(MODELS_VARIABLE, "").split(os.pathsep) if entry]
    return [folder for folder in (*bundled, *further) if folder.is_dir()]


def modelNames() -> list[str]:
    """Names of the models that can be chosen, the default first; opens no file and needs no torch."""
    return list(model_files(modelFolders()))
