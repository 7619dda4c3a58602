"""Landmarks: placed on both images, measured while they move, written to a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import qt
import slicer
import slicer.util
from slicer.i18n import tr as _

from ...interaction import inputs
from ...interaction.tre_texts import treRows, treSummary, treTips
from ...scene.geometry.registered_slices import RegisteredSlices, registeredSlices
from ...scene.landmarks.markups import createLandmarkPair, followVolume
from ...scene.landmarks.pairing import pairingProblems
from ...scene.landmarks.placing import placeProposals
from ...scene.landmarks.tre_export import exportTreCsv, fillTrePlot, fillTreTableNode
from ...scene.landmarks.tre_table import TreTable
from ...scene.result_folder import putIntoFolder
from ..timers import QtTimer
from . import section
from .section import Section, connect

if TYPE_CHECKING:
    from ..panel import RegistrationPanel

_COALESCE_MS = 30  # A drag moves a point many times a second.
_POINT_EVENTS = ("PointModifiedEvent", "PointAddedEvent", "PointRemovedEvent", "PointPositionDefinedEvent")
_CHART = "Landmark TRE"


class LandmarkSection(Section, slicer.util.VTKObservationMixin):  # type: ignore[misc]
    """Two landmark lists, their target registration errors, and the guided placement."""

    def __init__(self, panel: RegistrationPanel) -> None:
        Section.__init__(self, panel)
        slicer.util.VTKObservationMixin.__init__(self)
        self._tre: TreTable | None = None  # Of the pairs; there is one at least.
        self._slices: RegisteredSlices | None = None  # Those that the shown result was computed for.
        self._observed: tuple[Any, ...] = ()
        self._held: Any = None  # List whose points the mouse does not take meanwhile.
        self._refresh = QtTimer(_COALESCE_MS, self.measure)
        section.prepareTable(
            self.ui.landmarkTable,
            [_("Landmark"), _("Before (mm)"), _("After (mm)"), _("R (mm)"), _("A (mm)"), _("S (mm)")],
        )
        connect(self.ui.landmarkTable, "cellClicked(int,int)", self.onRow)
        connect(self.ui.createLandmarksButton, "clicked(bool)", self.onCreate)
        connect(self.ui.placeButton, "toggled(bool)", self.onPlace)
        connect(self.ui.nextPointButton, "clicked(bool)", self.onNextPoint)
        connect(self.ui.plotButton, "clicked(bool)", self.onPlot)
        connect(self.ui.exportButton, "clicked(bool)", self.onExport)

    def update(self) -> None:
        """Observes the chosen lists, volume and view."""
        p = self.parameters
        nodes = (p.fixedLandmarks, p.movingLandmarks, p.movingVolume, p.sliceView)
        self.ui.placeButton.enabled = all(nodes[:3])
        if nodes != self._observed:
            self._observe(nodes)
            self.measure()

    def release(self) -> None:
        """Ends the placement and releases the lists."""
        self._refresh.stop()
        self.ui.placeButton.checked = False
        self._observe(())

    def measure(self) -> None:
        """Fills the table, the chart and the table node with the current errors."""
        p = self.panel.parameters
        if p is None or not (p.fixedLandmarks and p.movingLandmarks and p.movingVolume):
            self._show(None, "")
            return
        if not any(node.GetNumberOfControlPoints() for node in (p.fixedLandmarks, p.movingLandmarks)):
            self._show(None, "")
            return
        followVolume(p.movingLandmarks, p.movingVolume)
        problems = " ".join(pairingProblems(p.fixedLandmarks, p.movingLandmarks))
        transform = inputs.shownTransform(p)
        if transform is None:
            self._show(None, problems or _("Press Apply to measure the TRE before and after the registration."))
            return
        try:
            tre = inputs.landmarkErrors(p, transform)
        except ValueError as error:  # The initial transform of the moving volume was deleted.
            self._show(None, str(error))
            return
        self._slices = registeredSlices(transform)
        self._show(tre, problems)
        if p.treTable and tre:
            fillTreTableNode(p.treTable, tre, self._slices)
        if tre and _chart():
            fillTrePlot(_chart(), tre)

    def onRow(self, row: int, column: int) -> None:
        """Shows the landmark of a row in the slice views."""
        if self._tre is not None and row < len(self._tre.labels):
            slicer.vtkMRMLSliceNode.JumpAllSlices(slicer.mrmlScene, *self._tre.fixed[row])

    def onCreate(self, checked: bool = False) -> None:
        """Creates a list for each image; the former lists stay in the scene."""
        p = self.parameters
        p.fixedLandmarks, p.movingLandmarks = createLandmarkPair(slicer.mrmlScene)
        if p.movingVolume:
            followVolume(p.movingLandmarks, p.movingVolume)

    def onPlace(self, place: bool) -> None:
        """Begins or ends the guided placement."""
        self.ui.nextPointButton.enabled = False
        self.ui.placeLabel.visible = place
        if place:
            self.onNextPoint()
        else:
            self._hold(None)
            _setPlacing(None)

    def onNextPoint(self, checked: bool = False) -> None:
        """Lets the next click place a point on the fixed image."""
        self.ui.nextPointButton.enabled = False
        self.ui.placeLabel.text = _("Click a point on the fixed image.")
        self._hold(None)
        _setPlacing(self.parameters.fixedLandmarks)

    def onPlot(self, checked: bool = False) -> None:
        """Shows the errors in Slicer's plot view."""
        if self._tre is None:
            return
        chart = _chart()
        if chart is None:
            chart = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLPlotChartNode", _CHART)
            putIntoFolder(chart)
        fillTrePlot(chart, self._tre)
        slicer.util.getNode("vtkMRMLSelectionNodeSingleton").SetReferenceActivePlotChartID(chart.GetID())
        layout = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLLayoutNode")
        layout.SetViewArrangement(slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalPlotView)
        slicer.app.applicationLogic().PropagatePlotChartSelection()

    def onExport(self, checked: bool = False) -> None:
        """Writes the errors to a CSV file."""
        path = qt.QFileDialog.getSaveFileName(
            self.panel.parent, _("Save the target registration errors"), "tre.csv", "CSV (*.csv)"
        )
        if path and self._tre is not None:
            with self.panel.attempt():
                exportTreCsv(self._tre, path, self._slices)
                self.panel.say(_("The target registration errors were written to '{path}'.").format(path=path))

    def _observe(self, nodes: tuple[Any, ...]) -> None:
        self.removeObservers()
        self._observed = nodes
        if nodes:
            event = slicer.vtkMRMLInteractionNode.InteractionModeChangedEvent
            self.addObserver(_interaction(), event, self._onInteraction)
        for node in (node for node in nodes if node):
            if node.IsA("vtkMRMLMarkupsNode"):
                for event in _POINT_EVENTS:
                    self.addObserver(node, getattr(slicer.vtkMRMLMarkupsNode, event), self._onPoints)
            elif node.IsA("vtkMRMLVolumeNode"):
                self.addObserver(node, slicer.vtkMRMLTransformableNode.TransformModifiedEvent, self._onMoved)
            else:
                self.addObserver(node, "ModifiedEvent", self._onMoved)

    def _onMoved(self, caller: Any, event: str) -> None:
        self._refresh.start()

    def _onPoints(self, caller: Any, event: str) -> None:
        self._refresh.start()
        if self.ui.placeButton.checked and caller is self.parameters.fixedLandmarks:
            self._propose()

    def _onInteraction(self, caller: Any, event: str) -> None:
        """The placement was interrupted, by Esc or by another tool; it can be continued."""
        if self.ui.placeButton.checked and caller.GetCurrentInteractionMode() != slicer.vtkMRMLInteractionNode.Place:
            self.ui.nextPointButton.enabled = True
            self.ui.placeLabel.text = _("Press Next point to place another one.")

    def _propose(self) -> None:
        """Proposes the point that corresponds to a new fixed point, for the user to correct."""
        p = self.parameters
        placed = placeProposals(p.fixedLandmarks, p.movingLandmarks, inputs.shownTransform(p), p.movingVolume)
        if not placed:
            return
        _setPlacing(None)
        self._hold(p.fixedLandmarks)
        self.ui.nextPointButton.enabled = True
        label = p.movingLandmarks.GetNthControlPointLabel(placed[-1])
        self.ui.placeLabel.text = _(
            "The point that corresponds to {label} is proposed on the moving image. Drag it to the right position, then"
            " press Next point."
        ).format(label=label)

    def _hold(self, node: Any) -> None:
        """Locks the fixed points while a partner is corrected, since both may be at one place; ``None`` unlocks."""
        if self._held is not None:
            self._held.SetLocked(False)
        self._held = None if node is None or node.GetLocked() else node
        if self._held is not None:
            self._held.SetLocked(True)

    def _show(self, tre: TreTable | None, problems: str) -> None:
        """Fills the table, and the line below it with a summary or with what is wrong."""
        ui, self._tre = self.ui, tre
        ui.plotButton.enabled = ui.exportButton.enabled = tre is not None
        if tre is None:
            section.fillTable(ui.landmarkTable, [])
            ui.landmarkLabel.text = problems
            return
        count = len(tre.labels)
        isOff = [False] * count if self._slices is None else [bool(off) for off in tre.offPlane(self._slices)]
        section.fillTable(ui.landmarkTable, treRows(tre, isOff), treTips(tre, isOff))
        away = _("{count} of {all} are not on the slice (⚠).").format(count=sum(isOff), all=count)
        ui.landmarkLabel.text = " ".join(
            text for text in (treSummary(tre), away if any(isOff) else "", problems) if text
        )


def _chart() -> Any:
    """The chart of the errors; ``None`` before it was asked for."""
    return slicer.mrmlScene.GetFirstNode(_CHART, "vtkMRMLPlotChartNode")


def _interaction() -> Any:
    return slicer.util.getNode("vtkMRMLInteractionNodeSingleton")


def _setPlacing(markupsNode: Any) -> None:
    """The next click in a view places a point of a list; with ``None`` clicks place nothing."""
    interaction = _interaction()
    if markupsNode is None:
        if interaction.GetCurrentInteractionMode() == slicer.vtkMRMLInteractionNode.Place:
            interaction.SwitchToViewTransformMode()
        return
    selection = slicer.util.getNode("vtkMRMLSelectionNodeSingleton")
    selection.SetReferenceActivePlaceNodeClassName(markupsNode.GetClassName())
    selection.SetActivePlaceNodeID(markupsNode.GetID())
    interaction.SwitchToSinglePlaceMode()
