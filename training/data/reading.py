"""Reads scans of any format, and says why one cannot be used."""

from __future__ import annotations

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

from training.data.files import Scan, slices_of_series

MIN_INTENSITIES = 8  # An image with fewer different intensities is a mask or damaged.


def read_scan(scan: Scan, pixel: float) -> tio.ScalarImage:
    """Read a scan with its axes to the right, front and top; colours of PNG and JPEG files are averaged.

    Args:
        scan: As ``find_scans`` gives it.
        pixel: Pixel size of 2-D files, mm; 0 takes the size that the file states.

    Raises:
        OSError: The file cannot be read.
        RuntimeError: No reader understands the file.
        ValueError: The file is truncated, has several values per voxel, or shows nothing.
    """
    _check_whole(scan.path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchIO warns of every 2-D file.
        image = _read(scan)
        image.load()
    if image.num_channels != 1:
        raise ValueError(f"{image.num_channels} values per voxel or time points; split it into single images")
    if not bool(torch.isfinite(image.data.float()).all()):
        raise ValueError("voxels that are NaN or infinite")
    count = count_intensities(image)
    if count < MIN_INTENSITIES:
        raise ValueError(f"only {count} different intensities; it is constant, a mask, or damaged")
    image = tio.ToCanonical()(image)
    return image if not pixel or 1 not in image.spatial_shape else _with_pixel(image, pixel)


def count_intensities(image: tio.ScalarImage) -> int:
    """Count the different intensities among the first million voxels."""
    return len(torch.unique(image.data.flatten()[:1_000_000]))


def _read(scan: Scan) -> tio.ScalarImage:
    if scan.kind == "dicom":
        return _read_series(scan.path)
    if scan.kind == "bitmap":
        return tio.ScalarImage.from_sitk(mean_of_colours(sitk.ReadImage(str(scan.path))))
    return tio.ScalarImage(scan.path)


def _read_series(first: Path) -> tio.ScalarImage:
    """The series that begins with a file."""
    slices = slices_of_series(first)
    positions = {position for _, position in slices.values()}
    if len(positions) < len(slices):
        raise ValueError(f"{len(slices)} slices at {len(positions)} positions; split its time points into series")
    return tio.ScalarImage.from_sitk(sitk.ReadImage([str(path) for path, _ in slices.values()]))


def mean_of_colours(image: sitk.Image) -> sitk.Image:
    """Average the colour channels of an image; transparency does not count."""
    count = image.GetNumberOfComponentsPerPixel()
    if count == 1:
        return image
    channels = [sitk.VectorIndexSelectionCast(image, n, sitk.sitkFloat32) for n in range(3 if count >= 3 else 1)]
    return sum(channels[1:], start=channels[0]) / len(channels)


def _with_pixel(scan: tio.ScalarImage, pixel: float) -> tio.ScalarImage:
    """A 2-D scan with that spacing along its two long axes."""
    factor = [pixel / step if size > 1 else 1.0 for size, step in zip(scan.spatial_shape, scan.spacing, strict=True)]
    return tio.ScalarImage(tensor=scan.data, affine=scan.affine @ np.diag([*factor, 1.0]))


def _check_whole(path: Path) -> None:
    """Refuse a truncated file, whose missing voxels the reader would fill up."""
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
