"""The transforms that take a node along, from one side of a registration to the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import slicer
import vtk

from ..geometry.result_transform import fixedRole, movingRole, storedInitialTransform
from ..geometry.transforms import transformToWorld, worldToLocal

PropagationDirection = Literal["moving to fixed", "fixed to moving"]


@dataclass(frozen=True)
class NodeMap:
    """Where the points of a node lie before and after it is taken along.

    Attributes:
        before: From the RAS space of the node to the world before the registration.
        after: From the RAS space of the node to the RAS space of ``reference``.
        reference: The volume that the node is taken to.
        parent: Parent transform of the reference volume, before the registration; ``None`` without one.
    """

    before: vtk.vtkGeneralTransform
    after: vtk.vtkGeneralTransform
    reference: slicer.vtkMRMLVolumeNode
    parent: slicer.vtkMRMLTransformNode | None

    @property
    def afterInWorld(self) -> vtk.vtkGeneralTransform:
        """From the RAS space of the node to its place in the world after it is taken along."""
        return _chain(self.after, transformToWorld(self.parent))


def referenceVolume(
    transformNode: slicer.vtkMRMLTransformNode, direction: PropagationDirection
) -> slicer.vtkMRMLVolumeNode:
    """The volume on whose grid images are resampled: the fixed one, or the moving one for the opposite direction.

    Raises:
        ValueError: The transform names no such volume, or the volume was deleted.
    """
    isToFixed = direction == "moving to fixed"
    volume = transformNode.GetNodeReference(fixedRole() if isToFixed else movingRole())
    if volume is None or not volume.IsA("vtkMRMLVolumeNode"):
        raise ValueError(
            f"The transform '{transformNode.GetName()}' has no {'fixed' if isToFixed else 'moving'} volume in the"
            " scene; load it again and register again."
        )
    return volume


def nodeMap(
    node: slicer.vtkMRMLTransformableNode,
    transformNode: slicer.vtkMRMLTransformNode,
    direction: PropagationDirection,
) -> NodeMap:
    """The transforms of a node.

    A node of the moving side lies on the moving volume as it was before the registration: it has the same initial
    transform as parent, or another parent that puts it there. A node under ``transformNode`` follows already.

    Args:
        node: Node to take along.
        transformNode: Parent transform of the warped moving volume.
        direction: Side that the node is taken to.

    Raises:
        ValueError: The node is not on the side that it is taken from, or the reference volume was deleted.
    """
    reference, initial = referenceVolume(transformNode, direction), storedInitialTransform(transformNode)
    parent, follows = node.GetParentTransformNode(), isUnder(node, transformNode)
    if direction == "fixed to moving":
        if follows:
            raise ValueError(
                f"'{node.GetName()}' is under '{transformNode.GetName()}' and belongs to the moving volume;"
                " choose the direction from moving to fixed."
            )
        before = transformToWorld(parent)
        return NodeMap(before, _chain(before, worldToLocal(transformNode)), reference, initial)
    fixedParent = reference.GetParentTransformNode()
    toFixed = (transformToWorld(transformNode), worldToLocal(fixedParent))
    if follows or parent is initial:
        return NodeMap(transformToWorld(initial), _chain(*toFixed), reference, fixedParent)
    before = transformToWorld(parent)
    return NodeMap(before, _chain(before, worldToLocal(initial), *toFixed), reference, fixedParent)


def isUnder(node: slicer.vtkMRMLTransformableNode, transformNode: slicer.vtkMRMLTransformNode) -> bool:
    """Whether a transform is the direct parent of a node."""
    return node.GetParentTransformNode() is transformNode


def _chain(*transforms: vtk.vtkAbstractTransform) -> vtk.vtkGeneralTransform:
    """The transforms one after the other, the first one first."""
    chain = vtk.vtkGeneralTransform()
    chain.PostMultiply()
    for transform in transforms:
        chain.Concatenate(transform)
    return chain
