"""Nodes of a scene by their class."""

from __future__ import annotations

import slicer


def nodesByClass(scene: slicer.vtkMRMLScene, className: str) -> list[slicer.vtkMRMLNode]:
    """All nodes of a class or of its subclasses, in the order of the scene.

    ``slicer.util.getNodesByClass`` ignores the scene that it is given and reads ``slicer.mrmlScene``.
    """
    return [scene.GetNthNodeByClass(index, className) for index in range(scene.GetNumberOfNodesByClass(className))]


def addHiddenNode(scene: slicer.vtkMRMLScene, className: str, name: str) -> slicer.vtkMRMLNode:
    """Add a helper node that neither selectors nor the subject hierarchy list.

    It is hidden before it is added, because the subject hierarchy looks at a node only once.
    """
    node = scene.CreateNodeByClass(className)
    node.UnRegister(None)
    node.SetName(name)
    node.SetHideFromEditors(True)
    return scene.AddNode(node)
