"""What ITK, HDF5 and VTK write to standard error by themselves."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from typing import IO

RUN_LOG = logging.getLogger("unsupervised-registration")
"""Steps, results, errors and native messages of a run; ``--log`` writes it to a file."""
RUN_LOG.addHandler(logging.NullHandler())  # Otherwise Python prints errors, which the command prints already.


@contextlib.contextmanager
def nativeMessagesAside(isShown: bool) -> Iterator[None]:
    """Keep native messages off the terminal, so that the sentence of an error is not lost among them.

    They go to the log afterwards, and to standard error if ``isShown``.
    """
    with _standardError() as terminal, tempfile.TemporaryFile() as messages:
        os.dup2(messages.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(terminal, 2)
            messages.seek(0)
            text = messages.read().decode(errors="replace").strip()
            if text:
                RUN_LOG.debug("%s", text)
            if text and isShown:
                tell(f"{text}\n")


def tell(text: str) -> None:
    """Write to standard error; if it is full or closed, the run goes on without."""
    if sys.stderr is None:  # It was closed before Python started.
        sys.stderr = _nowhere()
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except (OSError, ValueError):
        sys.stderr = _nowhere()


@contextlib.contextmanager
def _standardError() -> Iterator[int]:
    """Let Python write to a copy of standard error, and give the descriptor of the copy."""
    if sys.stderr is None:  # It was closed before Python started.
        sys.stderr = _nowhere()
    try:
        terminal = os.dup(2)
    except OSError:
        terminal = os.open(os.devnull, os.O_WRONLY)
    before, copy = sys.stderr, None
    if _descriptor(before) == 2:
        before.flush()
        copy = sys.stderr = os.fdopen(os.dup(terminal), "w", buffering=1, encoding="utf-8", errors="backslashreplace")
    try:
        yield terminal
    finally:
        if copy is not None:
            sys.stderr = before if sys.stderr is copy else sys.stderr
            with contextlib.suppress(OSError):
                copy.close()
        os.close(terminal)


def _descriptor(stream: IO[str]) -> int | None:
    try:
        return stream.fileno()
    except (OSError, ValueError, AttributeError):
        return None


def _nowhere() -> IO[str]:
    return open(os.devnull, "w", encoding="utf-8")
