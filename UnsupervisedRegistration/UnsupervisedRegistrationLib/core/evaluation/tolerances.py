"""Profiles of tolerances, by which the quality report grades."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class ToleranceProfile:
    """Tolerances of a quality report. Those in voxels are multiples of the largest voxel dimension.

    Attributes:
        name: As the report shows it.
        tre_voxels: Largest TRE.
        least_tre_mm: Lower bound of the tolerance of the TRE, mm.
        mda_voxels: Largest mean distance to agreement.
        least_mda_mm: Lower bound of the tolerance of the mean distance to agreement, such as the uncertainty of a
            contour, mm.
        good_dice: Smallest Dice that is good.
        usable_dice: Smallest Dice that can be used after a check.
        consistency_voxels: Largest inverse consistency error.

    Raises:
        ValueError: A tolerance is negative or not finite, or the two bounds of Dice are exchanged.
    """

    name: str
    tre_voxels: float = 1.0
    least_tre_mm: float = 2.0
    mda_voxels: float = 1.0
    least_mda_mm: float = 0.0
    good_dice: float = 0.9
    usable_dice: float = 0.8
    consistency_voxels: float = 1.0

    def __post_init__(self) -> None:
        for name, value in list(vars(self).items())[1:]:
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
                raise ValueError(f"The tolerance '{name}' is {value!r}; it must be a number of at least 0.")
        if not self.usable_dice <= self.good_dice <= 1:
            raise ValueError(
                f"usable_dice is {self.usable_dice:g} and good_dice {self.good_dice:g}; needed is"
                " usable_dice <= good_dice <= 1."
            )

    def tre_mm(self, voxel: float) -> float:
        """Tolerance of the TRE in mm for a largest voxel dimension in mm."""
        return max(self.tre_voxels * voxel, self.least_tre_mm)

    def mda_mm(self, voxel: float) -> float:
        """Tolerance of the mean distance to agreement in mm for a largest voxel dimension in mm."""
        return max(self.mda_voxels * voxel, self.least_mda_mm)


TG_132 = ToleranceProfile("TG-132 by voxel")
"""The largest voxel dimension, as AAPM TG-132 recommends; below 2 mm two people do not place the same landmark."""
STRICT = ToleranceProfile("strict", 1.0, 0.0, 0.5, good_dice=0.95, usable_dice=0.9, consistency_voxels=0.5)
"""No lower bound in mm, and half of the other tolerances."""
PROFILES: Mapping[str, ToleranceProfile] = {"tg-132": TG_132, "strict": STRICT}


def own_profile(tolerances: Mapping[str, object]) -> ToleranceProfile:
    """A profile from tolerances by their names, such as the content of a JSON file; others are those of TG-132.

    Raises:
        ValueError: A name is unknown, or a tolerance is not usable.
    """
    fields = [field.name for field in dataclasses.fields(ToleranceProfile)]
    unknown = [name for name in tolerances if name not in fields]
    if unknown:
        raise ValueError(f"'{unknown[0]}' is no tolerance of a profile; choose among {', '.join(fields)}.")
    content: dict[str, object] = {"name": "own", **tolerances}
    return ToleranceProfile(**content)  # type: ignore[arg-type]
