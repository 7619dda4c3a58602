"""Slice planes: rectangles of pixels in the world on which slices are registered."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import slicer
import slicer.util
import vtk

from ..registration_options import Orientation as Orientation

_NORMAL_AXIS = {"sagittal": 0, "coronal": 1, "axial": 2}  # Index into R, A, S.
_ALIGNED = 1 - 1e-6  # Cosine from which two directions count as the same.
_MAX_PIXELS = 4096  # Longest side of an oblique plane.


@dataclass(frozen=True)
class SlicePlane:
    """A rectangle of pixels in the world.

    Attributes:
        shape: Rows and columns.
        ijkToRas: ``(4, 4)``, right-handed, mm; i runs along a row, j down the rows, k along the normal with the slice
            distance as its length.
        name: For messages, such as "axial slice 82".
    """

    shape: tuple[int, int]
    ijkToRas: np.ndarray
    name: str

    @property
    def normal(self) -> np.ndarray:
        """Unit vector, RAS."""
        return self.ijkToRas[:3, 2] / self.thickness

    @property
    def thickness(self) -> float:
        """Slice distance, mm."""
        return float(np.linalg.norm(self.ijkToRas[:3, 2]))

    @property
    def centre(self) -> np.ndarray:
        """Centre of the rectangle, RAS mm."""
        rows, columns = self.shape
        return (self.ijkToRas @ [(columns - 1) / 2, (rows - 1) / 2, 0, 1])[:3]

    def pixelPositions(self) -> np.ndarray:
        """Positions of all pixels, ``(rows, columns, 3)``, RAS mm."""
        rows, columns = np.indices(self.shape)
        return np.stack([columns, rows], -1) @ self.ijkToRas[:3, :2].T + self.ijkToRas[:3, 3]

    def distances(self, points: np.ndarray) -> np.ndarray:
        """Distances of ``(N, 3)`` points from the plane, mm."""
        return np.abs((np.asarray(points) - self.centre) @ self.normal)


def matrixToArray(matrix: vtk.vtkMatrix4x4) -> np.ndarray:
    """The matrix as a ``(4, 4)`` array."""
    return slicer.util.arrayFromVTKMatrix(matrix)


def localIjkToRas(volumeNode: slicer.vtkMRMLVolumeNode) -> np.ndarray:
    """The ``(4, 4)`` matrix from voxel indices to the RAS space of the volume, below its parent transforms."""
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    return matrixToArray(matrix)


def ijkToWorld(volumeNode: slicer.vtkMRMLVolumeNode) -> np.ndarray:
    """The ``(4, 4)`` matrix from voxel indices to world RAS; a non-linear parent transform is ignored."""
    result, matrix = localIjkToRas(volumeNode), vtk.vtkMatrix4x4()
    parent = volumeNode.GetParentTransformNode()
    if parent is not None and parent.IsTransformToWorldLinear():
        parent.GetMatrixTransformToWorld(matrix)
        result = matrixToArray(matrix) @ result
    return result


def volumeSize(volumeNode: slicer.vtkMRMLVolumeNode) -> tuple[int, int, int]:
    """Number of voxels along i, j, k.

    Raises:
        ValueError: The volume is empty or has less than two voxels along two of its axes.
    """
    image = volumeNode.GetImageData()
    size = image.GetDimensions() if image is not None and image.GetPointData().GetScalars() is not None else (0, 0, 0)
    if sorted(size)[1] < 2:
        raise ValueError(
            f"The volume '{volumeNode.GetName()}' has {size[0]} x {size[1]} x {size[2]} voxels;"
            " a slice needs at least two along each side. Choose another volume."
        )
    return size


def normalAxis(volumeNode: slicer.vtkMRMLVolumeNode, orientation: Orientation | None) -> int:
    """The axis of i, j, k that is normal to the slices; for ``None`` the axis with one voxel, or the axial one."""
    size = volumeSize(volumeNode)
    if orientation is None and 1 in size:
        return size.index(1)
    directions = ijkToWorld(volumeNode)[:3, :3]
    directions = np.abs(directions / np.linalg.norm(directions, axis=0))
    axes = max(itertools.permutations(range(3)), key=lambda order: sum(directions[r, order[r]] for r in range(3)))
    return axes[_NORMAL_AXIS[orientation or "axial"]]


def sliceCount(volumeNode: slicer.vtkMRMLVolumeNode, orientation: Orientation | None) -> int:
    """Number of slices of a volume in an orientation."""
    return volumeSize(volumeNode)[normalAxis(volumeNode, orientation)]


def planeFromIndex(
    volumeNode: slicer.vtkMRMLVolumeNode, orientation: Orientation | None = None, index: int | None = None
) -> SlicePlane:
    """The plane of a slice of a volume, with the pixels of the volume.

    Args:
        volumeNode: Volume with the slice.
        orientation: The nearest axis of the volume is normal to the slice; ``None`` is axial, or the slice of a volume
            of one slice.
        index: Slice index from 0; ``None`` is the middle slice.

    Raises:
        ValueError: The index is outside the volume, or the slice would be one pixel wide.
    """
    size, axis = volumeSize(volumeNode), normalAxis(volumeNode, orientation)
    orientation = orientation or _orientationOf(volumeNode, axis)
    index = size[axis] // 2 if index is None else index
    if not 0 <= index < size[axis]:
        raise ValueError(
            f"Slice {index} lies outside the volume '{volumeNode.GetName()}', whose {orientation or 'axial'} slices"
            f" are 0 to {size[axis] - 1}."
        )
    columnAxis, rowAxis = (a for a in range(3) if a != axis)
    if min(size[columnAxis], size[rowAxis]) < 2:
        raise ValueError(
            f"A {orientation} slice of '{volumeNode.GetName()}' is only {size[columnAxis]} x {size[rowAxis]} pixels;"
            " choose another orientation."
        )
    volumeToRas = ijkToWorld(volumeNode)
    matrix = volumeToRas[:, [columnAxis, rowAxis, axis, 3]].copy()
    matrix[:, 3] += index * volumeToRas[:, axis]
    return SlicePlane(
        (size[rowAxis], size[columnAxis]), _rightHanded(matrix), f"{orientation or 'axial'} slice {index}"
    )


def planeFromSliceNode(sliceNode: slicer.vtkMRMLSliceNode, volumeNode: slicer.vtkMRMLVolumeNode) -> SlicePlane:
    """The plane of a volume that a slice view shows.

    If the view is parallel to slices of the volume, it is the nearest slice with the pixels of the volume. Otherwise it
    is the rectangle that covers the volume, with the smallest spacing of the volume. The zoom has no effect.

    Raises:
        ValueError: The view does not cut the volume.
    """
    sliceToRas = matrixToArray(sliceNode.GetSliceToRAS())
    volumeToRas, size = ijkToWorld(volumeNode), volumeSize(volumeNode)
    spacing = np.linalg.norm(volumeToRas[:3, :3], axis=0)
    cosines = np.abs(sliceToRas[:3, 2] @ (volumeToRas[:3, :3] / spacing))
    position = np.linalg.solve(volumeToRas, sliceToRas[:, 3])
    axis = int(np.argmax(cosines))
    if cosines[axis] > _ALIGNED:
        index = int(np.floor(position[axis] + 0.5))
        if 0 <= index < size[axis]:
            return planeFromIndex(volumeNode, _orientationOf(volumeNode, axis), index)
    return _obliquePlane(sliceNode.GetName() or "slice", sliceToRas, volumeNode)


def shiftedPlane(plane: SlicePlane, offset: np.ndarray) -> SlicePlane:
    """The plane moved by a world vector, mm."""
    matrix = plane.ijkToRas.copy()
    matrix[:3, 3] += offset
    return SlicePlane(plane.shape, matrix, plane.name)


def offsetBetween(plane: SlicePlane, other: SlicePlane) -> np.ndarray:
    """The vector along the normal from ``plane`` to the parallel plane ``other``, mm.

    Raises:
        ValueError: The planes are not parallel.
    """
    if abs(plane.normal @ other.normal) < np.cos(np.deg2rad(5)):
        raise ValueError(
            f"The {plane.name} of the fixed and the {other.name} of the moving volume are not parallel;"
            " choose slices of the same orientation, or resample one of the volumes first."
        )
    return plane.normal * ((other.centre - plane.centre) @ plane.normal)


def _orientationOf(volumeNode: slicer.vtkMRMLVolumeNode, axis: int) -> Orientation:
    names: tuple[Orientation, ...] = ("axial", "sagittal", "coronal")
    return next(name for name in names if normalAxis(volumeNode, name) == axis)


def _obliquePlane(name: str, sliceToRas: np.ndarray, volumeNode: slicer.vtkMRMLVolumeNode) -> SlicePlane:
    volumeToRas, size = ijkToWorld(volumeNode), volumeSize(volumeNode)
    spacing = np.linalg.norm(volumeToRas[:3, :3], axis=0)
    corners = np.array([[*c, 1.0] for c in itertools.product(*[(-0.5, n - 0.5) for n in size])]) @ volumeToRas.T
    # Columns run to the right of the view, rows down, slices along its normal.
    axes = np.stack([sliceToRas[:3, 0], -sliceToRas[:3, 1], sliceToRas[:3, 2]])
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    local = (corners[:, :3] - sliceToRas[:3, 3]) @ axes.T
    low, high = local.min(axis=0), local.max(axis=0)
    if not low[2] <= 0 <= high[2]:
        raise ValueError(f"The view '{name}' does not cut the volume '{volumeNode.GetName()}'; scroll back into it.")
    step = max(float(spacing[np.array(size) > 1].min()), float((high - low)[:2].max()) / _MAX_PIXELS)
    columns, rows = (max(int(np.ceil((high[a] - low[a]) / step)), 2) for a in (0, 1))
    matrix = np.eye(4)
    matrix[:3, :3] = axes.T * [step, step, float(np.abs(axes[2] @ volumeToRas[:3, :3]).max())]
    matrix[:3, 3] = sliceToRas[:3, 3] + axes[:2].T @ (low[:2] + step / 2)
    return SlicePlane((rows, columns), _rightHanded(matrix), f"{name} view")


def _rightHanded(matrix: np.ndarray) -> np.ndarray:
    """The same pixels; the normal is flipped if the axes are left-handed."""
    if np.linalg.det(matrix[:3, :3]) < 0:
        matrix = matrix.copy()
        matrix[:3, 2] *= -1
    return matrix
