"""A job that takes long: progress, time left, Cancel, and buttons that are off meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import slicer
from slicer.i18n import tr as _

from ..interaction import inputs
from ..interaction.sentences import progressSentence
from .sections.section import connect

if TYPE_CHECKING:
    from .panel import RegistrationPanel

JobProgress = Callable[[str, float], None]
"""Told of the step that begins, and of the share of the work that is done, 0..1."""

_BUTTONS = (
    *("applyButton", "liveButton", "undoButton", "keepButton", "registerVolumeButton", "registerSequenceButton"),
    *("showResultButton", "restoreResultButton", "compareResultsButton", "deleteResultButton"),
)


class LongWork:
    """Runs one job at a time in the main thread; Qt handles events at each of its steps."""

    def __init__(self, panel: RegistrationPanel) -> None:
        self._panel, self._ui = panel, panel.ui
        self.isBusy = self._cancelled = False
        self._began = 0.0
        self._check: Callable[[Any], None] = inputs.check
        connect(self._ui.cancelButton, "clicked(bool)", self.cancel)

    def run(self, job: Callable[[JobProgress], Any], check: Callable[[Any], None] = inputs.check) -> Any:
        """Returns what a job returns; ``None`` if it was refused or cancelled, and then the panel says so.

        Args:
            job: Called with the function that shows its progress.
            check: Of the parameters, at each step, as the user may delete what the job needs.
        """
        if self.isBusy:
            return None
        buttons = [getattr(self._ui, name) for name in _BUTTONS if getattr(self._ui, name).enabled]
        self._cancelled, self._began, self._check = False, time.monotonic(), check
        with self._panel.attempt():
            self._panel.requireTorch()
            from ..scene.registration.slice import Cancelled

            self._setBusy(True)
            try:
                return job(lambda stage, share: self.showProgress(stage, share))
            except Cancelled:
                self._panel.say(_("Cancelled; everything is as it was."))
            finally:
                self._setBusy(False)
                for button in buttons:
                    button.enabled = True
                self._panel.onModified()
        return None

    def holdButtons(self) -> None:
        """Disables, during a job, the buttons that would begin another one."""
        if self.isBusy:
            for name in _BUTTONS:
                getattr(self._ui, name).enabled = False

    def cancel(self, checked: bool = False) -> None:
        """Ends the job at its next step."""
        self._cancelled = True

    def showProgress(self, stage: str, share: float) -> None:
        """Shows the step that begins and the time left.

        Raises:
            Cancelled: The user pressed Cancel, or the scene was closed.
            ValueError: A node that the job needs was deleted.
        """
        from ..scene.registration.slice import Cancelled

        self._ui.progressBar.value = round(100 * share)
        self._panel.say(progressSentence(stage, share, time.monotonic() - self._began))
        slicer.app.processEvents()
        if self._cancelled:
            raise Cancelled
        self._check(self._panel.parameters)

    def _setBusy(self, isBusy: bool) -> None:
        self.isBusy = isBusy
        self._ui.progressBar.visible = self._ui.cancelButton.visible = isBusy
        self.holdButtons()
