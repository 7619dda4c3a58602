"""The difference of two stored results."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..geometry.planes import SlicePlane
from ..geometry.transforms import mapToMoving
from .stored_result import StoredResult, checkNotDeleted

_SAME_PLANE_MM = 1e-3


@dataclass(frozen=True)
class ResultComparison:
    """The difference of two results.

    Attributes:
        mean: Mean distance of the mapped pixels of the slice, mm.
        maximum: Maximum of these distances, mm.
        tre: Mean TRE after each of the two registrations, mm; ``None`` without landmarks.
    """

    mean: float
    maximum: float
    tre: tuple[float | None, float | None]


def compareResults(first: StoredResult, second: StoredResult) -> ResultComparison:
    """Compare two results of one slice by their transforms and their TRE.

    Raises:
        ValueError: They belong to different slices or images.
    """
    for result in (first, second):
        checkNotDeleted(result)
    if first.movingVolume is not second.movingVolume or first.fixedVolume is not second.fixedVolume:
        raise ValueError(f"'{first.name}' and '{second.name}' belong to different images; choose two of one pair.")
    if not _samePlane(first.plane, second.plane):
        raise ValueError(
            f"'{first.name}' is of the {first.plane.name} and '{second.name}' of the {second.plane.name};"
            " choose two results of the same slice."
        )
    positions = first.plane.pixelPositions().reshape(-1, 3)
    mapped = [mapToMoving(result.transformNode, positions) for result in (first, second)]
    distances = np.linalg.norm(mapped[0] - mapped[1], axis=1)
    after = [None if result.tre is None else result.tre["after"]["mean"] for result in (first, second)]
    return ResultComparison(float(distances.mean()), float(distances.max()), (after[0], after[1]))


def _samePlane(first: SlicePlane, second: SlicePlane) -> bool:
    return first.shape == second.shape and np.allclose(first.ijkToRas, second.ijkToRas, atol=_SAME_PLANE_MM)
