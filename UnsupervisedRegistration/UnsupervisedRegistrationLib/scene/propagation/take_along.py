"""A list of nodes taken along with a registration, under a transform or as copies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import slicer

from ..geometry.result_transform import fixedRole, setParentTransform, storedInitialTransform
from ..scene_nodes import nodesByClass
from .hardened_copy import COPIED_KINDS, hardenedCopy, removeCopies
from .inverse_transform import inverseTransformNode, knownInverse
from .node_map import PropagationDirection, isUnder, nodeMap
from .resampling import ResampleOptions

PropagationMethod = Literal["Set parent transform", "Hardened copy"]


@dataclass(frozen=True)
class PropagationOptions:
    """How nodes are taken along.

    Attributes:
        direction: From the moving volume onto the fixed one, or the opposite.
        method: Under the transform, or as copies.
        resampling: How images are resampled for copies.
        keepInverse: Whether the inverse transform becomes a node of its own, which children of it need anyway.
    """

    direction: PropagationDirection = "moving to fixed"
    method: PropagationMethod = "Set parent transform"
    resampling: ResampleOptions = field(default_factory=ResampleOptions)
    keepInverse: bool = False


@dataclass(frozen=True)
class TakenAlong:
    """What was taken along.

    Attributes:
        nodes: The copies, or the nodes that are under the transform now.
        inverse: Node of the inverse transform; ``None`` if it was not needed.
    """

    nodes: tuple[slicer.vtkMRMLDisplayableNode, ...]
    inverse: slicer.vtkMRMLTransformNode | None


def takeAlong(
    nodes: Sequence[slicer.vtkMRMLDisplayableNode],
    transformNode: slicer.vtkMRMLTransformNode,
    options: PropagationOptions | None = None,
) -> TakenAlong:
    """Take nodes along with a registration, all of them or none.

    Args:
        nodes: Segmentations, models, markups, labelmaps and volumes.
        transformNode: Parent transform of the warped moving volume.
        options: Direction and method.

    Raises:
        ValueError: A node cannot be taken along; the scene is as it was.
    """
    options = options or PropagationOptions()
    if not nodes:
        raise ValueError("No node was chosen; select the nodes to take along.")
    if options.method == "Hardened copy":
        made = _copies(nodes, transformNode, options)
        return TakenAlong(made, inverseTransformNode(transformNode) if options.keepInverse else None)
    for node in nodes:
        _checkParent(node, transformNode, options.direction)
    isInverse = options.direction == "fixed to moving"
    inverse = inverseTransformNode(transformNode) if isInverse or options.keepInverse else None
    for node in nodes:
        setParentTransform(node, inverse if isInverse else transformNode)
    return TakenAlong(tuple(nodes), inverse)


def nodesToTakeAlong(
    transformNode: slicer.vtkMRMLTransformNode, direction: PropagationDirection
) -> list[slicer.vtkMRMLDisplayableNode]:
    """The visible nodes of the scene that can be taken along, without the volume that they are taken to."""
    scene = transformNode.GetScene()
    reference = transformNode.GetNodeReference(fixedRole()) if direction == "moving to fixed" else None
    found: dict[str, slicer.vtkMRMLDisplayableNode] = {}
    for kind in COPIED_KINDS:
        found |= {node.GetID(): node for node in nodesByClass(scene, kind)}
    return [
        node
        for node in found.values()
        if node is not reference
        and not node.GetHideFromEditors()
        and not (direction == "fixed to moving" and isUnder(node, transformNode))
    ]


def _copies(
    nodes: Sequence[slicer.vtkMRMLDisplayableNode],
    transformNode: slicer.vtkMRMLTransformNode,
    options: PropagationOptions,
) -> tuple[slicer.vtkMRMLDisplayableNode, ...]:
    made: list[slicer.vtkMRMLDisplayableNode] = []
    try:
        for node in nodes:
            made.append(hardenedCopy(node, transformNode, options.direction, options.resampling))
    except ValueError:
        removeCopies(made)
        raise
    return tuple(made)


def _checkParent(
    node: slicer.vtkMRMLDisplayableNode,
    transformNode: slicer.vtkMRMLTransformNode,
    direction: PropagationDirection,
) -> None:
    """Refuses a node whose own parent transform would be lost, or that must not move."""
    if node.GetScene() is None:
        raise ValueError(f"'{node.GetName()}' was deleted; choose another node.")
    reference = nodeMap(node, transformNode, direction).reference
    fixed = transformNode.GetNodeReference(fixedRole())
    if node is reference or node is fixed:
        raise ValueError(f"'{node.GetName()}' is what the registration refers to; take along a hardened copy of it.")
    parent = node.GetParentTransformNode()
    isToFixed = direction == "moving to fixed"
    allowed = (
        [storedInitialTransform(transformNode), transformNode] if isToFixed else [None, knownInverse(transformNode)]
    )
    if not any(parent is one for one in allowed):
        name = "no parent transform" if parent is None else f"the parent transform '{parent.GetName()}'"
        raise ValueError(
            f"'{node.GetName()}' has {name}, unlike the volume that it lies on, so another parent would move it"
            " elsewhere; take along a hardened copy of it."
        )
