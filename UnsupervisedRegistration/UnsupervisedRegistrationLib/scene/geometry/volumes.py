"""Volume nodes, made and filled from arrays."""

from __future__ import annotations

import numpy as np
import slicer
import slicer.util

from .planes import SlicePlane


def addVolume(
    scene: slicer.vtkMRMLScene, name: str, array: np.ndarray, ijkToRas: np.ndarray
) -> slicer.vtkMRMLScalarVolumeNode:
    """A volume node from voxels ``(K, J, I)``, or ``(K, J, I, components)`` for colour."""
    kind = "vtkMRMLVectorVolumeNode" if array.ndim == 4 else "vtkMRMLScalarVolumeNode"
    node = scene.AddNewNodeByClass(kind, name)
    slicer.util.updateVolumeFromArray(node, np.ascontiguousarray(array))
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(ijkToRas))
    return node


def fillSliceVolume(
    volumeNode: slicer.vtkMRMLScalarVolumeNode,
    pixels: np.ndarray,
    plane: SlicePlane,
    like: slicer.vtkMRMLVolumeNode,
) -> None:
    """Fill a volume node with one or several slices of a plane, with the window and level of another volume."""
    with slicer.util.NodeModify(volumeNode):
        fillVolume(volumeNode, pixels.reshape(-1, *plane.shape))
        volumeNode.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(plane.ijkToRas))
        volumeNode.SetAndObserveTransformNodeID(None)
    if volumeNode.GetDisplayNode() is None:
        volumeNode.CreateDefaultDisplayNodes()
    source, display = like.GetDisplayNode(), volumeNode.GetDisplayNode()
    if isinstance(source, slicer.vtkMRMLScalarVolumeDisplayNode):
        with slicer.util.NodeModify(display):
            display.SetAutoWindowLevel(False)
            display.SetWindowLevel(source.GetWindow(), source.GetLevel())


def fillVolume(volumeNode: slicer.vtkMRMLScalarVolumeNode, voxels: np.ndarray) -> None:
    """Write voxels ``(K, J, I)`` to a volume, in place if size and type are the same."""
    image = volumeNode.GetImageData()
    if image is not None and image.GetDimensions() == voxels.shape[::-1]:
        array = slicer.util.arrayFromVolume(volumeNode)
        if array.dtype == voxels.dtype:
            array[:] = voxels
            slicer.util.arrayFromVolumeModified(volumeNode)
            return
    slicer.util.updateVolumeFromArray(volumeNode, np.ascontiguousarray(voxels))
