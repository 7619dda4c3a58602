"""Corresponding points, and how they pull a displacement towards them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..spatial.deformation import compose, sample_at
from ..spatial.folding import folded_cells
from .plan import LANDMARK_REACH, LANDMARK_STEPS, LANDMARK_WEIGHT, LONGEST_PULL, REACHED_MM


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


class LandmarkConstraint:
    """Bumps around the landmarks that carry each towards its partner.

    Args:
        landmarks: In voxels of the grid.
        like: Displacement on that grid.
        spacing: mm of a voxel of it.
    """

    def __init__(self, landmarks: LandmarkPairs, like: Tensor, spacing: tuple[float, ...]) -> None:
        self._landmarks = LandmarkPairs(landmarks.fixed.to(like), landmarks.moving.to(like))
        self._spacing = torch.tensor(spacing, dtype=like.dtype, device=like.device)
        reach = max(max(like.shape[2:]) * LANDMARK_REACH, 1.5)
        axes = [torch.arange(size, dtype=like.dtype, device=like.device) for size in like.shape[2:]]
        places = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).flatten(0, -2)
        points = self._landmarks.fixed
        self._bumps = torch.exp(-torch.cdist(places, points).square() / (2 * reach**2))
        among = torch.exp(-torch.cdist(points, points).square() / (2 * reach**2))
        ridge = 1e-2 * torch.eye(len(points), dtype=like.dtype, device=like.device)  # Points may lie side by side.
        self._solve = torch.linalg.inv(among + ridge)

    def step(self, displacement: Tensor, share: float) -> Tensor:
        """A smooth step, a voxel at most, that closes that share of the distance of every pair."""
        points = self._landmarks.fixed
        missing = self._landmarks.moving - points - sample_at(displacement, points)
        step = (self._bumps @ (self._solve @ (share * missing))).T.view_as(displacement)
        longest = step.square().sum(dim=1).amax().sqrt()
        return step * (LONGEST_PULL / longest.clamp_min(LONGEST_PULL))

    def reach(self, displacement: Tensor, share: float) -> Tensor:
        """Goes on with the landmarks alone until they are reached or the next step would fold."""
        for _ in range(LANDMARK_STEPS if share else 0):
            if float(self._landmarks.distances(displacement, self._spacing).max()) < REACHED_MM:
                break
            step = self.step(displacement, share)
            further = compose(displacement, step)
            if bool(folded_cells(further).any()) and not bool(folded_cells(displacement).any()):
                break
            displacement = further
        return displacement


def leave_one_out_errors(landmarks: LandmarkPairs, displacement: Tensor, spacing: tuple[float, ...]) -> Tensor:
    """Distance at each landmark, ``(N,)`` mm, after the others alone have pulled the displacement.

    A landmark that steers is reached by construction, so its own distance is no evidence; this one is.

    Args:
        landmarks: In voxels of the displacement's grid.
        displacement: ``(1, d, *spatial)`` voxels, found without landmarks.
        spacing: mm of a voxel along each axis.
    """
    count, errors = len(landmarks.fixed), []
    for left_out in range(count):
        others = [number for number in range(count) if number != left_out]
        led = displacement
        if others:
            kept = LandmarkPairs(landmarks.fixed[others], landmarks.moving[others])
            led = LandmarkConstraint(kept, displacement, spacing).reach(displacement, LANDMARK_WEIGHT)
        one = LandmarkPairs(landmarks.fixed[[left_out]], landmarks.moving[[left_out]])
        errors.append(one.distances(led, torch.tensor(spacing)))
    return torch.cat(errors)
