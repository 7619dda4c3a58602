"""Ways to see the fit: what is laid over what, the deformation, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import qt
import slicer
import slicer.util
import vtk
from slicer.i18n import tr as _

from ...interaction import inputs
from ...interaction.choices import (
    ARROWS,
    BLEND,
    CHECKERBOARD,
    DIFFERENCE,
    EDGES,
    FLICKER,
    GRID,
    HIDDEN,
    JACOBIAN,
    OFF,
    OVERLAYS,
    RED_CYAN,
    SWIPE,
    TRUST,
)
from ...scene.display import overlays, scalar_maps, side_by_side, view_state
from ...scene.display.deformation_display import deformationGlyphs, deformationGrid, hideDeformation
from ...scene.display.slice_views import showOverlay
from ...scene.geometry.result_transform import isWarped
from ..timers import QtTimer
from .section import Section, connect

if TYPE_CHECKING:
    from ..panel import RegistrationPanel

_FOLLOW_MS = 20
_FLICKER_MS = 250  # Until a rate is chosen.
_GO_ON = (FLICKER, CHECKERBOARD, SWIPE, DIFFERENCE, EDGES)  # Follow time or slice, also after the panel was left.
_OF_THE_SLICE = (CHECKERBOARD, SWIPE, DIFFERENCE, EDGES, JACOBIAN, TRUST)  # Drawn anew for each slice.


class OverlaySection(Section, slicer.util.VTKObservationMixin):
    """Shows one of the modes, and gives the views back as they were."""

    def __init__(self, panel: RegistrationPanel) -> None:
        Section.__init__(self, panel)
        slicer.util.VTKObservationMixin.__init__(self)
        self._drawn: Any = None  # Settings of the last drawing; ``None`` while the views are the user's own.
        self._mode = ""
        self._asked: Any = None  # The mode and its settings; ``None`` before the panel shows them.
        self._outcome: Any = None
        self._viewBefore: Any = None  # Chosen before the views beside each other.
        self._movingTurn = False
        self._follow = QtTimer(_FOLLOW_MS, self.draw)
        self._fit = QtTimer(0, self._fitLinked)
        self._flicker = QtTimer(_FLICKER_MS, self._takeTurns, repeats=True)
        connect(self.ui.warpedCheckBox, "toggled(bool)", self._onWarped)
        connect(self.ui.linkedButton, "toggled(bool)", self._onLinked)
        self._shortcuts = [self._shortcut(f"Alt+{n}", lambda mode=mode: self._choose(mode)) for n, mode in _KEYS]
        self._shortcuts.append(self._shortcut("Alt+U", self.ui.warpedCheckBox.toggle))
        self._shortcuts.append(self._shortcut("Alt+L", self.ui.liveButton.click))

    def update(self) -> None:
        """Shows the controls of the chosen mode, and the mode itself once it, or one of its settings, changes."""
        parameters, ui = self.parameters, self.ui
        for mode, name in ((BLEND, "blend"), (FLICKER, "flicker"), (CHECKERBOARD, "tile"), (SWIPE, "swipe")):
            for control in (getattr(ui, f"{name}Label"), getattr(ui, f"{name}Slider")):
                control.visible = parameters.overlay == mode
        drawn = parameters.deformation != HIDDEN
        ui.gridSpacingLabel.visible = ui.gridSpacingSlider.visible = drawn
        for shortcut in self._shortcuts:
            shortcut.setEnabled(True)
        self._showState()
        chosen, self._mode = self._mode not in ("", parameters.overlay), parameters.overlay
        asked, self._asked = self._asked, self._modeSettings()
        returned = asked is None and parameters.overlay in _GO_ON and view_state.isOverlayShown(slicer.mrmlScene)
        if chosen and parameters.overlay == OFF:
            self.restore()
        elif returned or asked not in (None, self._asked) or (self._drawn and self._drawn != self._settings()):
            self.draw()

    def release(self) -> None:
        """Stops the timers; the views stay as they are, so that one can look at them in another module."""
        for timer in (self._flicker, self._follow, self._fit):
            timer.stop()
        self.removeObservers()
        for shortcut in self._shortcuts:
            shortcut.setEnabled(False)
        self._drawn, self._outcome, self._mode, self._asked = None, None, "", None

    def show(self, outcome: Any = None) -> None:
        """Draws the chosen mode over a new outcome, or over what the scene shows now."""
        self._outcome = outcome
        if self.parameters.overlay != OFF:
            self.draw()

    def draw(self) -> None:
        """Shows the chosen mode on the slice that is shown now."""
        parameters, mode = self.parameters, self.parameters.overlay
        if inputs.missing(parameters):
            return
        first, self._drawn = self._drawn is None, self._settings()
        self._observe()
        self._showState()
        try:
            overlay = overlays.enterOverlay(parameters.fixedVolume, parameters.movingVolume)
            if first and self._outcome is not None and not inputs.isInView(parameters):
                showOverlay(parameters.fixedVolume, parameters.movingVolume, self._outcome.pair.plane)
            self._flicker.stop()
            _DRAW[mode](self, overlay)
            self._drawDeformation()
        except ValueError as error:
            self.panel.say(str(error))

    def restore(self) -> None:
        """Gives the views back as they were."""
        self._flicker.stop()
        self._follow.stop()
        self.removeObservers()
        self._drawn = None
        overlays.restoreViews(slicer.mrmlScene)
        self._leaveLinked()
        for control in (self.ui.warpedCheckBox, self.ui.linkedButton):
            self._check(control, control is self.ui.warpedCheckBox)

    def _modeSettings(self) -> tuple[Any, ...]:
        p = self.parameters
        return (p.overlay, p.deformation, p.blend, p.flickerRate, p.tileSize, p.swipe, p.gridSpacing)

    def _settings(self) -> tuple[Any, ...]:
        p = self.parameters
        return (p.fixedVolume, p.movingVolume, p.sliceView, p.sliceSource, *self._modeSettings())

    def _observe(self) -> None:
        view = self.parameters.sliceView
        if view is not None and not self.hasObserver(view, vtk.vtkCommand.ModifiedEvent, self._onSlice):
            self.removeObservers(self._onSlice)
            self.addObserver(view, vtk.vtkCommand.ModifiedEvent, self._onSlice)

    def _onSlice(self, caller: Any, event: str) -> None:
        if self.isShown and self.parameters.overlay in _OF_THE_SLICE and not self.panel.live.isOn:
            self._follow.start()

    def _images(self, overlay: overlays.Overlay) -> overlays.OverlayImages:
        """What the outcome holds of the slice that is shown, and the rest from the scene."""
        plane, outcome = inputs.chosenPlane(self.parameters), self._outcome
        if outcome is None or outcome.pair.plane.name != plane.name or not self.ui.warpedCheckBox.checked:
            return overlays.overlayImages(overlay, plane)
        return overlays.overlayImages(overlay, outcome.pair.plane, outcome.pair.fixed.pixels, outcome.warpedPixels)

    def _map(self, overlay: overlays.Overlay, mode: str) -> None:
        if self._outcome is None:
            raise ValueError(_("'{mode}' shows what the last registration found; press Apply first.").format(mode=mode))
        pair, trust = self._outcome.pair, self._outcome.trust
        if mode == JACOBIAN:
            scalar_maps.jacobianMap(overlay, pair.plane, self._outcome.jacobian, pair.fixed.pixels)
        elif trust is None:
            raise ValueError(_("The last registration did not estimate its error; press Apply."))
        else:
            scalar_maps.trustMap(overlay, pair.plane, trust, pair.fixed.pixels)

    def _startFlicker(self, overlay: overlays.Overlay) -> None:
        self._flicker.setInterval(round(1000 / self.parameters.flickerRate))
        self._flicker.start()
        overlays.flicker(overlay, self._movingTurn)

    def _takeTurns(self) -> None:
        if not self.isShown or not self.parameters.fixedVolume or not self.parameters.movingVolume:
            self._flicker.stop()
            return
        parameters = self.parameters
        self._movingTurn = not self._movingTurn
        overlays.flicker(overlays.enterOverlay(parameters.fixedVolume, parameters.movingVolume), self._movingTurn)

    def _drawDeformation(self) -> None:
        parameters = self.parameters
        draw = {GRID: deformationGrid, ARROWS: deformationGlyphs}.get(parameters.deformation)
        shown = inputs.shownTransform(parameters)
        for transform in slicer.util.getNodesByClass("vtkMRMLTransformNode"):
            if transform.GetDisplayNode() is not None and (draw is None or transform is not shown):
                hideDeformation(transform)
        if draw and shown:
            draw(shown, parameters.gridSpacing)

    def _onWarped(self, warped: bool) -> None:
        with self.panel.attempt():
            inputs.check(self.parameters)
            overlays.showWarped(
                overlays.enterOverlay(self.parameters.fixedVolume, self.parameters.movingVolume), warped
            )
            self.draw()

    def _onLinked(self, linkedViews: bool) -> None:
        if not linkedViews:
            self.restore()
            self.show(self._outcome)
            return
        with self.panel.attempt():
            inputs.check(self.parameters)
            overlay = overlays.enterOverlay(self.parameters.fixedVolume, self.parameters.movingVolume)
            side_by_side.showSideBySide(overlay, inputs.chosenPlane(self.parameters))
            self._followLinked()
            self._fit.start()
            return
        self._check(self.ui.linkedButton, False)

    def _showState(self) -> None:
        """Shows what a loaded scene, an outcome or Slicer's own menus made of unwarped and side by side."""
        moving, layoutNode = self.parameters.movingVolume, slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLLayoutNode")
        self._check(self.ui.warpedCheckBox, moving is None or isWarped(moving))
        self._check(self.ui.linkedButton, side_by_side.isSideBySide(slicer.mrmlScene))
        if layoutNode and not self.hasObserver(layoutNode, vtk.vtkCommand.ModifiedEvent, self._onLayout):
            self.addObserver(layoutNode, vtk.vtkCommand.ModifiedEvent, self._onLayout)

    def _onLayout(self, caller: Any, event: str) -> None:
        """Another layout was chosen: it stays, and the view from before is followed again."""
        isOn = side_by_side.isSideBySide(slicer.mrmlScene)
        if self.isShown and self.ui.linkedButton.checked and not isOn:
            view_state.forget(caller)
            self._leaveLinked()
        self._check(self.ui.linkedButton, isOn)

    def _fitLinked(self) -> None:
        """Once the views have their size."""
        if self.isShown and self.ui.linkedButton.checked:
            with self.panel.attempt():
                side_by_side.fitSideBySide(slicer.mrmlScene, inputs.chosenPlane(self.parameters))

    def _followLinked(self) -> None:
        """Lets Live, landmarks and overlays follow the views beside each other, where one scrolls now."""
        self._viewBefore = self.parameters.sliceView
        self.parameters.sliceView = side_by_side.fixedView(slicer.mrmlScene)

    def _leaveLinked(self) -> None:
        if self.isShown and self.parameters.sliceView is side_by_side.fixedView(slicer.mrmlScene):
            isThere = self._viewBefore is not None and self._viewBefore.GetScene() is not None
            self.parameters.sliceView = self._viewBefore if isThere else slicer.util.getNode("vtkMRMLSliceNodeRed")

    def _check(self, control: Any, checked: bool) -> None:
        """Shows a state that is there already."""
        quiet = control.blockSignals(True)
        control.checked = checked
        control.blockSignals(quiet)

    def _choose(self, mode: str) -> None:
        self.ui.overlaySelector.setCurrentText(mode)

    def _shortcut(self, keys: str, slot: Any) -> Any:
        shortcut = qt.QShortcut(slicer.util.mainWindow())
        shortcut.setKey(qt.QKeySequence(keys))
        connect(shortcut, "activated()", slot)
        return shortcut


_KEYS = [(number, mode) for number, mode in enumerate(OVERLAYS)]
_DRAW = {
    OFF: lambda section, overlay: None,
    BLEND: lambda section, overlay: overlays.blend(overlay, section.parameters.blend),
    RED_CYAN: lambda section, overlay: overlays.redCyan(overlay),
    FLICKER: lambda section, overlay: section._startFlicker(overlay),
    CHECKERBOARD: lambda section, overlay: overlays.checkerboard(
        overlay, section._images(overlay), section.parameters.tileSize
    ),
    SWIPE: lambda section, overlay: overlays.swipe(overlay, section._images(overlay), section.parameters.swipe),
    DIFFERENCE: lambda section, overlay: overlays.difference(overlay, section._images(overlay)),
    EDGES: lambda section, overlay: overlays.edges(overlay, section._images(overlay)),
    JACOBIAN: lambda section, overlay: section._map(overlay, JACOBIAN),
    TRUST: lambda section, overlay: section._map(overlay, TRUST),
}
