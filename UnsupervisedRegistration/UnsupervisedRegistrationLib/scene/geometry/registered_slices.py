"""Which slices a result transform was computed for, stored in its node."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import slicer

from .planes import SlicePlane

SLICES_ATTRIBUTE = "UnsupervisedRegistration.Slices"


@dataclass(frozen=True)
class RegisteredSlices:
    """One slice, or several that follow each other along the normal.

    Attributes:
        plane: Plane of the first slice.
        count: Number of slices.
    """

    plane: SlicePlane
    count: int = 1

    @property
    def thickness(self) -> float:
        """Distance of the slices, mm."""
        return self.plane.thickness

    def distances(self, points: np.ndarray) -> np.ndarray:
        """Distances of points, ``(N, 3)`` RAS mm, from the slices, ``(N,)`` mm; 0 between two slices."""
        heights = (np.asarray(points) - self.plane.centre) @ self.plane.normal
        beyond = heights - (self.count - 1) * self.thickness
        return np.maximum(np.maximum(-heights, beyond), 0.0)


def setRegisteredSlices(transformNode: slicer.vtkMRMLTransformNode, plane: SlicePlane, count: int = 1) -> None:
    """Store which slices a result transform was computed for."""
    content = {"shape": plane.shape, "ijkToRas": plane.ijkToRas.tolist(), "name": plane.name, "count": count}
    transformNode.SetAttribute(SLICES_ATTRIBUTE, json.dumps(content))


def registeredSlices(transformNode: slicer.vtkMRMLTransformNode) -> RegisteredSlices | None:
    """The slices that a result transform was computed for; ``None`` for other transforms and in older scenes."""
    stored = transformNode.GetAttribute(SLICES_ATTRIBUTE)
    if stored is None:
        return None
    content = json.loads(stored)
    rows, columns = content["shape"]
    plane = SlicePlane((rows, columns), np.array(content["ijkToRas"]), content["name"])
    return RegisteredSlices(plane, content["count"])
