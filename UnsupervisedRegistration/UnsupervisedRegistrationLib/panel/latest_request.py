"""Work in another thread of which only the newest request counts."""

from __future__ import annotations

import gc
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import qt

_WAIT_MS = 8  # Of the main thread for the outcome at a time, shorter than a frame of the screen,
_EVENTS_MS = 2  # and the time that events have in between, less if there are none.

_ending: set[NewestRequest] = set()
"""Stopped while at work; kept until their thread is done, so that it never holds the last reference to a node."""


class NewestRequest:
    """Runs a function in one thread of its own and hands its outcome over in the main thread.

    While a request is at work, the newest of those that come waits and the others are dropped; the outcome of a
    request that was overtaken is dropped as well.

    Slicer's event loop keeps the interpreter lock between events, and the thread would stand still after almost every
    operation on a tensor. Therefore a timer lets the main thread wait for the outcome for moments too short to be seen,
    in which the thread has the lock. It stands still while there is no work.

    MRML nodes and widgets must not be destroyed in another thread. Therefore the main thread holds a request until the
    work is done, and the collector of cyclic garbage, which runs in whatever thread it likes, rests meanwhile.

    Args:
        work: Runs in the thread; touches no node and no widget.
        done: Called in the main thread with the request and the outcome.
        failed: Called in the main thread with the request and the exception that ``work`` raised.
    """

    def __init__(
        self,
        work: Callable[[Any], Any],
        done: Callable[[Any, Any], None],
        failed: Callable[[Any, BaseException], None],
    ) -> None:
        self._work, self._done, self._failed = work, done, failed
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="UnsupervisedRegistration")
        self._running: tuple[Any, Future] | None = None
        self._waiting: list[Any] = []
        self._stopped = self._rests = False
        self._timer = qt.QTimer()
        self._timer.setInterval(_EVENTS_MS)
        self._timer.connect("timeout()", self._collect)

    @property
    def isBusy(self) -> bool:
        """Whether a request is at work or waits."""
        return self._running is not None

    @property
    def isOvertaken(self) -> bool:
        """Whether nobody waits for the outcome any more, so that the work at hand may stop."""
        return self._stopped or bool(self._waiting)

    def ask(self, request: Any) -> None:
        """Takes a request; one that waits already is dropped."""
        self._waiting = [request]
        if self._running is None:
            self._start()

    def stop(self) -> None:
        """Drops all requests and lets the thread end; an outcome still to come is not handed over."""
        self._waiting, self._stopped = [], True
        self._executor.shutdown(wait=False)
        if self._running is not None:
            _ending.add(self)
        else:
            self._timer.deleteLater()  # PythonQt keeps what a timer calls as long as the timer.

    def _start(self) -> None:
        self._rests = gc.isenabled()
        gc.disable()
        request = self._waiting.pop()
        self._running = (request, self._executor.submit(self._work, request))
        self._timer.start()

    def _collect(self) -> None:
        if self._running is None:
            return
        request, future = self._running
        if not wait([future], _WAIT_MS / 1000).done:
            return
        self._running = None
        self._timer.stop()
        if self._rests:
            gc.enable()
        _ending.discard(self)
        if self._waiting:
            self._start()
        elif self._stopped:
            self._timer.deleteLater()
        elif future.exception() is None:
            self._done(request, future.result())
        else:
            self._failed(request, future.exception())
