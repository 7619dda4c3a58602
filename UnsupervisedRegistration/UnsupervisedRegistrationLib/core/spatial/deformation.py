"""Displacement fields: apply, join, integrate, invert and differentiate them, in 2-D and 3-D."""

from __future__ import annotations

import functools
import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from .filters import interpolated

Interpolation = Literal["bilinear", "nearest"]
_KEPT = 2**18  # Voxels of a grid whose positions are kept for the next call, at most.
_FEW = 2**14  # Voxels up to which products of matrices interpolate faster.
_COARSEST = 16  # Voxels; below twice that an inverse begins from the negative displacement.
_LONGEST = 2.0  # Voxels that an inverse moves in one iteration at most.
_SINGULAR = 0.05  # Determinant below which Newton's method takes a plain fixed-point step.


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
    """``warp`` by a share of the displacement, without the checks."""
    positions, voxel = _positions(tuple(image.shape[2:]), displacement)
    points = torch.addcmul(positions, displacement, voxel, value=share).movedim(1, -1)
    padding = "border"
    if image.device.type == "mps":  # Which has no such padding; to clamp does the same.
        points, padding = points.clamp(-1, 1), "zeros"
    # grid_sample counts the axes backwards. To turn those of the image is free, to turn the vectors a copy.
    turned = image.permute(0, 1, *reversed(range(2, image.ndim)))
    return F.grid_sample(turned, points, mode=mode, padding_mode=padding, align_corners=True)


def _positions(shape: tuple[int, ...], like: Tensor) -> tuple[Tensor, Tensor]:
    """Position of every voxel in -1..1, ``(1, d, *shape)``, and the length of a voxel, ``(1, d, 1, ..)``."""
    make = _kept_positions if math.prod(shape) <= _KEPT else _new_positions
    return make(shape, like.dtype, like.device)


def _new_positions(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    with torch.inference_mode(False):  # What is kept may be needed for a gradient later.
        axes = [torch.linspace(-1, 1, size, dtype=dtype, device=device) for size in shape]
        voxel = torch.tensor([2 / (size - 1) for size in shape], dtype=dtype, device=device)
        return torch.stack(torch.meshgrid(*axes, indexing="ij"))[None], voxel.view(1, -1, *[1] * len(shape))


_kept_positions = functools.lru_cache(maxsize=16)(_new_positions)


def _constants(values: tuple[float, ...], like: Tensor) -> Tensor:
    """Numbers ``(N, 1, ..)`` with as many axes as the image has, and one; kept, as making a tensor takes its time."""
    return _kept_constants(values, like.ndim - 2, like.dtype, like.device)


@functools.lru_cache(maxsize=256)
def _kept_constants(values: tuple[float, ...], axes: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(False):
        return torch.tensor(values, dtype=dtype, device=device).view(-1, *[1] * axes)


def lengths(vectors: Tensor) -> Tensor:
    """Length of each of the vectors ``(B, d, *spatial)``: ``(B, 1, *spatial)``; ``norm`` takes thirty times as long."""
    return vectors.square().sum(dim=1, keepdim=True).sqrt()


def sample_at(displacement: Tensor, points: Tensor) -> Tensor:
    """The displacement ``(1, d, *spatial)`` at points ``(N, d)`` given in voxels: ``(N, d)``, linear in between."""
    shape = tuple(displacement.shape[2:])
    size = torch.tensor(shape, dtype=displacement.dtype, device=displacement.device)
    normalised = (2 * points.to(displacement) / (size - 1) - 1).flip(-1)
    places = normalised.clamp(-1, 1).view(1, -1, *[1] * (len(shape) - 1), len(shape))
    return F.grid_sample(displacement, places, align_corners=True).flatten(1).view(len(shape), -1).T


def compose(first: Tensor, second: Tensor) -> Tensor:
    """The displacement of ``x -> first(second(x))`` for two deformations given as displacements.

    Warping by ``compose(first, second)`` equals warping by ``first`` and then the outcome by ``second``.
    """
    return second + warp(first, second)


def exponentiate(velocity: Tensor, steps: int) -> Tensor:
    """The displacement of the flow of a stationary velocity at time 1, by scaling and squaring.

    Args:
        velocity: ``(B, d, *spatial)``, voxels.
        steps: Samplings, of which the first goes a short time by the midpoint rule and the others square; 0 returns
            the velocity itself, which then is the displacement.

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
    """A velocity ``(B, d, *spatial)`` times a time, and the opposite: ``(2 * B, d, *spatial)``."""
    return (velocity * _constants((time, -time), velocity)[:, None, None]).flatten(0, 1)


def symmetric_flows(velocity: Tensor, steps: int) -> Tensor:
    """Displacements of the flow of a stationary velocity at time 1 and -1, on a grid twice as fine.

    Each goes half-way there by the inverse of the flow from the other side, and on by its own, so that they undo each
    other by construction; those of ``exponentiate`` do so only as far as the grid resolves the velocity.

    Args:
        velocity: ``(B, d, *spatial)``, voxels.
        steps: Samplings that ``exponentiate`` takes for the whole time; half of them are as exact for half of it.

    Returns:
        ``(2 * B, d, *(2 * spatial))``, voxels of the finer grid, those at time 1 first.
    """
    finer = tuple(2 * size for size in velocity.shape[2:])
    halves = resize_displacement(exponentiate(both_directions(velocity, 0.5), max(steps // 2, 1)), finer)
    others = halves.roll(len(velocity), dims=0)
    missed = compose(others, halves)  # Little: each half is almost the inverse of the other,
    inverse = compose(halves, -missed)  # and is made so by going back first what both together miss.
    return compose(halves, inverse)


def mutually_inverse(ways: Tensor) -> Tensor:
    """Displacements there and back ``(2 * B, d, *spatial)``, almost each other's inverse, as closer ones.

    Each goes back first by half of what both together miss, so that neither leads.
    """
    missed = compose(ways.roll(len(ways) // 2, dims=0), ways)
    return compose(ways, missed / -2)


def invert(displacement: Tensor, iterations: int = 4) -> Tensor:
    """The displacement of the inverse deformation, by Newton's method from coarse to fine.

    Where the deformation folds there is no inverse; what comes out there is as close as the iteration gets.

    Args:
        displacement: ``(B, d, *spatial)``, voxels.
        iterations: At every resolution.
    """
    shape = tuple(displacement.shape[2:])
    if min(shape) >= 2 * _COARSEST:
        half = tuple(size // 2 for size in shape)
        inverse = resize_displacement(invert(resize_displacement(displacement, half), iterations), shape)
    else:
        inverse = -displacement
    dimension = len(shape)
    solve = _inverse_matrices(_jacobian(displacement)).flatten(-2).movedim(-1, 1)
    both = torch.cat([displacement, solve], dim=1)
    for _ in range(iterations):
        there = _sample(both, inverse)
        missed = inverse + there[:, :dimension]
        rows = there[:, dimension:].unflatten(1, (dimension, dimension))
        step = (rows * missed[:, None]).sum(dim=2)
        length = step.square().sum(dim=1, keepdim=True).sqrt()
        inverse = inverse - step * (_LONGEST / length.clamp_min(_LONGEST))
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
    """Derivative of the deformation at every voxel, ``(B, *spatial, d, d)``, rows for its components."""
    dimension = displacement.shape[1]
    axes = tuple(range(2, 2 + dimension))
    gradients = torch.stack(torch.gradient(displacement, dim=axes), dim=-1).movedim(1, -2)
    return gradients + torch.eye(dimension, dtype=displacement.dtype, device=displacement.device)


def determinant(matrices: Tensor) -> Tensor:
    """Determinants of ``(..., d, d)`` matrices; in 2-D written out, which takes a hundredth of the time."""
    if matrices.shape[-1] != 2:
        return torch.linalg.det(matrices)
    (a, b), (c, d) = (row.unbind(-1) for row in matrices.unbind(-2))
    return a * d - b * c


def _inverse_matrices(matrices: Tensor) -> Tensor:
    """Inverses of ``(..., d, d)`` matrices; the identity for those that are almost singular."""
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

    A displacement that lies on such a grid comes back as it is.
    """
    if tuple(displacement.shape[2:]) == shape:
        return displacement
    scale = tuple(new / old for new, old in zip(shape, displacement.shape[2:], strict=True))
    larger = displacement * _constants(scale, displacement)
    if math.prod(shape) <= _FEW:
        return interpolated(larger, shape)
    # With the channels last, as a convolution may leave them, interpolating two takes three times as long.
    return F.interpolate(larger.contiguous(), shape, mode="bilinear" if len(shape) == 2 else "trilinear")
