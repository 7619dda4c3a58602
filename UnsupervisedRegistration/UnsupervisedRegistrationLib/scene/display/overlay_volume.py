"""The hidden volume that shows the overlays which Slicer's layers cannot show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import slicer
import slicer.util

from ..geometry.planes import SlicePlane
from ..geometry.volumes import fillVolume
from . import color_tables, view_state

_MAX_EDGE_SHARE = 0.12  # Of all pixels.
_MIN_EDGE_STRENGTH = 0.01  # Change per pixel, as a share of the window.

_OVERLAY_PURPOSE = "picture"  # Saved in scenes; the name of the node is made from it.


@dataclass(frozen=True)
class ColorScale:
    """The colours of a range of values.

    Attributes:
        colour: Name of a table of ``color_tables``.
        low: Value of the first colour.
        high: Value of the last colour.
    """

    colour: str
    low: float = 0.0
    high: float = 1.0


def fillOverlayVolume(
    scene: slicer.vtkMRMLScene,
    plane: SlicePlane,
    values: np.ndarray,
    scale: ColorScale,
    shown: np.ndarray | None = None,
) -> slicer.vtkMRMLScalarVolumeNode:
    """Fill the hidden overlay volume; the one node per scene is updated in place.

    Args:
        scene: Scene of the volume.
        plane: Pixels of the values.
        values: ``(rows, columns)``; values beyond the scale are clipped.
        scale: Colours of the values.
        shown: ``(rows, columns)`` bool; other pixels are transparent. By default all are shown.
    """
    node, _ = view_state.ownedNode(scene, "vtkMRMLScalarVolumeNode", _OVERLAY_PURPOSE)
    if node.GetDisplayNode() is None:
        node.CreateDefaultDisplayNodes()
    transparent = scale.low - (scale.high - scale.low)
    values = np.clip(values, scale.low, scale.high)
    with slicer.util.NodeModify(node):
        fillVolume(node, (values if shown is None else np.where(shown, values, transparent)).astype(np.float32)[None])
        node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(plane.ijkToRas))
    display = node.GetDisplayNode()
    with slicer.util.NodeModify(display):
        display.SetAndObserveColorNodeID(color_tables.colorTable(scene, scale.colour).GetID())
        display.SetAutoWindowLevel(False)
        display.SetWindowLevelMinMax(scale.low, scale.high)
        display.SetThreshold(scale.low - 1e-3 * (scale.high - scale.low), scale.high + 1)
        display.SetApplyThreshold(shown is not None)
        display.SetInterpolate(False)
    return node


def displayIntensities(volumeNode: slicer.vtkMRMLVolumeNode, pixels: np.ndarray) -> np.ndarray:
    """Intensities scaled to 0..1 by window and level of the volume; without them from the minimum to the maximum."""
    display = volumeNode.GetDisplayNode()
    if isinstance(display, slicer.vtkMRMLScalarVolumeDisplayNode) and display.GetWindow() > 0:
        low, width = display.GetLevel() - display.GetWindow() / 2, display.GetWindow()
    else:
        low, width = float(pixels.min()), float(np.ptp(pixels)) or 1.0
    return np.clip((pixels - low) / width, 0, 1)


def edgeMask(image: np.ndarray) -> np.ndarray:
    """Edges of an image, ``(rows, columns)`` bool: local maxima of the gradient magnitude, one or two pixels wide."""
    padded = np.pad(image, 1, mode="edge")
    rows, columns = image.shape
    smooth = sum(padded[r : r + rows, c : c + columns] for r in range(3) for c in range(3)) / 9
    down, across = np.gradient(smooth)
    strength = np.hypot(down, across)
    ring = np.pad(strength, 1)
    vertical = (strength >= ring[:-2, 1:-1]) & (strength >= ring[2:, 1:-1]) & (np.abs(down) >= np.abs(across))
    horizontal = (strength >= ring[1:-1, :-2]) & (strength >= ring[1:-1, 2:]) & (np.abs(across) >= np.abs(down))
    return (vertical | horizontal) & (strength > max(np.quantile(strength, 1 - _MAX_EDGE_SHARE), _MIN_EDGE_STRENGTH))
