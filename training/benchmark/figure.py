"""The picture of the benchmark: accuracy over time, a panel for each data set."""

from __future__ import annotations

import itertools
import math

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from training.benchmark.results import MOVING, Row

_UNREGISTERED = "unregistered"


def draw(rows: list[Row]) -> Figure:
    """Dice, or TRE without labels, over the median time on a logarithmic axis.

    A method has the same colour in all panels. Methods whose displacements fold are drawn hollow, the unregistered
    pairs as a dotted line. Bars are standard errors over people.
    """
    rows = [row for row in rows if MOVING not in row.dataset]
    datasets = list(dict.fromkeys(row.dataset for row in rows))
    names = dict.fromkeys(row.method for row in rows if row.method != _UNREGISTERED)
    colours = dict(zip(names, itertools.cycle(colormaps["tab20"].colors)))  # type: ignore[attr-defined]
    figure = Figure(figsize=(4.6 * len(datasets), 4.8), layout="constrained")
    for axes, dataset in zip(figure.subplots(1, len(datasets), squeeze=False)[0], datasets, strict=True):
        _panel(axes, [row for row in rows if row.dataset == dataset], colours)
    return figure


def _panel(axes: Axes, rows: list[Row], colours: dict[str, tuple[float, ...]]) -> None:
    labelled = any(not math.isnan(row.dice.mean) for row in rows)
    for row in rows:
        if row.method == _UNREGISTERED:
            axes.axhline(row.accuracy.mean, color="0.6", linestyle=":", linewidth=1)
            continue
        mean, error = row.accuracy
        folds = row.folded_percent.mean > 0
        axes.errorbar(
            row.median_ms,
            mean,
            yerr=None if math.isnan(error) else error,
            marker="o",
            markersize=5,
            markerfacecolor="none" if folds else colours[row.method],
            color=colours[row.method],
            linewidth=0.8,
        )
        axes.annotate(row.method, (row.median_ms, mean), (4, 3), fontsize=7, textcoords="offset points")
    axes.set(xscale="log", xlabel="Time (ms)", ylabel="Dice" if labelled else "TRE (mm)", title=rows[0].dataset)
    axes.margins(x=0.3, y=0.1)  # Room for the names.
