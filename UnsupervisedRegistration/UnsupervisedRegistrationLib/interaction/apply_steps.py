"""Apply in three steps, the long one of which touches no node and may run in another thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..scene.landmarks.pairing import pairLandmarks
from ..scene.registration_options import RegistrationOptions
from . import inputs
from .logic import Applied, RegistrationLogic
from .parameters import RegistrationParameters


@dataclass(frozen=True)
class ApplyRequest:
    """All that the registration of one slice needs, without any node of the scene in use.

    Attributes:
        pair: The sampled slices, ``SlicePair``.
        images: The same, pre-aligned, as the pipeline takes them, ``ImagePair``.
        models: Admissible models.
        options: How the slice is registered.
        parentId: Of the transform above the moving volume before the registration; ``None`` without any.
    """

    pair: Any
    images: Any
    models: Any
    options: RegistrationOptions
    parentId: str | None


class ApplySteps:
    """Registers the chosen slice and keeps the result, as ``RegistrationLogic.apply`` does at once.

    Args:
        logic: Keeps the result.
        parameters: What to register.
    """

    def __init__(self, logic: RegistrationLogic, parameters: RegistrationParameters) -> None:
        self._logic, self._parameters = logic, parameters

    def sample(self) -> ApplyRequest:
        """Samples and pre-aligns the slices; in the main thread.

        Raises:
            OSError: The model cannot be read.
            RuntimeError: PyTorch is missing.
            ValueError: Something does not fit; the scene is as it was.
        """
        p = self._parameters
        inputs.check(p)
        self._logic.requireTorch()
        from ..scene.registration.candidate_models import modelsFor
        from ..scene.registration.result_nodes import checkOutputNodes
        from ..scene.registration.slice import prealign, underInitialTransform
        from ..scene.registration.slice_pair import SliceSource

        steering = inputs.steeringLandmarks(p)
        if steering:  # Refused before anything is computed.
            pairLandmarks(*steering)
        parentId = p.movingVolume.GetTransformNodeID()
        inputs.releaseOtherOutputs(p)
        chosen, options = inputs.sliceInputs(p), inputs.chosenOptions(p, uncertainty=True)
        with underInitialTransform(chosen):
            source = SliceSource(chosen)
            checkOutputNodes(source.pair, inputs.sliceOutputs(p), (chosen.maskNode, chosen.movingMaskNode))
            images = prealign(source, options)
            return ApplyRequest(source.pair, images, modelsFor(source.pair, options), options, parentId)

    def compute(self, request: ApplyRequest, progress: Callable[[str, float], None]) -> Any:
        """Registers the slices; in any thread.

        Args:
            request: From ``sample``.
            progress: Told of each stage; may raise ``Cancelled``.
        """
        from ..scene.registration.slice import run

        return self._logic.device.run(
            lambda options: run(request.images, request.models, options, progress), request.options
        )

    def show(self, request: ApplyRequest, registration: Any) -> Applied:
        """Puts the result into the scene and keeps it; in the main thread.

        Raises:
            ValueError: A node was deleted meanwhile.
        """
        from ..scene.registration.result_nodes import showSliceResult

        p = self._parameters
        inputs.check(p)
        result = showSliceResult(request.pair, registration, inputs.sliceOutputs(p))
        return self._logic.keepApplied(p, result, steered=inputs.steeringLandmarks(p) is not None)

    def cancel(self, request: ApplyRequest) -> None:
        """Puts the moving volume back where it was; in the main thread."""
        moving = request.pair.movingVolume
        if moving.GetScene():
            moving.SetAndObserveTransformNodeID(request.parentId)
