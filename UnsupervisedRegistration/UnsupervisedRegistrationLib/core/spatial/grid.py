"""Grids of voxels in patient space."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from torch import Tensor


def identity_grid(shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Coordinates of every voxel, ``(1, d, *shape)``, with dtype and device of ``like``."""
    axes = [torch.arange(size, dtype=like.dtype, device=like.device) for size in shape]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"))[None]


def shifted(image: Tensor, offset: tuple[int, ...], margin: int) -> Tensor:
    """The image without a margin, shifted by ``offset``.

    Args:
        image: ``(B, C, *spatial)``.
        offset: Voxels along each axis, none larger than ``margin``.
        margin: Voxels removed on every side.
    """
    for axis, step in enumerate(offset):
        image = image.narrow(axis + 2, margin + step, image.shape[axis + 2] - 2 * margin)
    return image


@dataclass(frozen=True)
class ImageGrid:
    """A regular grid of voxels in patient space.

    Attributes:
        shape: Voxels along each array axis, ``(H, W)`` or ``(D, H, W)``.
        ijk_to_ras: ``(4, 4)``, from voxel indices (fastest array axis first) to RAS millimetres.
    """

    shape: tuple[int, ...]
    ijk_to_ras: Tensor

    def __post_init__(self) -> None:
        if len(self.shape) not in (2, 3) or min(self.shape) < 1:
            raise ValueError(f"A grid has 2 or 3 axes of at least one voxel, not the shape {self.shape}.")
        if tuple(self.ijk_to_ras.shape) != (4, 4) or not bool(torch.isfinite(self.ijk_to_ras).all()):
            raise ValueError("ijk_to_ras must be a 4 x 4 matrix of finite numbers.")
        directions = self.ijk_to_ras[:3, :3].double()
        volume, lengths = float(torch.linalg.det(directions).abs()), float(directions.norm(dim=0).prod())
        if not volume > 1e-6 * lengths:
            raise ValueError(
                "ijk_to_ras is singular: two axes of the image have the same direction, or a spacing is 0."
            )

    @property
    def axes_to_ras(self) -> Tensor:
        """RAS step of one voxel along each array axis, ``(3, d)``, mm."""
        return self.ijk_to_ras[:3, : len(self.shape)].flip(1)

    @functools.cached_property
    def spacing(self) -> tuple[float, ...]:
        """Distance of neighbouring voxels along each array axis, mm."""
        return tuple(self.axes_to_ras.double().norm(dim=0).tolist())

    def displacement_to_ras(self, displacement: Tensor) -> Tensor:
        """Displacements as vectors in patient space.

        Args:
            displacement: ``(B, d, *shape)``, voxels.

        Returns:
            ``(B, 3, *shape)``, RAS components in mm.

        Raises:
            ValueError: The displacement is not on this grid.
        """
        if displacement.shape[2:] != self.shape:
            raise ValueError(f"The displacement has the shape {tuple(displacement.shape)}, the grid {self.shape}.")
        return torch.einsum("rc,bc...->br...", self.axes_to_ras.to(displacement), displacement)
