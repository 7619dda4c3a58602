"""Landmarks: placed in turn on both images, measured while they move, written to a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import qt
import slicer
import slicer.util
from slicer.i18n import tr as _

from ...interaction import inputs
from ...scene.landmarks.markups import createLandmarkPair, followVolume
from ...scene.landmarks.pairing import pairingProblems
from ...scene.landmarks.placing import placeProposals
from ...scene.landmarks.tre_export import exportTreCsv, fillTrePlot, fillTreTableNode
from ...scene.landmarks.tre_table import TreTable, summarise
from ..timers import QtTimer
from . import section
from .section import Section, connect

if TYPE_CHECKING:
    from ..panel import RegistrationPanel

_COALESCE_MS = 30  # A drag moves a point many times a second.
_POINT_EVENTS = ("PointModifiedEvent", "PointAddedEvent", "PointRemovedEvent", "PointPositionDefinedEvent")
_CHART = "Landmark distances"


class LandmarkSection(Section, slicer.util.VTKObservationMixin):
    """Two point lists, their distances, and the guided placing."""

    def __init__(self, panel: RegistrationPanel) -> None:
        Section.__init__(self, panel)
        slicer.util.VTKObservationMixin.__init__(self)
        self._errors: TreTable | None = None  # Of the pairs; there is one at least.
        self._plane: Any = None
        self._observed: tuple[Any, ...] = ()
        self._refresh = QtTimer(_COALESCE_MS, self.measure)
        section.prepareTable(self.ui.landmarkTable, [_("Point"), _("Before"), _("After"), "R", "A", "S"])
        connect(self.ui.landmarkTable, "cellClicked(int,int)", self.onRow)
        connect(self.ui.createLandmarksButton, "clicked(bool)", self.onCreate)
        connect(self.ui.placeButton, "toggled(bool)", self.onPlace)
        connect(self.ui.nextPointButton, "clicked(bool)", self.onNextPoint)
        connect(self.ui.plotButton, "clicked(bool)", self.onPlot)
        connect(self.ui.exportButton, "clicked(bool)", self.onExport)

    def update(self) -> None:
        """Follows the chosen lists, volume and view."""
        p = self.parameters
        nodes = (p.fixedLandmarks, p.movingLandmarks, p.movingVolume, p.sliceView)
        self.ui.placeButton.enabled = all(nodes[:3])
        if nodes != self._observed:
            self._observe(nodes)
            self.measure()

    def release(self) -> None:
        """Ends the placing and lets go of the lists."""
        self._refresh.stop()
        self.ui.placeButton.checked = False
        self._observe(())

    def measure(self) -> None:
        """Fills the table, the plot's chart and the MRML table with the distances as they are now."""
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
            self._show(None, problems or _("Press Apply to see the distances before and after."))
            return
        try:
            errors = inputs.landmarkErrors(p, transform)
        except ValueError as error:  # What placed the moving volume was deleted.
            self._show(None, str(error))
            return
        try:
            self._plane = inputs.chosenPlane(p)
        except ValueError:  # The view has left the volume; the distances hold even so.
            self._plane = None
        self._show(errors, problems)
        if p.errorTable and errors:
            fillTreTableNode(p.errorTable, errors, self._plane)
        if errors and _chart():
            fillTrePlot(_chart(), errors)

    def onRow(self, row: int, column: int) -> None:
        """Jumps to the landmark of a row."""
        if self._errors is not None and row < len(self._errors.labels):
            slicer.vtkMRMLSliceNode.JumpAllSlices(slicer.mrmlScene, *self._errors.fixed[row])

    def onCreate(self, checked: bool = False) -> None:
        """Makes a list for each image; the old ones stay in the scene."""
        p = self.parameters
        p.fixedLandmarks, p.movingLandmarks = createLandmarkPair(slicer.mrmlScene)
        if p.movingVolume:
            followVolume(p.movingLandmarks, p.movingVolume)

    def onPlace(self, place: bool) -> None:
        """Begins or ends the guided placing."""
        self.ui.nextPointButton.enabled = False
        self.ui.placeLabel.visible = place
        if place:
            self.onNextPoint()
        else:
            _setPlacing(None)

    def onNextPoint(self, checked: bool = False) -> None:
        """Lets the next click put a point on the fixed image."""
        self.ui.nextPointButton.enabled = False
        self.ui.placeLabel.text = _("Click a point on the fixed image.")
        _setPlacing(self.parameters.fixedLandmarks)

    def onPlot(self, checked: bool = False) -> None:
        """Draws the distances in Slicer's plot view."""
        chart = _chart() or slicer.mrmlScene.AddNewNodeByClass("vtkMRMLPlotChartNode", _CHART)
        fillTrePlot(chart, self._errors)
        slicer.util.getNode("vtkMRMLSelectionNodeSingleton").SetReferenceActivePlotChartID(chart.GetID())
        layout = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLLayoutNode")
        layout.SetViewArrangement(slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalPlotView)
        slicer.app.applicationLogic().PropagatePlotChartSelection()

    def onExport(self, checked: bool = False) -> None:
        """Writes the distances to a CSV file."""
        path = qt.QFileDialog.getSaveFileName(self.panel.parent, _("Save the distances"), "errors.csv", "CSV (*.csv)")
        if path:
            with self.panel.attempt():
                exportTreCsv(self._errors, path, self._plane)
                self.panel.say(_("The distances were written to '{path}'.").format(path=path))

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
        """The placing of a point was broken off, by Esc or by another tool; it can be taken up again."""
        if self.ui.placeButton.checked and caller.GetCurrentInteractionMode() != slicer.vtkMRMLInteractionNode.Place:
            self.ui.nextPointButton.enabled = True
            self.ui.placeLabel.text = _("Press Next point to place another one.")

    def _propose(self) -> None:
        """Puts the partner of a new fixed point where the registration takes it, for the user to correct."""
        p = self.parameters
        placed = placeProposals(p.fixedLandmarks, p.movingLandmarks, inputs.shownTransform(p), p.movingVolume)
        if not placed:
            return
        _setPlacing(None)
        self.ui.nextPointButton.enabled = True
        label = p.movingLandmarks.GetNthControlPointLabel(placed[-1])
        self.ui.placeLabel.text = _(
            "The partner of point {label} is proposed on the moving image: drag it where it belongs, then press"
            " Next point."
        ).format(label=label)

    def _show(self, errors: TreTable | None, problems: str) -> None:
        ui, self._errors = self.ui, errors
        there = errors is not None
        ui.plotButton.enabled = ui.exportButton.enabled = there
        if not there:
            section.fillTable(ui.landmarkTable, [])
            ui.landmarkLabel.text = problems
            return
        off = np.zeros(len(errors.labels), bool) if self._plane is None else errors.offPlane(self._plane)
        rows, tips = [], []
        for label, before, after, isOff in zip(errors.labels, errors.before, errors.after, off, strict=True):
            numbers = (np.linalg.norm(before), np.linalg.norm(after), *after)
            rows.append(
                [f"⚠ {label}" if isOff else label, *(f"{round(number, 1) + 0.0:.1f}" for number in numbers)]
            )  # No -0.0.
            tips.append(_("Lies off the slice, so its distance says little about it") if isOff else "")
        section.fillTable(ui.landmarkTable, rows, tips)
        before, after = (summarise(np.linalg.norm(vectors, axis=1)) for vectors in (errors.before, errors.after))
        summary = _("Mean {before:.1f} mm before, {after:.1f} mm after (SD {sd:.1f}, largest {most:.1f}).").format(
            before=before["mean"], after=after["mean"], sd=after["SD"], most=after["max"]
        )
        away = _("{count} of {all} lie off the slice (⚠).").format(count=off.sum(), all=len(off)) if off.any() else ""
        ui.landmarkLabel.text = " ".join(text for text in (summary, away, problems) if text)


def _chart() -> Any:
    """The chart of the distances, once it was asked for."""
    return slicer.mrmlScene.GetFirstNode(_CHART, "vtkMRMLPlotChartNode")


def _interaction() -> Any:
    return slicer.util.getNode("vtkMRMLInteractionNodeSingleton")


def _setPlacing(markupsNode: Any) -> None:
    """The next click in a view places a point of a list; ``None`` gives the mouse back to the views."""
    interaction = _interaction()
    if markupsNode is None:
        if interaction.GetCurrentInteractionMode() == slicer.vtkMRMLInteractionNode.Place:
            interaction.SwitchToViewTransformMode()
        return
    selection = slicer.util.getNode("vtkMRMLSelectionNodeSingleton")
    selection.SetReferenceActivePlaceNodeClassName(markupsNode.GetClassName())
    selection.SetActivePlaceNodeID(markupsNode.GetID())
    interaction.SwitchToSinglePlaceMode()
