"""From images as they come to what a network wants, and the displacement back."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .deformation import resize_displacement, warp
from .grid import ImageGrid
from .losses import local_correlation, local_ncc

LEAST = 64  # Voxels on a side that a network gets at least.
_MARGIN = 8  # Voxels of background that it sees around what an image shows.
_WINDOW_STEP = 3  # Voxels between the windows that measure the similarity of whole images; they overlap still.


@dataclass(frozen=True)
class PreprocessingConfiguration:
    """What a model expects of its images.

    Attributes:
        working_spacing: mm of a working voxel, the same along all axes; ``None`` takes the finest spacing of the
            fixed image.
        max_size: Longest side of the working image in voxels; beyond it the working spacing grows.
        intensity: ``"percentile"`` maps two percentiles of each image to 0 and 1, ``"window"`` two fixed values,
            for CT in HU.
        lower: Percentile, or intensity, that becomes 0.
        upper: Percentile, or intensity, that becomes 1.
    """

    working_spacing: float | None = None
    max_size: int = 512
    intensity: Literal["percentile", "window"] = "percentile"
    lower: float = 0.5
    upper: float = 99.5

    def __post_init__(self) -> None:
        if self.intensity not in ("percentile", "window"):
            raise ValueError(f"There is no intensity mapping '{self.intensity}'; choose 'percentile' or 'window'.")
        if not self.lower < self.upper:
            raise ValueError(f"The lower intensity bound {self.lower} must be below the upper one {self.upper}.")
        if self.max_size < 64 or (self.working_spacing is not None and not self.working_spacing > 0):
            raise ValueError(f"A working image needs a positive spacing and room for 64 voxels a side: {self}.")


@dataclass(frozen=True)
class PreparedPair:
    """What the network sees: the box of the images outside which neither shows anything.

    Attributes:
        fixed: ``(B, 1, *box)``, 0..1, at the working spacing.
        moving: Like ``fixed``.
        mask: Like ``fixed``, or ``None``.
        moving_mask: Like ``mask``.
        shape: Working voxels of the whole images.
        start: First voxel of the box among them; its end may lie beyond theirs.
    """

    fixed: Tensor
    moving: Tensor
    mask: Tensor | None
    moving_mask: Tensor | None
    shape: tuple[int, ...]
    start: tuple[int, ...]

    @property
    def region(self) -> Tensor | None:
        """Where the registration matters: the mask of the fixed image, or else of the moving one."""
        return self.moving_mask if self.mask is None else self.mask

    def spacing(self, grid: ImageGrid) -> tuple[float, ...]:
        """mm of a working voxel along each axis, for images that came on ``grid``."""
        return tuple(size * step / n for size, step, n in zip(grid.shape, grid.spacing, self.shape, strict=True))

    def to(self, device: torch.device) -> PreparedPair:
        """The same on a device."""
        mask, moving_mask = (m if m is None else m.to(device) for m in (self.mask, self.moving_mask))
        return PreparedPair(self.fixed.to(device), self.moving.to(device), mask, moving_mask, self.shape, self.start)

    def weight(self, displacement: Tensor | None) -> Tensor | None:
        """Where both images count once the moving one is warped: both masks, ``(B, 1, *box)``, or ``None``."""
        if self.moving_mask is None:
            return self.mask
        inside = self.moving_mask if displacement is None else warp(self.moving_mask, displacement)
        return inside if self.mask is None else inside * self.mask

    def similarity(self, displacement: Tensor | None) -> float:
        """Mean squared local correlation with the warped moving image, 0..1, where both count."""
        warped = self.moving if displacement is None else warp(self.moving, displacement)
        images, weight = (self.whole(warped), self.whole(self.fixed)), self.weight(displacement)
        if weight is None:
            return float(local_correlation(*images, step=_WINDOW_STEP).mean())
        return 1 - float(local_ncc(*images, self.whole(weight)))

    def whole(self, values: Tensor) -> Tensor:
        """Values ``(B, C, *box)`` on the whole working grid; outside the box those at its border are repeated."""
        pads: list[int] = []
        for axis in reversed(range(len(self.shape))):
            inside = min(values.shape[axis + 2], self.shape[axis] - self.start[axis])
            values = values.narrow(axis + 2, 0, inside)
            pads += [self.start[axis], self.shape[axis] - self.start[axis] - inside]
        return F.pad(values, pads, mode="replicate") if any(pads) else values

    def outward(self, velocity: Tensor) -> Tensor:
        """A velocity ``(B, d, *coarser)`` that in the margin goes on as where the images begin to show something.

        What ``restore`` repeats outside the box then goes on as inside, and flows there and back still undo each other.
        """
        pads: list[int] = []
        for axis, (start, size) in enumerate(zip(self.start, self.shape, strict=True), start=2):
            cells, length = velocity.shape[axis], self.fixed.shape[axis]
            margin = _MARGIN * cells // length
            before, behind = margin * (start > 0), margin * (start + length < size)
            velocity = velocity.narrow(axis, before, cells - before - behind)
            pads = [before, behind, *pads]
        return F.pad(velocity, pads, mode="replicate") if any(pads) else velocity

    def restore(self, displacement: Tensor, shape: tuple[int, ...]) -> Tensor:
        """A displacement ``(B, d, *box)`` in working voxels as one on the original grid, in voxels of it."""
        return resize_displacement(self.whole(displacement), shape)


def prepare(
    *,
    fixed: Tensor,
    moving: Tensor,
    mask: Tensor | None = None,
    moving_mask: Tensor | None = None,
    grid: ImageGrid,
    configuration: PreprocessingConfiguration,
    multiple: int,
    whole: bool = False,
) -> PreparedPair:
    """Brings a pair to the working spacing and intensity, and to a box of a size that the network takes.

    Columns and rows at the border in which neither image shows anything are left out: they cost time alone.

    Args:
        fixed: ``(B, 1, *grid.shape)``, any intensities.
        moving: Sampled on the grid of ``fixed``.
        mask: Optional weights on the same grid, one for all or one each; the intensity mapping then looks inside it
            only.
        moving_mask: The same for the moving image, which otherwise takes ``mask``.
        grid: Of all four.
        configuration: The model's.
        multiple: The network's.
        whole: Whether the box is the whole image, whatever it shows.
    """
    shape = working_shape(grid, configuration)

    images = [
        torch.cat([to_unit_range(image, configuration, part, name) for image, part in _each(batch, inside)])
        for batch, inside, name in (
            (fixed, mask, "fixed"),
            (moving, mask if moving_mask is None else moving_mask, "moving"),
        )
    ]
    images = [resample(image, shape) for image in images]
    spans = [(0, size) for size in shape] if whole else _spans(images)
    box = [_widened(span, size, multiple) for span, size in zip(spans, shape, strict=True)]
    masks = [None if m is None else _boxed(resample(m.to(fixed), shape), box) for m in (mask, moving_mask)]
    ready = [_boxed(image, box) for image in images]
    return PreparedPair(ready[0], ready[1], masks[0], masks[1], shape, tuple(start for start, _ in box))


def _each(batch: Tensor, mask: Tensor | None) -> list[tuple[Tensor, Tensor | None]]:
    """Every image of a batch with its mask, ``(1, C, *spatial)`` each."""
    if mask is None:
        return [(image, None) for image in batch.split(1)]
    return list(zip(batch.split(1), mask.expand(len(batch), *mask.shape[1:]).split(1), strict=True))


def working_shape(grid: ImageGrid, configuration: PreprocessingConfiguration) -> tuple[int, ...]:
    """Voxels along each axis at the working spacing, at least 2 and at most ``max_size``."""
    spacing = configuration.working_spacing or min(grid.spacing)
    extent = [size * step for size, step in zip(grid.shape, grid.spacing, strict=True)]
    spacing = max(spacing, max(extent) / configuration.max_size)
    return tuple(max(round(length / spacing), 2) for length in extent)


def to_unit_range(
    image: Tensor, configuration: PreprocessingConfiguration, mask: Tensor | None = None, name: str = "given"
) -> Tensor:
    """Intensities as 0..1; what lies beyond the two bounds is clipped.

    NumPy takes a third of the time of torch for one image.

    Raises:
        ValueError: The image is constant, or not finite.
    """
    whole = image.detach().cpu().numpy()
    # A finite sum tells that all are, in a tenth of the time.
    if not math.isfinite(whole.sum()) and not np.isfinite(whole).all():
        raise ValueError(f"The {name} image has NaN or infinite voxels; replace them before the registration.")
    values = whole if mask is None else whole[(mask > 0).cpu().numpy()]
    if values.size == 0:
        raise ValueError("The mask has no pixel on this slice; draw it there, or register without a mask.")
    low, high = configuration.lower, configuration.upper
    if configuration.intensity == "percentile":
        least, low, high, most = _percentiles(values, 0, low, high, 100)
        if not high > low:  # Nearly everything has one value, as in a slice with a few bright points.
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
    """The nearest values that occur; with many equal ones NumPy sorts them in a third of the time of partitioning."""
    ordered = np.sort(values, axis=None)
    return [float(ordered[round(percent / 100 * (ordered.size - 1))]) for percent in percents]


def resample(image: Tensor, shape: tuple[int, ...]) -> Tensor:
    """``(B, C, *spatial)`` on a grid of another shape over the same extent; averages where it becomes coarser."""
    for axis, size in enumerate(shape):
        if image.shape[axis + 2] != size:
            weights = _triangle_weights(image.shape[axis + 2], size).to(image)
            image = torch.tensordot(image, weights, dims=([axis + 2], [1])).movedim(-1, axis + 2)
    return image


def _triangle_weights(old: int, new: int) -> Tensor:
    """``(new, old)`` rows of a linear interpolation whose triangle is as wide as the coarser of the two voxels."""
    width = max(old / new, 1.0)
    centres = (torch.arange(new, dtype=torch.float64)[:, None] + 0.5) * old / new - 0.5
    weights = (1 - (centres.clamp(0, old - 1) - torch.arange(old)).abs() / width).clamp_min(0)
    return weights / weights.sum(dim=1, keepdim=True)


def _spans(images: list[Tensor]) -> list[tuple[int, int]]:
    """First and last but one place along each axis where an image differs from its corner."""
    shown = np.zeros(images[0].shape[2:], dtype=bool)  # NumPy finds them in a tenth of the time.
    for image in images:
        values = image.flatten(0, 1).cpu().numpy()
        corner = values[(slice(None), *[slice(1)] * shown.ndim)]
        shown |= (values != corner).any(axis=0)
    spans = []
    for axis, size in enumerate(shown.shape):
        places = np.flatnonzero(shown.any(axis=tuple(n for n in range(shown.ndim) if n != axis)))
        spans.append((int(places[0]), int(places[-1]) + 1) if len(places) else (0, size))
    return spans


def _widened(span: tuple[int, int], size: int, multiple: int) -> tuple[int, int]:
    """Start and length along an axis of ``size`` voxels: a margin more than the span, inside the image if it can be."""
    start, end = max(span[0] - _MARGIN, 0), min(span[1] + _MARGIN, size)
    length = max(-(-(end - start) // multiple), 2, -(-LEAST // multiple)) * multiple
    return max(min(start, size - length), 0), length


def _boxed(image: Tensor, box: list[tuple[int, int]]) -> Tensor:
    """The box of an image; what lies beyond the image repeats its border."""
    pads: list[int] = []
    for axis, (start, length) in enumerate(box, start=2):
        inside = min(length, image.shape[axis] - start)
        image = image.narrow(axis, start, inside)
        pads = [0, length - inside, *pads]
    return F.pad(image, pads, mode="replicate") if any(pads) else image.contiguous()
