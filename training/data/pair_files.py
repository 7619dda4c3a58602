"""Finds the files of labelled pairs: images with their labels, landmarks and masks."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_PAIR_SUFFIXES = (("_ED", "_ES"), ("_fixed", "_moving"))  # Fixed and moving of one pair.
_PARTS = ("", "_labels", "_landmarks", "_mask")  # Of a column's name, after fixed or moving.


@dataclass(frozen=True)
class PairedImage:
    """An image of a pair and the files that belong to it."""

    image: Path
    labels: Path | None = None
    landmarks: Path | None = None
    mask: Path | None = None
    subject: str = ""


def listed_pairs(path: Path, data: Path) -> Iterator[tuple[PairedImage, PairedImage, int]]:
    """Read fixed image, moving image and number of the slice from each row of a CSV file.

    Args:
        path: CSV file, see ``find_pairs``.
        data: Folder that its paths are relative to.

    Raises:
        OSError: The file cannot be read.
        ValueError: Columns or values are missing or wrong.
    """
    rows = read_rows(path)
    _check_columns(path, set(rows[0]) if rows else set())
    for number, row in enumerate(rows, start=1):
        if not row["fixed"] or not row["moving"]:
            raise ValueError(f"Row {number} of '{path}' names no fixed or no moving image.")
        if not (row.get("slice") or "0").isdecimal():
            raise ValueError(f"Row {number} of '{path}' has the slice '{row['slice']}'; it needs a number from 0.")
        sides = []
        for side in ("fixed", "moving"):
            labels, landmarks, mask = (data / p if (p := row.get(side + part)) else None for part in _PARTS[1:])
            sides.append(PairedImage(data / row[side], labels, landmarks, mask, row.get(f"{side}_subject", "")))
        yield sides[0], sides[1], int(row.get("slice") or 0)


def _check_columns(path: Path, known: set[str]) -> None:
    """Refuse a table without the columns that are needed, or with columns that nothing reads."""
    if not {"fixed", "moving"} <= known or not any({f"fixed{p}", f"moving{p}"} <= known for p in _PARTS[1:3]):
        raise ValueError(
            f"'{path}' needs the columns fixed, moving, fixed_labels, moving_labels (or fixed_landmarks,"
            " moving_landmarks) and at least one row."
        )
    allowed = {side + part for side in ("fixed", "moving") for part in (*_PARTS, "_subject")} | {"slice"}
    if unknown := sorted(known - allowed):
        raise ValueError(f"'{path}' has the columns {', '.join(unknown)}, which nothing reads; take them out.")


def read_rows(path: Path) -> list[dict[str, str]]:
    """Read the rows of a table, without blanks around names and values, and without the byte order mark of Excel.

    Raises:
        OSError: The file cannot be read.
        ValueError: The file is no text, or a row has more values than there are columns.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows = list(csv.DictReader(stream, restval=""))
    except UnicodeDecodeError as error:
        raise ValueError(f"'{path}' is no table; a CSV file in UTF-8 is needed.") from error
    for number, row in enumerate(rows, start=1):
        if None in row:
            raise ValueError(f"Row {number} of '{path}' has more values than there are columns.")
    return [{(name or "").strip(): value.strip() for name, value in row.items()} for row in rows]


def named_pairs(folder: Path, slices: list[int]) -> Iterator[tuple[PairedImage, PairedImage, int]]:
    """Find fixed image, moving image and number of the slice of each pair of a folder by the names of its files.

    Args:
        folder: See ``find_pairs``.
        slices: Of volumes, if names of files make no pairs.

    Raises:
        OSError: There is no such folder.
        ValueError: It holds no pair.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder or list '{folder}' of labelled pairs.")
    found = {path: PairedImage(path, _labels_of(path), _landmarks_of(path)) for path in sorted(folder.iterdir())}
    images = {path: files for path, files in found.items() if files.labels or files.landmarks}
    named = [
        (fixed, moving)
        for fixed, (first, second) in itertools.product(images, _PAIR_SUFFIXES)
        if _stem(fixed).endswith(first)
        and (moving := fixed.with_name(fixed.name.replace(f"{first}.", f"{second}."))) in images
    ]
    pairs = named or list(itertools.permutations(images, 2))
    if not pairs:
        raise ValueError(
            f"'{folder}' holds no labelled pair; looked for X_ED with X_ES, X_fixed with X_moving, or two images,"
            " each with a file X_labels or X_landmarks.csv beside it."
        )
    for fixed, moving in pairs:
        for index in [0] if named else slices:
            yield images[fixed], images[moving], index


def _stem(path: Path) -> str:
    return path.name.split(".")[0]


def _landmarks_of(path: Path) -> Path | None:
    if path.suffix == ".csv":
        return None
    found = [path.with_name(f"{_stem(path)}{end}") for end in (".csv", "_landmarks.csv")]
    return next((place for place in found if place.is_file()), None)


def _labels_of(path: Path) -> Path | None:
    """The file with the labels of an image, if there is one."""
    stem, ending = _stem(path), path.name[len(_stem(path)) :]
    if stem.endswith("_labels"):
        return None
    for name in (f"{stem}_labels", f"{stem.removesuffix('_T1w')}_labels"):
        if path.with_name(name + ending).is_file():
            return path.with_name(name + ending)
    further = [p for p in path.parent.glob(f"{stem}_*{ending}") if "_" not in _stem(p)[len(stem) + 1 :]]
    return further[0] if len(further) == 1 and ending != ".csv" else None
