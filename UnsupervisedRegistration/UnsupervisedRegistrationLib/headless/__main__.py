"""The command ``unsupervised-registration``; each of its commands is a file in ``commands``."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from .commands import COMMANDS
from .native_messages import RUN_LOG, nativeMessagesAside, tell
from .options_file import withOptionsFile
from .outcome import BAD_INPUT, Outcome
from .path_names import checkName
from .run_record import packageVersion
from .signals import Interrupted, signalsAsExceptions

PROGRAM = "unsupervised-registration"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        0 if all went well, 2 with a sentence on standard error if not, 3 if the quality check says "do not use". If a
        signal stopped it, 128 and the number of the signal.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    whole, parsers = _parsers()
    if importlib.util.find_spec("argcomplete") is not None:
        import argcomplete

        argcomplete.autocomplete(whole)
    try:
        options = whole.parse_args(withOptionsFile(parsers, given))
        options.arguments, options.name = given, given[0]
        _checkNames(options)
        outcome = _run(options)
    except Interrupted as stop:
        return _refuse(str(stop), 128 + stop.signal)
    except (ValueError, OSError) as error:
        return _refuse(_sentenceOf(error))
    except MemoryError:
        return _refuse("The memory is not enough; register smaller images, or close other programs.")
    except ModuleNotFoundError as error:
        return _refuse(
            f"The Python package '{error.name}' is missing; install this tool with: pip install '.[slicer]' torch"
        )
    return _print(outcome, options.quiet)


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    return _parsers()[0]


def _parsers() -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    """Return the parser of all commands, and that of each command by name."""
    whole = argparse.ArgumentParser(prog=PROGRAM, description="Deformable registration of 2-D CT and MR slices.")
    whole.add_argument("--version", action="version", version=f"{PROGRAM} {packageVersion(PROGRAM)}")
    commands = whole.add_subparsers(required=True, metavar="COMMAND")
    for addCommand in COMMANDS:
        addCommand(commands)
    return whole, dict(commands.choices)


def _checkNames(options: argparse.Namespace) -> None:
    """Refuse names that VTK and ITK cannot handle, before they stop the process.

    Raises:
        ValueError: There is one.
    """
    for name, value in vars(options).items():
        for path in value if isinstance(value, list) else [value]:
            if isinstance(path, Path):
                checkName(path, name == "output")


def _run(options: argparse.Namespace) -> Outcome:
    with _logFile(options.log), signalsAsExceptions(), nativeMessagesAside(options.verbose):
        RUN_LOG.info("%s %s", PROGRAM, " ".join(options.arguments))
        try:
            if options.threads is not None:
                from ..scene.registration.devices import limitThreads

                limitThreads(options.threads)
            outcome: Outcome = options.run(options)
        except (Exception, KeyboardInterrupt) as error:
            RUN_LOG.error("%s", error)
            raise
        RUN_LOG.info("%s", outcome.text)
        return outcome


@contextlib.contextmanager
def _logFile(path: Path | None) -> Iterator[None]:
    if path is None:
        yield
        return
    handler = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    RUN_LOG.setLevel(logging.DEBUG)
    RUN_LOG.addHandler(handler)
    try:
        yield
    finally:
        RUN_LOG.removeHandler(handler)
        handler.close()


def _print(outcome: Outcome, isQuiet: bool) -> int:
    text = outcome.text.splitlines()[-1] if isQuiet and outcome.isCodeNamed else outcome.text
    try:
        if hasattr(sys.stdout, "reconfigure"):  # Names that are not UTF-8 are printed with escapes.
            sys.stdout.reconfigure(errors="backslashreplace")
        print(text, flush=True)
    except OSError as error:
        return _refuse(f"The results are written, but standard output is not there any more ({error.strerror}).")
    return outcome.code


def _sentenceOf(error: ValueError | OSError) -> str:
    """What an error says; one of the system with the name of the file first."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"'{os.fsdecode(error.filename)}' cannot be read or written ({error.strerror}); check the path."
    return str(error)


def _refuse(sentence: str, code: int = BAD_INPUT) -> int:
    tell(f"{PROGRAM}: {sentence} (exit code {code})\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
