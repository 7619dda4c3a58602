"""The import of PyTorch ahead of time, since it takes several seconds."""

from __future__ import annotations

import logging
import sys
from typing import Any

from ..interaction.latest_request import LatestRequestWorker
from .pytorch import isTorchInstalled
from .timers import QtTimer

_DELAY_MS = 1000  # After the module was opened, so that its panel is drawn first.


class TorchLoader:
    """Imports PyTorch in another thread while the user chooses the volumes; what is not installed is not asked for."""

    def __init__(self) -> None:
        self._delay = QtTimer(_DELAY_MS, self._begin)
        self._worker: LatestRequestWorker | None = None

    @property
    def isDone(self) -> bool:
        """Whether PyTorch can be used without waiting for its import."""
        return "torch" in sys.modules and (self._worker is None or not self._worker.isBusy)

    def start(self) -> None:
        """Begins soon, unless PyTorch is there already."""
        if "torch" not in sys.modules and isTorchInstalled():
            self._delay.start()

    def stop(self) -> None:
        """Begins no longer; an import that has begun goes on."""
        self._delay.stop()
        if self._worker is not None:
            self._worker.stop()

    def _begin(self) -> None:
        if self._worker is None:
            self._worker = LatestRequestWorker(_importTorch, _done, _failed, QtTimer)
            self._worker.ask(None)


def _importTorch(request: Any) -> None:
    from ..scene.registration import slice  # noqa: F401 - imports torch and all that Apply needs.


def _done(request: Any, outcome: Any) -> None:
    logging.debug("PyTorch was imported in the background.")


def _failed(request: Any, error: BaseException) -> None:
    """Apply imports it again and then says what to do."""
    logging.info("PyTorch could not be imported in the background: %s", error)
