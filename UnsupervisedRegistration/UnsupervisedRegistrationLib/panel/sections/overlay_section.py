"""How the alignment is displayed: the overlay of the two images, and the deformation."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import slicer
import slicer.util
import vtk

from ...interaction import choices, inputs
from ...interaction.choices import (
    BLEND,
    CHECKERBOARD,
    FLICKER,
    OF_INTENSITIES,
    OVERLAY_OFF,
    PER_SLICE,
    SWIPE,
)
from ...interaction.overlay_drawing import drawDeformation, drawOverlay
from ...scene.display import overlays, view_state
from ...scene.display.slice_views import showOverlay
from ...scene.geometry.result_transform import isWarped
from ...scene.propagation.resampled_moving import resampledCopyOf
from ..timers import QtTimer
from .section import Section, connect, makeShortcut, setCheckedQuietly

if TYPE_CHECKING:
    from ..panel import RegistrationPanel

_FOLLOW_MS = 20
_FLICKER_MS = 250  # Until a rate is chosen.


class OverlaySection(Section, slicer.util.VTKObservationMixin):  # type: ignore[misc]
    """Shows one of the overlay modes, and restores the views.

    Attributes:
        result: The registration whose overlay is drawn; ``None`` for what the scene shows.
    """

    def __init__(self, panel: RegistrationPanel) -> None:
        Section.__init__(self, panel)
        slicer.util.VTKObservationMixin.__init__(self)
        self.result: Any = None
        self._drawn: Any = None  # Settings of the last drawing; ``None`` while the views are the user's own.
        self._mode = ""
        self._asked: Any = None  # The mode and its settings; ``None`` before the panel shows them.
        self._movingTurn = False
        self._windows: tuple[Any, ...] = ()  # Windows and levels that were drawn last.
        self._follow = QtTimer(_FOLLOW_MS, self.draw)
        self._flicker = QtTimer(_FLICKER_MS, self._switchImages, repeats=True)
        connect(self.ui.warpedCheckBox, "toggled(bool)", self._onWarped)
        modes, choose = enumerate(choices.OVERLAYS), self.ui.overlaySelector.setCurrentText
        self._shortcuts = [makeShortcut(f"Alt+{number}", partial(choose, mode)) for number, mode in modes]
        self._shortcuts.append(makeShortcut("Alt+U", self.ui.warpedCheckBox.toggle))
        self._shortcuts.append(makeShortcut("Alt+L", self.ui.liveButton.click))

    def update(self) -> None:
        """Shows the controls of the chosen mode, and the mode itself once it, or one of its settings, changes."""
        mode = self.parameters.overlay
        self._showControls()
        self._showWarped()
        for shortcut in self._shortcuts:
            shortcut.setEnabled(True)
        chosen, self._mode = self._mode not in ("", mode), mode
        asked, self._asked = self._asked, self._modeSettings()
        resumed = asked is None and mode in (FLICKER, *OF_INTENSITIES) and view_state.isOverlayShown(slicer.mrmlScene)
        changed = asked not in (None, self._asked) or (self._drawn and self._drawn != self._settings())
        if chosen and mode == OVERLAY_OFF:
            self.restoreViews()
        elif resumed or changed:
            self.draw()

    def release(self) -> None:
        """Stops the timers; the views stay as they are, so that the overlay is seen in another module too."""
        for timer in (self._flicker, self._follow):
            timer.stop()
        self.removeObservers()
        for shortcut in self._shortcuts:
            shortcut.setEnabled(False)
        self._drawn, self.result, self._mode, self._asked = None, None, "", None

    def show(self, result: Any = None) -> None:
        """Draws the chosen mode for a new result, or for what the scene shows now."""
        self.result = result
        if self.parameters.overlay != OVERLAY_OFF:
            self.draw()

    def draw(self) -> None:
        """Draws the chosen mode on the slice that is shown now."""
        parameters = self.parameters
        if inputs.missing(parameters):
            return
        first, self._drawn = self._drawn is None, self._settings()
        self._observeView()
        self._observeWindows()
        self._showWarped()
        self.panel.sideBySide.update()
        try:
            moving = self._shownMoving()
            overlay = overlays.enterOverlay(parameters.fixedVolume, moving)
            if first and self.result is not None and not inputs.isInView(parameters):
                showOverlay(parameters.fixedVolume, moving, self.result.pair.plane)
            self._flicker.stop()
            self._drawMode(overlay)
            drawDeformation(parameters)
            self.panel.legends.update()
        except ValueError as error:
            self.panel.say(str(error))

    def restoreViews(self) -> None:
        """Restores the views as they were before the overlay."""
        self._flicker.stop()
        self._follow.stop()
        self.removeObservers()
        self._drawn = None
        overlays.restoreViews(slicer.mrmlScene)
        self.panel.sideBySide.leave()
        setCheckedQuietly(self.ui.warpedCheckBox, True)

    def _showControls(self) -> None:
        ui, parameters = self.ui, self.parameters
        for mode, name in ((BLEND, "blend"), (FLICKER, "flicker"), (CHECKERBOARD, "tile"), (SWIPE, "swipe")):
            for control in (getattr(ui, f"{name}Label"), getattr(ui, f"{name}Slider")):
                control.visible = parameters.overlay == mode
        ui.gridSpacingLabel.visible = ui.gridSpacingSlider.visible = parameters.deformation != choices.HIDDEN

    def _showWarped(self) -> None:
        moving = self.parameters.movingVolume
        if moving is None or resampledCopyOf(moving) is None:
            setCheckedQuietly(self.ui.warpedCheckBox, moving is None or isWarped(moving))

    def _shownMoving(self) -> Any:
        """The moving volume, or its resampled copy if the moving volume itself was left where it was."""
        moving = self.parameters.movingVolume
        copy = resampledCopyOf(moving) if self.ui.warpedCheckBox.checked else None
        return copy or moving

    def _modeSettings(self) -> tuple[Any, ...]:
        p = self.parameters
        return (p.overlay, p.deformation, p.blend, p.flickerRate, p.tileSize, p.swipe, p.gridSpacing)

    def _settings(self) -> tuple[Any, ...]:
        p = self.parameters
        return (p.fixedVolume, p.movingVolume, p.sliceView, p.sliceSource, *self._modeSettings())

    def _observeView(self) -> None:
        view = self.parameters.sliceView
        if view is not None and not self.hasObserver(view, vtk.vtkCommand.ModifiedEvent, self._onSlice):
            self.removeObservers(self._onSlice)
            self.addObserver(view, vtk.vtkCommand.ModifiedEvent, self._onSlice)

    def _onSlice(self, caller: Any, event: str) -> None:
        if self.isShown and self.parameters.overlay in PER_SLICE and not self.panel.live.isOn:
            self._follow.start()

    def _observeWindows(self) -> None:
        volumes, event = self._volumes(), slicer.vtkMRMLDisplayableNode.DisplayModifiedEvent
        self._windows = self._shownWindows()
        if not all(self.hasObserver(volume, event, self._onDisplay) for volume in volumes):
            self.removeObservers(self._onDisplay)
            for volume in volumes:
                self.addObserver(volume, event, self._onDisplay)

    def _volumes(self) -> tuple[Any, ...]:
        return tuple(node for node in (self.parameters.fixedVolume, self.parameters.movingVolume) if node)

    def _shownWindows(self) -> tuple[Any, ...]:
        displays = [volume.GetScalarVolumeDisplayNode() for volume in self._volumes()]
        return tuple((display.GetWindow(), display.GetLevel()) for display in displays if display is not None)

    def _onDisplay(self, caller: Any, event: str) -> None:
        if self.isShown and self.parameters.overlay in OF_INTENSITIES and self._shownWindows() != self._windows:
            self._follow.start()

    def _drawMode(self, overlay: overlays.Overlay) -> None:
        if self.parameters.overlay == FLICKER:
            self._flicker.setInterval(round(1000 / self.parameters.flickerRate))
            self._flicker.start()
        drawOverlay(self.parameters, overlay, self.result, self.ui.warpedCheckBox.checked, self._movingTurn)

    def _switchImages(self) -> None:
        if not self.isShown or not self.parameters.fixedVolume or not self.parameters.movingVolume:
            self._flicker.stop()
            return
        self._movingTurn = not self._movingTurn
        overlay = overlays.enterOverlay(self.parameters.fixedVolume, self._shownMoving())
        overlays.flicker(overlay, self._movingTurn)

    def _onWarped(self, warped: bool) -> None:
        with self.panel.attempt():
            inputs.check(self.parameters)
            overlay = overlays.enterOverlay(self.parameters.fixedVolume, self.parameters.movingVolume)
            overlays.showWarped(overlay, warped)
            self.draw()
