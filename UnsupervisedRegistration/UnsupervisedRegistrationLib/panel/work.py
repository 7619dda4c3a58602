"""What the buttons of the panel do with its parameters; the second half of the module's logic."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import slicer
from slicer.i18n import tr as _

from ..scene.geometry.result_transform import initialTransformOf, isResultTransformOf
from ..scene.history.result_history import storeResult
from ..scene.landmarks.pairing import pairLandmarks
from .questions import Questions

_REFINED = ("similarity", "smoothnessWeight", "refineSeconds")  # Parameters that count where an outcome is refined.


class Applied(NamedTuple):
    """What Apply gives: the outcome, a sentence about it, and why its model was chosen."""

    outcome: Any
    sentence: str
    reason: str


class Work(Questions):
    """Registers what the parameters ask for, by the scripting functions of the class that takes this as its base."""

    register: Callable[..., Any]
    registerVolume: Callable[..., Any]
    registerSequence: Callable[..., Any]
    requireTorch: Callable[[], None]
    fellBack: bool

    def apply(self, parameters: Any, progress: Any = None) -> Applied:
        """Does what the panel's button does: registers, measures, and keeps the result.

        Raises:
            RuntimeError: PyTorch is missing and was not installed.
            ValueError: Something does not fit; the scene is as it was.
        """
        self.check(parameters)
        steering = self.steering(parameters)
        if steering:  # Refused before anything is computed.
            pairLandmarks(*steering)
        applied = self._applied(
            parameters,
            self.register,
            plane=self.plane(parameters),
            refinement=self.refinement(parameters, parameters.refineSeconds),
            landmarks=steering,
            trust=True,
            progress=progress,
        )
        if self.errors(parameters, applied.outcome.transformNode) and not parameters.errorTable:
            parameters.errorTable = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", "Landmark errors")
        return applied

    def applyVolume(self, parameters: Any, first: int, last: int, progress: Any = None) -> Applied:
        """Registers the slices ``first`` to ``last`` of the chosen orientation as one transform; see ``apply``."""
        self.check(parameters)
        applied = self._applied(
            parameters,
            self.registerVolume,
            orientation=self.orientation(parameters),
            sliceRange=(first, last),
            progress=progress,
        )
        if not (parameters.refine or parameters.steer):
            return applied
        remark = _("Whole volumes are not refined, nor steered by landmarks.")
        return applied._replace(sentence=f"{applied.sentence} {remark}")

    def applySequence(self, parameters: Any, progress: Any = None) -> str:
        """Registers each frame of the chosen sequence to its first, and says what came out."""
        self.checkSequence(parameters)
        sequence = parameters.sequence
        self.requireTorch()
        from ..scene.registration.sequence import framesOf

        first, second, *_others = framesOf(sequence)
        model, reason = self.chooseModel(parameters, (first, second))
        outcome = self.registerSequence(sequence, model=model, device=parameters.device, progress=progress)
        sentence = _("'{name}' holds a transform for each of the {count} frames.").format(
            name=outcome.GetName(), count=outcome.GetNumberOfDataNodes()
        )
        return " ".join(text for text in (sentence, reason) if text)

    def _applied(self, parameters: Any, work: Callable[..., Any], **settings: Any) -> Applied:
        """Registers by one of the scripting functions, with what all of them take from the parameters."""
        self.requireTorch()
        self.keepOtherOutcome(parameters)
        with self.placed(parameters):
            model, reason = self.chooseModel(parameters)
            outcome = work(
                parameters.fixedVolume,
                parameters.movingVolume,
                model=model,
                maskNode=parameters.mask,
                movingMaskNode=parameters.movingMask,
                prealignment=parameters.prealignment,
                transformNode=parameters.transform,
                warpedVolume=parameters.warpedVolume,
                device=parameters.device,
                thisSliceOnly=parameters.confined,
                **settings,
            )
        parameters.transform, parameters.warpedVolume = outcome.transformNode, outcome.warpedVolume
        self.keep(
            parameters,
            outcome,
            model,
            refined=settings.get("refinement") is not None,
            steered=settings.get("landmarks") is not None,
        )
        return Applied(outcome, self.describe(parameters, outcome), reason)

    def keepOtherOutcome(self, parameters: Any) -> None:
        """Asks for new output nodes where the chosen ones hold the outcome of another moving volume."""
        if parameters.transform and not isResultTransformOf(parameters.transform, parameters.movingVolume):
            parameters.transform = parameters.warpedVolume = None

    @contextlib.contextmanager
    def placed(self, parameters: Any) -> Iterator[None]:
        """Puts the moving volume under the chosen initial transform; back where it was if the work is not done."""
        moving, initial, isDone = parameters.movingVolume, parameters.initialTransform, False
        before = moving.GetTransformNodeID()
        if initial and initialTransformOf(moving) is not initial:
            moving.SetAndObserveTransformNodeID(initial.GetID())
        try:
            yield
            isDone = True
        finally:
            if not isDone and moving.GetScene():
                moving.SetAndObserveTransformNodeID(before)

    def keep(self, parameters: Any, outcome: Any, model: str, refined: bool, steered: bool) -> str:
        """Puts an outcome into the history, and says so."""
        masks = {"mask": parameters.mask, "moving mask": parameters.movingMask}
        settings = {
            "model": model,
            "device": outcome.registration.device,
            "refined": refined,
            "steered": steered,
            "prealignment": parameters.prealignment,
            **({name: getattr(parameters, name) for name in _REFINED} if refined else {}),
            **{name: node.GetName() for name, node in masks.items() if node},
        }
        result = storeResult(slicer.mrmlScene, outcome, settings, self.errors(parameters, outcome.transformNode))
        return _("Kept as '{name}'.").format(name=result.name)

    def judge(self, parameters: Any, outcome: Any) -> Any:
        """A traffic light with reasons; see ``scene.judgement``."""
        from ..scene.reporting.judgement import judge

        return judge(outcome, self.errors(parameters, outcome.transformNode))

    def describe(self, parameters: Any, outcome: Any) -> str:
        """One sentence about an outcome."""
        from ..scene.reporting.summary import describeResult

        milliseconds = sum(outcome.registration.milliseconds.values())
        sentence = _("{what}: {how}; {time} on {device}.").format(
            what=outcome.pair.plane.name.capitalize(),
            how=describeResult(outcome, self.errors(parameters, outcome.transformNode)),
            time=f"{milliseconds:.0f} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s",
            device=outcome.registration.device,
        )
        fellBack = _("The memory of the GPU was too small, so the CPU was used.")
        return f"{sentence} {fellBack}" if self.fellBack else sentence
