"""Unlabelled scans of any kind become slices at one spacing and one size."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torchio as tio
from torch import Tensor

from training.configuration import DataConfiguration
from training.data.files import ENDINGS, is_dicom, masked_by, person_of, read_scan, stem_of
from UnsupervisedRegistrationLib.core.images.foreground import foreground
from UnsupervisedRegistrationLib.core.images.preprocessing import to_unit_range

_SMALLEST = 16  # Pixels a side.
_AXES = {"sagittal": 0, "coronal": 1, "axial": 2}
_Masks = dict[str, list[Path]]


@dataclass(frozen=True)
class ScanSlice:
    """One slice and where it comes from.

    Attributes:
        image: ``(H, W)`` float16, 0..1, rows to the back (or down), columns to the left.
        mask: ``(H, W)`` bool.
        source: File.
        person: See ``person_of``.
        group: The file's name without its last word; images of one group show the same slice of one person.
        level: Position of the slice along its normal, mm.
    """

    image: np.ndarray
    mask: np.ndarray
    source: str
    person: str
    group: str
    level: float


def read_slices(
    paths: list[Path], data: DataConfiguration, size: tuple[int, int], problems: dict[str, str]
) -> Iterator[ScanSlice]:
    """All slices of all usable scans, one scan in memory at a time.

    Args:
        paths: Files, or folders of DICOM files.
        data: Plane, spacing, intensities, masks.
        size: Height and width, pixels; a slice is cut or filled with its border to it, around its foreground,
            or around its middle where the images of one person are paired.
        problems: Receives file and reason of everything that is skipped.
    """
    seen: dict[str, Path] = {}
    masks = _masks_in(data.masks)
    for path in paths:
        try:
            scan = read_scan(path, data.pixel)
            digest = _digest(scan.data)
            if digest in seen:
                raise ValueError(f"the same voxels as '{seen[digest].name}'")
            seen[digest] = path
            empty = True
            for item in _slices_of(scan, path, data, masks, size):
                empty = False
                yield item
            if empty:
                raise ValueError("no slice that shows anything")
        except (ValueError, RuntimeError, OSError) as error:
            problems[str(path)] = str(error).splitlines()[0]


def _digest(voxels: Tensor) -> str:
    """Tells scans apart by their voxels, in whatever kind of number they are stored."""
    return hashlib.sha256(np.ascontiguousarray(voxels.float().numpy()).data).hexdigest()


def _slices_of(
    scan: tio.ScalarImage, path: Path, data: DataConfiguration, masks: _Masks, size: tuple[int, int]
) -> Iterator[ScanSlice]:
    axis = scan.spatial_shape.index(1) if 1 in scan.spatial_shape else _AXES[data.plane]
    mask_scan = None if data.masks in ("", "auto") else _read_mask(path, masks, data.masks, scan)
    spacing = [data.spacing] * 3
    spacing[axis] = scan.spacing[axis]
    if any(abs(a - b) > 1e-3 for a, b in zip(spacing, scan.spacing, strict=True)):
        resample = tio.Resample((spacing[0], spacing[1], spacing[2]))
        scan, mask_scan = resample(scan), mask_scan and resample(mask_scan)
    voxels = scan.data[0].float().movedim(axis, 0)
    inside = None if mask_scan is None else mask_scan.data[0].movedim(axis, 0)
    if min(voxels.shape[1:]) < _SMALLEST:
        raise ValueError(f"slices of {voxels.shape[1]} x {voxels.shape[2]} pixels; {_SMALLEST} are needed")
    person = person_of(path)
    group = person if is_dicom(path) else stem_of(path).rsplit("_", 1)[0]
    for index in range((len(voxels) % data.every) // 2, len(voxels), data.every):
        region = None if inside is None else _as_picture(inside[index])
        prepared = _prepared(_as_picture(voxels[index]), region, data, size)
        if prepared is not None:
            level = float(scan.affine[axis, 3] + index * scan.spacing[axis])
            yield ScanSlice(*prepared, str(path), person, group, round(level, 2))


def _prepared(
    picture: Tensor, region: Tensor | None, data: DataConfiguration, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray] | None:
    """Image and mask of a slice at their size; nothing where it shows nothing, or nothing of its region."""
    try:
        unit = to_unit_range(picture[None, None], data.preprocessing)[0, 0]
    except ValueError:
        return None  # Above or below the patient.
    inside = foreground(unit) if region is None else region > 0
    if picture.max() <= picture.min() or not bool(inside.any()):
        return None
    # The images of one person lie on each other already, so they are cut at the same place.
    image, mask = _cut(unit, inside, size, torch.ones_like(inside) if data.pairs == "within" else inside)
    return image.half().numpy(), mask.numpy()


def _masks_in(folder: str) -> _Masks:
    """The files of the folder with the masks by the names of the images that they may belong to."""
    found: _Masks = {}
    for path in sorted(Path(folder).iterdir()) if folder not in ("", "auto") else ():
        if path.name.lower().endswith(ENDINGS):
            for name in (stem_of(path), masked_by(path)):
                found.setdefault(name, []).append(path)
    return found


def _read_mask(path: Path, masks: _Masks, folder: str, scan: tio.ScalarImage) -> tio.LabelMap:
    """The mask of a scan: a file with its name (DICOM: the person), or with one of the words for labels behind it."""
    name = person_of(path) if is_dicom(path) else stem_of(path)
    found = [mask for mask in masks.get(name, []) if mask != path]
    if not found:
        raise ValueError(f"no mask named '{name}' or '{name}_mask' in '{folder}'")
    mask = tio.ToCanonical()(tio.LabelMap(found[0]))
    if mask.spatial_shape != scan.spatial_shape:
        raise ValueError(f"the mask '{found[0].name}' has {mask.spatial_shape} voxels, the image {scan.spatial_shape}")
    if 1 not in scan.spatial_shape and (distance := _apart(mask, scan)) > min(scan.spacing) / 2:
        raise ValueError(f"the mask '{found[0].name}' lies {distance:.1f} mm from where the image does")
    return tio.LabelMap(tensor=mask.data, affine=scan.affine)


def _apart(first: tio.Image, second: tio.Image) -> float:
    """Largest distance, in mm, of a corner of one image from that of another of as many voxels."""
    corners = np.array(list(itertools.product(*((0, size - 1) for size in first.spatial_shape), (1,))))
    return float(np.linalg.norm(corners @ (first.affine - second.affine).T, axis=1).max())


def _as_picture(voxels: Tensor) -> Tensor:
    """From axes to the right and front (or up) to rows down and columns to the left, as a view shows them."""
    return voxels.flip(0, 1).T


def _cut(image: Tensor, mask: Tensor, size: tuple[int, int], region: Tensor) -> tuple[Tensor, Tensor]:
    """A window of ``size`` around the middle of a region; beyond the image its border is repeated."""
    ys, xs = torch.nonzero(region, as_tuple=True)
    indices = []
    for positions, length, wanted in ((ys, image.shape[0], size[0]), (xs, image.shape[1], size[1])):
        middle = int((positions.min() + positions.max()) // 2) if len(positions) else length // 2
        start = middle - wanted // 2 if length <= wanted else min(max(middle - wanted // 2, 0), length - wanted)
        indices.append((torch.arange(wanted) + start).clamp(0, length - 1))
    rows, columns = indices
    return image[rows][:, columns], mask[rows][:, columns]
