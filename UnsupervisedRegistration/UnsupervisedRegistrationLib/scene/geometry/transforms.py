"""Transforms between the world, a volume and the pre-aligned slice."""

from __future__ import annotations

from collections.abc import Iterator

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
    """The displacement followed by the pre-alignment matrix and a copy of the initial transform.

    Args:
        grid: From fixed to pre-aligned moving positions, RAS mm.
        initial: Node above the moving volume, or ``None``. Later changes of the node have no effect.
        prealignmentMatrix: ``(4, 4)``, RAS mm.
    """
    if initial is None and prealignmentMatrix is None:
        return grid
    chain = vtk.vtkGeneralTransform()
    chain.PostMultiply()
    chain.Concatenate(grid)
    if prealignmentMatrix is not None:
        chain.Concatenate(slicer.util.vtkMatrixFromArray(prealignmentMatrix))
    if initial is not None:
        chain.Concatenate(copiedTransform(worldToLocal(initial)))
    return chain


def withPrealignment(
    prealignmentMatrix: np.ndarray | None, fromWorld: vtk.vtkAbstractTransform
) -> vtk.vtkAbstractTransform:
    """The pre-alignment matrix followed by ``fromWorld``, the transform from the world to the RAS space of a volume."""
    if prealignmentMatrix is None:
        return fromWorld
    chain = vtk.vtkTransform() if isinstance(fromWorld, vtk.vtkTransform) else vtk.vtkGeneralTransform()
    chain.PostMultiply()
    chain.Concatenate(slicer.util.vtkMatrixFromArray(prealignmentMatrix))
    chain.Concatenate(fromWorld)
    return chain


def transformPoints(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Apply a ``(4, 4)`` matrix to ``(N, 3)`` points."""
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def mapToMoving(transformNode: slicer.vtkMRMLTransformNode, points: np.ndarray) -> np.ndarray:
    """Map fixed points to the moving data through a result transform.

    Args:
        transformNode: The node above the moving volume.
        points: ``(N, 3)``, world RAS mm.

    Returns:
        ``(N, 3)``, mm in the RAS space of the moving volume, below its transforms.
    """
    return mapPoints(worldToLocal(transformNode), points)


def mapPoints(transform: vtk.vtkAbstractTransform, points: np.ndarray) -> np.ndarray:
    """Apply a transform to ``(N, 3)`` points."""
    given, mapped = vtk.vtkPoints(), vtk.vtkPoints()
    mapped.SetDataTypeToDouble()
    given.SetData(numpy_to_vtk(np.ascontiguousarray(points, dtype=np.float64), deep=True))
    transform.TransformPoints(given, mapped)
    return vtk_to_numpy(mapped.GetData()).astype(np.float64)


def inSeries(*transforms: vtk.vtkAbstractTransform | np.ndarray) -> vtk.vtkGeneralTransform:
    """The transforms one after the other, the first applied first; matrices are ``(4, 4)``."""
    chain = vtk.vtkGeneralTransform()
    chain.PostMultiply()
    for transform in transforms:
        isMatrix = isinstance(transform, np.ndarray)
        chain.Concatenate(slicer.util.vtkMatrixFromArray(transform) if isMatrix else transform)
    return chain


def copiedTransform(transform: vtk.vtkAbstractTransform) -> vtk.vtkAbstractTransform:
    """A copy that later changes of the original node do not reach."""
    copy = transform.MakeTransform()
    slicer.vtkMRMLTransformNode.DeepCopyTransform(copy, transform)
    return copy


def worldToLocal(parent: slicer.vtkMRMLTransformNode | None) -> vtk.vtkAbstractTransform:
    """The transform from the world to the space below a node, through all its parents; a matrix if all are linear."""
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
    """The transform from the space below a node to the world; the identity for ``None``."""
    transform = vtk.vtkGeneralTransform()
    if node is not None:
        node.GetTransformToWorld(transform)
    return transform


def steps(transform: vtk.vtkAbstractTransform) -> Iterator[vtk.vtkAbstractTransform]:
    """The elementary transforms of a chain, those of chains within it included, in the order in which they apply."""
    transform.Update()
    if not isinstance(transform, vtk.vtkGeneralTransform):
        yield transform
        return
    for index in range(transform.GetNumberOfConcatenatedTransforms()):
        yield from steps(transform.GetConcatenatedTransform(index))
