"""Finds and reads scans of any kind; says in words why one is of no use."""

from __future__ import annotations

import functools
import gzip
import math
import warnings
import zlib
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import SimpleITK as sitk
import torch
import torchio as tio

ENDINGS = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".png", ".jpg", ".jpeg", ".dcm")
GREYS = 8  # An image with fewer different intensities is a mask or was damaged.
_LABELS = ("labels", "label", "mask", "seg")  # Last word of the name of what is no image.
_ORGANS = ("liver",)  # The same, if the file without that word is there.
_PICTURES = (".png", ".jpg", ".jpeg")
_INSTANCE, _POSITION, _PATIENT = "0008|0018", "0020|0032", "0010|0020"  # DICOM tags.


def image_files(folders: tuple[str, ...]) -> list[Path]:
    """All files below the folders whose names could be those of scans, masks or DICOM files; none is opened.

    Raises:
        ValueError: There is no such folder, or nothing is in it.
    """
    found: list[Path] = []
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise ValueError(f"There is no folder '{folder}'; data.folders and data.masks must name folders.")
        found += sorted(p for p in folder.rglob("*") if p.is_file() and (_has_ending(p) or _may_be_dicom(p)))
    if not any(_has_ending(path) or is_dicom(path) for path in found):
        raise ValueError(f"No scan in {', '.join(folders)}; looked for {', '.join(ENDINGS)} in all subfolders.")
    return found


def find_scans(files: list[Path]) -> list[Path]:
    """The images among the files of ``image_files``; of every DICOM series its first file stands for all of them."""
    _series_in.cache_clear()
    series: dict[Path, list[Path]] = {}
    found = []
    for path in files:
        if is_dicom(path):
            series.setdefault(path.parent, []).append(path)
        elif _has_ending(path) and not is_label(path):
            found.append(path)
    return found + [first for folder, members in sorted(series.items()) for first in _series_of(folder, members)]


def is_dicom(path: Path) -> bool:
    """Whether a file is DICOM; those of a scanner often have no ending, or are named by numbers with points."""
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


def person_of(path: Path) -> str:
    """First word of a file's name, with the second if that is a number, as in ``oasis2d_0007``.

    Of DICOM the patient's ID, or the name of the folder where there is none.
    """
    if is_dicom(path):
        return _tags(path).get(_PATIENT, "").strip() or path.parent.name
    first, *others = stem_of(path).split("_")
    return f"{first}_{others[0]}" if others and others[0].isdigit() else first


def is_label(path: Path) -> bool:
    """Whether a file's name says that it holds labels or a mask."""
    word = stem_of(path).rpartition("_")[2].lower()
    image = path.with_name(masked_by(path) + path.name[len(stem_of(path)) :])
    return word in _LABELS or (word in _ORGANS and image.is_file())


def masked_by(path: Path) -> str:
    """The stem of the image whose mask a file is by the last word of its name; empty if that says nothing."""
    image, _, word = stem_of(path).rpartition("_")
    return image if word.lower() in (*_LABELS, *_ORGANS) else ""


def stem_of(path: Path) -> str:
    """The name without its ending, ``.nii.gz`` included; other points belong to it."""
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
    """The first file of each series, and every file that belongs to none, so that it is named as damaged."""
    series = _series_in(folder)
    known = {path for group in series.values() for path in group}
    return sorted([*series, *(path for path in files if path not in known)])


@functools.lru_cache(1)  # It opens every file, and is asked again for every series of the folder.
def _series_in(folder: Path) -> dict[Path, list[Path]]:
    """The files of each series in the order of its slices, by the first of them."""
    find = sitk.ImageSeriesReader
    groups = [find.GetGDCMSeriesFileNames(str(folder), name) for name in find.GetGDCMSeriesIDs(str(folder))]
    return {Path(group[0]): [Path(name) for name in group] for group in groups}


def _read_series(first: Path) -> tio.ScalarImage:
    """The series that a file begins."""
    files = _series_in(first.parent).get(first)
    if files is None:
        raise ValueError("no DICOM image, or a damaged one")
    slices = {tags.get(_INSTANCE, path): (path, tags.get(_POSITION, path)) for path in files for tags in [_tags(path)]}
    places = {place for _, place in slices.values()}
    if len(places) < len(slices):
        raise ValueError(f"{len(slices)} slices at {len(places)} places; split its time points into series")
    return tio.ScalarImage.from_sitk(sitk.ReadImage([str(path) for path, _ in slices.values()]))


def grey(image: sitk.Image) -> sitk.Image:
    """A picture with the mean of its colours; how transparent it is does not count."""
    count = image.GetNumberOfComponentsPerPixel()
    if count == 1:
        return image
    channels = [sitk.VectorIndexSelectionCast(image, n, sitk.sitkFloat32) for n in range(3 if count >= 3 else 1)]
    return sum(channels[1:], start=channels[0]) / len(channels)


def _read(path: Path) -> tio.ScalarImage:
    if is_dicom(path):
        return _read_series(path)
    if path.suffix.lower() in _PICTURES:
        return tio.ScalarImage.from_sitk(grey(sitk.ReadImage(str(path))))
    return tio.ScalarImage(path)


def read_scan(path: Path, pixel: float) -> tio.ScalarImage:
    """A scan with its axes to the right, front and top; the colours of PNG and JPEG become grey.

    Args:
        path: As ``find_scans`` gives it.
        pixel: mm of a pixel of 2-D files; 0 takes what they say.

    Raises:
        OSError: It cannot be read.
        RuntimeError: No reader understands it.
        ValueError: It is truncated, has several values a voxel, or shows nothing.
    """
    _check_whole(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchIO warns of every 2-D file.
        scan = _read(path)
        scan.load()
    if scan.num_channels != 1:
        raise ValueError(f"{scan.num_channels} values a voxel or time points; split it into single images")
    if not bool(torch.isfinite(scan.data.float()).all()):
        raise ValueError("voxels that are NaN or infinite")
    greys = len(torch.unique(scan.data.flatten()[:1_000_000]))
    if greys < GREYS:
        raise ValueError(f"only {greys} different intensities; it is constant, a mask, or damaged")
    scan = tio.ToCanonical()(scan)
    return scan if not pixel or 1 not in scan.spatial_shape else _with_pixel(scan, pixel)


def _with_pixel(scan: tio.ScalarImage, pixel: float) -> tio.ScalarImage:
    """A 2-D scan whose two long axes get that spacing."""
    factor = [pixel / step if size > 1 else 1.0 for size, step in zip(scan.spatial_shape, scan.spacing, strict=True)]
    return tio.ScalarImage(tensor=scan.data, affine=scan.affine @ np.diag([*factor, 1.0]))


def _check_whole(path: Path) -> None:
    """Refuses a cut file whose missing voxels the reader would fill up."""
    size = path.stat().st_size
    if path.suffix == ".gz":
        try:
            with gzip.open(path) as stream:
                size = sum(len(part) for part in iter(lambda: stream.read(1 << 20), b""))
        except (EOFError, zlib.error) as error:
            raise ValueError("truncated or damaged") from error
    if path.name.endswith((".nii", ".nii.gz")):
        try:
            image: Any = nibabel.load(path)
        except nibabel.filebasedimages.ImageFileError as error:
            raise ValueError("no NIfTI image, whatever its name says") from error
        voxels = image.dataobj
        if size < voxels.offset + math.prod(voxels.shape) * voxels.dtype.itemsize:
            raise ValueError("truncated or damaged")
    if path.suffix.lower() in (".jpg", ".jpeg") and b"\xff\xd9" not in path.read_bytes()[-1024:]:
        raise ValueError("truncated or damaged")
