"""A hash of all that decides the result of a pair."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from ...scene.registration.model_folders import modelFolders
from ...scene.registration_options import RegistrationOptions
from ..output_folder import Hashes
from ..run_record import fileHash, packageVersion
from .pair_table import CohortPair


def modelHashes(options: RegistrationOptions) -> Hashes:
    """Hash the model files that a run with these options may read."""
    files = [path for folder in modelFolders() for path in sorted(folder.glob("*.pt"))]
    if Path(options.model).is_file():
        files = [Path(options.model)]
    return {path.name: fileHash(path) for path in files}


def inputHashes(pair: CohortPair) -> Hashes:
    """Hash the files of a pair; empty for a file that is missing or cannot be read."""
    return {name: _hashOf(path) for name, path in pair.files.items()}


def fingerprint(
    pair: CohortPair, inputs: Hashes, options: RegistrationOptions, models: Hashes, series: Sequence[str] = ()
) -> str:
    """Hash inputs, options and models; not the number of threads, which decides the last digits only.

    Args:
        pair: With the index of the slice.
        inputs: Hashes of its files.
        options: Of the registration.
        models: Hashes of the model files.
        series: DICOM series that were chosen.
    """
    content = {
        "version": packageVersion("unsupervised-registration"),
        "slice": pair.slice,
        "problem": pair.problem,
        "inputs": inputs,
        "options": asdict(options),
        "models": models,
        "series": list(series),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _hashOf(path: Path) -> str:
    try:
        if path.is_dir():
            hashes = [(file.name, fileHash(file)) for file in sorted(path.iterdir()) if file.is_file()]
            return hashlib.sha256(json.dumps(hashes).encode()).hexdigest()
        return fileHash(path)
    except OSError:
        return ""
