"""How good a registration is: overlap, distance, folding, consistency."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .deformation import compose, determinant, jacobian_determinant, sample_at
from .grid import ImageGrid, shifted


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


def _surface(label: Tensor, spacing: tuple[float, ...]) -> Tensor:
    """Positions in mm of the voxels of a region that touch its outside, ``(N, d)``."""
    dimension = label.ndim
    inside = F.pad(label.bool()[None, None], [1, 1] * dimension)
    core = inside.clone()
    for axis in range(dimension):
        core &= inside.roll(1, axis + 2) & inside.roll(-1, axis + 2)
    positions = shifted(inside & ~core, (0,) * dimension, 1)[0, 0].nonzero().double()
    return positions * torch.tensor(spacing, dtype=torch.float64, device=label.device)


def _surface_distances(first: Tensor, second: Tensor, spacing: tuple[float, ...]) -> tuple[Tensor, Tensor]:
    """Of every surface voxel of each region from the other surface, ``(N,)`` and ``(M,)`` mm; none if one is empty."""
    a, b = _surface(first, spacing), _surface(second, spacing)
    if not len(a) or not len(b):
        return a.new_empty(0), b.new_empty(0)
    there = torch.cat([torch.cdist(part, b).amin(dim=1) for part in a.split(4096)])
    back = torch.cat([torch.cdist(part, a).amin(dim=1) for part in b.split(4096)])
    return there, back


def hd95(first: Tensor, second: Tensor, spacing: tuple[float, ...]) -> float:
    """95th percentile of the distances between the surfaces of two regions, both ways, in mm.

    Args:
        first: Region ``(*spatial)``, 0 or 1.
        second: Like ``first``.
        spacing: mm along each array axis.

    Returns:
        mm; nan if one region is empty.
    """
    there, back = _surface_distances(first, second, spacing)
    return max(float(there.quantile(0.95)), float(back.quantile(0.95))) if len(there) else float("nan")


def mean_surface_distance(first: Tensor, second: Tensor, spacing: tuple[float, ...]) -> float:
    """Mean of the distances between the surfaces of two regions, both ways together, in mm; see ``hd95``."""
    return float(torch.cat(_surface_distances(first, second, spacing)).mean())


_Corners = list[tuple[int, ...]]


def _corner_tetrahedron(z: int, y: int, x: int) -> _Corners:
    return [(z, y, x), (1 - z, y, x), (z, 1 - y, x), (z, y, 1 - x)]


_SIMPLICES: dict[int, list[_Corners]] = {
    # Both ways to cut a square into two triangles: one triangle at each corner.
    2: [[(y, x), (1 - y, x), (y, 1 - x)] for y in (0, 1) for x in (0, 1)],
    # Both ways to cut a cube into five tetrahedra: one at each corner, and two inner ones.
    3: [
        *(_corner_tetrahedron(z, y, x) for z in (0, 1) for y in (0, 1) for x in (0, 1)),
        [(0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 0)],
        [(1, 1, 1), (1, 0, 0), (0, 1, 0), (0, 0, 1)],
    ],
}


def _simplex_ratios(displacement: Tensor) -> Tensor:
    """Signed size of every small simplex after the deformation over its size before, ``(simplices, B, *cells)``."""
    dimension = displacement.shape[1]
    cells = [size - 1 for size in displacement.shape[2:]]

    def corner(position: tuple[int, ...]) -> Tensor:
        part = displacement
        for axis, step in enumerate(position):
            part = part.narrow(axis + 2, step, cells[axis])
        offset = torch.tensor(position, dtype=part.dtype, device=part.device)
        return (part + offset.view(1, -1, *[1] * dimension)).movedim(1, -1)

    ratios = []
    for origin, *others in _SIMPLICES[dimension]:
        edges = torch.stack([corner(other) - corner(origin) for other in others], dim=-1)
        rest = torch.tensor(others, dtype=edges.dtype) - torch.tensor(origin, dtype=edges.dtype)
        ratios.append(determinant(edges) / float(determinant(rest.T)))
    return torch.stack(ratios)


def _simplex_sizes(dimension: int, like: Tensor) -> Tensor:
    """Share of a cell that each simplex of one cut takes: 1/2 for a triangle, 1/6 or 1/3 for a tetrahedron."""
    sizes = [0.5] * 4 if dimension == 2 else [1 / 6] * 8 + [1 / 3] * 2
    return torch.tensor(sizes, dtype=like.dtype, device=like.device)


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
    ratios = _simplex_ratios(displacement.double())
    sizes = _simplex_sizes(displacement.shape[1], ratios)
    negative = (-ratios).clamp_min(0).flatten(1).mean(dim=1)
    return float((negative * sizes).sum() / 2)


def folded_fraction(displacement: Tensor) -> float:
    """Share of the cells with at least one simplex that is turned inside out, 0..1."""
    return float((_simplex_ratios(displacement.double()) <= 0).any(dim=0).double().mean())


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
    return grid.displacement_to_ras(compose(backward, forward)).norm(dim=1, keepdim=True)
