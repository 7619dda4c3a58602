"""Texts that the panel and the page in the browser share."""

from __future__ import annotations

from typing import Any

from slicer.i18n import tr as _

from ..scene.landmarks.tre_table import TreTable


def describeStep(step: str) -> str:
    """The name of a step of the registration as a person reads it."""
    return {
        "prepare": _("Preparing the images"),
        "network": _("Registering"),
        "refine": _("Refining"),
        "trust": _("Estimating the error"),
        "warp": _("Warping"),
        "measure": _("Measuring"),
    }.get(step, step)


def describeTime(milliseconds: float) -> str:
    """A duration with its unit."""
    return f"{milliseconds:.0f} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"


def statusSentence(result: Any, tre: TreTable | None, usedCpuInstead: bool) -> str:
    """One sentence about a result: slice, landmarks, similarity, folding, time and device."""
    from ..scene.reporting import summary

    sentence = _("{slice}: {measures}; {time} on {device}.").format(
        slice=result.pair.plane.name.capitalize(),
        measures=summary.resultSentence(result, tre),
        time=describeTime(sum(result.registration.milliseconds.values())),
        device=result.registration.device,
    )
    remark = _("The memory of the GPU was too small, so the CPU was used.")
    return f"{sentence} {remark}" if usedCpuInstead else sentence
