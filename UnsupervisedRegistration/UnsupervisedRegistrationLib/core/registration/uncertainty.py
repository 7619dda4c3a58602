"""How far the outcome may be off, voxel by voxel.

The networks here are inverse consistent by construction or by the inversion of their outcome, so going forward and
back tells nothing. What tells is whether the network agrees with itself: on the mirrored pair, and when it sees what
it has warped.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..images.crop import PreparedPair
from ..models.model_file import Model
from ..similarity.losses import local_correlation
from ..spatial.deformation import lengths, warp
from ..spatial.filters import box_mean
from ..spatial.grid import ImageGrid
from .prediction import Deformation, estimate

_HALF_MM = 2.0  # An expected error that halves the trust.
_WINDOW = 9  # Voxels over which the signs are averaged.
_FLOOR_MM = 0.05
# Constant and factors of the signs, fitted by `python -m training calibrate` with the model any-contrast.
_WEIGHTS = (-0.092, 0.237, 0.429, 1.014, -0.262)


def trust_from_error(expected_error: Tensor) -> Tensor:
    """Expected errors in mm as trust: 1 for none, 1/2 for 2 mm, towards 0."""
    return 1 / (1 + expected_error / _HALF_MM)


def expected_error(pair: PreparedPair, model: Model, outcome: Deformation, grid: ImageGrid) -> Tensor:
    """Error of the displacement that the signs of doubt let expect, ``(B, 1, *box)`` mm."""
    signs = uncertainty_features(pair, model, outcome, grid)
    weights = torch.tensor(_WEIGHTS, device=signs.device)
    logarithm = weights[0] + (signs * weights[1:].view(1, -1, *[1] * (signs.ndim - 2))).sum(dim=1, keepdim=True)
    return logarithm.exp()


def uncertainty_features(pair: PreparedPair, model: Model, outcome: Deformation, grid: ImageGrid) -> Tensor:
    """What goes along with the logarithm of the error, ``(B, 4, *box)``.

    In this order: logarithm of the distance in mm from what the network finds for the mirrored pair; of what it would
    still add to the outcome; one minus the local correlation; flatness of the fixed image. The last two are 0..1.
    """
    batch = len(pair.fixed)
    warped = warp(pair.moving, outcome[0])
    fixed = torch.cat([pair.fixed.flip(-1), pair.fixed])
    forward, _ = estimate(model.network, fixed, torch.cat([pair.moving.flip(-1), warped]))
    mirrored, further = forward[:batch].flip(-1), forward[batch:]
    mirrored = torch.cat([mirrored[:, :-1], -mirrored[:, -1:]], dim=1)
    spacing = torch.tensor(pair.spacing(grid), device=fixed.device).view(1, -1, *[1] * (fixed.ndim - 2))
    doubts = [(lengths(way * spacing) + _FLOOR_MM).log() for way in (mirrored - outcome[0], further)]
    mismatch = 1 - local_correlation(warped, pair.fixed, _WINDOW)
    mean, square = box_mean(torch.cat([pair.fixed, pair.fixed.square()], dim=1), _WINDOW).split(1, dim=1)
    flatness = torch.exp(-(square - mean.square()).clamp_min(0).sqrt() / 0.05)
    return box_mean(torch.cat([*doubts, mismatch, flatness], dim=1), _WINDOW)
