"""Stores prepared slices on disk in memory-mapped chunks, so that no number of scans fills the memory."""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.configuration import DataConfiguration
from training.data.files import Scan, find_scans, image_files
from training.data.reading import MIN_INTENSITIES
from training.data.scans import Findings, ScanSlice, read_slices

_CHUNK = 512  # Slices per file; 160 x 160 pixels make 38 MB.
_OPEN = 200  # Chunks that are open at once; a process may open about a thousand files.
_ARRAYS = ("images", "masks")
_NAMES = ("source", "subject", "group")
_RECORD = np.dtype([*((name, np.int32) for name in _NAMES), ("level", np.float64)])
_LAYOUT = 4  # Version of the files of a store and of the automatic mask; part of the key.
_LISTED = 20  # Files that a warning names at most; the index of the store holds all.
_ONLY_LABELS = "The names of all files say that they hold labels or masks"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Entry:
    """Where a slice comes from; see ``Scan``."""

    source: str
    subject: str
    group: str
    level: float


class SliceStore:
    """Slices by number; an image is read from disk on request.

    Attributes:
        records: One per slice, memory-mapped: ``source``, ``subject`` and ``group`` as numbers, ``level`` in mm.
        scans: Number of scans that were read or skipped.
        findings: What is wrong with scans.
    """

    def __init__(self, folder: Path) -> None:
        content = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        self.records: NDArray[Any] = np.load(folder / "records.npy", mmap_mode="r" if content["slices"] else None)
        self.scans: int = content["scans"]
        self.findings = Findings(content["skipped"], content["doubtful"])
        self._names: dict[str, list[str]] = content["names"]
        self._folder = folder
        self._chunk = functools.lru_cache(_OPEN)(self._open)

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return image ``(H, W)`` float16 and mask ``(H, W)`` bool."""
        number, within = divmod(index, _CHUNK)
        images, masks = self._chunk(number)
        return images[within], masks[within]

    def entry(self, index: int) -> Entry:
        """Return where a slice comes from."""
        record = self.records[index]
        source, subject, group = (self._names[name][record[name]] for name in _NAMES)
        return Entry(source, subject, group, float(record["level"]))

    def report(self) -> None:
        """Log the number of slices, and name the files that were skipped or look damaged."""
        for path, reason in self.findings.skipped.items():
            _LOG.warning("skipped %s: %s", path, reason)
        doubtful = [f"{path}: {reason}" for path, reason in self.findings.doubtful.items()]
        if doubtful:
            further = [f"and {len(doubtful) - _LISTED} more"] if len(doubtful) > _LISTED else []
            lines = "\n  ".join([*doubtful[:_LISTED], *further])
            _LOG.warning(
                "%d of %d scans look damaged and are used nevertheless:\n  %s", len(doubtful), self.scans, lines
            )
        subjects, skipped = len(self._names["subject"]), len(self.findings.skipped)
        _LOG.info("%d slices of %d scans, %d scans skipped; %d subjects", len(self), self.scans, skipped, subjects)

    def _open(self, number: int) -> list[np.ndarray]:
        return [np.load(self._folder / f"{name}-{number:05}.npy", mmap_mode="r") for name in _ARRAYS]


def open_store(data: DataConfiguration, size: tuple[int, int]) -> SliceStore:
    """Open the prepared slices of a configuration; the first call prepares them.

    Raises:
        OSError: The cache cannot be written.
        ValueError: No scan is usable; the message says what was looked for and what is wrong with the files.
    """
    store = SliceStore(prepare(data, size))
    if not len(store):
        reasons = "; ".join(f"{Path(path).name}: {reason}" for path, reason in list(store.findings.skipped.items())[:5])
        raise ValueError(
            f"None of {store.scans} scans in {', '.join(data.folders)} is usable. {reasons or _ONLY_LABELS}; looked"
            f" for images of one value per voxel, at least {MIN_INTENSITIES} different ones, and slices that are not"
            " empty."
        )
    return store


def prepare(data: DataConfiguration, size: tuple[int, int]) -> Path:
    """Return the folder of the prepared slices of a configuration, which the first call makes.

    The folder appears complete or not at all, so that several processes may prepare the same slices at once.

    Raises:
        OSError: The cache cannot be written.
        ValueError: There is no scan.
    """
    files = image_files(data.folders)
    folder = Path(data.cache) / _key(data, size, files)
    if folder.is_dir():
        return folder
    scans = _of_first_subjects(find_scans(files), data.subject_share)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="unfinished-", dir=folder.parent) as place:
        made, findings = Path(place) / "store", Findings()
        _write(read_slices(scans, data, size, findings), findings, len(scans), made)
        try:
            os.rename(made, folder)
        except OSError:
            if not folder.is_dir():  # Another process was faster.
                raise
    return folder


def _of_first_subjects(scans: list[Scan], share: float) -> list[Scan]:
    """The scans of that share of the subjects, in the order of their names."""
    subjects = sorted({scan.subject for scan in scans})
    chosen = set(subjects[: max(round(share * len(subjects)), 1)])
    return [scan for scan in scans if scan.subject in chosen]


def _key(data: DataConfiguration, size: tuple[int, int], files: list[Path]) -> str:
    """Changes with every setting and file that changes the slices."""
    masks = image_files((data.masks,)) if data.masks not in ("", "auto") else []
    states = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in [*files, *masks]]
    settings = {name: value for name, value in asdict(data).items() if name != "cache"}
    return hashlib.sha256(repr((_LAYOUT, settings, size, states)).encode()).hexdigest()[:16]


def _write(slices: Iterable[ScanSlice], findings: Findings, scans: int, folder: Path) -> None:
    """Write chunk by chunk, with at most one chunk in memory."""
    folder.mkdir()
    names: dict[str, dict[str, int]] = {name: {} for name in _NAMES}
    records: list[tuple[Any, ...]] = []
    chunk: list[ScanSlice] = []
    for item in slices:
        chunk.append(item)
        found = dict(zip(_NAMES, (str(item.scan.path), item.scan.subject, item.scan.group), strict=True))
        numbers = (known.setdefault(found[part], len(known)) for part, known in names.items())
        records.append((*numbers, item.level))
        if len(chunk) == _CHUNK:
            _save_chunk(chunk, len(records) // _CHUNK - 1, folder)
            chunk = []
    if chunk:
        _save_chunk(chunk, len(records) // _CHUNK, folder)
    np.save(folder / "records.npy", np.array(records, _RECORD))
    content = {
        "slices": len(records),
        "scans": scans,
        **asdict(findings),
        "names": {part: list(known) for part, known in names.items()},
    }
    (folder / "index.json").write_text(json.dumps(content), encoding="utf-8")


def _save_chunk(chunk: list[ScanSlice], number: int, folder: Path) -> None:
    np.save(folder / f"images-{number:05}.npy", np.stack([item.image for item in chunk]))
    np.save(folder / f"masks-{number:05}.npy", np.stack([item.mask for item in chunk]))
