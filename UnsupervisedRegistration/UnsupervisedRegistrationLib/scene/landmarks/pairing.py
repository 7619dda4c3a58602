"""Landmarks of the fixed and the moving image, paired by their labels."""

from __future__ import annotations

from collections import Counter

import numpy as np
import slicer
import slicer.util

from ..geometry.result_transform import isResultTransform
from ..geometry.transforms import transformToWorld
from .markups import pointLabels


def pairLandmarks(
    fixedNode: slicer.vtkMRMLMarkupsNode, movingNode: slicer.vtkMRMLMarkupsNode, complete: bool = True
) -> list[tuple[str, int, int]]:
    """Label, index in the fixed list and index in the moving list of every pair.

    The name of the list in front of a label is ignored: "F-1" of list "F" pairs with "M-1" of list "M".

    Args:
        fixedNode: Landmarks on the fixed image.
        movingNode: Landmarks on the moving image.
        complete: Refuse lists with unpaired points; otherwise unpaired points are left out.

    Raises:
        ValueError: A list is empty, a label occurs twice, or has no partner.
    """
    problems = pairingProblems(fixedNode, movingNode) if complete else []
    if problems:
        raise ValueError(" ".join(problems))
    fixed, moving = _indexByLabel(fixedNode), _indexByLabel(movingNode)
    return [(name, index, moving[name]) for name, index in fixed.items() if name in moving]


def pairingProblems(fixedNode: slicer.vtkMRMLMarkupsNode, movingNode: slicer.vtkMRMLMarkupsNode) -> list[str]:
    """One sentence for each reason why two lists do not pair completely; empty if they do."""
    problems = []
    for node in (fixedNode, movingNode):
        repeated = [name for name, count in Counter(pointLabels(node).values()).items() if count > 1]
        if not pointLabels(node):
            problems.append(f"The landmark list '{node.GetName()}' has no point; place at least one.")
        elif repeated:
            problems.append(f"In the landmark list '{node.GetName()}' these labels occur twice: {', '.join(repeated)}.")
    if problems:
        return problems
    fixed, moving = _indexByLabel(fixedNode), _indexByLabel(movingNode)
    unpaired = [f"'{name}' (only fixed)" for name in fixed if name not in moving]
    unpaired += [f"'{name}' (only moving)" for name in moving if name not in fixed]
    if not unpaired:
        return []
    count = "" if len(fixed) == len(moving) else f" The lists have {len(fixed)} and {len(moving)} points."
    named = ", ".join(unpaired)
    return [f"Landmarks are paired by label, and these have no partner: {named}. Rename or place them.{count}"]


def pairedPoints(
    fixedNode: slicer.vtkMRMLMarkupsNode,
    movingNode: slicer.vtkMRMLMarkupsNode,
    initial: slicer.vtkMRMLTransformNode | None,
    complete: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    """Fixed and moving positions of all pairs, ``(N, 3)`` world RAS mm each, without the result transform.

    Args:
        fixedNode: Landmarks on the fixed image.
        movingNode: Landmarks on the moving image; if they are under a result transform, ``initial`` is used instead.
        initial: Initial transform of the moving image.
        complete: See ``pairLandmarks``.

    Raises:
        ValueError: The landmarks do not pair.
    """
    parent, toInitial = movingNode.GetParentTransformNode(), transformToWorld(initial)
    fixed, moving = [], []
    for _, fixedIndex, movingIndex in pairLandmarks(fixedNode, movingNode, complete):
        fixed.append(fixedNode.GetNthControlPointPositionWorld(fixedIndex))
        if parent is not None and isResultTransform(parent):
            moving.append(toInitial.TransformPoint(movingNode.GetNthControlPointPosition(movingIndex)))
        else:
            moving.append(movingNode.GetNthControlPointPositionWorld(movingIndex))
    return np.reshape(fixed, (-1, 3)), np.reshape(moving, (-1, 3))


def _indexByLabel(node: slicer.vtkMRMLMarkupsNode) -> dict[str, int]:
    """Label to index of every placed point, without labels that occur twice."""
    labels = pointLabels(node)
    counts = Counter(labels.values())
    return {name: index for index, name in labels.items() if counts[name] == 1}
