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
_FINE_SHAPE = 1024  # Pixels along an axis up to which every pixel is a node; 4096 would take 1.2 GB in a file.
_COARSE_STEPS = (4, 2)  # Pixels from node to node.
_COARSE_ERROR, _COARSE_SHARE = 0.05, 99.9  # Pixels by which a coarser grid may move this percentage of all points.


def gridTransform(
    plane: SlicePlane, displacement: np.ndarray, thisSliceOnly: bool = True
) -> slicer.vtkOrientedGridTransform:
    """Slicer's grid transform for a displacement field.

    A margin is added around the plane, in which the displacement falls linearly to zero. Outside a grid VTK repeats
    the border and ITK takes zero; with the margin both agree. The margin is wide enough that nothing folds in it.
    The interpolation is cubic, because Slicer sets it to cubic when it reads the saved file. On planes of more than
    1024 pixels along an axis the grid is coarser if that moves 99.9 % of all points by at most 0.05 pixels, as the
    fields do that come from a working grid.

    Args:
        plane: Grid of the displacement.
        displacement: ``(rows, columns, 3)``, RAS mm, from fixed to moving; or ``(slices, rows, columns, 3)``: the
            slices follow each other from the plane along its normal.
        thisSliceOnly: If true, the displacement is zero at the neighbouring slices, so that only the given slices are
            warped. Otherwise the slices beyond are warped like the last one.
    """
    slices = displacement.reshape(-1, *plane.shape, 3)
    step = _nodeStep(slices, float(np.linalg.norm(plane.ijkToRas[:3, :2], axis=0).min()))
    slices, ijkToRas = _nodes(slices, step), plane.ijkToRas @ _nodesToPixels(step)
    spacing = np.linalg.norm(ijkToRas[:3, :3], axis=0)
    margin = _marginWidth(slices, float(spacing[:2].min()))
    grid = _padded(slices, margin, thisSliceOnly)
    image = vtk.vtkImageData()
    image.SetDimensions(grid.shape[2::-1])
    image.SetOrigin((ijkToRas @ [-margin, -margin, -1, 1])[:3])
    image.SetSpacing(spacing)
    vectors = numpy_to_vtk(grid.reshape(-1, 3), deep=True)
    vectors.SetName("Displacement")
    image.GetPointData().SetScalars(vectors)
    direction = np.eye(4)
    direction[:3, :3] = ijkToRas[:3, :3] / spacing
    transform = slicer.vtkOrientedGridTransform()
    transform.SetDisplacementGridData(image)
    transform.SetGridDirectionMatrix(slicer.util.vtkMatrixFromArray(direction))
    transform.SetInterpolationModeToCubic()
    return transform


def _nodeStep(slices: np.ndarray, spacing: float) -> int:
    """Pixels from node to node of the coarsest grid that is close enough to ``(count, rows, columns, 3)``, mm."""
    if max(slices.shape[1:3]) <= _FINE_SHAPE:
        return 1
    return next((step for step in _COARSE_STEPS if _coarseError(slices, step) <= _COARSE_ERROR * spacing), 1)


def _nodesToPixels(step: int) -> np.ndarray:
    """``(4, 4)`` matrix; coarse nodes lie between pixels, where those of a working grid lie."""
    matrix = np.diag([step, step, 1.0, 1.0])
    if step > 1:
        matrix[:2, 3] = -0.5
    return matrix


def _nodes(slices: np.ndarray, step: int) -> np.ndarray:
    """``(count, rows, columns, 3)`` at the nodes, from border to border of the image."""
    if step == 1:
        return slices
    return _between(_between(slices, step, 0, 1), step, 0, 2)


def _between(slices: np.ndarray, step: int, first: int, axis: int) -> np.ndarray:
    """Means of the pixels before and at ``first``, ``first + step`` .. along an axis; the border is repeated."""
    size = slices.shape[axis]
    places = np.arange(first, size + step, step)
    before, after = np.clip(places - 1, 0, size - 1), np.clip(places, 0, size - 1)
    return (slices.take(before, axis) + slices.take(after, axis)) / 2


def _coarseError(slices: np.ndarray, step: int) -> float:
    """Error half-way between nodes that few points exceed, for read by Slicer (cubic) or ITK (linear), mm."""
    worst = 0.0
    for axis in (1, 2):
        nodes = np.moveaxis(_nodes(slices, step), axis, 0)
        exact = np.moveaxis(_between(_between(slices, step, step // 2, axis), step, 0, 3 - axis), axis, 0)
        one, two, three, four = (nodes[start : len(nodes) - 3 + start] for start in range(4))
        inside = exact[1 : len(nodes) - 2]
        for found in ((two + three) / 2, (9 * (two + three) - one - four) / 16):
            errors = np.linalg.norm(found - inside, axis=-1)
            worst = max(worst, float(np.percentile(errors, _COARSE_SHARE)))
    return worst


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
