"""A transform file applied to images and points."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from ..scene.geometry.transforms import copiedTransform, transformToWorld, worldToLocal
from ..scene.propagation.node_map import NodeMap
from ..scene.propagation.resampling import ResampleOptions, resampledImage
from .output_files import saveNode
from .point_files import Point, isPointFile, readPoints, writePoints
from .readers import readVolume

_KEPT_ENDINGS = (".nii.gz", ".nii", ".nrrd", ".mha")


@dataclass(frozen=True)
class Application:
    """A transform and where images go.

    Attributes:
        transformNode: Maps from the fixed to the moving image, as results do.
        reference: Volume whose grid the images get.
        isInverse: Whether the inputs lie on the fixed image and go to the moving one.
        options: How images are resampled.
    """

    transformNode: slicer.vtkMRMLTransformNode
    reference: slicer.vtkMRMLVolumeNode
    isInverse: bool
    options: ResampleOptions

    @property
    def transform(self) -> vtk.vtkAbstractTransform:
        """From the side of the inputs to the other side, RAS mm."""
        node = self.transformNode
        return copiedTransform(worldToLocal(node)) if self.isInverse else transformToWorld(node)


def outputName(path: Path) -> str:
    """Return the name of the file that an input becomes; pictures become NRRD, which keeps their place."""
    if isPointFile(path) or path.name.lower().endswith(_KEPT_ENDINGS):
        return path.name
    return f"{path.name.split('.')[0] or path.resolve().name}.nrrd"


def applyTo(path: Path, application: Application, output: Path) -> None:
    """Transform a file and write the result.

    Raises:
        OSError: A file cannot be read or written.
        ValueError: The input is neither an image nor a point list.
    """
    if isPointFile(path):
        writePoints(_moved(readPoints(path), application.transform), output)
        return
    volume = readVolume(application.reference.GetScene(), path)
    mapping = NodeMap(vtk.vtkGeneralTransform(), application.transform, application.reference, None)
    volume.SetAndObserveImageData(resampledImage(volume, mapping, application.options))
    toRas = vtk.vtkMatrix4x4()
    application.reference.GetIJKToRASMatrix(toRas)
    volume.SetIJKToRASMatrix(toRas)
    saveNode(slicer.vtkMRMLVolumeArchetypeStorageNode(), volume, output)


def _moved(points: list[Point], transform: vtk.vtkAbstractTransform) -> list[Point]:
    before, after = vtk.vtkPoints(), vtk.vtkPoints()
    before.SetData(numpy_to_vtk(np.array([position for _, position in points], float).reshape(-1, 3), deep=True))
    after.SetDataTypeToDouble()
    transform.TransformPoints(before, after)
    moved = vtk_to_numpy(after.GetData()).tolist() if points else []
    return [(label, (r, a, s)) for (label, _), (r, a, s) in zip(points, moved, strict=True)]
