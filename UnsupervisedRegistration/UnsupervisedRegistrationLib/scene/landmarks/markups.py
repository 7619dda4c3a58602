"""Landmarks of both images, and how far apart they are before and after the registration."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer
import slicer.util
import vtk

from ..geometry.planes import SlicePlane
from ..geometry.transforms import initialTransformOf, isOutcome
from ..geometry.volumes import worldToLocal

_FOLLOWS = "UnsupervisedRegistration.Follows"  # On a point list that lies where the moving image is drawn.
_SUMMARY = {"mean": np.mean, "SD": np.std, "median": np.median, "max": np.max}
_FIXED_COLOUR = (1.0, 0.55, 0.1)
_MOVING_COLOUR = (0.1, 0.8, 0.9)


@dataclass(frozen=True)
class LandmarkErrors:
    """Target registration error of paired landmarks.

    Attributes:
        labels: Of the pairs, in the order of the fixed list.
        fixed: ``(N, 3)`` positions of the fixed landmarks, RAS mm.
        before: ``(N, 3)`` R, A, S from the moving landmark to the fixed one, mm, as the images lay.
        after: ``(N, 3)`` from the moving landmark to where the transform takes the fixed one, mm.
    """

    labels: tuple[str, ...]
    fixed: np.ndarray
    before: np.ndarray
    after: np.ndarray

    def summary(self) -> dict[str, dict[str, float]]:
        """Mean, SD, median and max of the distances in mm, before and after; NaN without a landmark."""
        distances = {name: np.linalg.norm(vectors, axis=1) for name, vectors in self._vectors().items()}
        return {name: summarise(values) for name, values in distances.items()}

    def distances(self, plane: SlicePlane) -> np.ndarray:
        """``(N,)``, how far the fixed landmarks lie from a plane, mm."""
        return plane.distances(self.fixed)

    def offPlane(self, plane: SlicePlane) -> np.ndarray:
        """``(N,)`` bool, which lie more than half a slice away, so that their error says little about the slice."""
        return self.distances(plane) > plane.thickness / 2

    def _vectors(self) -> dict[str, np.ndarray]:
        return {"before": self.before, "after": self.after}


def summarise(values: np.ndarray) -> dict[str, float]:
    """Mean, SD, median and max; NaN if there is no value."""
    return {name: float(f(values)) if len(values) else float("nan") for name, f in _SUMMARY.items()}


def pairLandmarks(
    fixedNode: slicer.vtkMRMLMarkupsNode, movingNode: slicer.vtkMRMLMarkupsNode, complete: bool = True
) -> list[tuple[str, int, int]]:
    """Label, index in the fixed list and index in the moving list of every pair.

    Labels are compared without the name of their list in front, so "F-1" of list "F" pairs with "M-1" of list "M".

    Args:
        fixedNode: Landmarks on the fixed image.
        movingNode: Landmarks on the moving image.
        complete: Refuse lists that do not pair; otherwise what does not pair is left out.

    Raises:
        ValueError: A list is empty, a label occurs twice, or has no partner; the labels are named.
    """
    problems = pairingProblems(fixedNode, movingNode) if complete else []
    if problems:
        raise ValueError(" ".join(problems))
    fixed, moving = _indexByLabel(fixedNode), _indexByLabel(movingNode)
    return [(name, index, moving[name]) for name, index in fixed.items() if name in moving]


def pairingProblems(fixedNode: slicer.vtkMRMLMarkupsNode, movingNode: slicer.vtkMRMLMarkupsNode) -> list[str]:
    """Why two lists do not pair completely, a sentence each; nothing if they do."""
    problems = []
    for node in (fixedNode, movingNode):
        twice = [name for name, count in Counter(pointLabels(node).values()).items() if count > 1]
        if not pointLabels(node):
            problems.append(f"The landmark list '{node.GetName()}' has no point; place at least one.")
        elif twice:
            problems.append(f"In the landmark list '{node.GetName()}' these labels occur twice: {', '.join(twice)}.")
    if problems:
        return problems
    fixed, moving = _indexByLabel(fixedNode), _indexByLabel(movingNode)
    lonely = [f"'{name}' (only fixed)" for name in fixed if name not in moving]
    lonely += [f"'{name}' (only moving)" for name in moving if name not in fixed]
    if not lonely:
        return []
    count = "" if len(fixed) == len(moving) else f" The lists have {len(fixed)} and {len(moving)} points."
    named = ", ".join(lonely)
    return [f"Landmarks are paired by label, and these have no partner: {named}. Rename or place them.{count}"]


def targetRegistrationError(
    fixedNode: slicer.vtkMRMLMarkupsNode,
    movingNode: slicer.vtkMRMLMarkupsNode,
    transformNode: slicer.vtkMRMLTransformNode,
    movingVolume: slicer.vtkMRMLVolumeNode,
    complete: bool = True,
) -> LandmarkErrors:
    """``|FromParent(fixed) - moving|`` of every pair, exact because no inverse is needed.

    Args:
        fixedNode: Landmarks on the fixed image.
        movingNode: Landmarks on the moving image; they may lie under ``transformNode`` or not.
        transformNode: The outcome, above ``movingVolume``.
        movingVolume: Tells how the moving image lay before.
        complete: See ``pairLandmarks``; without it there may be no pair at all.

    Raises:
        ValueError: The landmarks do not pair.
    """
    initial = initialTransformOf(movingVolume)
    fixed, moving = pairedPoints(fixedNode, movingNode, initial, complete)
    toInitial, fromWorld = transformToWorld(initial), worldToLocal(transformNode)
    mapped = [toInitial.TransformPoint(fromWorld.TransformPoint(point)) for point in fixed]
    labels = tuple(label for label, _, _ in pairLandmarks(fixedNode, movingNode, complete))
    return LandmarkErrors(labels, fixed, fixed - moving, np.reshape(mapped, (-1, 3)) - moving)


def pairedPoints(
    fixedNode: slicer.vtkMRMLMarkupsNode,
    movingNode: slicer.vtkMRMLMarkupsNode,
    initial: slicer.vtkMRMLTransformNode | None,
    complete: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    """Fixed and moving positions of all pairs, ``(N, 3)`` RAS mm each, as the images lay before an outcome.

    Args:
        fixedNode: Landmarks on the fixed image.
        movingNode: Landmarks on the moving image; under an outcome, they are taken as under ``initial``.
        initial: Transform that placed the moving image.
        complete: See ``pairLandmarks``.

    Raises:
        ValueError: The landmarks do not pair.
    """
    parent, toInitial = movingNode.GetParentTransformNode(), transformToWorld(initial)
    fixed, moving = [], []
    for _, fixedIndex, movingIndex in pairLandmarks(fixedNode, movingNode, complete):
        fixed.append(fixedNode.GetNthControlPointPositionWorld(fixedIndex))
        if parent is not None and isOutcome(parent):
            moving.append(toInitial.TransformPoint(movingNode.GetNthControlPointPosition(movingIndex)))
        else:
            moving.append(movingNode.GetNthControlPointPositionWorld(movingIndex))
    return np.reshape(fixed, (-1, 3)), np.reshape(moving, (-1, 3))


def addLandmarks(
    scene: slicer.vtkMRMLScene, name: str, positions: dict[str, tuple[float, float, float]]
) -> slicer.vtkMRMLMarkupsFiducialNode:
    """A point list with labels, RAS mm."""
    node = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", name)
    for label, position in positions.items():
        node.AddControlPoint(vtk.vtkVector3d(position), label)
    return node


def createLandmarkPair(
    scene: slicer.vtkMRMLScene, name: str = "Landmarks"
) -> tuple[slicer.vtkMRMLMarkupsFiducialNode, slicer.vtkMRMLMarkupsFiducialNode]:
    """Two empty point lists, orange for the fixed and cyan for the moving image, whose points are called 1, 2, 3 .."""
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
    """Lets points made by ``createLandmarkPair``, or put under an outcome, lie where the volume is drawn.

    Their own coordinates stay those of the moving image, whichever transform it is drawn through.
    """
    parent, wanted = movingNode.GetParentTransformNode(), movingVolume.GetParentTransformNode()
    follows = movingNode.GetAttribute(_FOLLOWS) or (parent is not None and isOutcome(parent))
    if follows and parent is not wanted:
        movingNode.SetAndObserveTransformNodeID(None if wanted is None else wanted.GetID())


def ownPositions(node: slicer.vtkMRMLMarkupsNode) -> list[tuple[Any, ...]]:
    """Label and position of every placed point, of the world, or of the image if the list lies under an outcome."""
    parent = node.GetParentTransformNode()
    isMoved = parent is not None and isOutcome(parent)
    position = node.GetNthControlPointPosition if isMoved else node.GetNthControlPointPositionWorld
    return [(label, *position(index)) for index, label in pointLabels(node).items()]


def transformToWorld(node: slicer.vtkMRMLTransformNode | None) -> vtk.vtkGeneralTransform:
    transform = vtk.vtkGeneralTransform()
    if node is not None:
        node.GetTransformToWorld(transform)
    return transform


def pointLabels(node: slicer.vtkMRMLMarkupsNode) -> dict[int, str]:
    """Label without the name of the list of every placed point, by its index."""
    return {
        index: node.GetNthControlPointLabel(index).removeprefix(f"{node.GetName()}-")
        for index in range(node.GetNumberOfControlPoints())
        if node.GetNthControlPointPositionStatus(index) == slicer.vtkMRMLMarkupsNode.PositionDefined
    }


def _indexByLabel(node: slicer.vtkMRMLMarkupsNode) -> dict[str, int]:
    """Index of every placed point by its label; labels that occur twice are left out."""
    labels = pointLabels(node)
    counts = Counter(labels.values())
    return {name: index for index, name in labels.items() if counts[name] == 1}
