"""Nodes of a scene by their class."""

from __future__ import annotations

import slicer


def nodesByClass(scene: slicer.vtkMRMLScene, className: str) -> list[slicer.vtkMRMLNode]:
    """All nodes of a class or of its subclasses, in the order of the scene.

    ``slicer.util.getNodesByClass`` ignores the scene that it is given and reads ``slicer.mrmlScene``.
    """
    return [scene.GetNthNodeByClass(index, className) for index in range(scene.GetNumberOfNodesByClass(className))]
