"""The batch of a step; it depends on the seed and the number of the step alone, so that a run can resume."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from training.configuration import RunConfiguration
from training.data.augmentation import Share, augment, augmentations
from training.data.pairing import Pairing
from training.data.store import SliceStore
from training.synthesis.synthesis import Pair, synthesise

_GROUP = 4  # Most synthetic pairs that a CPU makes at once; more are hardly faster, fewer are slower.
_GROUP_GPU = 32  # The same on a GPU, where the number of operations decides and not the number of pairs.


@dataclass(frozen=True)
class Batch:
    """Pairs to train on.

    Attributes:
        fixed: ``(B, 1, H, W)``, 0..1, input of the network.
        moving: Like ``fixed``.
        similar_fixed: ``(B, C, H, W)``, compared by the similarity; the images themselves, or a hidden contrast.
        similar_moving: Like ``similar_fixed``.
        weight: ``(B, 1, H, W)``, weight of each voxel in the loss, or ``None``.
        truth: ``(B, 2, H, W)``, the true displacement, voxels, or ``None``.
    """

    fixed: Tensor
    moving: Tensor
    similar_fixed: Tensor
    similar_moving: Tensor
    weight: Tensor | None
    truth: Tensor | None


class Batches:
    """Makes the batch of any step.

    Args:
        run: Settings.
        store: Real slices, or ``None`` for synthetic pairs.
        rank: Of this process, from 0.
        world: Number of processes that share a batch.
        gpu: Whether the batch is made on GPUs. Synthetic pairs then depend on the number of processes.

    Raises:
        ValueError: The batch cannot be shared evenly, or no two slices make a pair.
    """

    def __init__(
        self, run: RunConfiguration, store: SliceStore | None, rank: int = 0, world: int = 1, gpu: bool = False
    ) -> None:
        total = run.optimisation.batch
        self._unit = 1 if store else _group_size(total, world, gpu)
        if total % (self._unit * world):
            raise ValueError(
                f"A batch of {total} cannot be shared by {world} processes in units of {self._unit};"
                f" choose a multiple of {self._unit * world}."
            )
        self._run, self._store, self._rank, self._world = run, store, rank, world
        self._pairing = Pairing(store.records, run.data.pairs) if store else None
        self._augmentations = augmentations(run)

    def draw(self, step: int, device: torch.device) -> Batch:
        """Make this process's share of the batch of a step, in full precision whatever precision the network has."""
        units = self._run.optimisation.batch // self._unit
        numbers = range(step * units + self._rank, (step + 1) * units, self._world)
        with torch.autocast(device.type, enabled=False):
            return self._real(step, numbers, device) if self._store else self._synthetic(numbers, device)

    def _synthetic(self, numbers: range, device: torch.device) -> Batch:
        with _seeded(device), device:
            groups = []
            for number in numbers:
                torch.manual_seed(_seed(self._run.seed, number))
                groups.append(synthesise(self._unit, self._run.synthesis))
        return _from_pairs(groups)

    def _real(self, step: int, numbers: range, device: torch.device) -> Batch:
        assert self._store is not None
        # As small as they are stored until they are on the device.
        parts = (np.stack(part) for part in zip(*(self._store[index] for index in self._choose(numbers)), strict=True))
        images, masks = (torch.from_numpy(part).to(device).float()[:, None] for part in parts)
        total, masked = self._run.optimisation.batch, bool(self._run.data.masks)
        share = Share(total, torch.tensor([number - step * total for number in numbers], device=device))
        with _seeded(device), device if device.type != "cpu" else nullcontext():  # A device costs time in every call.
            torch.manual_seed(_seed(self._run.seed, step))
            pairs = augment(images, masks, self._augmentations, share)
        fixed, moving = pairs.images[0::2], pairs.images[1::2]
        return Batch(fixed, moving, fixed, moving, pairs.masks[0::2] if masked else None, None)

    def _choose(self, numbers: range) -> list[int]:
        """The slices of the pairs of these numbers, fixed and moving in turn."""
        assert self._pairing is not None
        chosen: list[int] = []
        for number in numbers:
            random = np.random.default_rng(_seed(self._run.seed, number))
            first = int(random.integers(len(self._pairing)))
            chosen += (first, int(random.choice(self._pairing.candidates(first))))
        return chosen


def _from_pairs(pairs: list[Pair]) -> Batch:
    def joined(name: str) -> Tensor:
        return torch.cat([getattr(pair, name) for pair in pairs])

    return Batch(
        joined("fixed"),
        joined("moving"),
        joined("hidden_fixed"),
        joined("hidden_moving"),
        joined("weight"),
        joined("displacement"),
    )


def _group_size(total: int, world: int, gpu: bool) -> int:
    """Number of synthetic pairs of a batch that are made at once."""
    if not gpu:
        return math.gcd(total, _GROUP)
    share = max(total // world, 1)
    return share if share <= _GROUP_GPU else math.gcd(share, _GROUP_GPU)


def _seed(seed: int, number: int) -> int:
    return seed * 1_000_000_007 + number


def _seeded(device: torch.device) -> AbstractContextManager[None]:
    """Keep the random state of everything else unchanged."""
    return torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])
