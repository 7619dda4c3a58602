"""The crop of a pair that is registered: the box outside which neither image shows anything."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..similarity.losses import local_correlation, local_ncc
from ..spatial.deformation import resize_displacement, warp
from ..spatial.grid import ImageGrid
from .preprocessing import PreprocessingConfiguration, resample, to_unit_range, working_shape

LEAST = 64  # Minimum side of the crop, voxels.

_MARGIN = 8  # Voxels of background around the contents of the images.

_WINDOW_STEP = 3  # Voxels between the windows that measure the similarity; they still overlap.


@dataclass(frozen=True)
class PreparedPair:
    """The crop of a pair at the working spacing, with intensities 0..1.

    Attributes:
        fixed: ``(B, 1, *box)``, 0..1, at the working spacing.
        moving: Like ``fixed``.
        mask: Like ``fixed``, or ``None``.
        moving_mask: Like ``mask``.
        shape: Shape of the full working grid.
        start: First voxel of the box in the full working grid. The box may extend beyond its end.
    """

    fixed: Tensor
    moving: Tensor
    mask: Tensor | None
    moving_mask: Tensor | None
    shape: tuple[int, ...]
    start: tuple[int, ...]

    @property
    def region(self) -> Tensor | None:
        """The mask of the fixed image, or else that of the moving image."""
        return self.moving_mask if self.mask is None else self.mask

    def spacing(self, grid: ImageGrid) -> tuple[float, ...]:
        """mm of a working voxel along each axis, for images on ``grid``."""
        return tuple(size * step / n for size, step, n in zip(grid.shape, grid.spacing, self.shape, strict=True))

    def to(self, device: torch.device) -> PreparedPair:
        """A copy on ``device``."""
        mask, moving_mask = (m if m is None else m.to(device) for m in (self.mask, self.moving_mask))
        return PreparedPair(self.fixed.to(device), self.moving.to(device), mask, moving_mask, self.shape, self.start)

    def only(self, number: int) -> PreparedPair:
        """One pair of the batch."""
        one = slice(number, number + 1)
        mask, moving_mask = (m if m is None or len(m) == 1 else m[one] for m in (self.mask, self.moving_mask))
        return replace(self, fixed=self.fixed[one], moving=self.moving[one], mask=mask, moving_mask=moving_mask)

    def weight(self, displacement: Tensor | None) -> Tensor | None:
        """Product of the fixed and the warped moving mask, ``(B, 1, *box)``; ``None`` without masks."""
        if self.moving_mask is None:
            return self.mask
        inside = self.moving_mask if displacement is None else warp(self.moving_mask, displacement)
        return inside if self.mask is None else inside * self.mask

    def similarity(self, displacement: Tensor | None) -> float:
        """Mean squared local correlation of the fixed and the warped image, 0..1, inside the masks."""
        warped = self.moving if displacement is None else warp(self.moving, displacement)
        images, weight = (self.to_full_grid(warped), self.to_full_grid(self.fixed)), self.weight(displacement)
        if weight is None:
            return float(local_correlation(*images, step=_WINDOW_STEP).mean())
        return 1 - float(local_ncc(*images, self.to_full_grid(weight)))

    def to_full_grid(self, values: Tensor) -> Tensor:
        """Values ``(B, C, *box)`` on the full working grid; outside the box those at its border are repeated."""
        pads: list[int] = []
        for axis in reversed(range(len(self.shape))):
            inside = min(values.shape[axis + 2], self.shape[axis] - self.start[axis])
            values = values.narrow(axis + 2, 0, inside)
            pads += [self.start[axis], self.shape[axis] - self.start[axis] - inside]
        return F.pad(values, pads, mode="replicate") if any(pads) else values

    def extrapolate_margin(self, velocity: Tensor) -> Tensor:
        """The velocity ``(B, d, *coarser)``, in the margin replaced by its value at the border of the contents.

        ``to_full_grid`` then repeats the same values outside the box, and forward and inverse remain consistent there.
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
        """A displacement ``(B, d, *box)`` in working voxels, resampled to the image grid, in voxels of that grid."""
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
    """Resamples a pair to the working spacing, maps its intensities to 0..1 and crops it.

    Rows and columns at the border in which neither image shows anything are cropped, which saves time.

    Args:
        fixed: ``(B, 1, *grid.shape)``, any intensities.
        moving: Sampled on the grid of ``fixed``.
        mask: Optional weights on the same grid, one for the batch or one per pair. Intensity bounds are measured
            inside it.
        moving_mask: The same for the moving image; without it ``mask`` is used.
        grid: Grid of the images and masks.
        configuration: Preprocessing of the model.
        multiple: The side of the box is a multiple of this.
        keep_margins: Whether nothing is cropped.
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
    """Pairs of image and mask, ``(1, C, *spatial)`` each."""
    if mask is None:
        return [(image, None) for image in batch.split(1)]
    return list(zip(batch.split(1), mask.expand(len(batch), *mask.shape[1:]).split(1), strict=True))


def _spans(images: list[Tensor]) -> list[tuple[int, int]]:
    """Start and end along each axis of the voxels that differ from the corner of their image."""
    shown = np.zeros(images[0].shape[2:], dtype=bool)  # NumPy takes a tenth of the time of torch.
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
    """Start and length of the span with margins, inside the ``size`` voxels of the axis if possible."""
    start, end = max(span[0] - _MARGIN, 0), min(span[1] + _MARGIN, size)
    length = max(-(-(end - start) // multiple), 2, -(-LEAST // multiple)) * multiple
    return max(min(start, size - length), 0), length


def _boxed(image: Tensor, box: list[tuple[int, int]]) -> Tensor:
    """Crop of an image; outside the image its border is repeated."""
    pads: list[int] = []
    for axis, (start, length) in enumerate(box, start=2):
        inside = min(length, image.shape[axis] - start)
        image = image.narrow(axis, start, inside)
        pads = [0, length - inside, *pads]
    return F.pad(image, pads, mode="replicate") if any(pads) else image.contiguous()
