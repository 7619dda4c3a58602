"""Earlier results, kept in the scene so that a saved scene brings them all back.

A result is a transform node of its own, a copy of the outcome, with what is known about it as an attribute and the
warped slice as a reference. Only these copies are ever deleted here.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import slicer
import slicer.util

from ..display.view_state import removeWithDisplay
from ..geometry.result_transform import (
    INITIAL_ROLE,
    STORED_RESULT_ATTRIBUTE,
    checkHierarchy,
    copyResultTransform,
    initialTransformOf,
    setParentTransform,
)
from ..landmarks.tre_table import TreTable
from ..registration.model_folders import modelNames
from .stored_result import WARPED_ROLE, StoredResult, changeStoredResult, readStoredResult

if TYPE_CHECKING:
    from ..registration.result_nodes import SliceRegistration

_OUTPUT_ROLE = "unsupervisedRegistrationOutput"  # From a result to the node that it is a copy of.


def storeResult(
    parameterNodeOrScene: Any,
    outcome: SliceRegistration,
    settings: dict[str, Any],
    errors: TreTable | None = None,
) -> StoredResult:
    """Keeps a copy of an outcome in the scene; the outcome stays as it is.

    Args:
        parameterNodeOrScene: A scene, a node in it, or a parameter node wrapper.
        outcome: What to keep.
        settings: Plain values, among them ``model``; anything else is kept as its text.
        errors: Of the landmarks.
    """
    scene, pair, measured = _sceneOf(parameterNodeOrScene), outcome.pair, outcome.registration
    now = datetime.now().astimezone()
    name = scene.GenerateUniqueName(f"{pair.movingVolume.GetName()}, {pair.plane.name}, {now:%H:%M:%S}")
    node = scene.AddNewNodeByClass("vtkMRMLTransformNode", name)
    content = {
        "time": now.isoformat(),
        "model": str(settings.get("model", "")),
        "settings": settings,
        "tre": None if errors is None else errors.summary(),
        "similarity": [measured.similarity_before, measured.similarity_after],
        "folding": measured.folding,
        "plane": {"shape": pair.plane.shape, "ijkToRas": pair.plane.ijkToRas.tolist(), "name": pair.plane.name},
        "undone": False,
    }
    copyResultTransform(outcome.transformNode, node)
    node.SetAttribute(STORED_RESULT_ATTRIBUTE, json.dumps(content, default=str))
    node.SetNodeReferenceID(_OUTPUT_ROLE, outcome.transformNode.GetID())
    node.SetNodeReferenceID(WARPED_ROLE, _copiedVolume(outcome.warpedVolume, f"{name}, warped").GetID())
    return readStoredResult(node)


def storedResults(scene: slicer.vtkMRMLScene) -> list[StoredResult]:
    """All results of a scene, the oldest first."""
    nodes = slicer.util.getNodesByClass("vtkMRMLTransformNode", scene)
    return sorted(
        (readStoredResult(node) for node in nodes if node.GetAttribute(STORED_RESULT_ATTRIBUTE)),
        key=lambda result: result.time,
    )


def storedResultProblems(result: StoredResult) -> list[str]:
    """What a result refers to and is no longer there, a sentence each."""
    sentences = [
        f"The {what} volume of '{result.name}' was deleted; the transform is still there."
        for what, volume in (("fixed", result.fixedVolume), ("moving", result.movingVolume))
        if volume is None
    ]
    if isModelMissing(result):
        sentences.append(
            f"The model '{result.model}' that made '{result.name}' is no longer there; the result can be shown,"
            " but not computed again. Put the model file back, or choose another model."
        )
    return sentences


def isModelMissing(result: StoredResult) -> bool:
    """Whether the model of a result can no longer be found, by name or as a file."""
    return bool(result.model) and result.model not in modelNames() and not Path(result.model).is_file()


def showStoredResult(result: StoredResult) -> None:
    """Puts the moving volume under a result.

    Raises:
        ValueError: The moving volume was deleted, or the transform would move the fixed volume too.
    """
    checkNotDeleted(result)
    moving, fixed = result.movingVolume, result.fixedVolume
    if moving is None:
        raise ValueError(f"The moving volume of '{result.name}' was deleted; load it again and register it again.")
    initial = result.transformNode.GetNodeReference(INITIAL_ROLE)
    checkHierarchy(result.transformNode, fixed and fixed is not moving and fixed.GetParentTransformNode(), initial)
    setParentTransform(moving, result.transformNode)
    if result.undone:
        changeStoredResult(result.transformNode, undone=False)


def deleteResult(result: StoredResult) -> None:
    """Removes a result with its warped slice; a moving volume under it goes back to its initial transform."""
    checkNotDeleted(result)
    if result.shown:
        _showInitial(result.movingVolume)
    for node in (result.warpedVolume, result.transformNode):
        if node is not None:
            removeWithDisplay(node)


def renameResult(result: StoredResult, name: str) -> StoredResult:
    """Gives a result another name.

    Raises:
        ValueError: The name is empty.
    """
    checkNotDeleted(result)
    if not name.strip():
        raise ValueError("A result needs a name; type one.")
    result.transformNode.SetName(name.strip())
    return readStoredResult(result.transformNode)


def undoLastApply(scene: slicer.vtkMRMLScene) -> str:
    """Shows what was there before the newest result, which stays in the list as undone; says what was done.

    Raises:
        ValueError: There is nothing to undo, or the moving volume has been moved by hand since.
    """
    applied = [result for result in storedResults(scene) if not result.undone and result.movingVolume is not None]
    if not applied:
        raise ValueError("There is nothing to undo; no result has been applied.")
    last, moving = applied[-1], applied[-1].movingVolume
    parent = moving.GetParentTransformNode()
    if parent is None or parent not in (last.transformNode, last.transformNode.GetNodeReference(_OUTPUT_ROLE)):
        raise ValueError(
            f"'{moving.GetName()}' no longer lies under the last result '{last.name}'; choose a result in the history."
        )
    earlier = [result for result in applied[:-1] if result.movingVolume is moving]
    if earlier:
        showStoredResult(earlier[-1])
        sentence = f"'{earlier[-1].name}' is shown again."
    else:
        _showInitial(moving)
        sentence = f"'{moving.GetName()}' lies as it did before the registration."
    changeStoredResult(last.transformNode, undone=True)
    return sentence


def _sceneOf(source: Any) -> slicer.vtkMRMLScene:
    node = getattr(source, "parameterNode", source)
    return node if isinstance(node, slicer.vtkMRMLScene) else node.GetScene()


def checkNotDeleted(result: StoredResult) -> None:
    if result.transformNode.GetScene() is None:
        raise ValueError(f"The result '{result.name}' was deleted; choose another one.")


def _showInitial(moving: slicer.vtkMRMLVolumeNode) -> None:
    setParentTransform(moving, initialTransformOf(moving))


def _copiedVolume(volume: slicer.vtkMRMLScalarVolumeNode, name: str) -> slicer.vtkMRMLScalarVolumeNode:
    """The same voxels, place and window in a new node."""
    copy = volume.GetScene().AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    slicer.util.updateVolumeFromArray(copy, slicer.util.arrayFromVolume(volume))
    copy.CopyOrientation(volume)
    copy.CreateDefaultDisplayNodes()
    if volume.GetDisplayNode() is not None:
        copy.GetDisplayNode().CopyContent(volume.GetDisplayNode())
    return copy
