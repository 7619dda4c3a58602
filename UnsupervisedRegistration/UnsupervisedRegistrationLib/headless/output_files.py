"""The files that hold a result, each by the name that ``--write`` takes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import slicer
import slicer.util
import vtk

from ..scene.display.slice_views import fitView, showOverlay
from ..scene.exchange.displacement_image import displacementImage, planarTransform
from ..scene.geometry.grid_transform import gridTransform
from ..scene.geometry.planes import shiftedPlane
from ..scene.geometry.transforms import copiedTransform, transformToWorld
from ..scene.geometry.volumes import addVolume
from ..scene.landmarks.tre_export import fillTreTableNode
from ..scene.landmarks.tre_table import TreTable
from ..scene.registration.result_nodes import SliceRegistration
from ..scene.registration.slice_pair import gridOf
from ..scene.scene_nodes import nodesByClass
from .arguments import TRANSFORM_2D
from .figure import saveFigure
from .session import Inputs


@dataclass(frozen=True)
class Finished:
    """A registration that is done.

    Attributes:
        inputs: What was registered.
        result: The result in the scene of the inputs.
        tre: Its landmark errors, or ``None``.
        caption: One line above the picture.
        quality: Grade and reasons of the quality check, in one line.
    """

    inputs: Inputs
    result: SliceRegistration
    tre: TreTable | None
    caption: str
    quality: str


Writer = Callable[[Finished, Path], None]


def saveNode(storage: slicer.vtkMRMLStorageNode, node: slicer.vtkMRMLStorableNode, path: Path) -> None:
    """Write a node into a file.

    Raises:
        OSError: It cannot be written.
    """
    storage.SetFileName(str(path))
    if not storage.WriteData(node) or not path.is_file():
        raise OSError(f"'{path.name}' could not be written into '{path.parent}'; is the disk full?")


def _transform(finished: Finished, path: Path) -> None:
    saveNode(slicer.vtkMRMLTransformStorageNode(), finished.result.transformNode, path)


def _warped(finished: Finished, path: Path) -> None:
    saveNode(slicer.vtkMRMLVolumeArchetypeStorageNode(), finished.result.warpedVolume, path)


def _overlay(finished: Finished, path: Path) -> None:
    saveFigure(finished.result, path, f"{finished.caption}\n{finished.quality}")


def _scene(finished: Finished, path: Path) -> None:
    """The whole scene, with the moving volume over the fixed one in the view of the slice."""
    inputs, plane = finished.inputs, finished.result.pair.plane
    scene = inputs.fixed.GetScene()
    showOverlay(inputs.fixed, inputs.moving, plane)
    for view in nodesByClass(scene, "vtkMRMLSliceNode"):
        fitView(view, plane)
    if finished.tre is not None:
        table = scene.AddNewNodeByClass("vtkMRMLTableNode", "Landmark errors")
        fillTreTableNode(table, finished.tre, plane)
    if not scene.WriteToMRB(str(path.resolve())):
        raise OSError(f"'{path.name}' could not be written into '{path.parent}'; is the disk full?")


def _inverse(finished: Finished, path: Path) -> None:
    """From the moving to the fixed image: the inverse displacement on the moving slices."""
    result = finished.result
    pair = result.pair
    plane = shiftedPlane(result.firstPlane, pair.offset)
    vectors = gridOf(plane).displacement_to_ras(result.inverses).movedim(1, -1).numpy()
    chain = vtk.vtkGeneralTransform()
    chain.PostMultiply()
    if pair.initial is not None:
        chain.Concatenate(copiedTransform(transformToWorld(pair.initial)))
    if pair.prealignmentMatrix is not None:
        chain.Concatenate(slicer.util.vtkMatrixFromArray(np.linalg.inv(pair.prealignmentMatrix)))
    chain.Concatenate(gridTransform(plane, vectors - pair.offset))
    _saveTransform(finished, chain, path)


def _linear(finished: Finished, path: Path) -> None:
    """The pre-alignment; the identity if the images stayed as they lay."""
    matrix, transform = finished.result.pair.prealignmentMatrix, vtk.vtkTransform()
    if matrix is not None:
        transform.SetMatrix(slicer.util.vtkMatrixFromArray(matrix))
    _saveTransform(finished, transform, path)


def _saveTransform(finished: Finished, fromParent: vtk.vtkAbstractTransform, path: Path) -> None:
    scene = finished.inputs.fixed.GetScene()
    node = scene.AddNewNodeByClass("vtkMRMLTransformNode", path.stem)
    node.SetAndObserveTransformFromParent(fromParent)
    saveNode(slicer.vtkMRMLTransformStorageNode(), node, path)
    scene.RemoveNode(node)


def _jacobian(finished: Finished, path: Path) -> None:
    _savePixels(finished, finished.result.jacobians, path)


def _uncertainty(finished: Finished, path: Path) -> None:
    """The expected error, mm."""
    error = finished.result.allSlices.expected_error
    if error is None:
        raise ValueError("The uncertainty was not estimated; give --uncertainty.")
    _savePixels(finished, error[:, 0].numpy(), path)


def _displacement(finished: Finished, path: Path) -> None:
    _saveImage(displacementImage(finished.result.transformNode), path)


def _transform2d(finished: Finished, path: Path) -> None:
    transform = planarTransform(finished.result.transformNode)
    with _writing(path):
        sitk.WriteTransform(transform, str(path))


def _saveImage(image: sitk.Image, path: Path) -> None:
    with _writing(path):
        sitk.WriteImage(image, str(path), useCompression=path.suffix == ".mha")


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Name the file that ITK could not write."""
    try:
        yield
    except RuntimeError as error:
        raise OSError(f"'{path.name}' could not be written into '{path.parent}'; is the disk full?") from error


def _savePixels(finished: Finished, pixels: np.ndarray, path: Path) -> None:
    scene = finished.inputs.fixed.GetScene()
    node = addVolume(scene, path.stem, pixels.astype(np.float32), finished.result.firstPlane.ijkToRas)
    saveNode(slicer.vtkMRMLVolumeArchetypeStorageNode(), node, path)
    scene.RemoveNode(node)


WRITERS: dict[str, tuple[str, Writer]] = {
    "overlay": ("overlay.png", _overlay),
    "transform": ("transform.h5", _transform),
    "inverse": ("inverse.h5", _inverse),
    "linear": ("linear.h5", _linear),
    "displacement.nii.gz": ("displacement.nii.gz", _displacement),
    "displacement.mha": ("displacement.mha", _displacement),
    TRANSFORM_2D: ("transform-2d.h5", _transform2d),
    "warped": ("warped.nrrd", _warped),
    "jacobian": ("jacobian.nrrd", _jacobian),
    "uncertainty": ("uncertainty.nrrd", _uncertainty),
    "scene": ("scene.mrb", _scene),
}
"""Name for ``--write`` to file name and function, in the order of writing."""
