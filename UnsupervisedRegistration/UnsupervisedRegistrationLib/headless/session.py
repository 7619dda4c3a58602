"""From input files to a folder of outcomes."""

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
from ..scene.registration.model_choice import chooseModel
from ..scene.registration.phantom_nodes import Kind, addPhantom
from ..scene.registration.result_nodes import SliceRegistration
from ..scene.registration.slice import Progress, Refinement, openModel, registerSlice
from ..scene.registration.slice_pair import Prealignment
from ..scene.reporting.judgement import judge
from ..scene.reporting.summary import describeResult, resultReport
from .figure import saveFigure
from .readers import readLandmarks, readMask, readTransform, readVolume

AUTOMATIC = "auto"
"""In place of a model: the one that fits the pair. In place of a mask: where the image shows the patient."""


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


@dataclass(frozen=True)
class Settings:
    """How it is registered.

    Attributes:
        model: Name, file, or ``AUTOMATIC``.
        device: See ``core.register``.
        prealignment: In the plane, before the network.
        refineSeconds: Time to refine the outcome for this pair; ``None`` leaves it.
        trust: Whether to estimate and draw how far each pixel may be off.
    """

    model: str = "any-contrast"
    device: str = "auto"
    prealignment: Prealignment = "none"
    refineSeconds: float | None = None
    trust: bool = False


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
    movingPoints = movingLandmarks and readLandmarks(scene, movingLandmarks)
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
    return addForeground(volume) if path == Path(AUTOMATIC) else readMask(volume.GetScene(), path)


def phantomInputs(scene: slicer.vtkMRMLScene, kind: Kind) -> Inputs:
    """A drawn pair with its landmarks."""
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


def run(inputs: Inputs, settings: Settings, folder: Path, progress: Progress) -> str:
    """Registers, writes everything into ``folder`` and says in one sentence what came out.

    Raises:
        OSError: The folder cannot be written.
        ValueError: The inputs, the model or the device do not fit.
    """
    checkFolder(folder)
    progress("open the model", 0.05)
    automatic = settings.model == AUTOMATIC
    name, reason = chooseModel(inputs.fixed, inputs.moving) if automatic else (settings.model, "")
    model = openModel(name)
    seconds = settings.refineSeconds
    outcome = registerSlice(
        inputs.fixed,
        inputs.moving,
        plane=inputs.plane,
        movingOffset=inputs.movingOffset,
        model=model,
        maskNode=inputs.mask,
        movingMaskNode=inputs.movingMask,
        prealignment=settings.prealignment,
        refinement=None if seconds is None else Refinement(seconds=seconds),
        trust=settings.trust,
        device=settings.device,
        progress=lambda step, share: progress(step, 0.1 + 0.5 * share),
    )
    errors = None
    if inputs.fixedLandmarks is not None and inputs.movingLandmarks is not None:
        progress("measure the landmarks", 0.6)
        errors = targetRegistrationError(
            inputs.fixedLandmarks, inputs.movingLandmarks, outcome.transformNode, inputs.moving
        )
    closer = describeResult(outcome, errors)
    progress("draw the overlay", 0.65)
    saveFigure(outcome, folder / "overlay.png", f"{inputs.moving.GetName()} to {inputs.fixed.GetName()}: {closer}")
    progress("write the files", 0.8)
    figures = resultReport(outcome, errors, model.name)
    figures |= {"settings": asdict(settings), "judgement": asdict(judge(outcome, errors)), "model_reason": reason}
    (folder / "report.json").write_text(json.dumps(figures, indent=2) + "\n")
    _save(slicer.vtkMRMLTransformStorageNode(), outcome.transformNode, folder / "transform.h5")
    _save(slicer.vtkMRMLVolumeArchetypeStorageNode(), outcome.warpedVolume, folder / "warped.nrrd")
    _saveScene(inputs, outcome, errors, folder / "scene.mrb")
    seconds = sum(outcome.registration.milliseconds.values()) / 1000
    return (
        f"Registered the {inputs.plane.name} of {inputs.moving.GetName()} to {inputs.fixed.GetName()}: {closer};"
        f" {seconds:.2f} s on {outcome.registration.device}; see {folder / 'overlay.png'}, and open"
        f" {folder / 'scene.mrb'} in Slicer." + (f" Model {reason}" if reason else "")
    )


def _save(storage: slicer.vtkMRMLStorageNode, node: slicer.vtkMRMLStorableNode, path: Path) -> None:
    path.unlink(missing_ok=True)
    storage.SetFileName(str(path))
    if not storage.WriteData(node):
        raise OSError(f"'{path}' could not be written; is the disk full?")


def _saveScene(inputs: Inputs, outcome: SliceRegistration, errors: TreTable | None, path: Path) -> None:
    """The whole scene, with the moving volume over the fixed one in the view of the slice."""
    scene = inputs.fixed.GetScene()
    showOverlay(inputs.fixed, inputs.moving, inputs.plane)
    for view in slicer.util.getNodesByClass("vtkMRMLSliceNode", scene):
        fitView(view, inputs.plane)
    if errors is not None:
        fillTreTableNode(scene.AddNewNodeByClass("vtkMRMLTableNode", "Landmark errors"), errors, inputs.plane)
    path.unlink(missing_ok=True)
    if not scene.WriteToMRB(str(path.resolve())):
        raise OSError(f"'{path}' could not be written; is the disk full?")
