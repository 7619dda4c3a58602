"""Where an image shows the patient, for a mask that nobody has to draw."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_BINS = 64  # Of the histogram; more do not move the threshold by a visible amount.
_REACH = 40  # Gaps and strips narrower than twice the longest side over this are filled and left out.


def foreground(image: Tensor) -> Tensor:
    """Where a slice ``(H, W)`` of intensities 0..1 shows something, ``(H, W)`` bool.

    It is the largest region that pixels brighter than half of Otsu's threshold enclose; gaps and strips narrower than
    a twentieth of the image, as the table of a CT, are filled and left out.

    Source: Otsu, IEEE Trans. Systems, Man, and Cybernetics 9 (1979).
    """
    reach = max(max(image.shape) // _REACH, 1)
    enclosed = _between(_closed(image > _otsu(image) / 2, reach))
    return _closed(_largest(_opened(enclosed, 2 * reach), reach), 2 * reach)


def _otsu(image: Tensor) -> float:
    """The threshold that parts the intensities best; the middle of all that do, where no intensity lies between."""
    histogram = torch.histc(image.float(), _BINS, 0, 1)
    centres = (torch.arange(_BINS, device=image.device) + 0.5) / _BINS
    below, weight = histogram.cumsum(0), (histogram * centres).cumsum(0)
    above = below[-1] - below
    gap = weight / below.clamp_min(1) - (weight[-1] - weight) / above.clamp_min(1)
    between = below * above * gap.square()
    return float(centres[between >= (1 - 1e-5) * between.max()].mean())


def _between(region: Tensor) -> Tensor:
    """Pixels with the region on both sides along both axes."""
    inside = torch.ones_like(region)
    for axis in (0, 1):
        inside &= region.cummax(dim=axis).values & region.flip(axis).cummax(dim=axis).values.flip(axis)
    return inside


def _grown(region: Tensor, reach: int) -> Tensor:
    """A region and all pixels not further from it than ``reach`` along both axes."""
    rows = F.max_pool2d(region[None, None].float(), (2 * reach + 1, 1), stride=1, padding=(reach, 0))
    return F.max_pool2d(rows, (1, 2 * reach + 1), stride=1, padding=(0, reach))[0, 0] > 0


def _closed(region: Tensor, reach: int) -> Tensor:
    """Without its gaps; what lies beyond the image is none of the region, so nothing is drawn to the border."""
    wide = F.pad(region, [reach] * 4)
    return (~_grown(~_grown(wide, reach), reach))[reach:-reach, reach:-reach]


def _opened(region: Tensor, reach: int) -> Tensor:
    return _grown(~_grown(~region, reach), reach) & region


def _largest(region: Tensor, cell: int) -> Tensor:
    """The largest part of a region; parts in neighbouring cells of that many pixels count as one."""
    height, width = region.shape
    coarse = F.max_pool2d(region[None, None].float(), cell, stride=cell, ceil_mode=True)
    parts = coarse * torch.arange(1, coarse.numel() + 1, device=region.device).view_as(coarse)
    while True:  # Every cell takes the largest number of its neighbours until all cells of a part have the same.
        spread = coarse * F.max_pool2d(parts, 3, stride=1, padding=1)
        if torch.equal(spread, parts):
            break
        parts = spread
    numbers = parts.repeat_interleave(cell, 2).repeat_interleave(cell, 3)[0, 0, :height, :width] * region
    counts = numbers.flatten().long().bincount()
    counts[0] = 0
    return (numbers == int(counts.argmax())) & region
