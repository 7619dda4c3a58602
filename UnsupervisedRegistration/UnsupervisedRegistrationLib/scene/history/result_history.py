"""The history: results of earlier registrations, stored in the scene and therefore saved with it.

A stored result is a copy of the result transform. Its attribute holds the measures and settings, a reference leads to
a copy of the warped slice. Only these copies are ever deleted.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import slicer
import slicer.util

from ..display.view_state import removeWithDisplay
from ..geometry.registered_slices import registeredSlices
from ..geometry.result_transform import (
    INITIAL_ROLE,
    KEPT_COPY_ROLE,
    STORED_RESULT_ATTRIBUTE,
    checkHierarchy,
    copyResultTransform,
    initialTransformOf,
    setParentTransform,
)
from ..landmarks.tre_export import fillTreTableNode
from ..landmarks.tre_table import TreTable
from ..registration.model_folders import modelNames
from ..result_folder import KEPT_ATTRIBUTE, putIntoFolder, removeFromFolder, renameSubfolder, uniqueName
from ..scene_nodes import nodesByClass
from .stored_result import (
    KEPT_TABLE_ROLE,
    WARPED_ROLE,
    StoredResult,
    changeStoredResult,
    checkNotDeleted,
    readStoredResult,
)

if TYPE_CHECKING:
    from ..registration.result_nodes import SliceRegistration

_OUTPUT_ROLE = "unsupervisedRegistrationOutput"  # From a stored result to the node that it copies.


def storeResult(
    parameterNodeOrScene: Any,
    result: SliceRegistration,
    settings: dict[str, Any],
    tre: TreTable | None = None,
) -> StoredResult:
    """Store a copy of a result in the scene.

    Args:
        parameterNodeOrScene: A scene, a node in it, or a parameter node wrapper.
        result: Result to copy.
        settings: Plain values, with ``model`` among them; other objects are stored as text.
        tre: TRE of the landmarks, if there are any.
    """
    scene, pair, measured = _sceneOf(parameterNodeOrScene), result.pair, result.registration
    now, plane = datetime.now().astimezone(), pair.plane
    name = uniqueName(scene, f"{pair.movingVolume.GetName()}, {plane.name}")
    node = _addKept(scene, "vtkMRMLTransformNode", name, name)
    content = {
        "time": now.isoformat(),
        "model": str(settings.get("model", "")),
        "settings": settings,
        **_storedTre(tre),
        "similarity": [measured.similarity_before, measured.similarity_after],
        "folding": measured.folding,
        "plane": {"shape": plane.shape, "ijkToRas": plane.ijkToRas.tolist(), "name": plane.name},
        "undone": False,
    }
    copyResultTransform(result.transformNode, node)
    node.SetAttribute(STORED_RESULT_ATTRIBUTE, json.dumps(content, default=str))
    node.SetNodeReferenceID(_OUTPUT_ROLE, result.transformNode.GetID())
    result.transformNode.SetNodeReferenceID(KEPT_COPY_ROLE, node.GetID())
    node.SetNodeReferenceID(WARPED_ROLE, _copiedVolume(result.warpedVolume, name).GetID())
    if tre is not None:
        table = _addKept(scene, "vtkMRMLTableNode", f"{name}, TRE", name)
        fillTreTableNode(table, tre, registeredSlices(node))
        node.SetNodeReferenceID(KEPT_TABLE_ROLE, table.GetID())
    return readStoredResult(node)


def storedResults(scene: slicer.vtkMRMLScene) -> list[StoredResult]:
    """All stored results of a scene, the oldest first."""
    nodes = nodesByClass(scene, "vtkMRMLTransformNode")
    return sorted(
        (readStoredResult(node) for node in nodes if node.GetAttribute(STORED_RESULT_ATTRIBUTE)),
        key=lambda result: result.time,
    )


def keptNodes(scene: slicer.vtkMRMLScene) -> list[slicer.vtkMRMLNode]:
    """Transforms, warped slices and tables of all stored results."""
    nodes = nodesByClass(scene, "vtkMRMLStorableNode")
    return [node for node in nodes if node.GetAttribute(KEPT_ATTRIBUTE) or node.GetAttribute(STORED_RESULT_ATTRIBUTE)]


def storedResultProblems(result: StoredResult) -> list[str]:
    """One sentence for each volume or model of a stored result that is missing."""
    sentences = [
        f"The {what} volume of '{result.name}' was deleted; the transform is kept."
        for what, volume in (("fixed", result.fixedVolume), ("moving", result.movingVolume))
        if volume is None
    ]
    if isModelMissing(result):
        sentences.append(
            f"The model '{result.model}' of '{result.name}' is missing; the result can be shown, but not computed"
            " again. Restore the model file, or choose another model."
        )
    return sentences


def isModelMissing(result: StoredResult) -> bool:
    """Whether the model of a stored result is neither a known name nor a file."""
    return bool(result.model) and result.model not in modelNames() and not Path(result.model).is_file()


def showStoredResult(result: StoredResult) -> None:
    """Put the moving volume under a stored result.

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
    """Delete all nodes of a stored result; a shown result first gives way to the initial transform."""
    checkNotDeleted(result)
    if result.shown:
        _showInitial(result.movingVolume)
    for node in (result.warpedVolume, result.treTable, result.transformNode):
        if node is not None:
            removeFromFolder(node)
            removeWithDisplay(node)


def renameResult(result: StoredResult, name: str) -> StoredResult:
    """Rename a stored result.

    Raises:
        ValueError: The name is empty.
    """
    checkNotDeleted(result)
    if not name.strip():
        raise ValueError("A result needs a name; type one.")
    result.transformNode.SetName(name.strip())
    renameSubfolder(result.transformNode, name.strip())
    return readStoredResult(result.transformNode)


def undoLastApply(scene: slicer.vtkMRMLScene) -> str:
    """Show the result before the newest one, which stays in the list as undone; returns a sentence.

    Raises:
        ValueError: There is nothing to undo, or the moving volume was put under another transform since.
    """
    applied = [result for result in storedResults(scene) if not result.undone and result.movingVolume is not None]
    if not applied:
        raise ValueError("There is nothing to undo; no result has been applied.")
    last = applied[-1]
    moving: slicer.vtkMRMLVolumeNode = last.movingVolume
    parent = moving.GetParentTransformNode()
    if parent is None or parent not in (last.transformNode, last.transformNode.GetNodeReference(_OUTPUT_ROLE)):
        raise ValueError(
            f"'{moving.GetName()}' is no longer under the last result '{last.name}'; choose a result in the history."
        )
    earlier = [result for result in applied[:-1] if result.movingVolume is moving]
    if earlier:
        showStoredResult(earlier[-1])
        sentence = f"'{earlier[-1].name}' is shown again."
    else:
        _showInitial(moving)
        sentence = f"'{moving.GetName()}' is shown as it was before the registration."
    changeStoredResult(last.transformNode, undone=True)
    return sentence


def _storedTre(tre: TreTable | None) -> dict[str, Any]:
    """The TRE of the independent landmarks, or that of the fitted ones if all landmarks steered."""
    if tre is None:
        return {"tre": None, "treFitted": False}
    isFitted = not tre.independent.labels
    return {"tre": (tre if isFitted else tre.independent).summary(), "treFitted": isFitted}


def _sceneOf(source: Any) -> slicer.vtkMRMLScene:
    node = getattr(source, "parameterNode", source)
    return node if isinstance(node, slicer.vtkMRMLScene) else node.GetScene()


def _showInitial(moving: slicer.vtkMRMLVolumeNode) -> None:
    setParentTransform(moving, initialTransformOf(moving))


def _addKept(scene: slicer.vtkMRMLScene, className: str, name: str, resultName: str) -> Any:
    """A new node of a stored result, in the subfolder of the result; selectors of the panel leave it out."""
    node = scene.CreateNodeByClass(className)
    node.UnRegister(None)
    node.SetName(name)
    node.SetAttribute(KEPT_ATTRIBUTE, "1")
    scene.AddNode(node)
    putIntoFolder(node, resultName)
    return node


def _copiedVolume(volume: slicer.vtkMRMLScalarVolumeNode, resultName: str) -> slicer.vtkMRMLScalarVolumeNode:
    """A copy of a volume with its voxels, geometry, and window and level, as the warped slice of a stored result."""
    copy = _addKept(volume.GetScene(), "vtkMRMLScalarVolumeNode", f"{resultName}, warped", resultName)
    slicer.util.updateVolumeFromArray(copy, slicer.util.arrayFromVolume(volume))
    copy.CopyOrientation(volume)
    copy.CreateDefaultDisplayNodes()
    if volume.GetDisplayNode() is not None:
        copy.GetDisplayNode().CopyContent(volume.GetDisplayNode())
    return copy
