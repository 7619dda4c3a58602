"""Lists the model files in folders; needs no torch."""

from __future__ import annotations

import os
from pathlib import Path

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
