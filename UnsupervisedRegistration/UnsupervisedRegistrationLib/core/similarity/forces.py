"""What pulls the moving image onto the fixed one: derivatives of a similarity, voxel by voxel."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ..spatial.filters import box_mean, slope
from .losses import mind

Force = Callable[[Tensor, Tensor | None], Tensor]
"""From the warped image ``(1, 1, *spatial)`` and an optional weight to the derivative of the similarity with respect to
the intensity of each voxel, of the same shape and of a scale of its own."""

_WINDOW = 13  # Side of the window of the correlation, voxels of the level.
_NOISE = 0.2  # Standard deviation of what both images share in every window, as a share of that of the fixed image,
_NOISIEST = 0.05  # but not above this, so that noise alone does not pull and faint structures do,
_LEAST = 1e-4  # nor below this, so that no window is quite flat.
_PHOTOMETRIC = 30.0  # Of the squared difference of two voxels beside their squared correlation,
_CLOSING = 10.0  # and beside the squared difference of two normalised voxels when a network closes.
_SMALL_WINDOW = 5  # Side of the window in which an image is normalised, voxels at half the resolution.
_FLAT = 0.02  # Standard deviation of noise there.
_NORMAL = 0.25  # Of the squared difference of two normalised voxels.


class SameContrast:
    """Squared local correlation less the squared difference of the intensities, for images of the same contrast.

    The correlation finds edges whatever their contrast; two flat windows count as correlated. The difference tells
    homogeneous organs apart that are larger than the window. The derivative is written out, which takes a third of
    the time of automatic differentiation.

    Args:
        fixed: ``(1, 1, *spatial)``, about 0..1.

    Source:
        Avants et al., Symmetric diffeomorphic image registration with cross-correlation, MedIA 2008.
    """

    def __init__(self, fixed: Tensor) -> None:
        self._offset = fixed.mean()
        self._fixed = fixed - self._offset
        self._mean, square = box_mean(torch.cat([self._fixed, self._fixed.square()], dim=1), _WINDOW).split(1, dim=1)
        self._noise = (_NOISE * fixed.std()).clamp(_LEAST, _NOISIEST).square()
        self._variance = (square - self._mean.square()).clamp_min(0) + self._noise

    def __call__(self, warped: Tensor, weight: Tensor | None) -> Tensor:
        warped = warped - self._offset
        moments = box_mean(torch.cat([warped, warped.square(), warped * self._fixed], dim=1), _WINDOW)
        mean, square, product = moments.split(1, dim=1)
        variance = (square - mean.square()).clamp_min(0) + self._noise
        # Of the regression of the fixed on the warped image.
        slope = (product - mean * self._mean + self._noise) / variance
        pull = slope / self._variance if weight is None else weight * slope / self._variance
        turn = pull * slope
        around = box_mean(torch.cat([pull, pull * self._mean, turn, turn * mean], dim=1), _WINDOW)
        difference = self._fixed - warped
        if weight is not None:
            difference = difference * weight
        force = self._fixed * around[:, :1] - around[:, 1:2] - warped * around[:, 2:3] + around[:, 3:]
        return 2 * force + 2 * _PHOTOMETRIC * difference


class AnyContrast:
    """Difference of the finest self-similarities, which do not depend on the contrast; see ``losses.mind``.

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
    """The images, and beside them the same normalised in small windows: squared differences of both are to vanish.

    Args:
        images: ``(B, 1, *spatial)``, about 0..1.

    Returns:
        ``(B, 2, *spatial)``, weighted.
    """
    normal = normalised(images, _SMALL_WINDOW)
    return torch.cat([images * math.sqrt(_CLOSING), normal * math.sqrt(_NORMAL)], dim=1)


def normalised(images: Tensor, window: int) -> Tensor:
    """Distance of every voxel from the mean around it, in standard deviations: faint borders look like strong ones.

    Args:
        images: ``(B, 1, *spatial)``, about 0..1.
        window: Side of what counts as around, voxels.
    """
    mean, square = box_mean(torch.cat([images, images.square()], dim=1), window).split(1, dim=1)
    return (images - mean) * torch.rsqrt((square - mean.square()).clamp_min(0) + _FLAT**2)


def mutual_force(halfway: Tensor) -> Tensor:
    """Force of symmetric demons on the displacement from fixed to moving, ``(B, d, *spatial)``.

    Swapping the images negates it.

    Args:
        halfway: ``(2 * B, C, *spatial)``, fixed images before moving ones, warped half-way towards each other.

    Source:
        Vercauteren et al., Symmetric log-domain diffeomorphic registration, MICCAI 2008.
    """
    fixed, moving = halfway.chunk(2)
    total, difference = fixed + moving, fixed - moving
    slopes = torch.stack([slope(total, axis) for axis in range(2, total.ndim)], dim=1)
    return (slopes * difference[:, None]).sum(dim=2)
