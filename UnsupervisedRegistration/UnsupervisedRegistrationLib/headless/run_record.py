"""The record of a run: who did what to which files."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import math
import platform
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_PACKAGES = ("unsupervised-registration", "torch", "numpy", "SimpleITK", "slicer-core", "vtk")


def runRecord(arguments: list[str], inputs: Mapping[str, Path]) -> dict[str, object]:
    """Return time, versions, command line and the inputs with their SHA-256.

    Args:
        arguments: The command line without the program.
        inputs: What they are for to files or folders, which need not exist.
    """
    return {
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "command": ["unsupervised-registration", *arguments],
        "versions": {"python": platform.python_version(), **{name: packageVersion(name) for name in _PACKAGES}},
        "inputs": {name: _described(path) for name, path in inputs.items()},
    }


def packageVersion(name: str) -> str | None:
    """Return the version of an installed package."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def writeFailure(folder: Path, record: Mapping[str, object], sentence: str) -> None:
    """Write ``DIR.failed.json`` beside the output folder, unless another file has this name or the disk is full."""
    path = failurePath(folder)
    if path.exists() and not _isFailure(path):
        return
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_text(jsonText({**record, "failed": sentence}), encoding="utf-8")
        part.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            part.unlink()


def removeFailure(folder: Path) -> None:
    """Remove the failure that an earlier run noted."""
    if _isFailure(failurePath(folder)):
        failurePath(folder).unlink(missing_ok=True)


def failurePath(folder: Path) -> Path:
    """Return the file beside the folder that says why a run failed."""
    absolute = folder.absolute()
    return absolute.with_name(f"{absolute.name}.failed.json")


def fileHash(path: Path) -> str:
    """Return the SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def jsonText(values: object) -> str:
    """Return valid JSON: numbers that are not finite become null, names that are not UTF-8 are escaped."""
    return json.dumps(_plain(values), indent=2, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, str | bool | int | None):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return _plain(value.item()) if hasattr(value, "item") else str(value)


def _described(path: Path) -> dict[str, object]:
    try:
        if path.is_dir():
            files = sorted(file for file in path.iterdir() if file.is_file())
            return {"path": str(path.absolute()), "files": {file.name: fileHash(file) for file in files}}
        return {"path": str(path.absolute()), "sha256": fileHash(path) if path.is_file() else None}
    except OSError as error:
        return {"path": str(path.absolute()), "error": error.strerror or str(error)}


def _isFailure(path: Path) -> bool:
    try:
        return "failed" in json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        return False
