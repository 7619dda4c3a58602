"""Improves the displacement of one pair, from what the network found."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ..images.crop import PreparedPair
from ..similarity.forces import AnyContrast, Force, SameContrast
from ..similarity.intensity_mapping import AIR, IntensityMapping, is_sparse_binary, unexplained_variance
from ..spatial.deformation import compose, invert, resize_displacement, warp
from ..spatial.filters import gaussian
from ..spatial.folding import repair_folds
from ..spatial.grid import ImageGrid
from .landmark_constraint import LandmarkPairs, LandmarkPull
from .prediction import Deformation

_FORCES: dict[str, Callable[[Tensor], Force]] = {"local_ncc": SameContrast, "mind": AnyContrast}
_DIFFERENT = 1.5  # Contrasts differ if the images do by so many times the squared difference that one contrast leaves.
_STEP = 1.0  # Voxels of the level that the first step goes where it goes furthest.
_FLUID = 1.0  # Standard deviation of the Gaussian that smooths every step, voxels of the level.
_DIFFUSION = 0.04  # Of the displacement in every step, at a smoothness weight of 1.
_STILL = 0.1  # Share of the longest step at which a level has converged.
_WEAK = 1.0  # Force, of 10 or so usually, below which steps are shorter.
_EQUAL = 0.5 / 255  # Difference of the intensities below which no voxel needs a step.
_PAYS = (
    0.8  # A coarser level has to leave less than this share of what stays unexplained_variance without it, in the end,
)
_HOPELESS = 2.0  # and not more than so many times it at first.
_COARSEST = 16  # Voxels on the shortest side of a level.
_SPARE = 0.75  # Share of the time; with less left no coarser level is tried.


@dataclass(frozen=True)
class Refinement:
    """How one pair is refined.

    Attributes:
        similarity: What is maximised; ``"auto"`` takes ``"local_ncc"``, local correlation with squared differences,
            for images of the same contrast or that can be brought to it, and ``"mind"`` for others.
        smoothness: Of the displacement; ``"edge_aware"`` spares the edges of the fixed image.
        smoothness_weight: The larger, the stiffer.
        iterations: Steps at each of the levels, each twice as fine as the one before, the last at the working
            resolution; most levels end earlier. Coarser levels of as many steps as the first come before it where
            they pay, as where the network has found little.
        seconds: After this time no further step is taken.
        landmark_weight: Share of its distance that a landmark closes in a step, 0..1.
    """

    similarity: Literal["auto", "local_ncc", "mind"] = "auto"
    smoothness: Literal["diffusion", "edge_aware"] = "diffusion"
    smoothness_weight: float = 1.0
    iterations: tuple[int, ...] = (25, 45)
    seconds: float = 10.0
    landmark_weight: float = 0.3

    def __post_init__(self) -> None:
        if self.similarity not in ("auto", *_FORCES) or self.smoothness not in ("diffusion", "edge_aware"):
            raise ValueError(
                f"A refinement knows the similarities auto, {', '.join(_FORCES)} and the smoothness diffusion or"
                f" edge_aware, not {self.similarity} and {self.smoothness}."
            )
        if not self.iterations or min(self.iterations) < 0 or not self.seconds > 0 or self.smoothness_weight < 0:
            raise ValueError(f"A refinement needs iterations, a time above 0 and a weight of 0 or more: {self}.")
        if not 0 <= self.landmark_weight <= 1:
            raise ValueError(f"The weight of the landmarks is a share from 0 to 1, not {self.landmark_weight}.")


def refine(
    pair: PreparedPair,
    start: Deformation,
    settings: Refinement,
    grid: ImageGrid,
    landmarks: LandmarkPairs | None = None,
    progress: Callable[[float], None] | None = None,
) -> Deformation:
    """Climbs the similarity by small smooth steps, each followed by the next, at half the resolution and at the whole.

    Every step is the smoothed force of the similarity, no longer than a voxel, and is composed with what was there,
    so the whole stays invertible however far it goes; a little diffusion of the displacement keeps it regular.
    Coarser levels lead away from what a network finds on images of the kind that it knows, and further on others: they
    are tried, and come first if the images then tell more of each other. For images of specks half the resolution is
    one of these, as specks turn grey there.

    Args:
        pair: One prepared pair.
        start: Of the network, best of two looks.
        settings: Similarity, smoothness, time.
        grid: The images came on.
        landmarks: In working voxels.
        progress: Told the share of the work done; what it raises ends the refinement.

    Returns:
        Displacements like ``start`` that fold nowhere; ``start`` itself if no time or no such displacement is left.

    Source:
        Greedy form of Avants et al., Symmetric diffeomorphic image registration with cross-correlation, MedIA 2008;
        Yushkevich et al., Fast automatic segmentation of hippocampal subfields, Alzheimer's & Dementia 2016.
    """
    if is_sparse_binary(pair.fixed) or is_sparse_binary(pair.moving):
        settings = replace(settings, iterations=settings.iterations[-1:])
    clock = _Budget(settings, progress)
    if clock.over():
        return start
    if settings.similarity == "auto":
        settings = replace(settings, similarity=_similarity_of(pair, start[0]))
    ascent = _Ascent(pair, settings, grid, landmarks, clock)
    displacement = ascent.finer(ascent.from_as_coarse_as_pays(start[0]))
    forward = resize_displacement(displacement, tuple(pair.fixed.shape[2:]))
    if landmarks is not None:
        forward = LandmarkPull(landmarks, forward, pair.spacing(grid)).reach(forward, settings.landmark_weight)
    mended = repair_folds(forward)
    return start if mended is None else (mended, invert(mended))


class _Ascent:
    """The climb through the levels."""

    def __init__(
        self,
        pair: PreparedPair,
        settings: Refinement,
        grid: ImageGrid,
        landmarks: LandmarkPairs | None,
        clock: _Budget,
    ) -> None:
        self._pair, self._settings, self._grid, self._landmarks, self._clock = pair, settings, grid, landmarks, clock
        self._factor = 2 ** (len(settings.iterations) - 1)
        deepest = int(math.log2(min(pair.fixed.shape[2:]) / (_COARSEST * self._factor)))
        self._coarser = max(deepest, 0) if landmarks is None else 0  # Landmarks lead as far by themselves.
        self._clock.expect(settings.iterations[0] * sum(range(2, self._coarser + 2)))

    def from_as_coarse_as_pays(self, start: Tensor) -> Tensor:
        """The displacement after the first level of the settings, which may be reached by way of coarser ones."""
        count, *rest = self._settings.iterations
        best = self._climbed(start, self._factor, count)
        for number in range(1, self._coarser + 1):
            if self._clock.short():
                break
            left = unexplained_variance(*_seen(self._pair, best))
            found = self._climbed(start, self._factor * 2**number, count)
            if unexplained_variance(*_seen(self._pair, found)) > _HOPELESS * left:
                break
            for times in reversed(range(number)):
                found = self._climbed(found, self._factor * 2**times, count)
            if not unexplained_variance(*_seen(self._pair, found)) < _PAYS * left:
                break
            best = found
        self._clock.leave(sum(rest))
        return best

    def finer(self, displacement: Tensor) -> Tensor:
        """The displacement after all other levels."""
        factor = self._factor
        for count in self._settings.iterations[1:]:
            factor //= 2
            displacement = self._climbed(displacement, factor, count)
        return displacement

    def _climbed(self, start: Tensor, factor: int, count: int) -> Tensor:
        pair = self._pair if self._settings.similarity == "mind" else _in_one_contrast(self._pair, start)
        return _Level(pair, start, factor, self._grid, self._settings, self._landmarks).climb(count, self._clock)


class _Budget:
    """Counts the steps and stops them when the time is over."""

    def __init__(self, settings: Refinement, progress: Callable[[float], None] | None) -> None:
        self._seconds, self._end = settings.seconds, time.perf_counter() + settings.seconds
        self._total, self._done, self._progress = max(sum(settings.iterations), 1), 0, progress

    def expect(self, count: int) -> None:
        """So many further steps may come."""
        self._total += count

    def leave(self, count: int) -> None:
        """No more than so many are left."""
        self._done = max(self._done, self._total - count)

    def short(self) -> bool:
        """Whether the time that is left is better spent on what has to be done."""
        return self._end - time.perf_counter() < _SPARE * self._seconds

    def over(self) -> bool:
        """Whether to stop before the next step; tells the callback."""
        self._tell()
        self._done += 1
        return time.perf_counter() > self._end

    def skip(self, count: int) -> None:
        """Steps that are not needed count as done; tells the callback."""
        self._done += count
        self._tell()

    def _tell(self) -> None:
        if self._progress:
            self._progress(min(self._done / self._total, 1.0))


class _Level:
    """The climb at one resolution.

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
        settings: Refinement,
        landmarks: LandmarkPairs | None,
    ) -> None:
        full = tuple(pair.fixed.shape[2:])
        shape = tuple(size // factor for size in full)
        self._fixed, self._moving = (_coarse(image, shape) for image in (pair.fixed, pair.moving))
        self._start = resize_displacement(start, shape)
        weight = pair.weight(resize_displacement(start, full)) if pair.moving_mask is not None else pair.mask
        self._weight = None if weight is None else _coarse(weight, shape)
        self._diffuse = _diffusion(self._fixed, settings)
        self._force = _FORCES[settings.similarity](self._fixed)
        spacing = tuple(factor * step for step in pair.spacing(grid))
        self._pull = None if landmarks is None else LandmarkPull(landmarks.on_grid(full, shape), self._start, spacing)
        self._closing = settings.landmark_weight

    def climb(self, count: int, clock: _Budget) -> Tensor:
        """The displacement after at most ``count`` steps; fewer once they have become short."""
        displacement, longest = self._start, 0.0
        for number in range(count):
            if clock.over():
                break
            warped = warp(self._moving, displacement)
            equal = float((warped - self._fixed).abs().max()) < _EQUAL
            force = self._pulling(warped)
            length = float(force.square().sum(dim=1).amax().sqrt())
            longest = max(longest, length)
            if (equal or length <= _STILL * longest) and self._pull is None:
                clock.skip(count - number - 1)
                break
            displacement = self._step(displacement, force * (_STEP / max(longest, _WEAK)))
        return displacement

    def _pulling(self, warped: Tensor) -> Tensor:
        """Smoothed force on every voxel, ``(1, d, *spatial)``."""
        gradient = torch.stack(torch.gradient(warped[:, 0], dim=list(range(1, warped.ndim - 1))), dim=1)
        return gaussian(self._force(warped, self._weight) * gradient, _FLUID)

    def _step(self, displacement: Tensor, step: Tensor) -> Tensor:
        if self._pull is not None:
            step = step + self._pull.step(displacement, self._closing)
        return self._diffuse(compose(displacement, step))


def _in_one_contrast(pair: PreparedPair, displacement: Tensor) -> PreparedPair:
    """The pair, one image in the greys of the other, where that tells much more.

    The mapped image loses contrast where they do not match yet, so images that look the same already stay as they are.
    """
    greys = IntensityMapping(*_seen(pair, displacement))
    fixed, moving = greys.match(pair.fixed, pair.moving)
    mapped = replace(pair, fixed=fixed, moving=moving)
    less = _left(*_seen(pair, displacement)) > _DIFFERENT * _left(*_seen(mapped, displacement))
    return mapped if less and greys.informative else pair


def _seen(pair: PreparedPair, displacement: Tensor) -> tuple[Tensor, Tensor]:
    """The fixed image and the moving one, warped by a displacement on any grid; black where they do not count."""
    whole = resize_displacement(displacement, tuple(pair.fixed.shape[2:]))
    fixed, warped, weight = pair.fixed, warp(pair.moving, whole), pair.weight(whole)
    return (fixed, warped) if weight is None else (fixed * weight, warped * weight)


def _left(fixed: Tensor, warped: Tensor) -> float:
    """Squared difference as a share of the variance of the fixed image."""
    return float((warped - fixed).square().mean() / fixed.var().clamp_min(1e-12))


def _coarse(image: Tensor, shape: tuple[int, ...]) -> Tensor:
    return image if tuple(image.shape[2:]) == shape else F.interpolate(image, shape, mode="area")


def _diffusion(fixed: Tensor, settings: Refinement) -> Callable[[Tensor], Tensor]:
    """Explicit steps of the diffusion of a displacement, less across edges of the fixed image if so wanted."""
    dimension = fixed.ndim - 2
    total = _DIFFUSION * settings.smoothness_weight
    steps = math.ceil(total * 2 * dimension / 0.8)  # Stable below 1 / (2 * dimension) each.
    share = total / max(steps, 1)
    conductance = [share * _conductance(fixed, axis, settings.smoothness) for axis in range(2, fixed.ndim)]

    def diffuse(displacement: Tensor) -> Tensor:
        for _ in range(steps):
            change = torch.zeros_like(displacement)
            for axis, conducted in enumerate(conductance, start=2):
                size, flow = displacement.shape[axis] - 1, displacement.diff(dim=axis) * conducted
                change.narrow(axis, 0, size).add_(flow)
                change.narrow(axis, 1, size).sub_(flow)
            displacement = displacement + change
        return displacement

    return diffuse


def _conductance(fixed: Tensor, axis: int, smoothness: str) -> Tensor:
    step = fixed.diff(dim=axis)
    return torch.exp(-10 * step.abs()) if smoothness == "edge_aware" else torch.ones_like(step)


def _similarity_of(pair: PreparedPair, displacement: Tensor) -> Literal["local_ncc", "mind"]:
    """Local correlation where bright tissue lies on bright tissue, once both images have one contrast if they can."""
    both = torch.stack([image.flatten() for image in _seen(_in_one_contrast(pair, displacement), displacement)])
    tissue = both[:, (both > AIR).all(dim=0)]
    return "local_ncc" if min(_correlation(both), _correlation(tissue)) > 0 else "mind"


def _correlation(both: Tensor) -> float:
    """Of two rows; 1 where one of them does not vary."""
    found = torch.corrcoef(both)[0, 1] if both.shape[1] > 1 else both.new_tensor(torch.nan)
    return float(found.nan_to_num(1.0))
