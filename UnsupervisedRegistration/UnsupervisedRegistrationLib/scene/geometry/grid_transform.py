"""A displacement field as Slicer's grid transform."""

from __future__ import annotations

import numpy as np
import slicer
import slicer.util
import vtk
from vtk.util.numpy_support import numpy_to_vtk

from .planes import SlicePlane

_MARGIN_PER_DISPLACEMENT = 1.5  # Pixels of margin for each pixel of displacement: a slope below 1 does not fold.
_MAX_MARGIN = 64  # Pixels.


def gridTransform(
    plane: SlicePlane, displacement: np.ndarray, thisSliceOnly: bool = True
) -> slicer.vtkOrientedGridTransform:
    """Slicer's grid transform for a displacement field.

    A margin is added around the plane, in which the displacement falls linearly to zero. Outside a grid VTK repeats
    the border and ITK takes zero; with the margin both agree. The margin is wide enough that nothing folds in it.
    The interpolation is cubic, because Slicer sets it to cubic when it reads the saved file.

    Args:
        plane: Grid of the displacement.
        displacement: ``(rows, columns, 3)``, RAS mm, from fixed to moving; or ``(slices, rows, columns, 3)``: the
            slices follow each other from the plane along its normal.
        thisSliceOnly: If true, the displacement is zero at the neighbouring slices, so that only the given slices are
            warped. Otherwise the slices beyond are warped like the last one.
    """
    slices = displacement.reshape(-1, *plane.shape, 3)
    spacing = np.linalg.norm(plane.ijkToRas[:3, :3], axis=0)
    margin = _marginWidth(slices, float(spacing[:2].min()))
    grid = _padded(slices, margin, thisSliceOnly)
    image = vtk.vtkImageData()
    image.SetDimensions(grid.shape[2::-1])
    image.SetOrigin((plane.ijkToRas @ [-margin, -margin, -1, 1])[:3])
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


def _marginWidth(slices: np.ndarray, spacing: float) -> int:
    """Pixels over which the border displacement of ``(count, rows, columns, 3)`` falls to zero without folding."""
    border = (slices[:, 0], slices[:, -1], slices[:, :, 0], slices[:, :, -1])
    longest = max(float(np.linalg.norm(vectors, axis=-1).max()) for vectors in border)
    return int(np.clip(np.ceil(_MARGIN_PER_DISPLACEMENT * longest / spacing), 1, _MAX_MARGIN))


def _padded(slices: np.ndarray, margin: int, thisSliceOnly: bool) -> np.ndarray:
    """Displacements ``(count, rows, columns, 3)`` with a margin that falls to zero, and one slice before and after.

    ``numpy.pad`` takes three times as long, which the user notices while scrolling.
    """
    count, rows, columns, _ = slices.shape
    grid = np.zeros((count + 2, rows + 2 * margin, columns + 2 * margin, 3), np.float32)
    inner = grid[1:-1]
    inner[:, margin:-margin, margin:-margin] = slices
    rising = np.arange(margin, dtype=np.float32)[:, None] / margin
    inner[:, :margin, margin:-margin] = rising[:, None] * inner[:, margin, None, margin:-margin]
    inner[:, -margin:, margin:-margin] = rising[::-1, None] * inner[:, -margin - 1, None, margin:-margin]
    inner[:, :, :margin] = rising * inner[:, :, margin, None]
    inner[:, :, -margin:] = rising[::-1] * inner[:, :, -margin - 1, None]
    if not thisSliceOnly:
        grid[0], grid[-1] = grid[1], grid[-2]
    return grid
