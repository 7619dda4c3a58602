"""The one path of a registration: a pair, a batch, Live, evaluation and benchmark all call ``run``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from ..models.model_file import Model
from ..spatial.deformation import warp
from ..spatial.folding import folding
from .device import resolve_device
from .image_pair import ImagePair, ImageSource, check_images
from .options import RegistrationOptions
from .plan import PAIRS_AT_ONCE
from .prealignment import align_in_plane
from .result import Cancelled as Cancelled
from .result import Clock, Progress, RegistrationResult
from .stages.choose_model import ChooseModel
from .stages.network_stages import MatchIntensities, Predict, Preprocess
from .stages.optimisation_stages import LeaveOneOut, Optimise
from .stages.result_stages import Evaluate, KeepIfMoreSimilar, ToImageGrid, Uncertainty
from .stages.state import Stage, State

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


def prealign(source: ImageSource, options: RegistrationOptions) -> ImagePair:
    """The images, aligned in the plane as the options say."""
    kind = options.prealignment if options.transform == "deformable" else options.transform
    if kind == "none":
        return source.sample(None)
    matrix, sentence = align_in_plane(source.fixed_slice, source.moving_slice, kind, source.mask)
    moved = None if np.array_equal(matrix, np.eye(4)) else matrix
    images = source.sample(moved)
    return replace(images, prealignment=moved, notes=(*images.notes, sentence))


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
