"""The folder of the subject hierarchy in which results are, and what marks a result that is kept."""

from __future__ import annotations

from typing import Any

import slicer
import vtk

FOLDER_NAME = "Registration results"
KEPT_ATTRIBUTE = "UnsupervisedRegistration.Kept"
"""Attribute of each node of a kept result; the selectors of the panel leave these nodes out."""
_FOLDER_ATTRIBUTE = "UnsupervisedRegistration.Folder"
_ALL, _ONE = "results", "result"  # Values of _FOLDER_ATTRIBUTE.


def uniqueName(scene: slicer.vtkMRMLScene, name: str) -> str:
    """The name itself if no node has it, otherwise the name with a number."""
    taken = {scene.GetNthNode(index).GetName() for index in range(scene.GetNumberOfNodes())}
    names = (name if count == 1 else f"{name} ({count})" for count in range(1, len(taken) + 2))
    return next(free for free in names if free not in taken)


def putIntoFolder(node: Any, subfolder: str = "") -> None:
    """Put a new node into the folder of the results.

    Args:
        node: Node that the subject hierarchy shows.
        subfolder: Name of the subfolder of a result; by default the node is in the folder itself.
    """
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.ResolveSubjectHierarchy(node.GetScene())
    folder = _folder(hierarchy, hierarchy.GetSceneItemID(), FOLDER_NAME, _ALL)
    if subfolder:
        folder = _folder(hierarchy, folder, subfolder, _ONE)
    hierarchy.CreateItem(folder, node)


def renameSubfolder(node: Any, name: str) -> None:
    """Rename the subfolder that a node is in; nothing happens if the user has moved the node elsewhere."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.ResolveSubjectHierarchy(node.GetScene())
    folder = hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node))
    if _mark(hierarchy, folder) == _ONE:
        hierarchy.SetItemName(folder, name)


def removeFromFolder(node: Any) -> None:
    """Remove the item of a node that is about to be deleted, and its folders if nothing else is in them."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.ResolveSubjectHierarchy(node.GetScene())
    item = hierarchy.GetItemByDataNode(node)
    if not item:
        return
    folder = hierarchy.GetItemParent(item)
    hierarchy.RemoveItem(item, False, False)
    while _mark(hierarchy, folder) and not _children(hierarchy, folder):
        parent = hierarchy.GetItemParent(folder)
        hierarchy.RemoveItem(folder, False, False)
        folder = parent


def _folder(hierarchy: slicer.vtkMRMLSubjectHierarchyNode, parent: int, name: str, mark: str) -> int:
    """The folder of a kind below an item; it is created when first needed, and the user may rename the outer one."""
    for child in _children(hierarchy, parent):
        if _mark(hierarchy, child) == mark and (mark == _ALL or hierarchy.GetItemName(child) == name):
            return child
    folder: int = hierarchy.CreateFolderItem(parent, name)
    hierarchy.SetItemAttribute(folder, _FOLDER_ATTRIBUTE, mark)
    return folder


def _children(hierarchy: slicer.vtkMRMLSubjectHierarchyNode, parent: int) -> list[int]:
    ids = vtk.vtkIdList()
    hierarchy.GetItemChildren(parent, ids, False)
    return [ids.GetId(index) for index in range(ids.GetNumberOfIds())]


def _mark(hierarchy: slicer.vtkMRMLSubjectHierarchyNode, item: int) -> str:
    return str(hierarchy.GetItemAttribute(item, _FOLDER_ATTRIBUTE)) if item else ""
