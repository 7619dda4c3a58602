"""Timers of Qt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt


class QtTimer:
    """A ``QTimer``; see ``interaction.scheduling.Timer``."""

    def __init__(self, milliseconds: int, slot: Callable[[], None], repeats: bool = False) -> None:
        self._timer: Any = qt.QTimer()
        self._timer.setSingleShot(not repeats)
        self._timer.setInterval(milliseconds)
        self._timer.connect("timeout()", slot)

    def start(self) -> None:
        """Starts the countdown; starts it again if it is running."""
        self._timer.start()

    def stop(self) -> None:
        """Ends the countdown without a call."""
        self._timer.stop()

    def isActive(self) -> bool:
        """Returns whether the countdown is running."""
        return bool(self._timer.isActive())

    def setInterval(self, milliseconds: int) -> None:
        """Counts so long from now on."""
        self._timer.setInterval(milliseconds)

    def release(self) -> None:
        """Stops for good; PythonQt keeps what a timer calls as long as the timer exists."""
        self._timer.stop()
        self._timer.deleteLater()
