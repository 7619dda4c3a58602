"""A lock on a file that ends with its process, also on Windows."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows has another way.
    fcntl = None  # type: ignore[assignment]


def lockedFile(path: Path) -> IO[bytes] | None:
    """Open a file that no other process has locked, and lock it until it is closed.

    Returns:
        The open file, or ``None`` if another process has locked it.

    Raises:
        OSError: The file cannot be made.
    """
    while True:
        path.parent.mkdir(exist_ok=True)
        stream = path.open("ab")
        if not _lock(stream):
            stream.close()
            return None
        try:  # The process that held it may have removed it since it was opened.
            if os.path.samestat(os.fstat(stream.fileno()), path.stat()):
                return stream
        except FileNotFoundError:
            pass
        stream.close()


def _lock(stream: IO[bytes]) -> bool:
    try:
        if fcntl is not None:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            import msvcrt

            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    except OSError:
        return False
    return True
