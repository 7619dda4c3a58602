"""Prepared slices on disk, in memory-mapped chunks, so that no number of scans fills the memory."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from training.configuration import DataConfiguration
from training.files import find_scans, person_of
from training.scans import ScanSlice, read_slices

_CHUNK = 512  # Slices a file; 160 x 160 pixels make 38 MB.
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
        entries: One a slice.
        problems: File and reason of every scan that was skipped.
    """

    def __init__(self, folder: Path) -> None:
        content = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        self.entries = [Entry(**entry) for entry in content["entries"]]
        self.problems: dict[str, str] = content["problems"]
        self._folder = folder
        self._chunks: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Image ``(H, W)`` float16 and mask ``(H, W)`` bool."""
        number, within = divmod(index, _CHUNK)
        if number not in self._chunks:
            images, masks = (np.load(self._folder / f"{kind}-{number:05}.npy", mmap_mode="r") for kind in _KINDS)
            self._chunks[number] = images, masks
        images, masks = self._chunks[number]
        return images[within], masks[within]


_KINDS = ("images", "masks")


def open_store(data: DataConfiguration, size: tuple[int, int]) -> SliceStore:
    """The prepared slices of a configuration, made on the first call and opened on every later one.

    Raises:
        OSError: The cache cannot be written.
        ValueError: No scan is usable; what was looked for and what was wrong with the files is said.
    """
    scans = find_scans(data.folders)
    people = sorted({person_of(path) for path in scans})
    chosen = set(people[: max(round(data.people * len(people)), 1)])
    scans = [path for path in scans if person_of(path) in chosen]
    folder = Path(data.cache) / _key(data, size, scans)
    if not (folder / "index.json").is_file():
        problems: dict[str, str] = {}
        _write(read_slices(scans, data, size, problems), problems, folder)
    store = SliceStore(folder)
    for path, reason in store.problems.items():
        _LOG.warning("skipped %s: %s", path, reason)
    _LOG.info("%d slices of %d scans, %d scans skipped", len(store), len(scans), len(store.problems))
    if not len(store):
        reasons = "; ".join(f"{Path(path).name}: {reason}" for path, reason in list(store.problems.items())[:5])
        raise ValueError(f"None of {len(scans)} scans in {', '.join(data.folders)} is usable. {reasons}")
    return store


def _key(data: DataConfiguration, size: tuple[int, int], scans: list[Path]) -> str:
    """Changes with every setting and file that changes the slices."""
    files = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in scans]
    relevant = {
        name: value for name, value in asdict(data).items() if name not in ("cache", "people", "background_noise")
    }
    return hashlib.sha256(repr((relevant, size, files)).encode()).hexdigest()[:16]


def _write(slices: Iterable[ScanSlice], problems: dict[str, str], folder: Path) -> None:
    """Chunk by chunk; the index comes last, so that a store that was interrupted is made anew."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    entries: list[Entry] = []
    chunk: list[ScanSlice] = []
    for item in slices:
        chunk.append(item)
        entries.append(Entry(item.source, item.person, item.group, item.level))
        if len(chunk) == _CHUNK:
            _save_chunk(chunk, len(entries) // _CHUNK - 1, folder)
            chunk = []
    if chunk:
        _save_chunk(chunk, len(entries) // _CHUNK, folder)
    content = {"entries": [asdict(entry) for entry in entries], "problems": problems}
    (folder / "index.json").write_text(json.dumps(content), encoding="utf-8")


def _save_chunk(chunk: list[ScanSlice], number: int, folder: Path) -> None:
    np.save(folder / f"images-{number:05}.npy", np.stack([item.image for item in chunk]))
    np.save(folder / f"masks-{number:05}.npy", np.stack([item.mask for item in chunk]))
