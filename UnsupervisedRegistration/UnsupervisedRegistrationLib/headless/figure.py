"""One picture by which a person judges a registration."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from ..scene.display.color_tables import AREA_COLOURS, FOLDED_COLOUR, TRUST_COLOURS, areaShare
from ..scene.display.slice_views import displayLetters, displayOrder
from ..scene.registration.result_nodes import SliceRegistration

_CHECK_MM = 20.0  # At most; smaller on small images.
_GRID_MM = 10.0  # Likewise.
_INK, _PAPER, _GRID_COLOUR = "#e8e8e8", "#16181c", "#ffb03b"
_MOST_PIXELS = 1024  # Of a panel, along its longer side; a panel has about 300 on paper.
_PANEL_INCHES = 3.5  # Inches of a panel.
_LINE_LETTERS = 140  # Letters of a line above the panels.


@dataclass(frozen=True)
class _Panel:
    """One picture of the figure: its title, what its colours mean, and what draws it."""

    title: str
    legend: str
    draw: Callable[[Axes], None]


class _Slice:
    """The slice as it is displayed: orientation, size and positions in mm."""

    def __init__(self, outcome: SliceRegistration) -> None:
        plane = outcome.pair.plane
        self._order = displayOrder(plane)
        self._step = -(-max(plane.shape) // _MOST_PIXELS)
        self.letters = displayLetters(plane)
        rowStep, columnStep = np.linalg.norm(plane.ijkToRas[:3, [1, 0]], axis=0)
        self.steps = (float(rowStep), float(columnStep))
        isTransposed = self._order(np.zeros((2, 3))).shape != (2, 3)
        down, across = self.steps[::-1] if isTransposed else self.steps
        rows, columns = self._order(np.zeros(plane.shape)).shape
        self.height, self.width = down * rows, across * columns
        self.tile = min(_CHECK_MM, _roundLength(self.width / 4))
        self.line = min(_GRID_MM, _roundLength(self.width / 8))
        self.extent = (0.0, self.width, self.height, 0.0)
        self.down, self.across = (
            (np.arange(0, size, self._step) + 0.5) * spacing for size, spacing in ((rows, down), (columns, across))
        )

    @property
    def bar(self) -> float:
        """Length of the scale bar, mm."""
        return _roundLength(self.width / 4)

    def ordered(self, pixels: np.ndarray) -> np.ndarray:
        """The pixels as they are displayed; of large images only some."""
        return self._order(pixels)[:: self._step, :: self._step]


def _roundLength(most: float) -> float:
    """The longest of 1, 2 and 5 times a power of ten that is at most ``most``."""
    power = 10.0 ** np.floor(np.log10(most))
    return float(max(round(factor * power, 12) for factor in (1, 2, 5) if factor * power <= most))


def saveFigure(outcome: SliceRegistration, path: Path, caption: str) -> None:
    """Fixed, moving, warped, checkerboard; red/cyan before and after, deformation grid, change of area; uncertainty.

    Args:
        outcome: What to show.
        path: PNG to write.
        caption: Lines above the panels.
    """
    shown = _Slice(outcome)
    panels = _panels(outcome, shown)
    columns = len(panels) // 2
    aspect = min(max(shown.height / shown.width, 0.6), 1.6)
    figure = Figure(
        figsize=(_PANEL_INCHES * columns, 2 * _PANEL_INCHES * aspect + 2), facecolor=_PAPER, layout="constrained"
    )
    for axes, panel in zip(figure.subplots(2, columns).flat, panels, strict=True):
        axes.set_axis_off()
        axes.set_title(f"{panel.title}\n", color=_INK, fontsize=11)
        panel.draw(axes)
        axes.set_aspect("equal")
        _annotate(axes, shown, panel.legend)
    place = outcome.pair.plane.name
    lines = [*caption.splitlines(), f"{place[:1].upper()}{place[1:]}. {_prealignment(outcome)}"]
    text = "\n".join(textwrap.fill(line, _LINE_LETTERS) for line in lines)
    figure.suptitle(text, color=_INK, fontsize=11)
    figure.savefig(path, dpi=100)


def _panels(outcome: SliceRegistration, shown: _Slice) -> list[_Panel]:
    pixels = (outcome.pair.fixed.pixels, outcome.pair.moving.pixels, outcome.warpedPixels)
    fixed, moving, warped = (shown.ordered(part) for part in pixels)
    fixed, moving, warped = windowed(fixed), windowed(moving, moving), windowed(warped, moving)
    before = "Moving" if outcome.pair.prealignmentMatrix is None else "Moving, pre-aligned"

    def image(values: np.ndarray) -> Callable[[Axes], None]:
        return lambda axes: _image(axes, shown, values)

    panels = [
        _Panel("Fixed", "", image(fixed)),
        _Panel(before, "grey window of the warped image", image(moving)),
        _Panel("Warped", "grey window of the moving image", image(warped)),
        _Panel("Checkerboard", f"tiles of {shown.tile:g} mm, fixed and warped", image(_tiles(shown, fixed, warped))),
        _Panel("Before", "red fixed, cyan moving, grey equal", image(redCyanPixels(fixed, moving))),
        _Panel("After", "red fixed, cyan warped, grey equal", image(redCyanPixels(fixed, warped))),
        _Panel("Deformation grid", f"lines every {shown.line:g} mm of the moving image", _grid(outcome, shown, fixed)),
        _Panel("Change of area", "area in the moving image; magenta folds", _area(outcome, shown)),
    ]
    if outcome.trust is not None and outcome.expectedError is not None:
        trust, error = shown.ordered(100 * outcome.trust), shown.ordered(outcome.expectedError)
        colours = LinearSegmentedColormap.from_list("trust", TRUST_COLOURS)
        panels.insert(4, _Panel("Trust", "%", lambda axes: _map(axes, shown, trust, colours, 100)))
        most = max(float(error.max()), 1)
        panels.append(_Panel("Expected error", "mm", lambda axes: _map(axes, shown, error, "magma", most)))
    return panels


def _annotate(axes: Axes, shown: _Slice, legend: str) -> None:
    """Orientation letters, a scale bar and the legend, all beside the image."""
    places = {"left": (-0.03, 0.5), "right": (1.03, 0.5), "top": (0.5, 1.03), "bottom": (0.5, -0.035)}
    style: dict[str, Any] = {"color": _INK, "ha": "center", "va": "center", "fontsize": 9, "transform": axes.transAxes}
    for side, (x, y) in places.items():
        axes.text(x, y, shown.letters[side], **style)
    axes.plot([0, shown.bar / shown.width], [-0.075] * 2, color=_INK, lw=2, clip_on=False, transform=axes.transAxes)
    below: dict[str, Any] = {"color": _INK, "fontsize": 8, "va": "top", "transform": axes.transAxes}
    axes.text(0, -0.09, f"{shown.bar:g} mm", ha="left", **below)
    axes.text(1, -0.09, legend, ha="right", **below)
    axes.set_xlim(0, shown.width)
    axes.set_ylim(shown.height, 0)


def _prealignment(outcome: SliceRegistration) -> str:
    """What the pre-alignment did to the moving image, in one sentence."""
    matrix, plane = outcome.pair.prealignmentMatrix, outcome.pair.plane
    if matrix is None:
        return "The images were not pre-aligned."
    shift = float(np.linalg.norm((matrix @ [*plane.centre, 1.0])[:3] - plane.centre))
    u, _, vh = np.linalg.svd(matrix[:3, :3])
    angle = float(np.rad2deg(np.arccos(np.clip((np.trace(u @ vh) - 1) / 2, -1, 1))))
    return f"Pre-alignment: shift {shift:.1f} mm at the centre of the slice, rotation {angle:.1f}°."


def windowed(pixels: np.ndarray, like: np.ndarray | None = None) -> np.ndarray:
    """Intensities as 0..1 between the percentiles 0.5 and 99.5 of ``like``, by default of the image itself."""
    low, high = np.percentile(pixels if like is None else like, [0.5, 99.5])
    return np.clip((pixels - low) / max(high - low, np.finfo(np.float32).tiny), 0, 1)


def _image(axes: Axes, shown: _Slice, pixels: np.ndarray) -> None:
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=1, interpolation="nearest", extent=shown.extent)


def redCyanPixels(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """``(rows, columns, 3)``: the first image in red, the second in cyan."""
    return np.stack([first, second, second], axis=-1)


def _tiles(shown: _Slice, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    rows, columns = (np.floor(positions / shown.tile) for positions in (shown.down, shown.across))
    return np.where((rows[:, None] + columns) % 2 == 0, first, second)


def _grid(outcome: SliceRegistration, shown: _Slice, fixed: np.ndarray) -> Callable[[Axes], None]:
    """Lines of constant position in the moving image, drawn on the fixed one."""
    positions = [
        shown.ordered(position * step) for position, step in zip(outcome.sourcePositions, shown.steps, strict=True)
    ]

    def draw(axes: Axes) -> None:
        _image(axes, shown, 0.6 * fixed)
        for position in positions:
            levels = np.arange(np.floor(position.min() / shown.line), position.max() / shown.line) * shown.line
            axes.contour(shown.across, shown.down, position, levels=levels, colors=_GRID_COLOUR, linewidths=0.7)

    return draw


def _area(outcome: SliceRegistration, shown: _Slice) -> Callable[[Axes], None]:
    """Blue shrinks, red grows, magenta folds."""
    jacobian = shown.ordered(outcome.jacobian)
    change = np.ma.masked_where(jacobian <= 0, areaShare(jacobian))
    colours = LinearSegmentedColormap.from_list("area", AREA_COLOURS).with_extremes(bad=FOLDED_COLOUR)

    def draw(axes: Axes) -> None:
        image = axes.imshow(change, cmap=colours, vmin=-1, vmax=1, extent=shown.extent)
        bar = axes.figure.colorbar(image, ax=axes, shrink=0.8, ticks=[-1, 0, 1])
        bar.ax.set_yticklabels(["half", "same", "double"], color=_INK)

    return draw


def _map(axes: Axes, shown: _Slice, values: np.ndarray, colours: str | LinearSegmentedColormap, highest: float) -> None:
    image = axes.imshow(values, cmap=colours, vmin=0, vmax=highest, extent=shown.extent)
    bar = axes.figure.colorbar(image, ax=axes, shrink=0.8)
    bar.ax.tick_params(labelcolor=_INK)
