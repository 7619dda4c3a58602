"""How good a registration is: overlap, distance, folding, consistency."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..spatial.deformation import compose, jacobian_determinant, lengths, sample_at
from ..spatial.grid import ImageGrid

_POINTS = 1024  # Of one surface that are compared with the other at once; bounds the memory.


def dice(first: Tensor, second: Tensor, labels: list[int] | None = None) -> dict[int, float]:
    """Overlap of two labelmaps, ``2 |A and B| / (|A| + |B|)``.

    Args:
        first: Integer labels of any shape.
        second: Like ``first``.
        labels: Which to score; without them all but 0 that occur in ``first``.

    Returns:
        Label to Dice; a label in neither labelmap is left out.
    """
    if first.shape != second.shape:
        raise ValueError(f"Labelmaps of the shapes {tuple(first.shape)} and {tuple(second.shape)} do not compare.")
    wanted = labels if labels is not None else [int(v) for v in first.unique() if v != 0]
    scores = {}
    for label in wanted:
        a, b = first == label, second == label
        size = int(a.sum() + b.sum())
        if size:
            scores[label] = 2 * int((a & b).sum()) / size
    return scores


def target_registration_error(
    fixed_points: Tensor, moving_points: Tensor, displacement: Tensor, grid: ImageGrid
) -> Tensor:
    """Distance of each mapped fixed landmark from its moving partner, ``|p + u(p) - q|`` in mm.

    Args:
        fixed_points: ``(N, d)`` in voxels of the grid, array order.
        moving_points: ``(N, d)`` likewise.
        displacement: ``(1, d, *grid.shape)``, voxels.
        grid: Gives the size of a voxel.

    Returns:
        ``(N,)`` mm.
    """
    points = fixed_points.to(displacement)
    mapped = points + sample_at(displacement, points)
    return ((mapped - moving_points.to(mapped)) @ grid.axes_to_ras.to(mapped).T).norm(dim=-1)


class SurfaceDistance(NamedTuple):
    """Of the surfaces of two regions from each other, both ways, mm; nan if one region is empty.

    Attributes:
        mean: Over the voxels of both surfaces together.
        hd95: 95th percentile of each way, the larger of the two.
    """

    mean: float
    hd95: float


def surface_distance(first: Tensor, second: Tensor, spacing: tuple[float, ...]) -> SurfaceDistance:
    """How far the surfaces of two regions are from each other.

    Args:
        first: Region ``(*spatial)``, 0 or 1.
        second: Like ``first``.
        spacing: mm along each array axis.
    """
    a, b = _surface(first, spacing), _surface(second, spacing)
    if not len(a) or not len(b):
        return SurfaceDistance(math.nan, math.nan)
    there, back = _nearest(a, b)
    mean = (there.sum() + back.sum()) / (len(there) + len(back))
    return SurfaceDistance(float(mean), max(float(way.quantile(0.95)) for way in (there, back)))


def _surface(region: Tensor, spacing: tuple[float, ...]) -> Tensor:
    """Positions in mm of the voxels of a region that touch its outside, ``(N, d)``."""
    inside, corner = _cropped(region.bool())
    core = inside.clone()
    for axis in range(inside.ndim):
        core &= inside.roll(1, axis) & inside.roll(-1, axis)
    positions = (inside & ~core).nonzero().double() + corner
    return positions * torch.tensor(spacing, dtype=torch.float64, device=region.device)


def _cropped(region: Tensor) -> tuple[Tensor, Tensor]:
    """The box around a region with a margin of one voxel, and the index of its first corner ``(d,)``."""
    first = []
    for axis in range(region.ndim):
        others = [other for other in range(region.ndim) if other != axis]
        occupied = region.amax(dim=others).nonzero()
        if not len(occupied):
            return region, torch.zeros(region.ndim, device=region.device)
        first.append(int(occupied[0]))
        region = region.narrow(axis, first[-1], int(occupied[-1]) - first[-1] + 1)
    return F.pad(region, [1, 1] * region.ndim), torch.tensor(first, device=region.device) - 1


def _nearest(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Distance of every point ``(N, d)`` from the nearest of ``(M, d)``, and the other way round."""
    there, back = [], a.new_full((len(b),), math.inf)
    for part in a.split(_POINTS):
        distances = torch.cdist(part, b)
        there.append(distances.amin(dim=1))
        back = torch.minimum(back, distances.amin(dim=0))
    return torch.cat(there), back


# Both ways to cut a cube into five tetrahedra: one at each corner, and two inner ones.


def sd_log_jacobian(displacement: Tensor) -> float:
    """Standard deviation of ``log(J + 3)`` two voxels inside the border, with the offset that Learn2Reg adds."""
    determinant = jacobian_determinant(displacement.double())
    for axis in range(2, determinant.ndim):
        determinant = determinant.narrow(axis, 2, determinant.shape[axis] - 4)
    return float((determinant + 3).clamp(1e-9, 1e9).log().std(correction=0))


def inverse_consistency_error(forward: Tensor, backward: Tensor, grid: ImageGrid) -> Tensor:
    """How far each voxel is from itself after going forward and back, ``(B, 1, *spatial)`` mm.

    Args:
        forward: Displacement from fixed to moving, ``(B, d, *spatial)``, voxels.
        backward: Displacement from moving to fixed, on the same grid.
        grid: Gives the size of a voxel.
    """
    return lengths(grid.displacement_to_ras(compose(backward, forward)))
