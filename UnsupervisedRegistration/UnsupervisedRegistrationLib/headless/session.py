"""From input files to a folder of results."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import slicer
import slicer.util

from ..scene.display.slice_views import addSliceViews, fitView, showOverlay
from ..scene.geometry.planes import Orientation, SlicePlane, offsetBetween, planeFromIndex
from ..scene.landmarks.tre_export import fillTreTableNode
from ..scene.landmarks.tre_table import TreTable, targetRegistrationError
from ..scene.registration.foreground_mask import addForeground
from ..scene.registration.phantom_nodes import Kind, addPhantom
from ..scene.registration.result_nodes import SliceRegistration
from ..scene.registration.slice import Progress, RegistrationOptions, registerSlice
from ..scene.registration.slice_pair import SliceInputs
from ..scene.reporting.quality import checkQuality, qualityReport
from ..scene.reporting.summary import resultReport, resultSentence
from ..scene.scene_nodes import nodesByClass
from .figure import saveFigure
from .outcome import DO_NOT_USE, DONE, Outcome
from .readers import readLandmarks, readMask, readTransform, readVolume

FOREGROUND_MASK = "auto"
"""In place of a mask: the foreground of the image."""


@dataclass(frozen=True)
class Inputs:
    """What is registered, as nodes of one scene."""

    fixed: slicer.vtkMRMLVolumeNode
    moving: slicer.vtkMRMLVolumeNode
    plane: SlicePlane
    movingOffset: np.ndarray | None = None
    mask: slicer.vtkMRMLNode | None = None
    movingMask: slicer.vtkMRMLNode | None = None
    fixedLandmarks: slicer.vtkMRMLMarkupsNode | None = None
    movingLandmarks: slicer.vtkMRMLMarkupsNode | None = None


def newScene() -> slicer.vtkMRMLScene:
    """An empty scene with slice views, known to ``slicer.util``."""
    scene = slicer.vtkMRMLScene()
    slicer.mrmlScene = scene
    addSliceViews(scene)
    return scene


def readInputs(
    scene: slicer.vtkMRMLScene,
    fixed: Path,
    moving: Path,
    *,
    orientation: Orientation | None = None,
    fixedSlice: int | None = None,
    movingSlice: int | None = None,
    mask: Path | None = None,
    movingMask: Path | None = None,
    initialTransform: Path | None = None,
    fixedLandmarks: Path | None = None,
    movingLandmarks: Path | None = None,
) -> Inputs:
    """Reads all files into a scene.

    Raises:
        OSError: A file is missing or cannot be opened.
        ValueError: A file or a slice is not usable.
    """
    if (fixedLandmarks is None) != (movingLandmarks is None):
        raise ValueError("Landmarks are measured in pairs: give both --fixed-landmarks and --moving-landmarks.")
    fixedNode, movingNode = readVolume(scene, fixed), readVolume(scene, moving)
    if initialTransform is not None:
        movingNode.SetAndObserveTransformNodeID(readTransform(scene, initialTransform).GetID())
    plane = planeFromIndex(fixedNode, orientation, fixedSlice)
    offset = None
    if movingSlice is not None:
        offset = offsetBetween(plane, planeFromIndex(movingNode, orientation, movingSlice))
    movingPoints = None if movingLandmarks is None else readLandmarks(scene, movingLandmarks)
    if movingPoints is not None:  # They were placed on the image as it was before the initial transform.
        movingPoints.SetAndObserveTransformNodeID(movingNode.GetTransformNodeID())
    return Inputs(
        fixedNode,
        movingNode,
        plane,
        offset,
        mask and _mask(mask, fixedNode),
        movingMask and _mask(movingMask, movingNode),
        fixedLandmarks and readLandmarks(scene, fixedLandmarks),
        movingPoints,
    )


def _mask(path: Path, volume: slicer.vtkMRMLVolumeNode) -> slicer.vtkMRMLLabelMapVolumeNode:
    return addForeground(volume) if path == Path(FOREGROUND_MASK) else readMask(volume.GetScene(), path)


def phantomInputs(scene: slicer.vtkMRMLScene, kind: Kind) -> Inputs:
    """A phantom with its landmarks."""
    nodes = addPhantom(scene, kind)
    plane = planeFromIndex(nodes.fixedVolume, "axial")
    return Inputs(
        nodes.fixedVolume,
        nodes.movingVolume,
        plane,
        fixedLandmarks=nodes.fixedLandmarks,
        movingLandmarks=nodes.movingLandmarks,
    )


def checkFolder(folder: Path) -> None:
    """Makes the output folder and writes a byte into it, before any work is done.

    Raises:
        OSError: It cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(
            f"The output folder '{folder}' cannot be written ({error.strerror}); choose another one with --output."
        ) from error


def registerToFolder(
    inputs: Inputs, options: RegistrationOptions, folder: Path, progress: Progress, explain: bool = False
) -> Outcome:
    """Registers, writes everything into ``folder`` and says how good the result is.

    With ``explain``, a line for each thing that was done to the pair precedes the sentence.

    Raises:
        OSError: The folder cannot be written.
        ValueError: The inputs, the model or the device do not fit.
    """
    checkFolder(folder)
    result = registerSlice(
        SliceInputs(inputs.fixed, inputs.moving, inputs.plane, inputs.movingOffset, inputs.mask, inputs.movingMask),
        options,
        progress=lambda step, share: progress(step, 0.1 + 0.5 * share),
    )
    registration = result.registration
    tre = None
    if inputs.fixedLandmarks is not None and inputs.movingLandmarks is not None:
        progress("measure the landmarks", 0.6)
        tre = targetRegistrationError(
            inputs.fixedLandmarks, inputs.movingLandmarks, result.transformNode, inputs.moving
        )
    closer = resultSentence(result, tre)
    progress("draw the overlay", 0.65)
    saveFigure(result, folder / "overlay.png", f"{inputs.moving.GetName()} to {inputs.fixed.GetName()}: {closer}")
    progress("write the files", 0.8)
    quality = checkQuality(result, tre)
    figures = resultReport(result, tre, registration.model)
    figures |= {
        "options": asdict(options),
        "plan": list(registration.plan.reasons),
        "model_reason": registration.model_reason,
        "licence": registration.licence,
        "quality_check": qualityReport(quality),
    }
    (folder / "report.json").write_text(json.dumps(figures, indent=2) + "\n")
    _save(slicer.vtkMRMLTransformStorageNode(), result.transformNode, folder / "transform.h5")
    _save(slicer.vtkMRMLVolumeArchetypeStorageNode(), result.warpedVolume, folder / "warped.nrrd")
    _saveScene(inputs, result, tre, folder / "scene.mrb")
    seconds = sum(registration.milliseconds.values()) / 1000
    sentence = (
        f"Registered the {inputs.plane.name} of {inputs.moving.GetName()} to {inputs.fixed.GetName()}: {closer};"
        f" {seconds:.2f} s on {registration.device}; see {folder / 'overlay.png'}, and open"
        f" {folder / 'scene.mrb'} in Slicer."
        f" Model {registration.model_reason or registration.model}; licence: {registration.licence}"
    )
    lines = [*registration.plan.reasons, *(f"{note[:1].upper()}{note[1:]}." for note in result.notes)]
    code = DO_NOT_USE if quality.grade == "do not use" else DONE
    return Outcome("\n".join([*lines, sentence] if explain else [sentence]), code)


def _save(storage: slicer.vtkMRMLStorageNode, node: slicer.vtkMRMLStorableNode, path: Path) -> None:
    path.unlink(missing_ok=True)
    storage.SetFileName(str(path))
    if not storage.WriteData(node):
        raise OSError(f"'{path}' could not be written; is the disk full?")


def _saveScene(inputs: Inputs, result: SliceRegistration, tre: TreTable | None, path: Path) -> None:
    """The whole scene, with the moving volume over the fixed one in the view of the slice."""
    scene = inputs.fixed.GetScene()
    showOverlay(inputs.fixed, inputs.moving, inputs.plane)
    for view in nodesByClass(scene, "vtkMRMLSliceNode"):
        fitView(view, inputs.plane)
    if tre is not None:
        fillTreTableNode(scene.AddNewNodeByClass("vtkMRMLTableNode", "Landmark errors"), tre, inputs.plane)
    path.unlink(missing_ok=True)
    if not scene.WriteToMRB(str(path.resolve())):
        raise OSError(f"'{path}' could not be written; is the disk full?")
