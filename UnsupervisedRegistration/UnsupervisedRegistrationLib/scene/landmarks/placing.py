"""Proposes where a landmark lies in the moving image."""

from __future__ import annotations

import numpy as np
import slicer
import slicer.util
import vtk

from ..geometry.result_transform import initialTransformOf
from ..geometry.transforms import transformToWorld, worldToLocal
from .markups import pointLabels


def nextToPlace(fixedNode: slicer.vtkMRMLMarkupsNode, movingNode: slicer.vtkMRMLMarkupsNode) -> str:
    """The list to place a point in now, ``"fixed"`` or ``"moving"``, and so in turn."""
    fixed, moving = pointLabels(fixedNode).values(), pointLabels(movingNode).values()
    return "moving" if set(fixed) - set(moving) else "fixed"


def proposeMovingPoint(
    fixedPoint: np.ndarray,
    transformNode: slicer.vtkMRMLTransformNode | None,
    movingVolume: slicer.vtkMRMLVolumeNode,
) -> np.ndarray:
    """Where the partner of a fixed point should be on the moving image as it lay before the outcome, RAS mm.

    Args:
        fixedPoint: RAS mm.
        transformNode: The outcome; without it the point itself is proposed.
        movingVolume: Tells how the moving image lay before.
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
    """Adds a proposed moving point for every fixed one that has no partner; gives their indices in the moving list."""
    known, indices = set(pointLabels(movingNode).values()), []
    under = transformNode is not None and movingNode.GetParentTransformNode() is transformNode
    for index, label in pointLabels(fixedNode).items():
        if label in known:
            continue
        fixed = np.array(fixedNode.GetNthControlPointPositionWorld(index))
        if under:
            added = movingNode.AddControlPoint(
                vtk.vtkVector3d(worldToLocal(transformNode).TransformPoint(fixed)), label
            )
        else:
            proposed = proposeMovingPoint(fixed, transformNode, movingVolume)
            added = movingNode.AddControlPointWorld(vtk.vtkVector3d(proposed), label)
        indices.append(added)
    return indices
