"""One picture by which a person judges a registration."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..scene.display.slice_views import displayOrder
from ..scene.registration.result_nodes import SliceRegistration

_TILE = 8  # Checks along the shorter side.
_LINES = 20  # Lines of the deformation grid along the shorter side.
_INK = "#e8e8e8"
_PAPER = "#16181c"


def saveFigure(outcome: SliceRegistration, path: Path, caption: str) -> None:
    """Fixed, moving, warped, checkerboard; red/cyan before and after, deformation grid, local change of area; trust.

    Args:
        outcome: What to show.
        path: PNG to write.
        caption: One line above the panels.
    """
    order = displayOrder(outcome.pair.plane)
    fixed, moving, warped = (
        order(windowed(p)) for p in (outcome.pair.fixed.pixels, outcome.pair.moving.pixels, outcome.warpedPixels)
    )
    panels: dict[str, Callable[[Axes], None]] = {
        "Fixed": lambda axes: _image(axes, fixed),
        "Moving": lambda axes: _image(axes, moving),
        "Warped": lambda axes: _image(axes, warped),
        "Fixed / warped, checkerboard": lambda axes: _image(axes, _checkerboard(fixed, warped)),
        "Before: fixed red, moving cyan": lambda axes: _image(axes, redCyanPixels(fixed, moving)),
        "After: fixed red, warped cyan": lambda axes: _image(axes, redCyanPixels(fixed, warped)),
        "Deformation grid": lambda axes: _grid(axes, fixed, [order(p) for p in outcome.sourcePositions]),
        "Local change of area": lambda axes: _jacobian(axes, order(outcome.jacobian)),
    }
    if outcome.trust is not None and outcome.expectedError is not None:
        trust, error = order(outcome.trust), order(outcome.expectedError)
        panels["Trust"] = lambda axes: _map(axes, trust, "RdYlGn", 1)
        panels["Expected error in mm"] = lambda axes: _map(axes, error, "magma", max(float(error.max()), 1))
    height, width = fixed.shape
    aspect = _pixelHeight(outcome) * height / width
    columns, size = len(panels) // 2, 3.5
    figure = Figure(
        figsize=(size * columns, 2 * size * min(max(aspect, 0.6), 1.6) + 1), facecolor=_PAPER, layout="constrained"
    )
    for axes, (title, draw) in zip(figure.subplots(2, columns).flat, panels.items(), strict=True):
        axes.set_axis_off()
        axes.set_title(title, color=_INK, fontsize=11)
        draw(axes)
        axes.set_aspect(_pixelHeight(outcome))
    figure.suptitle(textwrap.fill(caption, 110), color=_INK, fontsize=13)
    figure.savefig(path, dpi=100)


def _pixelHeight(outcome: SliceRegistration) -> float:
    """Height of a pixel over its width, as drawn."""
    columns, rows = np.linalg.norm(outcome.pair.plane.ijkToRas[:3, :2], axis=0)
    probe = np.zeros((2, 3))
    return float(columns / rows if displayOrder(outcome.pair.plane)(probe).shape != probe.shape else rows / columns)


def windowed(pixels: np.ndarray) -> np.ndarray:
    """Intensities as 0..1 between the percentiles 0.5 and 99.5."""
    low, high = np.percentile(pixels, [0.5, 99.5])
    return np.clip((pixels - low) / max(high - low, np.finfo(np.float32).tiny), 0, 1)


def _image(axes: Axes, pixels: np.ndarray) -> None:
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=1, interpolation="nearest")


def redCyanPixels(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """``(rows, columns, 3)``: the first image in red, the second in cyan."""
    return np.stack([first, second, second], axis=-1)


def _checkerboard(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    rows, columns = np.indices(first.shape) // max(min(first.shape) // _TILE, 1)
    return np.where((rows + columns) % 2 == 0, first, second)


def _grid(axes: Axes, fixed: np.ndarray, positions: list[np.ndarray]) -> None:
    """Lines of constant position in the moving image, drawn on the fixed one."""
    _image(axes, 0.6 * fixed)
    step = max(min(fixed.shape) / _LINES, 1)
    for position in positions:
        levels = np.arange(np.floor(position.min() / step), position.max() / step) * step
        axes.contour(position, levels=levels, colors="#ffb03b", linewidths=0.7)


def _jacobian(axes: Axes, jacobian: np.ndarray) -> None:
    """Blue shrinks, red grows, magenta folds."""
    change = np.ma.masked_less_equal(jacobian, 0)
    colours = colormaps["RdBu_r"].with_extremes(bad="magenta")
    image = axes.imshow(np.log2(np.clip(change, 1e-3, None)), cmap=colours, vmin=-1.5, vmax=1.5)
    bar = axes.figure.colorbar(image, ax=axes, shrink=0.8, ticks=[-1, 0, 1])
    bar.ax.set_yticklabels(["half", "same", "double"], color=_INK)


def _map(axes: Axes, values: np.ndarray, colours: str, highest: float) -> None:
    image = axes.imshow(values, cmap=colours, vmin=0, vmax=highest)
    bar = axes.figure.colorbar(image, ax=axes, shrink=0.8)
    bar.ax.tick_params(labelcolor=_INK)
