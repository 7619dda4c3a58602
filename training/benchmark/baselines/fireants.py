"""FireANTs on the CPU: greedy registration with adaptive optimisation."""

from __future__ import annotations

import logging

import torch
from torch import Tensor

from training.benchmark.method import Call, Read, to_sitk
from training.data.labelled_pairs import LabelledPair

_SETTINGS = {
    "scales": [4, 2, 1],
    "iterations": [200, 100, 50],
    "loss_type": "cc",
    "cc_kernel_size": 7,
    "optimizer_lr": 0.5,
    "smooth_warp_sigma": 0.5,  # Its own 0.25 and 1 fold, and score less on 2-D slices.
    "smooth_grad_sigma": 2.0,
    "progress_bar": False,
}


def greedy_cc(pair: LabelledPair) -> tuple[Call, Read]:
    """Greedy with local cross-correlation in windows of 7 x 7."""
    from fireants.io import BatchedImages, Image  # type: ignore[import-untyped, import-not-found]
    from fireants.registration.greedy import GreedyRegistration  # type: ignore[import-untyped, import-not-found]

    for name in [name for name in logging.root.manager.loggerDict if name.startswith("fireants")]:
        logging.getLogger(name).setLevel(logging.ERROR)  # It warns in every call that its CUDA kernels are missing.
    images = [BatchedImages([Image(to_sitk(i, pair), device="cpu")]) for i in (pair.fixed, pair.moving)]

    def call() -> Tensor:
        registration = GreedyRegistration(fixed_images=images[0], moving_images=images[1], **_SETTINGS)
        registration.optimize()
        with torch.no_grad():
            return registration.get_warped_coordinates(*images)

    return call, _displacement


def _displacement(places: Tensor) -> Tensor:
    """From places ``(1, H, W, 2)``, x before y, -1 and 1 at the centres of the first and the last voxel."""
    shape = places.shape[1:3]
    rows, columns = torch.meshgrid(*(torch.linspace(-1, 1, size) for size in shape), indexing="ij")
    moved = places.detach().float().flip(-1)[0] - torch.stack([rows, columns], dim=-1)
    voxels = moved * (torch.tensor(shape) - 1) / 2
    return voxels.movedim(-1, 0)[None].contiguous()
