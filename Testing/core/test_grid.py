"""Facts about where the pixels of an image lie in patient space."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from UnsupervisedRegistrationLib.core.spatial.grid import ImageGrid, identity_grid, shifted


def matrix(directions: list[list[float]], spacing: tuple[float, float, float]) -> Tensor:
    """``ijk_to_ras`` from the directions of i, j, k (rows here) and their steps in mm."""
    ijk_to_ras = torch.eye(4, dtype=torch.float64)
    ijk_to_ras[:3, :3] = torch.tensor(directions, dtype=torch.float64).T * torch.tensor(spacing, dtype=torch.float64)
    ijk_to_ras[:3, 3] = torch.tensor([-12.0, 7.5, 100.0])
    return ijk_to_ras


COS, SIN = math.cos(0.4), math.sin(0.4)
AXES = {
    "RAS": [[1.0, 0, 0], [0, 1, 0], [0, 0, 1]],
    "LAS": [[-1.0, 0, 0], [0, 1, 0], [0, 0, 1]],
    "LPS": [[-1.0, 0, 0], [0, -1, 0], [0, 0, 1]],
    "sagittal": [[0, -1.0, 0], [0, 0, -1], [1, 0, 0]],
    "oblique": [[COS, SIN, 0], [-SIN * COS, COS * COS, SIN], [SIN * SIN, -COS * SIN, COS]],
}
SPACINGS = {"isotropic": (1.0, 1.0, 1.0), "anisotropic": (0.5, 0.8, 5.0)}
orientations = pytest.mark.parametrize("axes", AXES.values(), ids=AXES.keys())
spacings = pytest.mark.parametrize("spacing", SPACINGS.values(), ids=SPACINGS.keys())
shapes = pytest.mark.parametrize("shape", [(5, 6), (4, 5, 6)], ids=["2-D", "3-D"])


@orientations
@spacings
def test_spacing_is_in_array_order(axes: list[list[float]], spacing: tuple[float, float, float]) -> None:
    grid = ImageGrid((4, 5, 6), matrix(axes, spacing))
    assert grid.spacing == pytest.approx(spacing[::-1], abs=1e-12)


def test_spacing_of_a_slice_leaves_out_its_thickness() -> None:
    assert ImageGrid((5, 6), matrix(AXES["RAS"], (0.5, 0.8, 5.0))).spacing == pytest.approx((0.8, 0.5))


@orientations
@spacings
@shapes
def test_a_displacement_in_ras_ends_where_the_displaced_voxel_lies(
    axes: list[list[float]], spacing: tuple[float, float, float], shape: tuple[int, ...]
) -> None:
    ijk_to_ras = matrix(axes, spacing)
    displacement = torch.randn(1, len(shape), *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    index = (2, 3, 1)[: len(shape)]
    start = torch.tensor([*index[::-1], *[0] * (3 - len(shape)), 1], dtype=torch.float64)
    step = torch.zeros(4, dtype=torch.float64)
    step[: len(shape)] = displacement[(0, slice(None), *index)].flip(0)
    expected = (ijk_to_ras @ (start + step) - ijk_to_ras @ start)[:3]
    ras = ImageGrid(shape, ijk_to_ras).displacement_to_ras(displacement)
    assert ras.shape == (1, 3, *shape)
    torch.testing.assert_close(ras[(0, slice(None), *index)], expected, rtol=0, atol=1e-12)  # mm, rounding only


def test_one_row_down_in_a_standard_axial_slice_is_one_spacing_to_the_back() -> None:
    grid = ImageGrid((5, 6), matrix(AXES["LPS"], (0.5, 0.8, 5.0)))
    down = torch.tensor([1.0, 0.0]).view(1, 2, 1, 1).expand(1, 2, 5, 6)
    assert grid.displacement_to_ras(down)[0, :, 0, 0].tolist() == pytest.approx([0, -0.8, 0])


def test_one_column_right_in_a_standard_axial_slice_is_one_spacing_to_the_left() -> None:
    grid = ImageGrid((5, 6), matrix(AXES["LPS"], (0.5, 0.8, 5.0)))
    right = torch.tensor([0.0, 1.0]).view(1, 2, 1, 1).expand(1, 2, 5, 6)
    assert grid.displacement_to_ras(right)[0, :, 0, 0].tolist() == pytest.approx([-0.5, 0, 0])


@orientations
def test_the_length_in_mm_does_not_depend_on_the_orientation(axes: list[list[float]]) -> None:
    grid = ImageGrid((2, 2, 2), matrix(axes, (1.0, 2.0, 3.0)))
    vector = torch.tensor([1.0, 1.0, 1.0]).view(1, 3, 1, 1, 1).expand(1, 3, 2, 2, 2)
    assert float(grid.displacement_to_ras(vector)[0, :, 0, 0, 0].norm()) == pytest.approx(math.sqrt(14), abs=1e-6)


def test_a_displacement_on_another_grid_is_an_error() -> None:
    grid = ImageGrid((5, 6), torch.eye(4))
    with pytest.raises(ValueError, match=r"\(1, 2, 6, 5\), the grid \(5, 6\)"):
        grid.displacement_to_ras(torch.zeros(1, 2, 6, 5))


@pytest.mark.parametrize("shape", [(5,), (2, 3, 4, 5), (0, 3), (3, 0, 3)])
def test_a_grid_has_two_or_three_axes_of_at_least_one_voxel(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="2 or 3 axes"):
        ImageGrid(shape, torch.eye(4))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_matrix_that_is_not_finite_is_an_error(bad: float) -> None:
    ijk_to_ras = torch.eye(4)
    ijk_to_ras[1, 3] = bad
    with pytest.raises(ValueError, match="finite"):
        ImageGrid((5, 6), ijk_to_ras)


def test_a_matrix_that_is_not_4_x_4_is_an_error() -> None:
    with pytest.raises(ValueError, match="4 x 4"):
        ImageGrid((5, 6), torch.eye(3))


def test_a_spacing_of_zero_is_an_error() -> None:
    with pytest.raises(ValueError, match="singular"):
        ImageGrid((5, 6), torch.diag(torch.tensor([1.0, 0.0, 1.0, 1.0])))


@pytest.mark.parametrize("direction", [[1.0, 0.0, 0.0], [0.3, 0.1, 0.7]], ids=["straight", "oblique"])
def test_two_axes_of_one_direction_are_an_error(direction: list[float]) -> None:
    with pytest.raises(ValueError, match="singular"):
        ImageGrid((5, 6), matrix([direction, direction, [0, 0, 1]], (1.0, 3.0, 1.0)))


@shapes
def test_the_identity_grid_holds_the_index_of_each_voxel(shape: tuple[int, ...]) -> None:
    grid = identity_grid(shape, torch.zeros(1, dtype=torch.float64))
    index = (3, 2, 4)[: len(shape)]
    assert grid.dtype == torch.float64
    assert grid[(0, slice(None), *index)].tolist() == list(index)


@shapes
def test_shifted_gives_the_voxels_at_the_offset(shape: tuple[int, ...]) -> None:
    image = torch.arange(math.prod(shape)).view(1, 1, *shape)
    offset = (1, -1, 0)[: len(shape)]
    part = shifted(image, offset, 1)
    assert part.shape[2:] == tuple(size - 2 for size in shape)
    assert part.flatten()[0] == image[(0, 0, *(1 + step for step in offset))]
