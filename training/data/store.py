"""Prepared slices on disk, in memory-mapped chunks, so that no number of scans fills the memory."""

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
from training.data.files import GREYS, find_scans, image_files, person_of
from training.data.scans import ScanSlice, read_slices

_CHUNK = 512  # Slices a file; 160 x 160 pixels make 38 MB.
_OPEN = 200  # Chunks that are open at once; a process may have some thousand files.
_KINDS = ("images", "masks")
_NAMES = ("source", "person", "group")
_RECORD = np.dtype([*((name, np.int32) for name in _NAMES), ("level", np.float64)])
_LAYOUT = 3  # Of a store, and state of the automatic mask; part of its key.
_LATER = ("background_noise", "saturated", "alike", "apart")  # Settings that change a batch, not the slices.
_ONLY_LABELS = "The names of all files say that they hold labels or masks"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Entry:
    """Where a slice comes from; see ``ScanSlice``."""

    source: str
    person: str
    group: str
    level: float


class SliceStore:
    """Slices by number; an image is read from disk when it is asked for.

    Attributes:
        records: One a slice, memory-mapped: ``source``, ``person`` and ``group`` as numbers, ``level`` in mm.
        scans: How many were looked at.
        problems: File and reason of every scan that was skipped.
    """

    def __init__(self, folder: Path) -> None:
        content = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        self.records: NDArray[Any] = np.load(folder / "records.npy", mmap_mode="r" if content["slices"] else None)
        self.scans: int = content["scans"]
        self.problems: dict[str, str] = content["problems"]
        self._names: dict[str, list[str]] = content["names"]
        self._folder = folder
        self._chunk = functools.lru_cache(_OPEN)(self._open)

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Image ``(H, W)`` float16 and mask ``(H, W)`` bool."""
        number, within = divmod(index, _CHUNK)
        images, masks = self._chunk(number)
        return images[within], masks[within]

    def entry(self, index: int) -> Entry:
        """Where a slice comes from."""
        record = self.records[index]
        source, person, group = (self._names[name][record[name]] for name in _NAMES)
        return Entry(source, person, group, float(record["level"]))

    def report(self) -> None:
        """Logs how many slices there are, and names what was skipped."""
        for path, reason in self.problems.items():
            _LOG.warning("skipped %s: %s", path, reason)
        people, skipped = len(self._names["person"]), len(self.problems)
        _LOG.info("%d slices of %d scans, %d scans skipped; %d people", len(self), self.scans, skipped, people)

    def _open(self, number: int) -> list[np.ndarray]:
        return [np.load(self._folder / f"{kind}-{number:05}.npy", mmap_mode="r") for kind in _KINDS]


def open_store(data: DataConfiguration, size: tuple[int, int]) -> SliceStore:
    """The prepared slices of a configuration.

    Raises:
        OSError: The cache cannot be written.
        ValueError: No scan is usable; what was looked for and what was wrong with the files is said.
    """
    store = SliceStore(prepare(data, size))
    if not len(store):
        reasons = "; ".join(f"{Path(path).name}: {reason}" for path, reason in list(store.problems.items())[:5])
        raise ValueError(
            f"None of {store.scans} scans in {', '.join(data.folders)} is usable. {reasons or _ONLY_LABELS}; looked for"
            f" images of one value a voxel, at least {GREYS} different ones, and slices that show something."
        )
    return store


def prepare(data: DataConfiguration, size: tuple[int, int]) -> Path:
    """The folder of the prepared slices of a configuration, made on the first call.

    It appears as a whole or not at all, so processes that prepare the same at once do not harm each other.

    Raises:
        OSError: The cache cannot be written.
        ValueError: There is no scan.
    """
    files = image_files(data.folders)
    folder = Path(data.cache) / _key(data, size, files)
    if folder.is_dir():
        return folder
    scans = find_scans(files)
    people = sorted({person_of(path) for path in scans})
    chosen = set(people[: max(round(data.people * len(people)), 1)])
    scans = [path for path in scans if person_of(path) in chosen]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="unfinished-", dir=folder.parent) as place:
        made, problems = Path(place) / "store", dict[str, str]()
        _write(read_slices(scans, data, size, problems), problems, len(scans), made)
        try:
            os.rename(made, folder)
        except OSError:
            if not folder.is_dir():  # Another process was faster.
                raise
    return folder


def _key(data: DataConfiguration, size: tuple[int, int], files: list[Path]) -> str:
    """Changes with every setting and file that changes the slices."""
    masks = image_files((data.masks,)) if data.masks not in ("", "auto") else []
    states = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in [*files, *masks]]
    relevant = {name: value for name, value in asdict(data).items() if name not in ("cache", *_LATER)}
    return hashlib.sha256(repr((_LAYOUT, relevant, size, states)).encode()).hexdigest()[:16]


def _write(slices: Iterable[ScanSlice], problems: dict[str, str], scans: int, folder: Path) -> None:
    """Chunk by chunk, with at most one of them in memory."""
    folder.mkdir()
    names: dict[str, dict[str, int]] = {name: {} for name in _NAMES}
    records: list[tuple[Any, ...]] = []
    chunk: list[ScanSlice] = []
    for item in slices:
        chunk.append(item)
        numbers = (known.setdefault(getattr(item, name), len(known)) for name, known in names.items())
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
        "problems": problems,
        "names": {n: [*k] for n, k in names.items()},
    }
    (folder / "index.json").write_text(json.dumps(content), encoding="utf-8")


def _save_chunk(chunk: list[ScanSlice], number: int, folder: Path) -> None:
    np.save(folder / f"images-{number:05}.npy", np.stack([item.image for item in chunk]))
    np.save(folder / f"masks-{number:05}.npy", np.stack([item.mask for item in chunk]))
