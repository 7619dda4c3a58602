"""Guided placing of landmarks: the moving point of each fixed point is proposed."""

from __future__ import annotations

import numpy as np
import slicer
import slicer.util
import vtk

from ..geometry.result_transform import initialTransformOf
from ..geometry.transforms import transformToWorld, worldToLocal
from .markups import pointLabels


def nextToPlace(fixedNode: slicer.vtkMRMLMarkupsNode, movingNode: slicer.vtkMRMLMarkupsNode) -> str:
    """The list that needs the next point, ``"fixed"`` or ``"moving"``: fixed and moving points alternate."""
    fixed, moving = pointLabels(fixedNode).values(), pointLabels(movingNode).values()
    return "moving" if set(fixed) - set(moving) else "fixed"


def proposeMovingPoint(
    fixedPoint: np.ndarray,
    transformNode: slicer.vtkMRMLTransformNode | None,
    movingVolume: slicer.vtkMRMLVolumeNode,
) -> np.ndarray:
    """The expected position of the moving point of a pair, world RAS mm, without the result transform.

    Args:
        fixedPoint: World RAS, mm.
        transformNode: Result transform; without it the fixed point itself is proposed.
        movingVolume: Volume with the initial transform.
    """
    if transformNode is None:
        return np.array(fixedPoint, dtype=float)
    toInitial = transformToWorld(initialTransformOf(movingVolume))
    return np.array(toInitial.TransformPoint(worldToLocal(transformNode).TransformPoint(fixedPoint)))


def placeProposals(
    fixedNode: slicer.vtkMRMLMarkupsNode,
    movingNode: slicer.vtkMRMLMarkupsNode,
    transformNode: slicer.vtkMRMLTransformNode | None,
    movingVolume: slicer.vtkMRMLVolumeNode,
) -> list[int]:
    """Add a moving point for every fixed point without a partner; returns their indices in the moving list."""
    known, indices = set(pointLabels(movingNode).values()), []
    isUnderResult = transformNode is not None and movingNode.GetParentTransformNode() is transformNode
    for index, label in pointLabels(fixedNode).items():
        if label in known:
            continue
        fixed = np.array(fixedNode.GetNthControlPointPositionWorld(index))
        if isUnderResult:
            added = movingNode.AddControlPoint(
                vtk.vtkVector3d(worldToLocal(transformNode).TransformPoint(fixed)), label
            )
        else:
            proposed = proposeMovingPoint(fixed, transformNode, movingVolume)
            added = movingNode.AddControlPointWorld(vtk.vtkVector3d(proposed), label)
        indices.append(added)
    return indices
