"""The frame of every command that writes a folder."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from .options_file import OPTIONS_FILE, writeOptions
from .outcome import Outcome
from .output_folder import OutputFolder
from .reading import readingInputs
from .run_record import removeFailure, runRecord, writeFailure

Work = Callable[[OutputFolder, dict[str, object]], Outcome]
"""Writes the files into the folder; is also given the record of the run, which belongs into the report."""


def runInFolder(
    options: argparse.Namespace,
    names: Sequence[str],
    inputs: Mapping[str, Path | None],
    work: Work,
    keepsOptions: bool = True,
) -> Outcome:
    """Do the work of a command in its output folder, and note a failure beside the folder.

    Args:
        options: The arguments, with ``output``, ``overwrite`` and ``arguments``.
        names: Files that the work writes.
        inputs: What they are for to files and folders that the work reads; ``None`` for what was not given.
        work: What is done.
        keepsOptions: Whether the options, in which files are named, are written into the folder.
    """
    given = {name: path for name, path in inputs.items() if path is not None}
    written = [*names, OPTIONS_FILE] if keepsOptions else list(names)
    if options.options is not None:
        given["options"] = options.options
    record = runRecord(options.arguments, given)
    try:
        with (
            readingInputs(given, getattr(options, "series", ())) as reading,
            OutputFolder(options.output, written, list(given.values()), options.overwrite) as folder,
        ):
            record["input_notes"] = reading.notes
            if keepsOptions:
                writeOptions(options, folder.path(OPTIONS_FILE))
            outcome = work(folder, record)
    except (Exception, KeyboardInterrupt) as error:
        writeFailure(options.output, record, str(error) or type(error).__name__)
        raise
    removeFailure(options.output)
    return replace(outcome, notes=reading.sentences)
