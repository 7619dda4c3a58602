"""Smooths deformations, and takes folds out of them."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from .measures import folded_cells

_ROUNDS = 40  # Of smoothing, at most.
_SIGMA = 0.8  # Voxels; the least that smooths.
_AROUND = 3  # Voxels on a side of what is smoothed around a fold at first,
_WIDER = 2  # and what they grow by in every round, as long as something folds.


def gaussian(sigma: float) -> Callable[[Tensor], Tensor]:
    """Smooths ``(B, C, *spatial)`` along all axes; sums of shifted images are faster here than a convolution."""
    reach = round(2.5 * sigma)
    values = [math.exp(-(offset**2) / (2 * sigma**2)) for offset in range(reach + 1)]
    total = values[0] + 2 * sum(values[1:])
    weights = [value / total for value in values]

    def smooth(image: Tensor) -> Tensor:
        for axis in range(2, image.ndim):
            size = image.shape[axis]
            ends = image.narrow(axis, 0, 1), image.narrow(axis, size - 1, 1)
            padded = torch.cat([ends[0]] * reach + [image] + [ends[1]] * reach, dim=axis)
            image = image * weights[0]
            for offset in range(1, reach + 1):
                for place in (reach - offset, reach + offset):
                    image.add_(padded.narrow(axis, place, size), alpha=weights[offset])
        return image

    return smooth


def unfolded(displacement: Tensor) -> Tensor | None:
    """A displacement ``(B, d, *spatial)`` smoothed around its folds until it has none; ``None`` if that fails."""
    for number in range(_ROUNDS):
        folded = _folded(displacement)
        if not bool(folded.any()):
            return displacement
        displacement = _smoothed(displacement, folded, number)
    return None


def unfolded_flows(flows: Callable[[Tensor], Tensor], velocity: Tensor) -> Tensor:
    """Displacements of a velocity and of its reverse, ``(2 * B, d, *finer)``.

    Where either folds the velocity is made smoother, so that both remain inverse to each other.

    Args:
        flows: Makes them of a velocity.
        velocity: ``(B, d, *spatial)``, voxels.
    """
    for number in range(_ROUNDS):
        ways = flows(velocity)
        folded = _folded(ways)
        if not bool(folded.any()):
            break
        there, back = folded.chunk(2)
        velocity = _smoothed(velocity, there | back, number)
    return ways


def _folded(displacement: Tensor) -> Tensor:
    """Cells ``(B, 1, *cells)`` that fold, those included in which the border is repeated outside the grid."""
    return folded_cells(F.pad(displacement, [1, 1] * (displacement.ndim - 2), mode="replicate"))


def _smoothed(field: Tensor, folded: Tensor, number: int) -> Tensor:
    """``(B, d, *spatial)``, smoother around the folded cells ``(B, 1, *cells)`` of a grid as fine or finer.

    The higher the ``number`` of the round, the wider.
    """
    width = _AROUND + _WIDER * number
    smooth = gaussian(_SIGMA)
    flat = field.ndim == 4
    pool, coarser = (F.max_pool2d, F.adaptive_max_pool2d) if flat else (F.max_pool3d, F.adaptive_max_pool3d)
    cells = coarser(folded.to(field), field.shape[2:])
    around = smooth(pool(cells, width, stride=1, padding=width // 2))
    return field + around * (smooth(field) - field)
