"""Optimises the displacement of one pair, from what the network found."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from .deformation import compose, exponentiate, resize_displacement, sample_at, warp
from .estimate import Deformation
from .grid import ImageGrid
from .losses import diffusion, edge_aware_smoothness, local_ncc, mind
from .measures import folding
from .preprocessing import PreparedPair

_SQUARINGS = 5
_SIMILARITIES = {"local_ncc": local_ncc, "mind": mind}
_SAME_CONTRAST = 0.3  # Correlation of the intensities above which both images are taken to show the same contrast.
_RATE = 0.4  # Voxels of the level that a step of Adam goes at most.
_WEAKER = (1.0, 0.95, 0.9, 0.8, 0.6, 0.4, 0.2)


@dataclass(frozen=True)
class Refinement:
    """How one pair is refined.

    Attributes:
        similarity: What is maximised; ``"auto"`` takes ``"local_ncc"`` for images of the same contrast, and
            ``"mind"`` for others.
        smoothness: Of the displacement.
        smoothness_weight: The larger, the stiffer.
        iterations: Steps of Adam at each of the levels, coarse to fine.
        seconds: After this time no further step is taken.
        landmark_weight: Of the mean squared distance of the landmarks in mm.
    """

    similarity: Literal["auto", "local_ncc", "mind"] = "auto"
    smoothness: Literal["diffusion", "edge_aware"] = "diffusion"
    smoothness_weight: float = 1.0
    iterations: tuple[int, ...] = (15, 25)
    seconds: float = 10.0
    landmark_weight: float = 0.1

    def __post_init__(self) -> None:
        if self.similarity not in ("auto", *_SIMILARITIES) or self.smoothness not in ("diffusion", "edge_aware"):
            raise ValueError(
                f"A refinement knows the similarities auto, {', '.join(_SIMILARITIES)} and the smoothness diffusion or"
                f" edge_aware, not {self.similarity} and {self.smoothness}."
            )
        if not self.iterations or min(self.iterations) < 0 or not self.seconds > 0 or self.smoothness_weight < 0:
            raise ValueError(f"A refinement needs iterations, a time above 0 and a weight of 0 or more: {self}.")


@dataclass(frozen=True)
class LandmarkPairs:
    """Corresponding points.

    Attributes:
        fixed: ``(N, d)``, voxels of the fixed grid, array order.
        moving: Where they are in the moving image, in voxels of the same grid.
    """

    fixed: Tensor
    moving: Tensor

    def __post_init__(self) -> None:
        if self.fixed.shape != self.moving.shape or self.fixed.ndim != 2 or not len(self.fixed):
            raise ValueError(
                f"Landmarks come as two lists of as many points, not {tuple(self.fixed.shape)} and"
                f" {tuple(self.moving.shape)}."
            )
        if not bool(torch.isfinite(self.fixed).all() and torch.isfinite(self.moving).all()):
            raise ValueError("A landmark has a position that is no finite number; place it again.")

    def on_grid(self, old: tuple[int, ...], new: tuple[int, ...]) -> LandmarkPairs:
        """The same points in voxels of a grid of another shape over the same extent."""
        scale = torch.tensor([n / o for n, o in zip(new, old, strict=True)], dtype=self.fixed.dtype)
        fixed, moving = ((points + 0.5) * scale.to(points.device) - 0.5 for points in (self.fixed, self.moving))
        return LandmarkPairs(fixed, moving)

    def distances(self, displacement: Tensor, spacing: Tensor) -> Tensor:
        """``|p + u(p) - q|`` of each pair, ``(N,)`` mm, for a displacement on the grid of the points."""
        at_points = sample_at(displacement, self.fixed)
        return ((self.fixed + at_points - self.moving) * spacing).norm(dim=1)


def refine(
    pair: PreparedPair,
    start: Deformation,
    settings: Refinement,
    grid: ImageGrid,
    landmarks: LandmarkPairs | None = None,
    progress: Callable[[float], None] | None = None,
) -> Deformation:
    """Adam on a residual velocity, coarse to fine, composed with what was found before.

    Args:
        pair: One prepared pair.
        start: Of the network.
        settings: Similarity, smoothness, time.
        grid: The images came on.
        landmarks: In working voxels.
        progress: Told the share of the work done; what it raises ends the refinement.

    Returns:
        Displacements like ``start``; they fold nowhere where ``start`` does not.
    """
    clock = _Budget(settings, progress)
    velocity = torch.zeros_like(start[0][..., ::2, ::2] if start[0].ndim == 4 else start[0][..., ::2, ::2, ::2])
    for level, count in enumerate(settings.iterations):
        factor = 2 ** (len(settings.iterations) - level)
        velocity = _descend(_Level(pair, start[0], factor, grid, settings, landmarks), velocity, count, clock)
    return _composed(start, velocity)


class _Budget:
    """Counts the steps of Adam and stops them when the time is over."""

    def __init__(self, settings: Refinement, progress: Callable[[float], None] | None) -> None:
        self._end = time.perf_counter() + settings.seconds
        self._total, self._done, self._progress = max(sum(settings.iterations), 1), 0, progress

    def over(self) -> bool:
        """Whether to stop before the next step; tells the callback."""
        if self._progress:
            self._progress(min(self._done / self._total, 1.0))
        self._done += 1
        return time.perf_counter() > self._end


class _Level:
    """The loss at one resolution.

    Args:
        pair: At the working resolution.
        start: Displacement that is refined.
        factor: Working voxels in a voxel of this level.
    """

    def __init__(
        self,
        pair: PreparedPair,
        start: Tensor,
        factor: int,
        grid: ImageGrid,
        settings: Refinement,
        landmarks: LandmarkPairs | None,
    ) -> None:
        self.shape = tuple(size // factor for size in pair.fixed.shape[2:])
        self.fixed, self.moving = (F.interpolate(image, self.shape, mode="area") for image in (pair.fixed, pair.moving))
        self.start = resize_displacement(start, self.shape)
        weight = pair.weight(start)
        self._weight = None if weight is None else F.interpolate(weight, self.shape, mode="area")
        self._settings = settings
        self._landmarks = None if landmarks is None else landmarks.on_grid(tuple(pair.fixed.shape[2:]), self.shape)
        self._spacing = factor * torch.tensor(pair.spacing(grid), device=start.device)
        self._compare = _SIMILARITIES[_similarity_for(settings, warp(self.moving, self.start), self.fixed)]

    def loss(self, velocity: Tensor) -> Tensor:
        """Of the start followed by the flow of a velocity ``(1, d, *spatial)`` on any grid."""
        residual = resize_displacement(exponentiate(velocity, _SQUARINGS), self.shape)
        total = compose(self.start, residual)
        loss = self._compare(warp(self.moving, total), self.fixed, self._weight)
        smoothness = (
            diffusion(total) if self._settings.smoothness == "diffusion" else edge_aware_smoothness(total, self.fixed)
        )
        loss = loss + self._settings.smoothness_weight * smoothness
        if self._landmarks is not None:
            distances = self._landmarks.distances(total, self._spacing)
            loss = loss + self._settings.landmark_weight * distances.square().mean()
        return loss


def _descend(level: _Level, velocity: Tensor, count: int, clock: _Budget) -> Tensor:
    velocity = resize_displacement(velocity, level.shape).requires_grad_()
    optimiser = torch.optim.Adam([velocity], lr=_RATE)
    for _ in range(count):
        if clock.over():
            break
        with torch.enable_grad():
            loss = level.loss(velocity)
        (velocity.grad,) = torch.autograd.grad(loss, velocity)
        optimiser.step()
    return velocity.detach()


def _composed(start: Deformation, velocity: Tensor) -> Deformation:
    """Start followed by the flow of the velocity, made weaker until it folds nowhere where the start does not."""
    shape = tuple(start[0].shape[2:])
    allowed = folding(start[0].cpu())
    for weaker in _WEAKER:
        ways = (weaker * velocity, -weaker * velocity)
        step, back = (resize_displacement(exponentiate(way, _SQUARINGS + 1), shape) for way in ways)
        outcome = compose(start[0], step), compose(back, start[1])
        if folding(outcome[0].cpu()) <= allowed:
            return outcome
    return start


def _similarity_for(settings: Refinement, warped: Tensor, fixed: Tensor) -> str:
    if settings.similarity != "auto":
        return settings.similarity
    both = torch.stack([warped.flatten(), fixed.flatten()])
    return "local_ncc" if float(torch.corrcoef(both)[0, 1]) > _SAME_CONTRAST else "mind"
