"""A whole volume, or the frames of a sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...interaction import inputs
from .section import Section, connect

if TYPE_CHECKING:
    from ..panel import RegistrationPanel


class VolumeSection(Section):
    """A range of slices, and a sequence."""

    def __init__(self, panel: RegistrationPanel) -> None:
        super().__init__(panel)
        self._volume: Any = None
        connect(self.ui.registerVolumeButton, "clicked(bool)", self.onVolume)
        connect(self.ui.registerSequenceButton, "clicked(bool)", self.onSequence)

    def update(self) -> None:
        """Offers the slices that the fixed volume has along the chosen orientation."""
        parameters, ui = self.parameters, self.ui
        last = inputs.countSlices(parameters) - 1
        ui.firstSliceSpinBox.setMaximum(last)
        ui.lastSliceSpinBox.setMaximum(last)
        if (parameters.fixedVolume, last) != self._volume:
            self._volume = (parameters.fixedVolume, last)
            ui.firstSliceSpinBox.value, ui.lastSliceSpinBox.value = 0, last
        ui.registerVolumeButton.enabled = not inputs.missing(parameters)
        ui.registerSequenceButton.enabled = bool(parameters.sequence)

    def onVolume(self, checked: bool = False) -> None:
        """Registers the slices and shows the volume with the resulting transform."""
        first, last = self.ui.firstSliceSpinBox.value, self.ui.lastSliceSpinBox.value
        self.panel.apply(lambda progress: self.logic.applyVolume(self.parameters, first, last, progress))

    def onSequence(self, checked: bool = False) -> None:
        """Registers each frame to the first."""
        self.panel.live.stop()
        sentence = self.panel.longWork.run(
            lambda progress: self.logic.applySequence(self.parameters, progress), inputs.checkSequence
        )
        if sentence:
            self.panel.say(sentence)
