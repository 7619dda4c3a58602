"""A few steps of optimisation on the velocity that a network predicts; exchanging the images negates every step."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ..images.crop import PreparedPair
from ..similarity.forces import shared_noise, symmetric_force
from ..spatial.deformation import Mapping, both_directions, exponentiate, lengths, resize_displacement, warp
from ..spatial.filters import diffused, gaussian, gaussian_halved
from .plan import EQUAL, FEW_INTEGRATION_STEPS, FEW_STEPS, FEW_STEPS_DIFFUSION, LONGEST_FEW_STEP, STEP_SIGMA, WEAK_FORCE

Constrain = Callable[[Tensor], Tensor]
"""From a velocity ``(B, d, *coarser)`` to the one that the images follow."""


class SymmetricSteps:
    """Makes two batches of images more similar.

    The velocity has half the resolution of the images. The first steps compare the images at half, the last at full
    resolution, both warped half-way towards each other. The inverse deformation stays the flow of the negative
    velocity, so nothing has to be inverted.

    Args:
        pair: Prepared pairs in matched intensities.
        agree: Whether each pair is in one contrast; one value for all or one a pair. Others keep their velocity.

    Source:
        Avants et al., Symmetric diffeomorphic image registration with cross-correlation, MedIA 2008; Vercauteren et
        al., Symmetric log-domain diffeomorphic registration, MICCAI 2008.
    """

    def __init__(self, pair: PreparedPair, agree: tuple[bool, ...]) -> None:
        self._images, self._weights = torch.cat([pair.fixed, pair.moving]), _both_weights(pair)
        self._half = tuple(size // 2 for size in pair.fixed.shape[2:])
        differs = (pair.fixed - pair.moving).flatten(1).abs().amax(dim=1) > EQUAL
        takes_part = differs & torch.tensor(agree, device=differs.device)
        self._share = takes_part.to(pair.fixed).view(-1, *[1] * (pair.fixed.ndim - 1))

    def __call__(self, velocity: Tensor, constrain: Constrain, halfway: Mapping | None = None) -> Tensor:
        """The velocity after the steps.

        Args:
            velocity: ``(B, d, *coarser)``, voxels of its grid.
            constrain: Applied to every step.
            halfway: By which both images have been warped towards each other before; by default not at all.

        Returns:
            ``(B, d, *half)``, voxels of half the resolution of the images.
        """
        velocity = resize_displacement(velocity, self._half)
        if not bool(self._share.any()):
            return velocity
        images, weights = self._images, self._weights
        if halfway is not None:
            ways = torch.cat([halfway.inverse, halfway.forward])
            images, weights = warp(images, ways), None if weights is None else warp(weights, ways)
        half = F.interpolate(images, self._half, mode="area")
        half_weights = None if weights is None else F.interpolate(weights, self._half, mode="area")
        velocity = self._steps(velocity, constrain, half, half_weights, FEW_STEPS[0])
        return self._steps(velocity, constrain, images, weights, FEW_STEPS[1])

    def _steps(
        self, velocity: Tensor, constrain: Constrain, images: Tensor, weights: Tensor | None, count: int
    ) -> Tensor:
        noise, longest = shared_noise(*images.chunk(2)), torch.zeros_like(self._share)
        for _ in range(count):
            force = _force(images, weights, noise, velocity)
            longest = torch.maximum(longest, lengths(force).amax(dim=tuple(range(1, force.ndim)), keepdim=True))
            step = force * (self._share * LONGEST_FEW_STEP / longest.clamp_min(WEAK_FORCE))
            velocity = velocity + constrain(diffused(velocity + step, FEW_STEPS_DIFFUSION) - velocity)
        return velocity


def _force(images: Tensor, weights: Tensor | None, noise: Tensor, velocity: Tensor) -> Tensor:
    """Smoothed force on the velocity, on its grid."""
    shape = tuple(images.shape[2:])
    halfway = resize_displacement(exponentiate(both_directions(velocity, -0.5), FEW_INTEGRATION_STEPS), shape)
    weight = None
    if weights is not None:
        of_fixed, of_moving = warp(weights, halfway).chunk(2)
        weight = of_fixed * of_moving
    fixed, moving = warp(images, halfway).chunk(2)
    force = symmetric_force(fixed, moving, weight, noise)
    if shape == tuple(velocity.shape[2:]):
        return gaussian(force, STEP_SIGMA)
    return gaussian_halved(force, STEP_SIGMA, 1.0)


def _both_weights(pair: PreparedPair) -> Tensor | None:
    """Weights of the fixed images before those of the moving ones, ``(2 * B, 1, *spatial)``; ``None`` for 1."""
    of_fixed, of_moving = pair.weights
    if of_fixed is None and of_moving is None:
        return None
    ones = torch.ones_like(pair.fixed)
    return torch.cat([ones if weight is None else weight.expand_as(ones) for weight in (of_fixed, of_moving)])
