"""The command ``unsupervised-registration``; each of its commands is a file in ``commands``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from .commands import COMMANDS
from .outcome import BAD_INPUT

PROGRAM = "unsupervised-registration"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        0 if all went well, 2 with a sentence on standard error if not, 3 if the quality check says "do not use".
    """
    options = parser().parse_args(arguments)
    try:
        outcome = options.run(options)
    except (ValueError, OSError) as error:
        return _refuse(str(error))
    except ModuleNotFoundError as error:
        return _refuse(
            f"The Python package '{error.name}' is missing; install this tool with: pip install '.[slicer]' torch"
        )
    print(outcome.text)
    return outcome.code


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    whole = argparse.ArgumentParser(prog=PROGRAM, description="Deformable registration of 2-D CT and MR slices.")
    commands = whole.add_subparsers(required=True, metavar="COMMAND")
    for addCommand in COMMANDS:
        addCommand(commands)
    return whole


def _refuse(sentence: str) -> int:
    print(f"{PROGRAM}: {sentence} (exit code {BAD_INPUT})", file=sys.stderr)
    return BAD_INPUT


if __name__ == "__main__":
    sys.exit(main())
