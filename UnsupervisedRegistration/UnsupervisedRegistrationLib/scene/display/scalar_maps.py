"""Colour maps over the fixed image: local change of area, and trust."""

from __future__ import annotations

import numpy as np

from ..geometry.planes import SlicePlane
from ..geometry.sampling import sampleVolume
from .color_tables import MARKED_SHARE, areaShare
from .overlay_volume import ColorScale, fillOverlayVolume
from .overlays import Overlay, showLayers

_AREA = ColorScale("jacobian", -1 - 2 * MARKED_SHARE)
_TRUST = ColorScale("trust", 0, 100)


def jacobianMap(
    overlay: Overlay, plane: SlicePlane, values: np.ndarray, fixed: np.ndarray | None = None, opacity: float = 0.6
) -> None:
    """Show the local change of area: blue half the size, red double, magenta folds; air is transparent.

    Args:
        overlay: Overlay with the fixed volume.
        plane: Pixels of the map.
        values: ``(rows, columns)`` Jacobian determinants.
        fixed: ``(rows, columns)`` intensities of the fixed image; by default they are sampled.
        opacity: Opacity of the map, 0..1.
    """
    _showMap(overlay, plane, np.where(values > 0, areaShare(values), _AREA.low), _AREA, fixed, opacity)


def trustMap(
    overlay: Overlay, plane: SlicePlane, values: np.ndarray, fixed: np.ndarray | None = None, opacity: float = 0.5
) -> None:
    """Show the trust map in percent: violet 0 %, yellow 100 %; air is transparent.

    Args:
        overlay: Overlay with the fixed volume.
        plane: Pixels of the map.
        values: ``(rows, columns)``, 0..1.
        fixed: As for ``jacobianMap``.
        opacity: Opacity of the map, 0..1.
    """
    _showMap(overlay, plane, 100 * values, _TRUST, fixed, opacity)


def _showMap(
    overlay: Overlay,
    plane: SlicePlane,
    values: np.ndarray,
    scale: ColorScale,
    fixed: np.ndarray | None,
    opacity: float,
) -> None:
    from ..registration.foreground_mask import foregroundOf  # Needs torch, so not at import.

    pixels = sampleVolume(overlay.fixedVolume, plane).pixels if fixed is None else fixed
    derived = fillOverlayVolume(overlay.fixedVolume.GetScene(), plane, values, scale, shown=foregroundOf(pixels))
    showLayers(overlay, overlay.fixedVolume, derived, opacity)
