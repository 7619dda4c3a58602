"""What the benchmark measures, stored pair by pair, and the rows that are computed from it."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from training.benchmark.bootstrap import Estimate, estimate

REFERENCE = "ANTs SyN CC"  # Accuracy and time of the others are compared with it.
UNREGISTERED = "unregistered"
MOVING = ", moving "  # Between the name of the pairs and that of the contrast of their moving image.
RESULTS = "results.json"


@dataclass(frozen=True)
class Measurement:
    """One method on one pair; nan where something cannot be measured.

    Attributes:
        dataset: Name of the pairs.
        method: Name of the method.
        pair: Number of the pair.
        fixed_subject: Person in the fixed image.
        moving_subject: Person in the moving image.
        dice: Mean over the labels of the fixed slice, warped with nearest neighbours.
        tre_mm: Mean over the landmarks.
        hd95_mm: Mean over the same labels.
        folded_percent: Share of the pixels at which the displacement folds.
        sd_log_jacobian: Standard deviation of ``log(J + 3)``.
        ms: Median time of repeated calls of the registration alone.
        first_ms: Time of the first call, after another method.
        peak_mib: Largest memory of the process during that call; all methods share what is loaded.
    """

    dataset: str
    method: str
    pair: int
    fixed_subject: str
    moving_subject: str
    dice: float
    tre_mm: float
    hd95_mm: float
    folded_percent: float
    sd_log_jacobian: float
    ms: float
    first_ms: float
    peak_mib: float


@dataclass(frozen=True)
class Row:
    """One method on one data set: means over pairs with standard errors over people.

    Attributes:
        dataset: Name of the pairs.
        method: Name of the method.
        pairs: How many.
        people: How many are shown in them.
        dice: See ``Measurement``.
        tre_mm: Likewise.
        hd95_mm: Likewise.
        folded_percent: Likewise.
        sd_log_jacobian: Likewise.
        difference: Accuracy less that of the reference on the same pair: Dice, or the TRE in mm without labels.
        median_ms: Over the pairs.
        first_ms: Median over the pairs.
        speedup: Median time of the reference over that of this method.
        peak_mib: Largest over the pairs.
    """

    dataset: str
    method: str
    pairs: int
    people: int
    dice: Estimate
    tre_mm: Estimate
    hd95_mm: Estimate
    folded_percent: Estimate
    sd_log_jacobian: Estimate
    difference: Estimate
    median_ms: float
    first_ms: float
    speedup: float
    peak_mib: float

    @property
    def accuracy(self) -> Estimate:
        """Dice, or without labels the TRE."""
        return self.tre_mm if math.isnan(self.dice.mean) else self.dice


@dataclass(frozen=True)
class Results:
    """All that a run of the benchmark found.

    Attributes:
        measurements: A method on a pair each.
        machine: What it ran on, by name.
        statements: Sentences about what is measured once, such as the cost of a network.
    """

    measurements: list[Measurement]
    machine: dict[str, str] = field(default_factory=dict)
    statements: list[str] = field(default_factory=list)


def rows_of(measurements: Iterable[Measurement]) -> list[Row]:
    """One row for each method and data set, in the order in which they first occur."""
    groups: dict[tuple[str, str], list[Measurement]] = {}
    for one in measurements:
        groups.setdefault((one.dataset, one.method), []).append(one)
    return [_row(group, groups.get((dataset, REFERENCE), [])) for (dataset, _), group in groups.items()]


def _row(group: list[Measurement], reference: list[Measurement]) -> Row:
    subjects = [(one.fixed_subject, one.moving_subject) for one in group]

    def mean(value: Callable[[Measurement], float]) -> Estimate:
        return estimate([value(one) for one in group], subjects)

    accuracies = {one.pair: _accuracy(one) for one in reference}
    median = statistics.median(one.ms for one in group)
    return Row(
        dataset=group[0].dataset,
        method=group[0].method,
        pairs=len(group),
        people=len({person for pair in subjects for person in pair}),
        dice=mean(lambda one: one.dice),
        tre_mm=mean(lambda one: one.tre_mm),
        hd95_mm=mean(lambda one: one.hd95_mm),
        folded_percent=mean(lambda one: one.folded_percent),
        sd_log_jacobian=mean(lambda one: one.sd_log_jacobian),
        difference=mean(lambda one: _accuracy(one) - accuracies.get(one.pair, math.nan)),
        median_ms=median,
        first_ms=statistics.median(one.first_ms for one in group),
        speedup=statistics.median(one.ms for one in reference) / median if reference else math.nan,
        peak_mib=max(one.peak_mib for one in group),
    )


def _accuracy(one: Measurement) -> float:
    return one.tre_mm if math.isnan(one.dice) else one.dice


def write(results: Results, folder: Path) -> None:
    """Writes ``results.json``, a line for each measurement.

    Raises:
        OSError: The folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({n: None if v != v else v for n, v in asdict(one).items()}) for one in results.measurements]
    rest = json.dumps({"machine": results.machine, "statements": results.statements}, indent=1)
    joined = ",\n".join(lines)
    (folder / RESULTS).write_text(f'{rest[:-2]},\n "measurements": [\n{joined}\n]}}\n', encoding="utf-8")


def read(folder: Path) -> Results:
    """What ``write`` stored, or nothing.

    Raises:
        ValueError: The file holds something else.
    """
    path = folder / RESULTS
    if not path.exists():
        return Results([])
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        rows: list[dict[str, Any]] = [
            {n: math.nan if v is None else v for n, v in one.items()} for one in found["measurements"]
        ]
        return Results([Measurement(**row) for row in rows], found["machine"], found["statements"])
    except (TypeError, AttributeError, KeyError, json.JSONDecodeError) as error:
        raise ValueError(f"'{path}' is not of this benchmark; move it away, or give another --output.") from error
