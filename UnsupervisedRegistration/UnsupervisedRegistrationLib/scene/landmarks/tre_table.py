"""Target registration error (TRE) of paired landmarks before and after a registration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import slicer
import slicer.util

from ..geometry.planes import SlicePlane
from ..geometry.registered_slices import RegisteredSlices
from ..geometry.result_transform import fittedLandmarks, initialTransformOf
from ..geometry.transforms import transformToWorld, worldToLocal
from .pairing import pairedPoints, pairLandmarks

_SUMMARY: dict[str, Callable[[np.ndarray], np.floating]] = {
    "mean": np.mean,
    "SD": np.std,
    "median": np.median,
    "max": np.max,
}


@dataclass(frozen=True)
class TreTable:
    """Target registration error of paired landmarks.

    Attributes:
        labels: Labels of the ``N`` pairs, in the order of the fixed list.
        fixed: ``(N, 3)`` positions of the fixed landmarks, world RAS mm.
        before: ``(N, 3)`` vectors from the moving to the fixed landmark before the registration, RAS mm.
        after: ``(N, 3)`` vectors from the moving to the mapped fixed landmark after the registration, RAS mm.
        fitted: Labels of the landmarks that steered the registration, each with its TRE in mm when it is left out, or
            ``None`` where that was not estimated. The TRE of a fitted landmark is no evidence of accuracy.
    """

    labels: tuple[str, ...]
    fixed: np.ndarray
    before: np.ndarray
    after: np.ndarray
    fitted: Mapping[str, float | None] = field(default_factory=dict)

    @property
    def isFitted(self) -> np.ndarray:
        """``(N,)`` bool, true for landmarks that steered the registration."""
        return np.array([label in self.fitted for label in self.labels], dtype=bool)

    @property
    def leftOut(self) -> np.ndarray:
        """TRE of each fitted landmark when it is left out, ``(N,)`` mm; NaN where it was not estimated."""
        errors = [self.fitted.get(label) for label in self.labels]
        return np.array([np.nan if error is None else error for error in errors], dtype=float)

    def select(self, wanted: np.ndarray) -> TreTable:
        """The rows where ``wanted``, ``(N,)`` bool, is true."""
        labels = tuple(label for label, isWanted in zip(self.labels, wanted, strict=True) if isWanted)
        return replace(
            self, labels=labels, fixed=self.fixed[wanted], before=self.before[wanted], after=self.after[wanted]
        )

    @property
    def independent(self) -> TreTable:
        """The landmarks that did not steer the registration."""
        return self.select(~self.isFitted)

    def summary(self) -> dict[str, dict[str, float]]:
        """Mean, SD, median and max of the TRE in mm, ``"before"`` and ``"after"``; NaN without a landmark."""
        errors = {name: np.linalg.norm(vectors, axis=1) for name, vectors in self._vectors().items()}
        return {name: summarise(values) for name, values in errors.items()}

    def distances(self, plane: SlicePlane | RegisteredSlices) -> np.ndarray:
        """Distances of the fixed landmarks from a plane, ``(N,)`` mm."""
        return plane.distances(self.fixed)

    def offPlane(self, plane: SlicePlane | RegisteredSlices) -> np.ndarray:
        """``(N,)`` bool, true for landmarks more than half a slice distance away from the slice."""
        return self.distances(plane) > plane.thickness / 2

    def _vectors(self) -> dict[str, np.ndarray]:
        return {"before": self.before, "after": self.after}


def summarise(values: np.ndarray) -> dict[str, float]:
    """Mean, SD, median and max; NaN without values."""
    return {name: float(f(values)) if len(values) else float("nan") for name, f in _SUMMARY.items()}


def targetRegistrationError(
    fixedNode: slicer.vtkMRMLMarkupsNode,
    movingNode: slicer.vtkMRMLMarkupsNode,
    transformNode: slicer.vtkMRMLTransformNode,
    movingVolume: slicer.vtkMRMLVolumeNode,
    complete: bool = True,
) -> TreTable:
    """The TRE of every pair: fixed landmarks are mapped through the transform and compared with the moving ones.

    Args:
        fixedNode: Landmarks on the fixed image.
        movingNode: Landmarks on the moving image, under ``transformNode`` or not.
        transformNode: Result transform of ``movingVolume``.
        movingVolume: Volume with the initial transform.
        complete: See ``pairLandmarks``; if false, the table may be empty.

    Raises:
        ValueError: The landmarks do not pair.
    """
    initial = initialTransformOf(movingVolume)
    fixed, moving = pairedPoints(fixedNode, movingNode, initial, complete)
    toInitial, fromWorld = transformToWorld(initial), worldToLocal(transformNode)
    mapped = [toInitial.TransformPoint(fromWorld.TransformPoint(point)) for point in fixed]
    labels = tuple(label for label, _, _ in pairLandmarks(fixedNode, movingNode, complete))
    after = np.reshape(mapped, (-1, 3)) - moving
    return TreTable(labels, fixed, fixed - moving, after, fittedLandmarks(transformNode))
