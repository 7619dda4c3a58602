"""Automatic mask of the patient."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_OTSU_BINS = 64  # Bins of the histogram; more do not change the threshold visibly.
_CLOSING_SHARE = 40  # The radius of the closing is the longest side divided by this.


def foreground(image: Tensor) -> Tensor:
    """Foreground of a slice ``(H, W)`` of intensities 0..1, ``(H, W)`` bool.

    The largest region enclosed by pixels brighter than half of Otsu's threshold. Gaps narrower than 1/20 of the image
    are filled; strips narrower than that, such as the table of a CT scanner, are removed.

    Source: Otsu, IEEE Trans. Systems, Man, and Cybernetics 9 (1979).
    """
    reach = max(max(image.shape) // _CLOSING_SHARE, 1)
    enclosed = _between(_closed(image > _otsu(image) / 2, reach))
    return _closed(_largest(_opened(enclosed, 2 * reach), reach), 2 * reach)


def _otsu(image: Tensor) -> float:
    """Otsu's threshold; the middle of the interval if several thresholds are equally good."""
    histogram = torch.histc(image.float(), _OTSU_BINS, 0, 1)
    centres = (torch.arange(_OTSU_BINS, device=image.device) + 0.5) / _OTSU_BINS
    below, weight = histogram.cumsum(0), (histogram * centres).cumsum(0)
    above = below[-1] - below
    gap = weight / below.clamp_min(1) - (weight[-1] - weight) / above.clamp_min(1)
    between = below * above * gap.square()
    return float(centres[between >= (1 - 1e-5) * between.max()].mean())


def _between(region: Tensor) -> Tensor:
    """Pixels that the region encloses along both axes."""
    inside = torch.ones_like(region)
    for axis in (0, 1):
        inside &= region.cummax(dim=axis).values & region.flip(axis).cummax(dim=axis).values.flip(axis)
    return inside


def _grown(region: Tensor, reach: int) -> Tensor:
    """Dilation of a region by ``reach`` pixels along both axes."""
    rows = F.max_pool2d(region[None, None].float(), (2 * reach + 1, 1), stride=1, padding=(reach, 0))
    return F.max_pool2d(rows, (1, 2 * reach + 1), stride=1, padding=(0, reach))[0, 0] > 0


def _closed(region: Tensor, reach: int) -> Tensor:
    """Morphological closing; pixels outside the image do not belong to the region."""
    wide = F.pad(region, [reach] * 4)
    return (~_grown(~_grown(wide, reach), reach))[reach:-reach, reach:-reach]


def _opened(region: Tensor, reach: int) -> Tensor:
    return _grown(~_grown(~region, reach), reach) & region


def _largest(region: Tensor, cell: int) -> Tensor:
    """Largest connected component; components in neighbouring cells of ``cell`` pixels count as one."""
    height, width = region.shape
    coarse = F.max_pool2d(region[None, None].float(), cell, stride=cell, ceil_mode=True)
    parts = coarse * torch.arange(1, coarse.numel() + 1, device=region.device).view_as(coarse)
    while True:  # Each cell takes the largest number of its neighbours until a component has one number.
        spread = coarse * F.max_pool2d(parts, 3, stride=1, padding=1)
        if torch.equal(spread, parts):
            break
        parts = spread
    numbers = parts.repeat_interleave(cell, 2).repeat_interleave(cell, 3)[0, 0, :height, :width] * region
    counts = numbers.flatten().long().bincount()
    counts[0] = 0
    return (numbers == int(counts.argmax())) & region
