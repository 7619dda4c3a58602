"""Metrics of a registration: overlap, distances, smoothness, consistency."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..spatial.deformation import compose, jacobian_determinant, lengths, sample_at
from ..spatial.grid import ImageGrid

_MIN_LABEL_PIXELS = 20  # Voxels; a label with fewer in the fixed image is not scored.
_POINTS_PER_BLOCK = 1024  # Points of a surface that are compared at once; limits the memory.


def dice(first: Tensor, second: Tensor, labels: list[int] | None = None) -> dict[int, float]:
    """Overlap of two labelmaps, ``2 |A and B| / (|A| + |B|)``.

    Args:
        first: Integer labels of any shape.
        second: Like ``first``.
        labels: Labels to score; by default all in ``first`` but 0.

    Returns:
        Label to Dice, without labels that are in neither labelmap.
    """
    if first.shape != second.shape:
        raise ValueError(f"Labelmaps of the shapes {tuple(first.shape)} and {tuple(second.shape)} do not compare.")
    wanted = labels if labels is not None else [int(v) for v in first.unique() if v != 0]
    scores = {}
    for label in wanted:
        a, b = first == label, second == label
        size = int(a.sum() + b.sum())
        if size:
            scores[label] = 2 * int((a & b).sum()) / size
    return scores


def large_labels(labels: Tensor) -> list[int]:
    """Labels other than 0 with at least 20 voxels."""
    values, counts = labels.unique(return_counts=True)
    return [int(v) for v, n in zip(values, counts, strict=True) if v != 0 and n >= _MIN_LABEL_PIXELS]


def mean_dice(fixed_labels: Tensor, labels: Tensor) -> float:
    """Dice averaged over the labels with at least 20 voxels in the fixed image; NaN if there is none."""
    scores = dice(fixed_labels, labels, large_labels(fixed_labels)).values()
    return sum(scores) / len(scores) if scores else math.nan


def target_registration_error(
    fixed_points: Tensor, moving_points: Tensor, displacement: Tensor, grid: ImageGrid
) -> Tensor:
    """Distance of each mapped fixed landmark from its moving partner, ``|p + u(p) - q|`` in mm.

    Args:
        fixed_points: ``(N, d)`` in voxels of the grid, array order.
        moving_points: ``(N, d)`` likewise.
        displacement: ``(1, d, *grid.shape)``, voxels.
        grid: Grid of the images.

    Returns:
        ``(N,)`` mm.
    """
    points = fixed_points.to(displacement)
    mapped = points + sample_at(displacement, points)
    return ((mapped - moving_points.to(mapped)) @ grid.axes_to_ras.to(mapped).T).norm(dim=-1)


class SurfaceDistance(NamedTuple):
    """Symmetric distances of two surfaces, mm; NaN if a region is empty.

    Attributes:
        mean: Mean over the voxels of both surfaces.
        hd95: 95th percentile of the distances in each direction, the larger of the two.
    """

    mean: float
    hd95: float


def surface_distance(first: Tensor, second: Tensor, spacing: tuple[float, ...]) -> SurfaceDistance:
    """Distances between the surfaces of two regions.

    Args:
        first: Region ``(*spatial)``, 0 or 1.
        second: Like ``first``.
        spacing: mm along each array axis.
    """
    a, b = _surface(first, spacing), _surface(second, spacing)
    if not len(a) or not len(b):
        return SurfaceDistance(math.nan, math.nan)
    there, back = _nearest(a, b)
    mean = (there.sum() + back.sum()) / (len(there) + len(back))
    return SurfaceDistance(float(mean), max(float(way.quantile(0.95)) for way in (there, back)))


def _surface(region: Tensor, spacing: tuple[float, ...]) -> Tensor:
    """Positions of the border voxels of a region, ``(N, d)`` mm."""
    inside, corner = _cropped(region.bool())
    core = inside.clone()
    for axis in range(inside.ndim):
        core &= inside.roll(1, axis) & inside.roll(-1, axis)
    positions = (inside & ~core).nonzero().double() + corner
    return positions * torch.tensor(spacing, dtype=torch.float64, device=region.device)


def _cropped(region: Tensor) -> tuple[Tensor, Tensor]:
    """Bounding box of a region with a margin of one voxel, and the index of its first corner ``(d,)``."""
    first = []
    for axis in range(region.ndim):
        others = [other for other in range(region.ndim) if other != axis]
        occupied = region.amax(dim=others).nonzero()
        if not len(occupied):
            return region, torch.zeros(region.ndim, device=region.device)
        first.append(int(occupied[0]))
        region = region.narrow(axis, first[-1], int(occupied[-1]) - first[-1] + 1)
    return F.pad(region, [1, 1] * region.ndim), torch.tensor(first, device=region.device) - 1


def _nearest(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Distance of each point ``(N, d)`` to the nearest of ``(M, d)``, and of each of these to the nearest of those."""
    there, back = [], a.new_full((len(b),), math.inf)
    for part in a.split(_POINTS_PER_BLOCK):
        distances = torch.cdist(part, b)
        there.append(distances.amin(dim=1))
        back = torch.minimum(back, distances.amin(dim=0))
    return torch.cat(there), back


def sd_log_jacobian(displacement: Tensor) -> float:
    """Standard deviation of ``log(J + 3)``, as in Learn2Reg, without two voxels at the border."""
    determinant = jacobian_determinant(displacement.double())
    for axis in range(2, determinant.ndim):
        determinant = determinant.narrow(axis, 2, determinant.shape[axis] - 4)
    return float((determinant + 3).clamp(1e-9, 1e9).log().std(correction=0))


def inverse_consistency_error(forward: Tensor, backward: Tensor, grid: ImageGrid) -> Tensor:
    """Distance of each voxel from itself after both displacements, ``(B, 1, *spatial)`` mm.

    Args:
        forward: Displacement from fixed to moving, ``(B, d, *spatial)``, voxels.
        backward: Displacement from moving to fixed, on the same grid.
        grid: Gives the size of a voxel.
    """
    return lengths(grid.displacement_to_ras(compose(backward, forward)))


_INTENSITY_BINS = 64  # Of each axis of a joint histogram.


class ImageAgreement(NamedTuple):
    """How well the intensities of two images agree.

    Attributes:
        correlation: Pearson's coefficient, -1..1; NaN if an image is constant.
        mutual_information: In nats, from a joint histogram of 64 x 64 bins; 0 if nothing is shared.
        squared_difference: Mean, in squared intensities.
    """

    correlation: float
    mutual_information: float
    squared_difference: float


def image_agreement(first: Tensor, second: Tensor) -> ImageAgreement:
    """Correlation, mutual information and mean squared difference of two images.

    Args:
        first: Intensities of the voxels that count, any shape.
        second: Like ``first``.

    Raises:
        ValueError: There is no voxel, or the numbers of voxels differ.
    """
    a, b = first.flatten().double(), second.flatten().double()
    if len(a) != len(b) or not len(a):
        raise ValueError(f"Images of {len(a)} and {len(b)} voxels do not compare; both need the same voxels.")
    centred, other = a - a.mean(), b - b.mean()
    scale = float((centred.square().sum() * other.square().sum()).sqrt())
    correlation = float((centred * other).sum()) / scale if scale > 0 else math.nan
    return ImageAgreement(correlation, _mutual_information(a, b), float((a - b).square().mean()))


def _mutual_information(a: Tensor, b: Tensor) -> float:
    """Mutual information of ``(N,)`` intensities, nats."""
    joint = torch.bincount(_bins(a) * _INTENSITY_BINS + _bins(b), minlength=_INTENSITY_BINS**2).double().view(
        _INTENSITY_BINS, _INTENSITY_BINS
    ) / len(a)
    independent = joint.sum(dim=1, keepdim=True) * joint.sum(dim=0, keepdim=True)
    shared = joint > 0
    return float((joint[shared] * (joint[shared] / independent[shared]).log()).sum())


def _bins(values: Tensor) -> Tensor:
    """The bin of each of ``(N,)`` values, 0..63."""
    low, high = values.amin(), values.amax()
    return ((values - low) / (high - low).clamp_min(1e-12) * _INTENSITY_BINS).long().clamp_max(_INTENSITY_BINS - 1)
