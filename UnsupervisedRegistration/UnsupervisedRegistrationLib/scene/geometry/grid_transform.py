"""A displacement field as Slicer's grid transform."""

from __future__ import annotations

import numpy as np
import slicer
import slicer.util
import vtk
from vtk.util.numpy_support import numpy_to_vtk

from .planes import SlicePlane

_GENTLE, _WIDEST = 1.5, 64  # Pixels of the ring for a pixel of displacement, and at most.


def gridTransform(
    plane: SlicePlane, displacement: np.ndarray, thisSliceOnly: bool = True
) -> slicer.vtkOrientedGridTransform:
    """A displacement as what Slicer stores and draws.

    In the plane the displacement falls to zero in a ring around it, so that VTK, which repeats the border, and ITK,
    which takes zero, agree outside; the ring is wide enough that nothing folds in it. The interpolation is cubic from
    the start, because that is what a reader of the saved file sets.

    Args:
        plane: Grid of the displacement.
        displacement: ``(rows, columns, 3)``, RAS mm, from fixed to moving; or ``(slices, rows, columns, 3)``, of the
            plane and those that follow along its normal.
        thisSliceOnly: Zero at the neighbouring slices, so that these alone are warped; otherwise the last ones repeat.
    """
    slices = displacement.reshape(-1, *plane.shape, 3)
    spacing = np.linalg.norm(plane.ijkToRas[:3, :3], axis=0)
    ring = _ringAround(slices, float(spacing[:2].min()))
    grid = _surrounded(slices, ring, thisSliceOnly)
    image = vtk.vtkImageData()
    image.SetDimensions(grid.shape[2::-1])
    image.SetOrigin((plane.ijkToRas @ [-ring, -ring, -1, 1])[:3])
    image.SetSpacing(spacing)
    vectors = numpy_to_vtk(grid.reshape(-1, 3), deep=True)
    vectors.SetName("Displacement")
    image.GetPointData().SetScalars(vectors)
    direction = np.eye(4)
    direction[:3, :3] = plane.ijkToRas[:3, :3] / spacing
    transform = slicer.vtkOrientedGridTransform()
    transform.SetDisplacementGridData(image)
    transform.SetGridDirectionMatrix(slicer.util.vtkMatrixFromArray(direction))
    transform.SetInterpolationModeToCubic()
    return transform


def _ringAround(slices: np.ndarray, spacing: float) -> int:
    """Pixels in which the displacement on the border ``(count, rows, columns, 3)`` can fall to zero without a fold."""
    border = (slices[:, 0], slices[:, -1], slices[:, :, 0], slices[:, :, -1])
    longest = max(float(np.linalg.norm(vectors, axis=-1).max()) for vectors in border)
    return int(np.clip(np.ceil(_GENTLE * longest / spacing), 1, _WIDEST))


def _surrounded(slices: np.ndarray, ring: int, thisSliceOnly: bool) -> np.ndarray:
    """Displacements ``(count, rows, columns, 3)`` with a ring in which they fall to zero, and a slice before and after.

    ``numpy.pad`` does the same in thrice the time, which counts while the user scrolls.
    """
    count, rows, columns, _ = slices.shape
    grid = np.zeros((count + 2, rows + 2 * ring, columns + 2 * ring, 3), np.float32)
    inner = grid[1:-1]
    inner[:, ring:-ring, ring:-ring] = slices
    rising = np.arange(ring, dtype=np.float32)[:, None] / ring
    inner[:, :ring, ring:-ring] = rising[:, None] * inner[:, ring, None, ring:-ring]
    inner[:, -ring:, ring:-ring] = rising[::-1, None] * inner[:, -ring - 1, None, ring:-ring]
    inner[:, :, :ring] = rising * inner[:, :, ring, None]
    inner[:, :, -ring:] = rising[::-1] * inner[:, :, -ring - 1, None]
    if not thisSliceOnly:
        grid[0], grid[-1] = grid[1], grid[-2]
    return grid
