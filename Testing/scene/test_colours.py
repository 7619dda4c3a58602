"""The colours of the overlays can be told apart with any colour blindness."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from UnsupervisedRegistrationLib.scene.display import color_tables

# Machado, Oliveira and Fernandes 2009, full severity, for linear RGB.
_BLINDNESS = {
    "none": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
_TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
_APART = 20.0  # CIE 1976 colour difference; 2.3 is just noticeable side by side.

_CONTRASTS = {
    "fixed and moving": [(color_tables.RED_FIXED, color_tables.CYAN_MOVING)],
    "change of area": [
        *pairwise(color_tables.AREA_COLOURS),
        (color_tables.AREA_COLOURS[0], color_tables.AREA_COLOURS[-1]),
    ],
    "folding": [(color_tables.FOLDED_COLOUR, colour) for colour in color_tables.AREA_COLOURS],
    "trust": list(pairwise(color_tables.TRUST_COLOURS)),
    "displacement": list(pairwise(color_tables.DISPLACEMENT_COLOURS)),
    "lines on grey": [(color_tables.EDGE_COLOUR, grey) for grey in ("#000000", "#808080", "#ffffff")],
}


def lab(colour: str, blindness: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of a colour as it is seen."""
    coded = np.array([int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)])
    linear = np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)
    x, y, z = _TO_XYZ @ np.clip(blindness @ linear, 0, 1) / (0.9505, 1, 1.089)
    fx, fy, fz = (np.cbrt(v) if v > 0.008856 else 7.787 * v + 16 / 116 for v in (x, y, z))
    return np.array([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)])


@pytest.mark.parametrize("blindness", _BLINDNESS)
@pytest.mark.parametrize("name", _CONTRASTS)
def test_colours_that_mean_different_things_differ(name: str, blindness: str) -> None:
    seen = [[lab(colour, _BLINDNESS[blindness]) for colour in pair] for pair in _CONTRASTS[name]]
    assert min(np.linalg.norm(first - second) for first, second in seen) > _APART


def test_half_and_double_the_size_are_equally_far_from_the_same_size() -> None:
    assert color_tables.areaShare(np.array([0.5, 1.0, 2.0])) == pytest.approx([-1, 0, 1])
    assert color_tables.areaShare(np.array([-1.0, 0.0, 0.1, 9.0])) == pytest.approx([-1, -1, -1, 1])
