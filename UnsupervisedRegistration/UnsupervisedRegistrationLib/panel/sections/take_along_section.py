"""Nodes that are taken along with a registration, their displacement, and the registration as a DICOM object."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, get_args

import qt
import slicer
from slicer.i18n import tr as _

from ...interaction import choices, inputs
from ...scene.exchange.dicom_headers import headersOfVolume
from ...scene.exchange.dicom_registration import writeDicomRegistration
from ...scene.propagation.node_map import PropagationDirection
from ...scene.propagation.resampled_moving import leaveMovingUntouched
from ...scene.propagation.resampling import PixelType, ResampleOptions, VolumeInterpolation
from ...scene.propagation.segment_displacement import (
    SegmentDisplacement,
    addDisplacementTable,
    exportDisplacementCsv,
    segmentDisplacements,
)
from ...scene.propagation.take_along import PropagationMethod, PropagationOptions, nodesToTakeAlong, takeAlong
from . import section
from .section import Section, connect

if TYPE_CHECKING:
    from ..panel import RegistrationPanel

_SEGMENTED = ("vtkMRMLSegmentationNode", "vtkMRMLLabelMapVolumeNode")


class TakeAlongSection(Section):
    """The list of nodes, and what is done with the selected ones."""

    def __init__(self, panel: RegistrationPanel) -> None:
        super().__init__(panel)
        self._nodeIds: list[str] = []  # Nodes themselves would outlive a closed scene.
        self._displacements: list[SegmentDisplacement] = []
        section.prepareTable(self.ui.takeAlongTable, [_("Node"), _("Parent transform")])
        for selector, offered in (
            (self.ui.directionSelector, PropagationDirection),
            (self.ui.methodSelector, PropagationMethod),
            (self.ui.interpolationSelector, VolumeInterpolation),
            (self.ui.pixelTypeSelector, PixelType),
        ):
            selector.addItems(list(get_args(offered)))
        self.ui.interpolationSelector.setCurrentText(ResampleOptions().interpolation)
        connect(self.ui.alongButton, "contentsCollapsed(bool)", self._onChoice)
        connect(self.ui.directionSelector, "currentIndexChanged(int)", self._onChoice)
        connect(self.ui.methodSelector, "currentIndexChanged(int)", self._onChoice)
        connect(self.ui.takeAlongButton, "clicked(bool)", self.onTakeAlong)
        connect(self.ui.displacementButton, "clicked(bool)", self.onDisplacement)
        connect(self.ui.displacementCsvButton, "clicked(bool)", self.onExport)
        connect(self.ui.dicomButton, "clicked(bool)", self.onDicom)

    def update(self) -> None:
        """Lists the nodes that can be taken along with the result that is shown."""
        transform = inputs.shownTransform(self.parameters)
        nodes = [] if transform is None else self._candidates(transform)
        self._nodeIds = [node.GetID() for node in nodes]
        rows = []
        for node in nodes:
            parent = node.GetParentTransformNode()
            rows.append([node.GetName(), "" if parent is None else parent.GetName()])
        section.fillTable(self.ui.takeAlongTable, rows)
        for button in (self.ui.takeAlongButton, self.ui.displacementButton, self.ui.dicomButton):
            button.enabled = transform is not None
        self.ui.displacementCsvButton.enabled = bool(self._displacements)
        isCopy = self.ui.methodSelector.currentText == "Hardened copy"
        for control in (self.ui.interpolationSelector, self.ui.backgroundSpinBox, self.ui.pixelTypeSelector):
            control.enabled = isCopy

    def onTakeAlong(self, checked: bool = False) -> None:
        """Takes the selected nodes along."""

        def take(transform: Any) -> str:
            taken = takeAlong(self._chosen(), transform, self._options())
            names = ", ".join(f"'{node.GetName()}'" for node in taken.nodes)
            return _("Taken along: {names}.").format(names=names)

        self._attempt(take)

    def onDisplacement(self, checked: bool = False) -> None:
        """Adds a table with the displacement of each segment of the selected nodes."""

        def measure(transform: Any) -> str:
            nodes = [node for node in self._chosen() if any(map(node.IsA, _SEGMENTED))]
            if not nodes:
                raise ValueError(_("Select a segmentation or a labelmap in the list first."))
            direction = self.ui.directionSelector.currentText
            measured = [(node, segmentDisplacements(node, transform, direction)) for node in nodes]
            tables = [addDisplacementTable(node, displacements) for node, displacements in measured]
            self._displacements = [each for _node, displacements in measured for each in displacements]
            names = ", ".join(f"'{table.GetName()}'" for table in tables)
            return _("The displacement of each segment is in the table {names}.").format(names=names)

        self._attempt(measure)

    def onExport(self, checked: bool = False) -> None:
        """Writes the displacements that were measured last to a CSV file."""
        path = qt.QFileDialog.getSaveFileName(
            self.panel.parent, _("Save the displacement of the segments"), "displacement.csv", "CSV (*.csv)"
        )
        if path:
            with self.panel.attempt():
                exportDisplacementCsv(self._displacements, path)
                self.panel.say(_("The displacements were written to '{path}'.").format(path=path))

    def onDicom(self, checked: bool = False) -> None:
        """Writes the shown result as a DICOM registration."""

        def write(transform: Any) -> str:
            fixed, moving = self.parameters.fixedVolume, self.parameters.movingVolume
            headers = [headersOfVolume(volume) for volume in (fixed, moving)]
            path = qt.QFileDialog.getSaveFileName(
                self.panel.parent, _("Save the DICOM registration"), "registration.dcm", "DICOM (*.dcm)"
            )
            if not path:
                return ""
            kind = writeDicomRegistration(transform, fixed, headers[0], headers[1], path)
            return _("The {kind} was written to '{path}'.").format(kind=kind, path=path)

        self._attempt(write)

    def placeMoving(self, result: Any) -> None:
        """Replaces the moving volume under the transform by a resampled copy after Apply, if this was chosen."""
        if self.parameters.movingOutput == choices.RESAMPLED_COPY:
            with self.panel.attempt():
                leaveMovingUntouched(result.transformNode)

    def _attempt(self, act: Callable[[Any], str]) -> None:
        """Acts with the shown result, and says what was done or why it was refused."""
        with self.panel.attempt():
            inputs.check(self.parameters)
            sentence = act(inputs.shownTransform(self.parameters))
            if sentence:
                self.panel.say(sentence)
        self.update()

    def _candidates(self, transform: Any) -> list[Any]:
        return nodesToTakeAlong(transform, self.ui.directionSelector.currentText)

    def _chosen(self) -> list[Any]:
        """The selected nodes that are still in the scene."""
        rows = [row for row in section.selectedRows(self.ui.takeAlongTable) if row < len(self._nodeIds)]
        found = (slicer.mrmlScene.GetNodeByID(self._nodeIds[row]) for row in rows)
        return [node for node in found if node is not None]

    def _options(self) -> PropagationOptions:
        ui = self.ui
        resampling = ResampleOptions(
            ui.interpolationSelector.currentText, ui.backgroundSpinBox.value, ui.pixelTypeSelector.currentText
        )
        return PropagationOptions(
            ui.directionSelector.currentText, ui.methodSelector.currentText, resampling, ui.keepInverseCheckBox.checked
        )

    def _onChoice(self, choice: object) -> None:
        if self.isShown:
            self.update()
