"""ConvexAdam with MIND features: a discrete search followed by optimisation."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import torch
from torch import Tensor

from training.benchmark.method import Call, Read, unit
from training.data.labelled_pairs import LabelledPair

_REPEATED_SLICES = 12  # It registers volumes only, so the slice is repeated.


def convex_adam(pair: LabelledPair) -> tuple[Call, Read]:
    """With a grid of 4 voxels, displacements up to 6 grid steps, field smoothed by 3 voxels: its best in 2-D."""
    from convexAdam.convex_adam_MIND import convex_adam_pt  # type: ignore[import-untyped, import-not-found]

    fixed, moving = (unit(i)[0, 0, ..., None].repeat(1, 1, _REPEATED_SLICES) for i in (pair.fixed, pair.moving))

    def call() -> np.ndarray:
        with contextlib.redirect_stdout(io.StringIO()):  # It prints times.
            return convex_adam_pt(
                fixed,
                moving,
                grid_sp=4,
                disp_hw=6,
                selected_smooth=3,
                dtype=torch.float32,
                device=torch.device("cpu"),
            )

    def read(field: np.ndarray) -> Tensor:
        """The middle slice of ``(H, W, slices, 3)`` voxels in array order."""
        middle = field[:, :, _REPEATED_SLICES // 2, :2].astype(np.float32)
        return torch.from_numpy(middle).movedim(-1, 0)[None].contiguous()

    return call, read
