"""Point lists of the fixed and the moving image."""

from __future__ import annotations

from typing import Any

import slicer
import slicer.util
import vtk

from ..geometry.result_transform import isResultTransform

_FOLLOWS = "UnsupervisedRegistration.Follows"  # Marks a point list that follows the moving volume.
_FIXED_COLOUR = (1.0, 0.55, 0.1)
_MOVING_COLOUR = (0.1, 0.8, 0.9)


def addLandmarks(
    scene: slicer.vtkMRMLScene, name: str, positions: dict[str, tuple[float, float, float]]
) -> slicer.vtkMRMLMarkupsFiducialNode:
    """A point list from labels and RAS positions, mm."""
    node = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", name)
    for label, position in positions.items():
        node.AddControlPoint(vtk.vtkVector3d(position), label)
    return node


def createLandmarkPair(
    scene: slicer.vtkMRMLScene, name: str = "Landmarks"
) -> tuple[slicer.vtkMRMLMarkupsFiducialNode, slicer.vtkMRMLMarkupsFiducialNode]:
    """Two empty point lists, orange for the fixed and cyan for the moving image; points are labelled 1, 2, 3 .."""
    lists = []
    for which, colour in (("fixed", _FIXED_COLOUR), ("moving", _MOVING_COLOUR)):
        node = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", scene.GenerateUniqueName(f"{name} {which}"))
        node.SetControlPointLabelFormat("%d")
        node.CreateDefaultDisplayNodes()
        node.GetDisplayNode().SetSelectedColor(*colour)
        node.GetDisplayNode().SetColor(*colour)
        lists.append(node)
    lists[1].SetAttribute(_FOLLOWS, "1")
    return lists[0], lists[1]


def followVolume(movingNode: slicer.vtkMRMLMarkupsNode, movingVolume: slicer.vtkMRMLVolumeNode) -> None:
    """Put moving landmarks under the parent transform of the moving volume, so that they move with the image.

    This applies to lists of ``createLandmarkPair`` and to lists under a result transform. The stored coordinates stay
    those of the moving image.
    """
    parent, wanted = movingNode.GetParentTransformNode(), movingVolume.GetParentTransformNode()
    follows = movingNode.GetAttribute(_FOLLOWS) or (parent is not None and isResultTransform(parent))
    if follows and parent is not wanted:
        movingNode.SetAndObserveTransformNodeID(None if wanted is None else wanted.GetID())


def labelledPositions(node: slicer.vtkMRMLMarkupsNode) -> list[tuple[Any, ...]]:
    """``(label, R, A, S)`` of every point, mm; in the space of the image if the list is under a result transform."""
    parent = node.GetParentTransformNode()
    isMoved = parent is not None and isResultTransform(parent)
    position = node.GetNthControlPointPosition if isMoved else node.GetNthControlPointPositionWorld
    return [(label, *position(index)) for index, label in pointLabels(node).items()]


def pointLabels(node: slicer.vtkMRMLMarkupsNode) -> dict[int, str]:
    """Index to label of every placed point; the name of the list in front of the label is removed."""
    return {
        index: node.GetNthControlPointLabel(index).removeprefix(f"{node.GetName()}-")
        for index in range(node.GetNumberOfControlPoints())
        if node.GetNthControlPointPositionStatus(index) == slicer.vtkMRMLMarkupsNode.PositionDefined
    }
