"""Overlap of labels before and after a registration."""

from __future__ import annotations

import math

import slicer
import torch

from ...core.evaluation.metrics import mean_dice
from ..geometry.sampling import sampleLabels
from ..geometry.transforms import worldToLocal
from ..registration.result_nodes import SliceRegistration


def labelOverlap(
    result: SliceRegistration, fixedLabels: slicer.vtkMRMLVolumeNode, movingLabels: slicer.vtkMRMLVolumeNode
) -> tuple[float, float]:
    """Mean Dice on the slice before and after the registration; labels of fewer than 20 pixels do not count.

    Args:
        result: The moving labels follow its transform.
        fixedLabels: Labelmap of the fixed image.
        movingLabels: Labelmap of the moving image, under no transform.

    Raises:
        ValueError: A file holds no labelmap, or no label has 20 pixels on the slice.
    """
    plane = result.pair.plane
    transforms = (worldToLocal(result.pair.initial), worldToLocal(result.transformNode))
    fixed = torch.from_numpy(sampleLabels(fixedLabels, plane))
    before, after = (mean_dice(fixed, torch.from_numpy(sampleLabels(movingLabels, plane, way))) for way in transforms)
    if math.isnan(after):
        raise ValueError(
            f"No label of '{fixedLabels.GetName()}' has 20 pixels on the {plane.name}; give the labels of this slice."
        )
    return before, after
