"""Texts that the panel and the page in the browser share."""

from __future__ import annotations

from typing import Any

from ..scene.landmarks.tre_table import TreTable
from ..scene.reporting.translation import tr as _


def describeStage(stage: str) -> str:
    """The name of a stage of the registration as a person reads it."""
    return {
        "prealign": _("Pre-aligning the images"),
        "choose the model": _("Choosing the model"),
        "prepare": _("Preparing the images"),
        "match intensities": _("Matching the intensities"),
        "network": _("Registering"),
        "optimise": _("Optimising"),
        "leave landmarks out": _("Estimating the error of the landmarks"),
        "warp": _("Warping"),
        "compare": _("Comparing"),
        "uncertainty": _("Estimating the error"),
        "measure": _("Measuring"),
    }.get(stage, stage)


def progressSentence(stage: str, share: float, seconds: float) -> str:
    """The stage that begins, and the time left if it is a second or more.

    Args:
        stage: Name of the stage in the pipeline.
        share: Of the work that is done, 0..1.
        seconds: Since the work began.
    """
    left = seconds * (1 - share) / share if share else 0.0
    name = describeStage(stage)
    return _("{step}, {left:.0f} s left").format(step=name, left=left) if left >= 1 else name


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


def describePlan(registration: Any) -> str:
    """One line about what was done to the images, and why the model was chosen; ends with the licence of the model."""
    plan = registration.plan
    phrases = [
        _("pre-aligned") if registration.prealignment is not None else "",
        _("half resolution first") if plan.half_resolution_first else "",
        _("intensities matched") if any(plan.match_intensities) else "",
        _("flip ensemble") if plan.flip_ensemble else "",
        _("model {reason}").format(reason=registration.model_reason or registration.model),
        _("{count} levels optimised").format(count=len(plan.optimisation.iterations))
        if plan.optimisation
        else _("no optimisation"),
        _("licence of the model: {licence}").format(licence=registration.licence) if registration.licence else "",
    ]
    if plan.transform != "deformable":
        phrases = [_("{kind} alignment in the plane only").format(kind=plan.transform)]
    line = "; ".join(phrase for phrase in phrases if phrase)
    return f"{line[:1].upper()}{line[1:].rstrip('.')}."  # Some licences end with a full stop.
