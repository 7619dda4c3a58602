"""The items of the quality report of any deformation, in 2-D and 3-D.

Source:
    The items are those of AAPM TG-132: Brock et al., Use of image registration and fusion algorithms and techniques in
    radiotherapy, Medical Physics 2017.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..spatial.deformation import jacobian_determinant, lengths
from ..spatial.grid import ImageGrid
from .metrics import SurfaceDistance, dice, image_agreement, surface_distance
from .quality_check import (
    FOLDED_SHARE,
    Grade,
    QualityItem,
    folded_share,
    inverse_consistency_item,
    structure_items,
    tre_items,
)
from .tolerances import ToleranceProfile

DIRECTION_CHANGE = 0.02  # Relative change of the mutual information that counts as a change.


@dataclass(frozen=True)
class StructurePair:
    """A structure that was drawn on both images.

    Attributes:
        name: Of the structure.
        fixed: ``(*spatial)`` bool, on the fixed image.
        before: Likewise, on the moving image before the registration.
        after: Likewise, on the warped moving image.
    """

    name: str
    fixed: Tensor
    before: Tensor
    after: Tensor


@dataclass(frozen=True)
class LandmarkErrors:
    """Vectors between corresponding landmarks.

    Attributes:
        before: ``(N, 3)``, from the moving to the fixed landmark, RAS mm.
        after: ``(N, 3)``, from the moving to the mapped fixed landmark, RAS mm.
        fitted: ``(N,)`` bool, true for landmarks that steered the registration; they are no evidence.
    """

    before: Tensor
    after: Tensor
    fitted: Tensor

    def select(self, wanted: Tensor) -> LandmarkErrors:
        """The landmarks where ``wanted``, ``(N,)`` bool, is true."""
        return LandmarkErrors(self.before[wanted], self.after[wanted], self.fitted[wanted])


@dataclass(frozen=True)
class ComparedImages:
    """Intensities of the voxels that both images cover inside the patient's outline, ``(N,)`` each.

    Attributes:
        fixed: Fixed image.
        before: Moving image before the registration.
        after: Warped moving image.
        reverse: Moving image, warped by the inverse of the transform; ``None`` if there is no inverse.
    """

    fixed: Tensor
    before: Tensor
    after: Tensor
    reverse: Tensor | None = None


@dataclass(frozen=True)
class Evidence:
    """What a quality report is computed from.

    Attributes:
        grid: Of the fixed image; one slice or a volume.
        displacement: ``(1, d, *spatial)``, voxels.
        outline: ``(*spatial)`` bool, the patient.
        images: Intensities of both images.
        consistency: Inverse consistency error of voxels inside the outline, any shape, mm.
        covered: Share of the outline where the transform is defined, 0..1.
        structures: Drawn on both images.
        landmarks: Placed on both images; ``None`` without any.
        voxel: Largest voxel dimension of the fixed image, mm.
    """

    grid: ImageGrid
    displacement: Tensor
    outline: Tensor
    images: ComparedImages
    consistency: Tensor
    covered: float
    structures: tuple[StructurePair, ...]
    landmarks: LandmarkErrors | None
    voxel: float


def report_items(evidence: Evidence, profile: ToleranceProfile) -> tuple[QualityItem, ...]:
    """All items of a quality report; graded where a tolerance exists.

    Raises:
        ValueError: The outline is empty, or an array does not lie on the grid.
    """
    items = list(landmark_items(evidence.landmarks, evidence.voxel, profile))
    for structure in evidence.structures:
        items += agreement_items(structure, evidence.grid.spacing, evidence.voxel, profile)
    items += jacobian_items(evidence.displacement, evidence.outline)
    for structure in evidence.structures:
        items += jacobian_items(evidence.displacement, structure.fixed, structure.name)
        items.append(volume_ratio_item(structure))
    tolerance = profile.consistency_voxels * evidence.voxel
    items += [
        inverse_consistency_item(evidence.consistency, tolerance),
        coverage_item(evidence.covered),
        *image_items(evidence.images),
        *displacement_items(evidence.grid, evidence.displacement, evidence.outline),
    ]
    return tuple(items)


def landmark_items(
    landmarks: LandmarkErrors | None, voxel: float, profile: ToleranceProfile
) -> tuple[QualityItem, ...]:
    """Number, mean, maximum and mean components of the target registration error; fitted landmarks apart."""
    items: list[QualityItem] = []
    if landmarks is None:
        return ()
    for fitted in (False, True):
        part = landmarks.select(landmarks.fitted == fitted)
        before, after = part.before.norm(dim=1), part.after.norm(dim=1)
        if not len(after):
            continue
        mean, largest = tre_items(before, after, profile.tre_voxels * voxel, fitted, profile.least_tre_mm)
        if mean.tolerance is not None:
            grade: Grade = "good" if largest.value <= mean.tolerance else "check"
            largest = replace(largest, tolerance=mean.tolerance, grade=grade)
        kind = "fitted landmarks" if fitted else "landmarks"
        items += [QualityItem(kind, float(len(after)), "", None, None), mean, largest]
        for axis, value, first in zip("RAS", part.after.mean(dim=0), part.before.mean(dim=0), strict=True):
            items.append(QualityItem(f"mean {mean.name} {axis}", float(value), "mm", None, None, before=float(first)))
    return tuple(items)


def agreement_items(
    structure: StructurePair, spacing: tuple[float, ...], voxel: float, profile: ToleranceProfile
) -> tuple[QualityItem, ...]:
    """Dice, MDA and HD95 of a structure, with the values before the registration.

    Args:
        structure: What was drawn.
        spacing: mm along each array axis.
        voxel: Largest voxel dimension, mm.
        profile: Tolerances.
    """
    overlaps = (profile.good_dice, profile.usable_dice)
    tolerance = profile.mda_mm(voxel)
    measured = [_agreement(structure.fixed, moving, spacing) for moving in (structure.before, structure.after)]
    before, after = (structure_items(structure.name, *values, tolerance, overlaps) for values in measured)
    return tuple(replace(item, before=first.value) for item, first in zip(after, before, strict=True))


def _agreement(fixed: Tensor, moving: Tensor, spacing: tuple[float, ...]) -> tuple[float, SurfaceDistance]:
    return dice(fixed.int(), moving.int(), [1]).get(1, 0.0), surface_distance(fixed, moving, spacing)


def jacobian_items(displacement: Tensor, region: Tensor, structure: str = "") -> tuple[QualityItem, ...]:
    """The share of a region where the Jacobian is below 0, and its range and mean there.

    A cell counts as soon as one of its triangles (tetrahedra in 3-D) is turned over, which central differences miss.

    Args:
        displacement: ``(1, d, *spatial)``, voxels.
        region: ``(*spatial)`` bool.
        structure: Name of the region; empty for the outline.

    Raises:
        ValueError: The region is empty or does not lie on the grid.
    """
    share = folded_share(displacement, region)
    grade: Grade = "good" if share == 0 else "check" if share <= FOLDED_SHARE[1] else "do not use"
    values = jacobian_determinant(displacement)[0, 0][region]
    shown = {"smallest": values.amin(), "mean": values.mean(), "largest": values.amax()}
    return (
        QualityItem("Jacobian below 0", 100 * share, "%", 0.0, grade, structure),
        *(QualityItem(f"{name} Jacobian", float(value), "", None, None, structure) for name, value in shown.items()),
    )


def volume_ratio_item(structure: StructurePair) -> QualityItem:
    """Volume of the moving over that of the fixed structure (area in 2-D), to compare with the mean Jacobian."""
    ratio = float(structure.before.sum()) / max(float(structure.fixed.sum()), 1.0)
    return QualityItem("size ratio moving/fixed", ratio, "", None, None, structure.name)


def coverage_item(share: float) -> QualityItem:
    """The share of the outline where the transform is defined, 0..1; outside, nobody computed a displacement."""
    grade: Grade = "good" if share >= 1 else "check"
    return QualityItem("covered by the transform", 100 * share, "%", 100.0, grade)


def image_items(images: ComparedImages) -> tuple[QualityItem, ...]:
    """Similarities before and after, which are shown only, and the check of the direction.

    The direction is graded: if the transform makes the images less similar, and its inverse makes them more similar,
    the transform was stored in the wrong direction.
    """
    before, after = (image_agreement(images.fixed, moving) for moving in (images.before, images.after))
    shown = (("correlation", ""), ("mutual information", "nat"), ("mean squared difference", "intensity²"))
    items = [
        QualityItem(name, value, unit, None, None, before=first)
        for (name, unit), value, first in zip(shown, after, before, strict=True)
    ]
    if images.reverse is not None:
        reverse = image_agreement(images.fixed, images.reverse).mutual_information
        first = before.mutual_information
        worse = after.mutual_information < (1 - DIRECTION_CHANGE) * first
        grade: Grade | None = "do not use" if worse and reverse > (1 + DIRECTION_CHANGE) * first else None
        items.append(QualityItem("mutual information by the inverse", reverse, "nat", None, grade, before=first))
    return tuple(items)


def displacement_items(grid: ImageGrid, displacement: Tensor, outline: Tensor) -> tuple[QualityItem, ...]:
    """The largest displacement and the largest gradient (Frobenius norm) inside the outline; both are shown only."""
    longest = lengths(grid.displacement_to_ras(displacement))[0, 0][outline].amax()
    spacing = torch.tensor(grid.spacing, dtype=displacement.dtype).view(1, -1, *[1] * len(grid.shape))
    millimetres = displacement * spacing
    squares = torch.zeros_like(displacement[0, 0])
    for axis, step in enumerate(grid.spacing):
        (slope,) = torch.gradient(millimetres, dim=axis + 2)
        squares += (slope / step).square().sum(dim=1)[0]
    gradient = squares[outline].amax().sqrt()
    return (
        QualityItem("largest displacement", float(longest), "mm", None, None),
        QualityItem("largest displacement gradient", float(gradient), "mm/mm", None, None),
    )
