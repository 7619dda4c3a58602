"""The automatic foreground mask of a volume."""

from __future__ import annotations

import numpy as np
import slicer
import slicer.util
import torch

from ...core.images.foreground import foreground
from ...core.images.preprocessing import PreprocessingConfiguration, to_unit_range
from ..result_folder import putIntoFolder, uniqueName


def addForeground(volumeNode: slicer.vtkMRMLVolumeNode) -> slicer.vtkMRMLLabelMapVolumeNode:
    """Add a labelmap of the foreground of a volume, segmented slice by slice along its shortest array axis.

    The labelmap has the voxels and the parent transform of the volume, and can be edited like any other.

    Raises:
        ValueError: The volume is constant.
    """
    voxels = slicer.util.arrayFromVolume(volumeNode).astype(np.float32)
    intensities = voxels if voxels.ndim == 3 else voxels.mean(axis=-1)
    try:
        unit = to_unit_range(torch.from_numpy(intensities)[None, None], PreprocessingConfiguration())[0, 0]
    except ValueError as error:
        raise ValueError(f"'{volumeNode.GetName()}' has no foreground: {error}") from error
    axis = int(np.argmin(unit.shape))
    inside = torch.stack([foreground(slice_) for slice_ in unit.unbind(axis)], dim=axis)
    scene = volumeNode.GetScene()
    name = uniqueName(scene, f"{volumeNode.GetName()} foreground")
    mask = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", name)
    putIntoFolder(mask)
    slicer.util.updateVolumeFromArray(mask, inside.numpy().astype(np.uint8))
    mask.CopyOrientation(volumeNode)
    mask.SetAndObserveTransformNodeID(volumeNode.GetTransformNodeID())
    return mask


def foregroundOf(pixels: np.ndarray) -> np.ndarray:
    """The foreground of a slice, ``(rows, columns)`` bool; all pixels if no foreground is found."""
    image = torch.from_numpy(np.ascontiguousarray(pixels, dtype=np.float32))
    if not image.amax() > image.amin():
        return np.ones(pixels.shape, dtype=bool)
    inside = foreground(to_unit_range(image[None, None], PreprocessingConfiguration())[0, 0]).numpy()
    return inside if inside.any() else ~inside
