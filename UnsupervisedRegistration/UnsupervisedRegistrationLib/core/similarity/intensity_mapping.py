"""Maps the intensities of one image to the contrast of the other.

NumPy computes the histograms in a fraction of the time of torch.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

AIR = 0.05  # Intensity up to which a voxel counts as background, which is dark in most contrasts.
_CURVE_BINS = 32  # Bins of the histogram of intensities.
_MIDDLES = (np.arange(_CURVE_BINS) + 0.5) / _CURVE_BINS
_PRIOR = 1.0  # Weight, in voxels, of the straight line in every bin, so that no bin is empty.
_CONTRAST_STRIDE = 4  # Only every fourth voxel along each axis is used to compare the contrasts.


def contrast_differs(fixed: Tensor, moving: Tensor, ratio: float) -> bool:
    """Whether a curve predicts the intensities of the other image much better than a straight line.

    Args:
        fixed: ``(1, 1, *spatial)``, 0..1.
        moving: Aligned with ``fixed`` approximately.
        ratio: Times the squared residual of the curve that a line has to leave.
    """
    return any(curve.left_by_line > ratio * curve.left for curve in _curves(fixed, moving))


def unexplained_variance(fixed: Tensor, moving: Tensor) -> float:
    """Share of the variance of one image that the other does not explain; the smaller of both directions.

    Args:
        fixed: ``(B, 1, *spatial)``, 0..1.
        moving: Aligned with ``fixed`` approximately.
    """
    return min(curve.left for curve in _curves(fixed, moving))


def _curves(fixed: Tensor, moving: Tensor) -> tuple[_Curve, _Curve]:
    """Curves that predict moving from fixed and fixed from moving, from a subset of the voxels."""
    places = (slice(None), slice(None), *[slice(None, None, _CONTRAST_STRIDE)] * (fixed.ndim - 2))
    first, second = _flat(fixed[places]), _flat(moving[places])
    return _curve(first, second), _curve(second, first)


class IntensityMapping:
    """Curve that maps the intensities of one image to those of the other.

    It maps in the direction that explains more of the variance.

    Args:
        fixed: ``(1, 1, *spatial)``, 0..1.
        moving: Aligned with ``fixed`` approximately.

    Attributes:
        left: Unexplained share of the variance of the tissue, 0..1.

    Source:
        Roche et al., The correlation ratio as a new similarity measure, MICCAI 1998.
    """

    def __init__(self, fixed: Tensor, moving: Tensor) -> None:
        first, second = _flat(fixed), _flat(moving)
        of_fixed, of_moving = _curve(second, first), _curve(first, second)
        self._maps_moving = of_fixed.left <= of_moving.left
        self._curve = (of_fixed if self._maps_moving else of_moving).values
        tissue = (first > AIR) & (second > AIR)
        here, there = (second, first) if self._maps_moving else (first, second)
        self.left = _curve(here[tissue], there[tissue]).left if tissue.any() else 1.0

    def match(self, fixed: Tensor, moving: Tensor) -> tuple[Tensor, Tensor]:
        """Both images in one contrast. Exchanging the images exchanges the results."""
        return (fixed, self._through(moving)) if self._maps_moving else (self._through(fixed), moving)

    def _through(self, image: Tensor) -> Tensor:
        mapped = np.interp(_flat(image), _MIDDLES, self._curve).astype(np.float32)  # Not every device has doubles.
        return torch.from_numpy(mapped).to(image).view(image.shape)


class _Curve(NamedTuple):
    """Prediction of the intensities of one image from those of another.

    Attributes:
        values: ``(bins,)``, mean intensity of the target in each bin of intensities of the source.
        left: Share of the variance of the target that the curve does not explain.
        left_by_line: Share that a straight line does not explain.
    """

    values: np.ndarray
    left: float
    left_by_line: float


def _flat(image: Tensor) -> np.ndarray:
    values: np.ndarray = image.detach().cpu().numpy().ravel()
    return values


def _curve(here: np.ndarray, there: np.ndarray) -> _Curve:
    middle, level = here.mean(), there.mean()
    away, wanted = here - middle, there - level
    spread, variance = _product(away, away), _product(wanted, wanted)
    if not spread * variance > 0:
        return _Curve(np.full(_CURVE_BINS, level), 1.0, 1.0)
    slope = _product(away, wanted) / spread
    bins = np.minimum(
        np.maximum(here * _CURVE_BINS, 0).astype(np.int64), _CURVE_BINS - 1
    )  # A mapped image may exceed 0..1.
    line = level + slope * (_MIDDLES - middle)
    values = (np.bincount(bins, there, _CURVE_BINS) + _PRIOR * line) / (
        np.bincount(bins, minlength=_CURVE_BINS) + _PRIOR
    )
    rest = there - values[bins]
    return _Curve(values, _product(rest, rest) / variance, 1 - slope**2 * spread / variance)


def _product(first: np.ndarray, second: np.ndarray) -> float:
    """Inner product without the threads of ``@``, which would compete with those of torch."""
    return float(np.einsum("i,i->", first, second))
