"""Scores a model on labelled pairs: Dice of the warped labels against the fixed ones."""

from __future__ import annotations

import csv
import itertools
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch
from torch import Tensor

from UnsupervisedRegistrationLib.core.deformation import warp
from UnsupervisedRegistrationLib.core.grid import ImageGrid
from UnsupervisedRegistrationLib.core.measures import dice
from UnsupervisedRegistrationLib.core.model import Model
from UnsupervisedRegistrationLib.core.register import register

_ENDINGS = (("_ED", "_ES"), ("_fixed", "_moving"))  # Fixed and moving of one pair.
_COLUMNS = ("fixed", "moving", "fixed_labels", "moving_labels")
_SMALLEST = 20  # Pixels; a label with fewer in the fixed slice is not scored.


@dataclass(frozen=True)
class LabelledPair:
    """Two slices on one grid with their labels, each ``(1, 1, H, W)``."""

    fixed: Tensor
    moving: Tensor
    fixed_labels: Tensor
    moving_labels: Tensor
    grid: ImageGrid


@dataclass(frozen=True)
class Score:
    """Mean over pairs.

    Attributes:
        pairs: How many.
        before: Dice of the unregistered labels.
        after: Dice of the warped labels, warped with nearest neighbours.
        worse: In how many pairs the Dice fell.
        folding: Largest share of a slice that folds.
        milliseconds: Median time of a registration.
    """

    pairs: int
    before: float
    after: float
    worse: int
    folding: float
    milliseconds: float

    def __str__(self) -> str:
        return (
            f"{self.pairs} pairs: Dice {self.before:.4f} -> {self.after:.4f}, lower in {self.worse},"
            f" folding at most {self.folding:.2g}, median {self.milliseconds:.0f} ms"
        )


def evaluate(model: Model, pairs: Iterator[LabelledPair], device: str = "auto") -> Score:
    """Registers every pair with the same ``register`` as Slicer.

    Raises:
        ValueError: There is no pair.
    """
    rows = []
    for pair in pairs:
        outcome = register(fixed=pair.fixed, moving=pair.moving, grid=pair.grid, model=model, device=device)
        warped = warp(pair.moving_labels, outcome.displacement, "nearest")
        scores = [mean_dice(pair.fixed_labels, labels) for labels in (pair.moving_labels, warped)]
        rows.append((*scores, outcome.folding, sum(outcome.milliseconds.values())))
    if not rows:
        raise ValueError("There is no pair to evaluate.")
    before, after, folding, milliseconds = zip(*rows, strict=True)
    worse = sum(a < b for a, b in zip(after, before, strict=True))
    means = statistics.fmean(before), statistics.fmean(after)
    return Score(len(rows), *means, worse, max(folding), statistics.median(milliseconds))


def mean_dice(fixed_labels: Tensor, labels: Tensor) -> float:
    """Dice averaged over the labels with at least 20 pixels in the fixed slice."""
    values, counts = fixed_labels.unique(return_counts=True)
    large = [int(v) for v, n in zip(values, counts, strict=True) if v != 0 and n >= _SMALLEST]
    return statistics.fmean(dice(fixed_labels, labels, large).values())


def find_pairs(place: Path, slices: list[int]) -> Iterator[LabelledPair]:
    """The labelled pairs of a folder, or of a CSV file.

    A CSV file has the columns ``fixed``, ``moving``, ``fixed_labels``, ``moving_labels``, and ``slice`` if you like;
    paths are relative to it.

    In a folder, files ``X_ED`` and ``X_ES``, or ``X_fixed`` and ``X_moving``, make a pair. Without such names every
    ordered pair of two volumes is taken, at each of the ``slices`` along their first array axis. The labels of ``X``
    stand in ``X_labels`` or in ``X_`` and one more word; of ``X_T1w`` in ``X_labels``.

    Raises:
        OSError: A file is missing.
        ValueError: Nothing fits.
    """
    if place.is_dir():
        yield from _pairs_of_folder(place, slices)
        return
    with place.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    if not rows or not set(_COLUMNS) <= rows[0].keys():
        raise ValueError(f"'{place}' needs the columns {', '.join(_COLUMNS)} and at least one row.")
    for row in rows:
        fixed, moving, fixed_labels, moving_labels = (_read(place.parent / row[name]) for name in _COLUMNS)
        index = int(row.get("slice") or 0)
        yield _pair((fixed, fixed_labels), (moving, moving_labels), index, place.parent / row["fixed"])


def _pairs_of_folder(folder: Path, slices: list[int]) -> Iterator[LabelledPair]:
    images = {path: labels for path in sorted(folder.iterdir()) if (labels := _labels_of(path)) is not None}
    named = [
        (fixed, partner)
        for fixed, (first, second) in itertools.product(images, _ENDINGS)
        if _stem(fixed).endswith(first)
        and (partner := fixed.with_name(fixed.name.replace(f"{first}.", f"{second}."))) in images
    ]
    pairs = named or list(itertools.permutations(images, 2))
    if not pairs:
        raise ValueError(
            f"'{folder}' holds no labelled pair; looked for X_ED with X_ES, X_fixed with X_moving, or two volumes,"
            " each with a file X_labels beside it."
        )
    volumes = {path: (_read(path), _read(labels)) for path, labels in images.items()}
    for fixed, moving in pairs:
        for index in [0] if named else slices:
            yield _pair(volumes[fixed], volumes[moving], index, fixed)


def _pair(
    fixed: tuple[sitk.Image, sitk.Image], moving: tuple[sitk.Image, sitk.Image], index: int, path: Path
) -> LabelledPair:
    arrays = [sitk.GetArrayFromImage(image) for image in (*fixed, *moving)]
    if not 0 <= index < len(arrays[0]) or len({array.shape for array in arrays}) > 1:
        raise ValueError(
            f"'{path}' and its partner need the same size and a slice {index}; they have {arrays[0].shape}."
        )
    tensors = [torch.from_numpy(array[index].astype(np.float32))[None, None] for array in arrays]
    matrix = torch.diag(torch.tensor([*fixed[0].GetSpacing(), 1.0]))
    return LabelledPair(tensors[0], tensors[2], tensors[1], tensors[3], ImageGrid(tuple(arrays[0].shape[1:]), matrix))


def _read(path: Path) -> sitk.Image:
    if not path.is_file():
        raise FileNotFoundError(f"There is no file '{path}'.")
    image = sitk.ReadImage(str(path))
    return sitk.JoinSeries(image) if image.GetDimension() == 2 else image


def _stem(path: Path) -> str:
    return path.name.split(".")[0]


def _labels_of(path: Path) -> Path | None:
    """The file with the labels of an image, if there is one."""
    stem, ending = _stem(path), path.name[len(_stem(path)) :]
    if stem.endswith("_labels"):
        return None
    for name in (f"{stem}_labels", f"{stem.removesuffix('_T1w')}_labels"):
        if path.with_name(name + ending).is_file():
            return path.with_name(name + ending)
    further = [p for p in path.parent.glob(f"{stem}_*{ending}") if "_" not in _stem(p)[len(stem) + 1 :]]
    return further[0] if len(further) == 1 else None
