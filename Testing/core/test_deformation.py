"""Facts about displacement fields, in 2-D and 3-D."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates
from torch import Tensor

from UnsupervisedRegistrationLib.core.spatial.deformation import (
    compose,
    exponentiate,
    invert,
    jacobian_determinant,
    resize_displacement,
    symmetric_flows,
    warp,
)
from UnsupervisedRegistrationLib.core.spatial.grid import identity_grid

SHAPES = {"2-D": (33, 40), "3-D": (17, 20, 24)}
shapes = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
DOUBLE = torch.zeros(1, dtype=torch.float64)


def random_image(shape: tuple[int, ...], channels: int = 1) -> Tensor:
    return torch.rand(1, channels, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(3))


def constant_field(vector: tuple[float, ...], shape: tuple[int, ...]) -> Tensor:
    return torch.tensor(vector, dtype=torch.float64).view(1, -1, *[1] * len(shape)).expand(1, -1, *shape).clone()


def bump_field(shape: tuple[int, ...], height: float) -> Tensor:
    """Smooth, 0 at the border, ``height`` voxels in the middle, with opposite signs along the axes."""
    grid = identity_grid(shape, DOUBLE)
    ends = torch.tensor(shape, dtype=torch.float64).view(1, -1, *[1] * len(shape)) - 1
    bump = (math.pi * grid / ends).sin().square().prod(dim=1, keepdim=True)
    return height * bump * constant_field((1, -1, 0.5)[: len(shape)], shape)


def linear_field(matrix: Tensor, shape: tuple[int, ...]) -> Tensor:
    """``matrix @ (x - centre)`` in voxels."""
    ends = torch.tensor(shape, dtype=torch.float64).view(1, -1, *[1] * len(shape)) - 1
    return torch.einsum("ab,nb...->na...", matrix, identity_grid(shape, DOUBLE) - ends / 2)


@shapes
def test_no_displacement_leaves_the_image(shape: tuple[int, ...]) -> None:
    image = random_image(shape)
    torch.testing.assert_close(warp(image, constant_field((0,) * len(shape), shape)), image, rtol=0, atol=1e-12)


@shapes
def test_warping_by_whole_voxels_shifts_the_image(shape: tuple[int, ...]) -> None:
    image = random_image(shape)
    warped = warp(image, constant_field((2, -1, 3)[: len(shape)], shape))
    index, partner = (5, 6, 7)[: len(shape)], (7, 5, 10)[: len(shape)]
    assert float(warped[(0, 0, *index)]) == pytest.approx(float(image[(0, 0, *partner)]), abs=1e-12)


def test_warping_by_two_rows_is_a_slice_of_the_image() -> None:
    image = random_image((33, 40))
    torch.testing.assert_close(warp(image, constant_field((2, 0), (33, 40)))[:, :, :-2], image[:, :, 2:])


@pytest.mark.parametrize("axis", [0, 1])
def test_points_outside_take_the_nearest_border_voxel(axis: int) -> None:
    image = random_image((9, 8))
    vector = (100.0, 0.0) if axis == 0 else (0.0, 100.0)
    border = image.narrow(axis + 2, image.shape[axis + 2] - 1, 1).expand_as(image)
    torch.testing.assert_close(warp(image, constant_field(vector, (9, 8))), border, rtol=0, atol=1e-12)


@shapes
def test_warp_equals_map_coordinates_of_scipy(shape: tuple[int, ...]) -> None:
    image = random_image(shape)
    displacement = 10 * random_image(shape, len(shape)) - 5
    points = np.indices(shape) + displacement[0].numpy()
    expected = map_coordinates(image[0, 0].numpy(), points, order=1, mode="nearest")
    np.testing.assert_allclose(warp(image, displacement)[0, 0].numpy(), expected, atol=1e-10)  # rounding only


@shapes
def test_warping_labels_makes_no_new_labels(shape: tuple[int, ...]) -> None:
    labels = (random_image(shape) * 4).floor()
    warped = warp(labels, bump_field(shape, 2.3), mode="nearest")
    assert set(warped.unique().tolist()) <= {0.0, 1.0, 2.0, 3.0}


def test_each_image_of_a_batch_takes_its_own_displacement() -> None:
    image = random_image((9, 8)).expand(2, -1, -1, -1)
    displacement = torch.cat([constant_field((0, 0), (9, 8)), constant_field((1, 0), (9, 8))])
    warped = warp(image, displacement)
    torch.testing.assert_close(warped[0, 0, 1:], warped[1, 0, :-1])


@shapes
def test_composing_equals_warping_twice(shape: tuple[int, ...]) -> None:
    first, second = bump_field(shape, 2.0), bump_field(shape, -1.5).flip(1)
    ramp = identity_grid(shape, DOUBLE)  # Linear interpolation reproduces a ramp, so only rounding is left.
    once, twice = warp(ramp, compose(first, second)), warp(warp(ramp, first), second)
    torch.testing.assert_close(once, twice, rtol=0, atol=1e-10)


def test_composing_translations_adds_them() -> None:
    total = compose(constant_field((1, 2), (9, 8)), constant_field((0.5, -3), (9, 8)))
    torch.testing.assert_close(total, constant_field((1.5, -1), (9, 8)))


@shapes
def test_the_flow_of_a_constant_velocity_is_a_translation(shape: tuple[int, ...]) -> None:
    velocity = constant_field((1.5, -2.25, 0.5)[: len(shape)], shape)
    torch.testing.assert_close(exponentiate(velocity, 6), velocity, rtol=0, atol=1e-12)


@shapes
def test_without_samplings_the_velocity_is_the_displacement(shape: tuple[int, ...]) -> None:
    assert torch.equal(exponentiate(bump_field(shape, 2.0), 0), bump_field(shape, 2.0))


@shapes
def test_the_flow_of_a_linear_contraction_is_its_matrix_exponential(shape: tuple[int, ...]) -> None:
    matrix = torch.diag(torch.tensor([-0.3, -0.1, -0.2], dtype=torch.float64)[: len(shape)])
    expected = linear_field(torch.matrix_exp(matrix) - torch.eye(len(shape), dtype=torch.float64), shape)
    # Voxels: 2^5 steps of the midpoint rule, each off by (a / 2^5)^3 / 6 of the distance from the centre, here 16.
    torch.testing.assert_close(exponentiate(linear_field(matrix, shape), 6), expected, rtol=0, atol=1e-4)


@shapes
def test_the_flow_of_the_opposite_velocity_is_the_inverse(shape: tuple[int, ...]) -> None:
    velocity = bump_field(shape, 2.0)
    there_and_back = compose(exponentiate(velocity, 6), exponentiate(-velocity, 6))
    assert float(there_and_back.abs().max()) < 0.1  # Voxels: interpolation of a bump 17 voxels wide.


@shapes
def test_the_inverse_undoes_the_deformation(shape: tuple[int, ...]) -> None:
    displacement = bump_field(shape, 2.0)
    assert float(compose(displacement, invert(displacement)).abs().max()) < 1e-3  # Voxels; the iteration's remainder.


def test_the_inverse_of_a_translation_is_its_opposite() -> None:
    assert torch.equal(invert(constant_field((2, -1), (9, 8))), constant_field((-2, 1), (9, 8)))


@shapes
def test_no_displacement_keeps_the_size(shape: tuple[int, ...]) -> None:
    determinant = jacobian_determinant(constant_field((0,) * len(shape), shape))
    assert torch.equal(determinant, torch.ones(1, 1, *shape, dtype=torch.float64))


@shapes
def test_symmetric_flows_of_a_smooth_velocity_are_its_exponential(shape: tuple[int, ...]) -> None:
    velocity = 0.1 * linear_field(torch.eye(len(shape), dtype=torch.float64), shape)
    velocity = velocity - velocity.mean(
        dim=tuple(range(2, velocity.ndim)), keepdim=True
    )  # Nothing leaves the grid far.
    there, back = (resize_displacement(flow, shape) for flow in symmetric_flows(velocity, 6).chunk(2))
    inner = (slice(None), slice(None), *(slice(n // 4, -(n // 4)) for n in shape))
    torch.testing.assert_close(there[inner], exponentiate(velocity, 6)[inner], rtol=0.02, atol=0.02)
    torch.testing.assert_close(back[inner], exponentiate(-velocity, 6)[inner], rtol=0.02, atol=0.02)


def test_symmetric_flows_undo_each_other_where_squared_ones_do_not() -> None:
    velocity = 0.5 * torch.randn(1, 2, 24, 24, generator=torch.Generator().manual_seed(3))
    finer = (48, 48)

    def left(flows: Tensor) -> float:
        there, back = resize_displacement(flows, finer).chunk(2)
        return float(compose(back, there)[..., 8:-8, 8:-8].norm(dim=1).mean())

    squared = left(exponentiate(torch.cat([velocity, -velocity]), 6))
    assert left(symmetric_flows(velocity, 6)) < squared / 2


def test_swapping_the_sign_of_the_velocity_swaps_the_symmetric_flows() -> None:
    velocity = torch.randn(2, 2, 12, 16, generator=torch.Generator().manual_seed(4))
    there, back = symmetric_flows(velocity, 5).chunk(2)
    assert torch.equal(symmetric_flows(-velocity, 5), torch.cat([back, there]))


def test_what_lies_on_the_grid_already_is_not_resized() -> None:
    displacement = torch.rand(1, 2, 9, 8)
    assert resize_displacement(displacement, (9, 8)) is displacement


@shapes
def test_the_jacobian_of_a_linear_map_is_its_determinant(shape: tuple[int, ...]) -> None:
    matrix = torch.tensor([[0.2, -0.1, 0.3], [0.4, -0.3, 0.0], [0.1, 0.2, 0.5]], dtype=torch.float64)
    matrix = matrix[: len(shape), : len(shape)]
    expected = torch.linalg.det(matrix + torch.eye(len(shape), dtype=torch.float64))
    determinant = jacobian_determinant(linear_field(matrix, shape))
    torch.testing.assert_close(determinant, expected.expand_as(determinant), rtol=0, atol=1e-10)


@shapes
def test_a_resized_translation_has_the_same_share_of_the_extent(shape: tuple[int, ...]) -> None:
    finer = (2 * shape[0], *(3 * size for size in shape[1:]))
    resized = resize_displacement(constant_field((1,) * len(shape), shape), finer)
    torch.testing.assert_close(resized, constant_field((2, 3, 3)[: len(shape)], finer))


@shapes
def test_a_resized_linear_map_is_the_same_map(shape: tuple[int, ...]) -> None:
    matrix, finer = -0.2 * torch.eye(len(shape), dtype=torch.float64), tuple(2 * size for size in shape)
    difference = resize_displacement(linear_field(matrix, shape), finer) - linear_field(matrix, finer)
    inner = difference[(slice(None), slice(None), *[slice(1, -1)] * len(shape))]  # The border voxels are extrapolated.
    assert float(inner.abs().max()) < 1e-10  # Voxels, rounding only.


@pytest.mark.parametrize("displacement_shape", [(1, 2, 8, 9), (1, 3, 9, 8), (1, 2, 9, 8, 4)])
def test_a_displacement_that_is_not_on_the_grid_of_the_image_is_an_error(displacement_shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="does not lie on the grid"):
        warp(torch.zeros(1, 1, 9, 8), torch.zeros(displacement_shape))


def test_an_image_one_voxel_wide_cannot_be_warped() -> None:
    with pytest.raises(ValueError, match="every axis needs two voxels"):
        warp(torch.zeros(1, 1, 9, 1), torch.zeros(1, 2, 9, 1))


def test_resizing_to_another_number_of_axes_is_an_error() -> None:
    with pytest.raises(ValueError, match="zip"):
        resize_displacement(torch.zeros(1, 2, 9, 8), (9, 8, 4))
