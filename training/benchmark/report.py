"""The benchmark as Markdown: every number comes from the stored results."""

from __future__ import annotations

import math
import statistics
from pathlib import Path

from training.benchmark.figure import draw
from training.benchmark.results import MOVING, REFERENCE, UNREGISTERED, Results, Row, rows_of

DOCUMENT, PICTURE = "benchmark.md", "benchmark.png"
_INTRODUCTION = f"""# Benchmark

All methods register the same pairs in one process, one pair after the other, on two threads. `make bench` measures
the numbers below and writes this page; `training/benchmark/pairs/*.csv` lists the pairs.

![Accuracy over time]({PICTURE})

* **Dice**: mean over the labels with at least 20 pixels in the fixed slice, warped with nearest neighbours.
* **HD95 (mm)**: 95th percentile of the surface distance, over the same labels.
* **Folded pixels (%)**: share of the pixels at which the displacement folds.
* **SD log J**: standard deviation of log(J + 3), J the Jacobian determinant.
* **Difference**: to {REFERENCE} on the same pair, in Dice, or in mm where there are landmarks only.
* **±**: standard error, bootstrapped over people; both people of a pair are drawn together.
* **Time (ms)**: median over the pairs, after the first call. **First (ms)**: the first call, after another method.
* **Speed-up**: time of {REFERENCE} over time of the method.
"""


def write_report(results: Results, folder: Path) -> None:
    """Writes ``benchmark.md`` and ``benchmark.png``.

    Raises:
        OSError: The folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / DOCUMENT).write_text(document(results), encoding="utf-8")
    draw(rows_of(results.measurements)).savefig(folder / PICTURE, dpi=110)


def document(results: Results) -> str:
    """The whole page."""
    rows = rows_of(results.measurements)
    datasets = list(dict.fromkeys(row.dataset for row in rows))
    parts = [_INTRODUCTION, "Measured on: " + ", ".join(f"{k} {v}" for k, v in results.machine.items()) + ".\n"]
    for dataset in datasets:
        if MOVING not in dataset:
            parts.append(_section(dataset, [row for row in rows if row.dataset == dataset]))
    changed = [row for row in rows if MOVING in row.dataset]
    if changed:
        parts.append(_contrast_section(changed, rows))
    ratios = _landmark_section(results)
    if ratios:
        parts.append(ratios)
    if results.statements:
        parts.append("## Further measurements\n\n" + "".join(f"* {line}\n" for line in results.statements))
    return "\n".join(parts)


def _section(dataset: str, rows: list[Row]) -> str:
    first = rows[0]
    people = f" of {first.people} people" if first.people < first.pairs else ""
    lines = [
        f"## {dataset.capitalize()}: {first.pairs} pairs{people}\n",
        "| Method | Dice | TRE (mm) | HD95 (mm) | Folded pixels (%) | SD log J | Difference | Time (ms) | First (ms)"
        " | Speed-up | Peak memory (MiB) |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = [
            row.method if row.pairs == first.pairs else f"{row.method} ({row.pairs} pairs)",
            row.dice.text(4),
            row.tre_mm.text(2),
            row.hd95_mm.text(2),
            row.folded_percent.text(3),
            row.sd_log_jacobian.text(4),
            "" if row.method == REFERENCE else row.difference.text(4),
            _number(row.median_ms, 1) if row.method != UNREGISTERED else "",
            _number(row.first_ms, 1) if row.method != UNREGISTERED else "",
            _number(row.speedup, 1) if row.method != UNREGISTERED else "",
            _number(row.peak_mib, 0),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _contrast_section(changed: list[Row], rows: list[Row]) -> str:
    plain = {(row.dataset, row.method): row.accuracy.mean for row in rows}
    lines = [
        "## Other contrast of the moving image\n",
        "| Data | Contrast | Method | Dice | Change of Dice |",
        "|---|---|---|---|---|",
    ]
    for row in changed:
        dataset, _, contrast = row.dataset.partition(MOVING)
        change = row.accuracy.mean - plain.get((dataset, row.method), math.nan)
        lines.append(f"| {dataset} | {contrast} | {row.method} | {row.dice.text(4)} | {change:+.4f} |")
    return "\n".join(lines) + "\n"


def _landmark_section(results: Results) -> str:
    """TRE of each pair over that of the unregistered pair, where landmarks are all there is to score."""
    found: dict[tuple[str, str], dict[int, float]] = {}
    for one in results.measurements:
        if math.isnan(one.dice) and not math.isnan(one.tre_mm):
            found.setdefault((one.dataset, one.method), {})[one.pair] = one.tre_mm
    lines = []
    for (dataset, method), errors in found.items():
        before = found.get((dataset, UNREGISTERED), {})
        ratios = [error / before[pair] for pair, error in errors.items() if before.get(pair)]
        if ratios and method != UNREGISTERED:
            worse = sum(ratio > 1.1 for ratio in ratios)
            lines.append(f"| {dataset} | {method} | {statistics.median(ratios):.2f} | {max(ratios):.2f} | {worse} |")
    head = [
        "## Landmarks: TRE relative to the unregistered pair\n",
        "| Data | Method | Median | Largest | Pairs above 1.1 |",
        "|---|---|---|---|---|",
    ]
    return "\n".join([*head, *lines]) + "\n" if lines else ""


def _number(value: float, digits: int) -> str:
    return "" if math.isnan(value) else f"{value:.{digits}f}"
