"""Preprocessing of an image: working spacing and intensities 0..1."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ..spatial.grid import ImageGrid

MAX_SIDE = 4096  # Voxels; a working image of this size already takes gigabytes of memory.


@dataclass(frozen=True)
class PreprocessingConfiguration:
    """Spacing and intensities that a model expects.

    Attributes:
        working_spacing: mm of a working voxel, the same along all axes; ``None`` takes the finest spacing of the
            fixed image.
        max_size: Maximum side of the working image in voxels; larger images get a larger working spacing.
        intensity: ``"percentile"`` maps two percentiles of each image to 0 and 1; ``"window"`` maps two fixed
            values, for CT in HU.
        lower: Percentile, or intensity, that is mapped to 0.
        upper: Percentile, or intensity, that is mapped to 1.
    """

    working_spacing: float | None = None
    max_size: int = 512
    intensity: Literal["percentile", "window"] = "percentile"
    lower: float = 0.5
    upper: float = 99.5

    def __post_init__(self) -> None:
        if self.intensity not in ("percentile", "window"):
            raise ValueError(f"There is no intensity mapping '{self.intensity}'; choose 'percentile' or 'window'.")
        if not -math.inf < self.lower < self.upper < math.inf:
            raise ValueError(f"The lower intensity bound {self.lower} must be below the upper one {self.upper}.")
        if self.intensity == "percentile" and not 0 <= self.lower < self.upper <= 100:
            raise ValueError(f"Percentiles are from 0 to 100, not {self.lower} and {self.upper}.")
        if not 64 <= self.max_size <= MAX_SIDE or not (
            self.working_spacing is None or 0 < self.working_spacing < math.inf
        ):
            raise ValueError(f"A working image needs a positive spacing and 64 to {MAX_SIDE} voxels a side: {self}.")


def working_shape(grid: ImageGrid, configuration: PreprocessingConfiguration) -> tuple[int, ...]:
    """Voxels along each axis at the working spacing, at least 2 and at most ``max_size``."""
    spacing = configuration.working_spacing or min(grid.spacing)
    extent = [size * step for size, step in zip(grid.shape, grid.spacing, strict=True)]
    spacing = max(spacing, max(extent) / configuration.max_size)
    return tuple(max(round(length / spacing), 2) for length in extent)


def to_unit_range(
    image: Tensor,
    configuration: PreprocessingConfiguration,
    mask: Tensor | None = None,
    name: str = "given",
    inside: Tensor | None = None,
) -> Tensor:
    """Intensities mapped to 0..1; values outside the bounds are clipped.

    NumPy takes a third of the time of torch for one image.

    Args:
        image: ``(1, C, *spatial)``.
        configuration: Gives the two bounds.
        mask: Above 0 where the image counts for percentiles.
        name: Of the image, for the messages.
        inside: Bool, like ``image``, somewhere true; the other voxels have no influence and become a constant.
            ``None`` is everywhere.

    Raises:
        ValueError: The image is constant, or not finite.
    """
    whole = image.detach().cpu().numpy()
    counted = None if mask is None else (mask > 0).cpu().numpy()
    if inside is not None:
        covered = inside.cpu().numpy()
        whole = np.where(covered, whole, whole[covered][0])
    # A finite sum implies finite voxels, in a tenth of the time.
    if not math.isfinite(whole.sum()) and not np.isfinite(whole).all():
        raise ValueError(f"The {name} image has NaN or infinite voxels; replace them before the registration.")
    values = whole if counted is None else whole[counted]
    if values.size == 0:
        raise ValueError("The mask has no pixel on this slice; draw it there, or register without a mask.")
    low, high = configuration.lower, configuration.upper
    if configuration.intensity == "percentile":
        least, low, high, most = _percentiles(values, 0, low, high, 100)
        if not high > low:  # Nearly all voxels have one value.
            low, high = least, most
    else:
        least, most = float(values.min()), float(values.max())
    if not min(most, high) > max(least, low):
        raise ValueError(
            f"The {name} image is constant on this slice (intensity {least:g} to {most:g},"
            f" {configuration.intensity} bounds {low:g} to {high:g}); nothing in it can be aligned."
        )
    unit = (whole - low) / max(high - low, torch.finfo(image.dtype).tiny)
    return torch.from_numpy(np.clip(unit, 0, 1, out=unit)).to(image)


def _percentiles(values: np.ndarray, *percents: float) -> list[float]:
    """Percentiles without interpolation. With many equal values, sorting is three times as fast as partitioning."""
    ordered = np.sort(values, axis=None)
    return [float(ordered[round(percent / 100 * (ordered.size - 1))]) for percent in percents]


def resample(image: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The image on a grid of another ``shape`` over the same extent; averages if the grid is coarser."""
    for axis, size in enumerate(shape):
        if image.shape[axis + 2] != size:
            weights = _triangle_weights(image.shape[axis + 2], size).to(image)
            image = torch.tensordot(image, weights, dims=([axis + 2], [1])).movedim(-1, axis + 2)
    return image


def _triangle_weights(old: int, new: int) -> Tensor:
    """Weights ``(new, old)`` of a linear interpolation with a triangle as wide as the coarser voxel."""
    width = max(old / new, 1.0)
    centres = (torch.arange(new, dtype=torch.float64)[:, None] + 0.5) * old / new - 0.5
    weights = (1 - (centres.clamp(0, old - 1) - torch.arange(old)).abs() / width).clamp_min(0)
    return weights / weights.sum(dim=1, keepdim=True)
