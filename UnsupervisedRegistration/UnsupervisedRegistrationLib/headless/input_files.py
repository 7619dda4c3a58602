"""The files that belong to a pair of images, for every command that reads them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..scene.registration_options import Orientation


@dataclass(frozen=True, kw_only=True)
class PairFiles:
    """Two images, and what belongs to them.

    Attributes:
        fixed: Image or volume.
        moving: Is warped onto ``fixed``.
        fixedLabels: Labelmap or segmentation.
        movingLabels: Likewise.
        fixedLandmarks: Points.
        movingLandmarks: Likewise.
        fixedMask: Region that matters.
        movingMask: Likewise.
    """

    fixed: Path
    moving: Path
    fixedLabels: Path | None = None
    movingLabels: Path | None = None
    fixedLandmarks: Path | None = None
    movingLandmarks: Path | None = None
    fixedMask: Path | None = None
    movingMask: Path | None = None

    @property
    def files(self) -> dict[str, Path]:
        """What each given file is for, and where it lies."""
        return {name: path for name, path in vars(self).items() if isinstance(path, Path)}


@dataclass(frozen=True, kw_only=True)
class ReportFiles(PairFiles):
    """A pair, the transform between its images, and the slice that a report is about.

    Attributes:
        transform: From fixed to moving.
        orientation: Of the slice; without it and ``fixedSlice`` the report is about the whole volume.
        fixedSlice: Index of the slice.
    """

    transform: Path
    orientation: Orientation | None = None
    fixedSlice: int | None = None


@dataclass(frozen=True, kw_only=True)
class RegistrationFiles(PairFiles):
    """A pair that is registered, and what follows the moving image.

    Attributes:
        initialTransform: Places the moving image first.
        along: Images, segmentations, models and points of the moving image that follow by the same transform.
        orientation: Of the slice.
        fixedSlice: Its index; ``None`` is the middle slice.
        movingSlice: Index of the moving slice; ``None`` is the same place.
    """

    initialTransform: Path | None = None
    along: tuple[Path, ...] = ()
    orientation: Orientation | None = None
    fixedSlice: int | None = None
    movingSlice: int | None = None

    @property
    def files(self) -> dict[str, Path]:
        """See ``PairFiles``."""
        return super().files | {f"along {number}": path for number, path in enumerate(self.along, 1)}
