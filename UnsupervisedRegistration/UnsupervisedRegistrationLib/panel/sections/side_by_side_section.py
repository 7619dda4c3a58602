"""Fixed and moving image in two linked views."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import slicer
import slicer.util
import vtk

from ...interaction import inputs
from ...scene.display import overlays, side_by_side, view_state
from ...scene.display.linked_cursor import markCorrespondingPoint
from ..timers import QtTimer
from .section import Section, connect, setCheckedQuietly

if TYPE_CHECKING:
    from ..panel import RegistrationPanel


class SideBySideSection(Section, slicer.util.VTKObservationMixin):  # type: ignore[misc]
    """Opens and closes the side-by-side layout, and follows Slicer's own choice of layout."""

    def __init__(self, panel: RegistrationPanel) -> None:
        Section.__init__(self, panel)
        slicer.util.VTKObservationMixin.__init__(self)
        self._viewBefore: Any = None  # The view that was chosen before the layout was opened.
        self._plane: Any = None  # The slice that was shown when the layout was opened.
        self._fit = QtTimer(0, self._fitViews)
        connect(self.ui.sideBySideButton, "toggled(bool)", self.onToggled)
        connect(self.ui.undeformedCheckBox, "toggled(bool)", self._onUndeformed)

    def update(self) -> None:
        """Shows whether the layout is open, and observes the layout."""
        setCheckedQuietly(self.ui.sideBySideButton, side_by_side.isSideBySide(slicer.mrmlScene))
        layoutNode = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLLayoutNode")
        if layoutNode and not self.hasObserver(layoutNode, vtk.vtkCommand.ModifiedEvent, self._onLayout):
            self.addObserver(layoutNode, vtk.vtkCommand.ModifiedEvent, self._onLayout)

    def release(self) -> None:
        """Releases the timer and the layout."""
        self._fit.stop()
        self.removeObservers()

    def leave(self) -> None:
        """Registers the view from before again, after the layout was closed."""
        self._restoreView()
        setCheckedQuietly(self.ui.sideBySideButton, False)

    def onToggled(self, isOn: bool) -> None:
        """Opens or closes the layout."""
        if not isOn:
            self.panel.overlay.restoreViews()
            self.panel.overlay.show(self.panel.overlay.result)
            return
        with self.panel.attempt():
            parameters = self.parameters
            inputs.check(parameters)
            overlay = overlays.enterOverlay(parameters.fixedVolume, parameters.movingVolume)
            self._plane = inputs.chosenPlane(parameters)
            side_by_side.showSideBySide(overlay, self._plane, self.ui.undeformedCheckBox.checked)
            self._followCursor()
            # Live, landmarks and overlays follow the view in which the user scrolls now.
            self._viewBefore = parameters.sliceView
            parameters.sliceView = side_by_side.fixedView(slicer.mrmlScene)
            self._fit.start()
            return
        setCheckedQuietly(self.ui.sideBySideButton, False)

    def _onUndeformed(self, isUndeformed: bool) -> None:
        """Shows the other form of the moving image in the layout that is open."""
        if self.isShown and self.ui.sideBySideButton.checked:
            with self.panel.attempt():
                parameters = self.parameters
                overlay = overlays.enterOverlay(parameters.fixedVolume, parameters.movingVolume)
                side_by_side.showSideBySide(overlay, inputs.chosenPlane(parameters), isUndeformed)

    def _followCursor(self) -> None:
        crosshair = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
        event = slicer.vtkMRMLCrosshairNode.CursorPositionModifiedEvent
        if crosshair and not self.hasObserver(crosshair, event, self._onCursor):
            self.addObserver(crosshair, event, self._onCursor)

    def _onCursor(self, caller: Any, event: str) -> None:
        """Marks the point under the cursor in the other view, if that shows the image as it was taken."""
        isOn = self.isShown and self.ui.sideBySideButton.checked and self.ui.undeformedCheckBox.checked
        transform = inputs.shownTransform(self.parameters) if isOn else None
        position = [0.0, 0.0, 0.0]
        view = caller.GetCursorPositionXYZ(position)
        if transform is not None and view is not None and caller.GetCursorPositionRAS(position):
            with self.panel.attempt():
                markCorrespondingPoint(np.array(position), transform, view)

    def _onLayout(self, caller: Any, event: str) -> None:
        """Another layout was chosen in Slicer: it stays, and the view from before is registered again."""
        isOn = side_by_side.isSideBySide(slicer.mrmlScene)
        if self.isShown and self.ui.sideBySideButton.checked and not isOn:
            view_state.forget(caller)
            self._restoreView()
        setCheckedQuietly(self.ui.sideBySideButton, isOn)

    def _fitViews(self) -> None:
        """Fits the slice into the views, once these have their size; new views show another slice until then."""
        if self.isShown and self.ui.sideBySideButton.checked:
            side_by_side.fitSideBySide(slicer.mrmlScene, self._plane)

    def _restoreView(self) -> None:
        if self.isShown and self.parameters.sliceView is side_by_side.fixedView(slicer.mrmlScene):
            isThere = self._viewBefore is not None and self._viewBefore.GetScene() is not None
            self.parameters.sliceView = self._viewBefore if isThere else slicer.util.getNode("vtkMRMLSliceNodeRed")
