"""A mask that nobody has to draw: where a volume shows the patient."""

from __future__ import annotations

import numpy as np
import slicer
import slicer.util
import torch

from ...core.images.foreground import foreground
from ...core.images.preprocessing import PreprocessingConfiguration, to_unit_range


def addForeground(volumeNode: slicer.vtkMRMLVolumeNode) -> slicer.vtkMRMLLabelMapVolumeNode:
    """A labelmap of where a volume shows the patient, found slice by slice across its shortest array axis.

    It lies on the voxels of the volume and under its transform, and can be looked at and corrected like any other.

    Raises:
        ValueError: The volume shows the same everywhere.
    """
    voxels = slicer.util.arrayFromVolume(volumeNode).astype(np.float32)
    grey = voxels if voxels.ndim == 3 else voxels.mean(axis=-1)
    try:
        unit = to_unit_range(torch.from_numpy(grey)[None, None], PreprocessingConfiguration())[0, 0]
    except ValueError as error:
        raise ValueError(f"'{volumeNode.GetName()}' has no foreground: {error}") from error
    axis = int(np.argmin(unit.shape))
    inside = torch.stack([foreground(slice_) for slice_ in unit.unbind(axis)], dim=axis)
    name = f"{volumeNode.GetName()} foreground"
    mask = volumeNode.GetScene().AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", name)
    slicer.util.updateVolumeFromArray(mask, inside.numpy().astype(np.uint8))
    mask.CopyOrientation(volumeNode)
    mask.SetAndObserveTransformNodeID(volumeNode.GetTransformNodeID())
    return mask


def foregroundOf(pixels: np.ndarray) -> np.ndarray:
    """Where a slice ``(rows, columns)`` shows the patient, bool; all of it if that cannot be told."""
    image = torch.from_numpy(np.ascontiguousarray(pixels, dtype=np.float32))
    if not image.amax() > image.amin():
        return np.ones(pixels.shape, dtype=bool)
    inside = foreground(to_unit_range(image[None, None], PreprocessingConfiguration())[0, 0]).numpy()
    return inside if inside.any() else ~inside
