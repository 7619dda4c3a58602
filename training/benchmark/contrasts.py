"""Changes of the moving image's contrast that leave the anatomy as it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from training.benchmark.method import unit
from training.data.labelled_pairs import LabelledPair

_BENT = (0.0, 0.8, 0.3, 0.9, 0.1, 0.6)  # Intensities at 0, 0.2, .. 1: no order is kept.


@dataclass(frozen=True)
class Contrast:
    """A named change of the intensities 0..1 of the moving image."""

    name: str
    change: Callable[[Tensor], Tensor]

    def __call__(self, pair: LabelledPair) -> LabelledPair:
        """The pair with the changed moving image."""
        return replace(pair, moving=self.change(unit(pair.moving)))


def _bias(image: Tensor) -> Tensor:
    rows, columns = (torch.linspace(0, 1, size) for size in image.shape[2:])
    return image * (0.5 + rows[:, None] * 0.6 + columns * 0.4)


def _ct_like(image: Tensor) -> Tensor:
    """Bright tissue dark grey, dark tissue grey, the brightest white as bone is; air stays black."""
    return torch.where(image > 0.9, 1.0, torch.where(image < 0.03, 0.0, 0.6 - 0.4 * image))


def _bent(image: Tensor) -> Tensor:
    values = np.interp(image.numpy(), np.linspace(0, 1, len(_BENT)), _BENT)
    return torch.from_numpy(values.astype(np.float32))


INVERTED = Contrast("inverted", lambda image: torch.where(image > 0.03, 1.03 - image, 0.0))
BENT = Contrast("bent", _bent)
CONTRASTS = (
    INVERTED,
    BENT,
    Contrast("gamma 0.5", lambda image: image.pow(0.5)),
    Contrast("gamma 2", lambda image: image.pow(2.0)),
    Contrast("bias field", _bias),
    Contrast("CT-like", _ct_like),
)
