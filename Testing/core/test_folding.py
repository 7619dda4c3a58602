"""Facts about folding, the Jacobian's spread, and the simplices that both rest on."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from UnsupervisedRegistrationLib.core.evaluation.metrics import sd_log_jacobian
from UnsupervisedRegistrationLib.core.spatial.deformation import jacobian_determinant
from UnsupervisedRegistrationLib.core.spatial.folding import _simplex_ratios, _simplex_sizes, folded_fraction, folding
from UnsupervisedRegistrationLib.core.spatial.grid import identity_grid

DOUBLE = torch.zeros(1, dtype=torch.float64)
SHAPES = {"2-D": (18, 21), "3-D": (9, 10, 12)}
shapes = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())


def random_field(shape: tuple[int, ...], height: float) -> Tensor:
    """Noise, 0 at the border."""
    noise = torch.randn(1, len(shape), *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(7))
    inside = torch.zeros(shape, dtype=torch.float64)
    inside[(slice(1, -1),) * len(shape)] = height
    return noise * inside


def smooth_field(shape: tuple[int, ...], height: float) -> Tensor:
    ends = torch.tensor(shape, dtype=torch.float64).view(1, -1, *[1] * len(shape)) - 1
    bump = (math.pi * identity_grid(shape, DOUBLE) / ends).sin().square().prod(dim=1, keepdim=True)
    return height * bump.expand(1, len(shape), *shape)


def checkerboard(shape: tuple[int, ...]) -> Tensor:
    """Neighbours are pushed along the first axis in opposite directions, by 0.75 voxels; the border is at rest."""
    parity = identity_grid(shape, DOUBLE).sum(dim=1) % 2
    inside = torch.zeros(shape, dtype=torch.float64)
    inside[(slice(1, -1),) * len(shape)] = 1
    field = torch.zeros(1, len(shape), *shape, dtype=torch.float64)
    field[:, 0] = (1.5 * parity - 0.75) * inside
    return field


def mirrored(shape: tuple[int, ...], axis: int) -> Tensor:
    field = torch.zeros(1, len(shape), *shape, dtype=torch.float64)
    field[:, axis] = shape[axis] - 1 - 2 * identity_grid(shape, DOUBLE)[:, axis]
    return field


@shapes
def test_no_displacement_does_not_fold(shape: tuple[int, ...]) -> None:
    assert folding(torch.zeros(1, len(shape), *shape)) == folded_fraction(torch.zeros(1, len(shape), *shape)) == 0


@shapes
def test_a_smooth_deformation_does_not_fold(shape: tuple[int, ...]) -> None:
    assert folding(smooth_field(shape, 1.0)) == folded_fraction(smooth_field(shape, 1.0)) == 0


@shapes
@pytest.mark.parametrize("axis", [0, 1])
def test_a_mirrored_axis_folds_everything(shape: tuple[int, ...], axis: int) -> None:
    assert folding(mirrored(shape, axis)) == pytest.approx(1, abs=1e-12)
    assert folded_fraction(mirrored(shape, axis)) == 1


@shapes
def test_two_mirrored_axes_are_a_rotation_and_fold_nothing(shape: tuple[int, ...]) -> None:
    assert folding(mirrored(shape, 0) + mirrored(shape, 1)) == 0


@shapes
def test_folding_sees_the_checkerboard_that_central_differences_miss(shape: tuple[int, ...]) -> None:
    field = checkerboard(shape)
    assert float(jacobian_determinant(field).min()) > 0
    assert folding(field) > 0.1
    assert folded_fraction(field) > 0.5


def one_sided_folding(field: Tensor) -> float:
    """``sum_dirs mean(0.5 max(0, -J) / 2)`` over the four one-sided Jacobian determinants J."""
    y, x = (np.indices(field.shape[2:]) + field[0].numpy()).astype(np.float64)
    total = 0.0
    for rows in (slice(None, -1), slice(1, None)):  # The difference to the next row, or from the one before.
        for columns in (slice(None, -1), slice(1, None)):
            yy, xy = np.diff(y, axis=0)[:, columns], np.diff(x, axis=0)[:, columns]
            yx, xx = np.diff(y, axis=1)[rows], np.diff(x, axis=1)[rows]
            total += float(np.mean(0.5 * np.maximum(0, -(yy * xx - yx * xy)) / 2))
    return total


@pytest.mark.parametrize("height", [0.3, 1.0, 4.0])
def test_folding_equals_the_four_one_sided_determinants(height: float) -> None:
    field = random_field((18, 21), height)
    assert one_sided_folding(field) > 0
    assert folding(field) == pytest.approx(one_sided_folding(field), rel=1e-12)


@shapes
def test_the_signed_simplices_fill_the_image_while_its_border_is_at_rest(shape: tuple[int, ...]) -> None:
    parts = zip(_simplex_ratios(random_field(shape, 2.0)), _simplex_sizes(len(shape)), strict=True)
    filled = sum(float(ratio.mean()) * size for ratio, size in parts) / 2  # Each of both cuts fills it once.
    assert filled == pytest.approx(1, abs=1e-12)


@shapes
def test_the_simplices_of_one_cut_fill_a_cell(shape: tuple[int, ...]) -> None:
    assert sum(_simplex_sizes(len(shape))) == pytest.approx(2)


@shapes
def test_every_simplex_of_a_linear_map_has_its_determinant(shape: tuple[int, ...]) -> None:
    matrix = torch.tensor([[0.2, -0.1, 0.3], [0.4, -0.3, 0.1], [0.1, 0.2, 0.5]], dtype=torch.float64)
    matrix = matrix[: len(shape), : len(shape)]
    ratios = torch.stack(_simplex_ratios(torch.einsum("ab,nb...->na...", matrix, identity_grid(shape, DOUBLE))))
    determinant = torch.linalg.det(matrix + torch.eye(len(shape), dtype=torch.float64))
    torch.testing.assert_close(ratios, determinant.expand_as(ratios))


def test_one_pixel_pushed_past_its_neighbour_folds_the_two_cells_in_between() -> None:
    field = torch.zeros(1, 2, 5, 5)
    field[0, 0, 2, 2] = 2
    assert folded_fraction(field) == pytest.approx(2 / 16)


@shapes
def test_the_log_jacobian_of_no_displacement_does_not_spread(shape: tuple[int, ...]) -> None:
    assert sd_log_jacobian(torch.zeros(1, len(shape), *shape)) == 0


@shapes
def test_the_log_jacobian_of_a_scaling_does_not_spread(shape: tuple[int, ...]) -> None:
    assert sd_log_jacobian(0.3 * identity_grid(shape, DOUBLE)) == pytest.approx(0, abs=1e-12)


@shapes
def test_the_log_jacobian_of_a_growing_stretch_spreads_as_its_formula_says(shape: tuple[int, ...]) -> None:
    field = torch.zeros(1, len(shape), *shape, dtype=torch.float64)
    field[:, -1] = 0.05 * identity_grid(shape, DOUBLE)[:, -1].square()  # J = 1 + 0.1 x.
    expected = np.log(4 + 0.1 * np.arange(2, shape[-1] - 2)).std()
    assert sd_log_jacobian(field) == pytest.approx(float(expected), abs=1e-12)
