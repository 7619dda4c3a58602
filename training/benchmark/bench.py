"""Compares methods on the same pairs in one process: accuracy, folding, time, memory."""

from __future__ import annotations

import contextlib
import gc
import itertools
import json
import math
import statistics
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from matplotlib import colormaps
from matplotlib.figure import Figure

from training.benchmark.baselines import Call, Contrast, Method
from training.data.labelled_pairs import LabelledPair
from training.evaluation.evaluate import measure
from UnsupervisedRegistrationLib.core.images.phantom import PHANTOM_KINDS, draw_phantom
from UnsupervisedRegistrationLib.core.spatial.folding import folding
from UnsupervisedRegistrationLib.core.spatial.grid import ImageGrid

CHANGED = ("any-contrast", "paper's FCN")  # Methods that are shown other contrasts too.
PEER = "ANTs SyN CC"  # What the ratios of time are taken against.
MOVING = ", moving "  # Between the name of the pairs and that of the contrast of their moving image.
_ROWS = "results.json"
_REPEATS, _SECONDS = 20, 0.25  # A call is repeated so often at most, and until it took so long in all.


@dataclass(frozen=True)
class Row:
    """What one method reaches on one data set; means over the pairs.

    Attributes:
        dataset: Name of the pairs.
        method: Name of the method.
        pairs: How many.
        dice: Of labels warped with nearest neighbours; nan without labels.
        tre_mm: Of landmarks; nan without any.
        hd95_mm: Of the labels.
        folding: Largest share of a slice that folds.
        median_ms: Of the registration alone, repeated on each pair while it is short; the first call warms up.
        first_ms: Of these first calls, each after another method and a garbage collection.
        ratio_to_syn_cc: Time of ANTs SyN CC over the time of this method, pairs timed in turn in one process.
        peak_mib: Most memory of the process during a call; all methods share what is loaded.
    """

    dataset: str
    method: str
    pairs: int
    dice: float
    tre_mm: float
    hd95_mm: float
    folding: float
    median_ms: float
    first_ms: float
    ratio_to_syn_cc: float
    peak_mib: float


def phantom_pairs() -> Iterable[LabelledPair]:
    """The middle slices of the drawn patients with their landmarks."""
    for kind in PHANTOM_KINDS:
        phantom = draw_phantom(kind)
        middle = phantom.fixed.shape[0] // 2
        images = [torch.from_numpy(i[middle].astype("float32"))[None, None] for i in (phantom.fixed, phantom.moving)]
        grid = ImageGrid(tuple(images[0].shape[2:]), torch.from_numpy(phantom.ijk_to_ras).float())
        to_ijk = torch.linalg.inv(torch.from_numpy(phantom.ijk_to_ras))
        landmarks = phantom.fixed_landmarks, phantom.moving_landmarks
        points = [_voxels(torch.tensor(list(named.values()), dtype=torch.float64), to_ijk) for named in landmarks]
        yield LabelledPair(images[0], images[1], grid, fixed_points=points[0], moving_points=points[1])


def _voxels(points: torch.Tensor, to_ijk: torch.Tensor) -> torch.Tensor:
    return (points @ to_ijk[:3, :3].T + to_ijk[:3, 3])[:, :2].flip(1).float()


def bench(
    datasets: dict[str, tuple[list[LabelledPair], dict[str, Method]]],
    contrasts: tuple[Contrast, ...],
    folder: Path,
    before: list[Row] | None = None,
) -> list[Row]:
    """Compares on every data set, some networks also with the moving image in other contrasts.

    Args:
        datasets: Name to pairs and methods.
        contrasts: Of the moving image.
        folder: Receives ``results.json``, ``results.md`` and ``accuracy.png``, anew after each data set.
        before: Rows whose data sets keep their place; those that are measured again are replaced.

    Returns:
        One row a method and data set.
    """
    rows = list(before or [])
    for name, (pairs, methods) in datasets.items():
        rows = _with(rows, compare(name, pairs, methods))
        write(rows, folder)
    for name, (pairs, methods) in datasets.items():
        networks = {method: call for method, call in methods.items() if method in CHANGED}
        for contrast in contrasts if networks and "phantom" not in name else ():
            changed = compare(f"{name}{MOVING}{contrast.name}", [contrast(pair) for pair in pairs], networks)
            rows = _with(rows, changed)
        write(rows, folder)
    return rows


def _with(rows: list[Row], measured: list[Row]) -> list[Row]:
    """The rows, those of the data set just measured instead of its former ones, or at the end."""
    dataset = measured[0].dataset
    places = [number for number, row in enumerate(rows) if row.dataset == dataset]
    place = places[0] if places else len(rows)
    return rows[:place] + measured + [row for row in rows[place:] if row.dataset != dataset]


def compare(dataset: str, pairs: list[LabelledPair], methods: dict[str, Method]) -> list[Row]:
    """Every method on every pair in turn, so that a slow moment of the machine meets all of them.

    Raises:
        ValueError: There is no pair.
    """
    if not pairs:
        raise ValueError(f"There is no pair in '{dataset}'.")
    for method in methods.values():  # Warm-up.
        call, _ = method(pairs[0])
        call()
    found: dict[str, list[dict[str, float]]] = {name: [] for name in methods}
    for pair in pairs:
        for name, method in methods.items():
            found[name].append(_measured(method, pair))
    peer = statistics.median(row["ms"] for row in found[PEER]) if PEER in found else math.nan
    return [_row(dataset, name, rows, peer) for name, rows in found.items()]


def _measured(method: Method, pair: LabelledPair) -> dict[str, float]:
    call, read = method(pair)
    gc.collect()
    restart_peak()
    first, outcome = _timed(call)
    peak = memory("VmHWM")
    displacement = read(outcome)
    again: list[float] = []
    while len(again) < _REPEATS and first + sum(again) < _SECONDS:
        again.append(_timed(call)[0])
    times = {"first ms": 1000 * first, "ms": 1000 * statistics.median(again or [first])}
    return measure(pair, displacement) | {"folding": folding(displacement), "peak": peak} | times


def _timed(call: Call) -> tuple[float, Any]:
    """Seconds and outcome."""
    start = time.perf_counter()
    outcome = call()
    return time.perf_counter() - start, outcome


def _row(dataset: str, method: str, rows: list[dict[str, float]], peer: float) -> Row:
    def mean(name: str) -> float:
        values = [row[name] for row in rows if not math.isnan(row.get(name, math.nan))]
        return statistics.fmean(values) if values else math.nan

    median, first = (statistics.median(row[name] for row in rows) for name in ("ms", "first ms"))
    return Row(
        dataset=dataset,
        method=method,
        pairs=len(rows),
        dice=mean("Dice"),
        tre_mm=mean("TRE mm"),
        hd95_mm=mean("HD95 mm"),
        folding=max(row["folding"] for row in rows),
        median_ms=median,
        first_ms=first,
        ratio_to_syn_cc=peer / median,
        peak_mib=max(row["peak"] for row in rows),
    )


def restart_peak() -> None:
    """From here the system counts the peak anew (on Linux; elsewhere there is no figure)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def memory(name: str) -> float:
    """MiB of this process, ``VmRSS`` now or ``VmHWM`` at most; nan where the system does not tell."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((float(line.split()[1]) / 1024 for line in lines if line.startswith(name)), math.nan)


def table(rows: list[Row]) -> str:
    """The rows as Markdown, one table a data set."""
    parts = []
    for dataset in dict.fromkeys(row.dataset for row in rows):
        chosen = [row for row in rows if row.dataset == dataset]
        parts += [
            f"**{dataset}**, {chosen[0].pairs} pairs",
            "",
            "| method | Dice | TRE mm | HD95 mm | folding | median ms | first ms | faster than SyN CC | peak MiB |",
            "|---|---|---|---|---|---|---|---|---|",
            *(
                f"| {row.method} | {_text(row.dice, 4)} | {_text(row.tre_mm, 2)} | {_text(row.hd95_mm, 2)}"
                f" | {row.folding:.2g} | {_text(row.median_ms, 1)} | {_text(row.first_ms, 1)}"
                f" | {_text(row.ratio_to_syn_cc, 1)} | {_text(row.peak_mib, 0)} |"
                for row in chosen
            ),
            "",
        ]
    return "\n".join(parts)


def _text(value: float, digits: int) -> str:
    return "" if math.isnan(value) else f"{value:.{digits}f}"


def plot(rows: list[Row]) -> Figure:
    """Accuracy over time, one picture a data set; a method has the same colour in all of them."""
    datasets = list(dict.fromkeys(row.dataset for row in rows))
    colours = dict(zip(dict.fromkeys(row.method for row in rows), itertools.cycle(colormaps["tab20"].colors)))  # type: ignore[attr-defined]
    figure = Figure(figsize=(4.5 * len(datasets), 4), layout="constrained")
    for axes, dataset in zip(figure.subplots(1, len(datasets), squeeze=False)[0], datasets, strict=True):
        for row in rows:
            accuracy = row.tre_mm if math.isnan(row.dice) else row.dice
            if row.dataset == dataset and row.method != "identity":
                axes.scatter(row.median_ms, accuracy, s=18, color=colours[row.method])
                axes.annotate(row.method, (row.median_ms, accuracy), (4, 3), fontsize=7, textcoords="offset points")
        labelled = any(row.dataset == dataset and not math.isnan(row.dice) for row in rows)
        axes.set(xscale="log", xlabel="ms", ylabel="Dice" if labelled else "TRE mm", title=dataset)
        axes.margins(x=0.3, y=0.1)  # Room for the names.
    return figure


def write(rows: list[Row], folder: Path) -> None:
    """``results.json``, ``results.md`` and ``accuracy.png``.

    Raises:
        OSError: The folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    whole = [row for row in rows if MOVING not in row.dataset]
    plain = [{name: None if value != value else value for name, value in asdict(row).items()} for row in rows]
    (folder / _ROWS).write_text(json.dumps(plain, indent=1), encoding="utf-8")
    (folder / "results.md").write_text(table(rows), encoding="utf-8")
    plot(whole).savefig(folder / "accuracy.png", dpi=120)


def read(folder: Path) -> list[Row]:
    """The rows that ``write`` left, if any."""
    path = folder / _ROWS
    found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    rows: list[dict[str, Any]] = [
        {name: math.nan if value is None else value for name, value in row.items()} for row in found
    ]
    return [Row(**row) for row in rows]
