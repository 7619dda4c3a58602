"""The transform node that holds a registration result, and its place in the transform hierarchy."""

from __future__ import annotations

import slicer
import slicer.util
import vtk

from ..geometry.transforms import copiedTransform

UNWARPED_ROLE = "unsupervisedRegistrationUnwarped"
"""From a volume that is drawn as it lay to the outcome that it was taken from."""
INITIAL_ROLE = "unsupervisedRegistrationInitial"
"""Reference from the outcome to the transform that placed the moving volume before."""
_RESULT_ATTRIBUTE = "UnsupervisedRegistration.Outcome"
STORED_RESULT_ATTRIBUTE = "UnsupervisedRegistration.Result"
"""Attribute of a transform node that the history keeps; see ``history``."""
_WITH_INITIAL = "placed"  # Value of the attribute where the moving volume had an initial transform.


def initialTransformOf(movingVolume: slicer.vtkMRMLVolumeNode) -> slicer.vtkMRMLTransformNode | None:
    """What places a moving volume: its parent, or, under an earlier outcome of ours, what was its parent before.

    Raises:
        ValueError: That transform was deleted.
    """
    parent = movingVolume.GetParentTransformNode()
    if parent is None or not isResultTransform(parent):
        return parent
    initial = parent.GetNodeReference(INITIAL_ROLE)
    if initial is None and parent.GetAttribute(_RESULT_ATTRIBUTE) == _WITH_INITIAL:
        raise ValueError(
            f"The transform that placed '{movingVolume.GetName()}' before '{parent.GetName()}' was deleted;"
            " put the volume under the transform that should place it, or under none."
        )
    return initial


def isResultTransformOf(transformNode: slicer.vtkMRMLTransformNode, movingVolume: slicer.vtkMRMLVolumeNode) -> bool:
    """Whether a node holds an outcome for that moving volume, or none yet."""
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
    """Refuses an output node that cannot hold a displacement, or would move what it should not.

    Raises:
        ValueError: It would move the fixed volume, its own input or other nodes, or holds a kept result.
    """
    checkHierarchy(transformNode, fixedParent, initial)
    if transformNode.GetAttribute(STORED_RESULT_ATTRIBUTE) is not None:
        raise ValueError(f"The output '{transformNode.GetName()}' is kept in the history; choose a new one.")
    others = [] if isResultTransform(transformNode) else _nodesUnder(transformNode)
    if others:
        raise ValueError(f"The output '{transformNode.GetName()}' already moves '{others[0]}'; choose a new one.")
    if transformNode.IsA("vtkMRMLLinearTransformNode"):
        raise ValueError(f"'{transformNode.GetName()}' holds linear transforms only; choose a new output transform.")
    if transformNode.GetParentTransformNode() is not None:
        raise ValueError(f"The output '{transformNode.GetName()}' lies under another transform; choose a new one.")


def checkHierarchy(
    transformNode: slicer.vtkMRMLTransformNode,
    fixedParent: slicer.vtkMRMLTransformNode | None,
    initial: slicer.vtkMRMLTransformNode | None,
) -> None:
    """Refuses a transform that lies above the fixed volume, or above its own initial transform.

    Raises:
        ValueError: It does.
    """
    for what, first in (("fixed volume", fixedParent), ("initial transform", initial)):
        node = first
        while node is not None:
            if node is transformNode:
                raise ValueError(f"The output '{transformNode.GetName()}' already moves the {what}; choose a new one.")
            node = node.GetParentTransformNode()


def setResultTransform(
    transformNode: slicer.vtkMRMLTransformNode,
    outcome: vtk.vtkAbstractTransform,
    initial: slicer.vtkMRMLTransformNode | None,
    fixedVolume: slicer.vtkMRMLVolumeNode,
    movingVolume: slicer.vtkMRMLVolumeNode,
) -> None:
    """Puts an outcome made by ``composedTransform`` into a node and the moving volume under it."""
    with slicer.util.NodeModify(transformNode):
        transformNode.SetAndObserveTransformFromParent(outcome)
        transformNode.SetAttribute(_RESULT_ATTRIBUTE, "alone" if initial is None else _WITH_INITIAL)
        transformNode.SetNodeReferenceID(fixedRole(), fixedVolume.GetID())
        transformNode.SetNodeReferenceID(movingRole(), movingVolume.GetID())
        transformNode.SetNodeReferenceID(INITIAL_ROLE, initial.GetID() if initial is not None else None)
    setParentTransform(movingVolume, transformNode)


def setParentTransform(
    movingVolume: slicer.vtkMRMLVolumeNode, transformNode: slicer.vtkMRMLTransformNode | None
) -> None:
    """Puts a volume under a transform or none, and no longer takes it for one that is drawn unwarped."""
    movingVolume.SetNodeReferenceID(UNWARPED_ROLE, None)
    movingVolume.SetAndObserveTransformNodeID(None if transformNode is None else transformNode.GetID())


def copyResultTransform(source: slicer.vtkMRMLTransformNode, target: slicer.vtkMRMLTransformNode) -> None:
    """Makes a node hold the same outcome as another; moves no volume."""
    with slicer.util.NodeModify(target):
        target.SetAndObserveTransformFromParent(copiedTransform(source.GetTransformFromParent()))
        target.SetAttribute(_RESULT_ATTRIBUTE, source.GetAttribute(_RESULT_ATTRIBUTE))
        for role in (fixedRole(), movingRole(), INITIAL_ROLE):
            target.SetNodeReferenceID(role, source.GetNodeReferenceID(role))


def fixedRole() -> str:
    """Slicer's reference role for the fixed node of a registration."""
    return slicer.vtkMRMLTransformNode.GetFixedNodeReferenceRole()


def movingRole() -> str:
    """Slicer's reference role for the moving node of a registration."""
    return slicer.vtkMRMLTransformNode.GetMovingNodeReferenceRole()


def _nodesUnder(transformNode: slicer.vtkMRMLTransformNode) -> list[str]:
    """Names of the nodes that a transform moves."""
    nodes = slicer.util.getNodesByClass("vtkMRMLTransformableNode", transformNode.GetScene())
    return [node.GetName() for node in nodes if node.GetParentTransformNode() is transformNode]


def isWarped(movingVolume: slicer.vtkMRMLVolumeNode) -> bool:
    """Whether the volume is not one that ``showWarped`` draws as it lay."""
    return movingVolume.GetNodeReference(UNWARPED_ROLE) is None


def resultTransformOf(movingVolume: slicer.vtkMRMLVolumeNode) -> slicer.vtkMRMLTransformNode | None:
    """The outcome that the volume lies under, or would if it were not drawn unwarped; ``None`` without any."""
    parent = movingVolume.GetParentTransformNode()
    if parent is not None and isResultTransform(parent):
        return parent
    return movingVolume.GetNodeReference(UNWARPED_ROLE)
