"""The files that hold a result, each by the name that ``--write`` takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import slicer

from ..scene.display.slice_views import fitView, showOverlay
from ..scene.landmarks.tre_export import fillTreTableNode
from ..scene.landmarks.tre_table import TreTable
from ..scene.registration.result_nodes import SliceRegistration
from ..scene.scene_nodes import nodesByClass
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
    """

    inputs: Inputs
    result: SliceRegistration
    tre: TreTable | None
    caption: str


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
    saveFigure(finished.result, path, finished.caption)


def _scene(finished: Finished, path: Path) -> None:
    """The whole scene, with the moving volume over the fixed one in the view of the slice."""
    inputs = finished.inputs
    scene = inputs.fixed.GetScene()
    showOverlay(inputs.fixed, inputs.moving, inputs.plane)
    for view in nodesByClass(scene, "vtkMRMLSliceNode"):
        fitView(view, inputs.plane)
    if finished.tre is not None:
        table = scene.AddNewNodeByClass("vtkMRMLTableNode", "Landmark errors")
        fillTreTableNode(table, finished.tre, inputs.plane)
    if not scene.WriteToMRB(str(path.resolve())):
        raise OSError(f"'{path.name}' could not be written into '{path.parent}'; is the disk full?")


WRITERS: dict[str, tuple[str, Writer]] = {
    "overlay": ("overlay.png", _overlay),
    "transform": ("transform.h5", _transform),
    "warped": ("warped.nrrd", _warped),
    "scene": ("scene.mrb", _scene),
}
"""Name for ``--write`` to file name and function, in the order of writing."""
