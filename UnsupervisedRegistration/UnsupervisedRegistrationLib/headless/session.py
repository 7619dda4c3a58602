"""Input files as nodes of a scene."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import slicer
import slicer.util

from ..scene.display.slice_views import addSliceViews
from ..scene.geometry.planes import Orientation, SlicePlane, offsetBetween, planeFromIndex
from ..scene.registration.foreground_mask import addForeground
from ..scene.registration.phantom_nodes import Kind, addPhantom
from .arguments import FOREGROUND_MASK
from .readers import readLandmarks, readMask, readTransform, readVolume


@dataclass(frozen=True)
class Inputs:
    """What is registered, as nodes of one scene."""

    fixed: slicer.vtkMRMLVolumeNode
    moving: slicer.vtkMRMLVolumeNode
    plane: SlicePlane
    movingOffset: np.ndarray | None = None
    mask: slicer.vtkMRMLNode | None = None
    movingMask: slicer.vtkMRMLNode | None = None
    fixedLandmarks: slicer.vtkMRMLMarkupsNode | None = None
    movingLandmarks: slicer.vtkMRMLMarkupsNode | None = None


def newScene() -> slicer.vtkMRMLScene:
    """An empty scene with slice views, known to ``slicer.util``."""
    scene = slicer.vtkMRMLScene()
    slicer.mrmlScene = scene
    addSliceViews(scene)
    return scene


def readInputs(
    scene: slicer.vtkMRMLScene,
    fixed: Path,
    moving: Path,
    *,
    orientation: Orientation | None = None,
    fixedSlice: int | None = None,
    movingSlice: int | None = None,
    mask: Path | None = None,
    movingMask: Path | None = None,
    initialTransform: Path | None = None,
    fixedLandmarks: Path | None = None,
    movingLandmarks: Path | None = None,
) -> Inputs:
    """Reads all files into a scene.

    Raises:
        OSError: A file is missing or cannot be opened.
        ValueError: A file or a slice is not usable.
    """
    if (fixedLandmarks is None) != (movingLandmarks is None):
        raise ValueError("Landmarks are measured in pairs: give both --fixed-landmarks and --moving-landmarks.")
    fixedNode, movingNode = readVolume(scene, fixed), readVolume(scene, moving)
    if initialTransform is not None:
        movingNode.SetAndObserveTransformNodeID(readTransform(scene, initialTransform).GetID())
    plane = planeFromIndex(fixedNode, orientation, fixedSlice)
    offset = None
    if movingSlice is not None:
        offset = offsetBetween(plane, planeFromIndex(movingNode, orientation, movingSlice))
    movingPoints = None if movingLandmarks is None else readLandmarks(scene, movingLandmarks)
    if movingPoints is not None:  # They were placed on the image as it was before the initial transform.
        movingPoints.SetAndObserveTransformNodeID(movingNode.GetTransformNodeID())
    return Inputs(
        fixedNode,
        movingNode,
        plane,
        offset,
        mask and _mask(mask, fixedNode),
        movingMask and _mask(movingMask, movingNode),
        fixedLandmarks and readLandmarks(scene, fixedLandmarks),
        movingPoints,
    )


def _mask(path: Path, volume: slicer.vtkMRMLVolumeNode) -> slicer.vtkMRMLLabelMapVolumeNode:
    return addForeground(volume) if path == Path(FOREGROUND_MASK) else readMask(volume.GetScene(), path)


def phantomInputs(scene: slicer.vtkMRMLScene, kind: Kind) -> Inputs:
    """A phantom with its landmarks."""
    nodes = addPhantom(scene, kind)
    plane = planeFromIndex(nodes.fixedVolume, "axial")
    return Inputs(
        nodes.fixedVolume,
        nodes.movingVolume,
        plane,
        fixedLandmarks=nodes.fixedLandmarks,
        movingLandmarks=nodes.movingLandmarks,
    )
