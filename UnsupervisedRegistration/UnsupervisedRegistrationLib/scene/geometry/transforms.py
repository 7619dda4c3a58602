"""Transforms between the world, a volume and the pre-aligned slice."""

from __future__ import annotations

import numpy as np
import slicer
import slicer.util
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy


def composedTransform(
    grid: slicer.vtkOrientedGridTransform,
    initial: slicer.vtkMRMLTransformNode | None,
    prealignmentMatrix: np.ndarray | None = None,
) -> vtk.vtkAbstractTransform:
    """A displacement, then a pre-alignment matrix, then the initial transform as it is now."""
    if initial is None and prealignmentMatrix is None:
        return grid
    outcome = vtk.vtkGeneralTransform()
    outcome.PostMultiply()
    outcome.Concatenate(grid)
    if prealignmentMatrix is not None:
        outcome.Concatenate(slicer.util.vtkMatrixFromArray(prealignmentMatrix))
    if initial is not None:
        outcome.Concatenate(copiedTransform(worldToLocal(initial)))
    return outcome


def withPrealignment(
    prealignmentMatrix: np.ndarray | None, fromWorld: vtk.vtkAbstractTransform
) -> vtk.vtkAbstractTransform:
    """A pre-alignment matrix, then the way from the world into the space of a volume."""
    if prealignmentMatrix is None:
        return fromWorld
    chain = vtk.vtkTransform() if isinstance(fromWorld, vtk.vtkTransform) else vtk.vtkGeneralTransform()
    chain.PostMultiply()
    chain.Concatenate(slicer.util.vtkMatrixFromArray(prealignmentMatrix))
    chain.Concatenate(fromWorld)
    return chain


def transformPoints(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """``(N, 3)`` points through a ``(4, 4)`` matrix."""
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def mapToMoving(transformNode: slicer.vtkMRMLTransformNode, points: np.ndarray) -> np.ndarray:
    """Where an outcome takes ``(N, 3)`` points of the fixed image, RAS mm of the world to that of the moving data."""
    fromWorld = worldToLocal(transformNode)
    ends = vtk.vtkPoints()
    starts = vtk.vtkPoints()
    starts.SetData(numpy_to_vtk(np.ascontiguousarray(points, dtype=np.float64), deep=True))
    fromWorld.TransformPoints(starts, ends)
    return vtk_to_numpy(ends.GetData()).astype(np.float64)


def copiedTransform(transform: vtk.vtkAbstractTransform) -> vtk.vtkAbstractTransform:
    """A copy that does not follow later changes of the original node."""
    copy = transform.MakeTransform()
    slicer.vtkMRMLTransformNode.DeepCopyTransform(copy, transform)
    return copy


def worldToLocal(parent: slicer.vtkMRMLTransformNode | None) -> vtk.vtkAbstractTransform:
    """From the world into the space below a transform node, through all its parents; a matrix where that is enough."""
    if parent is None:
        return vtk.vtkTransform()
    if parent.IsTransformToWorldLinear():
        matrix, linear = vtk.vtkMatrix4x4(), vtk.vtkTransform()
        parent.GetMatrixTransformFromWorld(matrix)
        linear.SetMatrix(matrix)
        return linear
    general = vtk.vtkGeneralTransform()
    parent.GetTransformFromWorld(general)
    return general


def transformToWorld(node: slicer.vtkMRMLTransformNode | None) -> vtk.vtkGeneralTransform:
    transform = vtk.vtkGeneralTransform()
    if node is not None:
        node.GetTransformToWorld(transform)
    return transform
