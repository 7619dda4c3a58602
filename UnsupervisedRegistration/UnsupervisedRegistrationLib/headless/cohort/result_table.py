"""The table of the results of a cohort, which grows as pairs finish."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

FAILED = "failed"
"""In place of a grade: the pair could not be registered."""


@dataclass(frozen=True)
class CohortRow:
    """What is known of a pair; ``None`` where it was not measured.

    Attributes:
        pair: Name of its folder.
        quality_check: Grade of the quality check, or ``FAILED``.
        similarity_before: 0..1, see ``RegistrationResult``.
        similarity_after: Likewise.
        folding: Share of the area that folds, 0..1.
        dice_before: Mean over the labels.
        dice_after: Likewise.
        tre_before_mm: Mean over the landmarks on the slice.
        tre_after_mm: Likewise.
        model: Name of the model.
        seconds: Time of reading, registering, measuring and writing.
        worker: Process that did it.
        message: Problems that the quality check found, or why the pair failed.
        input_notes: What a user has to know of the files.
    """

    pair: str
    quality_check: str = FAILED
    similarity_before: float | None = None
    similarity_after: float | None = None
    folding: float | None = None
    dice_before: float | None = None
    dice_after: float | None = None
    tre_before_mm: float | None = None
    tre_after_mm: float | None = None
    model: str = ""
    seconds: float | None = None
    worker: str = ""
    message: str = ""
    input_notes: str = ""


RESULT_COLUMNS = tuple(field.name for field in fields(CohortRow))


class ResultTable:
    """The rows of a cohort as a CSV file, in the order of the pairs.

    Args:
        path: The file.
        names: Of the pairs, in order.
    """

    def __init__(self, path: Path, names: Sequence[str]) -> None:
        """Begin without rows; nothing is written yet."""
        self.path, self._names = path, names
        self._rows: dict[str, CohortRow] = {}

    @property
    def rows(self) -> list[CohortRow]:
        """The rows so far, in the order of the pairs."""
        return [self._rows[name] for name in self._names if name in self._rows]

    def add(self, *rows: CohortRow) -> None:
        """Add rows and write the file anew if it changes.

        Raises:
            OSError: The file cannot be written.
        """
        self._rows |= {row.pair: row for row in rows}
        text = self._text()
        if not (self.path.is_file() and self.path.read_text(encoding="utf-8") == text):
            replaceText(self.path, text)

    def _text(self) -> str:
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(RESULT_COLUMNS)
        writer.writerows(asdict(row).values() for row in self.rows)
        return stream.getvalue()


def replaceText(path: Path, text: str) -> None:
    """Write a file beside its name and rename it, so that no one reads half of it.

    Raises:
        OSError: It cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8", newline="")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
