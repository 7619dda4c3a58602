"""Smoothing of the displacements of neighbouring slices along the stack."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def smooth_along_stack(displacement: Tensor, known: list[int], sigma: float) -> Tensor:
    """Gaussian means along the slices of a stack, over the slices whose displacement is known.

    Slices that are not known take the mean of the known ones near them.

    Args:
        displacement: ``(N, 2, rows, columns)``, voxels, on the CPU.
        known: Indices of the slices that count.
        sigma: Standard deviation, slices; 0 returns the displacement itself.

    Raises:
        ValueError: ``sigma`` is negative or not finite, or no slice is known.
    """
    if not 0 <= sigma < float("inf"):
        raise ValueError(f"The smoothing between slices needs a finite standard deviation of 0 or more, not {sigma}.")
    if not known:
        raise ValueError("No slice has a known displacement; nothing can be smoothed.")
    if sigma == 0:
        return displacement
    places = np.arange(len(displacement))
    weights = np.exp(-0.5 * ((places[:, None] - places) / sigma) ** 2) * np.isin(places, known)
    weights /= np.maximum(weights.sum(axis=1, keepdims=True), 1e-30)
    smoothed = np.tensordot(weights.astype(np.float32), displacement.numpy(), axes=1)
    return torch.from_numpy(smoothed)
