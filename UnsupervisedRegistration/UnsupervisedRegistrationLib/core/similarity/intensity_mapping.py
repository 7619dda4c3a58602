"""Brings the greys of one image to those of the other, where both show the same in different contrast.

NumPy counts intensities in a fraction of the time of torch.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..spatial.filters import halved

AIR = 0.05  # Intensity up to which a voxel may be background, which looks alike in most contrasts.
_BINS = 32  # Of the intensities.
_MIDDLES = (np.arange(_BINS) + 0.5) / _BINS
_PRIOR = 1.0  # Voxels on the straight line that every bin has besides its own, so that none is empty.
_STEP = 4  # Every such voxel along each axis tells whether two contrasts differ.
_UNTOLD = 0.75  # Share of the variance of the tissue; beyond it two images match no better in one contrast.
_GREY = 0.02  # Mean distance of the voxels from black or white, whichever is nearer; less is a drawing in two greys.
_SPECKS = 0.88  # Share of its variance that such a drawing has at half the resolution if there are areas in it.
_DIFFERENT = 1.4  # They do if a straight line leaves that many times the squared difference that a curve leaves.


def contrast_differs(fixed: Tensor, moving: Tensor) -> bool:
    """Whether a curve of the intensities of one image tells much more of the other than a straight line does.

    Args:
        fixed: ``(1, 1, *spatial)``, 0..1.
        moving: Roughly aligned with it.
    """
    return any(curve.left_by_line > _DIFFERENT * curve.left for curve in _curves(fixed, moving))


def unexplained_variance(fixed: Tensor, moving: Tensor) -> float:
    """Share of the variance of one image that the other does not tell, of that which tells more.

    Args:
        fixed: ``(B, 1, *spatial)``, 0..1.
        moving: Roughly aligned with it.
    """
    return min(curve.left for curve in _curves(fixed, moving))


def is_sparse_binary(image: Tensor) -> bool:
    """Whether an image ``(B, 1, *spatial)``, 0..1, of even sides holds nothing but specks, as where greys were lost.

    It is in black and white, and half the resolution would turn it grey, which it would not a mask.
    """
    if float(torch.minimum(image, 1 - image).mean()) >= _GREY:
        return False
    return float(halved(image).var()) < _SPECKS * float(image.var())


def _curves(fixed: Tensor, moving: Tensor) -> tuple[_Curve, _Curve]:
    """What some voxels of either image tell of the other."""
    places = (slice(None), slice(None), *[slice(None, None, _STEP)] * (fixed.ndim - 2))
    first, second = _flat(fixed[places]), _flat(moving[places])
    return _curve(first, second), _curve(second, first)


class IntensityMapping:
    """What the intensities of two images tell of each other, voxel by voxel.

    Args:
        fixed: ``(1, 1, *spatial)``, 0..1.
        moving: Aligned with it as well as may be.

    Attributes:
        left: Share of the variance of the tissue in one image that the other does not tell; 1 if it tells nothing.

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

    @property
    def informative(self) -> bool:
        """Whether they tell enough of each other for the images to match better in one contrast."""
        return self.left < _UNTOLD

    def match(self, fixed: Tensor, moving: Tensor) -> tuple[Tensor, Tensor]:
        """Both images in the contrast of that which the other tells more of; of swapped images the same, swapped."""
        return (fixed, self._through(moving)) if self._maps_moving else (self._through(fixed), moving)

    def _through(self, image: Tensor) -> Tensor:
        mapped = np.interp(_flat(image), _MIDDLES, self._curve).astype(np.float32)  # Not every device has doubles.
        return torch.from_numpy(mapped).to(image).view(image.shape)


class _Curve(NamedTuple):
    """What the intensities of one image tell of those of another.

    Attributes:
        values: ``(bins,)``, the mean intensity there in every bin of the intensities here.
        left: Share of the variance there that they do not tell.
        left_by_line: That a straight line does not tell.
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
        return _Curve(np.full(_BINS, level), 1.0, 1.0)
    slope = _product(away, wanted) / spread
    bins = np.minimum(np.maximum(here * _BINS, 0).astype(np.int64), _BINS - 1)  # A curve may lead out of 0..1.
    line = level + slope * (_MIDDLES - middle)
    values = (np.bincount(bins, there, _BINS) + _PRIOR * line) / (np.bincount(bins, minlength=_BINS) + _PRIOR)
    rest = there - values[bins]
    return _Curve(values, _product(rest, rest) / variance, 1 - slope**2 * spread / variance)


def _product(first: np.ndarray, second: np.ndarray) -> float:
    """Inner product without the threads of ``@``, which would wait busily where those of torch work next."""
    return float(np.einsum("i,i->", first, second))
