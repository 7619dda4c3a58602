"""Slice views: layers, position and orientation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import slicer
import slicer.util

from ..geometry.planes import SlicePlane
from ..scene_nodes import nodesByClass

_VIEWS = {"Red": "Axial", "Yellow": "Sagittal", "Green": "Coronal"}
_NORMALS = {"Red": [0, 0, 1], "Yellow": [1, 0, 0], "Green": [0, 1, 0]}
FIXED_VIEW, WARPED_VIEW = "RegistrationFixed", "RegistrationWarped"
"""Layout names of the two side-by-side views; see ``side_by_side``."""
_MIN_PRESET_COSINE = np.cos(np.deg2rad(1))  # Planes within one degree are shown with Slicer's preset orientation.


def addSliceViews(scene: slicer.vtkMRMLScene) -> None:
    """Add Slicer's slice views to a scene outside the application."""
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene, True)
    logic = slicer.vtkMRMLLayoutLogic()
    logic.SetMRMLScene(scene)
    logic.GetLayoutNode().SetViewArrangement(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)
    for view in nodesByClass(scene, "vtkMRMLSliceNode"):
        layers = slicer.vtkMRMLSliceCompositeNode()
        layers.SetSingletonTag(view.GetLayoutName())
        layers.SetLayoutName(view.GetLayoutName())
        scene.AddNode(layers)


def showOverlay(
    fixedVolume: slicer.vtkMRMLVolumeNode,
    movingVolume: slicer.vtkMRMLVolumeNode,
    plane: SlicePlane,
    sliceNode: slicer.vtkMRMLSliceNode | None = None,
    opacity: float = 0.5,
) -> None:
    """Show the moving volume over the fixed volume in all slice views, and move one view to the plane.

    Args:
        fixedVolume: Background.
        movingVolume: Foreground, shown through its parent transform.
        plane: Plane to show.
        sliceNode: View that shows the plane already; by default the view of that orientation is moved there.
        opacity: Opacity of the foreground, 0..1.
    """
    scene = fixedVolume.GetScene()
    for layers in nodesByClass(scene, "vtkMRMLSliceCompositeNode"):
        with slicer.util.NodeModify(layers):
            layers.SetBackgroundVolumeID(fixedVolume.GetID())
            layers.SetForegroundVolumeID(movingVolume.GetID())
            layers.SetForegroundOpacity(opacity)
    if sliceNode is None:
        showPlaneInNearestView(scene, plane)


def displayOrder(plane: SlicePlane) -> Callable[[np.ndarray], np.ndarray]:
    """The flips and transposition that orient the pixels of a plane like Slicer's slice views.

    In these views the patient's right or front is on the left, and front or head is up.

    Returns:
        A function of ``(rows, columns, ...)`` arrays; it returns a view of its argument.
    """
    along, down = plane.ijkToRas[:3, 0], plane.ijkToRas[:3, 1]
    # The in-plane axis nearer to R, or else to A, is horizontal in the view.
    transposed = _rank(along) > _rank(down)
    across, upright = (down, along) if transposed else (along, down)
    mirrored = across[_rank(across)] > 0
    upsideDown = upright[_rank(upright)] > 0

    def order(pixels: np.ndarray) -> np.ndarray:
        pixels = pixels.swapaxes(0, 1) if transposed else pixels
        return pixels[:: -1 if upsideDown else 1, :: -1 if mirrored else 1]

    return order


def displayLetters(plane: SlicePlane) -> dict[str, str]:
    """The anatomical direction, one of R, L, A, P, S and I, at the left, right, top and bottom of a displayed plane."""
    index = displayOrder(plane)(np.moveaxis(np.indices((2, 2)), 0, -1))
    across, down = index[0, 1] - index[0, 0], index[1, 0] - index[0, 0]
    steps = {"left": -across, "right": across, "top": -down, "bottom": down}
    return {side: _letter(plane.ijkToRas[:3, [1, 0]] @ step) for side, step in steps.items()}


def _letter(direction: np.ndarray) -> str:
    axis = _rank(direction)
    return ("LR", "PA", "IS")[axis][int(direction[axis] > 0)]


def _rank(direction: np.ndarray) -> int:
    return int(np.argmax(np.abs(direction)))


def showPlaneInNearestView(scene: slicer.vtkMRMLScene, plane: SlicePlane) -> None:
    """Move the view with the nearest preset orientation to a plane; an oblique plane rotates it."""
    views = {view.GetLayoutName(): view for view in nodesByClass(scene, "vtkMRMLSliceNode")}
    if views:
        showPlaneInView(views.get(_nearestPreset(plane), next(iter(views.values()))), plane)


def showPlaneInView(sliceNode: slicer.vtkMRMLSliceNode, plane: SlicePlane) -> None:
    """Orient a view like the plane, with Slicer's preset if the plane is axial, sagittal or coronal, and centre it."""
    name = _nearestPreset(plane)
    if abs(plane.normal @ _NORMALS[name]) > _MIN_PRESET_COSINE:
        sliceNode.SetOrientation(_VIEWS[name])
    else:
        sliceToRas = np.eye(4)
        sliceToRas[:3, 0] = plane.ijkToRas[:3, 0] / np.linalg.norm(plane.ijkToRas[:3, 0])
        sliceToRas[:3, 1] = -plane.ijkToRas[:3, 1] / np.linalg.norm(plane.ijkToRas[:3, 1])
        sliceToRas[:3, 2] = np.cross(sliceToRas[:3, 0], sliceToRas[:3, 1])
        sliceNode.GetSliceToRAS().DeepCopy(slicer.util.vtkMatrixFromArray(sliceToRas))
        sliceNode.UpdateMatrices()
    sliceNode.JumpSliceByCentering(*plane.centre)


def _nearestPreset(plane: SlicePlane) -> str:
    return max(_NORMALS, key=lambda view: abs(plane.normal @ _NORMALS[view]))


def fitView(sliceNode: slicer.vtkMRMLSliceNode, plane: SlicePlane) -> None:
    """Fit a plane into a view with a margin of 5 %; the size of the view in pixels stays."""
    width, height, _ = sliceNode.GetDimensions()
    extent = 1.05 * np.array(plane.shape)[::-1] * np.linalg.norm(plane.ijkToRas[:3, :2], axis=0)
    scale = extent.max() / min(width, height)
    sliceNode.SetFieldOfView(scale * width, scale * height, sliceNode.GetFieldOfView()[2])
