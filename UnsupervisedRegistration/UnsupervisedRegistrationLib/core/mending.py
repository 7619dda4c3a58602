"""Smooths deformations, and takes folds out of them."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from .axes import gaussian
from .deformation import mutual
from .measures import folded_cells

_ROUNDS = 40  # Of smoothing, at most.
_SIGMA = 0.8  # Voxels; standard deviation of the Gaussian that smooths at first; a smaller one would not smooth.
_STRONGER = 0.08  # What it grows by in every round.
_AROUND = 1.4  # Voxels; that of the Gaussian that says how much is smoothed around a fold at first,
_WIDER = 0.6  # and what it grows by in every round.


def unfolded(displacement: Tensor) -> Tensor | None:
    """A displacement ``(B, d, *spatial)`` smoothed around its folds until it has none; ``None`` if that fails."""
    for number in range(_ROUNDS):
        folded = _folded(displacement)
        if not bool(folded.any()):
            return displacement
        displacement = _smoothed(displacement, folded, number)
    return None


def unfolded_ways(ways: Tensor) -> Tensor:
    """Displacements there and back ``(2 * B, d, *spatial)``, smoothed where either folds, still inverse."""
    for number in range(_ROUNDS):
        folded = _folded(ways)
        if not bool(folded.any()):
            break
        there, back = folded.chunk(2)
        ways = mutual(_smoothed(ways, (there | back).repeat(2, *[1] * (ways.ndim - 1)), number))
    return ways


def _folded(displacement: Tensor) -> Tensor:
    """Cells ``(B, 1, *cells)`` that fold, those included in which the border is repeated outside the grid."""
    return folded_cells(F.pad(displacement, [1, 1] * (displacement.ndim - 2), mode="replicate"))


def _smoothed(field: Tensor, folded: Tensor, number: int) -> Tensor:
    """``(B, d, *spatial)``, smoother around the folded cells, see ``_folded``; the wider the higher the ``number``."""
    for axis, size in enumerate(field.shape[2:], start=2):
        folded = folded.narrow(axis, 0, size) | folded.narrow(axis, 1, size)  # Now the voxels that such a cell touches.
    reach = _AROUND + _WIDER * number
    around = gaussian(folded.to(field), reach) * (math.sqrt(2 * math.pi) * reach) ** (field.ndim - 2)  # 1 at a voxel.
    return torch.lerp(field, gaussian(field, _SIGMA + _STRONGER * number), around.clamp_max(1))
