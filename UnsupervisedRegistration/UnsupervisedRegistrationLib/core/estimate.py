"""What the network finds for a prepared pair: both displacements."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .deformation import compose, invert, resize_displacement, warp
from .grid import ImageGrid
from .mending import unfolded, unfolded_flows
from .model import Model
from .network import Network
from .preprocessing import PreparedPair

Deformation = tuple[Tensor, Tensor]
"""Displacements from fixed to moving and back, ``(B, d, *spatial)`` voxels each."""

_LARGE = 320  # Voxels on the longest side; networks learn on 160 to 256.
_FADE_MM = 20.0  # Outside the mask the deformation fades out over about this distance.


def align(pair: PreparedPair, model: Model, grid: ImageGrid, twice: bool = False) -> Deformation:
    """The network alone: displacements from fixed to moving and back, ``(B, d, *box)`` working voxels.

    Args:
        pair: Prepared for the model, on the device to use.
        model: What to use.
        grid: The images came on.
        twice: Whether the network sees the images once more, warped half-way towards each other; see ``estimate``.
    """
    network = model.network
    if next(network.parameters()).device != pair.fixed.device:  # Moving it where it is already takes milliseconds.
        network.to(pair.fixed.device)
    weight = fade(pair.region, _FADE_MM / min(pair.spacing(grid))) if pair.region is not None else None
    with torch.inference_mode():
        ways = estimate(network, pair.fixed, pair.moving, model.configuration.passes, weight, twice)
    forward, backward = (way.clone() for way in ways)  # What is made in that mode takes part in no gradient.
    return forward, backward


def estimate(
    network: Network,
    fixed: Tensor,
    moving: Tensor,
    passes: int = 1,
    weight: Tensor | None = None,
    twice: bool = False,
) -> Deformation:
    """Displacements from fixed to moving and back, from one or several passes of the network.

    Args:
        network: What to run.
        fixed: ``(B, 1, *spatial)``, 0..1.
        moving: Like ``fixed``.
        passes: After the first, the network sees the moving image as warped so far.
        weight: ``(1 or B, 1, *spatial)``, factor of the velocity, or ``None``.
        twice: Whether every pass looks again half-way between both images, which finds more and is rougher. Large
            images are always looked at twice, the first time at half their size: a network reaches as many voxels as
            it had to while it learned, and a large image moves by more.
    """
    forward, backward = _pass(network, fixed, moving, weight, twice)
    for _ in range(passes - 1):
        step, back = _pass(network, fixed, warp(moving, forward), weight, twice)
        forward, backward = compose(forward, step), compose(back, backward)
    return forward, backward


def _pass(network: Network, fixed: Tensor, moving: Tensor, weight: Tensor | None, twice: bool) -> Deformation:
    shape = tuple(fixed.shape[2:])
    if not network.configuration.integration_steps:
        forward = network.displacement(_velocity(network, fixed, moving, weight), shape)
        return forward, invert(forward)
    large = max(shape) > _LARGE
    if not (large or twice):
        return _flows(network, _velocity(network, fixed, moving, weight), shape)
    half = tuple(-(-size // (2 * network.multiple)) * network.multiple for size in shape)
    seen = [F.interpolate(image, half, mode="area") if large else image for image in (fixed, moving)]
    return _onward(network, fixed, moving, weight, _velocity(network, seen[0], seen[1], weight))


def _onward(network: Network, fixed: Tensor, moving: Tensor, weight: Tensor | None, velocity: Tensor) -> Deformation:
    """What a first velocity leaves is found between both images, warped by it half-way towards each other.

    Half-way, the inverse and the outcome of the swapped pair stay each other's.
    """
    shape = tuple(fixed.shape[2:])
    there, back = _flows(network, velocity / 2, shape)
    rest = _velocity(network, warp(fixed, back), warp(moving, there), weight)
    onward, backward = _flows(network, rest, shape)
    ways = torch.cat([compose(there, compose(onward, there)), compose(back, compose(backward, back))])
    mended = unfolded(ways)  # A composition may have folds between the voxels of its parts.
    forward, backward = _flows(network, velocity, shape) if mended is None else mended.chunk(2)
    return forward, backward


def _velocity(network: Network, fixed: Tensor, moving: Tensor, weight: Tensor | None) -> Tensor:
    velocity = network(fixed, moving)[-1]
    return velocity if weight is None else velocity * F.interpolate(weight, velocity.shape[2:])


def _flows(network: Network, velocity: Tensor, shape: tuple[int, ...]) -> Deformation:
    forward, backward = resize_displacement(unfolded_flows(network.flows, velocity), shape).chunk(2)
    return forward, backward


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
    for _ in range(rings - 1):
        grown = pool(grown, 3, stride=1, padding=1)
        total = total + grown
    return total / rings
