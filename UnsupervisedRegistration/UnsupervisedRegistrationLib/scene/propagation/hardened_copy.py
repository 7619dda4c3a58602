"""Copies of nodes that lie on the other side of a registration: points are transformed, images resampled."""

from __future__ import annotations

import slicer
import slicer.util
import vtk

from ..display.view_state import removeWithDisplay
from .node_map import NodeMap, PropagationDirection, nodeMap
from .resampling import ResampleOptions, resampledImage

COPIED_KINDS = (
    "vtkMRMLSegmentationNode",
    "vtkMRMLModelNode",
    "vtkMRMLMarkupsNode",
    "vtkMRMLVolumeNode",
)
"""Classes of nodes, with their subclasses, that can be copied."""

_OWN_ATTRIBUTES = ("DICOM.", "UnsupervisedRegistration.")  # They are true of the source only.


def hardenedCopy(
    node: slicer.vtkMRMLDisplayableNode,
    transformNode: slicer.vtkMRMLTransformNode,
    direction: PropagationDirection = "moving to fixed",
    options: ResampleOptions | None = None,
) -> slicer.vtkMRMLDisplayableNode:
    """A copy of a node on the other side of a registration; the original is not changed.

    Points, models and segmentations are transformed. Images are resampled on the grid of the fixed volume, or of the
    moving volume for the opposite direction. The copy has a storage node, lies beside its source in the subject
    hierarchy, and has the parent transform of the reference volume.

    Args:
        node: Segmentation, model, markups, scalar or vector volume, or labelmap.
        transformNode: Parent transform of the warped moving volume.
        direction: Side that the node is taken to.
        options: How images are resampled.

    Raises:
        ValueError: The node cannot be copied or transformed; the scene is as it was.
    """
    _checkKind(node)
    mapping = nodeMap(node, transformNode, direction)
    isVolume = node.IsA("vtkMRMLVolumeNode")
    image = resampledImage(node, mapping, options or ResampleOptions()) if isVolume else None
    scene = node.GetScene()
    copy = scene.CreateNodeByClass(node.GetClassName())
    copy.UnRegister(None)
    copy.CopyContent(node, not isVolume)  # The voxels of a volume are replaced.
    copy.SetName(scene.GenerateUniqueName(f"{node.GetName()} on {mapping.reference.GetName()}"))
    for name in copy.GetAttributeNames():
        if name.startswith(_OWN_ATTRIBUTES):
            copy.SetAttribute(name, None)
    copy = scene.AddNode(copy)
    if isVolume:
        _fillVolumeNode(copy, image, mapping)
    else:
        copy.ApplyTransform(mapping.after)
    if node.IsA("vtkMRMLSegmentationNode"):  # For the Segment Editor, which needs a grid.
        copy.SetReferenceImageGeometryParameterFromVolumeNode(mapping.reference)
    copy.SetAndObserveTransformNodeID(mapping.parent.GetID() if mapping.parent is not None else None)
    _copyDisplay(node, copy)
    copy.AddDefaultStorageNode()
    placeBeside(copy, node)
    return copy


def removeCopies(nodes: list[slicer.vtkMRMLDisplayableNode]) -> None:
    """Remove copies with their display and storage nodes."""
    for node in nodes:
        removeWithDisplay(node)


def placeBeside(node: slicer.vtkMRMLNode, source: slicer.vtkMRMLNode) -> None:
    """Put a node into the folder of the subject hierarchy that holds another node."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(node.GetScene())
    sourceItem, item = hierarchy.GetItemByDataNode(source), hierarchy.GetItemByDataNode(node)
    folder = hierarchy.GetItemParent(sourceItem) if sourceItem else hierarchy.GetSceneItemID()
    if item:
        hierarchy.SetItemParent(item, folder)
    else:
        hierarchy.CreateItem(folder, node)


def _checkKind(node: slicer.vtkMRMLNode) -> None:
    if node.GetScene() is None:
        raise ValueError(f"'{node.GetName()}' was deleted; choose another node.")
    if not any(node.IsA(kind) for kind in COPIED_KINDS):
        raise ValueError(
            f"'{node.GetName()}' cannot be taken along; choose a segmentation, a model, markups or a volume."
        )
    if not node.CanApplyNonLinearTransforms():
        raise ValueError(f"'{node.GetName()}' cannot be deformed; convert it to a model or to a point list first.")


def _fillVolumeNode(copy: slicer.vtkMRMLVolumeNode, image: vtk.vtkImageData, mapping: NodeMap) -> None:
    toRas = vtk.vtkMatrix4x4()
    mapping.reference.GetIJKToRASMatrix(toRas)
    with slicer.util.NodeModify(copy):
        copy.SetAndObserveImageData(image)
        copy.SetIJKToRASMatrix(toRas)


def _copyDisplay(source: slicer.vtkMRMLDisplayableNode, copy: slicer.vtkMRMLDisplayableNode) -> None:
    display = source.GetDisplayNode()
    if display is None:
        return
    copy.CreateDefaultDisplayNodes()
    own = copy.GetDisplayNode()
    own.CopyContent(display, True)
    if display.GetColorNodeID():
        own.SetAndObserveColorNodeID(display.GetColorNodeID())
