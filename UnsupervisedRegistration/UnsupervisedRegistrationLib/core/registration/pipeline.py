"""The one path of a registration: a pair, a batch, Live, evaluation and benchmark all call ``run``."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ..images.crop import PreparedPair, prepare
from ..images.preprocessing import resample
from ..models.model_file import Model
from ..spatial.deformation import Mapping, warp
from ..spatial.folding import folding, repair_folds
from ..spatial.grid import ImageGrid
from .device import resolve_device, to_device
from .image_pair import (
    ImagePair,
    ImageSource,
    check_images,
    middle_pair,
    mutual_information,
    outside_mask,
    registrable_pairs,
)
from .instance_optimisation import optimise
from .landmark_constraint import leave_one_out_errors
from .model_trial import choose_by_trial
from .options import RegistrationOptions
from .plan import MEASURED_PAIRS, PAIRS_AT_ONCE, PAIRS_AT_ONCE_GPU, Plan, make_plan
from .prealignment import align_in_plane
from .prediction import match_intensities, predict
from .result import Cancelled as Cancelled
from .result import Clock, Progress, RegistrationResult
from .stack_smoothing import smooth_along_stack
from .uncertainty import expected_error


def prealign(source: ImageSource, options: RegistrationOptions) -> ImagePair:
    """The images, aligned in the plane as the options say."""
    kind = options.prealignment if options.transform == "deformable" else options.transform
    if kind == "none":
        return source.sample(None)
    matrix, sentence = align_in_plane(source.fixed_slice, source.moving_slice, kind, source.mask)
    moved = None if np.array_equal(matrix, np.eye(4)) else matrix
    images = source.sample(moved)
    return replace(images, prealignment=moved, notes=(*images.notes, sentence))


@dataclass(frozen=True)
class Part:
    """Pairs that go through the network together.

    Attributes:
        indices: In the batch.
        pair: Prepared for the model.
        matched: The same in matched intensities, which is what the network sees.
        agree: Whether the images of each matched pair are in one contrast.
        plan: What is done to them.
        mapping: What was found so far, in working voxels.
    """

    indices: list[int]
    pair: PreparedPair
    matched: PreparedPair
    plan: Plan
    agree: tuple[bool, ...] = (True,)
    mapping: Mapping | None = None


@dataclass(frozen=True)
class State:
    """What the stages hand on."""

    images: ImagePair
    models: Sequence[Model]
    model: Model
    options: RegistrationOptions
    device: torch.device
    clock: Clock
    without: frozenset[str] = frozenset()
    parts: tuple[Part, ...] = ()
    plan: Plan | None = None
    field: Mapping | None = None
    """On the grid of the images, on the CPU."""
    expected_error: Tensor | None = None
    landmark_errors: Tensor | None = None
    similarity: tuple[float, float] = (math.nan, math.nan)
    notes: tuple[str, ...] = ()
    model_reason: str = ""

    def told(self, note: str) -> tuple[str, ...]:
        """The notes and one more."""
        return (*self.notes, note)


class Stage(Protocol):
    """One step of the pipeline."""

    name: str
    share: float
    """Of the work that is done when the stage begins, 0..1."""

    def applies(self, state: State) -> bool:
        """Whether there is anything to do."""

    def __call__(self, state: State) -> State:
        """The state after the stage."""


class ChooseModel:
    """Of several models, the one whose network alone makes the images most similar.

    Where the contrasts differ and cannot be matched, it is the default model: mutual information then rises although a
    network trained on images of one contrast aligns the wrong structures.
    """

    name, share = "choose the model", 0.0

    def applies(self, state: State) -> bool:
        return True

    def __call__(self, state: State) -> State:
        default = state.models[0]
        if len(state.models) == 1 or state.options.transform != "deformable":
            to_device(state.model, state.device)
            return state
        images = replace(middle_pair(state.images, state.models), landmarks=None, slice_sigma=0.0)
        options = replace(state.options, preset="fast")
        fast = replace(state, images=images, options=options, without=state.without | {"few_steps"})
        of_default = self._trial(fast, default)
        if _unmatched(of_default):
            reason = f"{default.name}: the contrasts differ and cannot be matched"
            return replace(state, model=default, model_reason=reason)
        before = mutual_information(images, None)

        def gain_of(model: Model) -> float:
            tried = of_default if model is default else self._trial(fast, model)
            assert tried.field is not None
            return mutual_information(images, tried.field.forward) - before

        model, reason = choose_by_trial(state.models, gain_of)
        return replace(state, model=model, model_reason=reason)

    @staticmethod
    def _trial(state: State, model: Model) -> State:
        """The network alone."""
        to_device(model, state.device)
        tried = replace(state, model=model)
        for stage in _TRIAL:
            tried = stage(tried) if stage.applies(tried) else tried
        return tried


def _unmatched(state: State) -> bool:
    """Whether contrasts differ so much that the intensities of no pair could be matched."""
    return not any(any(part.agree) for part in state.parts)


class Preprocess:
    """Intensities, working grid and box; and the plan, which depends on them."""

    name, share = "prepare", 0.0

    def applies(self, state: State) -> bool:
        return True

    def __call__(self, state: State) -> State:
        images, model = state.images, state.model
        together = PAIRS_AT_ONCE if state.device.type == "cpu" else PAIRS_AT_ONCE_GPU
        usable = registrable_pairs(images, model)
        parts = []
        for start in range(0, len(usable), together):
            indices = usable[start : start + together]
            part = images if len(images.fixed) == 1 else images.part(indices)
            pair = prepare(
                fixed=part.fixed.float(),
                moving=part.moving.float(),
                mask=part.mask,
                moving_mask=part.moving_mask,
                fixed_inside=part.fixed_inside,
                moving_inside=part.moving_inside,
                grid=images.grid,
                configuration=model.configuration.preprocessing,
                multiple=model.network.multiple,
                keep_margins=images.landmarks is not None,  # They may lie where neither image shows anything.
            ).to(state.device)
            plan = make_plan(pair, model, state.options, images.landmarks is not None, state.without)
            parts.append(Part(indices, pair, pair, plan))
        return replace(state, parts=tuple(parts), plan=parts[len(parts) // 2].plan)


class MatchIntensities:
    """One image in the contrast of the other, where they differ."""

    name, share = "match intensities", 0.02

    def applies(self, state: State) -> bool:
        return any(any(part.plan.match_intensities) for part in state.parts)

    def __call__(self, state: State) -> State:
        parts = []
        for part in state.parts:
            matched, agree = match_intensities(part.pair, state.model, part.plan)
            parts.append(replace(part, matched=matched, agree=agree))
        return replace(state, parts=tuple(parts))


class Predict:
    """The network."""

    name, share = "network", 0.05

    def applies(self, state: State) -> bool:
        return state.options.transform == "deformable"

    def __call__(self, state: State) -> State:
        tell, parts = state.clock.within(0.05, 0.1), []
        for number, part in enumerate(state.parts):
            tell(number / len(state.parts))
            mapping = predict(part.matched, state.model, part.plan, state.images.grid, part.agree)
            parts.append(replace(part, mapping=mapping))
        return replace(state, parts=tuple(parts))


class Optimise:
    """Instance optimisation, pair by pair."""

    name, share = "optimise", 0.1

    def applies(self, state: State) -> bool:
        return any(part.plan.optimisation for part in state.parts)

    def __call__(self, state: State) -> State:
        total, done, struck, parts = sum(len(part.indices) for part in state.parts), 0, False, []
        for part in state.parts:
            mappings = []
            for number in range(len(part.indices)):
                tell = state.clock.within(0.1 + 0.65 * done / total, 0.1 + 0.65 * (done + 1) / total)
                mapping, stopped = self._one(state, part, number, tell)
                mappings.append(mapping)
                struck, done = struck or stopped, done + 1
            ways = (torch.cat(way) for way in zip(*mappings, strict=True))
            parts.append(replace(part, mapping=Mapping(*ways)))
        limit = f"the optimisation stopped at its time limit of {state.options.time_limit:g} s"
        return replace(state, parts=tuple(parts), notes=state.told(limit) if struck else state.notes)

    @staticmethod
    def _one(state: State, part: Part, number: int, tell: Callable[[float], None]) -> tuple[Mapping, bool]:
        assert part.mapping is not None
        assert part.plan.optimisation is not None
        images, pair = state.images, part.pair
        points = images.landmarks and images.landmarks.on_grid(images.grid.shape, pair.shape)
        start = Mapping(*(way[number : number + 1] for way in part.mapping))
        return optimise(pair.only(number), start, part.plan.optimisation, images.grid, points, tell)


class LeaveOneOut:
    """The error at each steering landmark if the others alone had steered."""

    name, share = "leave landmarks out", 0.75

    def applies(self, state: State) -> bool:
        wanted = state.options.transform == "deformable" and state.options.preset != "fast"
        return wanted and state.images.landmarks is not None

    def __call__(self, state: State) -> State:
        (part,) = state.parts
        points = state.images.landmarks
        assert points is not None
        assert part.plan.optimisation is not None
        spacing = part.pair.spacing(state.images.grid)
        start = predict(part.matched, state.model, part.plan, state.images.grid)
        mapping, _ = optimise(part.pair, start, part.plan.optimisation, state.images.grid)
        working = points.on_grid(state.images.grid.shape, part.pair.shape)
        errors = leave_one_out_errors(working, mapping.forward, spacing)
        return replace(state, landmark_errors=errors)


class ToImageGrid:
    """Displacements on the grid of the images, smoothed along a stack; a pair that shows nothing stays."""

    name, share = "warp", 0.75

    def applies(self, state: State) -> bool:
        return True

    def __call__(self, state: State) -> State:
        grid, count = state.images.grid, len(state.images.fixed)
        ways = torch.zeros(2, count, len(grid.shape), *grid.shape)
        for part in state.parts:
            if part.mapping is not None:
                found = [self._on_grid(way, part, grid) for way in part.mapping]
                found[0] = self._repaired(found[0], part, grid)
                ways[:, part.indices] = torch.stack(found)
        sigma = state.images.slice_sigma
        if sigma > 0:
            known = sorted({n for part in state.parts for n in part.indices} | outside_mask(state.images))
            ways = torch.stack([smooth_along_stack(way, known, sigma) for way in ways])
        return replace(state, field=Mapping(*ways))

    @staticmethod
    def _on_grid(way: Tensor, part: Part, grid: ImageGrid) -> Tensor:
        return part.pair.to_image_grid(way, grid.shape).cpu()

    @staticmethod
    def _repaired(displacement: Tensor, part: Part, grid: ImageGrid) -> Tensor:
        """Another grid may fold where the working one does not."""
        if part.plan.optimisation is None or part.pair.shape == grid.shape:
            return displacement
        repaired = repair_folds(displacement)
        return displacement if repaired is None else repaired


class KeepIfMoreSimilar:
    """No deformation where the result is less similar than the images as they lay.

    The slices of a stack are smoothed together, so they are kept or replaced together.
    """

    name, share = "compare", 0.8

    def applies(self, state: State) -> bool:
        return state.plan is not None and state.plan.never_worse

    def __call__(self, state: State) -> State:
        assert state.field is not None
        usable = [n for part in state.parts for n in part.indices]
        groups = [usable] if state.images.slice_sigma > 0 else [[n] for n in usable]
        worse = {n for group in groups if group and self._gain(state, group) < 0 for n in group}
        if not worse:
            return state
        kept = [n not in worse for n in range(len(state.images.fixed))]
        parts = tuple(
            replace(p, mapping=p.mapping and _kept(p.mapping, [kept[n] for n in p.indices])) for p in state.parts
        )
        note = (
            "returned without deformation, because the deformed image was less similar than the moving image as it lay"
        )
        if len(kept) > 1:
            note = f"{len(worse)} of {len(kept)} images {note}"
        smoothed = state.images.slice_sigma > 0  # Slices that show nothing have the deformation of their neighbours.
        field = _kept(state.field, [False] * len(kept) if smoothed else kept)
        return replace(state, field=field, parts=parts, notes=state.told(note))

    @staticmethod
    def _gain(state: State, group: list[int]) -> float:
        """Mutual information after the registration less that before, summed over pairs."""
        assert state.field is not None
        total = 0.0
        for n in group:
            images = state.images if len(state.images.fixed) == 1 else state.images.part([n])
            total += mutual_information(images, state.field.forward[n : n + 1]) - mutual_information(images, None)
        return total


def _kept(mapping: Mapping, kept: list[bool]) -> Mapping:
    """The mapping of the pairs that are kept, and none of the others."""
    factor = torch.tensor(kept, device=mapping.forward.device)[:, None, None, None]
    return Mapping(*(way.where(factor, torch.zeros_like(way)) for way in mapping))


class Uncertainty:
    """The expected error of every voxel."""

    name, share = "uncertainty", 0.82

    def applies(self, state: State) -> bool:
        return state.options.uncertainty and state.options.transform == "deformable"

    def __call__(self, state: State) -> State:
        grid = state.images.grid
        errors = torch.zeros(len(state.images.fixed), 1, *grid.shape)
        for part in state.parts:
            assert part.mapping is not None
            error = expected_error(part.matched, state.model, part.plan, part.mapping.forward, grid)
            errors[part.indices] = resample(part.pair.to_full_grid(error).cpu(), grid.shape)
        return replace(state, expected_error=errors)


class Evaluate:
    """Similarity before and after, where both images count."""

    name, share = "measure", 0.9

    def applies(self, state: State) -> bool:
        return True

    def __call__(self, state: State) -> State:
        if len(state.images.fixed) == 1:
            (part,) = state.parts
            forward = None if part.mapping is None else part.mapping.forward
            return replace(state, similarity=(part.pair.similarity(None), part.pair.similarity(forward)))
        return replace(state, similarity=self._of_batch(state))

    @staticmethod
    def _of_batch(state: State) -> tuple[float, float]:
        """Of some pairs of a batch, whose displacements may have been smoothed after the network."""
        assert state.field is not None
        usable = [n for part in state.parts for n in part.indices]
        some = usable[:: max(len(usable) // MEASURED_PAIRS, 1)]
        return similarity_of(state.images.part(some), state.field.forward[some], state.model)


def similarity_of(images: ImagePair, forward: Tensor, model: Model) -> tuple[float, float]:
    """Mean similarity of pairs, as the model sees them, before and after they are warped by ``forward``."""
    inside = images.moving_mask
    warped = (warp(images.moving.float(), forward), None if inside is None else warp(inside, forward, "nearest"))
    before, after = (
        prepare(
            fixed=images.fixed.float(),
            moving=moving.float(),
            mask=images.mask,
            moving_mask=mask,
            grid=images.grid,
            configuration=model.configuration.preprocessing,
            multiple=model.network.multiple,
        ).similarity(None)
        for moving, mask in ((images.moving, inside), warped)
    )
    return before, after


STAGES: tuple[Stage, ...] = (
    ChooseModel(),
    Preprocess(),
    MatchIntensities(),
    Predict(),
    Optimise(),
    LeaveOneOut(),
    ToImageGrid(),
    KeepIfMoreSimilar(),
    Uncertainty(),
    Evaluate(),
)
_TRIAL: tuple[Stage, ...] = (Preprocess(), MatchIntensities(), Predict(), ToImageGrid())
"""What a model does in the trial of the automatic choice: the network alone."""


def run(
    images: ImagePair | ImageSource,
    models: Sequence[Model],
    options: RegistrationOptions | None = None,
    progress: Progress | None = None,
    without: frozenset[str] = frozenset(),
) -> RegistrationResult:
    """Registers a pair, or a batch of pairs.

    Args:
        images: What is registered.
        models: Admissible models, the default first; of several, the one that does best is taken.
        options: How; by default as ``RegistrationOptions()``.
        progress: Told of each stage.
        without: Rules of the plan to leave out; see ``plan.RULES``.

    Raises:
        Cancelled: The callback did.
        ValueError: The images are unusable, do not lie on the grid, or the device is not there.
    """
    options = options or RegistrationOptions()
    clock = Clock(progress)
    if not isinstance(images, ImagePair):
        clock.begin("prealign", 0.0)
        images = prealign(images, options)
    check_images(images, models)
    device = resolve_device(options.device)
    state = State(images, models, models[0], options, device, clock, without, notes=images.notes)
    with torch.no_grad():
        for stage in STAGES:
            if stage.applies(state):
                clock.begin(stage.name, stage.share)
                state = stage(state)
        clock.end()
        return _result(state)


def _result(state: State) -> RegistrationResult:
    assert state.field is not None
    assert state.plan is not None
    forward, inverse = state.field
    sizes = [len(part) for part in forward.split(PAIRS_AT_ONCE)]
    folds = sum(n * folding(part) for n, part in zip(sizes, forward.split(PAIRS_AT_ONCE), strict=True)) / len(forward)
    return RegistrationResult(
        displacement=forward,
        inverse=inverse,
        warped=warp(state.images.moving.float(), forward),
        similarity_before=state.similarity[0],
        similarity_after=state.similarity[1],
        folding=folds,
        milliseconds=state.clock.milliseconds,
        device=str(state.device),
        expected_error=state.expected_error,
        landmark_errors=state.landmark_errors,
        plan=state.plan,
        model=state.model.name,
        model_reason=state.model_reason,
        licence=state.model.card.licence,
        prealignment=state.images.prealignment,
        registered=tuple(n for part in state.parts for n in part.indices),
        notes=state.notes,
    )
