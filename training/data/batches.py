"""What one update learns from; a batch depends on the seed and the number of the step alone, so a run can resume."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from training.configuration import RunConfiguration
from training.data.pairing import Partners
from training.data.store import SliceStore
from training.synthesis.anatomy import smooth_noise
from training.synthesis.synthesis import Pair, bend, synthesise
from UnsupervisedRegistrationLib.core.spatial.deformation import warp

_GROUP = 4  # Synthesised pairs drawn at once, at most; more are hardly faster, fewer are slower,
_GROUP_GPU = 32  # but a GPU, which waits for every operation, draws so many as fast.
_WHOLE = 0.5  # Share of the pairs bent alike that are not bent, as bent images are less sharp than a scanner's.


@dataclass(frozen=True)
class Batch:
    """Pairs to learn from.

    Attributes:
        fixed: ``(B, 1, H, W)``, 0..1, what the network sees.
        moving: Like ``fixed``.
        similar_fixed: ``(B, C, H, W)``, what the similarity compares; the images themselves, or a hidden contrast.
        similar_moving: Like ``similar_fixed``.
        weight: ``(B, 1, H, W)``, the region that counts, or ``None``.
        truth: ``(B, 2, H, W)``, the true displacement in voxels, or ``None``.
        partial: ``(B,)``, of which pairs the network sees less than the similarity, or ``None`` where of none.
    """

    fixed: Tensor
    moving: Tensor
    similar_fixed: Tensor
    similar_moving: Tensor
    weight: Tensor | None
    truth: Tensor | None
    partial: Tensor | None = None


class Batches:
    """Draws the batch of any step.

    Args:
        run: What is learned.
        store: Real slices, or ``None`` for synthesised pairs.
        rank: Of this process, from 0.
        world: How many processes share a batch.
        gpu: Whether it is drawn on GPUs. Then synthesised pairs depend on how many share a batch, otherwise none do.

    Raises:
        ValueError: The batch cannot be shared evenly, or there are no two slices to pair.
    """

    def __init__(
        self, run: RunConfiguration, store: SliceStore | None, rank: int = 0, world: int = 1, gpu: bool = False
    ) -> None:
        total = run.optimisation.batch
        self._unit = 1 if store else _together(total, world, gpu)
        if total % (self._unit * world):
            raise ValueError(
                f"A batch of {total} cannot be shared by {world} processes in units of {self._unit};"
                f" choose a multiple of {self._unit * world}."
            )
        self._run, self._store, self._rank, self._world = run, store, rank, world
        self._partners = Partners(store.records, run.data.pairs) if store else None

    def draw(self, step: int, device: torch.device) -> Batch:
        """This process's share of the batch of a step, in full precision whatever that of the network is."""
        units = self._run.optimisation.batch // self._unit
        numbers = range(step * units + self._rank, (step + 1) * units, self._world)
        with torch.autocast(device.type, enabled=False):
            return self._real(step, numbers, device) if self._store else self._synthesised(numbers, device)

    def _synthesised(self, numbers: range, device: torch.device) -> Batch:
        with _seeded(device), device:
            groups = []
            for number in numbers:
                torch.manual_seed(_seed(self._run.seed, number))
                groups.append(synthesise(self._unit, self._run.synthesis))
        return _from_pairs(groups)

    def _real(self, step: int, numbers: range, device: torch.device) -> Batch:
        assert self._store is not None
        assert self._partners is not None
        chosen: list[int] = []
        for number in numbers:
            random = np.random.default_rng(_seed(self._run.seed, number))
            first = int(random.integers(len(self._partners)))
            chosen += (first, int(random.choice(self._partners.of(first))))
        # As small as they are stored until they are on the device.
        parts = (np.stack(part) for part in zip(*(self._store[index] for index in chosen), strict=True))
        stack = torch.stack([torch.from_numpy(part).to(device).float() for part in parts], dim=1)
        total = self._run.optimisation.batch
        own = torch.tensor([number - step * total for number in numbers], device=device)
        with _seeded(device), device if device.type != "cpu" else nullcontext():  # A device costs time in every call.
            torch.manual_seed(_seed(self._run.seed, step))
            return _varied(stack, self._run, own)


def _varied(stack: Tensor, run: RunConfiguration, own: Tensor) -> Batch:
    """The batch of images with their masks ``(2 * B, 2, H, W)``: pairs mirrored and turned, bent, of varied contrast.

    All is drawn for the whole batch, of which the pairs ``own`` are taken, so that it does not depend on how many
    processes share it.
    """
    total, shape = run.optimisation.batch, run.synthesis.size

    def share(values: Tensor) -> Tensor:
        return values.unflatten(0, (total, -1))[own].flatten(0, 1)

    mirrored = share(per_pair(torch.rand(total))) < 0.5
    gamma = share(per_pair(torch.exp(0.3 * torch.randn(total))))
    bent = bend(2 * total, run.synthesis)
    hidden, alike, whole = (per_pair(torch.rand(total) < part) for part in (run.data.saturated, run.data.alike, _WHOLE))
    if run.data.alike:
        bent = torch.where(alike, bent[0::2].repeat_interleave(2, dim=0) * ~whole, bent)
    if run.data.apart:
        bent = bent + apart(total, run.data.apart)
    stack, bent = torch.where(mirrored, stack.flip(3), stack), share(bent)
    if run.data.turned:
        stack = turned(stack, share(per_pair(torch.randint(4, (total,)))))
    clipped = brightest(stack[:, :1]) if run.data.saturated else None
    stack = warp(stack, bent)
    images, masks = stack[:, :1].clamp(0, 1).pow(gamma), stack[:, 1:2] > 0.5
    if run.data.background_noise:
        images = torch.where(masks, images, share(background(2 * total, shape, run.data.background_noise)))
    images = images * masks if run.data.masks else images
    seen, partial = images, None
    if clipped is not None:  # Taken from the nearest pixel, so that single ones stay.
        seen = torch.where(share(hidden), warp(clipped, bent, "nearest"), images)
        partial = share(hidden)[0::2].flatten()
    weight = masks[0::2].float() if run.data.masks else None
    return Batch(seen[0::2], seen[1::2], images[0::2], images[1::2], weight, None, partial)


def per_pair(values: Tensor) -> Tensor:
    """One value a pair ``(B,)`` for both of its images: ``(2 * B, 1, 1, 1)``."""
    return values.repeat_interleave(2)[:, None, None, None]


def turned(images: Tensor, quarters: Tensor) -> Tensor:
    """Square images ``(B, C, H, H)``, turned by as many quarters of a circle as ``(B, 1, 1, 1)`` says."""
    for quarter in (1, 2):
        images = torch.where(quarters // quarter % 2 > 0, images.rot90(quarter, (2, 3)), images)
    return images


def apart(count: int, reach: float) -> Tensor:
    """Displacements ``(2 * count, 2, 1, 1)`` that shift the second image of half of the pairs, ``reach`` at most."""
    shifts = reach * (2 * torch.rand(count, 2) - 1) * (torch.rand(count, 1) < 0.5)
    return torch.stack([torch.zeros_like(shifts), shifts], dim=1).view(-1, 2, 1, 1)


def brightest(images: Tensor) -> Tensor:
    """1 where an image ``(B, 1, H, W)`` is as bright as it gets; where it was clipped, that is more than a pixel."""
    return (images >= images.amax(dim=(2, 3), keepdim=True)).to(images)


def background(count: int, shape: tuple[int, int], strength: float) -> Tensor:
    """Noise ``(count, 1, H, W)``, part of it as coarse as anatomy is."""
    noise = smooth_noise(count, 1, shape, 6).abs() + 0.5 * torch.randn(count, 1, *shape).abs()
    return (strength * noise).clamp(0, 1)


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


def _together(total: int, world: int, gpu: bool) -> int:
    """How many of the synthesised pairs of a batch are drawn at once."""
    if not gpu:
        return math.gcd(total, _GROUP)
    share = max(total // world, 1)
    return share if share <= _GROUP_GPU else math.gcd(share, _GROUP_GPU)


def _seed(seed: int, number: int) -> int:
    return seed * 1_000_000_007 + number


def _seeded(device: torch.device) -> AbstractContextManager[None]:
    """Leaves the random numbers of everything else alone."""
    return torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])
