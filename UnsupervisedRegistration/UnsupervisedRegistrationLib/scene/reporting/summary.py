"""A result as a sentence and as figures."""

from __future__ import annotations

import numpy as np

from ..landmarks.tre_table import TreTable
from ..registration.result_nodes import SliceRegistration
from .translation import tr as _


def resultSentence(result: SliceRegistration, tre: TreTable | None) -> str:
    """TRE, similarity and folding before and after the registration, and the notes, in one sentence."""
    measured = result.registration
    parts = [] if tre is None else landmarkSentences(tre)
    similarity = _("similarity {before:.2f} before, {after:.2f} after")
    parts.append(similarity.format(before=measured.similarity_before, after=measured.similarity_after))
    parts.append(foldingSentence(measured.folding))
    if tre is not None:
        off = int((~result.covers(tre.fixed)).sum())
        sentence = _("{off} of {count} landmarks lie off the slice").format(off=off, count=len(tre.labels))
        parts += [sentence] if off else []
    return ", ".join([*parts, *result.notes])


def landmarkSentences(tre: TreTable) -> list[str]:
    """The mean TRE of the independent landmarks, and that of the landmarks that steered, if there are any."""
    fitted = tre.select(tre.isFitted)
    sentences = [landmarkSentence(tre.independent)] if tre.independent.labels else []
    if fitted.labels:
        sentence = _("mean TRE of {count} fitted landmarks {before:.1f} mm before, {after:.1f} mm after")
        sentences.append(sentence.format(count=len(fitted.labels), **_meanTre(fitted)))
    if np.isfinite(fitted.leftOut).any():
        error = float(np.nanmean(fitted.leftOut))
        sentences[-1] += " " + _("({error:.1f} mm if left out)").format(error=error)
    return sentences


def landmarkSentence(tre: TreTable) -> str:
    """The mean TRE before and after the registration."""
    sentence = _("mean TRE of {count} landmarks {before:.1f} mm before, {after:.1f} mm after")
    return sentence.format(count=len(tre.labels), **_meanTre(tre))


def _meanTre(tre: TreTable) -> dict[str, float]:
    return {when: figures["mean"] for when, figures in tre.summary().items()}


def foldingSentence(folding: float) -> str:
    """The folded share of the area, 0 to 1."""
    return _("{percent:.2g} % of the area folds").format(percent=100 * folding) if folding else _("no folding")


def resultReport(result: SliceRegistration, tre: TreTable | None, modelName: str) -> dict[str, object]:
    """All figures of a registration, as plain values."""
    measured, expectedError = result.registration, result.expectedError
    return {
        "fixed": result.pair.fixedVolume.GetName(),
        "moving": result.pair.movingVolume.GetName(),
        "slice": result.pair.plane.name,
        "model": modelName,
        "device": measured.device,
        "milliseconds": measured.milliseconds,
        "similarity": {"before": measured.similarity_before, "after": measured.similarity_after},
        "folding": measured.folding,
        "inverse_consistency_mm": _distribution(result.inverseConsistency),
        "expected_error_mm": None if expectedError is None else _distribution(expectedError),
        "tre_mm": None if tre is None else _summary(tre.independent),
        "fitted_tre_mm": None if tre is None else _summary(tre.select(tre.isFitted)),
        "left_out_tre_mm": None if tre is None else _leftOut(tre),
        "notes": list(result.notes),
    }


def _summary(tre: TreTable) -> dict[str, dict[str, float]] | None:
    return tre.summary() if tre.labels else None


def _leftOut(tre: TreTable) -> dict[str, float] | None:
    """The estimated TRE of the fitted landmarks, by label."""
    known = {label: error for label, error in tre.fitted.items() if error is not None and label in tre.labels}
    return known or None


def _distribution(values: np.ndarray) -> dict[str, float]:
    """Mean, median and 95th percentile over the slice."""
    figures = {"mean": values.mean(), "median": np.median(values), "p95": np.percentile(values, 95)}
    return {name: round(float(value), 4) for name, value in figures.items()}
