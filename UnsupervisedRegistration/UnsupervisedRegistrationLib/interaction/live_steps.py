"""What Live does with one slice: reads it from the scene, registers it, puts the result into the scene."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import slicer.util

from ..scene.geometry.planes import localIjkToRas
from ..scene.geometry.result_transform import initialTransformOf
from ..scene.landmarks.markups import labelledPositions
from . import inputs
from .choices import AUTOMATIC, TRUST
from .device_fallback import DeviceFallback
from .parameters import RegistrationParameters

ModelChooser = Callable[[Any, Any], tuple[str, str]]
"""From a fixed and a moving volume to the name or file of a model and the reason."""

_REFINE_SECONDS = 0.4  # While a landmark is dragged, the answer is worth more than the last bit of fit.
_NOTHING: tuple[Any, Any, tuple[str, ...]] = (None, None, ())
"""Of a pre-alignment: what it holds for, its matrix, and what it did in words."""


class LiveRequest(NamedTuple):
    """All that the network needs for one slice, taken from the scene; and whether it has to do without the GPU."""

    pair: Any
    model: Any
    settings: dict[str, Any]
    onCpuInstead: bool


class LiveSteps:
    """What Live does with the scene before and after the network, and with the network between them.

    Args:
        parameters: What to register; may change meanwhile.
        chooseModel: Asked where the parameters leave the model to it.
        device: Runs the registration.
    """

    def __init__(self, parameters: RegistrationParameters, chooseModel: ModelChooser, device: DeviceFallback) -> None:
        self._parameters, self._chooseModel, self._device = parameters, chooseModel, device
        self._model: tuple[str, Any] = ("", None)
        self._choice: tuple[Any, str] = (None, "")
        self._prealigned = _NOTHING
        self._fullDevice = ""
        self.reason = ""

    @property
    def modelName(self) -> str:
        """Name or file of the model in use."""
        return self._model[0]

    def forget(self) -> None:
        """Drops the pre-alignment, because a mask or a transform changed."""
        self._prealigned = _NOTHING

    def nodes(self) -> list[Any]:
        """What is followed; Live ends when one of them is deleted."""
        p = self._parameters
        chosen = [p.sliceView, p.fixedVolume, p.movingVolume, p.mask, p.movingMask]
        parents = [
            p.fixedVolume.GetParentTransformNode() if p.fixedVolume else None,
            initialTransformOf(p.movingVolume) if p.movingVolume else None,
        ]
        return [node for node in (*chosen, *parents, *(inputs.steeringLandmarks(p) or ())) if node]

    def state(self) -> tuple[Any, ...]:
        """What the outcome depends on; as long as it stays the same there is nothing to do."""
        p = self._parameters
        settings = (p.model, p.device, p.thisSliceOnly, p.prealignment, p.refine, p.similarity, p.smoothnessWeight)
        points = [tuple(labelledPositions(node)) for node in inputs.steeringLandmarks(p) or ()]
        view = None if p.sliceView is None else slicer.util.arrayFromVTKMatrix(p.sliceView.GetSliceToRAS()).tobytes()
        shows = (p.overlay == TRUST, p.initialTransform)
        return (view, settings, shows, tuple(points), tuple(self.nodes()), self._voxels())

    def _voxels(self) -> tuple[Any, ...]:
        """What changes with the voxels of the volumes and with the place of their grid."""
        volumes = [node for node in self.nodes() if node.IsA("vtkMRMLVolumeNode") and node.GetImageData()]
        scalars = [volume.GetImageData().GetPointData().GetScalars() for volume in volumes]
        times = [0 if array is None else array.GetMTime() for array in scalars]
        return (*times, *(localIjkToRas(volume).tobytes() for volume in volumes))

    def sample(self) -> LiveRequest:
        """Takes the slice out of the scene; in the main thread.

        Raises:
            OSError: The model cannot be read.
            ValueError: Something does not fit, such as a view that shows no slice of the volume.
        """
        from ..scene.registration.slice_pair import landmarksInPlane

        p = self._parameters
        inputs.check(p)
        with inputs.initialTransformSet(p):
            pair = self._pair()
            lists = inputs.steeringLandmarks(p)
            points = landmarksInPlane(pair, *lists)[0] if lists else None
            model = self._chosenModel()
        onCpuInstead = p.device == self._fullDevice
        settings = {
            "device": "cpu" if onCpuInstead else p.device,
            "refinement": inputs.chosenRefinement(p, _REFINE_SECONDS),
            "landmarks": points,
            "trust": p.overlay == TRUST,
        }
        return LiveRequest(pair, model, settings, onCpuInstead)

    def _pair(self) -> Any:
        """Both slices, pre-aligned as on the first slice while images, placement and orientation stay the same."""
        from ..scene.registration.slice_pair import samplePair

        p, plane = self._parameters, inputs.chosenPlane(self._parameters)
        key = (p.prealignment, self.nodes(), self._voxels(), plane.ijkToRas[:3, :3].tobytes())
        known, placement, remarks = self._prealigned
        pair = samplePair(
            p.fixedVolume,
            p.movingVolume,
            plane=plane,
            maskNode=p.mask,
            movingMaskNode=p.movingMask,
            prealignment=p.prealignment if known != key else "none" if placement is None else placement,
        )
        if known == key:
            return replace(pair, remarks=remarks)
        if p.prealignment != "none" and min(np.ptp(pair.fixed.pixels), np.ptp(pair.moving.pixels)) > 0:
            self._prealigned = (key, pair.prealignmentMatrix, pair.remarks)
        return pair

    def _chosenModel(self) -> Any:
        """The model, chosen and read once for the images."""
        from ..scene.registration.slice import openModel

        p = self._parameters
        key = (p.model, p.fixedVolume, p.movingVolume, p.fixedVolume.GetName(), p.movingVolume.GetName())
        key += self._voxels()
        if self._choice[0] != key:
            name, self.reason = (
                self._chooseModel(p.fixedVolume, p.movingVolume) if p.model == AUTOMATIC else (p.model, "")
            )
            self._choice = (key, name)
        if self._model[0] != self._choice[1]:
            self._model = (self._choice[1], openModel(self._choice[1]))
        return self._model[1]

    def compute(self, request: LiveRequest, isOvertaken: Callable[[], bool]) -> Any:
        """Runs the network; in the other thread.

        Raises:
            Cancelled: A newer slice waits.
        """
        from ..scene.registration.slice import Cancelled, registerPair

        def progress(step: str, share: float) -> None:
            if isOvertaken():
                raise Cancelled

        result = self._device.run(registerPair, request.pair, request.model, progress=progress, **request.settings)
        if self._device.usedCpu:  # The next slice would not fit either, and finding out takes long.
            self._fullDevice = request.settings["device"]
        self._device.usedCpu |= request.onCpuInstead
        return result

    def show(self, request: LiveRequest, registration: Any) -> Any:
        """Puts the outcome into the scene; in the main thread.

        Raises:
            ValueError: A node was deleted meanwhile, or the output cannot be used.
        """
        from ..scene.registration.result_nodes import checkOutputNodes, showSliceResult

        p = self._parameters
        inputs.check(p)
        inputs.releaseOtherOutputs(p)
        checkOutputNodes(request.pair, p.transform, p.warpedVolume)
        outcome = showSliceResult(request.pair, registration, p.transform, p.warpedVolume, p.thisSliceOnly, exact=False)
        if (p.transform, p.warpedVolume) != (
            outcome.transformNode,
            outcome.warpedVolume,
        ):  # A change updates the panel.
            p.transform, p.warpedVolume = outcome.transformNode, outcome.warpedVolume
        return outcome
