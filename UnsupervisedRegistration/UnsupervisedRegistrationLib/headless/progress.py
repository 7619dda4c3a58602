"""The progress of a command on standard error."""

from __future__ import annotations

import argparse
import sys
import time
from types import TracebackType

from .native_messages import RUN_LOG, tell

_SHORT = 2.0  # Seconds; what takes no longer needs no estimate of the time left.


class ProgressBar:
    """A bar with the time left on a terminal, a line a step elsewhere."""

    def __init__(self, options: argparse.Namespace) -> None:
        """Say nothing if the options are ``quiet``, a line a step with the seconds so far if ``verbose``."""
        self._step, self._begin = "", time.monotonic()
        self._isQuiet, self._isVerbose = options.quiet, options.verbose

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Clear the bar, whatever happened."""
        if self._isBar:
            tell("\r" + " " * 90 + "\r")

    def __call__(self, step: str, share: float) -> None:
        """Tell the running step and the share of the work that is done, 0..1."""
        isNew, self._step = step != self._step, step
        if isNew:
            RUN_LOG.info("%3.0f %% %s", 100 * share, step)
        if self._isBar:
            bar = "#" * round(30 * share)
            tell(f"\r[{bar:<30}] {100 * share:3.0f} %  {step:<24}{self._timeLeft(share):<20}")
        elif isNew and not self._isQuiet:
            seconds = f" ({time.monotonic() - self._begin:.1f} s)" if self._isVerbose else ""
            tell(f"{100 * share:3.0f} %  {step}{seconds}\n")

    @property
    def _isBar(self) -> bool:
        return sys.stderr.isatty() and not self._isQuiet and not self._isVerbose

    def _timeLeft(self, share: float) -> str:
        spent = time.monotonic() - self._begin
        return f"{spent * (1 - share) / share:.0f} s left" if spent > _SHORT and share > 0 else ""
