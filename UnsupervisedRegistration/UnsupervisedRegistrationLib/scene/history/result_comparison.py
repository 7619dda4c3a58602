"""The distance between two stored results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..geometry.planes import SlicePlane
from ..geometry.transforms import mapToMoving
from .stored_result import StoredResult

if TYPE_CHECKING:
    pass
from ..history.result_history import checkNotDeleted

_SAME_PLANE_MM = 1e-3


@dataclass(frozen=True)
class ResultComparison:
    """How far two results are apart.

    Attributes:
        mean: Distance of the positions that both give to a pixel of the slice, mm.
        maximum: The largest of these.
        tre: Mean distance of the landmarks in mm after each of the two; ``None`` without landmarks.
    """

    mean: float
    maximum: float
    tre: tuple[float | None, float | None]


def compareResults(first: StoredResult, second: StoredResult) -> ResultComparison:
    """How far two results of one slice are apart inside it, and the landmark errors of both.

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
    ends = [mapToMoving(result.transformNode, positions) for result in (first, second)]
    distances = np.linalg.norm(ends[0] - ends[1], axis=1)
    after = [None if result.tre is None else result.tre["after"]["mean"] for result in (first, second)]
    return ResultComparison(float(distances.mean()), float(distances.max()), (after[0], after[1]))


def _samePlane(first: SlicePlane, second: SlicePlane) -> bool:
    return first.shape == second.shape and np.allclose(first.ijkToRas, second.ijkToRas, atol=_SAME_PLANE_MM)
