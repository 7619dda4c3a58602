"""The picture of an overlay that Slicer cannot draw itself."""

from __future__ import annotations

import numpy as np
import slicer
import slicer.util

from . import colours, viewstate
from .planes import SlicePlane
from .volumes import fillVolume

_EDGE_SHARE = 0.12  # Of the pixels, at most so many are edges.
_WEAKEST_EDGE = 0.01  # Of the window, from one pixel to the next.


def fillPicture(
    scene: slicer.vtkMRMLScene, plane: SlicePlane, pixels: np.ndarray, colour: str
) -> slicer.vtkMRMLScalarVolumeNode:
    """The one hidden volume of the overlays, filled in place.

    Args:
        scene: Where it is.
        plane: Where it lies.
        pixels: ``(rows, columns)``, 0..255.
        colour: Table of ``colours`` for 0..255.
    """
    node, _ = viewstate.ownedNode(scene, "vtkMRMLScalarVolumeNode", "picture")
    if node.GetDisplayNode() is None:
        node.CreateDefaultDisplayNodes()
    with slicer.util.NodeModify(node):
        fillVolume(node, np.clip(pixels + 0.5, 0, 255).astype(np.uint8)[None])
        node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(plane.ijkToRas))
    display = node.GetDisplayNode()
    with slicer.util.NodeModify(display):
        display.SetAndObserveColorNodeID(colours.table(scene, colour).GetID())
        display.SetAutoWindowLevel(False)
        display.SetWindowLevelMinMax(0, 255)
        display.SetApplyThreshold(False)
        display.SetInterpolate(False)
    return node


def greyOf(volumeNode: slicer.vtkMRMLVolumeNode, pixels: np.ndarray) -> np.ndarray:
    """0..1 by the window of the volume; without one, from the lowest to the highest intensity."""
    display = volumeNode.GetDisplayNode()
    if isinstance(display, slicer.vtkMRMLScalarVolumeDisplayNode) and display.GetWindow() > 0:
        low, width = display.GetLevel() - display.GetWindow() / 2, display.GetWindow()
    else:
        low, width = float(pixels.min()), float(np.ptp(pixels)) or 1.0
    return np.clip((pixels - low) / width, 0, 1)


def edgesOf(grey: np.ndarray) -> np.ndarray:
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
