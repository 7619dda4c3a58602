"""How the input files of a run are read, and what a reader noticed that a user has to know."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path

InputNotes = dict[str, list[str]]
"""What an input is for, such as ``"fixed"``, to sentences without names of files or patients."""


@dataclass(frozen=True)
class Reading:
    """The reading of the inputs of one run.

    Attributes:
        inputs: What each file or folder is for.
        series: Numbers, descriptions or UIDs of the DICOM series to take from folders that hold several.
        notes: What the readers noticed so far.
    """

    inputs: Mapping[str, Path] = field(default_factory=dict)
    series: tuple[str, ...] = ()
    notes: InputNotes = field(default_factory=dict)

    @property
    def sentences(self) -> tuple[str, ...]:
        """The notes, each with the input that it is about."""
        return tuple(f"Note on {name}: {text}" for name, texts in self.notes.items() for text in texts)


_CURRENT: ContextVar[Reading | None] = ContextVar("reading", default=None)


@contextlib.contextmanager
def readingInputs(inputs: Mapping[str, Path], series: Sequence[str] = ()) -> Iterator[Reading]:
    """Gather the notes of all files that are read inside this context."""
    reading = Reading(inputs, tuple(series))
    token = _CURRENT.set(reading)
    try:
        yield reading
    finally:
        _CURRENT.reset(token)


def noteInput(path: Path, sentence: str) -> None:
    """Note something about an input, once; outside of ``readingInputs`` nobody asked for it."""
    reading = _CURRENT.get()
    if reading is None:
        return
    for name in [name for name, given in reading.inputs.items() if given == path] or [path.name]:
        texts = reading.notes.setdefault(name, [])
        if sentence not in texts:
            texts.append(sentence)


def chosenSeries() -> tuple[str, ...]:
    """Return the DICOM series that the user chose."""
    reading = _CURRENT.get()
    return () if reading is None else reading.series
