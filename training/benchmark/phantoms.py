"""Seeded phantom pairs with a known dense displacement: a phantom slice, deformed once more at random."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from training.data.labelled_pairs import LabelledPair
from training.synthesis.synthesis import SynthesisConfiguration, random_deformation
from UnsupervisedRegistrationLib.core.images.foreground import foreground
from UnsupervisedRegistrationLib.core.images.phantom import PHANTOM_KINDS, Kind, Phantom, draw_phantom, true_partner
from UnsupervisedRegistrationLib.core.spatial.deformation import compose, warp
from UnsupervisedRegistrationLib.core.spatial.grid import ImageGrid

PHANTOMS = 100
_POINTS = 300  # Landmarks of a pair.


def phantom_pairs(count: int = PHANTOMS) -> Iterator[LabelledPair]:
    """The first ``count`` pairs, head and abdomen in turn; each is the same every time.

    The fixed image is a random slice of the phantom under a random deformation, so that the displacement to the
    moving slice differs from pair to pair. The landmarks are random points of the body.
    """
    for seed in range(count):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield _pair(PHANTOM_KINDS[seed % len(PHANTOM_KINDS)])


def _pair(kind: Kind) -> LabelledPair:
    phantom = _phantom(kind)
    index = int(torch.randint(2, phantom.fixed.shape[0] - 2, ()))
    fixed, moving = (
        torch.from_numpy(volume[index].astype(np.float32))[None, None] for volume in (phantom.fixed, phantom.moving)
    )
    shape = (fixed.shape[2], fixed.shape[3])
    deformation = random_deformation(1, SynthesisConfiguration(size=shape))
    truth = compose(deformation, _true_displacement(kind, index))
    fixed = warp(fixed, deformation)
    points = _body_points(fixed, truth)
    partners = points + truth[0][:, points[:, 0], points[:, 1]].T
    grid = ImageGrid(shape, torch.from_numpy(phantom.ijk_to_ras).float())
    return LabelledPair(fixed, moving, grid, fixed_points=points.float(), moving_points=partners)


@functools.lru_cache(len(PHANTOM_KINDS))
def _phantom(kind: Kind) -> Phantom:
    return draw_phantom(kind)


@functools.lru_cache(64)
def _true_displacement(kind: Kind, index: int) -> Tensor:
    """From the fixed to the moving slice, ``(1, 2, H, W)`` voxels."""
    phantom = _phantom(kind)
    rows, columns = np.indices(phantom.fixed.shape[1:], dtype=np.float64)
    ijk = np.stack([columns, rows, np.full_like(rows, index)], axis=-1)
    to_ras, to_ijk = phantom.ijk_to_ras, np.linalg.inv(phantom.ijk_to_ras)
    partners = true_partner(kind, ijk @ to_ras[:3, :3].T + to_ras[:3, 3])
    moved = partners @ to_ijk[:3, :3].T + to_ijk[:3, 3] - ijk
    return torch.from_numpy(moved[..., 1::-1].astype(np.float32).copy()).movedim(-1, 0)[None]


def _body_points(image: Tensor, displacement: Tensor) -> Tensor:
    """Random voxels of the foreground that stay in the image, ``(N, 2)`` in array order."""
    moved = displacement[0] + torch.stack(torch.meshgrid(*map(torch.arange, image.shape[2:]), indexing="ij"))
    last = torch.tensor(image.shape[2:]).view(2, 1, 1) - 1
    visible = ((moved >= 0) & (moved <= last)).all(dim=0)
    inside = (foreground(image[0, 0]) & visible).nonzero()
    return inside[torch.randperm(len(inside))[:_POINTS]]
