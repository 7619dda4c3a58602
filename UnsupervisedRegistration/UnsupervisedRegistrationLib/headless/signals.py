"""Signals that end a run, as an exception that lets it remove its temporary files."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

_STOPPING = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no SIGHUP.


class Interrupted(KeyboardInterrupt):
    """A signal asked the run to end.

    Attributes:
        signal: Its number.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"Stopped by {signal.Signals(number).name}.")
        self.signal = number


@contextlib.contextmanager
def signalsAsExceptions() -> Iterator[None]:
    """Raise ``Interrupted`` for the first signal inside, and ignore those that follow."""
    if threading.current_thread() is not threading.main_thread():  # Python handles signals in the main thread.
        yield
        return
    numbers = [getattr(signal, name) for name in _STOPPING if hasattr(signal, name)]
    before = {number: signal.signal(number, _interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, frame: FrameType | None) -> None:
    for name in _STOPPING:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    raise Interrupted(number)
