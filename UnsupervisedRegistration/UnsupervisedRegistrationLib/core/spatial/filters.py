"""Separable linear filters, most of them as products of matrices along each axis.

For some hundred voxels along an axis this is faster than a convolution. Images are ``(B, C, *spatial)``.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


def slope(image: Tensor, axis: int) -> Tensor:
    """Central differences along an axis of the tensor; one-sided differences at the border."""
    last, differences = image.shape[axis] - 1, torch.empty_like(image)
    central = image.narrow(axis, 2, last - 1) - image.narrow(axis, 0, last - 1)
    differences.narrow(axis, 1, last - 1).copy_(central.mul_(0.5))
    for border, inner in ((0, 0), (last, last - 1)):
        step = image.narrow(axis, inner + 1, 1) - image.narrow(axis, inner, 1)
        differences.narrow(axis, border, 1).copy_(step)
    return differences


def box_mean(image: Tensor, window: int, step: int = 1) -> Tensor:
    """Moving average over a cube of voxels; at the border over the part of the cube inside the image.

    Args:
        image: ``(B, C, *spatial)``.
        window: Side of the cube in voxels, odd.
        step: Distance between the centres of the cubes along each axis, voxels.

    Returns:
        ``(B, C, *spatial / step)``, rounded up.
    """
    return _along_all(image, _box, window, step)


def spread(values: Tensor, shape: tuple[int, ...], window: int, step: int) -> Tensor:
    """Mean at every voxel over the windows that hold it; the way back from the windows of ``box_mean`` to the voxels.

    Args:
        values: ``(B, C, *shape / step)``, rounded up: one for each window.
        shape: Of the image.
        window: Side of the windows in voxels, odd.
        step: Distance between the centres of the windows along each axis, voxels.

    Returns:
        ``(B, C, *shape)``.
    """
    for axis, size in enumerate(shape, start=2):
        values = _along(values, axis, _spreading(size, window, step, values.dtype, values.device))
    return values


def diffused(values: Tensor, amount: float) -> Tensor:
    """``(B, C, *spatial)`` after explicit steps of diffusion; the mean stays.

    Args:
        values: Any.
        amount: Diffusivity times time, square voxels.
    """
    axes = values.ndim - 2
    steps = math.ceil(amount * 2 * axes / 0.8)  # Stable below 1 / (2 * axes) each.
    for _ in range(steps):
        change = torch.zeros_like(values)
        for axis in range(2, values.ndim):
            size, flow = values.shape[axis] - 1, values.diff(dim=axis) * (amount / steps)
            change.narrow(axis, 0, size).add_(flow)
            change.narrow(axis, 1, size).sub_(flow)
        values = values + change
    return values


def gaussian(image: Tensor, sigma: float) -> Tensor:
    """Gaussian smoothing with a standard deviation of ``sigma`` voxels; the border is repeated outside the image."""
    return _along_all(image, _gaussian, sigma)


def gaussian_halved(image: Tensor, sigma: float, factor: float) -> Tensor:
    """``factor`` times the image, smoothed with ``sigma`` voxels and averaged to half the resolution."""
    for axis in range(2, image.ndim):
        matrix = _gaussian_halving(image.shape[axis], sigma, factor, image.dtype, image.device)
        image, factor = _along(image, axis, matrix), 1.0
    return image


def halved(image: Tensor) -> Tensor:
    """The image at half the resolution: mean of two voxels along each axis. All sides are even."""
    for axis in range(2, image.ndim):
        even, odd = image.unflatten(axis, (-1, 2)).unbind(axis + 1)
        image = torch.lerp(even, odd, 0.5)
    return image


def interpolated(image: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Linear interpolation to a grid of another ``shape`` over the same extent."""
    for axis, size in enumerate(shape, start=2):
        image = _along(image, axis, _interpolation(image.shape[axis], size, image.dtype, image.device))
    return image


def _along_all(image: Tensor, make: Callable[..., Tensor], *settings: float) -> Tensor:
    for axis in range(2, image.ndim):
        image = _along(image, axis, make(image.shape[axis], *settings, image.dtype, image.device))
    return image


def _along(image: Tensor, axis: int, matrix: Tensor) -> Tensor:
    """Multiplies the rows of the image along an axis with a matrix ``(old, new)``, never in half precision.

    In half precision, a variance computed from the means of an image and of its square is wrong.
    """
    if torch.is_autocast_enabled(image.device.type):
        with torch.autocast(image.device.type, enabled=False):
            return _along(image.float(), axis, matrix.float())
    if axis == image.ndim - 1:
        return image @ matrix
    if axis == image.ndim - 2:
        return matrix.T @ image  # Copies nothing.
    return (image.movedim(axis, -1) @ matrix).movedim(-1, axis)


def _kept(make: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Caches matrices, outside inference mode, because a later call may need a gradient."""

    @functools.lru_cache(maxsize=256)
    def kept(*arguments: float | torch.dtype | torch.device) -> Tensor:
        with torch.inference_mode(False):
            return make(*arguments)

    return kept


@_kept
def _box(size: int, window: int, step: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    places = torch.arange(size, device=device)
    inside = ((places[:, None] - places[::step]).abs() <= window // 2).to(dtype)
    return inside / inside.sum(dim=0)


@_kept
def _spreading(size: int, window: int, step: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    holding = (_box(size, window, step, dtype, device) > 0).T.to(dtype)
    return (holding / holding.sum(dim=0)).contiguous()


@_kept
def _gaussian(size: int, sigma: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    reach = round(2.5 * sigma)
    offsets = torch.arange(-reach, reach + 1, device=device)
    weights = torch.exp(-offsets.to(dtype).square() / (2 * sigma**2))
    places = (torch.arange(size, device=device)[:, None] + offsets).clamp(0, size - 1)
    rows = torch.zeros(size, size, dtype=dtype, device=device)
    return rows.scatter_add_(1, places, (weights / weights.sum()).expand(size, -1)).T.contiguous()


@_kept
def _halving(size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    return F.interpolate(torch.eye(size, dtype=dtype, device=device)[:, None], size // 2, mode="area")[:, 0]


@_kept
def _gaussian_halving(size: int, sigma: float, factor: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    return factor * _gaussian(size, sigma, dtype, device) @ _halving(size, dtype, device)


@_kept
def _interpolation(old: int, new: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    return F.interpolate(torch.eye(old, dtype=dtype, device=device)[:, None], new, mode="linear")[:, 0]
