"""Legends of the overlays and of the deformation, shown beside their controls, so that they cover no image."""

from __future__ import annotations

import html
from dataclasses import dataclass

import numpy as np

from ..scene.display.color_tables import (
    AREA_COLOURS,
    CYAN_MOVING,
    DISPLACEMENT_COLOURS,
    EDGE_COLOUR,
    FOLDED_COLOUR,
    MOST_DISPLACEMENT_MM,
    RED_FIXED,
    TRUST_COLOURS,
    colourAt,
)
from ..scene.reporting.translation import tr as _
from . import choices
from .parameters import RegistrationParameters

_BAR_CELLS = 24  # Of a colour bar.
_PERCENT = ("0 %", "50 %", "100 %")
_EQUAL_GREY = "#808080"


@dataclass(frozen=True)
class Legend:
    """What the colours of a picture mean.

    Attributes:
        text: What has no colour of its own.
        patches: Hexadecimal colour and what it marks.
        bar: Evenly spaced hexadecimal colours of a scale; empty without one.
        ticks: What the colours mean, evenly spaced along the bar.
    """

    text: str = ""
    patches: tuple[tuple[str, str], ...] = ()
    bar: tuple[str, ...] = ()
    ticks: tuple[str, ...] = ()

    @property
    def html(self) -> str:
        """The legend as rich text; the bar is as wide as the text."""
        squares = [f'<span style="color:{colour}">■</span>&nbsp;{html.escape(of)}' for colour, of in self.patches]
        line = " &nbsp; ".join([*([html.escape(self.text)] if self.text else []), *squares])
        return line + (_table(_cells(self.bar)) + _table(_aligned(self.ticks)) if self.bar else "")


def overlayLegend(parameters: RegistrationParameters, isWarped: bool) -> Legend | None:
    """The legend of the chosen overlay; ``None`` for one that shows both images in their own colours.

    That of the trust map imports torch; it is for a map that is there.

    Args:
        parameters: With the overlay and its settings.
        isWarped: Whether the moving image is shown warped.
    """
    moving = _("warped") if isWarped else _("moving")
    legends = {
        choices.RED_CYAN: Legend(
            patches=((RED_FIXED, _("fixed")), (CYAN_MOVING, moving), (_EQUAL_GREY, _("equal intensities")))
        ),
        choices.CHECKERBOARD: Legend(
            _("Tiles of {size:.0f} mm: fixed and {moving} in turn").format(size=parameters.tileSize, moving=moving)
        ),
        choices.SWIPE: Legend(
            patches=((EDGE_COLOUR, _("line: fixed on its left, {moving} on its right").format(moving=moving)),)
        ),
        choices.DIFFERENCE: Legend(
            bar=("#000000", "#ffffff"),
            ticks=(_("fixed is brighter"), _("equal"), _("{moving} is brighter").format(moving=moving)),
        ),
        choices.EDGES: Legend(
            patches=((EDGE_COLOUR, _("edges of the fixed image, on the {moving} image").format(moving=moving)),)
        ),
        choices.JACOBIAN: Legend(
            _("Area in the moving image:"),
            ((FOLDED_COLOUR, _("folded")),),
            AREA_COLOURS,
            (_("half"), _("same"), _("double")),
        ),
    }
    return _trustLegend() if parameters.overlay == choices.TRUST_MAP else legends.get(parameters.overlay)


def _trustLegend() -> Legend:
    from ..scene.registration.result_nodes import HALF_TRUST_MM  # Imports torch, which has made the map that is shown.

    text = _("Trust in the result; 50 %: an error of {error:.0f} mm is expected").format(error=HALF_TRUST_MM)
    return Legend(text, (), TRUST_COLOURS, _PERCENT)


def deformationLegend(parameters: RegistrationParameters) -> Legend | None:
    """The legend of the drawn deformation; ``None`` while it is hidden."""
    texts = {
        choices.GRID: _("Lines every {spacing:.0f} mm of the moving image; colour: length of the displacement"),
        choices.ARROWS: _(
            "Arrows every {spacing:.0f} mm, from the place in the moving image to that in the fixed image; colour:"
            " length of the displacement"
        ),
    }
    if parameters.deformation not in texts:
        return None
    text = texts[parameters.deformation].format(spacing=parameters.gridSpacing)
    half, most = MOST_DISPLACEMENT_MM / 2, MOST_DISPLACEMENT_MM
    ticks = ("0 mm", f"{half:.0f} mm", _("{most:.0f} mm and more").format(most=most))
    return Legend(text, (), DISPLACEMENT_COLOURS, ticks)


def _cells(colours: tuple[str, ...]) -> str:
    shades = colourAt(colours, np.linspace(0, 1, _BAR_CELLS))
    codes = ["#" + "".join(f"{round(255 * channel):02x}" for channel in shade) for shade in shades]
    return "".join(f'<td bgcolor="{code}" width="{100 / _BAR_CELLS:.2f}%"><small>&nbsp;</small></td>' for code in codes)


def _aligned(ticks: tuple[str, ...]) -> str:
    places = ["left", *["center"] * (len(ticks) - 2), "right"]
    return "".join(
        f'<td align="{place}" width="{100 / len(ticks):.2f}%">{html.escape(tick)}</td>'
        for place, tick in zip(places, ticks, strict=True)
    )


def _table(cells: str) -> str:
    return f'<table width="100%" cellspacing="0" cellpadding="0"><tr>{cells}</tr></table>'
