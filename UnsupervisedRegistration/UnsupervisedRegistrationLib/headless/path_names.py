"""Names of files that not every library can handle."""

from __future__ import annotations

import os
from pathlib import Path


def checkName(path: Path, isWritten: bool = False) -> None:
    """Refuse a name that not all readers and writers understand.

    Args:
        path: Of a file or folder, which need not exist.
        isWritten: Whether something is written there.

    Raises:
        ValueError: It is not UTF-8, or VTK would write elsewhere.
    """
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(f"The name {str(path)!a} is not UTF-8; rename the file, or choose another name.") from error
    if isWritten and os.sep == "/" and "\\" in str(path.absolute()):
        raise ValueError(f"'{path}' has a backslash, which VTK takes for a folder; choose another name to write to.")
