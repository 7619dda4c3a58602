"""Displacement fields in 2-D and 3-D: warp, compose, exponentiate, invert, differentiate."""

from __future__ import annotations

import functools
import math
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .filters import interpolated

Interpolation = Literal["bilinear", "nearest"]
_MAX_CACHED_GRID = 2**18  # Voxels; the positions of larger grids are not cached.
_MAX_MATRIX_RESIZE = 2**14  # Voxels up to which matrix products interpolate faster than torch.
_COARSEST_INVERSION = 16  # Voxels; on a grid of less than twice that, the inversion starts at -displacement.
_MAX_NEWTON_STEP = 2.0  # Voxels per iteration of the inversion.
_SINGULAR = 0.05  # Determinant below which Newton's method takes a plain fixed-point step.


class Mapping(NamedTuple):
    """A deformation and its inverse.

    Attributes:
        forward: Displacement ``(B, d, *spatial)`` from fixed to moving, voxels.
        inverse: Likewise from moving to fixed.
    """

    forward: Tensor
    inverse: Tensor


def warp(image: Tensor, displacement: Tensor, mode: Interpolation = "bilinear") -> Tensor:
    """Resample ``image`` at ``x + displacement(x)``.

    Args:
        image: ``(B, C, *spatial)`` intensities, or one-hot labels.
        displacement: ``(B, d, *spatial)``, voxels, on the grid of ``image``.
        mode: ``"bilinear"`` (trilinear in 3-D) for intensities, ``"nearest"`` for labels.

    Returns:
        Like ``image``; points outside take the nearest border voxel.

    Raises:
        ValueError: The two grids differ.
    """
    shape = tuple(image.shape[2:])
    if displacement.shape[2:] != shape or displacement.shape[1] != len(shape):
        raise ValueError(
            f"The displacement {tuple(displacement.shape)} does not lie on the grid of the image {tuple(image.shape)}."
        )
    if min(shape) < 2:
        raise ValueError(f"An image of the shape {shape} cannot be warped: every axis needs two voxels.")
    return _sample(image, displacement, mode)


def _sample(image: Tensor, displacement: Tensor, mode: Interpolation = "bilinear", share: float = 1.0) -> Tensor:
    """``warp`` by ``share`` times the displacement, without checks."""
    positions, voxel = _positions(tuple(image.shape[2:]), displacement)
    points = torch.addcmul(positions, displacement, voxel, value=share).movedim(1, -1)
    padding = "border"
    if image.device.type == "mps":  # Has no border padding; clamping is equivalent.
        points, padding = points.clamp(-1, 1), "zeros"
    # grid_sample has the axes in reverse order. Permuting the image is free; permuting the vectors would copy them.
    turned = image.permute(0, 1, *reversed(range(2, image.ndim)))
    return F.grid_sample(turned, points, mode=mode, padding_mode=padding, align_corners=True)


def _positions(shape: tuple[int, ...], like: Tensor) -> tuple[Tensor, Tensor]:
    """Positions of the voxels in -1..1, ``(1, d, *shape)``, and the size of a voxel, ``(1, d, 1, ..)``."""
    make = _kept_positions if math.prod(shape) <= _MAX_CACHED_GRID else _new_positions
    return make(shape, like.dtype, like.device)


def _new_positions(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    with torch.inference_mode(False):  # A cached tensor may be needed for a gradient later.
        axes = [torch.linspace(-1, 1, size, dtype=dtype, device=device) for size in shape]
        voxel = torch.tensor([2 / (size - 1) for size in shape], dtype=dtype, device=device)
        return torch.stack(torch.meshgrid(*axes, indexing="ij"))[None], voxel.view(1, -1, *[1] * len(shape))


_kept_positions = functools.lru_cache(maxsize=16)(_new_positions)


def _constants(values: tuple[float, ...], like: Tensor) -> Tensor:
    """Cached tensor ``(N, 1, ..)`` of numbers that broadcasts over the spatial axes."""
    return _kept_constants(values, like.ndim - 2, like.dtype, like.device)


@functools.lru_cache(maxsize=256)
def _kept_constants(values: tuple[float, ...], axes: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(False):
        return torch.tensor(values, dtype=dtype, device=device).view(-1, *[1] * axes)


def lengths(vectors: Tensor) -> Tensor:
    """Euclidean length of the vectors ``(B, d, *spatial)``, ``(B, 1, *spatial)``; 30 times as fast as ``norm``."""
    return vectors.square().sum(dim=1, keepdim=True).sqrt()


def sample_at(displacement: Tensor, points: Tensor) -> Tensor:
    """The displacement ``(1, d, *spatial)`` at points ``(N, d)`` in voxels, linearly interpolated: ``(N, d)``."""
    shape = tuple(displacement.shape[2:])
    size = torch.tensor(shape, dtype=displacement.dtype, device=displacement.device)
    normalised = (2 * points.to(displacement) / (size - 1) - 1).flip(-1)
    places = normalised.clamp(-1, 1).view(1, -1, *[1] * (len(shape) - 1), len(shape))
    return F.grid_sample(displacement, places, align_corners=True).flatten(1).view(len(shape), -1).T


def compose(first: Tensor, second: Tensor) -> Tensor:
    """The displacement of ``x -> first(second(x))`` for two deformations given as displacements.

    Warping by ``compose(first, second)`` equals warping by ``first`` and then warping the result by ``second``.
    """
    return second + warp(first, second)


def exponentiate(velocity: Tensor, steps: int) -> Tensor:
    """The displacement of the flow of a stationary velocity at time 1, by scaling and squaring.

    Args:
        velocity: ``(B, d, *spatial)``, voxels.
        steps: Number of interpolations: one midpoint step over a short time, then ``steps - 1`` squarings. With 0 the
            velocity is returned as the displacement.

    Source:
        Arsigny et al., A Log-Euclidean Framework for Statistics on Diffeomorphisms, MICCAI 2006.
    """
    if not steps:
        return velocity
    short = velocity / 2 ** (steps - 1) if steps > 1 else velocity
    displacement = _sample(short, short, share=0.5)
    for _ in range(steps - 1):
        displacement = displacement + _sample(displacement, displacement)
    return displacement


def both_directions(velocity: Tensor, time: float = 1.0) -> Tensor:
    """The velocity ``(B, d, *spatial)`` times ``time`` and times ``-time``, ``(2 * B, d, *spatial)``."""
    return (velocity * _constants((time, -time), velocity)[:, None, None]).flatten(0, 1)


def symmetric_flows(velocity: Tensor, steps: int) -> Tensor:
    """Forward and inverse displacement of a stationary velocity, on a grid twice as fine.

    Each composes half of its own flow with the numerical inverse of half of the opposite flow. The two are therefore
    inverse to each other by construction; those of ``exponentiate`` are inverse only as far as the grid resolves the
    velocity.

    Args:
        velocity: ``(B, d, *spatial)``, voxels.
        steps: Interpolations of ``exponentiate`` for time 1; half as many are as accurate for time 1/2.

    Returns:
        ``(2 * B, d, *(2 * spatial))``, voxels of the finer grid, forward before inverse.
    """
    finer = tuple(2 * size for size in velocity.shape[2:])
    halves = resize_displacement(exponentiate(both_directions(velocity, 0.5), max(steps // 2, 1)), finer)
    others = halves.roll(len(velocity), dims=0)
    residual = compose(others, halves)  # Small, because the halves are almost inverse to each other.
    inverse = compose(halves, -residual)
    return compose(halves, inverse)


def mutually_inverse(both: Tensor) -> Tensor:
    """Reduces the inverse inconsistency of a forward and an inverse displacement.

    Both are corrected by half of the residual of their composition.

    Args:
        both: ``(2 * B, d, *spatial)``, voxels, forward before inverse, approximately inverse to each other.
    """
    residual = compose(both.roll(len(both) // 2, dims=0), both)
    return compose(both, residual / -2)


def invert(displacement: Tensor, iterations: int = 4) -> Tensor:
    """The displacement of the inverse deformation, by Newton's method from coarse to fine.

    Where the deformation folds there is no inverse, and the last iterate is returned.

    Args:
        displacement: ``(B, d, *spatial)``, voxels.
        iterations: Newton steps at each resolution.
    """
    shape = tuple(displacement.shape[2:])
    if min(shape) >= 2 * _COARSEST_INVERSION:
        half = tuple(size // 2 for size in shape)
        inverse = resize_displacement(invert(resize_displacement(displacement, half), iterations), shape)
    else:
        inverse = -displacement
    dimension = len(shape)
    solve = _inverse_matrices(_jacobian(displacement)).flatten(-2).movedim(-1, 1)
    both = torch.cat([displacement, solve], dim=1)
    for _ in range(iterations):
        sampled = _sample(both, inverse)
        residual = inverse + sampled[:, :dimension]
        rows = sampled[:, dimension:].unflatten(1, (dimension, dimension))
        step = (rows * residual[:, None]).sum(dim=2)
        length = step.square().sum(dim=1, keepdim=True).sqrt()
        inverse = inverse - step * (_MAX_NEWTON_STEP / length.clamp_min(_MAX_NEWTON_STEP))
    return inverse


def jacobian_determinant(displacement: Tensor) -> Tensor:
    """Local change of area (2-D) or volume (3-D) by the deformation, from central differences.

    Args:
        displacement: ``(B, d, *spatial)``, voxels; every axis needs two voxels.

    Returns:
        ``(B, 1, *spatial)``; 1 keeps the size, 0 and below folds.
    """
    return determinant(_jacobian(displacement))[:, None]


def _jacobian(displacement: Tensor) -> Tensor:
    """Jacobian matrix of the deformation at every voxel, ``(B, *spatial, d, d)``; one row per component."""
    dimension = displacement.shape[1]
    axes = tuple(range(2, 2 + dimension))
    gradients = torch.stack(torch.gradient(displacement, dim=axes), dim=-1).movedim(1, -2)
    return gradients + torch.eye(dimension, dtype=displacement.dtype, device=displacement.device)


def determinant(matrices: Tensor) -> Tensor:
    """Determinants of ``(..., d, d)`` matrices; the closed form in 2-D is 100 times as fast."""
    if matrices.shape[-1] != 2:
        return torch.linalg.det(matrices)
    (a, b), (c, d) = (row.unbind(-1) for row in matrices.unbind(-2))
    return a * d - b * c


def _inverse_matrices(matrices: Tensor) -> Tensor:
    """Inverses of ``(..., d, d)`` matrices; the identity for almost singular ones."""
    singular = determinant(matrices).abs() < _SINGULAR
    identity = torch.eye(matrices.shape[-1], dtype=matrices.dtype, device=matrices.device)
    matrices = torch.where(singular[..., None, None], identity, matrices)
    if matrices.shape[-1] != 2:
        return torch.linalg.inv(matrices)
    (a, b), (c, d) = (row.unbind(-1) for row in matrices.unbind(-2))
    adjugate = torch.stack([torch.stack([d, -b], dim=-1), torch.stack([-c, a], dim=-1)], dim=-2)
    return adjugate / determinant(matrices)[..., None, None]


def resize_displacement(displacement: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The same deformation on a grid of another ``shape`` over the same extent, in voxels of the new grid.

    A displacement of that shape is returned unchanged.
    """
    if tuple(displacement.shape[2:]) == shape:
        return displacement
    scale = tuple(new / old for new, old in zip(shape, displacement.shape[2:], strict=True))
    larger = displacement * _constants(scale, displacement)
    if math.prod(shape) <= _MAX_MATRIX_RESIZE:
        return interpolated(larger, shape)
    # Interpolating two channels in channels-last format takes three times as long.
    return F.interpolate(larger.contiguous(), shape, mode="bilinear" if len(shape) == 2 else "trilinear")
