"""Input files as nodes of a scene."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import slicer
import slicer.util

from ..scene.display.slice_views import addSliceViews
from ..scene.geometry.planes import SlicePlane, offsetBetween, planeFromIndex
from ..scene.registration.foreground_mask import addForeground
from ..scene.registration.phantom_nodes import Kind, addPhantom
from .arguments import FOREGROUND_MASK
from .input_files import RegistrationFiles
from .readers import readLabels, readLandmarks, readMask, readTransform, readVolume
from .transform_checks import noteCoverage


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
    fixedLabels: slicer.vtkMRMLNode | None = None
    movingLabels: slicer.vtkMRMLNode | None = None


def newScene() -> slicer.vtkMRMLScene:
    """An empty scene with slice views, known to ``slicer.util``."""
    scene = slicer.vtkMRMLScene()
    slicer.mrmlScene = scene
    addSliceViews(scene)
    return scene


def readInputs(scene: slicer.vtkMRMLScene, files: RegistrationFiles) -> Inputs:
    """Read the files of a registration into a scene.

    Raises:
        OSError: A file is missing or cannot be opened.
        ValueError: A file or a slice is not usable.
    """
    if (files.fixedLandmarks is None) != (files.movingLandmarks is None):
        raise ValueError("Landmarks are measured in pairs: give both --fixed-landmarks and --moving-landmarks.")
    if files.fixedLabels is not None and files.movingLabels is None:
        raise ValueError("Labels are compared in pairs: give --moving-labels too, or leave --labels out.")
    fixed, moving = readVolume(scene, files.fixed), readVolume(scene, files.moving)
    if files.initialTransform is not None:
        initial = readTransform(scene, files.initialTransform)
        noteCoverage(files.initialTransform, initial, fixed)
        moving.SetAndObserveTransformNodeID(initial.GetID())
    plane, offset = planeFromIndex(fixed, files.orientation, files.fixedSlice), None
    if files.movingSlice is not None:
        offset = offsetBetween(plane, planeFromIndex(moving, files.orientation, files.movingSlice))
    return Inputs(
        fixed,
        moving,
        plane,
        offset,
        files.fixedMask and _mask(files.fixedMask, fixed),
        files.movingMask and _mask(files.movingMask, moving),
        files.fixedLandmarks and readLandmarks(scene, files.fixedLandmarks),
        files.movingLandmarks and _onMoving(readLandmarks(scene, files.movingLandmarks), moving),
        files.fixedLabels and readLabels(scene, files.fixedLabels),
        files.movingLabels and _onMoving(readLabels(scene, files.movingLabels), moving),
    )


def _onMoving(node: slicer.vtkMRMLTransformableNode, moving: slicer.vtkMRMLVolumeNode) -> slicer.vtkMRMLNode:
    """Put what was drawn on the moving image under its initial transform too."""
    node.SetAndObserveTransformNodeID(moving.GetTransformNodeID())
    return node


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
