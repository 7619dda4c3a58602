"""Transform files: what Slicer reads without a word, though it is none, or not the whole of one."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import slicer
import slicer.util
from vtk.util.numpy_support import vtk_to_numpy

from ..scene.exchange.deformation_grid import gridToRas
from ..scene.geometry.planes import ijkToWorld, volumeSize
from ..scene.geometry.transforms import mapPoints, steps, transformPoints, worldToLocal
from .file_checks import imageHeader
from .nifti_files import checkNifti, isNiftiFile
from .reading import noteInput

_FIELD_ENDINGS = (".nrrd", ".nhdr", ".nii", ".nii.gz", ".mha", ".mhd")
_TEXT_ENDINGS = (".tfm", ".txt")
_SMALL_MM = 0.01  # Of no meaning for a result.
_POINTS_PER_AXIS = 9  # Enough to see whether a field reaches the corners of an image.


def checkTransformFile(path: Path) -> None:
    """Refuse what is cut or holds no displacements, and note a 2-D transform.

    Raises:
        ValueError: It is so.
    """
    name = path.name.lower()
    if name.endswith(_TEXT_ENDINGS):
        _checkText(path)
    if name.endswith(_FIELD_ENDINGS):
        _checkField(path)
    elif _isPlanar(path):
        noteInput(path, "it is a 2-D transform, and moves points along the axes left and back only")


def checkTransform(path: Path, node: slicer.vtkMRMLTransformNode) -> None:
    """Refuse a linear transform that is singular, and displacements that are not finite.

    Raises:
        ValueError: It is so.
    """
    for part in steps(worldToLocal(node)):
        if isinstance(part, slicer.vtkOrientedGridTransform):
            vectors = vtk_to_numpy(part.GetDisplacementGrid().GetPointData().GetScalars())
            if not np.isfinite(vectors).all():
                raise ValueError(f"The transform '{path}' has displacements that are NaN or infinite; make it anew.")
    if node.IsLinear():
        matrix = slicer.util.arrayFromTransformMatrix(node)
        if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix[:3, :3])) < 1e-6:
            raise ValueError(
                f"The transform '{path}' maps the image to a plane, a line or a point; choose another one."
            )


def noteCoverage(path: Path, node: slicer.vtkMRMLTransformNode, volume: slicer.vtkMRMLVolumeNode) -> None:
    """Note a displacement field that ends inside an image.

    Args:
        path: Of the transform.
        node: The transform, which maps from the image.
        volume: The image.
    """
    axes = (np.linspace(0, count - 1, min(count, _POINTS_PER_AXIS)) for count in volumeSize(volume))
    points = transformPoints(ijkToWorld(volume), np.array(list(itertools.product(*axes))))
    for part in steps(worldToLocal(node)):
        if isinstance(part, slicer.vtkOrientedGridTransform) and not part.GetInverseFlag():
            indices = transformPoints(np.linalg.inv(gridToRas(part)), points)
            last = np.array(part.GetDisplacementGrid().GetDimensions()) - 1
            share = float(np.mean(np.all((indices >= -0.5) & (indices <= last + 0.5), axis=1)))
            border = _largestOnBorder(part)
            if share < 1 and border > _SMALL_MM:
                noteInput(
                    path,
                    f"its displacement field covers about {100 * share:.0f} % of the image; outside, the displacements"
                    f" of its border, up to {border:.2g} mm, are repeated",
                )
        points = mapPoints(part, points)


def _largestOnBorder(grid: slicer.vtkOrientedGridTransform) -> float:
    """The longest displacement on the border of a field, mm; VTK repeats them outside, ITK takes 0."""
    image = grid.GetDisplacementGrid()
    size = image.GetDimensions()[::-1]
    lengths = np.linalg.norm(vtk_to_numpy(image.GetPointData().GetScalars()), axis=1).reshape(size)
    inner = tuple(slice(1, -1) if count > 2 else slice(0, 0) for count in size)
    lengths[inner] = 0
    return float(lengths.max() * grid.GetDisplacementScale())


def _checkText(path: Path) -> None:
    """Each transform of a text file has its parameters, which ITK replaces by the identity where they are missing."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        return  # The reader itself says what is wrong.
    starts = [number for number, line in enumerate(lines) if line.startswith("Transform:")]
    for start, end in itertools.pairwise([*starts, len(lines)]):
        names = {line.partition(":")[0] for line in lines[start:end]}
        if not lines[start].startswith("Transform: Composite") and not {"Parameters", "FixedParameters"} <= names:
            raise ValueError(f"'{path}' is truncated: a transform lacks its parameters; copy it again.")


def _checkField(path: Path) -> None:
    if isNiftiFile(path):
        checkNifti(path)
    reader = imageHeader(path)
    if reader is None:
        return  # The reader itself says what is wrong.
    if reader.GetDimension() != 3 or reader.GetNumberOfComponents() != 3:
        raise ValueError(
            f"'{path}' has {reader.GetDimension()} dimensions and {reader.GetNumberOfComponents()} numbers a voxel; a"
            " displacement field has 3 of both. Choose another file."
        )


def _isPlanar(path: Path) -> bool:
    try:
        return bool(sitk.ReadTransform(str(path)).GetDimension() == 2)
    except RuntimeError:
        return False
