"""The voxels that a quality report is about: one slice, or the whole fixed volume."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import slicer
import torch

from ...core.spatial.grid import ImageGrid
from ..geometry.planes import SlicePlane, ijkToWorld, volumeSize


@dataclass(frozen=True)
class ReportRegion:
    """Voxels of the fixed volume, as planes that follow each other along their normal.

    Attributes:
        plane: The first plane.
        count: Number of planes; with 1 everything is measured in 2-D.
        voxel: Largest dimension of a voxel, mm; in a slice the thickness counts too.
        step: Every ``step``-th row and column of the volume is taken.
    """

    plane: SlicePlane
    count: int
    voxel: float
    step: int = 1

    @property
    def isSlice(self) -> bool:
        """Whether it is one slice."""
        return self.count == 1

    @property
    def name(self) -> str:
        """For the reader."""
        return self.plane.name if self.isSlice else f"whole volume, {self.count} slices"

    @property
    def shape(self) -> tuple[int, ...]:
        """Of arrays on the region: rows and columns, or slices, rows and columns."""
        return self.plane.shape if self.isSlice else (self.count, *self.plane.shape)

    @property
    def grid(self) -> ImageGrid:
        """The voxels as ``core`` knows them."""
        return ImageGrid(self.shape, torch.from_numpy(self.plane.ijkToRas))

    @property
    def positions(self) -> np.ndarray:
        """``(*shape, 3)``, world RAS mm."""
        index = np.indices((self.count, *self.plane.shape))[::-1]
        matrix = self.plane.ijkToRas
        return (np.moveaxis(index, 0, -1) @ matrix[:3, :3].T + matrix[:3, 3]).reshape(*self.shape, 3)

    def coarsened(self, most: int) -> ReportRegion:
        """The same region with every second, third, .. row and column, so that it has at most ``most`` voxels."""
        rows, columns = self.plane.shape
        step = 1
        while self.count * -(-rows // step) * -(-columns // step) > most and step < min(rows, columns) // 2:
            step += 1
        if step == 1:
            return self
        matrix = self.plane.ijkToRas @ np.diag([step, step, 1.0, 1.0])
        plane = SlicePlane((-(-rows // step), -(-columns // step)), matrix, self.plane.name)
        return replace(self, plane=plane, step=self.step * step)

    def sliceAt(self, index: int) -> ReportRegion:
        """One slice of a volume."""
        matrix = self.plane.ijkToRas.copy()
        matrix[:, 3] += index * matrix[:, 2]
        return replace(self, plane=SlicePlane(self.plane.shape, matrix, f"slice {index}"), count=1)


def regionOf(fixedVolume: slicer.vtkMRMLVolumeNode, plane: SlicePlane | None) -> ReportRegion:
    """The slice on a plane; for ``None`` the whole volume.

    Raises:
        ValueError: The volume is empty, or a line of voxels.
    """
    volumeSize(fixedVolume)
    if plane is not None:
        return ReportRegion(plane, 1, float(np.linalg.norm(plane.ijkToRas[:3, :3], axis=0).max()))
    matrix, size = ijkToWorld(fixedVolume), np.array(volumeSize(fixedVolume))
    axis = int(np.argmin(size))  # Across the slices.
    columnAxis, rowAxis = (a for a in range(3) if a != axis)
    first = matrix[:, [columnAxis, rowAxis, axis, 3]].copy()
    if np.linalg.det(first[:3, :3]) < 0:  # From the last slice on, so that the axes are right-handed.
        first[:, 3] += (size[axis] - 1) * first[:, 2]
        first[:, 2] *= -1
    voxel = float(np.linalg.norm(matrix[:3, :3], axis=0).max())
    name = "only slice" if size[axis] == 1 else "first slice"
    return ReportRegion(SlicePlane((int(size[rowAxis]), int(size[columnAxis])), first, name), int(size[axis]), voxel)
