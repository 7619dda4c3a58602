"""Forces that register an image: derivatives of a similarity with respect to the intensity of each voxel."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ..spatial.filters import box_mean, slope, spread
from .losses import mind

Force = Callable[[Tensor, Tensor | None], Tensor]
"""Maps the warped image ``(1, 1, *spatial)`` and an optional weight to the derivative of the similarity with respect to
the intensity of each voxel, of the same shape. The scale depends on the similarity."""

_CORRELATION_WINDOW = 13  # Side of the window of the correlation, voxels of the level.
_FORCE_SPACING = 3  # Voxels between the centres of these windows along each axis.
_NOISE_FLOOR = 0.2  # Noise floor: 0.2 of the image's standard deviation, clamped to the next two values.
_MAX_NOISE_FLOOR = 0.05  # A higher floor would suppress faint structures.
_MIN_NOISE_FLOOR = 1e-4  # Avoids a division by zero in a constant window.
_PHOTOMETRIC_WEIGHT = 30.0  # Weight of the squared difference relative to the squared correlation.
_DEMONS_PHOTOMETRIC_WEIGHT = 10.0  # Weight of the squared difference of intensities in the demons of a network.
_DEMONS_NORMALISED_WEIGHT = 0.25  # Weight of the squared difference of normalised intensities there.
_DEMONS_WINDOW = 5  # Side of the window in which an image is normalised there, voxels at half the resolution.
_NORMALISATION_NOISE = 0.02  # Standard deviation that is added to that of a window before normalisation.


class SameContrast:
    """Squared local correlation minus squared difference of the intensities, for images of the same contrast.

    The correlation responds to edges of any contrast; two constant windows count as correlated. The difference
    separates homogeneous organs that are larger than the window. The analytic derivative takes a third of the time of
    automatic differentiation. Windows stand at every third voxel along each axis and still overlap; a window at every
    voxel takes four times as long and gains nothing.

    Args:
        fixed: ``(1, 1, *spatial)``, about 0..1.

    Source:
        Avants et al., Symmetric diffeomorphic image registration with cross-correlation, MedIA 2008.
    """

    def __init__(self, fixed: Tensor) -> None:
        self._fixed = fixed - fixed.mean()
        self._offset, self._noise = fixed.mean(), _noise(fixed)

    def __call__(self, warped: Tensor, weight: Tensor | None) -> Tensor:
        force, _ = _correlation_forces(warped - self._offset, self._fixed, weight, self._noise)
        return force


def symmetric_force(fixed: Tensor, moving: Tensor, weight: Tensor | None, noise: Tensor) -> Tensor:
    """Force of ``SameContrast`` on the displacement from fixed to moving, ``(B, d, *spatial)``.

    Exchanging the images negates it.

    Args:
        fixed: ``(B, 1, *spatial)``, about 0..1, warped half-way towards the moving image.
        moving: Likewise.
        weight: ``(B, 1, *spatial)``, or ``None`` for 1 everywhere.
        noise: As ``shared_noise`` gives it.
    """
    middle = (fixed.mean(dim=_spatial(fixed), keepdim=True) + moving.mean(dim=_spatial(moving), keepdim=True)) / 2
    on_moving, on_fixed = _correlation_forces(moving - middle, fixed - middle, weight, noise)
    axes = range(2, fixed.ndim)
    slopes = (torch.cat([slope(image, axis) for axis in axes], dim=1) for image in (moving, fixed))
    return on_moving * next(slopes) - on_fixed * next(slopes)


def shared_noise(fixed: Tensor, moving: Tensor) -> Tensor:
    """Mean noise variance of both images of every pair, ``(B, 1, 1, ..)``; see ``symmetric_force``."""
    return (_noise(fixed) + _noise(moving)) / 2


def _noise(images: Tensor) -> Tensor:
    """Variance that is added to that of a window, ``(B, 1, 1, ..)``."""
    deviation = images.std(dim=_spatial(images), keepdim=True)
    return (_NOISE_FLOOR * deviation).clamp(_MIN_NOISE_FLOOR, _MAX_NOISE_FLOOR).square()


def _spatial(images: Tensor) -> tuple[int, ...]:
    return tuple(range(1, images.ndim))


def _correlation_forces(first: Tensor, second: Tensor, weight: Tensor | None, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Derivatives of the similarity with respect to both images ``(B, 1, *spatial)``, whose mean is about 0."""
    every = torch.cat([first, second, first.square(), second.square(), first * second], dim=1)
    moments = box_mean(every, _CORRELATION_WINDOW, _FORCE_SPACING)
    mean_first, mean_second, square_first, square_second, product = moments.split(1, dim=1)
    variance_first = (square_first - mean_first.square()).clamp_min(0) + noise
    variance_second = (square_second - mean_second.square()).clamp_min(0) + noise
    covariance = product - mean_first * mean_second + noise
    pull = covariance / (variance_first * variance_second)
    if weight is not None:
        pull = pull * weight[(slice(None), slice(None), *[slice(None, None, _FORCE_SPACING)] * (weight.ndim - 2))]
    turn_first, turn_second = (pull * covariance / variance for variance in (variance_first, variance_second))
    rest_first, rest_second = (
        turn_first * mean_first - pull * mean_second,
        turn_second * mean_second - pull * mean_first,
    )
    terms = torch.cat([pull, turn_first, turn_second, rest_first, rest_second], dim=1)
    around = spread(terms, tuple(first.shape[2:]), _CORRELATION_WINDOW, _FORCE_SPACING)
    pull, turn_first, turn_second, rest_first, rest_second = around.split(1, dim=1)
    photometric = _PHOTOMETRIC_WEIGHT * ((second - first) if weight is None else (second - first) * weight)
    on_first = second * pull - first * turn_first + rest_first + photometric
    on_second = first * pull - second * turn_second + rest_second - photometric
    return 2 * on_first, 2 * on_second


class AnyContrast:
    """Negative squared difference of MIND descriptors, for images of different contrast; see ``losses.mind``.

    Args:
        fixed: ``(1, 1, *spatial)``, about 0..1.
    """

    def __init__(self, fixed: Tensor) -> None:
        self._fixed = fixed

    def __call__(self, warped: Tensor, weight: Tensor | None) -> Tensor:
        with torch.enable_grad():
            image = warped.detach().requires_grad_()
            loss = mind(image, self._fixed, weight, radius=1, dilation=1)
        (slope,) = torch.autograd.grad(loss, image)
        return -slope * image.numel()


def contrasts(images: Tensor) -> Tensor:
    """The images and their locally normalised versions, weighted, for demons on squared differences.

    Args:
        images: ``(B, 1, *spatial)``, about 0..1.

    Returns:
        ``(B, 2, *spatial)``.
    """
    normal = normalised(images, _DEMONS_WINDOW)
    return torch.cat(
        [images * math.sqrt(_DEMONS_PHOTOMETRIC_WEIGHT), normal * math.sqrt(_DEMONS_NORMALISED_WEIGHT)], dim=1
    )


def normalised(images: Tensor, window: int) -> Tensor:
    """Local z-score: faint and strong edges get similar values.

    Args:
        images: ``(B, 1, *spatial)``, about 0..1.
        window: Side of the window, voxels, odd.
    """
    mean, square = box_mean(torch.cat([images, images.square()], dim=1), window).split(1, dim=1)
    return (images - mean) * torch.rsqrt((square - mean.square()).clamp_min(0) + _NORMALISATION_NOISE**2)


def mutual_force(halfway: Tensor) -> Tensor:
    """Force of symmetric demons on the displacement from fixed to moving, ``(B, d, *spatial)``.

    Exchanging the images negates it.

    Args:
        halfway: ``(2 * B, C, *spatial)``, fixed images before moving images, warped half-way towards each other.

    Source:
        Vercauteren et al., Symmetric log-domain diffeomorphic registration, MICCAI 2008.
    """
    fixed, moving = halfway.chunk(2)
    total, difference = fixed + moving, fixed - moving
    slopes = torch.stack([slope(total, axis) for axis in range(2, total.ndim)], dim=1)
    return (slopes * difference[:, None]).sum(dim=2)
