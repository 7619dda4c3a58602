"""Target registration errors as the texts of a table."""

from __future__ import annotations

import numpy as np

from ..scene.landmarks.tre_table import TreTable
from ..scene.reporting.translation import tr as _


def treRows(tre: TreTable, isOff: list[bool]) -> list[list[str]]:
    """Label, error before and after, and its components after; mm."""
    texts = []
    for label, before, after, off in zip(tre.labels, tre.before, tre.after, isOff, strict=True):
        numbers = (float(np.linalg.norm(before)), float(np.linalg.norm(after)), *after)
        numbers_mm = [f"{round(float(number), 1) + 0.0:.1f}" for number in numbers]  # No -0.0.
        name = _("{label} (fitted)").format(label=label) if label in tre.fitted else label
        texts.append([f"⚠ {name}" if off else name, *numbers_mm])
    return texts


def treTips(tre: TreTable, isOff: list[bool]) -> list[str]:
    """Why the error of a landmark says little about the accuracy, one text per row."""
    texts = []
    for label, leftOut, off in zip(tre.labels, tre.leftOut, isOff, strict=True):
        fitted = _("Guided the registration, so its TRE does not measure the accuracy.")
        estimate = _("Without this landmark its error is {error:.1f} mm.").format(error=leftOut)
        away = _("Not on the slice, so the registration of the slice does not apply to it.")
        isFitted = label in tre.fitted
        found = ((fitted, isFitted), (estimate, isFitted and np.isfinite(leftOut)), (away, off))
        texts.append(" ".join(text for text, applies in found if applies))
    return texts


def treSummary(tre: TreTable) -> str:
    """The errors of the landmarks that did not guide the registration; of all, if all did."""
    independent = tre.independent
    chosen = independent if independent.labels else tre
    before, after = chosen.summary()["before"], chosen.summary()["after"]
    sentence = _("Mean TRE {before:.1f} mm before, {after:.1f} mm after (SD {sd:.1f} mm, maximum {most:.1f} mm).")
    text = sentence.format(before=before["mean"], after=after["mean"], sd=after["SD"], most=after["max"])
    remark = _("All landmarks are fitted, so this does not measure the accuracy.")
    return text if independent.labels else f"{text} {remark}"
