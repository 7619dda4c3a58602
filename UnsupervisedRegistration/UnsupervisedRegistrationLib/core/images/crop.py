"""The crop of a pair that is registered: the box outside which neither image shows anything."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

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
        fixed_inside: Like ``fixed``, 1 where the fixed volume covers the voxel; ``None`` if everywhere.
        moving_inside: Coverage of the moving volume, on the grid of ``moving``.
    """

    fixed: Tensor
    moving: Tensor
    mask: Tensor | None
    moving_mask: Tensor | None
    shape: tuple[int, ...]
    start: tuple[int, ...]
    fixed_inside: Tensor | None = None
    moving_inside: Tensor | None = None

    @property
    def region(self) -> Tensor | None:
        """The mask of the fixed image, or else that of the moving image."""
        return self.moving_mask if self.mask is None else self.mask

    def spacing(self, grid: ImageGrid) -> tuple[float, ...]:
        """mm of a working voxel along each axis, for images on ``grid``."""
        return tuple(size * step / n for size, step, n in zip(grid.shape, grid.spacing, self.shape, strict=True))

    def to(self, device: torch.device) -> PreparedPair:
        """A copy on ``device``."""
        return self._mapped(lambda part: part.to(device))

    def only(self, number: int) -> PreparedPair:
        """One pair of the batch."""
        return self._mapped(lambda part: part if len(part) == 1 else part[number : number + 1])

    def _mapped(self, change: Callable[[Tensor], Tensor]) -> PreparedPair:
        """A copy with all images changed."""
        names = ("fixed", "moving", "mask", "moving_mask", "fixed_inside", "moving_inside")
        parts = {name: getattr(self, name) for name in names}
        changed: dict[str, Any] = {name: change(part) for name, part in parts.items() if part is not None}
        return replace(self, **changed)

    @property
    def weights(self) -> tuple[Tensor | None, Tensor | None]:
        """Product of mask and coverage of each image, ``(B or 1, 1, *box)``; ``None`` if it has neither."""
        return _product(self.mask, self.fixed_inside), _product(self.moving_mask, self.moving_inside)

    def weight(self, displacement: Tensor | None) -> Tensor | None:
        """Product of both masks and coverages, those of the moving image warped; ``None`` if there are none.

        Args:
            displacement: ``(B, d, *box)``, voxels of the box; ``None`` is the identity.

        Returns:
            ``(B or 1, 1, *box)``.
        """
        of_fixed, of_moving = self.weights
        if of_moving is not None and displacement is not None:
            of_moving = warp(of_moving, displacement)
        return _product(of_fixed, of_moving)

    def similarity(self, displacement: Tensor | None) -> float:
        """Mean squared local correlation of the fixed and the warped image, 0..1, where both count."""
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


def _product(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    return second if first is None else first if second is None else first * second


def prepare(
    *,
    fixed: Tensor,
    moving: Tensor,
    mask: Tensor | None = None,
    moving_mask: Tensor | None = None,
    fixed_inside: Tensor | None = None,
    moving_inside: Tensor | None = None,
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
        fixed_inside: ``(B or 1, 1, *grid.shape)``, above 0 where the fixed volume covers the voxel; ``None`` if
            everywhere. Other voxels of the image have no influence. Intensity bounds are measured where both volumes
            cover the slice.
        moving_inside: The same for the moving volume.
        grid: Grid of images, masks and coverage.
        configuration: Preprocessing of the model.
        multiple: The side of the box is a multiple of this.
        keep_margins: Whether nothing is cropped.
    """
    shape = working_shape(grid, configuration)
    coverage = _coverage(fixed_inside, fixed), _coverage(moving_inside, moving)
    common = _common(coverage)
    unit = (
        _unit_ranges(fixed, configuration, _within(mask, common), coverage[0], "fixed"),
        _unit_ranges(
            moving, configuration, _within(mask if moving_mask is None else moving_mask, common), coverage[1], "moving"
        ),
    )
    images = [resample(_filled(unit[at], coverage[at], unit[1 - at], coverage[1 - at]), shape) for at in (0, 1)]
    spans = [(0, size) for size in shape] if keep_margins else _spans(images)
    box = [_widened(span, size, multiple) for span, size in zip(spans, shape, strict=True)]
    mask, moving_mask, fixed_inside, moving_inside = (
        None if part is None else _boxed(resample(part.to(fixed), shape), box)
        for part in (mask, moving_mask, *coverage)
    )
    fixed, moving = (_boxed(image, box) for image in images)
    start = tuple(first for first, _ in box)
    return PreparedPair(fixed, moving, mask, moving_mask, shape, start, fixed_inside, moving_inside)


def _coverage(inside: Tensor | None, image: Tensor) -> Tensor | None:
    """Coverage as bool, or ``None`` if every voxel is covered.

    Raises:
        ValueError: It does not lie on the grid of the image.
    """
    if inside is None or bool((inside > 0).all()):
        return None
    if inside.shape[1:] != (1, *image.shape[2:]) or len(inside) not in (1, len(image)):
        raise ValueError(f"The coverage has the shape {tuple(inside.shape)}, its image {tuple(image.shape)}.")
    return inside > 0


def _common(coverage: tuple[Tensor | None, Tensor | None]) -> Tensor | None:
    """Where both volumes cover the slice, bool; ``None`` if everywhere.

    Raises:
        ValueError: Nowhere, in one of the pairs.
    """
    partial = [part for part in coverage if part is not None]
    if not partial:
        return None
    common = functools.reduce(torch.logical_and, partial)
    if not bool(common.flatten(1).any(dim=1).all()):
        raise ValueError("The fixed and the moving volume do not overlap on this slice; choose another slice.")
    return common


def _within(mask: Tensor | None, common: Tensor | None) -> Tensor | None:
    """The part of a mask that both volumes cover."""
    return common if mask is None else mask if common is None else mask * common


def _unit_ranges(
    batch: Tensor, configuration: PreprocessingConfiguration, mask: Tensor | None, inside: Tensor | None, name: str
) -> Tensor:
    """Every image of a batch mapped to 0..1 by itself."""
    parts = zip(batch.split(1), _each(mask, len(batch)), _each(inside, len(batch)), strict=True)
    return torch.cat([to_unit_range(image, configuration, part, name, covered) for image, part, covered in parts])


def _each(mask: Tensor | None, count: int) -> list[Tensor | None]:
    """The mask of every image of a batch, ``(1, C, *spatial)`` each."""
    return [None] * count if mask is None else list(mask.expand(count, *mask.shape[1:]).split(1))


def _filled(image: Tensor, inside: Tensor | None, other: Tensor, other_inside: Tensor | None) -> Tensor:
    """An image that shows the other image where it is not covered itself, and 0 where neither is.

    The border of the field of view then is no edge that a network would align.
    """
    if inside is None:
        return image
    return torch.where(inside, image, other if other_inside is None else other * other_inside)


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
