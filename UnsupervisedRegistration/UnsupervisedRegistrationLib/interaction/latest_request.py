"""Work in another thread of which only the latest request counts."""

from __future__ import annotations

import gc
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

from .scheduling import Scheduler

_WAIT_MS = 8  # Of the main thread for the outcome at a time, shorter than a frame of the screen,
_EVENTS_MS = 2  # and the time that events have in between, less if there are none.

_ending: set[LatestRequestWorker] = set()
"""Stopped while at work; kept until their thread is done, so that it never holds the last reference to a node."""


class LatestRequestWorker:
    """Runs a function in one thread of its own and hands its outcome over in the main thread.

    While a request is at work, the latest of those that come waits and the others are dropped. The outcome of a
    request that was overtaken is dropped as well.

    Slicer's event loop keeps the interpreter lock between events, so the thread would stop after almost every operation
    on a tensor. Therefore a timer lets the main thread wait for the outcome for moments too short to be seen, in which
    the thread has the lock. The timer stops while there is no work.

    MRML nodes and widgets must not be destroyed in another thread. Therefore the main thread holds a request until the
    work is done, and the collector of cyclic garbage, which runs in any thread, is off meanwhile.

    Args:
        work: Runs in the thread; touches no node and no widget.
        done: Called in the main thread with the request and the outcome.
        failed: Called in the main thread with the request and the exception that ``work`` raised.
        scheduler: Makes the timer.
    """

    def __init__(
        self,
        work: Callable[[Any], Any],
        done: Callable[[Any, Any], None],
        failed: Callable[[Any, BaseException], None],
        scheduler: Scheduler,
    ) -> None:
        self._work, self._done, self._failed = work, done, failed
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="UnsupervisedRegistration")
        self._running: tuple[Any, Future[Any]] | None = None
        self._waiting: list[Any] = []
        self._stopped = self._gcWasOn = False
        self._timer = scheduler(_EVENTS_MS, self._collect, repeats=True)

    @property
    def isBusy(self) -> bool:
        """Whether a request is at work or waits."""
        return self._running is not None

    @property
    def isOvertaken(self) -> bool:
        """Whether the outcome of the work at hand will be dropped, so that it may stop."""
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
            self._timer.release()

    def _start(self) -> None:
        self._gcWasOn = gc.isenabled()
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
        if self._gcWasOn:
            gc.enable()
        _ending.discard(self)
        self._handOver(request, future)

    def _handOver(self, request: Any, future: Future[Any]) -> None:
        error = future.exception()
        if self._waiting:
            self._start()
        elif self._stopped:
            self._timer.release()
        elif error is None:
            self._done(request, future.result())
        else:
            self._failed(request, error)
