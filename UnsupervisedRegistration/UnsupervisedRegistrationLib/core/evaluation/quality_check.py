"""Quality check of a registration: items with value, unit, tolerance and grade.

An item is graded by a tolerance, or shown without a grade where no tolerance exists. Only landmarks that did not steer
the registration, and structures that were drawn on both images, are evidence of accuracy. Without evidence the best
grade of a registration is ``"not validated"``.

Source:
    The items are those of AAPM TG-132: Brock et al., Use of image registration and fusion algorithms and techniques in
    radiotherapy, Medical Physics 2017.
"""

from __future__ import annotations

import math
import typing
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ..spatial.folding import folded_cells
from .metrics import SurfaceDistance

Grade = Literal["good", "not validated", "check", "do not use"]
GRADES: tuple[Grade, ...] = typing.get_args(Grade)
"""From best to worst."""

SIMILARITY_CHANGE = 0.02  # Of 1; images that show nothing in common change by less.
ALIGNED_SIMILARITY = 0.5  # From which images that gained nothing count as aligned before the registration.
FOLDED_SHARE = (0.0005, 0.01)  # 30 pixels of a slice of 256 x 256, and more than a fold at the border of an image has.
UNUSABLE_CONSISTENCY = 3.0  # Times the largest voxel dimension; an offset of three voxels is visible.
EXPECTED_ERROR_MM = (2.0, 5.0)  # Smallest tolerance of the TRE, and the size of a small structure.
MIN_TRE_TOLERANCE_MM = 2.0  # Two people place the same landmark no closer than this.
DICE = (0.9, 0.8)  # Two people who draw the same organ agree by 0.9; below 0.8 a contour needs to be drawn anew.
_EVIDENCE = ("TRE", "Dice", "MDA")


@dataclass(frozen=True)
class QualityItem:
    """One measured quantity.

    Attributes:
        name: Of the quantity; TRE is the target registration error, MDA the mean distance to agreement.
        value: Measured.
        unit: Of value and tolerance; empty for a share of 1.
        tolerance: The worst value that is good; ``None`` if there is none.
        grade: ``None`` if the item is only shown.
        structure: It belongs to; empty for the whole region.
        before: The value before the registration, if it was measured.
    """

    name: str
    value: float
    unit: str
    tolerance: float | None
    grade: Grade | None
    structure: str = ""
    before: float | None = None


@dataclass(frozen=True)
class QualityCheck:
    """All items of one registration."""

    items: tuple[QualityItem, ...]

    @property
    def grade(self) -> Grade:
        """The worst grade of an item; without evidence at best ``"not validated"``."""
        grades = {item.grade for item in self.items}
        if "do not use" in grades:
            return "do not use"
        if "check" in grades:
            return "check"
        return "good" if any(item.grade and item.name in _EVIDENCE for item in self.items) else "not validated"

    @property
    def problems(self) -> tuple[QualityItem, ...]:
        """Items beyond their tolerance, the worst first."""
        found = [item for item in self.items if item.grade in ("check", "do not use")]
        return tuple(sorted(found, key=lambda item: item.grade != "do not use"))


def similarity_item(before: float, after: float) -> QualityItem:
    """The similarity, 0..1, which the registration maximised: a loss is a problem, a gain is no evidence."""
    grade: Grade | None = None
    if not after >= before - SIMILARITY_CHANGE:
        grade = "do not use"
    elif after < min(before + SIMILARITY_CHANGE, ALIGNED_SIMILARITY):
        grade = "check"
    return QualityItem("similarity", after, "", None, grade, before=before)


def folding_item(share: float) -> QualityItem:
    """The share of the area that folds, 0..1."""
    return QualityItem("folding", share, "", FOLDED_SHARE[0], _below(share, *FOLDED_SHARE))


def folded_share(displacement: Tensor, region: Tensor) -> float:
    """Share of the cells in a region, such as the outline of the patient, that fold; 0..1.

    Args:
        displacement: ``(1, d, *spatial)``, voxels.
        region: ``(*spatial)`` bool; a cell belongs to it if its first voxel does.

    Raises:
        ValueError: The region is empty, or does not lie on the grid.
    """
    if region.shape != displacement.shape[2:] or not bool(region.any()):
        raise ValueError(f"A region of the shape {tuple(displacement.shape[2:])} with a voxel is needed.")
    inside = region[tuple(slice(0, -1) for _ in region.shape)]
    return float(folded_cells(displacement)[0, 0][inside].double().mean()) if bool(inside.any()) else 0.0


def inverse_consistency_item(distances: Tensor, voxel: float) -> QualityItem:
    """The 95th percentile of the inverse consistency error.

    Args:
        distances: Of the voxels in the region, any shape, mm.
        voxel: Largest voxel dimension, mm.
    """
    value = _quantile(distances, 0.95)
    return QualityItem("inverse consistency", value, "mm", voxel, _below(value, voxel, UNUSABLE_CONSISTENCY * voxel))


def expected_error_item(expected: Tensor) -> QualityItem:
    """The median of the expected error, estimated from the images alone.

    Args:
        expected: Of the voxels in the region, any shape, mm.
    """
    value = _quantile(expected, 0.5)
    return QualityItem("expected error", value, "mm", EXPECTED_ERROR_MM[0], _below(value, *EXPECTED_ERROR_MM))


def tre_items(
    before: Tensor, after: Tensor, voxel: float, fitted: bool = False, least: float = MIN_TRE_TOLERANCE_MM
) -> tuple[QualityItem, ...]:
    """Mean and maximum of the target registration error; none without a landmark.

    Args:
        before: Distances ``(N,)`` before the registration, mm.
        after: After it.
        voxel: Largest voxel dimension, mm.
        fitted: Whether the landmarks steered the registration; their error is shown and is no evidence.
        least: Smallest tolerance, mm.
    """
    if not len(after):
        return ()
    first, mean = float(before.mean()), float(after.mean())
    name, tolerance = ("fitted TRE", None) if fitted else ("TRE", max(voxel, least))
    return (
        QualityItem(name, mean, "mm", tolerance, _tre_grade(first, mean, tolerance), before=first),
        QualityItem(f"maximum {name}", float(after.max()), "mm", None, None, before=float(before.max())),
    )


def _tre_grade(before: float, after: float, tolerance: float | None) -> Grade | None:
    """Landmarks that moved apart are a problem even within the tolerance."""
    if tolerance is None:
        return None
    if after <= before:
        return _below(after, tolerance, math.inf)
    return "check" if after <= tolerance else "do not use"


def structure_items(
    structure: str,
    dice: float,
    distance: SurfaceDistance,
    voxel: float,
    overlaps: tuple[float, float] = DICE,
) -> tuple[QualityItem, ...]:
    """Dice, mean distance to agreement (MDA) and 95 % Hausdorff distance of one structure.

    Args:
        structure: Its name.
        dice: Overlap of the fixed and the warped structure, 0..1.
        distance: Of their surfaces; NaN if one of them is empty.
        voxel: Largest voxel dimension, mm.
        overlaps: Smallest Dice that is good, and smallest Dice that can be used.
    """
    overlap: Grade = "good" if dice >= overlaps[0] else "check" if dice >= overlaps[1] else "do not use"
    agreement = None if math.isnan(distance.mean) else _below(distance.mean, voxel, math.inf)
    return (
        QualityItem("Dice", dice, "", overlaps[0], overlap, structure),
        QualityItem("MDA", distance.mean, "mm", voxel, agreement, structure),
        QualityItem("HD95", distance.hd95, "mm", None, None, structure),
    )


def _below(value: float, tolerance: float, unusable: float) -> Grade:
    """Good up to the tolerance, unusable beyond the second bound; NaN is unusable."""
    return "good" if value <= tolerance else "check" if value <= unusable else "do not use"


def _quantile(values: Tensor, share: float) -> float:
    """By sorting; ``torch.quantile`` refuses more than 16 million values.

    Raises:
        ValueError: There is no value.
    """
    if not values.numel():
        raise ValueError("The region of the quality check is empty.")
    ordered = values.flatten().double().sort().values
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return float(torch.lerp(ordered[low], ordered[high], place - low))
