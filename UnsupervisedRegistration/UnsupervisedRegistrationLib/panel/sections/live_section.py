"""Live: the registration follows the slice view."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

from ...interaction import inputs
from ...interaction.choices import IN_VIEW
from ...interaction.live_controller import LiveController
from ...interaction.live_steps import LiveSteps
from ...interaction.sentences import describeTime
from ..timers import QtTimer
from .section import Section, connect

if TYPE_CHECKING:
    from ..panel import RegistrationPanel


class LiveSection(Section):
    """Starts and stops Live, and keeps what it shows.

    Attributes:
        controller: Runs Live; ``None`` while it is off.
    """

    def __init__(self, panel: RegistrationPanel) -> None:
        super().__init__(panel)
        self.controller: LiveController | None = None
        connect(self.ui.liveButton, "clicked(bool)", self.onLive)
        connect(self.ui.keepButton, "clicked(bool)", self.onKeep)

    @property
    def isOn(self) -> bool:
        """Whether the registration follows the slice view."""
        return self.controller is not None

    @property
    def isBusy(self) -> bool:
        """Whether Live has not shown the last change yet."""
        return self.controller is not None and self.controller.isBusy

    @property
    def isRefining(self) -> bool:
        """Whether Live will replace the fast result that it shows."""
        return self.controller is not None and self.controller.isRefining

    def update(self) -> None:
        """Registers again if a parameter changed on which the result depends."""
        if self.controller:
            self.controller.changed()

    def release(self) -> None:
        """Ends Live."""
        self.stop()

    def onLive(self, live: bool) -> None:
        """Follows the slice view, or no longer."""
        self.stop()
        if not live:
            return
        with self.panel.attempt():
            if not inputs.isInView(self.parameters):
                raise ValueError(_("Live follows a slice view; choose '{source}'.").format(source=IN_VIEW))
            inputs.check(self.parameters)
            self.panel.requireTorch()
            self.ui.warpedCheckBox.checked = True
            steps = LiveSteps(self.parameters, self.logic.device)
            self.controller = LiveController(steps, self.onShown, self.onProblem, self.onEnded, QtTimer)
        self.ui.liveButton.checked = self.isOn
        self.ui.keepButton.enabled = False

    def stop(self) -> None:
        """Ends Live; the result that it shows stays."""
        if self.controller:
            self.controller.stop()
            self.controller = None
        self.ui.liveButton.checked = False
        self.ui.liveLabel.visible = False
        self.ui.keepButton.enabled = False

    def onShown(self, result: Any, milliseconds: float) -> None:
        """Shows a result of Live in all sections, and how long it took."""
        self.panel.showResult(result, self.logic.describe(self.parameters, result))
        self.ui.liveLabel.visible = self.ui.keepButton.enabled = True
        self.ui.liveLabel.text = _("{all} after the slice changed, {registration} of it for the registration.").format(
            all=describeTime(milliseconds), registration=describeTime(sum(result.registration.milliseconds.values()))
        )

    def onProblem(self, sentence: str) -> None:
        """Shows why a slice cannot be registered; what was shown about the slice before it is removed."""
        self.panel.forgetResult()
        self.ui.liveLabel.visible = False
        self.panel.say(sentence)

    def onEnded(self, sentence: str) -> None:
        """Shows why Live had to stop."""
        self.stop()
        self.panel.say(sentence)

    def onKeep(self, checked: bool = False) -> None:
        """Adds what Live shows to the results."""
        with self.panel.attempt():
            steered = inputs.steeringLandmarks(self.parameters) is not None
            self.panel.say(self.logic.keep(self.parameters, self.panel.result, steered))
        self.panel.history.update()
