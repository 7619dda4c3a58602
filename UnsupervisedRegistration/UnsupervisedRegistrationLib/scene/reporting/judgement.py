"""A traffic light for a result, with what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..landmarks.tre_table import TreTable
from ..registration.result_nodes import SliceRegistration
from .summary import foldingSentence, landmarkSentence
from .translation import tr as _

Colour = Literal["green", "amber", "red"]

_FOLDS = (0.0005, 0.01)  # Share of the area: some pixels of a slice of 256 x 256, and more than any border has.
_GAIN = 0.02  # Similarity, of 1, that counts as closer.
_ALIKE = 0.5  # Similarity from which images that gained nothing count as well aligned already.
_WAY_BACK_MM = (1.0, 3.0)  # Inverse consistency, 95th percentile: a pixel or two, and what an eye sees.
_DOUBT_MM = (2.0, 5.0)  # Expected error, median: where trust is a half, and the size of a small structure.
_SEVERITY: tuple[Colour, ...] = ("green", "amber", "red")


@dataclass(frozen=True)
class Judgement:
    """What to think of a result.

    Attributes:
        colour: ``"green"``, ``"amber"``: look closely, or ``"red"``: do not use.
        reasons: A sentence each, the gravest first; one friendly one if nothing is wrong.
    """

    colour: Colour
    reasons: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """All reasons in one line."""
        return "; ".join(self.reasons)


def judge(result: SliceRegistration, errors: TreTable | None = None) -> Judgement:
    """Judges by similarity, folding, the way there and back, the expected error and the landmarks.

    Inside the mask of the fixed image, if there is one.
    """
    found = [*_similarity(result), *_folding(result), *_wayBack(result), *_doubt(result), *_landmarks(errors)]
    found.sort(key=lambda reason: -_SEVERITY.index(reason[0]))
    if not found:
        return Judgement("green", (_("no problem detected"),))
    return Judgement(found[0][0], tuple(sentence for _colour, sentence in found))


_Reasons = list[tuple[Colour, str]]


def _similarity(result: SliceRegistration) -> _Reasons:
    before, after = result.registration.similarity_before, result.registration.similarity_after
    if after < before - _GAIN:
        sentence = _(
            "the images became less alike ({before:.2f} to {after:.2f} of 1): undo it, align the images roughly first,"
            " or choose another model"
        )
        return [("red", sentence.format(before=before, after=after))]
    if after < before + _GAIN and after < _ALIKE:
        sentence = _(
            "the images came hardly closer ({before:.2f} to {after:.2f} of 1): check that both show the same place, or"
            " align them roughly first"
        )
        return [("amber", sentence.format(before=before, after=after))]
    return []


def _folding(result: SliceRegistration) -> _Reasons:
    colour = _grade(result.registration.folding, _FOLDS)
    sentence = _("{folds}: lower the flexibility (refine with more smoothness)")
    return [] if colour == "green" else [(colour, sentence.format(folds=foldingSentence(result.registration.folding)))]


def _wayBack(result: SliceRegistration) -> _Reasons:
    error = float(np.percentile(_inRegion(result, result.inverseConsistency), 95))
    colour = _grade(error, _WAY_BACK_MM)
    sentence = _(
        "there and back misses by {error:.1f} mm: lower the flexibility (refine with more smoothness), or draw a mask"
    )
    return [] if colour == "green" else [(colour, sentence.format(error=error))]


def _doubt(result: SliceRegistration) -> _Reasons:
    if result.expectedError is None:
        return []
    error = float(np.median(_inRegion(result, result.expectedError)))
    colour = _grade(error, _DOUBT_MM)
    sentence = _("an error of {error:.1f} mm is to be expected: look at the trust map before you rely on it")
    return [] if colour == "green" else [(colour, sentence.format(error=error))]


def _landmarks(errors: TreTable | None) -> _Reasons:
    errors = None if errors is None else errors.independent
    if errors is None or not errors.labels:
        return []
    before, after = (errors.summary()[when]["mean"] for when in ("before", "after"))
    if after > before:
        sentence = _("{landmarks}: undo it, or let the landmarks steer")
        return [("red", sentence.format(landmarks=landmarkSentence(errors)))]
    return []


def _grade(value: float, bounds: tuple[float, float]) -> Colour:
    return _SEVERITY[sum(value > bound for bound in bounds)]


def _inRegion(result: SliceRegistration, values: np.ndarray) -> np.ndarray:
    return values.ravel() if result.pair.mask is None else values[result.pair.mask]
