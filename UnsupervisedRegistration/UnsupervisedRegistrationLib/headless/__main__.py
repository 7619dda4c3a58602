"""The command ``unsupervised-registration``; each of its commands is a file in ``commands``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from .commands import COMMANDS
from .outcome import BAD_INPUT
from .signals import Interrupted, signalsAsExceptions

PROGRAM = "unsupervised-registration"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        0 if all went well, 2 with a sentence on standard error if not, 3 if the quality check says
        "do not use", 128 and the number of the signal if one stopped it.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parser().parse_args(given)
    options.arguments = given
    try:
        with signalsAsExceptions():
            outcome = options.run(options)
    except Interrupted as stop:
        print(f"{PROGRAM}: {stop} (exit code {128 + stop.signal})", file=sys.stderr)
        return 128 + stop.signal
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
