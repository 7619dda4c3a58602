"""Landmarks of both images, and how far apart they are before and after the registration."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import slicer
import slicer.util
import vtk

from .transforms import initialTransformOf

SUMMARY = {"mean": np.mean, "SD": np.std, "median": np.median, "max": np.max}


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
        """Mean, SD, median and max of the distances in mm, before and after."""
        distances = {name: np.linalg.norm(vectors, axis=1) for name, vectors in self._vectors().items()}
        return {name: {key: float(f(values)) for key, f in SUMMARY.items()} for name, values in distances.items()}

    def _vectors(self) -> dict[str, np.ndarray]:
        return {"before": self.before, "after": self.after}


def pairLandmarks(
    fixedNode: slicer.vtkMRMLMarkupsNode, movingNode: slicer.vtkMRMLMarkupsNode
) -> list[tuple[str, int, int]]:
    """Label, index in the fixed list and index in the moving list of every pair.

    Labels are compared without the name of their list in front, so "F-1" of list "F" pairs with "M-1" of list "M".

    Raises:
        ValueError: A list is empty, a label occurs twice, or has no partner; the labels are named.
    """
    fixed, moving = _indexByLabel(fixedNode), _indexByLabel(movingNode)
    lonely = [f"'{name}' (only fixed)" for name in fixed if name not in moving]
    lonely += [f"'{name}' (only moving)" for name in moving if name not in fixed]
    if lonely:
        raise ValueError(f"Landmarks are paired by label, and these have no partner: {', '.join(lonely)}. Rename them.")
    return [(name, index, moving[name]) for name, index in fixed.items()]


def targetRegistrationError(
    fixedNode: slicer.vtkMRMLMarkupsNode,
    movingNode: slicer.vtkMRMLMarkupsNode,
    transformNode: slicer.vtkMRMLTransformNode,
    movingVolume: slicer.vtkMRMLVolumeNode,
) -> LandmarkErrors:
    """``|FromParent(fixed) - moving|`` of every pair, exact because no inverse is needed.

    Args:
        fixedNode: Landmarks on the fixed image.
        movingNode: Landmarks on the moving image; they may lie under ``transformNode`` or not.
        transformNode: The outcome, above ``movingVolume``.
        movingVolume: Tells how the moving image lay before.

    Raises:
        ValueError: The landmarks do not pair.
    """
    pairs = pairLandmarks(fixedNode, movingNode)
    initial = initialTransformOf(movingVolume)
    toInitial = _transformToWorld(initial)
    fromWorld = vtk.vtkGeneralTransform()
    transformNode.GetTransformFromWorld(fromWorld)
    under = movingNode.GetParentTransformNode() is transformNode
    positions, before, after = [], [], []
    for _, fixedIndex, movingIndex in pairs:
        fixed = np.array(fixedNode.GetNthControlPointPositionWorld(fixedIndex))
        if under:
            moving = np.array(toInitial.TransformPoint(movingNode.GetNthControlPointPosition(movingIndex)))
        else:
            moving = np.array(movingNode.GetNthControlPointPositionWorld(movingIndex))
        positions.append(fixed)
        before.append(fixed - moving)
        after.append(np.array(toInitial.TransformPoint(fromWorld.TransformPoint(fixed))) - moving)
    labels = tuple(label for label, _, _ in pairs)
    return LandmarkErrors(labels, np.array(positions), np.array(before), np.array(after))


def fillTable(tableNode: slicer.vtkMRMLTableNode, errors: LandmarkErrors) -> None:
    """Writes one row a landmark and one a summary into a table node, mm."""
    tableNode.RemoveAllColumns()
    labels = vtk.vtkStringArray()
    labels.SetName("Landmark")
    for label in (*errors.labels, *SUMMARY):
        labels.InsertNextValue(label)
    tableNode.AddColumn(labels)
    for when, vectors in (("before", errors.before), ("after", errors.after)):
        columns = {"": np.linalg.norm(vectors, axis=1)} | {f" {axis}": vectors[:, i] for i, axis in enumerate("RAS")}
        for name, values in columns.items():
            column = vtk.vtkDoubleArray()
            column.SetName(f"TRE {when}{name} (mm)")
            for value in (*values, *(summarise(values) for summarise in SUMMARY.values())):
                column.InsertNextValue(value)
            tableNode.AddColumn(column)
    tableNode.SetUseColumnTitleAsColumnHeader(True)
    tableNode.Modified()


def addLandmarks(
    scene: slicer.vtkMRMLScene, name: str, positions: dict[str, tuple[float, float, float]]
) -> slicer.vtkMRMLMarkupsFiducialNode:
    """A point list with labels, RAS mm."""
    node = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", name)
    for label, position in positions.items():
        node.AddControlPoint(vtk.vtkVector3d(position), label)
    return node


def _transformToWorld(node: slicer.vtkMRMLTransformNode | None) -> vtk.vtkGeneralTransform:
    transform = vtk.vtkGeneralTransform()
    if node is not None:
        node.GetTransformToWorld(transform)
    return transform


def _indexByLabel(node: slicer.vtkMRMLMarkupsNode) -> dict[str, int]:
    """Index of every placed point by its label without the name of the list."""
    placed = [
        index
        for index in range(node.GetNumberOfControlPoints())
        if node.GetNthControlPointPositionStatus(index) == slicer.vtkMRMLMarkupsNode.PositionDefined
    ]
    names = [node.GetNthControlPointLabel(index).removeprefix(f"{node.GetName()}-") for index in placed]
    if not names:
        raise ValueError(f"The landmark list '{node.GetName()}' has no point; place at least one.")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ValueError(f"In the landmark list '{node.GetName()}' these labels occur twice: {', '.join(twice)}.")
    return dict(zip(names, placed, strict=True))
