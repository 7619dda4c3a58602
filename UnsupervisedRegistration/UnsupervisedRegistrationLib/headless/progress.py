"""The progress of a command on standard error."""

from __future__ import annotations

import sys
import time
from types import TracebackType

_SHORT = 2.0  # Seconds; what takes no longer needs no estimate of the time left.


class ProgressBar:
    """A bar with the time left on a terminal, a line a step elsewhere."""

    def __init__(self) -> None:
        self._step, self._begin = "", time.monotonic()

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Clear the bar, whatever happened."""
        if sys.stderr.isatty():
            sys.stderr.write("\r" + " " * 90 + "\r")

    def __call__(self, step: str, share: float) -> None:
        """Tell the running step and the share of the work that is done, 0..1."""
        if sys.stderr.isatty():
            bar = "#" * round(30 * share)
            sys.stderr.write(f"\r[{bar:<30}] {100 * share:3.0f} %  {step:<24}{self._timeLeft(share):<20}")
        elif step != self._step:
            sys.stderr.write(f"{100 * share:3.0f} %  {step}\n")
        self._step = step
        sys.stderr.flush()

    def _timeLeft(self, share: float) -> str:
        spent = time.monotonic() - self._begin
        return f"{spent * (1 - share) / share:.0f} s left" if spent > _SHORT and share > 0 else ""
