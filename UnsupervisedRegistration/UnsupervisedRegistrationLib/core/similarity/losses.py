"""Losses of training and instance optimisation: similarity of two images, smoothness of a displacement.

Every loss is a scalar to minimise. An optional ``mask`` ``(B, 1, *spatial)`` holds weights; voxels outside it do not
enter the mean.
"""

from __future__ import annotations

import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor

from ..spatial.filters import box_mean
from ..spatial.folding import least_ratio
from ..spatial.grid import shifted

# Squared intensity below which a patch counts as constant. The publication takes a share of the mean variance of the
# image, but then the contrast outside a mask would change the descriptor inside.
_CONSTANT_PATCH = 1e-6


def _mean(values: Tensor, mask: Tensor | None) -> Tensor:
    """Mean of ``(B, 1, *spatial)`` values, weighted by ``mask`` within each image; all images have equal weight."""
    if mask is None:
        return values.mean()
    if mask.shape[2:] != values.shape[2:]:
        raise ValueError(f"The mask has the shape {tuple(mask.shape)}, the images {tuple(values.shape)}.")
    weights = mask.to(values).expand_as(values)
    total = weights.flatten(1).sum(dim=1).clamp_min(torch.finfo(values.dtype).eps)
    return ((values * weights).flatten(1).sum(dim=1) / total).mean()


def _difference(values: Tensor, axis: int) -> Tensor:
    """Forward difference along a spatial axis; the last entry is 0, which keeps the shape."""
    step = values.diff(dim=axis + 2)
    return F.pad(step, [0, 0] * (values.ndim - 3 - axis) + [0, 1])


def photometric(warped: Tensor, fixed: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean squared difference of the intensities, the paper's L2 loss.

    Args:
        warped: ``(B, C, *spatial)``.
        fixed: ``(B, C, *spatial)``.
        mask: Optional ROI.
    """
    return _mean((warped - fixed).square().mean(dim=1, keepdim=True), mask)


def local_ncc(
    warped: Tensor, fixed: Tensor, mask: Tensor | None = None, window: int = 9, noise: float = 0.01
) -> Tensor:
    """One minus the squared correlation in a sliding window: 0 for images equal up to a local linear map.

    Args:
        warped: ``(B, 1, *spatial)``, intensities about 0..1.
        fixed: ``(B, 1, *spatial)``.
        mask: Optional ROI.
        window: Side of the window in voxels, odd.
        noise: Standard deviation below which a window counts as constant. Its square is added to each variance, so
            that constant windows have no gradient. Added to the product of the variances, as is common, it would
            suppress every window whose contrast is below ``noise ** 0.5``.

    Source:
        Avants et al., Symmetric diffeomorphic image registration with cross-correlation, MedIA 2008.
    """
    return 1 - _mean(local_correlation(warped, fixed, window, noise), mask)


def local_correlation(warped: Tensor, fixed: Tensor, window: int = 9, noise: float = 0.01, step: int = 1) -> Tensor:
    """Squared correlation in a window around every voxel, ``(B, 1, *spatial)`` in 0..1; see ``local_ncc``.

    With a ``step``, only every ``step``-th voxel along each axis is computed: ``(B, 1, *spatial / step)``, rounded up.
    """
    warped, fixed = warped - warped.mean(), fixed - fixed.mean()
    moments = box_mean(torch.cat([warped, fixed, warped * fixed, warped.square(), fixed.square()], dim=1), window, step)
    mean_warped, mean_fixed, product, square_warped, square_fixed = moments.split(1, dim=1)
    covariance = product - mean_warped * mean_fixed
    variance_warped = (square_warped - mean_warped.square()).clamp_min(0) + noise**2
    variance_fixed = (square_fixed - mean_fixed.square()).clamp_min(0) + noise**2
    return covariance.square() / (variance_warped * variance_fixed)


def _context_pairs(dimension: int) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Pairs of neighbouring offsets, 12 in 2-D as in 3-D.

    In 3-D the six face neighbours, in pairs at distance sqrt(2), as published. In 2-D this would give four pairs,
    too few to distinguish structures, so the eight neighbours are used, in pairs at distance sqrt(2) or less.
    """
    reach = dimension if dimension == 2 else 1
    offsets = [o for o in itertools.product((-1, 0, 1), repeat=dimension) if 0 < sum(map(abs, o)) <= reach]
    pairs = itertools.combinations(offsets, 2)
    return [(a, b) for a, b in pairs if math.dist(a, b) ** 2 <= 2 + 1e-6]


def mind_descriptor(image: Tensor, radius: int = 2, dilation: int = 2) -> Tensor:
    """MIND-SSC descriptor of every voxel, which does not depend on the contrast.

    Args:
        image: ``(B, 1, *spatial)``.
        radius: Patches are ``2 * radius + 1`` voxels wide.
        dilation: Distance of the compared patches, voxels.

    Returns:
        ``(B, 12, *spatial)``, each channel in 0..1.

    Source:
        Heinrich et al., Towards realtime multimodal fusion for image-guided interventions using
        self-similarities, MICCAI 2013.
    """
    dimension = image.ndim - 2
    padded = F.pad(image, [dilation] * 2 * dimension, mode="replicate")
    distances = []
    for first, second in _context_pairs(dimension):
        a = shifted(padded, tuple(dilation * o for o in first), dilation)
        b = shifted(padded, tuple(dilation * o for o in second), dilation)
        distances.append(box_mean((a - b).square(), 2 * radius + 1))
    distance = torch.cat(distances, dim=1)
    distance = distance - distance.amin(dim=1, keepdim=True)
    variance = distance.mean(dim=1, keepdim=True)
    return torch.exp(-distance / variance.clamp_min(_CONSTANT_PATCH))


def mind(warped: Tensor, fixed: Tensor, mask: Tensor | None = None, radius: int = 2, dilation: int = 2) -> Tensor:
    """Mean squared difference of the MIND-SSC descriptors, for images of different contrast."""
    descriptors = mind_descriptor(warped, radius, dilation), mind_descriptor(fixed, radius, dilation)
    return photometric(*descriptors, mask)


def edge_aware_smoothness(
    displacement: Tensor, image: Tensor, alpha: float = 10.0, mask: Tensor | None = None
) -> Tensor:
    """Mean absolute gradient of the displacement, with lower weight at edges of the image.

    ``mean_x sum_c sum_a |d_a u_c| exp(-alpha |d_a I|)``. The paper names the term without a formula.
    This is the usual form (Godard et al., CVPR 2017) with the fixed image as ``I``.

    Args:
        displacement: ``(B, d, *spatial)``, voxels.
        image: ``(B, 1, *spatial)``, intensities about 0..1.
        alpha: Influence of an edge; 0 gives the total variation.
        mask: Optional ROI.
    """
    total = torch.zeros_like(image)
    for axis in range(displacement.ndim - 2):
        release = torch.exp(-alpha * _difference(image, axis).abs())
        total = total + _difference(displacement, axis).abs().sum(dim=1, keepdim=True) * release
    return _mean(total, mask)


def diffusion(displacement: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean squared gradient, ``mean_x |grad u|^2``."""
    axes = range(displacement.ndim - 2)
    squares = [_difference(displacement, axis).square().sum(dim=1, keepdim=True) for axis in axes]
    return _mean(torch.stack(squares).sum(dim=0), mask)


def bending(displacement: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean squared second derivatives, ``mean_x sum_ab (d_ab u)^2``; 0 for an affine displacement."""
    axes = range(displacement.ndim - 2)
    total = torch.zeros_like(_inner(displacement[:, :1]))
    for a, b in itertools.product(axes, repeat=2):
        total = total + _second_difference(displacement, a, b).square().sum(dim=1, keepdim=True)
    return _mean(total, None if mask is None else _inner(mask))


def _inner(values: Tensor) -> Tensor:
    """Voxels that have neighbours on every side."""
    return shifted(values, (0,) * (values.ndim - 2), 1)


def _second_difference(values: Tensor, a: int, b: int) -> Tensor:
    """Central second difference ``d_ab`` at the inner voxels."""
    dimension = values.ndim - 2

    def at(step_a: int, step_b: int) -> Tensor:
        offset = [0] * dimension
        offset[a] += step_a
        offset[b] += step_b
        return shifted(values, tuple(offset), 1)

    if a == b:
        return at(1, 0) - 2 * at(0, 0) + at(-1, 0)
    return (at(1, 1) - at(1, -1) - at(-1, 1) + at(-1, -1)) / 4


def compression(displacement: Tensor, least: float = 0.2) -> Tensor:
    """Hinge loss on local compression: mean of ``max(least - ratio, 0)`` over all cells.

    Args:
        displacement: ``(B, d, *spatial)``, voxels.
        least: Ratio of the sizes after and before the deformation from which a cell has no loss; 0 and below folds.
    """
    return (least - least_ratio(displacement)).clamp_min(0).mean()


def endpoint_error(displacement: Tensor, truth: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean end-point error: Euclidean distance of two displacements ``(B, d, *spatial)``, voxels."""
    square = (displacement - truth).square().sum(dim=1, keepdim=True)
    return _mean((square + 1e-8).sqrt(), mask)
