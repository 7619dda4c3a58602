"""Different pairs through one run of the pipeline, which is built for the slices of a stack."""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ..models.model_file import Model
from ..spatial.folding import folding
from .image_pair import ImagePair
from .options import RegistrationOptions
from .pipeline import run
from .result import RegistrationResult
from .stages.result_stages import similarity_of

_OF_BATCH = re.compile(r"\d+ of \d+ images (returned without deformation.*)")


def batch_key(pair: ImagePair) -> Hashable:
    """Return what pairs of one batch have in common: shape, spacing to the micrometre, and which masks there are."""
    masks = tuple(mask is None for mask in (pair.mask, pair.moving_mask))
    return pair.grid.shape, tuple(round(value, 3) for value in pair.grid.spacing), masks


def run_together(
    pairs: Sequence[ImagePair], model: Model, options: RegistrationOptions
) -> list[RegistrationResult | None]:
    """Register pairs of one ``batch_key`` together.

    Args:
        pairs: Single pairs without landmarks.
        model: For all.
        options: For all.

    Returns:
        The result of each pair, which differs from that of the pair alone in the last digits; ``None`` for a pair that
        shows nothing, which alone says why.

    Raises:
        ValueError: No pair shows anything.
    """
    together = run(_joined(pairs), [model], options)
    found = set(together.registered)
    return [_single(together, pair, number, model) if number in found else None for number, pair in enumerate(pairs)]


def _joined(pairs: Sequence[ImagePair]) -> ImagePair:
    fixed, moving = (torch.cat(images) for images in zip(*((pair.fixed, pair.moving) for pair in pairs), strict=True))
    return ImagePair(
        fixed,
        moving,
        pairs[0].grid,
        mask=_stacked(pairs, "mask"),
        moving_mask=_stacked(pairs, "moving_mask"),
        fixed_inside=_stacked(pairs, "fixed_inside"),
        moving_inside=_stacked(pairs, "moving_inside"),
    )


def _stacked(pairs: Sequence[ImagePair], name: str) -> Tensor | None:
    """A mask of all pairs; where a pair has none it is everywhere."""
    values = [getattr(pair, name) for pair in pairs]
    if all(value is None for value in values):
        return None
    return torch.cat([torch.ones_like(p.fixed) if v is None else v for v, p in zip(values, pairs, strict=True)])


def _single(together: RegistrationResult, pair: ImagePair, number: int, model: Model) -> RegistrationResult:
    one = slice(number, number + 1)
    displacement, error = together.displacement[one], together.expected_error
    before, after = similarity_of(pair, displacement, model)
    return replace(
        together,
        displacement=displacement,
        inverse=together.inverse[one],
        warped=together.warped[one],
        similarity_before=before,
        similarity_after=after,
        folding=folding(displacement),
        milliseconds={name: time / len(together.displacement) for name, time in together.milliseconds.items()},
        expected_error=None if error is None else error[one],
        prealignment=pair.prealignment,
        registered=(0,),
        notes=(*pair.notes, *_notes_of(together, bool(displacement.any()))),
    )


def _notes_of(together: RegistrationResult, is_deformed: bool) -> list[str]:
    """The notes of the batch that are about a pair."""
    notes = []
    for note in together.notes:
        match = _OF_BATCH.fullmatch(note)
        if match is None:
            notes.append(note)
        elif not is_deformed:
            notes.append(match[1])
    return notes
