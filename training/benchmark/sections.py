"""Serial sections in different stains with corresponding landmarks; an affine alignment comes before all methods."""

from __future__ import annotations

import csv
import dataclasses
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch
from torch import Tensor

from training.data.labelled_pairs import LabelledPair
from UnsupervisedRegistrationLib.core.spatial.grid import ImageGrid

_MAX_SECTION_PIXELS = 512  # Pixels; sections are scanned finer than a registration of whole sections can use.
_INFORMATION_BINS = 32  # Of the histogram for the mutual information.
_SAMPLED_PIXELS = 0.2  # Share of the pixels from which it is computed.
_SCALES = (8, 4, 2)


@dataclass(frozen=True)
class _Section:
    """Brightness ``(H, W)`` with tissue brighter than glass, 0..1, and landmarks ``(N, 2)`` in x, y pixels."""

    image: sitk.Image
    points: np.ndarray


def section_pairs(table: Path, data: Path) -> Iterator[LabelledPair]:
    """The pairs of a list, the moving section aligned affinely to the fixed one; a pixel counts as 1 mm.

    Args:
        table: Columns ``fixed``, ``moving``, ``fixed_landmarks``, ``moving_landmarks``, ``fixed_subject`` and
            ``moving_subject``.
        data: Folder that its paths are relative to.
    """
    read = functools.lru_cache(8)(_read)
    with table.open(newline="", encoding="utf-8") as rows:
        for row in csv.DictReader(rows):
            fixed, moving = (read(data / row[s], data / row[f"{s}_landmarks"]) for s in ("fixed", "moving"))
            yield dataclasses.replace(
                _aligned(fixed, moving), fixed_subject=row["fixed_subject"], moving_subject=row["moving_subject"]
            )


def _read(image: Path, table: Path) -> _Section:
    colours = sitk.GetArrayFromImage(sitk.ReadImage(str(image))).astype(np.float32)
    tissue = 1 - colours.mean(axis=-1) / 255
    factor = max(tissue.shape) / _MAX_SECTION_PIXELS
    with table.open(encoding="utf-8") as rows:
        points = np.array([[float(row["X"]), float(row["Y"])] for row in csv.DictReader(rows)])
    shape = [round(size / factor) for size in tissue.shape]
    small = torch.nn.functional.interpolate(torch.from_numpy(tissue)[None, None], shape, mode="area")
    return _Section(sitk.GetImageFromArray(small[0, 0].numpy()), (points + 0.5) / factor - 0.5)


def _aligned(fixed: _Section, moving: _Section) -> LabelledPair:
    affine = _affine(fixed.image, moving.image)
    resampled = sitk.Resample(moving.image, fixed.image, affine, sitk.sitkLinear, 0.0)
    back = affine.GetInverse()
    points = np.array([back.TransformPoint(point) for point in moving.points.tolist()])
    images = [torch.from_numpy(sitk.GetArrayFromImage(image))[None, None] for image in (fixed.image, resampled)]
    grid = ImageGrid(tuple(images[0].shape[2:]), torch.eye(4))
    return LabelledPair(images[0], images[1], grid, fixed_points=_rows(fixed.points), moving_points=_rows(points))


def _rows(points: np.ndarray) -> Tensor:
    """``(N, 2)`` x, y as row, column."""
    return torch.from_numpy(points[:, ::-1].astype(np.float32).copy())


def _affine(fixed: sitk.Image, moving: sitk.Image) -> sitk.Transform:
    """The affine transform of highest mutual information, from fixed to moving points."""
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(_INFORMATION_BINS)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(_SAMPLED_PIXELS, 1)
    method.SetOptimizerAsRegularStepGradientDescent(1.0, 1e-3, 200)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInterpolator(sitk.sitkLinear)
    method.SetShrinkFactorsPerLevel(_SCALES)
    method.SetSmoothingSigmasPerLevel([scale / 2 for scale in _SCALES])
    start = sitk.CenteredTransformInitializer(
        fixed, moving, sitk.AffineTransform(2), sitk.CenteredTransformInitializerFilter.MOMENTS
    )
    method.SetInitialTransform(start, inPlace=False)
    return method.Execute(fixed, moving).GetNthTransform(0)  # The only one in the composite.
