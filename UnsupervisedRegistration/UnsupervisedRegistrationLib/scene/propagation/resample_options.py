"""How volumes are resampled; for every user interface, needs neither VTK nor Slicer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

VolumeInterpolation = Literal["nearest", "linear", "cubic"]
PixelType = Literal["as the source", "uint8", "int16", "uint16", "int32", "float32"]


@dataclass(frozen=True)
class ResampleOptions:
    """How images are resampled.

    Attributes:
        interpolation: Between the voxels; labelmaps always take the nearest voxel.
        background: Value outside the source, in its unit; labelmaps always take 0.
        pixelType: Type of the voxels; values that it cannot hold are clipped. Labelmaps keep their type.
    """

    interpolation: VolumeInterpolation = "linear"
    background: float = 0.0
    pixelType: PixelType = "as the source"


LABELMAP_OPTIONS = ResampleOptions("nearest")
"""How labelmaps are resampled, whatever the options for images are."""
