"""Registrations as DICOM objects: Spatial Registration and Deformable Spatial Registration.

The two kinds run in opposite directions. The matrix of a Spatial Registration takes positions of the moving image to
the fixed one (PS3.3 C.20.2.1.1). The grid of a Deformable Spatial Registration takes positions of the fixed image to
the moving one (PS3.3 C.20.3.1.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import slicer
import slicer.util
import vtk

from ..geometry.result_transform import fixedRole, movingRole
from .deformation_grid import LPS_FROM_RAS, DeformationGrid, deformationGridOf, linearMatrix
from .registration_dataset import registrationDataset

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_MAX_BYTES = 2**32 - 2  # Of one DICOM element.


def writeDicomRegistration(
    transformNode: slicer.vtkMRMLTransformNode,
    fixedVolume: slicer.vtkMRMLVolumeNode,
    fixedHeaders: Sequence[Dataset],
    movingHeaders: Sequence[Dataset],
    path: str | Path,
) -> str:
    """Write a transform as a DICOM object: a linear one as Spatial Registration, others as Deformable.

    Args:
        transformNode: Parent transform of the warped moving volume.
        fixedVolume: Fixed volume, in the space of its DICOM files below its parent transform.
        fixedHeaders: Headers of its instances; see ``dicom_headers``.
        movingHeaders: Headers of the moving instances.
        path: File to write.

    Returns:
        Name of the kind of the object.

    Raises:
        OSError: The file cannot be written.
        ValueError: The transform cannot be expressed in DICOM.
    """
    matrix = linearMatrix(transformNode, fixedVolume)
    registration: np.ndarray | DeformationGrid
    if matrix is None:
        registration = deformationGridOf(transformNode, fixedVolume)
        if registration.offsets.nbytes > _MAX_BYTES:
            raise ValueError("The deformation has more than 4 GB, which DICOM cannot hold; register fewer slices.")
    else:
        _checkInvertible(transformNode)
        registration = np.linalg.inv(matrix)
    dataset = registrationDataset(registration, fixedHeaders, movingHeaders)
    dataset.save_as(path, enforce_file_format=True)
    return "Spatial Registration" if matrix is not None else "Deformable Spatial Registration"


def readDicomRegistration(
    scene: slicer.vtkMRMLScene,
    path: str | Path,
    fixedVolume: slicer.vtkMRMLVolumeNode | None = None,
    movingVolume: slicer.vtkMRMLVolumeNode | None = None,
) -> slicer.vtkMRMLTransformNode:
    """A transform node from a DICOM registration; put the moving volume under it to see it on the fixed one.

    Args:
        scene: Scene that gets the node.
        path: DICOM file.
        fixedVolume: Becomes the fixed volume of the node, if given.
        movingVolume: Becomes the moving volume of the node, if given.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no registration, or one of a kind that is not supported.
    """
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    try:
        dataset = dcmread(path)
    except InvalidDicomError as error:
        raise ValueError(f"'{path}' is no DICOM file; choose a DICOM registration object.") from error
    transform = _transformOf(dataset, path)
    node = scene.AddNewNodeByClass("vtkMRMLTransformNode", scene.GenerateUniqueName(_nameOf(dataset)))
    node.SetAndObserveTransformFromParent(transform)
    for role, volume in ((fixedRole(), fixedVolume), (movingRole(), movingVolume)):
        if volume is not None:
            node.SetNodeReferenceID(role, volume.GetID())
    return node


def _checkInvertible(transformNode: slicer.vtkMRMLTransformNode) -> None:
    """Refuses a singular matrix, in whose place MRML gives the identity for the inverse."""
    for read in (transformNode.GetMatrixTransformToParent, transformNode.GetMatrixTransformFromParent):
        matrix = vtk.vtkMatrix4x4()
        read(matrix)
        if abs(matrix.Determinant()) < np.finfo(np.float32).tiny:
            raise ValueError(f"The matrix of '{transformNode.GetName()}' is singular; it cannot be a registration.")


def _transformOf(dataset: Dataset, path: str | Path) -> vtk.vtkAbstractTransform:
    """The transform from the parent, RAS mm."""
    if "DeformableRegistrationSequence" in dataset:
        items = [item for item in dataset.DeformableRegistrationSequence if _sequence(item, "Grid") is not None]
        if len(items) == 1:
            return _gridOf(items[0]).transform()
    if "RegistrationSequence" in dataset:
        frame = dataset.get("FrameOfReferenceUID")
        matrices = [(item.get("FrameOfReferenceUID"), _matrixOf(item)) for item in dataset.RegistrationSequence]
        moving = [matrix for uid, matrix in matrices if uid != frame or not np.allclose(matrix, np.eye(4))]
        if len(moving) <= 1:
            movingToFixed = moving[0] if moving else np.eye(4)
            transform = vtk.vtkTransform()
            matrix = LPS_FROM_RAS @ np.linalg.inv(movingToFixed) @ LPS_FROM_RAS
            transform.SetMatrix(slicer.util.vtkMatrixFromArray(matrix))
            return transform
    raise ValueError(f"'{path}' holds no registration of one moving image to one fixed image; choose another file.")


def _matrixOf(item: Dataset) -> np.ndarray:
    """The product of the matrices of an item; the first one applies first."""
    product = np.eye(4)
    for matrix in item.MatrixRegistrationSequence[0].MatrixSequence:
        product = _matrix(matrix) @ product
    return product


def _gridOf(item: Dataset) -> DeformationGrid:
    grid = item.DeformableRegistrationGridSequence[0]
    orientation = np.array(grid.ImageOrientationPatient, dtype=float).reshape(2, 3)
    axes = np.column_stack([*orientation, np.cross(*orientation)])
    ijkToLps = np.eye(4)
    ijkToLps[:3, :3] = axes * np.array(grid.GridResolution, dtype=float)
    ijkToLps[:3, 3] = grid.ImagePositionPatient
    shape = tuple(int(size) for size in grid.GridDimensions)[::-1]
    offsets = np.frombuffer(grid.VectorGridData, "<f4").reshape(*shape, 3)
    pre, post = (_sequence(item, name) for name in ("Pre", "Post"))
    if pre is not None and not np.allclose(_matrix(pre), np.eye(4)):
        indices = np.moveaxis(np.indices(shape)[::-1], 0, -1)
        points = indices @ ijkToLps[:3, :3].T + ijkToLps[:3, 3]
        offsets = offsets + (points @ _matrix(pre)[:3, :3].T + _matrix(pre)[:3, 3] - points)
    return DeformationGrid(ijkToLps, offsets, np.eye(4) if post is None else _matrix(post))


def _sequence(item: Dataset, part: str) -> Any:
    """The item of the grid (``"Grid"``), or of the matrix before (``"Pre"``) or after it (``"Post"``), if any."""
    name = "DeformableRegistrationGridSequence" if part == "Grid" else f"{part}DeformationMatrixRegistrationSequence"
    sequence = item.get(name)
    return sequence[0] if sequence else None


def _matrix(item: Dataset) -> np.ndarray:
    return np.array(item.FrameOfReferenceTransformationMatrix, dtype=float).reshape(4, 4)


def _nameOf(dataset: Dataset) -> str:
    return str(dataset.get("SeriesDescription") or "DICOM registration")
