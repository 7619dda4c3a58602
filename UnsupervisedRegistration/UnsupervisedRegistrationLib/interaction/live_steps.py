"""What Live does with one slice: samples it from the scene, registers it, puts the result into the scene."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import slicer.util

from ..scene.geometry.planes import localIjkToRas
from ..scene.geometry.result_transform import initialTransformOf
from ..scene.landmarks.markups import labelledPositions
from ..scene.registration_options import AUTOMATIC, RegistrationOptions
from . import inputs
from .choices import TRUST_MAP
from .device_fallback import DeviceFallback
from .parameters import RegistrationParameters

_UNKNOWN: tuple[Any, Any, tuple[str, ...]] = (None, None, ())
"""Of a pre-alignment: what it was computed for, its matrix, and its notes."""


@dataclass(frozen=True)
class LiveRequest:
    """All that the registration of one slice needs, without any node of the scene in use.

    Attributes:
        pair: The sampled slices, ``SlicePair``.
        images: The same as the pipeline takes them, ``ImagePair``.
        models: Admissible models.
        modelKey: What the choice of the model depends on.
        options: How the slice is registered.
    """

    pair: Any
    images: Any
    models: Any
    modelKey: tuple[Any, ...]
    options: RegistrationOptions


class LiveSteps:
    """What Live does with the scene before and after the registration, and the registration between them.

    Args:
        parameters: What to register; may change meanwhile.
        device: Runs the registration.
    """

    def __init__(self, parameters: RegistrationParameters, device: DeviceFallback) -> None:
        self._parameters, self._device = parameters, device
        self._choice: tuple[Any, str, str] = (None, "", "")  # What the model was chosen for, its name, the reason.
        self._prealigned = _UNKNOWN
        self._fullDevice = ""

    def forget(self) -> None:
        """Drops the pre-alignment, because a mask or a transform changed."""
        self._prealigned = _UNKNOWN

    def nodes(self) -> list[Any]:
        """What is observed; Live ends when one of them is deleted."""
        p = self._parameters
        chosen = [p.sliceView, p.fixedVolume, p.movingVolume, p.mask, p.movingMask]
        parents = [
            p.fixedVolume.GetParentTransformNode() if p.fixedVolume else None,
            initialTransformOf(p.movingVolume) if p.movingVolume else None,
        ]
        return [node for node in (*chosen, *parents, *(inputs.steeringLandmarks(p) or ())) if node]

    def state(self) -> tuple[Any, ...]:
        """All that the result depends on; while it is equal, there is nothing to do."""
        p = self._parameters
        points = [tuple(labelledPositions(node)) for node in inputs.steeringLandmarks(p) or ()]
        view = None if p.sliceView is None else slicer.util.arrayFromVTKMatrix(p.sliceView.GetSliceToRAS()).tobytes()
        shown = (p.thisSliceOnly, p.initialTransform)
        return (view, self._options(), shown, tuple(points), tuple(self.nodes()), self._voxels())

    def sample(self) -> LiveRequest:
        """Samples the slice from the scene; in the main thread.

        The request is for the fast preset, whatever is chosen; see ``refined``.

        Raises:
            OSError: The model cannot be read.
            ValueError: Something does not fit, such as a view that shows no slice of the volume.
        """
        from ..scene.registration.slice import underInitialTransform

        inputs.check(self._parameters)
        chosen, options = inputs.sliceInputs(self._parameters), self._options()
        if options.device == self._fullDevice:
            options = replace(options, device="cpu")
        with underInitialTransform(chosen):
            pair, images = self._sampled(chosen)
        key = self._modelKey()
        return LiveRequest(pair, images, self._models(pair, options, key), key, replace(options, preset="fast"))

    def refined(self, request: LiveRequest) -> LiveRequest | None:
        """The same slice as Apply registers it, with the chosen preset and the expected error; ``None`` if it was."""
        preset, isDeformable = self._options().preset, request.options.transform == "deformable"
        if preset == "fast" and (request.options.uncertainty or not isDeformable):
            return None
        return replace(
            request,
            models=self._models(request.pair, request.options, request.modelKey),
            options=replace(request.options, preset=preset, uncertainty=True),
        )

    def compute(self, request: LiveRequest, isOvertaken: Callable[[], bool]) -> Any:
        """Registers the slice; in the other thread.

        Raises:
            Cancelled: A newer request waits.
        """
        from ..scene.registration.slice import Cancelled, run

        def progress(stage: str, share: float) -> None:
            if isOvertaken():
                raise Cancelled

        result = self._device.run(
            lambda options: run(request.images, request.models, options, progress), request.options
        )
        if self._device.usedCpu:  # The next slice would not fit either, and finding out takes long.
            self._fullDevice = request.options.device
        elif self._fullDevice and self._fullDevice == self._parameters.device:
            self._device.usedCpu = True
        return result

    def show(self, request: LiveRequest, registration: Any) -> Any:
        """Puts the result into the scene; in the main thread.

        Raises:
            ValueError: A node was deleted meanwhile, or the output cannot be used.
        """
        from ..scene.registration.result_nodes import checkOutputNodes, showSliceResult

        p = self._parameters
        inputs.check(p)
        inputs.releaseOtherOutputs(p)
        outputs = inputs.sliceOutputs(p)
        checkOutputNodes(request.pair, outputs)
        registration = self._withReason(request, registration)
        result = showSliceResult(request.pair, registration, outputs, exact=False)
        if (p.transform, p.warpedVolume) != (result.transformNode, result.warpedVolume):  # A change updates the panel.
            p.transform, p.warpedVolume = result.transformNode, result.warpedVolume
        return result

    def _options(self) -> RegistrationOptions:
        return inputs.chosenOptions(self._parameters, uncertainty=self._parameters.overlay == TRUST_MAP)

    def _voxels(self) -> tuple[Any, ...]:
        """What changes with the voxels of the volumes and with the position of their grid."""
        volumes = [node for node in self.nodes() if node.IsA("vtkMRMLVolumeNode") and node.GetImageData()]
        scalars = [volume.GetImageData().GetPointData().GetScalars() for volume in volumes]
        times = [0 if array is None else array.GetMTime() for array in scalars]
        return (*times, *(localIjkToRas(volume).tobytes() for volume in volumes))

    def _sampled(self, chosen: Any) -> tuple[Any, Any]:
        """Both slices, pre-aligned as on the first slice while images, transforms and orientation stay the same."""
        from ..scene.registration.slice import prealign
        from ..scene.registration.slice_pair import SliceSource

        options = self._options()
        kind = options.prealignment if options.transform == "deformable" else options.transform
        key = (kind, self.nodes(), self._voxels(), chosen.plane.ijkToRas[:3, :3].tobytes())
        known, matrix, notes = self._prealigned
        if known == key:
            source = SliceSource(chosen, matrix)
            images = source.sample(None)
            return source.pair, replace(images, notes=(*images.notes, *notes))
        source = SliceSource(chosen)
        images = prealign(source, options)
        if kind != "none" and min(np.ptp(source.pair.fixed.pixels), np.ptp(source.pair.moving.pixels)) > 0:
            self._prealigned = (key, images.prealignment, images.notes[-1:])
        return source.pair, images

    def _modelKey(self) -> tuple[Any, ...]:
        p = self._parameters
        return (p.model, p.freeModelsOnly, p.fixedVolume, p.movingVolume, *self._voxels())

    def _models(self, pair: Any, options: RegistrationOptions, key: tuple[Any, ...]) -> Any:
        """The model that was chosen for the volumes, or all that are admissible, before the first result."""
        from ..scene.registration.candidate_models import modelsFor

        known, name, _reason = self._choice
        return modelsFor(pair, replace(options, model=name) if known == key else options)

    def _withReason(self, request: LiveRequest, registration: Any) -> Any:
        """The result with the reason for its model, which is known from the first slice."""
        known, name, reason = self._choice
        if request.options.model != AUTOMATIC:
            return registration
        if known == request.modelKey and name == registration.model:
            return replace(registration, model_reason=reason)
        self._choice = (request.modelKey, registration.model, registration.model_reason)
        return registration
