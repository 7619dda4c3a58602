"""The picture of the benchmark: accuracy over time, a panel for each data set."""

from __future__ import annotations

import itertools
import math
import typing

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from training.benchmark.results import MOVING, UNREGISTERED, Row
from UnsupervisedRegistrationLib.core.registration.options import Preset

_PRESET_NAMES = typing.get_args(Preset)


def draw(rows: list[Row]) -> Figure:
    """Dice, or TRE without labels, over the median time on a logarithmic axis, of the baselines and the presets.

    A method has the same colour in all panels. Presets are squares, methods whose displacements fold are hollow. The
    dotted line shows the unregistered pairs, bars are standard errors over people.
    """
    rows = [row for row in rows if MOVING not in row.dataset and not _left_out(row.method)]
    datasets = list(dict.fromkeys(row.dataset for row in rows))
    names = dict.fromkeys(row.method for row in rows if row.method != UNREGISTERED)
    colours = dict(zip(names, itertools.cycle(colormaps["tab20"].colors)))  # type: ignore[attr-defined]
    figure = Figure(figsize=(1.9 + 4.2 * len(datasets), 4.6), layout="constrained")
    for axes, dataset in zip(figure.subplots(1, len(datasets), squeeze=False)[0], datasets, strict=True):
        _panel(axes, [row for row in rows if row.dataset == dataset], colours)
    entries = [
        Line2D([], [], marker="s" if name in _PRESET_NAMES else "o", linestyle="", color=colour, label=name)
        for name, colour in colours.items()
    ]
    figure.legend(handles=entries, loc="outside right upper", fontsize=8)
    return figure


def _left_out(method: str) -> bool:
    """Single models and the default, which stand beside the presets in the tables."""
    return method == "default" or method.endswith(tuple(f", {preset}" for preset in _PRESET_NAMES))


def _panel(axes: Axes, rows: list[Row], colours: dict[str, tuple[float, ...]]) -> None:
    labelled = any(not math.isnan(row.dice.mean) for row in rows)
    for row in rows:
        if row.method == UNREGISTERED:
            axes.axhline(row.accuracy.mean, color="0.6", linestyle=":", linewidth=1)
            continue
        mean, error = row.accuracy
        folds = row.folded_percent.mean > 0
        axes.errorbar(
            row.median_ms,
            mean,
            yerr=None if math.isnan(error) else error,
            marker="s" if row.method in _PRESET_NAMES else "o",
            markersize=6,
            markerfacecolor="none" if folds else colours[row.method],
            color=colours[row.method],
            linewidth=0.8,
        )
    axes.set(xscale="log", xlabel="Time (ms)", ylabel="Dice" if labelled else "TRE (mm)", title=rows[0].dataset)
