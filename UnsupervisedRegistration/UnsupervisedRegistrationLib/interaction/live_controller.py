"""Registers the slice of a view again whenever it changes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import slicer
import slicer.util
import vtk

from ..scene.reporting.translation import tr as _
from .latest_request import LatestRequestWorker
from .live_steps import LiveRequest, LiveSteps
from .scheduling import Scheduler

DEBOUNCE_MS = 5
"""A change of the slice causes several events at once. Of later events, as the user scrolls on, the newest counts."""

REST_MS = 400
"""The view has to stay unchanged so long before the fast result is replaced by that of the chosen preset."""

_LIVE_PRIORITY = 200.0  # Priority above that of the panel, which no longer chooses a node that goes.
_MOVED_POINT_EVENTS = ("PointModifiedEvent", "PointAddedEvent", "PointRemovedEvent")


class LiveController(slicer.util.VTKObservationMixin):
    """Follows a slice view, its images, their transforms and, if they constrain the deformation, the landmarks.

    Nodes are touched in the main thread only; the other thread runs the network.

    Args:
        steps: What is done in each thread.
        shown: Told of each result, and the ms from the change of the slice.
        problem: Told in a sentence why a slice could not be registered; the scene is as it was.
        ended: Told in a sentence that Live has stopped, because a node was deleted or the registration failed.
        scheduler: Makes the timers.
    """

    def __init__(
        self,
        steps: LiveSteps,
        shown: Callable[[Any, float], None],
        problem: Callable[[str], None],
        ended: Callable[[str], None],
        scheduler: Scheduler,
    ) -> None:
        super().__init__()
        self._steps = steps
        self._shown, self._problem, self._ended = shown, problem, ended
        self._worker = LatestRequestWorker(self._compute, self._show, self._fail, scheduler)
        self._timer = scheduler(DEBOUNCE_MS, self._ask)
        self._rest = scheduler(REST_MS, self._refine)
        self._refinable: LiveRequest | None = None  # What the rest timer waits for.
        self._isRefining = False
        self._since = time.perf_counter()
        self._state: Any = None
        self._nodes: list[Any] = []
        self.changed()

    @property
    def isBusy(self) -> bool:
        """Whether something changed and its fast result is not shown yet."""
        return self._timer.isActive() or (self._worker.isBusy and not self._isRefining)

    @property
    def isRefining(self) -> bool:
        """Whether the fast result that is shown will be replaced by that of the chosen preset."""
        return self._rest.isActive() or (self._worker.isBusy and self._isRefining)

    def changed(self, caller: Any = None, event: str = "") -> None:
        """Registers again if the slice, the settings or steering landmarks are no longer those of the last time."""
        state = self._steps.state()
        if state != self._state:
            self._state = state
            self._observe()
            self._restart()

    def stop(self) -> None:
        """Lets go of nodes, timers and the thread; what was shown stays."""
        self._timer.release()
        self._rest.release()
        self._worker.stop()
        self.removeObservers()

    def _onChange(self, caller: Any, event: str) -> None:
        self._steps.forget()
        self._restart()

    def _restart(self) -> None:
        if not self._timer.isActive():
            self._since = time.perf_counter()
        self._rest.stop()
        self._timer.start()

    def _observe(self) -> None:
        """Follows the nodes of the present settings."""
        nodes = self._steps.nodes()
        if nodes == self._nodes:
            return
        self.removeObservers()
        self._nodes = nodes
        event = slicer.mrmlScene.NodeAboutToBeRemovedEvent
        self.addObserver(slicer.mrmlScene, event, self._onRemoved, priority=_LIVE_PRIORITY)
        for node in nodes:
            if node.IsA("vtkMRMLSliceNode"):
                self.addObserver(node, vtk.vtkCommand.ModifiedEvent, self.changed)
            elif node.IsA("vtkMRMLVolumeNode"):
                for event in (vtk.vtkCommand.ModifiedEvent, slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent):
                    self.addObserver(node, event, self.changed)
            elif node.IsA("vtkMRMLMarkupsNode"):
                for name in _MOVED_POINT_EVENTS:
                    self.addObserver(node, getattr(slicer.vtkMRMLMarkupsNode, name), self.changed)
            elif node.IsA("vtkMRMLTransformNode"):
                self.addObserver(node, slicer.vtkMRMLTransformableNode.TransformModifiedEvent, self._onChange)
            elif node.IsA("vtkMRMLSegmentationNode"):
                self.addObserver(node, slicer.vtkSegmentation.SourceRepresentationModified, self._onChange)

    @vtk.calldata_type(vtk.VTK_OBJECT)  # type: ignore[untyped-decorator]
    def _onRemoved(self, caller: Any, event: str, node: Any) -> None:
        if node in self._nodes:
            self.stop()
            sentence = _("'{name}' was deleted, so Live was switched off; choose another one.")
            self._ended(sentence.format(name=node.GetName()))

    def _ask(self) -> None:
        try:
            request = self._steps.sample()
        except (ValueError, OSError) as error:
            self._problem(str(error))
            return
        self._isRefining = False
        self._worker.ask(request)

    def _refine(self) -> None:
        """Registers the slice that is shown with the chosen preset; another change of the slice cancels it."""
        if self._refinable is not None and not self._worker.isBusy:
            self._isRefining = True
            self._worker.ask(self._refinable)

    def _compute(self, request: LiveRequest) -> Any:
        return self._steps.compute(request, lambda: self._worker.isOvertaken)

    def _show(self, request: LiveRequest, registration: Any) -> None:
        try:
            result = self._steps.show(request, registration)
            self._refinable = None if self._isRefining else self._steps.refined(request)
        except (ValueError, OSError) as error:
            self._problem(str(error))
            return
        if self._refinable is not None and not self._timer.isActive():
            self._rest.start()
        self._shown(result, 1000 * (time.perf_counter() - self._since))

    def _fail(self, request: LiveRequest, error: BaseException) -> None:
        if isinstance(error, ValueError):
            self._problem(str(error))
        else:
            self.stop()
            self._ended(_("Live was switched off, because the registration failed: {error}.").format(error=error))
