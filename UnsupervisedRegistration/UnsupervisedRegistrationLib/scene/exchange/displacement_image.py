"""A result transform as an image of displacements, as ITK, ANTs and elastix read it, and as a 2-D transform."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
import slicer

from ..geometry.planes import SlicePlane
from ..geometry.transforms import mapPoints, steps, worldToLocal
from .deformation_grid import LPS_FROM_RAS, gridToRas

_IN_PLANE = 1e-3  # mm; what rounding moves points out of a plane.


def displacementImage(transformNode: slicer.vtkMRMLTransformNode) -> sitk.Image:
    """Displacements at the nodes of the grid of a result: 3-D, float32, LPS mm, from fixed to moving.

    The image has at least three slices, since readers lose the position of a single one. Beyond it readers take no
    displacement, so a result with an initial transform or a pre-alignment jumps there.

    Raises:
        ValueError: The transform has no grid.
    """
    fromWorld = worldToLocal(transformNode)
    grid = next((step for step in steps(fromWorld) if isinstance(step, slicer.vtkOrientedGridTransform)), None)
    if grid is None:
        raise ValueError(f"The transform '{transformNode.GetName()}' has no displacement grid; save it as .h5.")
    matrix, shape = gridToRas(grid), grid.GetDisplacementGrid().GetDimensions()[::-1]
    indices = np.moveaxis(np.indices(shape)[::-1], 0, -1).reshape(-1, 3)
    points = indices @ matrix[:3, :3].T + matrix[:3, 3]
    vectors = (mapPoints(fromWorld, points) - points).reshape(*shape, 3) * [-1, -1, 1]
    image = sitk.GetImageFromArray(vectors.astype(np.float32), isVector=True)
    lps = LPS_FROM_RAS @ matrix
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    return image


def checkPlanar(*planes: SlicePlane) -> None:
    """Refuse slices that a 2-D transform cannot map: those that are not parallel to the x and y axes of their file.

    Raises:
        ValueError: One is.
    """
    for plane in planes:
        if not np.allclose(np.abs(plane.normal), [0, 0, 1], atol=1e-6):
            raise ValueError(
                f"The {plane.name} is not parallel to the axes x and y, as a 2-D transform needs; write the 3-D"
                " transform, or register 2-D images."
            )


def planarTransform(transformNode: slicer.vtkMRMLTransformNode) -> sitk.DisplacementFieldTransform:
    """The result for one slice as a 2-D transform of ITK, x and y in LPS mm, from fixed to moving.

    Raises:
        ValueError: The transform moves points out of the slice.
    """
    volume = displacementImage(transformNode)
    middle = volume[:, :, volume.GetSize()[2] // 2]
    vectors = sitk.GetArrayFromImage(middle)
    if np.abs(vectors[..., 2]).max() > _IN_PLANE:
        raise ValueError(
            "The transform moves points out of the slice, which a 2-D transform cannot; write the 3-D one."
        )
    field = sitk.GetImageFromArray(vectors[..., :2].astype(np.float64), isVector=True)
    field.CopyInformation(middle)
    return sitk.DisplacementFieldTransform(field)
