"""An outcome in words and in figures."""

from __future__ import annotations

import numpy as np

from ..landmarks.tre_table import TreTable
from ..registration.result_nodes import SliceRegistration
from .translation import tr as _


def describeResult(outcome: SliceRegistration, errors: TreTable | None) -> str:
    """How much closer the images came, in words."""
    measured = outcome.registration
    parts = [] if errors is None or not errors.labels else [landmarkSentence(errors)]
    similarity = _("similarity {before:.2f} -> {after:.2f} of 1")
    parts.append(similarity.format(before=measured.similarity_before, after=measured.similarity_after))
    parts.append(foldingSentence(outcome))
    if errors is not None:
        away = int((~outcome.covers(errors.fixed)).sum())
        sentence = _("{away} of {count} landmarks lie off the slice").format(away=away, count=len(errors.labels))
        parts += [sentence] if away else []
    return ", ".join([*parts, *outcome.pair.notes])


def landmarkSentence(errors: TreTable) -> str:
    """Their mean distance before and after."""
    before, after = (errors.summary()[when]["mean"] for when in ("before", "after"))
    return _("landmarks {before:.1f} mm apart are now {after:.1f} mm apart").format(before=before, after=after)


def foldingSentence(outcome: SliceRegistration) -> str:
    """The share of the area that folds."""
    folding = outcome.registration.folding
    if folding == 0:
        return _("nothing folds")
    return _("{percent:.2g} % of the area folds").format(percent=100 * folding)


def resultReport(outcome: SliceRegistration, errors: TreTable | None, modelName: str) -> dict[str, object]:
    """All figures of a run, as plain values."""
    measured, doubt = outcome.registration, outcome.expectedError
    return {
        "fixed": outcome.pair.fixedVolume.GetName(),
        "moving": outcome.pair.movingVolume.GetName(),
        "slice": outcome.pair.plane.name,
        "model": modelName,
        "device": measured.device,
        "milliseconds": measured.milliseconds,
        "similarity": {"before": measured.similarity_before, "after": measured.similarity_after},
        "folding": measured.folding,
        "inverse_consistency_mm": _spread(outcome.inverseConsistency),
        "expected_error_mm": None if doubt is None else _spread(doubt),
        "tre_mm": None if errors is None else errors.summary(),
        "notes": list(outcome.pair.notes),
    }


def _spread(values: np.ndarray) -> dict[str, float]:
    """Mean, median and 95th percentile over the slice."""
    figures = {"mean": values.mean(), "median": np.median(values), "p95": np.percentile(values, 95)}
    return {name: round(float(value), 4) for name, value in figures.items()}
