"""The quality check of a result in the scene, and its items as sentences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ...core.evaluation import quality_check
from ...core.evaluation.quality_check import Grade, QualityCheck
from ...core.evaluation.quality_check import QualityItem as QualityItem
from ..landmarks.tre_table import TreTable
from ..registration.result_nodes import SliceRegistration
from .summary import foldingSentence
from .translation import tr as _


def checkQuality(
    result: SliceRegistration, tre: TreTable | None = None, structures: Sequence[QualityItem] = ()
) -> QualityCheck:
    """Grades similarity, folding, inverse consistency, expected error, landmarks and structures of a result.

    They are measured inside the mask of the fixed image, if there is one. Only landmarks on the slice count.

    Args:
        result: In the scene.
        tre: Its landmark errors.
        structures: Items of ``structures.structureAgreement``.
    """
    measured, mask = result.registration, result.pair.mask
    pixel = float(np.linalg.norm(result.pair.plane.ijkToRas[:3, :2], axis=0).max())
    folding = measured.folding
    if mask is not None:
        folding = quality_check.folded_share(measured.displacement, torch.from_numpy(mask))
    items = [
        quality_check.similarity_item(measured.similarity_before, measured.similarity_after),
        quality_check.folding_item(folding),
        quality_check.inverse_consistency_item(_inRegion(result, result.inverseConsistency), pixel),
    ]
    if result.expectedError is not None:
        items.append(quality_check.expected_error_item(_inRegion(result, result.expectedError)))
    if tre is not None:
        voxel = max(pixel, result.pair.plane.thickness)
        onSlice = result.covers(tre.fixed)
        for fitted in (False, True):
            part = tre.select(onSlice & (tre.isFitted == fitted))
            before, after = (torch.from_numpy(np.linalg.norm(v, axis=1)) for v in (part.before, part.after))
            items += quality_check.tre_items(before, after, voxel, fitted)
    return QualityCheck((*items, *structures))


def gradeWord(grade: Grade) -> str:
    """The grade as a person reads it."""
    words = {
        "good": _("Good"),
        "not validated": _("Not validated"),
        "check": _("Check"),
        "do not use": _("Do not use"),
    }
    return words[grade]


def qualitySentences(check: QualityCheck) -> tuple[str, ...]:
    """A sentence for each problem and its remedy, the worst first; one if there is none."""
    if check.problems:
        return tuple(_problem(item) for item in check.problems)
    if check.grade == "good":
        return (_evidence(check),)
    return (_("no problem detected; not validated here"),)


def qualityReport(check: QualityCheck) -> dict[str, object]:
    """Grade, items and sentences as plain values."""
    return {
        "grade": check.grade,
        "items": [vars(item) for item in check.items],
        "sentences": list(qualitySentences(check)),
    }


def _evidence(check: QualityCheck) -> str:
    """What shows that a result is good."""
    for item in check.items:
        if item.name == "TRE":
            sentence = _("no problem detected; mean TRE {value:.1f} mm, tolerance {tolerance:.1f} mm")
            return sentence.format(value=item.value, tolerance=item.tolerance)
    worst = min((item for item in check.items if item.name == "Dice"), key=lambda item: item.value)
    sentence = _("no problem detected; Dice {value:.2f} or more, tolerance {tolerance:.2f}")
    return sentence.format(value=worst.value, tolerance=worst.tolerance)


def _problem(item: QualityItem) -> str:
    sentences = {
        "similarity": _similarityProblem(item),
        "folding": _("{folding}: register again with more smoothness"),
        "inverse consistency": _(
            "the inverse consistency error is {value:.1f} mm (95th percentile, tolerance {tolerance:.1f} mm):"
            " register again with more smoothness, or draw a mask"
        ),
        "expected error": _(
            "the expected error is {value:.1f} mm (median, tolerance {tolerance:.1f} mm): see the trust map"
        ),
        "TRE": _(
            "the mean TRE is {value:.1f} mm, {before:.1f} mm before (tolerance {tolerance:.1f} mm): check the"
            " landmarks, or let some of them steer"
        ),
        "Dice": _(
            "the Dice of '{structure}' is {value:.2f}, {before:.2f} before (tolerance {tolerance:.2f}): check that it"
            " was drawn alike on both images"
        ),
        "MDA": _(
            "the surfaces of '{structure}' are {value:.1f} mm apart, {before:.1f} mm before (tolerance"
            " {tolerance:.1f} mm): check that it was drawn alike on both images"
        ),
    }
    return sentences[item.name].format(folding=foldingSentence(item.value), **vars(item))


def _similarityProblem(item: QualityItem) -> str:
    if item.grade == "do not use":
        return _(
            "the similarity fell from {before:.2f} to {value:.2f}: undo the registration, align the images roughly"
            " first, or choose another model"
        )
    return _(
        "the similarity hardly changed ({before:.2f} before, {value:.2f} after): check that both images show the same"
        " place, or align them roughly first"
    )


def _inRegion(result: SliceRegistration, values: np.ndarray) -> torch.Tensor:
    inside = values.ravel() if result.pair.mask is None else values[result.pair.mask]
    return torch.from_numpy(np.ascontiguousarray(inside))
