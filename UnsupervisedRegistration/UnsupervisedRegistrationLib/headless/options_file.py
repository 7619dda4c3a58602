"""The arguments of a command as a file that the next run accepts with ``--options``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .run_record import jsonText

OPTIONS_FILE = "options.json"
_NOT_KEPT = {"run", "name", "arguments", "options", "output", "overwrite", "quiet", "verbose", "log", "explain", "part"}


def writeOptions(options: argparse.Namespace, path: Path) -> None:
    """Write the arguments of a run into a file."""
    path.write_text(optionsText(options), encoding="utf-8")


def optionsText(options: argparse.Namespace) -> str:
    """Return the arguments of a run as JSON; those that only say where and how it reports are left out."""
    kept = {name: value for name, value in vars(options).items() if name not in _NOT_KEPT and value is not None}
    return jsonText({"command": options.name, "arguments": _absolute(kept)})


def withOptionsFile(parsers: Mapping[str, argparse.ArgumentParser], arguments: Sequence[str]) -> list[str]:
    """Return the arguments with those of the file of ``--options`` put before them, so that the given ones count.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no options file of this command.
    """
    search = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    search.add_argument("--options", type=Path)
    path = search.parse_known_args(list(arguments))[0].options
    if path is None or not arguments or arguments[0] not in parsers:
        return list(arguments)
    kept = _read(path, arguments[0])
    before: list[str] = []
    for action in parsers[arguments[0]]._actions:
        if action.dest in kept:
            before += _tokens(action, kept.pop(action.dest))
    if kept:
        raise ValueError(f"'{path}' has arguments that '{arguments[0]}' does not know: {', '.join(kept)}.")
    return [arguments[0], *before, *arguments[1:]]


def _read(path: Path, command: str) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        kept, name = dict(content["arguments"]), content["command"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"'{path}' is no options file; give the '{OPTIONS_FILE}' that a run wrote.") from error
    if name != command:
        raise ValueError(f"'{path}' has the options of '{name}', not of '{command}'; give one of this command.")
    return kept


def _tokens(action: argparse.Action, value: Any) -> list[str]:
    """Return an option as it is typed; positional arguments and lists of values become the default instead."""
    values = [str(item) for item in value] if isinstance(value, list) else [str(value)]
    if not action.option_strings:
        action.default = [Path(item) for item in values] if isinstance(value, list) else values[0]
        action.nargs = "*" if isinstance(value, list) else "?"
        action.required = False
        return []
    if action.nargs in ("+", "*"):
        action.default = [action.type(item) for item in values] if callable(action.type) else values
        return []
    if action.nargs == 0:
        return [action.option_strings[0]] if value else []
    return [f"{action.option_strings[0]}={','.join(values)}"]


def _absolute(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value.absolute())
    if isinstance(value, dict):
        return {key: _absolute(item) for key, item in value.items()}
    return [_absolute(item) for item in value] if isinstance(value, list | tuple) else value
