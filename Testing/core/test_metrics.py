"""Facts about overlap, distance and consistency."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, distance_transform_edt
from torch import Tensor

from UnsupervisedRegistrationLib.core.evaluation.metrics import (
    dice,
    inverse_consistency_error,
    surface_distance,
    target_registration_error,
)
from UnsupervisedRegistrationLib.core.spatial.grid import ImageGrid, identity_grid

DOUBLE = torch.zeros(1, dtype=torch.float64)
SHAPES = {"2-D": (18, 21), "3-D": (9, 10, 12)}
shapes = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
SPACING = (5.0, 0.8, 0.5)  # mm along the array axes of a volume.


def anisotropic(shape: tuple[int, ...]) -> ImageGrid:
    """LPS, with 5 mm between slices or 0.8 mm between rows, and 0.5 mm between columns."""
    k, j, i = SPACING
    return ImageGrid(shape, torch.diag(torch.tensor([-i, -j, k, 1.0], dtype=torch.float64)))


def constant_field(vector: tuple[float, ...], shape: tuple[int, ...]) -> Tensor:
    return torch.tensor(vector, dtype=torch.float64).view(1, -1, *[1] * len(shape)).expand(1, -1, *shape).clone()


def test_dice_of_equal_labelmaps_is_one() -> None:
    labels = torch.tensor([[0, 1], [2, 2]])
    assert dice(labels, labels) == {1: 1.0, 2: 1.0}


def test_dice_of_half_an_overlap() -> None:
    assert dice(torch.tensor([1, 1, 0, 0]), torch.tensor([0, 1, 1, 0])) == {1: 0.5}


def test_dice_of_a_label_that_is_missing_in_one_is_zero() -> None:
    assert dice(torch.tensor([1, 3]), torch.tensor([1, 1])) == {1: pytest.approx(2 / 3), 3: 0.0}


def test_dice_leaves_out_a_label_that_is_in_neither() -> None:
    assert dice(torch.tensor([1, 0]), torch.tensor([1, 0]), labels=[0, 1, 5]) == {0: 1.0, 1: 1.0}


def test_dice_of_labelmaps_of_different_shapes_is_an_error() -> None:
    with pytest.raises(ValueError, match="do not compare"):
        dice(torch.zeros(2, 3), torch.zeros(3, 2))


@shapes
def test_a_true_displacement_has_no_registration_error(shape: tuple[int, ...]) -> None:
    points, vector = torch.tensor([[3.5, 2.0, 4.25], [1.0, 5.0, 6.0]])[:, : len(shape)], (1.0, -0.5, 2.0)[: len(shape)]
    partners, field = points + torch.tensor(vector), constant_field(vector, shape)
    assert float(target_registration_error(points, partners, field, anisotropic(shape)).max()) < 1e-6


@pytest.mark.parametrize(("axis", "millimetres"), [(0, 10.0), (1, 1.6), (2, 1.0)])
def test_a_landmark_missed_by_two_voxels_is_missed_by_two_spacings(axis: int, millimetres: float) -> None:
    points, field = torch.tensor([[3.0, 4.0, 5.0]]), constant_field((0, 0, 0), (9, 10, 12))
    partners = points.clone()
    partners[0, axis] += 2
    error = target_registration_error(points, partners, field, anisotropic((9, 10, 12)))
    assert error.tolist() == pytest.approx([millimetres])


def test_between_voxels_the_displacement_of_a_landmark_is_interpolated() -> None:
    field = identity_grid((8, 9), DOUBLE) * 0.5
    error = target_registration_error(
        torch.tensor([[2.5, 3.25]]), torch.tensor([[3.75, 4.875]]), field, ImageGrid((8, 9), torch.eye(4))
    )
    assert error.tolist() == pytest.approx([0], abs=1e-6)


@pytest.mark.parametrize(("axis", "millimetres"), [(0, 20.0), (1, 3.2), (2, 2.0)])
def test_planes_four_voxels_apart_are_four_spacings_apart(axis: int, millimetres: float) -> None:
    first, second = torch.zeros(9, 10, 12), torch.zeros(9, 10, 12)
    first.select(axis, 2)[:] = 1
    second.select(axis, 6)[:] = 1
    assert surface_distance(first, second, SPACING) == pytest.approx((millimetres, millimetres))


def squares() -> tuple[Tensor, Tensor]:
    first, second = torch.zeros(24, 30), torch.zeros(24, 30)
    first[4:12, 5:14] = 1
    second[7:18, 9:25] = 1
    return first, second


def blobs() -> tuple[Tensor, Tensor]:
    first, second = torch.zeros(9, 10, 12), torch.zeros(9, 10, 12)
    first[1:6, 2:7, 0:9] = 1
    second[3:9, 1:5, 4:11] = 1
    return first, second


def scattered(seed: int) -> tuple[Tensor, Tensor]:
    """Single pixels all over the image, some of them on its border."""
    first, second = torch.rand(2, 40, 50, generator=torch.Generator().manual_seed(seed)) < 0.03
    return first.float(), second.float()


REGIONS = {"squares": squares(), "blobs": blobs(), "scattered": scattered(1), "scattered differently": scattered(2)}


@pytest.mark.parametrize("regions", REGIONS.values(), ids=REGIONS.keys())
def test_surface_distances_equal_distance_transforms_of_scipy(regions: tuple[Tensor, Tensor]) -> None:
    first, second = (region.numpy() > 0 for region in regions)
    spacing = SPACING[-first.ndim :]

    def surface(region: NDArray[np.bool_]) -> NDArray[np.bool_]:
        return region & ~binary_erosion(region)

    def distances(of: NDArray[np.bool_], to: NDArray[np.bool_]) -> NDArray[np.float64]:
        return distance_transform_edt(~surface(to), sampling=spacing)[surface(of)]

    there, back = distances(first, second), distances(second, first)
    expected = max(np.percentile(there, 95), np.percentile(back, 95))
    mean = np.concatenate([there, back]).mean()
    assert surface_distance(*regions, spacing) == pytest.approx((mean, expected), abs=1e-6)  # mm, rounding only


def test_large_surfaces_are_compared_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = surface_distance(*squares(), (0.8, 0.5))
    monkeypatch.setattr("UnsupervisedRegistrationLib.core.evaluation.metrics._POINTS_PER_BLOCK", 7)
    assert surface_distance(*squares(), (0.8, 0.5)) == pytest.approx(whole)


def test_only_the_box_around_a_region_is_searched_for_its_surface(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes, roll = [], Tensor.roll
    monkeypatch.setattr(Tensor, "roll", lambda values, *by: (shapes.append(tuple(values.shape)), roll(values, *by))[1])
    surface_distance(*squares(), (0.8, 0.5))
    assert set(shapes) == {(8 + 2, 9 + 2), (11 + 2, 16 + 2)}  # Of 24 x 30.


def test_surface_distances_do_not_depend_on_the_order() -> None:
    first, second = squares()
    there, back = surface_distance(first, second, (0.8, 0.5)), surface_distance(second, first, (0.8, 0.5))
    assert there == pytest.approx(back)


def test_a_region_is_not_away_from_itself() -> None:
    assert surface_distance(squares()[0], squares()[0], (0.8, 0.5)) == (0, 0)


def test_the_surface_distance_from_an_empty_region_is_not_a_number() -> None:
    for regions in ((squares()[0], torch.zeros(24, 30)), (torch.zeros(24, 30), squares()[0])):
        assert all(math.isnan(value) for value in surface_distance(*regions, (1.0, 1.0)))


@pytest.mark.parametrize(("axis", "millimetres"), [(0, 10.0), (1, 1.6), (2, 1.0)])
def test_a_way_back_that_is_missing_is_an_error_of_the_way_there(axis: int, millimetres: float) -> None:
    shape = (9, 10, 12)
    there = constant_field((0,) * axis + (2,) + (0,) * (2 - axis), shape)
    error = inverse_consistency_error(there, torch.zeros_like(there), anisotropic(shape))
    torch.testing.assert_close(error, torch.full((1, 1, *shape), millimetres, dtype=torch.float64))


@shapes
def test_a_translation_and_its_opposite_are_consistent(shape: tuple[int, ...]) -> None:
    there = constant_field((2, -1, 0.5)[: len(shape)], shape)
    assert float(inverse_consistency_error(there, -there, anisotropic(shape)).max()) == 0


def test_consistency_follows_the_way_there_before_it_looks_at_the_way_back() -> None:
    there, back = constant_field((3, 0), (18, 21)), constant_field((0, 0), (18, 21))
    back[:, 0, 10] = -3  # Row 10 alone comes back, and row 7 is the one that goes there.
    error = inverse_consistency_error(there, back, ImageGrid((18, 21), torch.eye(4)))
    assert error[0, 0, 6:9, 4].tolist() == pytest.approx([3, 0, 3])
