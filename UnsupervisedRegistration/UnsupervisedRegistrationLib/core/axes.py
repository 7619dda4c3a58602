"""Linear maps along the axes of an image: products of matrices, the fastest way for rows of some hundred voxels."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


def along(image: Tensor, axis: int, matrix: Tensor) -> Tensor:
    """Every row of ``image`` along an axis times a ``matrix``: ``(.., old, ..)`` and ``(old, new)``."""
    if axis == image.ndim - 1:
        return image @ matrix
    if axis == image.ndim - 2:
        return matrix.T @ image  # Without a copy of it.
    return (image.movedim(axis, -1) @ matrix).movedim(-1, axis)


def slope(image: Tensor, axis: int) -> Tensor:
    """Central differences along an axis, one-sided at the border."""
    return along(image, axis, _differences(image.shape[axis], image.dtype, image.device))


def gaussian(sigma: float) -> Callable[[Tensor], Tensor]:
    """Smooths ``(B, C, *spatial)`` along all axes; outside, its border is repeated."""

    def smooth(image: Tensor) -> Tensor:
        for axis in range(2, image.ndim):
            image = along(image, axis, _smoothing(image.shape[axis], sigma, image.dtype, image.device))
        return image

    return smooth


def smoothed_half(image: Tensor, sigma: float) -> Tensor:
    """What ``gaussian`` makes of ``(B, C, *spatial)``, at half the resolution."""
    for axis in range(2, image.ndim):
        image = along(image, axis, _smoothing_and_halving(image.shape[axis], sigma, image.dtype, image.device))
    return image


def enlarged(image: Tensor, shape: tuple[int, ...], factor: float) -> Tensor:
    """``(B, C, *spatial)`` interpolated on a grid of another ``shape`` over the same extent, times a factor."""
    for axis, size in enumerate(shape, start=2):
        along_axis = _interpolation(image.shape[axis], size, factor, image.dtype, image.device)
        image, factor = along(image, axis, along_axis), 1.0
    return image


def _kept(make: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Keeps matrices for the next call, which may want a gradient; what inference mode makes can have none."""

    @functools.lru_cache(maxsize=256)
    def kept(*arguments: int | float | torch.dtype | torch.device) -> Tensor:
        with torch.inference_mode(False):
            return make(*arguments)

    return kept


@_kept
def _differences(size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    (differences,) = torch.gradient(torch.eye(size, dtype=dtype, device=device), dim=1)
    return differences


@_kept
def _smoothing(size: int, sigma: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    reach = round(2.5 * sigma)
    offsets = torch.arange(-reach, reach + 1, dtype=dtype)
    weights = torch.exp(-offsets.square() / (2 * sigma**2))
    places = (torch.arange(size)[:, None] + offsets.long()).clamp(0, size - 1)
    rows = torch.zeros(size, size, dtype=dtype).scatter_add_(1, places, (weights / weights.sum()).expand(size, -1))
    return rows.T.contiguous().to(device)


@_kept
def _smoothing_and_halving(size: int, sigma: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    return F.interpolate(_smoothing(size, sigma, dtype, device)[:, None], size // 2, mode="area")[:, 0]


@_kept
def _interpolation(old: int, new: int, factor: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    rows = F.interpolate(torch.eye(old, dtype=dtype, device=device)[:, None], new, mode="linear")
    return factor * rows[:, 0]
