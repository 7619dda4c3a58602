"""Where a transform is defined: grids and B-splines end somewhere."""

from __future__ import annotations

import numpy as np
import slicer
import vtk

from ..geometry.planes import matrixToArray
from ..geometry.transforms import mapPoints, steps

_GRID_ROUNDING = 1e-3  # Voxels of the grid.
_SPLINE_BORDER = 1  # Control points on each side outside the region that a cubic B-spline defines.


def isDefined(fromWorld: vtk.vtkAbstractTransform, points: np.ndarray) -> np.ndarray:
    """Whether all grids and B-splines of a transform reach points.

    Args:
        fromWorld: Chain of any transforms.
        points: ``(N, 3)``, mm, in the space where the chain begins.

    Returns:
        ``(N,)`` bool. Linear transforms and thin plate splines are defined everywhere.
    """
    inside = np.ones(len(points), dtype=bool)
    for step in steps(fromWorld):
        mapped = mapPoints(step, points)
        image, border = _gridOf(step)
        if image is not None:
            # An inverted grid is defined where the points arrive.
            inside &= _within(image, step, border, mapped if step.GetInverseFlag() else points)
        points = mapped
    return inside


def _gridOf(step: vtk.vtkAbstractTransform) -> tuple[vtk.vtkImageData | None, int]:
    """The grid of displacements or control points, and how many of its nodes on each side define nothing."""
    if isinstance(step, vtk.vtkGridTransform):
        return step.GetDisplacementGrid(), 0
    if isinstance(step, vtk.vtkBSplineTransform):
        return step.GetCoefficientData(), _SPLINE_BORDER
    return None, 0


def _within(image: vtk.vtkImageData, step: vtk.vtkAbstractTransform, border: int, points: np.ndarray) -> np.ndarray:
    """Whether ``(N, 3)`` points lie on a grid, half a voxel beyond its nodes included."""
    direction = np.eye(4)
    if isinstance(step, (slicer.vtkOrientedGridTransform, slicer.vtkOrientedBSplineTransform)):
        matrix = step.GetGridDirectionMatrix()
        direction = np.eye(4) if matrix is None else matrixToArray(matrix)
    axes = direction[:3, :3] * np.array(image.GetSpacing())
    index = (points - np.array(image.GetOrigin())) @ np.linalg.inv(axes).T
    low, size = np.array(image.GetExtent()[::2]) + border, np.array(image.GetDimensions())
    high = low + size - 1 - 2 * border
    reach = np.where(size == 1, np.inf, 0.5 if border == 0 else _GRID_ROUNDING) + _GRID_ROUNDING
    return np.asarray(((index >= low - reach) & (index <= high + reach)).all(axis=1))
