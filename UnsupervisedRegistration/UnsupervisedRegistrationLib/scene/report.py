"""An outcome in words and in figures."""

from __future__ import annotations

from .landmarks import LandmarkErrors
from .registration import SliceRegistration


def describe(outcome: SliceRegistration, errors: LandmarkErrors | None) -> str:
    """How much closer the images came, in words."""
    measured = outcome.registration
    parts = [f"similarity {measured.similarity_before:.2f} -> {measured.similarity_after:.2f} of 1"]
    if errors is not None:
        summary = errors.summary()
        parts.insert(
            0, f"landmarks {summary['before']['mean']:.1f} mm apart are now {summary['after']['mean']:.1f} mm apart"
        )
    parts.append("nothing folds" if measured.folding == 0 else f"{100 * measured.folding:.2g} % of the area folds")
    if errors is not None:
        plane = outcome.pair.plane
        away = int((plane.distances(errors.fixed) > plane.thickness / 2).sum())
        parts += [f"{away} of {len(errors.labels)} landmarks lie off the slice"] if away else []
    return ", ".join([*parts, *outcome.pair.notes])


def report(outcome: SliceRegistration, errors: LandmarkErrors | None, modelName: str) -> dict[str, object]:
    """All figures of a run, as plain values."""
    measured = outcome.registration
    return {
        "fixed": outcome.pair.fixedVolume.GetName(),
        "moving": outcome.pair.movingVolume.GetName(),
        "slice": outcome.pair.plane.name,
        "model": modelName,
        "device": measured.device,
        "milliseconds": measured.milliseconds,
        "similarity": {"before": measured.similarity_before, "after": measured.similarity_after},
        "folding": measured.folding,
        "tre_mm": None if errors is None else errors.summary(),
        "notes": list(outcome.pair.notes),
    }
