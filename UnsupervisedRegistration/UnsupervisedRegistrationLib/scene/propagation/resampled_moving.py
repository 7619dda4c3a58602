"""A resampled copy of the moving volume, while the moving volume itself stays where it was."""

from __future__ import annotations

import slicer
import slicer.util
import vtk

from ..display.view_state import removeWithDisplay
from ..geometry.result_transform import (
    UNTOUCHED_ROLE,
    movingRole,
    setParentTransform,
    storedInitialTransform,
)
from .hardened_copy import hardenedCopy

_COPY_ROLE = "unsupervisedRegistrationResampledCopy"  # From the result transform to the copy.


def leaveMovingUntouched(transformNode: slicer.vtkMRMLTransformNode) -> slicer.vtkMRMLVolumeNode:
    """Resample the moving volume on the fixed grid, and put the moving volume back under its initial transform.

    A copy of an earlier result in the same transform node is filled again.

    Raises:
        ValueError: A volume was deleted.
    """
    moving, initial = transformNode.GetNodeReference(movingRole()), storedInitialTransform(transformNode)
    if moving is None:
        raise ValueError(f"The moving volume of '{transformNode.GetName()}' was deleted; register again.")
    copy, known = hardenedCopy(moving, transformNode), transformNode.GetNodeReference(_COPY_ROLE)
    if known is not None:
        _fill(known, copy)
        removeWithDisplay(copy)
        copy = known
    setParentTransform(moving, initial)
    moving.SetNodeReferenceID(UNTOUCHED_ROLE, transformNode.GetID())
    transformNode.SetNodeReferenceID(_COPY_ROLE, copy.GetID())
    return copy


def resampledCopyOf(movingVolume: slicer.vtkMRMLVolumeNode) -> slicer.vtkMRMLVolumeNode | None:
    """The resampled copy that stands for a moving volume that was left untouched; ``None`` for others."""
    transformNode = movingVolume.GetNodeReference(UNTOUCHED_ROLE)
    return None if transformNode is None else transformNode.GetNodeReference(_COPY_ROLE)


def _fill(known: slicer.vtkMRMLVolumeNode, copy: slicer.vtkMRMLVolumeNode) -> None:
    matrix = vtk.vtkMatrix4x4()
    copy.GetIJKToRASMatrix(matrix)
    with slicer.util.NodeModify(known):
        known.SetAndObserveImageData(copy.GetImageData())
        known.SetIJKToRASMatrix(matrix)
        known.SetAndObserveTransformNodeID(copy.GetTransformNodeID())
