"""What made a model: the command and the state of the code."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path


def made_by() -> dict[str, str]:
    """``command``, the line that started this process, and ``commit``, with ``+`` if tracked files differ from it.

    The commit is empty where git cannot tell.
    """
    changed = "+" if _git("status", "--porcelain", "-uno") else ""
    return {
        "command": shlex.join(["python", "-m", "training", *sys.argv[1:]]),
        "commit": _git("rev-parse", "--short", "HEAD") + changed,
    }


def _git(*arguments: str) -> str:
    try:
        outcome = subprocess.run(
            ["git", *arguments], capture_output=True, text=True, cwd=Path(__file__).parent, check=False
        )
    except OSError:
        return ""
    return outcome.stdout.strip()
