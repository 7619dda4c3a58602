"""What the network finds for a prepared pair: both displacements."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ..images.crop import PreparedPair
from ..models.model_file import Model
from ..networks.network import Network
from ..similarity.intensity_mapping import IntensityMapping, contrast_differs, is_sparse_binary, unexplained_variance
from ..spatial.deformation import compose, invert, resize_displacement, warp
from ..spatial.filters import gaussian
from ..spatial.folding import repair_folds, repair_folds_of_both
from ..spatial.grid import ImageGrid

Deformation = tuple[Tensor, Tensor]
"""Displacements from fixed to moving and back, ``(B, d, *spatial)`` voxels each."""

Shaping = Callable[[Tensor], Tensor]
"""What becomes of a velocity ``(B, d, *coarser)`` before the images follow it."""

_Look = Callable[[Network, Tensor, Tensor], Tensor]
"""From the pair to the velocity that the network finds."""

_LARGE = 320  # Voxels on the longest side; networks learn on 160 to 256.
_UNRELATED = (
    0.35  # Share of the variance of an image; of images that leave more unexplained_variance one look is not enough.
)
_ALONG = 2  # Voxels of the velocity by which images are rolled; half a voxel at 1/16 of the resolution.
_DOUBT = 2.5  # How often the variance between the looks counts; more than once, for what misleads all of them alike.
_AROUND = 6.0  # Voxels of the velocity; standard deviation of the Gaussian over which they are compared.
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
    weight = None if pair.region is None else fade(pair.region, _FADE_MM / min(pair.spacing(grid)))

    def shaped(velocity: Tensor) -> Tensor:
        return pair.extrapolate_margin(
            velocity if weight is None else velocity * F.interpolate(weight, velocity.shape[2:])
        )

    with torch.inference_mode():
        ways = estimate(network, pair.fixed, pair.moving, model.configuration.passes, shaped, twice)
    forward, backward = (way.clone() for way in ways)  # What is made in that mode takes part in no gradient.
    return forward, backward


def estimate(
    network: Network,
    fixed: Tensor,
    moving: Tensor,
    passes: int = 1,
    shaped: Shaping | None = None,
    twice: bool = False,
) -> Deformation:
    """Displacements from fixed to moving and back, from one or several passes of the network.

    A network that gives velocities sees pairs of different contrast in one contrast.

    Args:
        network: What to run.
        fixed: ``(B, 1, *spatial)``, 0..1.
        moving: Like ``fixed``.
        passes: After the first, the network sees the moving image as warped so far.
        shaped: Applied to every velocity that the network finds.
        twice: Whether every pass looks again half-way between both images, which finds more and is rougher; of
            specks it would guess more, and a mean of looks from all sides, some shifted, is taken instead. Large images
            are always looked at twice, the first time at half their size: a network reaches as many voxels as it had to
            while it learned, and a large image moves by more. Where they tell little of each other, as sections in
            different stains, each look is from all sides.
    """
    shaped = shaped or (lambda velocity: velocity)
    if network.configuration.integration_steps:
        fixed, moving = _in_one_contrast(network, fixed, moving)
    forward, backward = _pass(network, fixed, moving, shaped, twice)
    for _ in range(passes - 1):
        step, back = _pass(network, fixed, warp(moving, forward), shaped, twice)
        forward, backward = compose(forward, step), compose(back, backward)
    return forward, backward


def _in_one_contrast(network: Network, fixed: Tensor, moving: Tensor) -> tuple[Tensor, Tensor]:
    """The pairs; of those whose contrasts differ one image has the greys of the other, as far as a first look tells."""
    both = list(fixed.split(1)), list(moving.split(1))
    for number, pair in enumerate(zip(*both, strict=True)):
        if contrast_differs(*pair):
            first, second = (_first_seen(network, image) for image in pair)
            velocity = network(*IntensityMapping(first, second).match(first, second))[-1]
            there, back = _flows(network, velocity / 2, tuple(first.shape[2:]))
            greys = IntensityMapping(warp(first, back), warp(second, there))
            if greys.informative:
                both[0][number], both[1][number] = greys.match(*pair)
    return torch.cat(both[0]), torch.cat(both[1])


def _pass(network: Network, fixed: Tensor, moving: Tensor, shaped: Shaping, twice: bool) -> Deformation:
    shape = tuple(fixed.shape[2:])
    if not network.configuration.integration_steps:
        forward = network.displacement(shaped(network(fixed, moving)[-1]), shape)
        return forward, invert(forward)
    large = max(shape) > _LARGE
    specks = twice and not large and (is_sparse_binary(fixed) or is_sparse_binary(moving))
    look = _look_with_care if large else _mean_look if specks else _look
    velocity = shaped(look(network, _first_seen(network, fixed), _first_seen(network, moving)))
    if large or (twice and not specks):
        return _onward(network, fixed, moving, look, shaped, velocity)
    return _flows(network, velocity, shape)


def _look(network: Network, fixed: Tensor, moving: Tensor) -> Tensor:
    return network(fixed, moving)[-1]


def _look_with_care(network: Network, fixed: Tensor, moving: Tensor) -> Tensor:
    look = _careful_look if unexplained_variance(fixed, moving) > _UNRELATED else _look
    return look(network, fixed, moving)


def _mean_look(network: Network, fixed: Tensor, moving: Tensor) -> Tensor:
    """Mean velocity from all sides, of the images as they lie and rolled against the grids of the coarser levels.

    Source:
        Coifman and Donoho, Translation-invariant de-noising, 1995: shifts that are circular, averaged.
    """
    straight = _from_all_sides(network, fixed, moving)
    axes, cells = tuple(range(2, fixed.ndim)), straight.shape[3:]
    shifts = [_ALONG * size // cell for size, cell in zip(fixed.shape[2:], cells, strict=True)]
    along = _from_all_sides(network, *(image.roll(shifts, axes) for image in (fixed, moving)))
    back = along.roll([-_ALONG] * len(axes), [axis + 1 for axis in axes])
    return torch.cat([straight, back]).mean(dim=0)


def _careful_look(network: Network, fixed: Tensor, moving: Tensor) -> Tensor:
    """Mean velocity from all sides, shorter the less these agree.

    Where it sees little that corresponds a network guesses, differently from every side.

    Source:
        James and Stein, Estimation with quadratic loss, Berkeley Symposium 1961.
    """
    every = _from_all_sides(network, fixed, moving)
    mean = every.mean(dim=0)
    variance, square = (
        gaussian(values.sum(dim=1, keepdim=True), _AROUND) for values in (every.var(dim=0), mean.square())
    )
    return mean * (1 - _DOUBT * variance / square.clamp_min(1e-12)).clamp_min(0)


def _from_all_sides(network: Network, fixed: Tensor, moving: Tensor) -> Tensor:
    """Velocities that the network finds for the pair and all its mirror images, ``(2**d, B, d, *coarser)``."""
    axes, found = tuple(range(2, fixed.ndim)), []
    for signs in itertools.product((1.0, -1.0), repeat=len(axes)):
        mirrored = [axis for axis, sign in zip(axes, signs, strict=True) if sign < 0]
        velocity = network(fixed.flip(mirrored), moving.flip(mirrored))[-1].flip(mirrored)
        found.append(velocity * velocity.new_tensor(signs).view(-1, *[1] * len(axes)))
    return torch.stack(found)


def _first_seen(network: Network, image: Tensor) -> Tensor:
    """A large image at half its size, any other as it is."""
    if max(image.shape[2:]) <= _LARGE:
        return image
    half = tuple(-(-size // (2 * network.multiple)) * network.multiple for size in image.shape[2:])
    return F.interpolate(image, half, mode="area")


def _onward(
    network: Network, fixed: Tensor, moving: Tensor, look: _Look, shaped: Shaping, velocity: Tensor
) -> Deformation:
    """What a first velocity leaves is found between both images, warped by it half-way towards each other.

    Half-way, the inverse and the outcome of the swapped pair stay each other's.
    """
    shape = tuple(fixed.shape[2:])
    there, back = _flows(network, velocity / 2, shape)
    rest = shaped(look(network, warp(fixed, back), warp(moving, there)))
    onward, backward = _flows(network, rest, shape)
    ways = torch.cat([compose(there, compose(onward, there)), compose(back, compose(backward, back))])
    mended = repair_folds(ways)  # A composition may have folds between the voxels of its parts.
    forward, backward = _flows(network, velocity, shape) if mended is None else mended.chunk(2)
    return forward, backward


def _flows(network: Network, velocity: Tensor, shape: tuple[int, ...]) -> Deformation:
    forward, backward = resize_displacement(repair_folds_of_both(network.flows(velocity)), shape).chunk(2)
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
