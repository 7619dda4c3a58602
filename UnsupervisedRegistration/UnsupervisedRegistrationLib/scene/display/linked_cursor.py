"""The same point in the fixed image and in the moving image as it was taken."""

from __future__ import annotations

import numpy as np
import slicer
import slicer.util
import vtk

from ..geometry.result_transform import storedInitialTransform
from ..geometry.transforms import transformToWorld, worldToLocal
from ..scene_nodes import nodesByClass
from . import view_state
from .slice_views import FIXED_VIEW, WARPED_VIEW

_CURSOR = "corresponding point"
_COLOUR = (1.0, 0.85, 0.1)


def correspondingPoint(point: np.ndarray, transformNode: slicer.vtkMRMLTransformNode, isOnFixed: bool) -> np.ndarray:
    """The point of the other image that corresponds to a point, world RAS mm.

    Args:
        point: World RAS, mm.
        transformNode: Result transform.
        isOnFixed: Whether ``point`` is on the fixed image, and the result on the moving image as it lay before the
            registration; otherwise the opposite.

    Raises:
        ValueError: The initial transform of the moving volume was deleted.
    """
    initial = storedInitialTransform(transformNode)
    if isOnFixed:
        local = worldToLocal(transformNode).TransformPoint(point)
        return np.array(transformToWorld(initial).TransformPoint(local))
    local = worldToLocal(initial).TransformPoint(point)
    return np.array(transformToWorld(transformNode).TransformPoint(local))


def markCorrespondingPoint(
    point: np.ndarray, transformNode: slicer.vtkMRMLTransformNode, cursorView: slicer.vtkMRMLSliceNode
) -> slicer.vtkMRMLMarkupsNode | None:
    """Mark a point of one side-by-side view in the other one, which scrolls to it; ``restoreViews`` removes the mark.

    Args:
        point: World RAS, mm, in the view of the cursor.
        transformNode: Result transform.
        cursorView: View of the cursor.

    Returns:
        The mark; ``None`` if the view is none of the two.
    """
    name = cursorView.GetLayoutName()
    if name not in (FIXED_VIEW, WARPED_VIEW):
        return None
    other = WARPED_VIEW if name == FIXED_VIEW else FIXED_VIEW
    views = {view.GetLayoutName(): view for view in nodesByClass(cursorView.GetScene(), "vtkMRMLSliceNode")}
    if other not in views:
        return None
    mapped = correspondingPoint(point, transformNode, isOnFixed=name == FIXED_VIEW)
    mark = _mark(cursorView.GetScene())
    mark.SetNthControlPointPositionWorld(0, vtk.vtkVector3d(mapped))
    mark.GetDisplayNode().SetViewNodeIDs([views[other].GetID()])
    views[other].JumpSliceByOffsetting(*mapped)
    return mark


def _mark(scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLMarkupsNode:
    """The list with the one point that marks the corresponding position."""
    mark, isNew = view_state.ownedNode(scene, "vtkMRMLMarkupsFiducialNode", _CURSOR)
    if isNew:
        mark.SetSaveWithScene(False)
        mark.SetLocked(True)
        mark.AddControlPoint(vtk.vtkVector3d(0, 0, 0), "")
        mark.CreateDefaultDisplayNodes()
        with slicer.util.NodeModify(mark.GetDisplayNode()):
            mark.GetDisplayNode().SetSelectedColor(*_COLOUR)
            mark.GetDisplayNode().SetPointLabelsVisibility(False)
            mark.GetDisplayNode().SetPropertiesLabelVisibility(False)
            mark.GetDisplayNode().SetSaveWithScene(False)
    return mark
