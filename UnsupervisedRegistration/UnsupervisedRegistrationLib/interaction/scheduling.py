"""Timers, made by whoever runs the event loop: Qt in the panel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """Calls a function of the main thread after a while."""

    def start(self) -> None:
        """Starts the countdown; starts it again if it is running."""

    def stop(self) -> None:
        """Ends the countdown without a call."""

    def isActive(self) -> bool:
        """Returns whether the countdown is running."""

    def release(self) -> None:
        """Stops for good and drops the function."""


class Scheduler(Protocol):
    """Makes timers."""

    def __call__(self, milliseconds: int, slot: Callable[[], None], repeats: bool = False) -> Timer:
        """Returns a stopped timer that calls ``slot`` once after each start, or again and again."""
