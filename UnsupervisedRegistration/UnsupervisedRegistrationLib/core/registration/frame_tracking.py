"""Registers all frames of a sequence to its first, by way of the frames between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ..models.model_file import Model
from ..spatial.deformation import Mapping, compose, warp
from ..spatial.folding import folding, repair_folds
from ..spatial.grid import ImageGrid
from .image_pair import ImagePair, mutual_information
from .options import RegistrationOptions
from .pipeline import run
from .result import Progress, RegistrationResult


def track_frames(
    frames: Tensor,
    grid: ImageGrid,
    models: Sequence[Model],
    options: RegistrationOptions | None = None,
    progress: Progress | None = None,
) -> RegistrationResult:
    """Registers every frame but the first to the first.

    The network registers neighbouring frames, between which little moves, and their deformations are composed: forward
    in time from the first frame, and backward from the first to the last and on, as the frames of a heartbeat return to
    where they began. It also registers each frame to the first directly. Of these three and of no deformation, the most
    similar is the start; a registration as in ``options`` corrects what is left.

    Args:
        frames: ``(N, 1, *spatial)`` intensities, two frames or more.
        grid: Of every frame.
        models: See ``pipeline.run``.
        options: See ``pipeline.run``; the frames are not pre-aligned.
        progress: Told of each stage.

    Returns:
        The result of ``N - 1`` pairs; a frame that no deformation makes more similar stays.

    Raises:
        Cancelled: The callback did.
        ValueError: There is one frame only, or the images are unusable.

    Source:
        Composition with a correction against the first frame: Ye et al., DeepTag, CVPR 2021.
    """
    if len(frames) < 2:
        raise ValueError(f"A sequence needs two frames or more, not {len(frames)}.")
    options = options or RegistrationOptions()
    to_first = ImagePair(frames[:1].expand_as(frames[1:]), frames[1:], grid)
    if options.transform != "deformable" or len(frames) == 2:
        return run(to_first, models, options, progress)
    fast = replace(options, preset="fast", uncertainty=False)
    first, second = _pairs(len(frames))
    both = ImagePair(frames[first], frames[second], grid)
    found = run(both, models, fast, _part(progress, 0.0, 0.3))
    start = _most_similar(to_first, _candidates(found, len(frames)))
    moved = replace(to_first, moving=warp(to_first.moving.float(), start.forward))
    model = next(model for model in models if model.name == found.model)
    correction = run(moved, [model], options, _part(progress, 0.3, 1.0))
    return _composed(to_first, start, correction, found)


def _pairs(count: int) -> tuple[list[int], list[int]]:
    """Fixed and moving frame of each pair: neighbours, first and last, first and every other one."""
    neighbours = [(n, n + 1) for n in range(count - 1)]
    pairs = [*neighbours, (0, count - 1), *((0, n) for n in range(1, count))]
    return [fixed for fixed, _ in pairs], [moving for _, moving in pairs]


def _candidates(found: RegistrationResult, count: int) -> list[Mapping]:
    """Each of all frames: composed forward in time, composed backward, and direct."""
    neighbours = [Mapping(found.displacement[n : n + 1], found.inverse[n : n + 1]) for n in range(count)]
    *steps, wrapped = neighbours
    onwards = [steps[0]]
    for step in steps[1:]:
        onwards.append(_chained(onwards[-1], step))
    backwards = [wrapped]
    for step in reversed(steps[1:]):
        backwards.append(_chained(backwards[-1], Mapping(step.inverse, step.forward)))
    direct = Mapping(found.displacement[count:], found.inverse[count:])
    return [_joined(onwards), _joined(backwards[::-1]), direct]


def _chained(first: Mapping, second: Mapping) -> Mapping:
    """From the fixed frame of ``first`` to the moving frame of ``second``."""
    return Mapping(compose(second.forward, first.forward), compose(first.inverse, second.inverse))


def _joined(mappings: Sequence[Mapping]) -> Mapping:
    return Mapping(*(torch.cat(way) for way in zip(*mappings, strict=True)))


def _most_similar(images: ImagePair, candidates: Sequence[Mapping]) -> Mapping:
    """For each pair the candidate with the most mutual information; none of them if no deformation has more."""
    none = Mapping(*(torch.zeros_like(way) for way in candidates[0]))
    chosen = []
    for n in range(len(images.fixed)):
        pair, tried = images.part([n]), [Mapping(*(way[n : n + 1] for way in one)) for one in (none, *candidates)]
        chosen.append(max(tried, key=lambda one, pair=pair: mutual_information(pair, one.forward)))  # type: ignore[misc]
    return _joined(chosen)


def _composed(
    images: ImagePair, start: Mapping, correction: RegistrationResult, found: RegistrationResult
) -> RegistrationResult:
    """The result for the frames as they were taken."""
    whole = _chained(Mapping(correction.displacement, correction.inverse), start)
    repaired = repair_folds(whole.forward)
    forward = whole.forward if repaired is None else repaired
    return replace(
        correction,
        displacement=forward,
        inverse=whole.inverse,
        warped=warp(images.moving.float(), forward),
        similarity_before=found.similarity_before,
        folding=folding(forward),
        milliseconds={f"track, {name}": value for name, value in found.milliseconds.items()} | correction.milliseconds,
        model_reason=found.model_reason,
        notes=(),
    )


def _part(progress: Progress | None, start: float, end: float) -> Progress | None:
    """A callback whose shares span a part of the whole."""
    if progress is None:
        return None
    return lambda stage, share: progress(stage, start + share * (end - start))
