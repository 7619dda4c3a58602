"""The inverse of a result: a transform node for what is taken from the fixed to the moving side."""

from __future__ import annotations

import slicer
import slicer.util
import vtk

from ..geometry.result_transform import fixedRole, movingRole, storedInitialTransform
from ..geometry.transforms import copiedTransform, transformToWorld, worldToLocal
from ..scene_nodes import nodesByClass

_INVERSE_ROLE = "unsupervisedRegistrationInverseOf"


def inverseTransformNode(transformNode: slicer.vtkMRMLTransformNode) -> slicer.vtkMRMLTransformNode:
    """The node whose children move from the fixed to the moving side; created or updated.

    It takes a point of the fixed image to the corresponding point of the moving image, as the moving volume lay before
    the registration. Its fixed and moving roles are those of ``transformNode``, exchanged.

    Raises:
        ValueError: The initial transform of the moving volume was deleted.
    """
    initial = storedInitialTransform(transformNode)
    toMoving = vtk.vtkGeneralTransform()
    toMoving.PostMultiply()
    toMoving.Concatenate(copiedTransform(worldToLocal(transformNode)))
    if initial is not None:
        toMoving.Concatenate(copiedTransform(transformToWorld(initial)))
    inverse = knownInverse(transformNode) or _created(transformNode)
    with slicer.util.NodeModify(inverse):
        inverse.SetAndObserveTransformToParent(toMoving)
        inverse.SetNodeReferenceID(_INVERSE_ROLE, transformNode.GetID())
        inverse.SetNodeReferenceID(fixedRole(), transformNode.GetNodeReferenceID(movingRole()))
        inverse.SetNodeReferenceID(movingRole(), transformNode.GetNodeReferenceID(fixedRole()))
    return inverse


def knownInverse(transformNode: slicer.vtkMRMLTransformNode) -> slicer.vtkMRMLTransformNode | None:
    """The inverse node of a transform that the scene holds already; ``None`` without one."""
    nodes = nodesByClass(transformNode.GetScene(), "vtkMRMLTransformNode")
    return next((node for node in nodes if node.GetNodeReference(_INVERSE_ROLE) is transformNode), None)


def _created(transformNode: slicer.vtkMRMLTransformNode) -> slicer.vtkMRMLTransformNode:
    scene = transformNode.GetScene()
    name = scene.GenerateUniqueName(f"{transformNode.GetName()} (inverse)")
    return scene.AddNewNodeByClass("vtkMRMLTransformNode", name)
