"""A transform applied to files: images, labels, segmentations, models and points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import slicer
import vtk

from ..scene.geometry.transforms import copiedTransform, mapPoints, transformToWorld, worldToLocal
from ..scene.propagation.node_map import NodeMap
from ..scene.propagation.resampling import LABELMAP_OPTIONS, ResampleOptions, resampledImage
from .output_files import saveNode
from .point_files import Point, isPointFile, readPoints, writePoints
from .readers import isModelFile, isSegmentationFile, readLabels, readModel, readVolume

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
    isInverse: bool = False
    options: ResampleOptions = field(default_factory=ResampleOptions)

    @property
    def transform(self) -> vtk.vtkAbstractTransform:
        """From the side of the inputs to the other side, RAS mm."""
        node = self.transformNode
        return copiedTransform(worldToLocal(node)) if self.isInverse else transformToWorld(node)

    def forLabels(self) -> Application:
        """The same for a labelmap, whose voxels take the nearest value."""
        return replace(self, options=LABELMAP_OPTIONS)


def outputName(path: Path) -> str:
    """Return the name of the file that an input becomes; pictures become NRRD, which keeps their place.

    A backslash, which VTK takes for a folder, becomes an underscore.
    """
    name = path.name.replace("\\", "_")
    if isPointFile(path) or isModelFile(path) or name.lower().endswith(_KEPT_ENDINGS):
        return name
    return f"{name.split('.')[0] or path.resolve().name}.nrrd"


def outputNames(paths: Sequence[Path], taken: Sequence[str] = ()) -> list[str]:
    """Return the names of the files that inputs become.

    Args:
        paths: Of the inputs.
        taken: Names of other files in the same folder.

    Raises:
        ValueError: Two files would have the same name.
    """
    names = [outputName(path) for path in paths]
    for number, name in enumerate(names):
        if name in (*taken, *names[:number]):
            raise ValueError(
                f"'{paths[number]}' would become the file '{name}', like another file of this run; rename it, or"
                " transform one by one."
            )
    return names


def applyTo(path: Path, application: Application, output: Path) -> None:
    """Transform a file and write the result.

    Raises:
        OSError: A file cannot be read or written.
        ValueError: The input is neither an image nor a segmentation, a model or a point list.
    """
    scene = application.reference.GetScene()
    if isPointFile(path):
        writePoints(_moved(readPoints(path), application.transform), output)
    elif isModelFile(path):
        model = readModel(scene, path)
        model.ApplyTransform(application.transform)
        saveNode(slicer.vtkMRMLModelStorageNode(), model, output)
    elif isSegmentationFile(path):
        segmentation = readLabels(scene, path)
        segmentation.ApplyTransform(application.transform)
        saveNode(slicer.vtkMRMLSegmentationStorageNode(), segmentation, output)
    else:
        _resample(path, application, output)


def _resample(path: Path, application: Application, output: Path) -> None:
    volume = readVolume(application.reference.GetScene(), path)
    mapping = NodeMap(vtk.vtkGeneralTransform(), application.transform, application.reference, None)
    volume.SetAndObserveImageData(resampledImage(volume, mapping, application.options))
    toRas = vtk.vtkMatrix4x4()
    application.reference.GetIJKToRASMatrix(toRas)
    volume.SetIJKToRASMatrix(toRas)
    saveNode(slicer.vtkMRMLVolumeArchetypeStorageNode(), volume, output)
    volume.GetScene().RemoveNode(volume)


def _moved(points: list[Point], transform: vtk.vtkAbstractTransform) -> list[Point]:
    moved = mapPoints(transform, np.array([position for _, position in points], float).reshape(-1, 3)).tolist()
    return [(label, (r, a, s)) for (label, _), (r, a, s) in zip(points, moved, strict=True)]
