"""What a network predicts for a prepared pair: the deformation and its inverse."""

from __future__ import annotations

import itertools
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ..images.crop import PreparedPair
from ..models.model_file import Model
from ..networks.network import Network
from ..similarity.intensity_mapping import IntensityMapping
from ..spatial.deformation import Mapping, compose, invert, resize_displacement, warp
from ..spatial.filters import gaussian
from ..spatial.folding import repair_folds, repair_folds_of_both
from ..spatial.grid import ImageGrid
from .plan import DISAGREEMENT_SIGMA, DISAGREEMENT_WEIGHT, MASK_FADE_MM, MAX_UNEXPLAINED, Plan, half_resolution
from .symmetric_steps import Constrain, SymmetricSteps


def match_intensities(pair: PreparedPair, model: Model, plan: Plan) -> tuple[PreparedPair, tuple[bool, ...]]:
    """Pairs in matched intensities.

    Returns:
        The pairs; where the plan says so, one image has the contrast of the other, as far as a first pass can tell.
        And for every pair whether its images are in one contrast then.
    """
    fixed, moving = list(pair.fixed.split(1)), list(pair.moving.split(1))
    agree = [not differs for differs in plan.match_intensities]
    with torch.inference_mode():
        for number, differs in enumerate(plan.match_intensities):
            one = _matched(model.network, fixed[number], moving[number], plan) if differs else None
            if one is not None:
                fixed[number], moving[number] = (image.clone() for image in one)
                agree[number] = True
    return replace(pair, fixed=torch.cat(fixed), moving=torch.cat(moving)), tuple(agree)


def _matched(network: Network, fixed: Tensor, moving: Tensor, plan: Plan) -> tuple[Tensor, Tensor] | None:
    """Both images, one in the contrast of the other; ``None`` if they cannot be matched."""
    first, second = (_first_pass_image(network, image, plan) for image in (fixed, moving))
    velocity = network(*IntensityMapping(first, second).match(first, second))[-1]
    there, back = _flow(network, velocity / 2, tuple(first.shape[2:]))
    mapping = IntensityMapping(warp(first, back), warp(second, there))
    return mapping.match(fixed, moving) if mapping.left < MAX_UNEXPLAINED else None


def predict(
    pair: PreparedPair, model: Model, plan: Plan, grid: ImageGrid, agree: tuple[bool, ...] = (True,)
) -> Mapping:
    """The displacements that the network predicts, ``(B, d, *box)`` working voxels.

    Args:
        pair: Prepared for the model, in matched intensities, on the device to use.
        model: What predicts.
        plan: Which passes.
        grid: The images came on.
        agree: Whether each pair is in one contrast; others take no steps of optimisation.
    """
    weight = None if pair.region is None else fade(pair.region, MASK_FADE_MM / min(pair.spacing(grid)))

    def constrain(velocity: Tensor) -> Tensor:
        faded = velocity if weight is None else velocity * F.interpolate(weight, velocity.shape[2:])
        return pair.extrapolate_margin(faded)

    with torch.inference_mode():
        steps = SymmetricSteps(pair, agree) if plan.few_steps else None
        mapping = predict_images(model.network, pair.fixed, pair.moving, plan, constrain, steps)
    return Mapping(*(way.clone() for way in mapping))  # What is made in that mode takes part in no gradient.


def predict_images(
    network: Network,
    fixed: Tensor,
    moving: Tensor,
    plan: Plan,
    constrain: Constrain = lambda velocity: velocity,
    steps: SymmetricSteps | None = None,
) -> Mapping:
    """As ``predict``, for images ``(B, 1, *spatial)``, 0..1; ``steps`` follow the last pass of the network."""
    shape = tuple(fixed.shape[2:])
    if not network.configuration.integration_steps:
        forward = network.displacement(constrain(network(fixed, moving)[-1]), shape)
        return Mapping(forward, invert(forward))
    velocity_of = _flip_ensemble if plan.flip_ensemble else _single_pass
    velocity = constrain(velocity_of(network, *(_first_pass_image(network, i, plan) for i in (fixed, moving))))
    if not plan.second_pass:
        return _flow(network, velocity if steps is None else steps(velocity, constrain), shape)
    halfway = _flow(network, velocity / 2, shape)
    rest = constrain(velocity_of(network, warp(fixed, halfway.inverse), warp(moving, halfway.forward)))
    return _joined(network, halfway, velocity, rest if steps is None else steps(rest, constrain, halfway))


def _joined(network: Network, halfway: Mapping, velocity: Tensor, rest: Tensor) -> Mapping:
    """Half of the first pass, the second pass, and the other half; so swapped images still give the inverse."""
    there, back = halfway
    onward, backward = _flow(network, rest, tuple(there.shape[2:]))
    both = torch.cat([compose(there, compose(onward, there)), compose(back, compose(backward, back))])
    repaired = repair_folds(both)  # A composition may fold between the voxels of its parts.
    if repaired is None:
        return _flow(network, velocity, tuple(there.shape[2:]))
    return Mapping(*repaired.chunk(2))


def _single_pass(network: Network, fixed: Tensor, moving: Tensor) -> Tensor:
    return network(fixed, moving)[-1]


def _flip_ensemble(network: Network, fixed: Tensor, moving: Tensor) -> Tensor:
    """Mean velocity of all mirror images, shorter the less these agree.

    Where a network sees little that corresponds it guesses, differently for every mirror image.

    Source:
        James and Stein, Estimation with quadratic loss, Berkeley Symposium 1961.
    """
    every = _flipped_velocities(network, fixed, moving)
    mean = every.mean(dim=0)
    variance, square = (
        gaussian(values.sum(dim=1, keepdim=True), DISAGREEMENT_SIGMA) for values in (every.var(dim=0), mean.square())
    )
    return mean * (1 - DISAGREEMENT_WEIGHT * variance / square.clamp_min(1e-12)).clamp_min(0)


def _flipped_velocities(network: Network, fixed: Tensor, moving: Tensor) -> Tensor:
    """Velocities for the pair and all its mirror images, mirrored back: ``(2**d, B, d, *coarser)``."""
    axes, found = tuple(range(2, fixed.ndim)), []
    for signs in itertools.product((1.0, -1.0), repeat=len(axes)):
        mirrored = [axis for axis, sign in zip(axes, signs, strict=True) if sign < 0]
        velocity = network(fixed.flip(mirrored), moving.flip(mirrored))[-1].flip(mirrored)
        found.append(velocity * velocity.new_tensor(signs).view(-1, *[1] * len(axes)))
    return torch.stack(found)


def _first_pass_image(network: Network, image: Tensor, plan: Plan) -> Tensor:
    return half_resolution(image, network.multiple) if plan.half_resolution_first else image


def _flow(network: Network, velocity: Tensor, shape: tuple[int, ...]) -> Mapping:
    return Mapping(*resize_displacement(repair_folds_of_both(network.flows(velocity)), shape).chunk(2))


def fade(mask: Tensor, distance: float) -> Tensor:
    """1 inside the mask, falling to 0 at ``distance`` voxels outside it.

    Args:
        mask: ``(B, 1, *spatial)``; above 0 is inside.
        distance: Voxels, at least 1.
    """
    pool = F.max_pool2d if mask.ndim == 4 else F.max_pool3d
    rings = max(round(distance), 1)
    grown = (mask > 0).to(mask)
    total = grown
    for ring in range(1, rings):
        wider = pool(grown, 3, stride=1, padding=1)
        if torch.equal(wider, grown):  # Full or empty; small voxels would take thousands of rings.
            return (total + (rings - ring) * grown) / rings
        grown = wider
        total = total + grown
    return total / rings
