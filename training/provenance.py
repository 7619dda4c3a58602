"""Provenance of a model: the command that trained it and the state of the code."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path


def provenance() -> dict[str, str]:
    """Return ``command``, which started this process, and ``commit``, with a ``+`` if tracked files differ from it.

    The commit is empty outside a git repository.
    """
    changed = "+" if _git("status", "--porcelain", "-uno") else ""
    return {
        "command": shlex.join(["python", "-m", "training", *sys.argv[1:]]),
        "commit": _git("rev-parse", "--short", "HEAD") + changed,
    }


def _git(*arguments: str) -> str:
    try:
        completed = subprocess.run(
            ["git", *arguments], capture_output=True, text=True, cwd=Path(__file__).parent, check=False
        )
    except OSError:
        return ""
    return completed.stdout.strip()
