"""How good a registration is: overlap, distance, folding, consistency."""

from __future__ import annotations

import functools
import itertools
import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .deformation import compose, determinant, jacobian_determinant, lengths, sample_at
from .grid import ImageGrid

_CLEAR = 0.01  # Size of a simplex over that before that single precision tells from none.
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


_Corners = list[tuple[int, ...]]


def _corner_tetrahedron(z: int, y: int, x: int) -> _Corners:
    return [(z, y, x), (1 - z, y, x), (z, 1 - y, x), (z, y, 1 - x)]


# Both ways to cut a cube into five tetrahedra: one at each corner, and two inner ones.
_TETRAHEDRA: list[_Corners] = [
    *(_corner_tetrahedron(z, y, x) for z in (0, 1) for y in (0, 1) for x in (0, 1)),
    [(0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 0)],
    [(1, 1, 1), (1, 0, 0), (0, 1, 0), (0, 0, 1)],
]


def _triangle_ratios(displacement: Tensor) -> list[Tensor]:
    """``_simplex_ratios`` in 2-D, for both ways to cut a square into two triangles, one at each corner.

    They are the determinants of all one-sided differences, each of which is taken once.
    """
    rows, columns = displacement.shape[2] - 1, displacement.shape[3] - 1
    along_rows, along_columns = displacement.diff(dim=2), displacement.diff(dim=3)
    yy, xy = 1 + along_rows[:, 0], along_rows[:, 1]
    yx, xx = along_columns[:, 0], 1 + along_columns[:, 1]
    ends = itertools.product((slice(rows), slice(1, None)), (slice(columns), slice(1, None)))
    return [torch.addcmul(yy[..., x] * xx[:, y], yx[:, y], xy[..., x], value=-1) for y, x in ends]


def _simplex_ratios(displacement: Tensor) -> list[Tensor]:
    """Signed size after the deformation over that before, ``(B, *cells)``, of every small simplex of a cell."""
    dimension = displacement.shape[1]
    if dimension == 2:
        return _triangle_ratios(displacement)
    cells = [size - 1 for size in displacement.shape[2:]]

    def corner(position: tuple[int, ...]) -> Tensor:
        part = displacement
        for axis, step in enumerate(position):
            part = part.narrow(axis + 2, step, cells[axis])
        offset = torch.tensor(position, dtype=part.dtype, device=part.device)
        return (part + offset.view(1, -1, *[1] * dimension)).movedim(1, -1)

    ratios = []
    for origin, *others in _TETRAHEDRA:
        edges = torch.stack([corner(other) - corner(origin) for other in others], dim=-1)
        rest = torch.tensor(others, dtype=edges.dtype) - torch.tensor(origin, dtype=edges.dtype)
        ratios.append(determinant(edges) / float(determinant(rest.T)))
    return ratios


def _simplex_sizes(dimension: int) -> list[float]:
    """Share of a cell that each simplex of one cut takes: 1/2 for a triangle, 1/6 or 1/3 for a tetrahedron."""
    return [0.5] * 4 if dimension == 2 else [1 / 6] * 8 + [1 / 3] * 2


def folding(displacement: Tensor) -> float:
    """Area that the deformation turns inside out over the area of the image: 0 if none, 1 for a mirror image.

    The non-diffeomorphic area (volume in 3-D) over the area of the image. In 2-D each pixel has four one-sided
    Jacobian determinants, one for each triangle it spans with its neighbours; central differences miss folds
    that alternate from pixel to pixel.

    Args:
        displacement: ``(1, d, *spatial)``, voxels.

    Source:
        Liu et al., On finite difference Jacobian computation in deformable image registration, IJCV 2024.
    """
    if float(least_ratio(displacement).amin()) > _CLEAR:
        return 0.0
    ratios = _simplex_ratios(displacement.double())
    parts = zip(ratios, _simplex_sizes(displacement.shape[1]), strict=True)
    return sum(size * float((-ratio).clamp_min(0).mean()) for ratio, size in parts) / 2


def folded_cells(displacement: Tensor) -> Tensor:
    """Which cells have at least one simplex that is turned inside out, ``(B, 1, *cells)``; see ``folding``."""
    return (least_ratio(displacement) <= 0)[:, None]


def least_ratio(displacement: Tensor) -> Tensor:
    """Signed size of a cell's most compressed simplex over that before, ``(B, *cells)``; 0 and below folds."""
    return functools.reduce(torch.minimum, _simplex_ratios(displacement))


def folded_fraction(displacement: Tensor) -> float:
    """Share of the cells that fold, 0..1."""
    return float(folded_cells(displacement.double()).double().mean())


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
