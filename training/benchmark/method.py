"""What a method of the benchmark is, and the conversions that several of them share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import SimpleITK as sitk
import torch
from torch import Tensor

from training.data.labelled_pairs import LabelledPair

Call = Callable[[], Any]
Read = Callable[[Any], Tensor]
Method = Callable[[LabelledPair], tuple[Call, Read]]
"""From a pair in memory to the call that is timed, and to the displacement ``(1, 2, H, W)`` in what it returns."""

THREADS = 2  # Of every method.


def identity(pair: LabelledPair) -> tuple[Call, Read]:
    """The displacement 0: the pair unregistered."""
    zero = torch.zeros(1, 2, *pair.grid.shape)
    return (lambda: zero), (lambda result: result)


def unit(image: Tensor) -> Tensor:
    """Intensities for the baselines: divided by the 99.5th percentile of the positive pixels, clipped to 0..1."""
    positive = image[image > 0]
    return (image / (float(positive.quantile(0.995)) if len(positive) else 1.0)).clamp(0, 1)


def unit_array(image: Tensor) -> np.ndarray:
    """The same as an array ``(H, W)`` of float32."""
    return np.ascontiguousarray(unit(image)[0, 0].numpy(), dtype=np.float32)


def to_sitk(image: Tensor, pair: LabelledPair) -> sitk.Image:
    """The same as an image with the spacing of the pair."""
    result = sitk.GetImageFromArray(unit_array(image))
    result.SetSpacing(list(pair.grid.spacing[::-1]))
    return result


def from_xy(field: np.ndarray, spacing: tuple[float, ...] = (1.0, 1.0)) -> Tensor:
    """A field ``(H, W, 2)``, x before y, as voxels in array order ``(1, 2, H, W)``.

    Args:
        field: Divided by ``spacing``, so in mm or, with the default spacing, in voxels.
        spacing: mm along rows and columns, in array order.
    """
    voxels = field[..., ::-1] / np.array(spacing)
    return torch.from_numpy(np.ascontiguousarray(voxels, dtype=np.float32)).movedim(-1, 0)[None]
