"""The table of the pairs of a cohort."""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..input_files import PairFiles

_SIDES = ("fixed", "moving")
_FILES_OF_AN_IMAGE = ("labels", "landmarks", "mask")
_PAIR_COLUMNS = {*_SIDES, "slice", *(f"{side}_{part}" for side in _SIDES for part in (*_FILES_OF_AN_IMAGE, "subject"))}
_LONGEST_NAME = 100  # Characters of a folder's name; file systems take 255 bytes.


@dataclass(frozen=True, kw_only=True)
class CohortPair(PairFiles):
    """A pair of a cohort. Landmarks may be CSV files with the columns X, Y and perhaps Z, in pixels.

    Attributes:
        name: Of its folder, unique in the cohort.
        slice: Index of the slice along the first array axis, from 0; ``None`` is the middle slice.
        problem: Why the row of the table cannot be registered; empty if it can.
    """

    name: str
    slice: int | None = None
    problem: str = ""


def readPairTable(path: Path) -> list[CohortPair]:
    """Read the pairs of a CSV file; paths are relative to the file.

    The columns are those of ``python -m training evaluate --pairs``; labels and landmarks may be missing. A row that
    makes no sense becomes a pair with a problem.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no table, has no row, or lacks or adds columns.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows = list(csv.DictReader(stream, restval=""))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"'{path}' is no table; a CSV file in UTF-8 is needed.") from error
    columns = {(name or "").strip() for name in rows[0] if name is not None} if rows else set()
    if not columns >= set(_SIDES):
        raise ValueError(f"'{path}' needs the columns fixed and moving, and at least one row.")
    if unknown := sorted(columns - _PAIR_COLUMNS):
        raise ValueError(f"'{path}' has the columns {', '.join(unknown)}, which nothing reads; take them out.")
    return withUniqueNames(_pair(number, row, path.parent) for number, row in enumerate(rows, start=1))


def _pair(number: int, row: dict[str, str], folder: Path) -> CohortPair:
    surplus = row.pop(None, None)  # type: ignore[call-overload]
    values = {name.strip(): value.strip() for name, value in row.items()}
    problem = f"Row {number} has more values than there are columns." if surplus else ""
    for side in _SIDES:
        problem = problem or ("" if values[side] else f"Row {number} names no {side} image.")
    index = values.get("slice") or ""
    if index and not index.isdecimal():
        problem = problem or f"Row {number} has the slice '{index}'; a number from 0 is needed."
    for part in _FILES_OF_AN_IMAGE[:2]:
        if len({bool(values.get(f"{side}_{part}")) for side in _SIDES}) > 1:
            problem = problem or f"Row {number} has {part} of one image only; give both or none."

    def file(side: str, part: str) -> Path | None:
        value = values.get(f"{side}_{part}")
        return folder / value if value else None

    parts = {f"{side}{part.capitalize()}": file(side, part) for side in _SIDES for part in _FILES_OF_AN_IMAGE}
    place = int(index) if index.isdecimal() else None
    fixed, moving = (folder / values[side] for side in _SIDES)
    name = _name(fixed, moving, place)
    return CohortPair(name=name, fixed=fixed, moving=moving, slice=place, problem=problem, **parts)


def _name(fixed: Path, moving: Path, place: int | None) -> str:
    stems = [re.sub(r"[^\w.-]", "_", path.name.split(".")[0] or "none") for path in (fixed, moving)]
    name = f"{stems[1]}_to_{stems[0]}"[:_LONGEST_NAME]
    return name if place is None else f"{name}_slice{place}"


def withUniqueNames(pairs: Iterable[CohortPair]) -> list[CohortPair]:
    """Number the pairs whose names occur before, also where a file system ignores the case of letters."""
    taken: set[str] = set()
    named = []
    for pair in pairs:
        candidates = itertools.chain([pair.name], (f"{pair.name}-{number}" for number in itertools.count(2)))
        name = next(candidate for candidate in candidates if candidate.casefold() not in taken)
        taken.add(name.casefold())
        named.append(replace(pair, name=name))
    return named


def partOf(pairs: Sequence[CohortPair], part: str) -> list[CohortPair]:
    """Take part ``i`` of ``n``, every ``n``-th pair, from a text ``i/n``.

    Raises:
        ValueError: It is no such text.
    """
    match = re.fullmatch(r"(\d+)/(\d+)", part)
    number, count = map(int, match.groups()) if match else (0, 0)
    if not 1 <= number <= count:
        raise ValueError(f"--part needs i/n with i from 1 to n, such as 3/40, not '{part}'.")
    return list(pairs[number - 1 :: count])
