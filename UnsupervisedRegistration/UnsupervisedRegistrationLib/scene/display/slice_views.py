"""Slice views: show fixed and moving over each other, on the slice that was registered."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import slicer
import slicer.util

from ..geometry.planes import SlicePlane

_VIEWS = {"Red": "Axial", "Yellow": "Sagittal", "Green": "Coronal"}
_NORMALS = {"Red": [0, 0, 1], "Yellow": [1, 0, 0], "Green": [0, 1, 0]}
FIXED_VIEW, WARPED_VIEW = "RegistrationFixed", "RegistrationWarped"
"""Layout names of the two views beside each other; see ``linked``."""
_FOLLOWS_PRESET = np.cos(np.deg2rad(1))


def addSliceViews(scene: slicer.vtkMRMLScene) -> None:
    """Gives a scene made without the application the slice views that the application has."""
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene, True)
    logic = slicer.vtkMRMLLayoutLogic()
    logic.SetMRMLScene(scene)
    logic.GetLayoutNode().SetViewArrangement(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)
    for view in slicer.util.getNodesByClass("vtkMRMLSliceNode", scene):
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
    """Puts the moving volume over the fixed one in all slice views, and one view on the plane.

    Args:
        fixedVolume: Background.
        movingVolume: Foreground; Slicer draws it through the transform it lies under.
        plane: Where to look.
        sliceNode: View that already shows the plane; without it the view of that orientation is moved there.
        opacity: Of the foreground.
    """
    scene = fixedVolume.GetScene()
    for layers in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode", scene):
        with slicer.util.NodeModify(layers):
            layers.SetBackgroundVolumeID(fixedVolume.GetID())
            layers.SetForegroundVolumeID(movingVolume.GetID())
            layers.SetForegroundOpacity(opacity)
    if sliceNode is None:
        _lookAt(scene, plane)


def displayOrder(plane: SlicePlane) -> Callable[[np.ndarray], np.ndarray]:
    """Turns pixels of a plane as Slicer's views are: patient's right or front on the left, front or head up.

    Returns:
        A function of ``(rows, columns, ...)`` arrays.
    """
    along, down = plane.ijkToRas[:3, 0], plane.ijkToRas[:3, 1]
    # Of two in-plane axes the one nearer to R (then A) runs across the picture.
    transposed = _rank(along) > _rank(down)
    across, upright = (down, along) if transposed else (along, down)
    mirrored = across[_rank(across)] > 0
    upsideDown = upright[_rank(upright)] > 0

    def order(pixels: np.ndarray) -> np.ndarray:
        pixels = pixels.swapaxes(0, 1) if transposed else pixels
        return pixels[:: -1 if upsideDown else 1, :: -1 if mirrored else 1]

    return order


def _rank(direction: np.ndarray) -> int:
    return int(np.argmax(np.abs(direction)))


def _lookAt(scene: slicer.vtkMRMLScene, plane: SlicePlane) -> None:
    """Moves the view whose preset has the plane's normal there; an oblique plane turns the axial view."""
    views = {view.GetLayoutName(): view for view in slicer.util.getNodesByClass("vtkMRMLSliceNode", scene)}
    if views:
        lookAt(views.get(_nearest(plane), next(iter(views.values()))), plane)


def lookAt(sliceNode: slicer.vtkMRMLSliceNode, plane: SlicePlane) -> None:
    """Turns a view like the preset that the plane follows, or like an oblique plane, and moves it there."""
    name = _nearest(plane)
    if abs(plane.normal @ _NORMALS[name]) > _FOLLOWS_PRESET:
        sliceNode.SetOrientation(_VIEWS[name])
    else:
        sliceToRas = np.eye(4)
        sliceToRas[:3, 0] = plane.ijkToRas[:3, 0] / np.linalg.norm(plane.ijkToRas[:3, 0])
        sliceToRas[:3, 1] = -plane.ijkToRas[:3, 1] / np.linalg.norm(plane.ijkToRas[:3, 1])
        sliceToRas[:3, 2] = np.cross(sliceToRas[:3, 0], sliceToRas[:3, 1])
        sliceNode.GetSliceToRAS().DeepCopy(slicer.util.vtkMatrixFromArray(sliceToRas))
        sliceNode.UpdateMatrices()
    sliceNode.JumpSliceByCentering(*plane.centre)


def _nearest(plane: SlicePlane) -> str:
    return max(_NORMALS, key=lambda view: abs(plane.normal @ _NORMALS[view]))


def fitView(sliceNode: slicer.vtkMRMLSliceNode, plane: SlicePlane) -> None:
    """Shows a whole plane with a small margin; the view keeps its number of pixels."""
    width, height, _ = sliceNode.GetDimensions()
    extent = 1.05 * np.array(plane.shape)[::-1] * np.linalg.norm(plane.ijkToRas[:3, :2], axis=0)
    scale = extent.max() / min(width, height)
    sliceNode.SetFieldOfView(scale * width, scale * height, sliceNode.GetFieldOfView()[2])
