"""Finds folds of displacement fields and repairs them."""

from __future__ import annotations

import functools
import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor

from .deformation import determinant, mutually_inverse
from .filters import gaussian

_MAX_ROUNDS = 40  # Rounds of smoothing.
_REPAIR_SIGMA = 0.8  # Voxels; standard deviation of the smoothing in the first round. Less has no effect.
_REPAIR_SIGMA_GROWTH = 0.08  # Voxels per round.
_REPAIR_REACH = 1.4  # Voxels; standard deviation of the region around a fold that is smoothed in the first round.
_BOX_STEP = 16  # Voxels; few sizes of the region let the cached filters be used again.
_REPAIR_REACH_GROWTH = 0.6  # Voxels per round.


def repair_folds(displacement: Tensor) -> Tensor | None:
    """The displacement ``(B, d, *spatial)``, smoothed around its folds until none is left; ``None`` if some remain."""
    for number in range(_MAX_ROUNDS):
        folded = _folded(displacement)
        if not bool(folded.any()):
            return displacement
        displacement = _smoothed(displacement, folded, number)
    return None


def repair_folds_of_both(both: Tensor) -> Tensor:
    """Forward and inverse displacements ``(2 * B, d, *spatial)``, both smoothed where either folds."""
    for number in range(_MAX_ROUNDS):
        folded = _folded(both)
        if not bool(folded.any()):
            break
        forward, inverse = folded.chunk(2)
        both = mutually_inverse(_smoothed(both, (forward | inverse).repeat(2, *[1] * (both.ndim - 1)), number))
    return both


def _folded(displacement: Tensor) -> Tensor:
    """Cells ``(B, 1, *cells)`` that fold, including one row of cells outside the grid, where the border is repeated."""
    return folded_cells(F.pad(displacement, [1, 1] * (displacement.ndim - 2), mode="replicate"))


def _smoothed(field: Tensor, folded: Tensor, number: int) -> Tensor:
    """The field ``(B, d, *spatial)``, smoothed around the folded cells; wider and stronger in later rounds."""
    for axis, size in enumerate(field.shape[2:], start=2):
        folded = folded.narrow(axis, 0, size) | folded.narrow(
            axis, 1, size
        )  # From cells to the voxels at their corners.
    reach, sigma = _REPAIR_REACH + _REPAIR_REACH_GROWTH * number, _REPAIR_SIGMA + _REPAIR_SIGMA_GROWTH * number
    box = _box_around(folded, math.ceil(3 * (reach + sigma)))
    part, folds = field[box], folded[box].to(field)
    around = gaussian(folds, reach) * (math.sqrt(2 * math.pi) * reach) ** (field.ndim - 2)  # 1 at a voxel.
    field = field.clone()
    field[box] = torch.lerp(part, gaussian(part, sigma), around.clamp_max(1))
    return field


def _box_around(folded: Tensor, margin: int) -> tuple[slice, ...]:
    """Index of all that is within ``margin`` voxels of a fold; the smoothing changes nothing else."""
    box = [slice(None), slice(None)]
    for axis in range(2, folded.ndim):
        others = tuple(n for n in range(folded.ndim) if n != axis)
        places = folded.any(dim=others).nonzero()
        first, last = max(int(places[0]) - margin, 0), int(places[-1]) + margin + 1
        box.append(slice(first // _BOX_STEP * _BOX_STEP, -(-last // _BOX_STEP) * _BOX_STEP))
    return tuple(box)


_SAFE_RATIO = 0.01  # Above this ratio of sizes, single precision is enough to exclude a fold.

_Corners = list[tuple[int, ...]]


def _corner_tetrahedron(z: int, y: int, x: int) -> _Corners:
    return [(z, y, x), (1 - z, y, x), (z, 1 - y, x), (z, y, 1 - x)]


# Both divisions of a cube into five tetrahedra: one at each corner and an inner one.
_TETRAHEDRA: list[_Corners] = [
    *(_corner_tetrahedron(z, y, x) for z in (0, 1) for y in (0, 1) for x in (0, 1)),
    [(0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 0)],
    [(1, 1, 1), (1, 0, 0), (0, 1, 0), (0, 0, 1)],
]


def _triangle_ratios(displacement: Tensor) -> list[Tensor]:
    """``_simplex_ratios`` in 2-D: one triangle at each corner of a square.

    They are the determinants of the one-sided differences. Each difference is computed once.
    """
    rows, columns = displacement.shape[2] - 1, displacement.shape[3] - 1
    along_rows, along_columns = displacement.diff(dim=2), displacement.diff(dim=3)
    yy, xy = 1 + along_rows[:, 0], along_rows[:, 1]
    yx, xx = along_columns[:, 0], 1 + along_columns[:, 1]
    ends = itertools.product((slice(rows), slice(1, None)), (slice(columns), slice(1, None)))
    return [torch.addcmul(yy[..., x] * xx[:, y], yx[:, y], xy[..., x], value=-1) for y, x in ends]


def _simplex_ratios(displacement: Tensor) -> list[Tensor]:
    """Signed size after the deformation divided by the size before, ``(B, *cells)``, for each simplex of a cell."""
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
    """Size of each simplex as a share of its cell: 1/2 for a triangle, 1/6 or 1/3 for a tetrahedron."""
    return [0.5] * 4 if dimension == 2 else [1 / 6] * 8 + [1 / 3] * 2


def folding(displacement: Tensor) -> float:
    """Non-diffeomorphic area (volume in 3-D) as a share of the image: 0 if nothing folds, 1 for a mirror image.

    In 2-D each pixel has four one-sided Jacobian determinants, one for each triangle that it spans with its
    neighbours. Central differences miss folds that alternate from pixel to pixel.

    Args:
        displacement: ``(1, d, *spatial)``, voxels.

    Source:
        Liu et al., On finite difference Jacobian computation in deformable image registration, IJCV 2024.
    """
    if float(least_ratio(displacement).amin()) > _SAFE_RATIO:
        return 0.0
    ratios = _simplex_ratios(displacement.double())
    parts = zip(ratios, _simplex_sizes(displacement.shape[1]), strict=True)
    return sum(size * float((-ratio).clamp_min(0).mean()) for ratio, size in parts) / 2


def folded_cells(displacement: Tensor) -> Tensor:
    """Cells with at least one simplex of negative or zero size, ``(B, 1, *cells)``; see ``folding``."""
    return (least_ratio(displacement) <= 0)[:, None]


def least_ratio(displacement: Tensor) -> Tensor:
    """Size ratio of the most compressed simplex of each cell, ``(B, *cells)``; 0 and below folds."""
    return functools.reduce(torch.minimum, _simplex_ratios(displacement))


def folded_fraction(displacement: Tensor) -> float:
    """Share of the cells that fold, 0..1."""
    return float(folded_cells(displacement.double()).double().mean())
