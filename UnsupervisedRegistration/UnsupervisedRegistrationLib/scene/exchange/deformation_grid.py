"""A transform in the terms of DICOM: a grid of offsets, then a matrix; LPS mm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import slicer
import slicer.util
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from ..geometry.planes import localIjkToRas, volumeSize
from ..geometry.transforms import steps, transformToWorld, worldToLocal

LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""The matrix between the axes of DICOM and of Slicer; it is its own inverse."""

_SAME_VOLUME = 1.001  # Ratio of two voxel volumes that count as equal.


@dataclass(frozen=True)
class DeformationGrid:
    """A mapping from the fixed (registered) to the moving (source) image, as PS3.3 C.20.3.1.1 defines it.

    A fixed position ``x`` corresponds to the moving position ``post (x + offset(x))``.

    Attributes:
        ijkToLps: ``(4, 4)``, from grid indices to the fixed image, mm; right-handed with perpendicular axes.
        offsets: ``(K, J, I, 3)`` float32, LPS mm.
        post: ``(4, 4)``, LPS mm.
    """

    ijkToLps: np.ndarray
    offsets: np.ndarray
    post: np.ndarray

    def transform(self) -> vtk.vtkAbstractTransform:
        """The mapping as Slicer's transform from the parent, RAS mm."""
        grid = _orientedGridTransform(LPS_FROM_RAS @ self.ijkToLps, self.offsets * [-1, -1, 1])
        if np.allclose(self.post, np.eye(4), atol=1e-12):
            return grid
        chain = vtk.vtkGeneralTransform()
        chain.PostMultiply()
        chain.Concatenate(grid)
        chain.Concatenate(slicer.util.vtkMatrixFromArray(LPS_FROM_RAS @ self.post @ LPS_FROM_RAS))
        return chain


def fixedToMoving(
    transformNode: slicer.vtkMRMLTransformNode, fixedVolume: slicer.vtkMRMLVolumeNode
) -> vtk.vtkAbstractTransform:
    """From the RAS space of the fixed volume to that of the moving volume, below all parent transforms."""
    parent = fixedVolume.GetParentTransformNode()
    if parent is None:
        return worldToLocal(transformNode)
    chain = vtk.vtkGeneralTransform()
    chain.PostMultiply()
    chain.Concatenate(transformToWorld(parent))
    chain.Concatenate(worldToLocal(transformNode))
    return chain


def linearMatrix(
    transformNode: slicer.vtkMRMLTransformNode, fixedVolume: slicer.vtkMRMLVolumeNode
) -> np.ndarray | None:
    """``(4, 4)`` matrix from the fixed to the moving volume, LPS mm; ``None`` if a transform is not linear."""
    nodes = [transformNode, fixedVolume.GetParentTransformNode()]
    if not all(node is None or node.IsTransformToWorldLinear() for node in nodes):
        return None
    transform = fixedToMoving(transformNode, fixedVolume)
    corners = np.array([transform.TransformPoint(point) for point in np.vstack([np.zeros(3), np.eye(3)])])
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = (corners[1:] - corners[0]).T, corners[0]
    return LPS_FROM_RAS @ matrix @ LPS_FROM_RAS


def deformationGridOf(
    transformNode: slicer.vtkMRMLTransformNode, fixedVolume: slicer.vtkMRMLVolumeNode
) -> DeformationGrid:
    """A non-linear transform as a grid.

    A result of the module is written with its own grid, and its pre-alignment and initial matrices as the matrix after
    it. Any other transform is sampled at the voxels of the fixed volume, and so is a grid that is coarser than these:
    readers interpolate linearly in the grid, Slicer may do so with a higher order.
    """
    stored = _storedGrid(transformNode) if fixedVolume.GetParentTransformNode() is None else None
    if stored and _voxelVolume(stored[0]) > _SAME_VOLUME * _voxelVolume(localIjkToRas(fixedVolume)):
        stored = None
    ijkToRas, offsets, post = stored or _sampledGrid(fixedToMoving(transformNode, fixedVolume), fixedVolume)
    if np.linalg.det(ijkToRas[:3, :3]) < 0:  # The third axis of DICOM is the cross product of the others.
        last = ijkToRas @ [0, 0, len(offsets) - 1, 1]
        ijkToRas = np.column_stack([ijkToRas[:, 0], ijkToRas[:, 1], -ijkToRas[:, 2], last])
        offsets = offsets[::-1]
    lps = (offsets * [-1, -1, 1]).astype(np.float32)
    return DeformationGrid(LPS_FROM_RAS @ ijkToRas, np.ascontiguousarray(lps), LPS_FROM_RAS @ post @ LPS_FROM_RAS)


def _storedGrid(transformNode: slicer.vtkMRMLTransformNode) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Matrix, RAS offsets and following matrix of a transform that is a grid and then linear; ``None`` for others."""
    parts = list(steps(worldToLocal(transformNode)))
    if not parts or not isinstance(parts[0], slicer.vtkOrientedGridTransform) or parts[0].GetInverseFlag():
        return None
    post = np.eye(4)
    for part in parts[1:]:
        if not isinstance(part, vtk.vtkHomogeneousTransform):
            return None
        post = slicer.util.arrayFromVTKMatrix(part.GetMatrix()) @ post
    image = parts[0].GetDisplacementGrid()
    vectors = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(*image.GetDimensions()[::-1], 3)
    scale, shift = parts[0].GetDisplacementScale(), parts[0].GetDisplacementShift()
    return gridToRas(parts[0]), vectors * scale + shift, post


def gridToRas(grid: slicer.vtkOrientedGridTransform) -> np.ndarray:
    """The ``(4, 4)`` matrix from indices of a displacement grid to RAS, mm."""
    image, direction = grid.GetDisplacementGrid(), grid.GetGridDirectionMatrix()
    ijkToRas = np.eye(4)
    axes = np.eye(3) if direction is None else slicer.util.arrayFromVTKMatrix(direction)[:3, :3]
    ijkToRas[:3, :3], ijkToRas[:3, 3] = axes * image.GetSpacing(), image.GetOrigin()
    return ijkToRas


def _voxelVolume(ijkToRas: np.ndarray) -> float:
    return abs(float(np.linalg.det(ijkToRas[:3, :3])))


def _sampledGrid(
    transform: vtk.vtkAbstractTransform, fixedVolume: slicer.vtkMRMLVolumeNode
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As ``_storedGrid``, with the offsets at the voxels of the fixed volume."""
    shape, ijkToRas = volumeSize(fixedVolume)[::-1], localIjkToRas(fixedVolume)
    indices = np.moveaxis(np.indices(shape)[::-1], 0, -1).reshape(-1, 3)
    points = indices @ ijkToRas[:3, :3].T + ijkToRas[:3, 3]
    source, target = vtk.vtkPoints(), vtk.vtkPoints()
    source.SetData(numpy_to_vtk(points, deep=True))
    target.SetDataTypeToDouble()
    transform.TransformPoints(source, target)
    offsets = vtk_to_numpy(target.GetData()).reshape(-1, 3) - points
    return ijkToRas, offsets.reshape(*shape, 3), np.eye(4)


def _orientedGridTransform(ijkToRas: np.ndarray, offsets: np.ndarray) -> slicer.vtkOrientedGridTransform:
    spacing = np.linalg.norm(ijkToRas[:3, :3], axis=0)
    image = vtk.vtkImageData()
    image.SetDimensions(offsets.shape[2::-1])
    image.SetOrigin(ijkToRas[:3, 3])
    image.SetSpacing(spacing)
    image.GetPointData().SetScalars(numpy_to_vtk(offsets.reshape(-1, 3).astype(np.float32), deep=True))
    direction = np.eye(4)
    direction[:3, :3] = ijkToRas[:3, :3] / spacing
    grid = slicer.vtkOrientedGridTransform()
    grid.SetDisplacementGridData(image)
    grid.SetGridDirectionMatrix(slicer.util.vtkMatrixFromArray(direction))
    grid.SetInterpolationModeToCubic()  # As in the transforms of the module; at the nodes it makes no difference.
    return grid
