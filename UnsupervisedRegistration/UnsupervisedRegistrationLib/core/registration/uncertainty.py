"""How far the displacement may be off, voxel by voxel.

The networks are inverse consistent by construction, or by the inversion of their displacement, so inverse consistency
says nothing about the error. What correlates with it is whether the network agrees with itself: on the mirrored pair,
and when it sees what it has warped.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ..images.crop import PreparedPair
from ..models.model_file import Model
from ..similarity.losses import local_correlation
from ..spatial.deformation import lengths, warp
from ..spatial.filters import box_mean
from ..spatial.grid import ImageGrid
from .plan import ERROR_WEIGHTS, FEATURE_WINDOW, FLOOR_MM, HALF_TRUST_MM, Plan
from .prediction import predict_images


def trust_from_error(expected_error: Tensor) -> Tensor:
    """Trust for expected errors in mm: 1 for none, 1/2 for 2 mm, towards 0."""
    return 1 / (1 + expected_error / HALF_TRUST_MM)


def expected_error(pair: PreparedPair, model: Model, plan: Plan, displacement: Tensor, grid: ImageGrid) -> Tensor:
    """Expected error of a displacement, ``(B, 1, *box)`` mm.

    Args:
        pair: Prepared for the model, in matched intensities.
        model: What predicted it.
        plan: Of the registration.
        displacement: ``(B, d, *box)`` working voxels.
        grid: The images came on.
    """
    features = uncertainty_features(pair, model, plan, displacement, grid)
    weights = torch.tensor(ERROR_WEIGHTS, device=features.device)
    logarithm = weights[0] + (features * weights[1:].view(1, -1, *[1] * (features.ndim - 2))).sum(dim=1, keepdim=True)
    return logarithm.exp()


def uncertainty_features(pair: PreparedPair, model: Model, plan: Plan, displacement: Tensor, grid: ImageGrid) -> Tensor:
    """What correlates with the logarithm of the error, ``(B, 4, *box)``; see ``expected_error`` for the arguments.

    In this order: logarithm of the distance in mm from the prediction for the mirrored pair; of what the network would
    still add; one minus the local correlation; flatness of the fixed image. The last two are 0..1.
    """
    batch = len(pair.fixed)
    warped = warp(pair.moving, displacement)
    fixed = torch.cat([pair.fixed.flip(-1), pair.fixed])
    passes = replace(plan, second_pass=plan.half_resolution_first)
    forward = predict_images(model.network, fixed, torch.cat([pair.moving.flip(-1), warped]), passes).forward
    mirrored, further = forward[:batch].flip(-1), forward[batch:]
    mirrored = torch.cat([mirrored[:, :-1], -mirrored[:, -1:]], dim=1)
    spacing = torch.tensor(pair.spacing(grid), device=fixed.device).view(1, -1, *[1] * (fixed.ndim - 2))
    distances = [(lengths(way * spacing) + FLOOR_MM).log() for way in (mirrored - displacement, further)]
    mismatch = 1 - local_correlation(warped, pair.fixed, FEATURE_WINDOW)
    mean, square = box_mean(torch.cat([pair.fixed, pair.fixed.square()], dim=1), FEATURE_WINDOW).split(1, dim=1)
    flatness = torch.exp(-(square - mean.square()).clamp_min(0).sqrt() / 0.05)
    return box_mean(torch.cat([*distances, mismatch, flatness], dim=1), FEATURE_WINDOW)
