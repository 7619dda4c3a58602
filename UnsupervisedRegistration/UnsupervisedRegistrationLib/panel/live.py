"""Registers the slice of a view again whenever it changes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import qt
import slicer
import slicer.util
import vtk

from ..scene.planes import localIjkToRas
from ..scene.transforms import initialTransformOf
from .choices import TRUST
from .newest import NewestRequest

DEBOUNCE_MS = 20
"""An orientation change is two events and a turn of the wheel several; shorter than a blink, longer than these."""

_REFINE_SECONDS = 0.4  # While a landmark is dragged, the answer is worth more than the last bit of fit.
_POINT_EVENTS = ("PointModifiedEvent", "PointAddedEvent", "PointRemovedEvent")


_NOTHING: tuple[Any, Any, tuple[str, ...]] = (None, None, ())
"""Of a pre-alignment: what it holds for, its matrix, and what it did in words."""


class LiveRequest(NamedTuple):
    """All that the network needs for one slice, taken from the scene; and whether it has to do without the GPU."""

    pair: Any
    model: Any
    settings: dict[str, Any]
    fallsBack: bool


class LiveSteps:
    """What Live does with the scene before and after the network, and with the network between them.

    Args:
        logic: Of the module.
        parameters: What to register; may change meanwhile.
    """

    def __init__(self, logic: Any, parameters: Any) -> None:
        self._logic, self._parameters = logic, parameters
        self._model: tuple[str, Any] = ("", None)
        self._choice: tuple[Any, str] = (None, "")
        self._prealigned = _NOTHING
        self._crowdedDevice = ""
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
        return [node for node in (*chosen, *parents, *(self._logic.steering(p) or ())) if node]

    def state(self) -> tuple[Any, ...]:
        """What the outcome depends on; as long as it stays the same there is nothing to do."""
        p = self._parameters
        settings = (p.model, p.device, p.confined, p.prealignment, p.refine, p.similarity, p.smoothnessWeight)
        points = [
            slicer.util.arrayFromMarkupsControlPoints(node, world=True).tobytes()
            for node in self._logic.steering(p) or ()
        ]
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
        from ..scene.registration import landmarksInPlane

        logic, p = self._logic, self._parameters
        logic.check(p)
        with logic.placed(p):
            pair = self._pair()
            lists = logic.steering(p)
            points = landmarksInPlane(pair, *lists)[0] if lists else None
            model = self._chosenModel()
        fallsBack = p.device == self._crowdedDevice
        settings = {
            "device": "cpu" if fallsBack else p.device,
            "refinement": logic.refinement(p, _REFINE_SECONDS),
            "landmarks": points,
            "trust": p.overlay == TRUST,
        }
        return LiveRequest(pair, model, settings, fallsBack)

    def _pair(self) -> Any:
        """Both slices, pre-aligned as on the first slice while images, placement and orientation stay the same."""
        from ..scene.registration import samplePair

        p, plane = self._parameters, self._logic.plane(self._parameters)
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
            self._prealigned = (key, pair.placement, pair.remarks)
        return pair

    def _chosenModel(self) -> Any:
        """The model, chosen and read once for the images."""
        from ..scene.registration import openModel

        p = self._parameters
        key = (p.model, p.fixedVolume, p.movingVolume, p.fixedVolume.GetName(), p.movingVolume.GetName())
        key += self._voxels()
        if self._choice[0] != key:
            name, self.reason = self._logic.chooseModel(p)
            self._choice = (key, name)
        if self._model[0] != self._choice[1]:
            self._model = (self._choice[1], openModel(self._choice[1]))
        return self._model[1]

    def compute(self, request: LiveRequest, isOvertaken: Callable[[], bool]) -> Any:
        """Runs the network; in the other thread.

        Raises:
            Cancelled: A newer slice waits.
        """
        from ..scene.registration import Cancelled, registerPair

        def progress(step: str, share: float) -> None:
            if isOvertaken():
                raise Cancelled

        outcome = self._logic.onDevice(registerPair, request.pair, request.model, progress=progress, **request.settings)
        if self._logic.fellBack:  # The next slice would not fit either, and finding out takes long.
            self._crowdedDevice = request.settings["device"]
        self._logic.fellBack |= request.fallsBack
        return outcome

    def show(self, request: LiveRequest, registration: Any) -> Any:
        """Puts the outcome into the scene; in the main thread.

        Raises:
            ValueError: A node was deleted meanwhile, or the output cannot be used.
        """
        from ..scene.registration import checkOutputs, showOutcome

        p = self._parameters
        self._logic.check(p)
        self._logic.keepOtherOutcome(p)
        checkOutputs(request.pair, p.transform, p.warpedVolume)
        outcome = showOutcome(request.pair, registration, p.transform, p.warpedVolume, p.confined, exact=False)
        p.transform, p.warpedVolume = outcome.transformNode, outcome.warpedVolume
        return outcome


class LiveRegistration(slicer.util.VTKObservationMixin):
    """Follows a slice view, its images, their placement and, if they steer, the landmarks.

    Nodes are touched in the main thread only; the other thread runs the network.

    Args:
        steps: What is done in each thread.
        shown: Told of each outcome, and the ms from the change of the slice to the finished overlay.
        problem: Told in a sentence why a slice could not be registered; the scene is as it was.
        ended: Told in a sentence that a node vanished, and that all has stopped.
    """

    def __init__(
        self,
        steps: LiveSteps,
        shown: Callable[[Any, float], None],
        problem: Callable[[str], None],
        ended: Callable[[str], None],
    ) -> None:
        super().__init__()
        self._steps = steps
        self._shown, self._problem, self._ended = shown, problem, ended
        self._newest = NewestRequest(self._compute, self._show, self._fail)
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(DEBOUNCE_MS)
        self._timer.connect("timeout()", self._ask)
        self._since = time.perf_counter()
        self._state: Any = None
        self._nodes: list[Any] = []
        self.changed()

    @property
    def reason(self) -> str:
        """Why the model was chosen."""
        return self._steps.reason

    @property
    def modelName(self) -> str:
        """Name or file of the model."""
        return self._steps.modelName

    @property
    def isBusy(self) -> bool:
        """Whether something changed that is not shown yet."""
        return self._timer.isActive() or self._newest.isBusy

    def changed(self, caller: Any = None, event: str = "") -> None:
        """Registers again if the slice, the settings or steering landmarks are no longer those of the last time."""
        state = self._steps.state()
        if state != self._state:
            self._state = state
            self._observe()
            self._restart()

    def stop(self) -> None:
        """Lets go of nodes, timers and the thread; what was shown stays."""
        self._timer.stop()
        self._newest.stop()
        self.removeObservers()

    def _onChange(self, caller: Any, event: str) -> None:
        self._steps.forget()
        self._restart()

    def _restart(self) -> None:
        if not self._timer.isActive():
            self._since = time.perf_counter()
        self._timer.start()

    def _observe(self) -> None:
        """Follows the nodes of the present settings."""
        nodes = self._steps.nodes()
        if nodes == self._nodes:
            return
        self.removeObservers()
        self._nodes = nodes
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.NodeRemovedEvent, self._onRemoved)
        for node in nodes:
            if node.IsA("vtkMRMLSliceNode"):
                self.addObserver(node, vtk.vtkCommand.ModifiedEvent, self.changed)
            elif node.IsA("vtkMRMLVolumeNode"):
                for event in (vtk.vtkCommand.ModifiedEvent, slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent):
                    self.addObserver(node, event, self.changed)
            elif node.IsA("vtkMRMLMarkupsNode"):
                for name in _POINT_EVENTS:
                    self.addObserver(node, getattr(slicer.vtkMRMLMarkupsNode, name), self.changed)
            elif node.IsA("vtkMRMLTransformNode"):
                self.addObserver(node, slicer.vtkMRMLTransformableNode.TransformModifiedEvent, self._onChange)
            elif node.IsA("vtkMRMLSegmentationNode"):
                self.addObserver(node, slicer.vtkSegmentation.SourceRepresentationModified, self._onChange)

    def _onRemoved(self, caller: Any, event: str) -> None:
        gone = [node.GetName() for node in self._nodes if node.GetScene() is None]
        if gone:
            self.stop()
            self._ended(f"'{gone[0]}' was deleted, so Live was switched off; choose another one.")

    def _ask(self) -> None:
        try:
            self._newest.ask(self._steps.sample())
        except (ValueError, OSError) as error:
            self._problem(str(error))

    def _compute(self, request: Any) -> Any:
        return self._steps.compute(request, lambda: self._newest.isOvertaken)

    def _show(self, request: Any, registration: Any) -> None:
        try:
            outcome = self._steps.show(request, registration)
        except ValueError as error:
            self._problem(str(error))
            return
        self._shown(outcome, 1000 * (time.perf_counter() - self._since))

    def _fail(self, request: Any, error: BaseException) -> None:
        if isinstance(error, ValueError):
            self._problem(str(error))
        else:
            self.stop()
            self._ended(f"Live was switched off, because the registration failed: {error}.")
