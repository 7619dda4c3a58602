"""The picture of an overlay that Slicer cannot draw itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import slicer
import slicer.util

from ..geometry.planes import SlicePlane
from ..geometry.volumes import fillVolume
from . import color_tables, view_state

_EDGE_SHARE = 0.12  # Of the pixels, at most so many are edges.
_WEAKEST_EDGE = 0.01  # Of the window, from one pixel to the next.


_PICTURE = "picture"


@dataclass(frozen=True)
class ColorScale:
    """How values become colours.

    Attributes:
        colour: Table of ``colours``.
        low: Value of its first colour.
        high: Value of its last colour.
        title: Of the legend, if there is one.
    """

    colour: str
    low: float = 0.0
    high: float = 1.0
    title: str = ""


def fillOverlayVolume(
    scene: slicer.vtkMRMLScene,
    plane: SlicePlane,
    values: np.ndarray,
    scale: ColorScale,
    shown: np.ndarray | None = None,
) -> slicer.vtkMRMLScalarVolumeNode:
    """The one hidden volume of the overlays, filled in place.

    Args:
        scene: Where it is.
        plane: Where it lies.
        values: ``(rows, columns)``; what lies beyond the scale takes its end.
        scale: Their colours.
        shown: ``(rows, columns)`` bool, where there is something to see; elsewhere the picture is clear.
    """
    node, _ = view_state.ownedNode(scene, "vtkMRMLScalarVolumeNode", _PICTURE)
    if node.GetDisplayNode() is None:
        node.CreateDefaultDisplayNodes()
    clear = scale.low - (scale.high - scale.low)
    values = np.clip(values, scale.low, scale.high)
    with slicer.util.NodeModify(node):
        fillVolume(node, (values if shown is None else np.where(shown, values, clear)).astype(np.float32)[None])
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


def hideLegend(scene: slicer.vtkMRMLScene) -> None:
    """Takes the colour legend away, which would stay when a view shows other layers."""
    picture = view_state.findOwned(scene, _PICTURE)
    legend = None if picture is None else slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(picture)
    if legend is not None:
        legend.SetVisibility(False)


def showLegend(node: slicer.vtkMRMLScalarVolumeNode, scale: ColorScale) -> None:
    """Slicer's colour legend, on the right of the views whose layers show the picture already."""
    logic = slicer.vtkSlicerColorLogic
    legend = logic.GetColorLegendDisplayNode(node) or logic.AddDefaultColorLegendDisplayNode(node)
    if legend is None:  # The scene knows no legends, as without the application.
        return
    with slicer.util.NodeModify(legend):
        legend.SetVisibility(True)
        legend.SetTitleText(scale.title)
        legend.SetLabelFormat("%.0f")
        legend.SetNumberOfLabels(5)
        legend.SetSize(0.12, 0.5)
        legend.SetPosition(0.96, 0.5)
    legend.Modified()  # The views look at their layers then, and do not when these change.


def displayIntensities(volumeNode: slicer.vtkMRMLVolumeNode, pixels: np.ndarray) -> np.ndarray:
    """0..1 by the window of the volume; without one, from the lowest to the highest intensity."""
    display = volumeNode.GetDisplayNode()
    if isinstance(display, slicer.vtkMRMLScalarVolumeDisplayNode) and display.GetWindow() > 0:
        low, width = display.GetLevel() - display.GetWindow() / 2, display.GetWindow()
    else:
        low, width = float(pixels.min()), float(np.ptp(pixels)) or 1.0
    return np.clip((pixels - low) / width, 0, 1)


def edgeMask(grey: np.ndarray) -> np.ndarray:
    """Where the grey values change most, one or two pixels wide."""
    padded = np.pad(grey, 1, mode="edge")
    rows, columns = grey.shape
    smooth = sum(padded[r : r + rows, c : c + columns] for r in range(3) for c in range(3)) / 9
    down, across = np.gradient(smooth)
    strength = np.hypot(down, across)
    ring = np.pad(strength, 1)
    vertical = (strength >= ring[:-2, 1:-1]) & (strength >= ring[2:, 1:-1]) & (np.abs(down) >= np.abs(across))
    horizontal = (strength >= ring[1:-1, :-2]) & (strength >= ring[1:-1, 2:]) & (np.abs(across) >= np.abs(down))
    return (vertical | horizontal) & (strength > max(np.quantile(strength, 1 - _EDGE_SHARE), _WEAKEST_EDGE))
