"""What scripts call, and what the buttons of the panel and of the page do with the parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import slicer

from ..scene.history.result_history import storeResult
from ..scene.landmarks.pairing import pairLandmarks
from ..scene.registration_options import RegistrationOptions
from ..scene.reporting.translation import tr as _
from ..scene.result_folder import putIntoFolder, uniqueName
from . import inputs, sentences
from .device_fallback import DeviceFallback
from .engine import SceneEngine
from .parameters import OPTION_PARAMETERS, RegistrationParameters

if TYPE_CHECKING:
    from ..scene.geometry.planes import SlicePlane
    from ..scene.registration.result_nodes import SliceOutputs
    from ..scene.registration.volume import VolumeSlices


class PyTorchProvider(Protocol):
    """Installs PyTorch on demand."""

    def require(self) -> None:
        """Raises ``RuntimeError`` if torch cannot be imported."""


class RegistrationEngine(Protocol):
    """Registers nodes of the scene."""

    def registerSlice(self, inputs: Any, options: RegistrationOptions, outputs: Any, progress: Any) -> Any:
        """Registers a slice of one volume to a slice of another."""

    def registerVolume(
        self, inputs: Any, slices: Any, options: RegistrationOptions, outputs: Any, progress: Any
    ) -> Any:
        """Registers many slices as one transform."""

    def registerSequence(self, sequenceNode: Any, plane: Any, options: RegistrationOptions, progress: Any) -> Any:
        """Registers the frames of a sequence to the first."""

    def addForegroundMask(self, volumeNode: Any) -> Any:
        """Adds a labelmap of the region where a volume shows the patient."""


class Applied(NamedTuple):
    """What Apply gives: the result and a sentence about it."""

    result: Any
    sentence: str


class RegistrationLogic:
    """Registers slices, volumes and sequences.

    Args:
        pytorch: Installs PyTorch on demand, or says that it is missing.
        engine: Registers; by default the functions of ``scene.registration``.

    Example::

        from UnsupervisedRegistration import UnsupervisedRegistrationLogic
        result = UnsupervisedRegistrationLogic().register(fixedVolume, movingVolume)
        print(result.transformNode.GetName(), result.registration.similarity_after)
    """

    def __init__(self, pytorch: PyTorchProvider, engine: RegistrationEngine | None = None) -> None:
        self._pytorch = pytorch
        self._engine: RegistrationEngine = engine or SceneEngine()
        self.device = DeviceFallback()

    def requireTorch(self) -> None:
        """Makes sure that PyTorch can be imported, asking the PyTorch extension to install it if need be.

        Raises:
            RuntimeError: It cannot.
        """
        self._pytorch.require()

    def register(
        self,
        fixedVolume: Any,
        movingVolume: Any,
        options: RegistrationOptions | None = None,
        outputs: SliceOutputs | None = None,
        progress: Any = None,
        **inputNodes: Any,
    ) -> Any:
        """Registers a slice of ``movingVolume`` to one of ``fixedVolume``.

        Args:
            fixedVolume: Stays where it is.
            movingVolume: Gets the new transform as its parent.
            options: How; by default ``RegistrationOptions()``.
            outputs: Nodes that receive the result; by default new ones.
            progress: Called with the stage that begins and the share of the work that is done, 0..1.
            **inputNodes: ``plane``, ``movingOffset``, ``maskNode``, ``movingMaskNode``, ``landmarks``,
                ``initialTransform``; see ``scene.registration.slice_pair.SliceInputs``.

        Returns:
            ``SliceRegistration`` with ``transformNode``, ``warpedVolume`` and the measures.

        Raises:
            RuntimeError: PyTorch is missing and was not installed.
            ValueError: Something does not fit; the sentence says what.
        """
        self.requireTorch()
        from ..scene.registration.slice_pair import SliceInputs

        chosen = SliceInputs(fixedVolume, movingVolume, **inputNodes)
        return self._register(chosen, options or RegistrationOptions(), outputs, progress)

    def registerVolume(
        self,
        fixedVolume: Any,
        movingVolume: Any,
        slices: VolumeSlices | None = None,
        options: RegistrationOptions | None = None,
        progress: Any = None,
        **inputNodes: Any,
    ) -> Any:
        """Registers all slices of a volume, or a range, as one transform in a new node; see ``register``.

        Args:
            fixedVolume: Stays where it is.
            movingVolume: Gets the new transform as its parent.
            slices: Orientation and range, see ``scene.registration.volume``; by default all axial slices.
            options: How; by default ``RegistrationOptions()``.
            progress: See ``register``.
            **inputNodes: See ``register``.
        """
        self.requireTorch()
        from ..scene.registration.slice_pair import SliceInputs

        chosen = SliceInputs(fixedVolume, movingVolume, **inputNodes)
        return self._registerVolume(chosen, slices, options or RegistrationOptions(), None, progress)

    def registerSequence(
        self,
        sequenceNode: Any,
        plane: SlicePlane | None = None,
        options: RegistrationOptions | None = None,
        progress: Any = None,
    ) -> Any:
        """Registers a slice of each frame of a sequence to the first frame.

        Args:
            sequenceNode: Of volumes.
            plane: In the first frame; by default its middle slice.
            options: How; by default ``RegistrationOptions()``.
            progress: See ``register``.

        Returns:
            ``SequenceRegistration`` with ``transformSequence``.
        """
        self.requireTorch()
        return self.device.run(
            lambda chosen: self._engine.registerSequence(sequenceNode, plane, chosen, progress),
            options or RegistrationOptions(),
        )

    def apply(self, parameters: RegistrationParameters, progress: Any = None) -> Applied:
        """Registers the chosen slice, measures the landmarks, and keeps the result.

        Raises:
            RuntimeError: PyTorch is missing and was not installed.
            ValueError: Something does not fit; the scene is as it was.
        """
        inputs.check(parameters)
        self.requireTorch()
        steering = inputs.steeringLandmarks(parameters)
        if steering:  # Refused before anything is computed.
            pairLandmarks(*steering)
        inputs.releaseOtherOutputs(parameters)
        chosen, outputs = inputs.sliceInputs(parameters), inputs.sliceOutputs(parameters)
        result = self._register(chosen, inputs.chosenOptions(parameters, uncertainty=True), outputs, progress)
        return self.keepApplied(parameters, result, steered=steering is not None)

    def applyVolume(self, parameters: RegistrationParameters, first: int, last: int, progress: Any = None) -> Applied:
        """Registers the slices ``first`` to ``last`` of the chosen orientation as one transform; see ``apply``."""
        inputs.check(parameters)
        self.requireTorch()
        from ..scene.registration.volume import VolumeSlices

        inputs.releaseOtherOutputs(parameters)
        chosen, outputs = inputs.volumeInputs(parameters), inputs.sliceOutputs(parameters)
        slices = VolumeSlices(inputs.chosenOrientation(parameters), (first, last))
        result = self._registerVolume(chosen, slices, inputs.chosenOptions(parameters), outputs, progress)
        applied = self._keepApplied(parameters, result, steered=False)
        if not parameters.steer:
            return applied
        remark = _("Landmarks do not guide the registration of whole volumes.")
        return applied._replace(sentence=f"{applied.sentence} {remark}")

    def applySequence(self, parameters: RegistrationParameters, progress: Any = None) -> str:
        """Registers each frame of the chosen sequence to its first, and says what was made."""
        inputs.checkSequence(parameters)
        done = self.registerSequence(parameters.sequence, None, inputs.chosenOptions(parameters), progress)
        sentence = _("'{name}' holds a transform for each of the {count} frames.").format(
            name=done.transformSequence.GetName(), count=done.transformSequence.GetNumberOfDataNodes()
        )
        return f"{sentence} {sentences.describePlan(done.result)}"

    def addForegroundMask(self, parameters: RegistrationParameters, moving: bool) -> Any:
        """Adds a labelmap of where the fixed or the moving volume shows the patient, and chooses it as the mask.

        Raises:
            ValueError: No volume is chosen, or its voxels are all equal.
        """
        volume = parameters.movingVolume if moving else parameters.fixedVolume
        if not volume:
            side = _("moving") if moving else _("fixed")
            raise ValueError(_("Choose the {side} volume first; the mask is computed from it.").format(side=side))
        self.requireTorch()
        mask = self._engine.addForegroundMask(volume)
        setattr(parameters, "movingMask" if moving else "mask", mask)
        return mask

    def keep(self, parameters: RegistrationParameters, result: Any, steered: bool) -> str:
        """Adds a result to the list of results, and says so."""
        masks = {"mask": parameters.mask, "moving mask": parameters.movingMask}
        settings = {
            **{parameter: getattr(parameters, parameter) for parameter in OPTION_PARAMETERS.values()},
            "model": result.registration.model if parameters.model == RegistrationOptions().model else parameters.model,
            "device": result.registration.device,
            "steered": steered,
            **{name: node.GetName() for name, node in masks.items() if node},
        }
        errors = inputs.landmarkErrors(parameters, result.transformNode)
        stored = storeResult(slicer.mrmlScene, result, settings, errors)
        return _("Kept as '{name}'.").format(name=stored.name)

    def describe(self, parameters: RegistrationParameters, result: Any) -> str:
        """One sentence about a result."""
        errors = inputs.landmarkErrors(parameters, result.transformNode)
        return sentences.statusSentence(result, errors, self.device.usedCpu)

    def keepApplied(self, parameters: RegistrationParameters, result: Any, steered: bool) -> Applied:
        """Keeps the result of a slice, and adds a table for the errors of its landmarks."""
        applied = self._keepApplied(parameters, result, steered)
        if inputs.landmarkErrors(parameters, result.transformNode) and not parameters.treTable:
            name = uniqueName(slicer.mrmlScene, "Landmark TRE")
            parameters.treTable = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", name)
            putIntoFolder(parameters.treTable)
        return applied

    def _register(self, chosen: Any, options: RegistrationOptions, outputs: Any, progress: Any) -> Any:
        return self.device.run(lambda used: self._engine.registerSlice(chosen, used, outputs, progress), options)

    def _registerVolume(
        self, chosen: Any, slices: Any, options: RegistrationOptions, outputs: Any, progress: Any
    ) -> Any:
        return self.device.run(
            lambda used: self._engine.registerVolume(chosen, slices, used, outputs, progress), options
        )

    def _keepApplied(self, parameters: RegistrationParameters, result: Any, steered: bool) -> Applied:
        """Chooses the outputs of a result, adds it to the results, and describes it."""
        parameters.transform, parameters.warpedVolume = result.transformNode, result.warpedVolume
        self.keep(parameters, result, steered)
        return Applied(result, self.describe(parameters, result))
