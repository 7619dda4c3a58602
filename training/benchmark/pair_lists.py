"""The lists of evaluation pairs in ``pairs/*.csv``, and the rules that they are made by.

Each list has the columns that ``evaluate --pairs`` reads, and the subjects of both images. Paths are relative to the
data folder. The benchmark and the ablation read the lists; no image is stored with them.
"""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import SimpleITK as sitk

LISTS = Path(__file__).parent / "pairs"

_BRAIN_SLICES = range(46, 111, 8)  # The same level in every subject, as the volumes are affinely aligned.
_LEAST_PIXELS = 20  # Of each label in both phases; the same bound as in scoring.
_HEART_LABELS = (1, 2, 3)
_IMAGE_ENDINGS = (".jpg", ".jpeg", ".png")

Row = dict[str, str]


def write_lists(data: Path, folder: Path = LISTS) -> dict[str, int]:
    """Writes ``NAME.csv`` for each data set that is there.

    Args:
        data: Folder with ``brain_t1``, ``cardiac_volumes``, ``liver_ct`` and ``histology``.
        folder: Receives the lists; the list of a data set that is missing stays as it is.

    Returns:
        Name to number of pairs.

    Raises:
        OSError: A file cannot be read or written.
        ValueError: No data set is there, or one holds no pair.
    """
    there = {name: data / place for name, (place, _) in _LIST_RULES.items() if (data / place).is_dir()}
    if not there:
        places = ", ".join(place for place, _ in _LIST_RULES.values())
        raise ValueError(f"'{data}' holds none of the folders {places}; give the data folder with --data.")
    folder.mkdir(parents=True, exist_ok=True)
    counts = {}
    for name, place in there.items():
        rows = _LIST_RULES[name][1](place)
        if not rows:
            raise ValueError(f"'{place}' holds no evaluation pair.")
        _write([_relative(row, data) for row in rows], folder / f"{name}.csv")
        counts[name] = len(rows)
    return counts


def _brain(folder: Path) -> list[Row]:
    """All ordered pairs of subjects at equal levels."""
    images = sorted(folder.glob("*_T1w.nii.gz"))
    return [
        _row(fixed, moving, _labels_of, index)
        for fixed, moving in itertools.permutations(images, 2)
        for index in _BRAIN_SLICES
    ]


def _heart(folder: Path) -> list[Row]:
    """Both phases of a slice, each as the fixed one, where both show enough of all labels."""
    rows = []
    for diastole in sorted(folder.glob("*_ED.nii.gz")):
        systole = diastole.with_name(diastole.name.replace("_ED.", "_ES."))
        for index in _large_enough(_labels_of(diastole), _labels_of(systole)):
            for fixed, moving in ((diastole, systole), (systole, diastole)):
                rows.append(_row(fixed, moving, _labels_of, index))
    return rows


def _large_enough(first: Path, second: Path) -> list[int]:
    """The slices in which two labelmaps have at least 20 pixels of every label."""
    enough = []
    for path in (first, second):
        labels = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
        counts = [(labels == label).sum(axis=(1, 2)) for label in _HEART_LABELS]
        enough.append(np.min(counts, axis=0) >= _LEAST_PIXELS)
    return [int(index) for index in np.flatnonzero(enough[0] & enough[1])]


def _liver(folder: Path) -> list[Row]:
    """The prepared pairs of different people."""
    rows = []
    for fixed in sorted(folder.glob("*_fixed.png")):
        moving = fixed.with_name(fixed.name.replace("_fixed.", "_moving."))
        row = _row(fixed, moving, lambda path: path.with_name(f"{path.stem}_liver{path.suffix}"))
        row["fixed_subject"], row["moving_subject"] = fixed.name.split("_from_")[0], _second_subject(fixed)
        rows.append(row)
    return rows


def _second_subject(path: Path) -> str:
    found = re.search(r"_from_([^_]+)_", path.name)
    if not found:
        raise ValueError(f"'{path}' is not named like p074_from_p075_fixed.png, so its subjects are unknown.")
    return found[1]


def _histology(folder: Path) -> list[Row]:
    """All ordered pairs of sections of a tissue block with landmarks; the block is the subject."""
    images = [path for path in sorted(folder.iterdir()) if path.suffix in _IMAGE_ENDINGS]
    rows = []
    for fixed, moving in itertools.permutations(images, 2):
        row = {"fixed": str(fixed), "moving": str(moving)}
        row |= {f"{side}_landmarks": str(path.with_suffix(".csv")) for side, path in _sides(fixed, moving)}
        row |= {f"{side}_subject": "-".join(path.name.split("-")[:2]) for side, path in _sides(fixed, moving)}
        rows.append(row)
    return rows


_LIST_RULES: dict[str, tuple[str, Callable[[Path], list[Row]]]] = {
    "brain": ("brain_t1/dev", _brain),
    "heart": ("cardiac_volumes/dev", _heart),
    "liver": ("liver_ct/dev_pairs", _liver),
    "histology": ("histology/dev", _histology),
}


def _row(fixed: Path, moving: Path, labels: Callable[[Path], Path], index: int = 0) -> Row:
    row = {"fixed": str(fixed), "moving": str(moving)}
    row |= {f"{side}_labels": str(labels(path)) for side, path in _sides(fixed, moving)}
    row |= {"slice": str(index)}
    return row | {f"{side}_subject": path.name.split("_")[0] for side, path in _sides(fixed, moving)}


def _sides(fixed: Path, moving: Path) -> tuple[tuple[str, Path], tuple[str, Path]]:
    return ("fixed", fixed), ("moving", moving)


def _labels_of(image: Path) -> Path:
    return image.with_name(f"{image.name.split('.')[0].removesuffix('_T1w')}_labels.nii.gz")


def _relative(row: Row, data: Path) -> Row:
    """The row with its paths relative to the data folder, with forward slashes on every system."""
    return {
        name: value if name == "slice" or name.endswith("_subject") else Path(value).relative_to(data).as_posix()
        for name, value in row.items()
    }


def _write(rows: list[Row], path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        table = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
