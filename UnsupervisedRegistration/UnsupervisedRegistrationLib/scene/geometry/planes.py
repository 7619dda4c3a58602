"""The plane of pixels on which a slice is registered."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal

import numpy as np
import slicer
import slicer.util
import vtk

Orientation = Literal["axial", "sagittal", "coronal"]
_NORMAL_AXIS = {"sagittal": 0, "coronal": 1, "axial": 2}  # Index into R, A, S.
_ALIGNED = 1 - 1e-6  # Cosine from which two directions count as the same.
_MAX_PIXELS = 4096  # Longest side of an oblique plane.


@dataclass(frozen=True)
class SlicePlane:
    """A rectangle of pixels in the world.

    Attributes:
        shape: Rows and columns.
        ijkToRas: ``(4, 4)``; i along a row, j down the rows, k along the normal with the distance of the slices as
            its length. Right-handed.
        name: How a person would call it, such as "axial slice 82".
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
        """Distance of the slices, mm."""
        return float(np.linalg.norm(self.ijkToRas[:3, 2]))

    @property
    def centre(self) -> np.ndarray:
        """Middle of the rectangle, RAS mm."""
        rows, columns = self.shape
        return (self.ijkToRas @ [(columns - 1) / 2, (rows - 1) / 2, 0, 1])[:3]

    def pixelPositions(self) -> np.ndarray:
        """``(rows, columns, 3)``, RAS mm of every pixel."""
        rows, columns = np.indices(self.shape)
        return np.stack([columns, rows], -1) @ self.ijkToRas[:3, :2].T + self.ijkToRas[:3, 3]

    def distances(self, points: np.ndarray) -> np.ndarray:
        """Distance of ``(N, 3)`` points from the plane, mm."""
        return np.abs((np.asarray(points) - self.centre) @ self.normal)


def matrixToArray(matrix: vtk.vtkMatrix4x4) -> np.ndarray:
    """A 4 x 4 array."""
    return slicer.util.arrayFromVTKMatrix(matrix)


def localIjkToRas(volumeNode: slicer.vtkMRMLVolumeNode) -> np.ndarray:
    """Voxel indices to the RAS space of the volume, below its parent transforms."""
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    return matrixToArray(matrix)


def ijkToWorld(volumeNode: slicer.vtkMRMLVolumeNode) -> np.ndarray:
    """Voxel indices to world RAS through linear parent transforms; a non-linear parent is left out."""
    result, matrix = localIjkToRas(volumeNode), vtk.vtkMatrix4x4()
    parent = volumeNode.GetParentTransformNode()
    if parent is not None and parent.IsTransformToWorldLinear():
        parent.GetMatrixTransformToWorld(matrix)
        result = matrixToArray(matrix) @ result
    return result


def volumeSize(volumeNode: slicer.vtkMRMLVolumeNode) -> tuple[int, int, int]:
    """Voxels along i, j, k.

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
    """Which of i, j, k runs across the slices of an orientation; ``None`` takes the axis of a single-slice volume."""
    size = volumeSize(volumeNode)
    if orientation is None and 1 in size:
        return size.index(1)
    directions = ijkToWorld(volumeNode)[:3, :3]
    directions = np.abs(directions / np.linalg.norm(directions, axis=0))
    axes = max(itertools.permutations(range(3)), key=lambda order: sum(directions[r, order[r]] for r in range(3)))
    return axes[_NORMAL_AXIS[orientation or "axial"]]


def sliceCount(volumeNode: slicer.vtkMRMLVolumeNode, orientation: Orientation | None) -> int:
    """How many slices of that orientation a volume has."""
    return volumeSize(volumeNode)[normalAxis(volumeNode, orientation)]


def planeFromIndex(
    volumeNode: slicer.vtkMRMLVolumeNode, orientation: Orientation | None = None, index: int | None = None
) -> SlicePlane:
    """A slice of a volume, pixel for pixel.

    Args:
        volumeNode: Gives pixels and position.
        orientation: Chooses the axis of the volume nearest to it; ``None`` is axial, or the only slice there is.
        index: Of the slice, from 0; ``None`` takes the middle.

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
    """The slice of a volume that a slice view shows.

    A view along an axis of the volume gives the nearest slice of the volume, pixel for pixel. Any other view gives
    the rectangle that covers the volume, at its finest spacing; the zoom of the view has no influence.

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
    """The same rectangle moved by a world vector, mm."""
    matrix = plane.ijkToRas.copy()
    matrix[:3, 3] += offset
    return SlicePlane(plane.shape, matrix, plane.name)


def offsetBetween(plane: SlicePlane, other: SlicePlane) -> np.ndarray:
    """The vector along the normal that moves ``plane`` onto the parallel plane ``other``, mm.

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
    # Along the view's right and down, the pixel rows of a picture, and along its normal.
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
    """The same pixels with the normal on the side that makes the axes right-handed."""
    if np.linalg.det(matrix[:3, :3]) < 0:
        matrix = matrix.copy()
        matrix[:3, 2] *= -1
    return matrix
