"""Improves the deformation of one pair by optimisation, from what the network predicted."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ..images.crop import PreparedPair
from ..similarity.forces import AnyContrast, Force, SameContrast
from ..similarity.intensity_mapping import AIR, IntensityMapping, contrast_differs, unexplained_variance
from ..spatial.deformation import Mapping, compose, invert, resize_displacement, warp
from ..spatial.filters import diffused, gaussian
from ..spatial.folding import repair_folds
from ..spatial.grid import ImageGrid
from .landmark_constraint import LandmarkConstraint, LandmarkPairs
from .plan import (
    COARSEST_VOXELS,
    CONVERGED,
    DIFFERENT_RATIO,
    DIFFUSION,
    EQUAL,
    FIRST_STEP_VOXELS,
    LANDMARK_WEIGHT,
    MAX_UNEXPLAINED,
    MAX_WORSENING,
    MIN_GAIN,
    STEP_SIGMA,
    WEAK_FORCE,
    OptimisationPlan,
)

_FORCES: dict[str, Callable[[Tensor], Force]] = {"local_ncc": SameContrast, "mind": AnyContrast}


def optimise(
    pair: PreparedPair,
    start: Mapping,
    plan: OptimisationPlan,
    grid: ImageGrid,
    landmarks: LandmarkPairs | None = None,
    progress: Callable[[float], None] | None = None,
) -> tuple[Mapping, bool]:
    """Maximises the similarity of one pair by small smooth steps, from coarse to fine.

    Every step is the smoothed force of the similarity, at most one voxel long, and is composed with the displacement so
    far, so the deformation stays invertible however far it goes. A little diffusion keeps the displacement regular.

    Args:
        pair: One prepared pair.
        start: Predicted by the network.
        plan: Similarity, smoothness, levels.
        grid: The images came on.
        landmarks: In working voxels; they pull the displacement.
        progress: Told the share of the work done; what it raises ends the optimisation.

    Returns:
        A mapping like ``start`` without folds (``start`` itself if there is none), and whether the time limit struck.

    Source:
        Greedy form of Avants et al., Symmetric diffeomorphic image registration with cross-correlation, MedIA 2008;
        Yushkevich et al., Fast automatic segmentation of hippocampal subfields, Alzheimer's & Dementia 2016.
    """
    steps = _Steps(plan, progress)
    if plan.similarity == "auto":
        plan = replace(plan, similarity=_similarity_of(pair, start.forward))
    optimiser = _MultiResolutionOptimiser(pair, plan, grid, landmarks, steps)
    displacement = optimiser.finer(optimiser.coarse(start.forward))
    forward = resize_displacement(displacement, tuple(pair.fixed.shape[2:]))
    if landmarks is not None:
        forward = LandmarkConstraint(landmarks, forward, pair.spacing(grid)).reach(forward, LANDMARK_WEIGHT)
    repaired = repair_folds(forward)
    return (start if repaired is None else Mapping(repaired, invert(repaired))), steps.struck


class _MultiResolutionOptimiser:
    """Runs the levels, each twice as fine as the one before."""

    def __init__(
        self,
        pair: PreparedPair,
        plan: OptimisationPlan,
        grid: ImageGrid,
        landmarks: LandmarkPairs | None,
        steps: _Steps,
    ) -> None:
        self._pair, self._plan, self._grid, self._landmarks, self._steps = pair, plan, grid, landmarks, steps
        self._factor = 2 ** (len(plan.iterations) - 1)
        deepest = int(math.log2(min(pair.fixed.shape[2:]) / (COARSEST_VOXELS * self._factor)))
        tried = plan.coarser_levels and landmarks is None  # Landmarks lead as far by themselves.
        self._coarser = max(deepest, 0) if tried else 0
        self._steps.expect(plan.iterations[0] * sum(range(2, self._coarser + 2)))

    def coarse(self, start: Tensor) -> Tensor:
        """The displacement after the first level, which is reached by way of coarser ones where they gain enough."""
        count, *rest = self._plan.iterations
        best = self._optimised(start, self._factor, count)
        for number in range(1, self._coarser + 1):
            left = unexplained_variance(*_aligned(self._pair, best))
            found = self._optimised(start, self._factor * 2**number, count)
            if unexplained_variance(*_aligned(self._pair, found)) > MAX_WORSENING * left:
                break
            for times in reversed(range(number)):
                found = self._optimised(found, self._factor * 2**times, count)
            if not unexplained_variance(*_aligned(self._pair, found)) < MIN_GAIN * left:
                break
            best = found
        self._steps.leave(sum(rest))
        return best

    def finer(self, displacement: Tensor) -> Tensor:
        """The displacement after all other levels."""
        factor = self._factor
        for count in self._plan.iterations[1:]:
            factor //= 2
            displacement = self._optimised(displacement, factor, count)
        return displacement

    def _optimised(self, start: Tensor, factor: int, count: int) -> Tensor:
        pair = self._pair if self._plan.similarity == "mind" else _in_matched_intensities(self._pair, start)
        return _Level(pair, start, factor, self._grid, self._plan, self._landmarks).optimise(count, self._steps)


class _Steps:
    """Counts the steps, tells the progress, and stops at the time limit."""

    def __init__(self, plan: OptimisationPlan, progress: Callable[[float], None] | None) -> None:
        self._end, self.struck = time.perf_counter() + plan.time_limit, False
        self._total, self._done, self._progress = max(sum(plan.iterations), 1), 0, progress

    def expect(self, count: int) -> None:
        """So many further steps may come."""
        self._total += count

    def leave(self, count: int) -> None:
        """No more than so many are left."""
        self._done = max(self._done, self._total - count)

    def over(self) -> bool:
        """Whether to stop before the next step; tells the callback."""
        self._tell()
        self._done += 1
        self.struck |= time.perf_counter() > self._end
        return self.struck

    def skip(self, count: int) -> None:
        """Steps that are not needed count as done; tells the callback."""
        self._done += count
        self._tell()

    def _tell(self) -> None:
        if self._progress:
            self._progress(min(self._done / self._total, 1.0))


class _Level:
    """The optimisation at one resolution.

    Args:
        pair: At the working resolution.
        start: Displacement that is refined, on any grid.
        factor: Working voxels in a voxel of this level.
    """

    def __init__(
        self,
        pair: PreparedPair,
        start: Tensor,
        factor: int,
        grid: ImageGrid,
        plan: OptimisationPlan,
        landmarks: LandmarkPairs | None,
    ) -> None:
        full = tuple(pair.fixed.shape[2:])
        shape = tuple(size // factor for size in full)
        self._fixed, self._moving = (_coarse(image, shape) for image in (pair.fixed, pair.moving))
        self._start = resize_displacement(start, shape)
        weight = pair.weight(resize_displacement(start, full))
        self._weight = None if weight is None else _coarse(weight, shape)
        self._diffusion = DIFFUSION * plan.smoothness_weight
        self._force = _FORCES[plan.similarity](self._fixed)
        spacing = tuple(factor * step for step in pair.spacing(grid))
        self._constraint = (
            None if landmarks is None else LandmarkConstraint(landmarks.on_grid(full, shape), self._start, spacing)
        )

    def optimise(self, count: int, steps: _Steps) -> Tensor:
        """The displacement after at most ``count`` steps; fewer once they have become short."""
        displacement, longest = self._start, 0.0
        for number in range(count):
            if steps.over():
                break
            warped = warp(self._moving, displacement)
            equal = float((warped - self._fixed).abs().max()) < EQUAL
            force = self._smoothed_force(warped)
            length = float(force.square().sum(dim=1).amax().sqrt())
            longest = max(longest, length)
            if (equal or length <= CONVERGED * longest) and self._constraint is None:
                steps.skip(count - number - 1)
                break
            displacement = self._step(displacement, force * (FIRST_STEP_VOXELS / max(longest, WEAK_FORCE)))
        return displacement

    def _smoothed_force(self, warped: Tensor) -> Tensor:
        """Smoothed force on every voxel, ``(1, d, *spatial)``."""
        gradient = torch.stack(torch.gradient(warped[:, 0], dim=list(range(1, warped.ndim - 1))), dim=1)
        return gaussian(self._force(warped, self._weight) * gradient, STEP_SIGMA)

    def _step(self, displacement: Tensor, step: Tensor) -> Tensor:
        if self._constraint is not None:
            step = step + self._constraint.step(displacement, LANDMARK_WEIGHT)
        return diffused(compose(displacement, step), self._diffusion)


def _in_matched_intensities(pair: PreparedPair, displacement: Tensor) -> PreparedPair:
    """The pair, one image in the contrast of the other, where the contrasts differ.

    The mapped image loses contrast where they do not match yet, so images that look the same already stay as they are.
    """
    aligned = _aligned(pair, displacement)
    if not contrast_differs(*aligned, DIFFERENT_RATIO):
        return pair
    mapping = IntensityMapping(*aligned)
    if mapping.left >= MAX_UNEXPLAINED:
        return pair
    fixed, moving = mapping.match(pair.fixed, pair.moving)
    return replace(pair, fixed=fixed, moving=moving)


def _aligned(pair: PreparedPair, displacement: Tensor) -> tuple[Tensor, Tensor]:
    """The fixed image and the moving one, warped by a displacement on any grid; black where they do not count."""
    whole = resize_displacement(displacement, tuple(pair.fixed.shape[2:]))
    fixed, warped, weight = pair.fixed, warp(pair.moving, whole), pair.weight(whole)
    return (fixed, warped) if weight is None else (fixed * weight, warped * weight)


def _coarse(image: Tensor, shape: tuple[int, ...]) -> Tensor:
    return image if tuple(image.shape[2:]) == shape else F.interpolate(image, shape, mode="area")


def _similarity_of(pair: PreparedPair, displacement: Tensor) -> Literal["local_ncc", "mind"]:
    """Local correlation where bright tissue lies on bright tissue, once both images have one contrast if they can."""
    both = torch.stack(
        [image.flatten() for image in _aligned(_in_matched_intensities(pair, displacement), displacement)]
    )
    tissue = both[:, (both > AIR).all(dim=0)]
    return "local_ncc" if min(_correlation(both), _correlation(tissue)) > 0 else "mind"


def _correlation(both: Tensor) -> float:
    """Of two rows; 1 where one of them does not vary."""
    found = torch.corrcoef(both)[0, 1] if both.shape[1] > 1 else both.new_tensor(torch.nan)
    return float(found.nan_to_num(1.0))
