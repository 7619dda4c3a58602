"""The logic of the module: what scripts call, and what the buttons of the panel do with its parameters."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import slicer
from slicer.i18n import tr as _

from ..interaction import inputs
from ..interaction.choices import AUTOMATIC
from ..interaction.device_fallback import DeviceFallback
from ..interaction.parameters import RegistrationParameters
from ..interaction.sentences import statusSentence
from ..scene.history.result_history import storeResult
from ..scene.landmarks.pairing import pairLandmarks
from .engine import SceneEngine
from .pytorch import PyTorchExtension

_OPTIMISATION = ("similarity", "smoothnessWeight", "refineSeconds")  # Parameters that count where a result is refined.


class PyTorchProvider(Protocol):
    """Installs PyTorch on demand."""

    def require(self) -> None:
        """Raises ``RuntimeError`` if torch cannot be imported."""


class RegistrationEngine(Protocol):
    """Registers nodes of the scene."""

    def registerSlice(self, fixedVolume: Any, movingVolume: Any, **settings: Any) -> Any:
        """Registers a slice of one volume to a slice of another."""

    def registerVolume(self, fixedVolume: Any, movingVolume: Any, **settings: Any) -> Any:
        """Registers many slices as one transform."""

    def registerSequence(self, sequenceNode: Any, **settings: Any) -> Any:
        """Registers the frames of a sequence to the first."""

    def chooseModel(self, fixedVolume: Any, movingVolume: Any) -> tuple[str, str]:
        """Returns the name or file of the model for two volumes, and the reason."""

    def addForegroundMask(self, volumeNode: Any) -> Any:
        """Adds a labelmap of the region where a volume shows the patient."""


class Applied(NamedTuple):
    """What Apply gives: the result, a sentence about it, and why its model was chosen."""

    result: Any
    sentence: str
    reason: str


class RegistrationLogic:
    """Registers slices, volumes and sequences.

    Args:
        pytorch: Installs PyTorch on demand; by default the PyTorch extension.
        engine: Registers; by default the functions of ``scene.registration``.

    Example::

        from UnsupervisedRegistration import UnsupervisedRegistrationLogic
        result = UnsupervisedRegistrationLogic().register(fixedVolume, movingVolume)
        print(result.transformNode.GetName(), result.registration.similarity_after)
    """

    def __init__(self, pytorch: PyTorchProvider | None = None, engine: RegistrationEngine | None = None) -> None:
        self._pytorch: PyTorchProvider = pytorch or PyTorchExtension()
        self._engine: RegistrationEngine = engine or SceneEngine()
        self.device = DeviceFallback()

    def requireTorch(self) -> None:
        """Makes sure that PyTorch can be imported, asking the PyTorch extension to install it if need be.

        Raises:
            RuntimeError: It cannot.
        """
        self._pytorch.require()

    def register(self, fixedVolume: Any, movingVolume: Any, **settings: Any) -> Any:
        """Registers a slice of ``movingVolume`` to one of ``fixedVolume``.

        Args:
            fixedVolume: Stays where it is.
            movingVolume: Gets the new transform as its parent.
            **settings: See ``scene.registration.slice.registerSlice``: ``plane``, ``model``, ``device``, ..

        Returns:
            ``SliceRegistration`` with ``transformNode``, ``warpedVolume`` and the measures.

        Raises:
            RuntimeError: PyTorch is missing and was not installed.
            ValueError: Something does not fit; the sentence says what.
        """
        self.requireTorch()
        return self.device.run(self._engine.registerSlice, fixedVolume, movingVolume, **settings)

    def registerVolume(self, fixedVolume: Any, movingVolume: Any, **settings: Any) -> Any:
        """Registers all slices of a volume, or a range; see ``scene.registration.volume`` and ``register``."""
        self.requireTorch()
        return self.device.run(self._engine.registerVolume, fixedVolume, movingVolume, **settings)

    def registerSequence(self, sequenceNode: Any, **settings: Any) -> Any:
        """Registers the frames of a sequence to the first; see ``scene.registration.sequence`` and ``register``."""
        self.requireTorch()
        return self.device.run(self._engine.registerSequence, sequenceNode, **settings)

    def apply(self, parameters: RegistrationParameters, progress: Any = None) -> Applied:
        """Registers the chosen slice, measures the landmarks, and keeps the result.

        Raises:
            RuntimeError: PyTorch is missing and was not installed.
            ValueError: Something does not fit; the scene is as it was.
        """
        inputs.check(parameters)
        steering = inputs.steeringLandmarks(parameters)
        if steering:  # Refused before anything is computed.
            pairLandmarks(*steering)
        applied = self._apply(
            parameters,
            self.register,
            plane=inputs.chosenPlane(parameters),
            refinement=inputs.chosenRefinement(parameters, parameters.refineSeconds),
            landmarks=steering,
            trust=True,
            progress=progress,
        )
        if inputs.landmarkErrors(parameters, applied.result.transformNode) and not parameters.treTable:
            parameters.treTable = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", "Landmark TRE")
        return applied

    def applyVolume(self, parameters: RegistrationParameters, first: int, last: int, progress: Any = None) -> Applied:
        """Registers the slices ``first`` to ``last`` of the chosen orientation as one transform; see ``apply``."""
        inputs.check(parameters)
        applied = self._apply(
            parameters,
            self.registerVolume,
            orientation=inputs.chosenOrientation(parameters),
            sliceRange=(first, last),
            progress=progress,
        )
        if not (parameters.refine or parameters.steer):
            return applied
        remark = _("Whole volumes are not refined, and landmarks do not constrain them.")
        return applied._replace(sentence=f"{applied.sentence} {remark}")

    def applySequence(self, parameters: RegistrationParameters, progress: Any = None) -> str:
        """Registers each frame of the chosen sequence to its first, and says what was made."""
        inputs.checkSequence(parameters)
        sequence = parameters.sequence
        self.requireTorch()
        from ..scene.registration.sequence import framesOf

        first, second, *_others = framesOf(sequence)
        model, reason = self._chosenModel(parameters, first, second)
        transforms = self.registerSequence(sequence, model=model, device=parameters.device, progress=progress)
        sentence = _("'{name}' holds a transform for each of the {count} frames.").format(
            name=transforms.GetName(), count=transforms.GetNumberOfDataNodes()
        )
        return " ".join(text for text in (sentence, reason) if text)

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

    def chooseModel(self, fixedVolume: Any, movingVolume: Any) -> tuple[str, str]:
        """Name or file of the model for two volumes, and the reason."""
        return self._engine.chooseModel(fixedVolume, movingVolume)

    def keep(self, parameters: RegistrationParameters, result: Any, model: str, refined: bool, steered: bool) -> str:
        """Adds a result to the list of results, and says so."""
        masks = {"mask": parameters.mask, "moving mask": parameters.movingMask}
        settings = {
            "model": model,
            "device": result.registration.device,
            "refined": refined,
            "steered": steered,
            "prealignment": parameters.prealignment,
            **({name: getattr(parameters, name) for name in _OPTIMISATION} if refined else {}),
            **{name: node.GetName() for name, node in masks.items() if node},
        }
        errors = inputs.landmarkErrors(parameters, result.transformNode)
        stored = storeResult(slicer.mrmlScene, result, settings, errors)
        return _("Kept as '{name}'.").format(name=stored.name)

    def describe(self, parameters: RegistrationParameters, result: Any) -> str:
        """One sentence about a result."""
        errors = inputs.landmarkErrors(parameters, result.transformNode)
        return statusSentence(result, errors, self.device.usedCpu)

    def _chosenModel(self, parameters: RegistrationParameters, fixed: Any, moving: Any) -> tuple[str, str]:
        return self.chooseModel(fixed, moving) if parameters.model == AUTOMATIC else (parameters.model, "")

    def _apply(self, parameters: RegistrationParameters, register: Any, **settings: Any) -> Applied:
        """Registers by one of the scripting functions, with what all of them take from the parameters."""
        self.requireTorch()
        inputs.releaseOtherOutputs(parameters)
        with inputs.initialTransformSet(parameters):
            model, reason = self._chosenModel(parameters, parameters.fixedVolume, parameters.movingVolume)
            result = register(
                parameters.fixedVolume,
                parameters.movingVolume,
                model=model,
                maskNode=parameters.mask,
                movingMaskNode=parameters.movingMask,
                prealignment=parameters.prealignment,
                transformNode=parameters.transform,
                warpedVolume=parameters.warpedVolume,
                device=parameters.device,
                thisSliceOnly=parameters.thisSliceOnly,
                **settings,
            )
        parameters.transform, parameters.warpedVolume = result.transformNode, result.warpedVolume
        refined, steered = (settings.get(name) is not None for name in ("refinement", "landmarks"))
        self.keep(parameters, result, model, refined, steered)
        return Applied(result, self.describe(parameters, result), reason)
