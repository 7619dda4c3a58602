"""Finds scans: which files are images, and which subject and group each belongs to."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import SimpleITK as sitk

ENDINGS = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".png", ".jpg", ".jpeg", ".dcm")
_LABEL_SUFFIXES = ("labels", "label", "mask", "seg")  # Last word of the name of a file that is no image.
_ORGAN_SUFFIXES = ("liver",)  # The same, if the file without that word is there.
_BITMAPS = (".png", ".jpg", ".jpeg")
_INSTANCE, _POSITION, _PATIENT = "0008|0018", "0020|0032", "0010|0020"  # DICOM tags.

Kind = Literal["volume", "bitmap", "dicom"]  # How a file is read.


@dataclass(frozen=True)
class Scan:
    """A scan, before it is read.

    Attributes:
        path: The file; of a DICOM series its first file.
        subject: The first word of the file's name, with the second if that is a number, as in ``oasis2d_0007``; of
            DICOM the patient's ID, or the name of the folder if there is none.
        group: The file's name without its last word, as ``patient001`` of ``patient001_ED.nii.gz``. Scans of one group
            show the same slices of one subject. Of DICOM the subject.
        kind: How the file is read.
    """

    path: Path
    subject: str
    group: str
    kind: Kind


def scan_of(path: Path) -> Scan:
    """Make the record of a file, from its name or its DICOM header."""
    if is_dicom(path):
        subject = _tags(path).get(_PATIENT, "").strip() or path.parent.name
        return Scan(path, subject, subject, "dicom")
    stem = stem_of(path)
    first, *others = stem.split("_")
    subject = f"{first}_{others[0]}" if others and others[0].isdigit() else first
    group = stem.rpartition("_")[0]
    kind: Kind = "bitmap" if path.suffix.lower() in _BITMAPS else "volume"
    return Scan(path, subject, group if group.startswith(subject) else stem, kind)


def image_files(folders: tuple[str, ...]) -> list[Path]:
    """List all files below the folders whose names could be those of scans, masks or DICOM files; none is opened.

    Raises:
        ValueError: There is no such folder, or no scan is in it.
    """
    found: list[Path] = []
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise ValueError(f"There is no folder '{folder}'; data.folders and data.masks must name folders.")
        found += sorted(p for p in folder.rglob("*") if p.is_file() and (_has_ending(p) or _may_be_dicom(p)))
    if not any(_has_ending(path) or is_dicom(path) for path in found):
        raise ValueError(f"No scan in {', '.join(folders)}; looked for {', '.join(ENDINGS)} in all subfolders.")
    return found


def find_scans(files: list[Path]) -> list[Scan]:
    """Make a record of each image among the files of ``image_files``, and of each DICOM series."""
    _series_in.cache_clear()
    series: dict[Path, list[Path]] = {}
    found = []
    for path in files:
        if is_dicom(path):
            series.setdefault(path.parent, []).append(path)
        elif _has_ending(path) and not is_label(path):
            found.append(path)
    found += [first for folder, members in sorted(series.items()) for first in _series_of(folder, members)]
    return [scan_of(path) for path in found]


def is_dicom(path: Path) -> bool:
    """Tell whether a file is DICOM. Scanners often write names without an ending, or numbers with points."""
    if not _may_be_dicom(path):
        return False
    if path.suffix.lower() == ".dcm":
        return True
    with path.open("rb") as stream:
        return stream.read(132)[128:] == b"DICM"


def _may_be_dicom(path: Path) -> bool:
    return path.suffix.lower() in ("", ".dcm") or path.suffix[1:].isdigit()


def _has_ending(path: Path) -> bool:
    return path.name.lower().endswith(ENDINGS)


def is_label(path: Path) -> bool:
    """Tell from its name whether a file holds labels or a mask."""
    word = stem_of(path).rpartition("_")[2].lower()
    image = path.with_name(masked_by(path) + path.name[len(stem_of(path)) :])
    return word in _LABEL_SUFFIXES or (word in _ORGAN_SUFFIXES and image.is_file())


def masked_by(path: Path) -> str:
    """Return the stem of the image whose mask a file is by the last word of its name, or ``""``."""
    image, _, word = stem_of(path).rpartition("_")
    return image if word.lower() in (*_LABEL_SUFFIXES, *_ORGAN_SUFFIXES) else ""


def stem_of(path: Path) -> str:
    """Return the name without its ending, such as ``.nii.gz``; other points belong to the stem."""
    endings = [ending for ending in ENDINGS if path.name.lower().endswith(ending)]
    return path.name[: -len(max(endings, key=len))] if endings else path.name


def _tags(path: Path) -> dict[str, str]:
    """The DICOM header of a file; empty if it cannot be read."""
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        return {}
    return {key: reader.GetMetaData(key) for key in reader.GetMetaDataKeys()}


def _series_of(folder: Path, files: list[Path]) -> list[Path]:
    """The first file of each series, and every file of no series, so that it is reported as damaged."""
    series = _series_in(folder)
    known = {path for group in series.values() for path in group}
    return sorted([*series, *(path for path in files if path not in known)])


@functools.lru_cache(1)  # It opens every file, and is asked again for every series of the folder.
def _series_in(folder: Path) -> dict[Path, list[Path]]:
    """The files of each series in the order of its slices, by the first of them."""
    find = sitk.ImageSeriesReader
    groups = [find.GetGDCMSeriesFileNames(str(folder), name) for name in find.GetGDCMSeriesIDs(str(folder))]
    return {Path(group[0]): [Path(name) for name in group] for group in groups}


def slices_of_series(first: Path) -> dict[str, tuple[Path, str]]:
    """Map the instance of each slice of the series that begins with a file to the slice's file and position.

    Raises:
        ValueError: No series begins with the file.
    """
    files = _series_in(first.parent).get(first)
    if files is None:
        raise ValueError("no DICOM image, or a damaged one")
    headers = {path: _tags(path) for path in files}
    return {tags.get(_INSTANCE, str(path)): (path, tags.get(_POSITION, str(path))) for path, tags in headers.items()}
