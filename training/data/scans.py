"""Makes slices of one spacing and one size from unlabelled scans."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torchio as tio
from torch import Tensor

from training.configuration import DataConfiguration
from training.data.files import ENDINGS, Scan, masked_by, stem_of
from training.data.reading import count_intensities, read_scan
from UnsupervisedRegistrationLib.core.images.foreground import foreground
from UnsupervisedRegistrationLib.core.images.preprocessing import to_unit_range

_SMALLEST = 16  # Pixels along each side of a slice.
_FEW_INTENSITIES = 16  # Fewer different ones in a scan are reported: the file was probably converted wrongly.
_CLIPPED_SHARE = 0.1  # A larger share of the voxels inside the body at one value is reported.
_CHECKED = 5  # Slices per scan that are searched for clipping; finding the foreground of all would double the time.
_AXES = {"sagittal": 0, "coronal": 1, "axial": 2}
_Masks = dict[str, list[Path]]


@dataclass(frozen=True)
class ScanSlice:
    """One slice and where it comes from.

    Attributes:
        image: ``(H, W)`` float16, 0..1, rows to the back (or down), columns to the left.
        mask: ``(H, W)`` bool.
        scan: It is a slice of.
        level: Position of the slice along its normal, mm.
    """

    image: np.ndarray
    mask: np.ndarray
    scan: Scan
    level: float


@dataclass(frozen=True)
class Findings:
    """What is wrong with scans.

    Attributes:
        skipped: File and reason of every scan that cannot be used.
        doubtful: File and reason of every scan that is used but looks damaged.
    """

    skipped: dict[str, str] = field(default_factory=dict)
    doubtful: dict[str, str] = field(default_factory=dict)


def read_slices(
    scans: list[Scan], data: DataConfiguration, size: tuple[int, int], findings: Findings
) -> Iterator[ScanSlice]:
    """Read all slices of all usable scans, with one scan in memory at a time.

    Args:
        scans: As ``find_scans`` gives them.
        data: Plane, spacing, intensities, masks.
        size: Height and width, pixels. A slice is cropped or padded with its border to it, around its foreground, or
            around its centre if images of one subject are paired.
        findings: Receives file and reason of every scan that is skipped or looks damaged.
    """
    seen: dict[str, Path] = {}
    masks = _masks_in(data.masks)
    for scan in scans:
        try:
            image = read_scan(scan, data.pixel)
            digest = _digest(image.data)
            if digest in seen:
                raise ValueError(f"the same voxels as '{seen[digest].name}'")
            seen[digest] = scan.path
            if doubt := doubt_about(image, data):
                findings.doubtful[str(scan.path)] = doubt
            empty = True
            for item in _slices_of(image, scan, data, masks, size):
                empty = False
                yield item
            if empty:
                raise ValueError("no slice that shows anything")
        except (ValueError, RuntimeError, OSError) as error:
            findings.skipped[str(scan.path)] = str(error).splitlines()[0]


def doubt_about(image: tio.ScalarImage, data: DataConfiguration) -> str:
    """Say why a scan looks damaged, or ``""``: it has few intensities, or was clipped inside the body.

    Clipping at or beyond the limits of the intensity window is no damage, as preprocessing clips there too.
    """
    count = count_intensities(image)
    if count < _FEW_INTENSITIES:
        return f"only {count} different intensities"
    inside = torch.cat(list(_body_values(image, data)) or [image.data.float().flatten()])
    window = data.preprocessing if data.preprocessing.intensity == "window" else None
    for name, value in (("lowest", float(inside.min())), ("highest", float(inside.max()))):
        if window and (value <= window.lower if name == "lowest" else value >= window.upper):
            continue
        share = float((inside == value).float().mean())
        if share > _CLIPPED_SHARE:
            return f"{share:.0%} of the voxels inside the body have the {name} value, {value:g}; it was clipped"
    return ""


def _body_values(image: tio.ScalarImage, data: DataConfiguration) -> Iterator[Tensor]:
    """Intensities inside the body in some of the slices that are taken, before they are resampled."""
    axis = _axis_of(image, data)
    voxels = image.data[0].float().movedim(axis, 0)
    taken = _taken(len(voxels), data)
    for index in taken[:: math.ceil(len(taken) / _CHECKED)]:
        values, low, high = voxels[index], voxels[index].min(), voxels[index].max()
        if high > low:
            yield values[foreground((values - low) / (high - low))]


def _axis_of(image: tio.ScalarImage, data: DataConfiguration) -> int:
    """The array axis along which slices are taken."""
    return image.spatial_shape.index(1) if 1 in image.spatial_shape else _AXES[data.plane]


def _taken(count: int, data: DataConfiguration) -> range:
    """Numbers of the slices of a volume that are taken."""
    return range((count % data.every) // 2, count, data.every)


def _digest(voxels: Tensor) -> str:
    """A digest of the voxels, independent of the number format."""
    return hashlib.sha256(np.ascontiguousarray(voxels.float().numpy()).data).hexdigest()


def _slices_of(
    image: tio.ScalarImage, scan: Scan, data: DataConfiguration, masks: _Masks, size: tuple[int, int]
) -> Iterator[ScanSlice]:
    axis = _axis_of(image, data)
    mask_image = None if data.masks in ("", "auto") else _read_mask(scan, masks, data.masks, image)
    spacing = [data.spacing] * 3
    spacing[axis] = image.spacing[axis]
    if any(abs(a - b) > 1e-3 for a, b in zip(spacing, image.spacing, strict=True)):
        resample = tio.Resample((spacing[0], spacing[1], spacing[2]))
        image, mask_image = resample(image), mask_image and resample(mask_image)
    voxels = image.data[0].float().movedim(axis, 0)
    inside = None if mask_image is None else mask_image.data[0].movedim(axis, 0)
    if min(voxels.shape[1:]) < _SMALLEST:
        raise ValueError(f"slices of {voxels.shape[1]} x {voxels.shape[2]} pixels; {_SMALLEST} are needed")
    for index in _taken(len(voxels), data):
        region = None if inside is None else _as_displayed(inside[index])
        prepared = _prepared(_as_displayed(voxels[index]), region, data, size)
        if prepared is not None:
            level = float(image.affine[axis, 3] + index * image.spacing[axis])
            yield ScanSlice(*prepared, scan, round(level, 2))


def _prepared(
    values: Tensor, region: Tensor | None, data: DataConfiguration, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray] | None:
    """Image and mask of a slice at their size; nothing if the slice or its region is empty."""
    try:
        unit = to_unit_range(values[None, None], data.preprocessing)[0, 0]
    except ValueError:
        return None  # Above or below the body.
    inside = foreground(unit) if region is None else region > 0
    if values.max() <= values.min() or not bool(inside.any()):
        return None
    # Images of one subject are aligned already, so they are cropped at the same place.
    image, mask = _cut(unit, inside, size, torch.ones_like(inside) if data.pairs == "within" else inside)
    return image.half().numpy(), mask.numpy()


def _masks_in(folder: str) -> _Masks:
    """The files of the folder of masks, by the names of the images that they may belong to."""
    found: _Masks = {}
    for path in sorted(Path(folder).iterdir()) if folder not in ("", "auto") else ():
        if path.name.lower().endswith(ENDINGS):
            for name in (stem_of(path), masked_by(path)):
                found.setdefault(name, []).append(path)
    return found


def _read_mask(scan: Scan, masks: _Masks, folder: str, image: tio.ScalarImage) -> tio.LabelMap:
    """The mask of a scan: a file of its name (DICOM: of the subject), or of its name and a word for labels."""
    name = scan.subject if scan.kind == "dicom" else stem_of(scan.path)
    found = [mask for mask in masks.get(name, []) if mask != scan.path]
    if not found:
        raise ValueError(f"no mask named '{name}' or '{name}_mask' in '{folder}'")
    mask = tio.ToCanonical()(tio.LabelMap(found[0]))
    if mask.spatial_shape != image.spatial_shape:
        raise ValueError(f"the mask '{found[0].name}' has {mask.spatial_shape} voxels, the image {image.spatial_shape}")
    if 1 not in image.spatial_shape and (distance := _corner_distance(mask, image)) > min(image.spacing) / 2:
        raise ValueError(f"the mask '{found[0].name}' lies {distance:.1f} mm from where the image does")
    return tio.LabelMap(tensor=mask.data, affine=image.affine)


def _corner_distance(first: tio.Image, second: tio.Image) -> float:
    """Largest distance, in mm, of a corner of one image from that of another of as many voxels."""
    corners = np.array(list(itertools.product(*((0, size - 1) for size in first.spatial_shape), (1,))))
    return float(np.linalg.norm(corners @ (first.affine - second.affine).T, axis=1).max())


def _as_displayed(voxels: Tensor) -> Tensor:
    """Turn axes to the right and front (or up) into rows down and columns to the left, as a view shows them."""
    return voxels.flip(0, 1).T


def _cut(image: Tensor, mask: Tensor, size: tuple[int, int], region: Tensor) -> tuple[Tensor, Tensor]:
    """A window of ``size`` around the centre of a region; outside the image its border is repeated."""
    ys, xs = torch.nonzero(region, as_tuple=True)
    indices = []
    for positions, length, wanted in ((ys, image.shape[0], size[0]), (xs, image.shape[1], size[1])):
        middle = int((positions.min() + positions.max()) // 2) if len(positions) else length // 2
        start = middle - wanted // 2 if length <= wanted else min(max(middle - wanted // 2, 0), length - wanted)
        indices.append((torch.arange(wanted) + start).clamp(0, length - 1))
    rows, columns = indices
    return image[rows][:, columns], mask[rows][:, columns]
