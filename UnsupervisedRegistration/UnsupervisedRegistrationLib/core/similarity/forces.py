"""Forces that register an image: derivatives of a similarity with respect to the intensity of each voxel."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ..spatial.filters import box_mean, slope
from .losses import mind

Force = Callable[[Tensor, Tensor | None], Tensor]
"""Maps the warped image ``(1, 1, *spatial)`` and an optional weight to the derivative of the similarity with respect to
the intensity of each voxel, of the same shape. The scale depends on the similarity."""

_CORRELATION_WINDOW = 13  # Side of the window of the correlation, voxels of the level.
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
    automatic differentiation.

    Args:
        fixed: ``(1, 1, *spatial)``, about 0..1.

    Source:
        Avants et al., Symmetric diffeomorphic image registration with cross-correlation, MedIA 2008.
    """

    def __init__(self, fixed: Tensor) -> None:
        self._offset = fixed.mean()
        self._fixed = fixed - self._offset
        self._mean, square = box_mean(torch.cat([self._fixed, self._fixed.square()], dim=1), _CORRELATION_WINDOW).split(
            1, dim=1
        )
        self._noise = (_NOISE_FLOOR * fixed.std()).clamp(_MIN_NOISE_FLOOR, _MAX_NOISE_FLOOR).square()
        self._variance = (square - self._mean.square()).clamp_min(0) + self._noise

    def __call__(self, warped: Tensor, weight: Tensor | None) -> Tensor:
        warped = warped - self._offset
        moments = box_mean(torch.cat([warped, warped.square(), warped * self._fixed], dim=1), _CORRELATION_WINDOW)
        mean, square, product = moments.split(1, dim=1)
        variance = (square - mean.square()).clamp_min(0) + self._noise
        # Slope of the regression of the fixed on the warped image.
        slope = (product - mean * self._mean + self._noise) / variance
        pull = slope / self._variance if weight is None else weight * slope / self._variance
        turn = pull * slope
        around = box_mean(torch.cat([pull, pull * self._mean, turn, turn * mean], dim=1), _CORRELATION_WINDOW)
        difference = self._fixed - warped
        if weight is not None:
            difference = difference * weight
        force = self._fixed * around[:, :1] - around[:, 1:2] - warped * around[:, 2:3] + around[:, 3:]
        return 2 * force + 2 * _PHOTOMETRIC_WEIGHT * difference


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
