"""Target registration error (TRE) of paired landmarks before and after a registration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import slicer
import slicer.util

from ..geometry.planes import SlicePlane
from ..geometry.result_transform import initialTransformOf
from ..geometry.transforms import transformToWorld, worldToLocal
from ..landmarks.pairing import pairedPoints, pairLandmarks

_SUMMARY = {"mean": np.mean, "SD": np.std, "median": np.median, "max": np.max}


@dataclass(frozen=True)
class TreTable:
    """Target registration error of paired landmarks.

    Attributes:
        labels: Of the pairs, in the order of the fixed list.
        fixed: ``(N, 3)`` positions of the fixed landmarks, RAS mm.
        before: ``(N, 3)`` R, A, S from the moving landmark to the fixed one, mm, as the images lay.
        after: ``(N, 3)`` from the moving landmark to where the transform takes the fixed one, mm.
    """

    labels: tuple[str, ...]
    fixed: np.ndarray
    before: np.ndarray
    after: np.ndarray

    def summary(self) -> dict[str, dict[str, float]]:
        """Mean, SD, median and max of the distances in mm, before and after; NaN without a landmark."""
        distances = {name: np.linalg.norm(vectors, axis=1) for name, vectors in self._vectors().items()}
        return {name: summarise(values) for name, values in distances.items()}

    def distances(self, plane: SlicePlane) -> np.ndarray:
        """``(N,)``, how far the fixed landmarks lie from a plane, mm."""
        return plane.distances(self.fixed)

    def offPlane(self, plane: SlicePlane) -> np.ndarray:
        """``(N,)`` bool, which lie more than half a slice away, so that their error says little about the slice."""
        return self.distances(plane) > plane.thickness / 2

    def _vectors(self) -> dict[str, np.ndarray]:
        return {"before": self.before, "after": self.after}


def summarise(values: np.ndarray) -> dict[str, float]:
    """Mean, SD, median and max; NaN if there is no value."""
    return {name: float(f(values)) if len(values) else float("nan") for name, f in _SUMMARY.items()}


def targetRegistrationError(
    fixedNode: slicer.vtkMRMLMarkupsNode,
    movingNode: slicer.vtkMRMLMarkupsNode,
    transformNode: slicer.vtkMRMLTransformNode,
    movingVolume: slicer.vtkMRMLVolumeNode,
    complete: bool = True,
) -> TreTable:
    """``|FromParent(fixed) - moving|`` of every pair, exact because no inverse is needed.

    Args:
        fixedNode: Landmarks on the fixed image.
        movingNode: Landmarks on the moving image; they may lie under ``transformNode`` or not.
        transformNode: The outcome, above ``movingVolume``.
        movingVolume: Tells how the moving image lay before.
        complete: See ``pairLandmarks``; without it there may be no pair at all.

    Raises:
        ValueError: The landmarks do not pair.
    """
    initial = initialTransformOf(movingVolume)
    fixed, moving = pairedPoints(fixedNode, movingNode, initial, complete)
    toInitial, fromWorld = transformToWorld(initial), worldToLocal(transformNode)
    mapped = [toInitial.TransformPoint(fromWorld.TransformPoint(point)) for point in fixed]
    labels = tuple(label for label, _, _ in pairLandmarks(fixedNode, movingNode, complete))
    return TreTable(labels, fixed, fixed - moving, np.reshape(mapped, (-1, 3)) - moving)
