"""The part of a pair that a network sees: the box outside which neither image shows anything."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..similarity.losses import local_correlation, local_ncc
from ..spatial.deformation import resize_displacement, warp
from ..spatial.grid import ImageGrid
from .preprocessing import PreprocessingConfiguration, resample, to_unit_range, working_shape

LEAST = 64  # Voxels on a side that a network gets at least.


_MARGIN = 8  # Voxels of background that it sees around what an image shows.


_WINDOW_STEP = 3  # Voxels between the windows that measure the similarity of whole images; they overlap still.


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
        images, weight = (self.to_full_grid(warped), self.to_full_grid(self.fixed)), self.weight(displacement)
        if weight is None:
            return float(local_correlation(*images, step=_WINDOW_STEP).mean())
        return 1 - float(local_ncc(*images, self.to_full_grid(weight)))

    def to_full_grid(self, values: Tensor) -> Tensor:
        """Values ``(B, C, *box)`` on the whole working grid; outside the box those at its border are repeated."""
        pads: list[int] = []
        for axis in reversed(range(len(self.shape))):
            inside = min(values.shape[axis + 2], self.shape[axis] - self.start[axis])
            values = values.narrow(axis + 2, 0, inside)
            pads += [self.start[axis], self.shape[axis] - self.start[axis] - inside]
        return F.pad(values, pads, mode="replicate") if any(pads) else values

    def extrapolate_margin(self, velocity: Tensor) -> Tensor:
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

    def to_image_grid(self, displacement: Tensor, shape: tuple[int, ...]) -> Tensor:
        """A displacement ``(B, d, *box)`` in working voxels as one on the original grid, in voxels of it."""
        return resize_displacement(self.to_full_grid(displacement), shape)


def prepare(
    *,
    fixed: Tensor,
    moving: Tensor,
    mask: Tensor | None = None,
    moving_mask: Tensor | None = None,
    grid: ImageGrid,
    configuration: PreprocessingConfiguration,
    multiple: int,
    keep_margins: bool = False,
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
        keep_margins: Whether the box is the whole image, whatever it shows.
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
    spans = [(0, size) for size in shape] if keep_margins else _spans(images)
    box = [_widened(span, size, multiple) for span, size in zip(spans, shape, strict=True)]
    masks = [None if m is None else _boxed(resample(m.to(fixed), shape), box) for m in (mask, moving_mask)]
    ready = [_boxed(image, box) for image in images]
    return PreparedPair(ready[0], ready[1], masks[0], masks[1], shape, tuple(start for start, _ in box))


def _each(batch: Tensor, mask: Tensor | None) -> list[tuple[Tensor, Tensor | None]]:
    """Every image of a batch with its mask, ``(1, C, *spatial)`` each."""
    if mask is None:
        return [(image, None) for image in batch.split(1)]
    return list(zip(batch.split(1), mask.expand(len(batch), *mask.shape[1:]).split(1), strict=True))


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
