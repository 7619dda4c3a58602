"""The transform node that holds a registration result, and its place in the transform hierarchy."""

from __future__ import annotations

import json
from collections.abc import Mapping

import slicer
import slicer.util
import vtk

from ..scene_nodes import nodesByClass
from .registered_slices import SLICES_ATTRIBUTE
from .transforms import copiedTransform

UNWARPED_ROLE = "unsupervisedRegistrationUnwarped"
"""Reference from a volume that is shown unwarped to the result transform that it was taken out of."""
UNTOUCHED_ROLE = "unsupervisedRegistrationUntouched"
"""Reference from a moving volume that stayed where it was to the result transform of its resampled copy."""
INITIAL_ROLE = "unsupervisedRegistrationInitial"
"""Reference from the result transform to the initial transform of the moving volume."""
_RESULT_ATTRIBUTE = "UnsupervisedRegistration.Outcome"  # Scenes that were saved before have this name.
STORED_RESULT_ATTRIBUTE = "UnsupervisedRegistration.Result"
"""Attribute of a transform node that the history stores; see ``history.stored_result``."""
ASSESSMENT_ATTRIBUTE = "UnsupervisedRegistration.ReaderAssessment"
"""Attribute of a transform node that was assessed by a reader; see ``reporting.assessment``."""
KEPT_COPY_ROLE = "unsupervisedRegistrationKeptCopy"
"""Reference from the result transform to its copy in the history, as long as both hold the same result."""
_FITTED_ATTRIBUTE = "UnsupervisedRegistration.FittedLandmarks"
_WITH_INITIAL, _WITHOUT_INITIAL = "placed", "alone"  # Values of _RESULT_ATTRIBUTE.


def initialTransformOf(movingVolume: slicer.vtkMRMLVolumeNode) -> slicer.vtkMRMLTransformNode | None:
    """The initial transform of a moving volume: its parent, or the parent that it had before the registration.

    Raises:
        ValueError: That transform was deleted.
    """
    parent = movingVolume.GetParentTransformNode()
    if parent is None or not isResultTransform(parent):
        return parent
    initial = parent.GetNodeReference(INITIAL_ROLE)
    if initial is None and parent.GetAttribute(_RESULT_ATTRIBUTE) == _WITH_INITIAL:
        raise ValueError(
            f"The initial transform of '{movingVolume.GetName()}' below '{parent.GetName()}' was deleted;"
            " put the volume under another initial transform, or under none."
        )
    return initial


def storedInitialTransform(transformNode: slicer.vtkMRMLTransformNode) -> slicer.vtkMRMLTransformNode | None:
    """The initial transform that a result was registered with; ``None`` without one, or for other transforms.

    Raises:
        ValueError: That transform was deleted.
    """
    initial = transformNode.GetNodeReference(INITIAL_ROLE)
    if initial is None and transformNode.GetAttribute(_RESULT_ATTRIBUTE) == _WITH_INITIAL:
        raise ValueError(
            f"The initial transform that '{transformNode.GetName()}' was registered with was deleted; register again."
        )
    return initial


def isResultTransformOf(transformNode: slicer.vtkMRMLTransformNode, movingVolume: slicer.vtkMRMLVolumeNode) -> bool:
    """Whether a node holds a result of that moving volume, or no result yet."""
    return (
        not isResultTransform(transformNode) or transformNode.GetNodeReferenceID(movingRole()) == movingVolume.GetID()
    )


def isResultTransform(transformNode: slicer.vtkMRMLTransformNode) -> bool:
    """Whether a node was filled by ``setResultTransform``."""
    return transformNode.GetAttribute(_RESULT_ATTRIBUTE) is not None


def checkOutputTransform(
    transformNode: slicer.vtkMRMLTransformNode,
    fixedParent: slicer.vtkMRMLTransformNode | None,
    initial: slicer.vtkMRMLTransformNode | None,
) -> None:
    """Refuse an output node that cannot hold a displacement, or that would move other nodes.

    Raises:
        ValueError: It would move the fixed volume, the initial transform or other nodes; it holds a stored result, is
            linear only, or has a parent transform.
    """
    checkHierarchy(transformNode, fixedParent, initial)
    if transformNode.GetAttribute(STORED_RESULT_ATTRIBUTE) is not None:
        raise ValueError(f"The output '{transformNode.GetName()}' is a stored result of the history; choose a new one.")
    others = [] if isResultTransform(transformNode) else _nodesUnder(transformNode)
    if others:
        raise ValueError(f"The output '{transformNode.GetName()}' already moves '{others[0]}'; choose a new one.")
    if transformNode.IsA("vtkMRMLLinearTransformNode"):
        raise ValueError(f"'{transformNode.GetName()}' holds linear transforms only; choose a new output transform.")
    if transformNode.GetParentTransformNode() is not None:
        raise ValueError(f"The output '{transformNode.GetName()}' has a parent transform; choose a new one.")


def checkHierarchy(
    transformNode: slicer.vtkMRMLTransformNode,
    fixedParent: slicer.vtkMRMLTransformNode | None,
    initial: slicer.vtkMRMLTransformNode | None,
) -> None:
    """Refuse a transform that is above the fixed volume, or above the initial transform.

    Raises:
        ValueError: It is.
    """
    for what, first in (("fixed volume", fixedParent), ("initial transform", initial)):
        node = first
        while node is not None:
            if node is transformNode:
                raise ValueError(f"The output '{transformNode.GetName()}' already moves the {what}; choose a new one.")
            node = node.GetParentTransformNode()


def setResultTransform(
    transformNode: slicer.vtkMRMLTransformNode,
    fromParent: vtk.vtkAbstractTransform,
    initial: slicer.vtkMRMLTransformNode | None,
    fixedVolume: slicer.vtkMRMLVolumeNode,
    movingVolume: slicer.vtkMRMLVolumeNode,
) -> None:
    """Store the transform of ``composedTransform`` in a node, and put the moving volume under it.

    The assessment of the former result and the reference to its copy in the history are removed.
    """
    with slicer.util.NodeModify(transformNode):
        transformNode.SetAndObserveTransformFromParent(fromParent)
        for attribute in (_FITTED_ATTRIBUTE, ASSESSMENT_ATTRIBUTE):
            transformNode.SetAttribute(attribute, None)
        transformNode.SetNodeReferenceID(KEPT_COPY_ROLE, None)
        transformNode.SetAttribute(_RESULT_ATTRIBUTE, _WITHOUT_INITIAL if initial is None else _WITH_INITIAL)
        transformNode.SetNodeReferenceID(fixedRole(), fixedVolume.GetID())
        transformNode.SetNodeReferenceID(movingRole(), movingVolume.GetID())
        transformNode.SetNodeReferenceID(INITIAL_ROLE, initial.GetID() if initial is not None else None)
    setParentTransform(movingVolume, transformNode)


def setParentTransform(
    movingVolume: slicer.vtkMRMLVolumeNode, transformNode: slicer.vtkMRMLTransformNode | None
) -> None:
    """Set or remove the parent transform of a node; a volume that was shown unwarped no longer counts as such."""
    for role in (UNWARPED_ROLE, UNTOUCHED_ROLE):
        movingVolume.SetNodeReferenceID(role, None)
    movingVolume.SetAndObserveTransformNodeID(None if transformNode is None else transformNode.GetID())


def copyResultTransform(source: slicer.vtkMRMLTransformNode, target: slicer.vtkMRMLTransformNode) -> None:
    """Copy a result from one node to another; no volume is moved."""
    with slicer.util.NodeModify(target):
        target.SetAndObserveTransformFromParent(copiedTransform(source.GetTransformFromParent()))
        for attribute in (_RESULT_ATTRIBUTE, _FITTED_ATTRIBUTE, SLICES_ATTRIBUTE, ASSESSMENT_ATTRIBUTE):
            target.SetAttribute(attribute, source.GetAttribute(attribute))
        for role in (fixedRole(), movingRole(), INITIAL_ROLE):
            target.SetNodeReferenceID(role, source.GetNodeReferenceID(role))


def setFittedLandmarks(transformNode: slicer.vtkMRMLTransformNode, landmarkErrors: Mapping[str, float | None]) -> None:
    """Store the labels of the landmarks that steered a result.

    Args:
        transformNode: Result transform.
        landmarkErrors: Label to the error of the landmark when it is left out, mm; ``None`` where it was not estimated.
    """
    transformNode.SetAttribute(_FITTED_ATTRIBUTE, json.dumps(landmarkErrors) if landmarkErrors else None)


def fittedLandmarks(transformNode: slicer.vtkMRMLTransformNode) -> dict[str, float | None]:
    """The landmarks that steered a result, as they were stored; empty if none steered it."""
    stored: dict[str, float | None] = json.loads(transformNode.GetAttribute(_FITTED_ATTRIBUTE) or "{}")
    return stored


def fixedRole() -> str:
    """Slicer's reference role for the fixed node of a registration."""
    return slicer.vtkMRMLTransformNode.GetFixedNodeReferenceRole()


def movingRole() -> str:
    """Slicer's reference role for the moving node of a registration."""
    return slicer.vtkMRMLTransformNode.GetMovingNodeReferenceRole()


def _nodesUnder(transformNode: slicer.vtkMRMLTransformNode) -> list[str]:
    """Names of the nodes directly under a transform."""
    nodes = nodesByClass(transformNode.GetScene(), "vtkMRMLTransformableNode")
    return [node.GetName() for node in nodes if node.GetParentTransformNode() is transformNode]


def isWarped(movingVolume: slicer.vtkMRMLVolumeNode) -> bool:
    """Whether a volume is shown through its result transform; false after ``showWarped(.., False)``."""
    return movingVolume.GetNodeReference(UNWARPED_ROLE) is None


def resultTransformOf(movingVolume: slicer.vtkMRMLVolumeNode) -> slicer.vtkMRMLTransformNode | None:
    """The result transform of a volume, also while it is shown unwarped or stays untouched; ``None`` without any."""
    parent = movingVolume.GetParentTransformNode()
    if parent is not None and isResultTransform(parent):
        return parent
    return movingVolume.GetNodeReference(UNWARPED_ROLE) or movingVolume.GetNodeReference(UNTOUCHED_ROLE)
