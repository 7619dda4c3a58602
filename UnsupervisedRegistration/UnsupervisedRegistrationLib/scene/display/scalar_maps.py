"""Maps of what a registration did and how far to trust it, in colours over the fixed image, with a legend."""

from __future__ import annotations

import numpy as np

from ..geometry.planes import SlicePlane
from ..geometry.sampling import sampleVolume
from .overlay_volume import ColorScale, fillOverlayVolume, showLegend
from .overlays import Overlay, showLayers

_AREA = ColorScale("jacobian", -100, 100, "Change of area (%)")
_TRUST = ColorScale("trust", 0, 100, "Trust (%)")


def jacobianMap(
    overlay: Overlay, plane: SlicePlane, values: np.ndarray, fixed: np.ndarray | None = None, opacity: float = 0.6
) -> None:
    """Local change of area in percent: blue shrinks, white keeps, red grows, magenta folds; the air stays clear.

    Args:
        overlay: On its fixed volume.
        plane: Where.
        values: ``(rows, columns)`` Jacobian determinants.
        fixed: ``(rows, columns)`` intensities of the fixed image, if they are known already.
        opacity: Of the colours.
    """
    _showMap(overlay, plane, 100 * (values - 1), _AREA, fixed, opacity)


def trustMap(
    overlay: Overlay, plane: SlicePlane, values: np.ndarray, fixed: np.ndarray | None = None, opacity: float = 0.5
) -> None:
    """How far to trust the outcome in percent: red not at all, green fully; the air stays clear.

    Args:
        overlay: On its fixed volume.
        plane: Where.
        values: ``(rows, columns)``, 0..1.
        fixed: See ``jacobianMap``.
        opacity: Of the colours.
    """
    _showMap(overlay, plane, 100 * values, _TRUST, fixed, opacity)


def _showMap(
    overlay: Overlay,
    plane: SlicePlane,
    percent: np.ndarray,
    scale: ColorScale,
    fixed: np.ndarray | None,
    opacity: float,
) -> None:
    from ..registration.foreground_mask import foregroundOf  # Needs torch, so not at import.

    pixels = sampleVolume(overlay.fixedVolume, plane).pixels if fixed is None else fixed
    derived = fillOverlayVolume(overlay.fixedVolume.GetScene(), plane, percent, scale, shown=foregroundOf(pixels))
    showLayers(overlay, overlay.fixedVolume, derived, opacity)
    showLegend(derived, scale)
