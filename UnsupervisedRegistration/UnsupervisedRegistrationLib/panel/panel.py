"""The behaviour of the module's widget: parameters in, sentences out; each section looks after its own controls."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import slicer
import slicer.util
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from ..interaction import inputs
from ..interaction.logic import Applied
from ..interaction.parameters import RegistrationParameters
from .long_work import JobProgress, LongWork
from .sections.history_section import HistorySection
from .sections.input_section import InputSection
from .sections.landmark_section import LandmarkSection
from .sections.legend_section import LegendSection
from .sections.live_section import LiveSection
from .sections.model_section import ModelSection
from .sections.overlay_section import OverlaySection
from .sections.quality_section import QualitySection
from .sections.report_section import ReportSection
from .sections.section import connect
from .sections.side_by_side_section import SideBySideSection
from .sections.take_along_section import TakeAlongSection
from .sections.volume_section import VolumeSection
from .timers import QtTimer
from .torch_loading import TorchLoader

_PANEL_PRIORITY = 100.0  # Priority above that of the node selectors.


class RegistrationPanel(VTKObservationMixin):  # type: ignore[misc]
    """Connects controls, parameters and scene.

    Attributes:
        ui: The controls by their names.
        logic: A ``RegistrationLogic`` that knows the parameter node.
        parameters: What the panel shows now; ``None`` while it is left.
        result: The last registration; ``None`` without any.
        sections: All of them.
    """

    ui: Any
    logic: Any
    parent: Any
    parameters: RegistrationParameters | None

    def __init__(self) -> None:
        VTKObservationMixin.__init__(self)
        self.logic = self.parameters = self.result = self._guiTag = None
        self._hint = self._description = ""

    def build(self, ui: Any, logic: Any) -> None:
        """Connects the controls and follows the scene."""
        self.ui, self.logic = ui, logic
        self._fit = QtTimer(0, self._fitHeight)  # Once the layout knows of the new texts.
        self.longWork, self.torchLoader = LongWork(self), TorchLoader()
        self.inputs, self.models, self.live = InputSection(self), ModelSection(self), LiveSection(self)
        self.quality, self.overlay = QualitySection(self), OverlaySection(self)
        self.legends, self.sideBySide = LegendSection(self), SideBySideSection(self)
        self.landmarks, self.history, self.volume = LandmarkSection(self), HistorySection(self), VolumeSection(self)
        self.report, self.along = ReportSection(self), TakeAlongSection(self)
        self.sections = (
            *(self.inputs, self.models, self.live, self.quality),
            *(
                self.overlay,
                self.legends,
                self.sideBySide,
                self.landmarks,
                self.history,
                self.volume,
                self.report,
                self.along,
            ),
        )
        connect(ui.applyButton, "clicked(bool)", self.onApply)
        for widget in vars(ui).values():
            if hasattr(widget, "collapsed"):
                connect(widget, "contentsCollapsed(bool)", lambda collapsed: self._fit.start())
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.NodeAboutToBeRemovedEvent, self.onNodeAboutToBeRemoved, priority=_PANEL_PRIORITY)
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(scene, scene.EndImportEvent, self.onSceneEndClose)
        self.initializeParameterNode()

    def cleanup(self) -> None:
        """Releases the scene."""
        self.setParameterNode(None)
        self.torchLoader.stop()
        self._fit.release()
        self.removeObservers()

    def enter(self) -> None:
        """Binds the parameter node when the panel is shown, and loads PyTorch ahead of time."""
        self.initializeParameterNode()
        self.torchLoader.start()

    def exit(self) -> None:
        """Releases the parameter node when the panel is left."""
        self.setParameterNode(None)

    @vtk.calldata_type(vtk.VTK_OBJECT)  # type: ignore[untyped-decorator]
    def onNodeAboutToBeRemoved(self, caller: Any, event: str, node: Any) -> None:
        """Chooses nothing in place of a removed node; a selector by itself would choose the next one in its list."""
        if not self.parameters:
            return
        for widget in vars(self.ui).values():
            if hasattr(widget, "setCurrentNode") and widget.currentNode() is node:
                widget.setCurrentNode(None)

    def onSceneStartClose(self, caller: Any, event: str) -> None:
        """Restores the views, and releases the result and the nodes that are about to be removed."""
        self.overlay.restoreViews()
        self.forgetResult()
        self.setParameterNode(None)

    def onSceneEndClose(self, caller: Any, event: str) -> None:
        """Begins anew in the empty scene, or in one that was loaded."""
        if self.parent.isEntered:
            self.initializeParameterNode()

    def initializeParameterNode(self) -> None:
        """Binds the panel to the scene's parameters and proposes the red view."""
        parameters = self.logic.getParameterNode()
        self.setParameterNode(parameters)
        if not parameters.sliceView:
            parameters.sliceView = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeRed")

    def setParameterNode(self, parameters: Any) -> None:
        """Binds the panel to other parameters, or to none."""
        if self.parameters:
            self._unbind(self.parameters)
        self.parameters = parameters
        if parameters:
            # Unlike connectGui this gives the tag that disconnectGui needs in every version of Slicer.
            named = {widget.property("SlicerParameterName"): widget for widget in vars(self.ui).values()}
            bound = {name: widget for name, widget in named.items() if name}
            self._guiTag = parameters.connectParametersToGui(bound)
            self.addObserver(parameters.parameterNode, vtk.vtkCommand.ModifiedEvent, self.onModified)
            self.onModified()

    def _unbind(self, parameters: Any) -> None:
        self.longWork.cancel()
        for section in self.sections:
            section.release()
        parameters.disconnectGui(self._guiTag)
        self.removeObserver(parameters.parameterNode, vtk.vtkCommand.ModifiedEvent, self.onModified)

    def onModified(self, caller: Any = None, event: str = "") -> None:
        """Shows the parameters in all sections, and what is missing before Apply."""
        if not self.parameters:
            return
        missing = inputs.missing(self.parameters)
        self.ui.applyButton.enabled = not missing
        self.ui.applyButton.toolTip = missing or _("Register the moving slice to the fixed slice, and keep the result")
        for section in self.sections:
            section.update()
        if self.ui.statusLabel.text == self._hint:  # Nothing has been said since.
            self._hint = f"{missing}." if missing else ""
            self.say(self._hint)
        self.longWork.holdButtons()
        self._fit.start()

    def onApply(self, checked: bool = False) -> None:
        """Registers the slice."""
        self.apply(lambda progress: self.logic.apply(self.parameters, progress))

    def apply(self, job: Callable[[JobProgress], Applied | None]) -> None:
        """Registers, keeps the result, and shows the images and a sentence about it."""
        self.live.stop()
        self.ui.warpedCheckBox.checked = True
        applied = self.longWork.run(job)
        if applied:
            self.along.placeMoving(applied.result)
            self.showResult(applied.result, applied.sentence)

    def showResult(self, result: Any, sentence: str) -> None:
        """Shows a new result in all sections.

        Args:
            result: The registration.
            sentence: Describes it.
        """
        self.result, self._description = result, sentence
        self.say(sentence)
        self.quality.show(result)
        self.overlay.show(result)
        self.landmarks.measure()
        if not self.live.isOn:
            self.history.update()
        self._fit.start()

    def forgetResult(self) -> None:
        """Releases the last result, and removes its grade and all sentences about it."""
        self.result = self.overlay.result = None
        self.quality.clear()
        if self.parameters:
            self.legends.update()
        self.ui.keepButton.enabled = False
        if self._description and self.ui.statusLabel.text == self._description:
            self._hint = ""
            self.say("")
        self._description = ""

    def showScene(self) -> None:
        """Shows what the scene holds now, after a stored result was shown, deleted or undone."""
        self.quality.clear()
        self.overlay.show(None)
        self.landmarks.measure()
        self.history.update()

    def say(self, sentence: str) -> None:
        """Shows a sentence below the buttons."""
        self.ui.statusLabel.text = sentence
        self._fit.start()

    def fit(self) -> None:
        """Fits the height of the panel to its texts, once the layout knows of them."""
        self._fit.start()

    def _fitHeight(self) -> None:
        """Makes the panel as high as its wrapped texts need; Slicer's module panel asks before it knows the width."""
        self.parent.setMinimumHeight(self.parent.layout().totalHeightForWidth(self.parent.width))

    @contextlib.contextmanager
    def attempt(self) -> Iterator[None]:
        """Turns a refusal of the scene or of a file into a sentence in the panel; other exceptions show an error."""
        with slicer.util.tryWithErrorDisplay(_("An unexpected error occurred.")):
            try:
                yield
            except (ValueError, OSError) as error:
                self.say(str(error))

    def requireTorch(self) -> None:
        """Asks for PyTorch.

        Raises:
            ValueError: It cannot be imported; the sentence says what to do.
        """
        if not self.torchLoader.isDone:
            self.say(_("Loading PyTorch, which takes several seconds the first time .."))
            slicer.app.processEvents()
        try:
            self.logic.requireTorch()  # May ask, so not under the wait cursor.
        except RuntimeError as error:
            raise ValueError(str(error)) from error
