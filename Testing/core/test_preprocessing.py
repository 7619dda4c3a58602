"""Facts about working size, resampling and intensities."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from UnsupervisedRegistrationLib.core.images.preprocessing import (
    PreprocessingConfiguration,
    resample,
    to_unit_range,
    working_shape,
)
from UnsupervisedRegistrationLib.core.spatial.grid import ImageGrid

DEFAULT = PreprocessingConfiguration()
SOFT_TISSUE = PreprocessingConfiguration(intensity="window", lower=-160, upper=240)


def grid(shape: tuple[int, ...], spacing: tuple[float, ...]) -> ImageGrid:
    """With ``spacing`` in array order."""
    return ImageGrid(shape, torch.diag(torch.tensor([*spacing[::-1], *[1.0] * (4 - len(spacing))])))


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(1, 1, *shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("shape", "spacing", "expected"),
    [
        ((40, 60), (1.0, 1.0), (40, 60)),
        ((40, 60), (2.0, 1.0), (80, 60)),
        ((40, 60), (0.5, 2.0), (40, 240)),
        ((10, 40, 60), (5.0, 1.0, 1.0), (50, 40, 60)),
        ((300, 1024), (1.0, 1.0), (150, 512)),
        ((20, 1024), (8.0, 0.5), (160, 512)),
        ((3, 1024), (0.1, 1.0), (2, 512)),
    ],
)
def test_the_working_shape_is_isotropic_and_bounded(
    shape: tuple[int, ...], spacing: tuple[float, ...], expected: tuple[int, ...]
) -> None:
    assert working_shape(grid(shape, spacing), DEFAULT) == expected


@pytest.mark.parametrize(("working_spacing", "expected"), [(2.0, (20, 60)), (0.5, (80, 240))])
def test_the_working_spacing_of_the_model_is_kept(working_spacing: float, expected: tuple[int, int]) -> None:
    configuration = PreprocessingConfiguration(working_spacing=working_spacing)
    assert working_shape(grid((40, 60), (1.0, 2.0)), configuration) == expected


def test_the_working_spacing_of_the_model_grows_for_a_large_image() -> None:
    configuration = PreprocessingConfiguration(working_spacing=1.0, max_size=64)
    assert working_shape(grid((64, 128), (1.0, 1.0)), configuration) == (32, 64)


@pytest.mark.parametrize("shape", [(7, 9), (32, 50), (13, 20), (11, 60)])
def test_resampling_keeps_a_constant(shape: tuple[int, int]) -> None:
    torch.testing.assert_close(resample(torch.full((1, 1, 16, 25), 0.7), shape), torch.full((1, 1, *shape), 0.7))


def test_resampling_to_the_same_shape_changes_nothing() -> None:
    assert torch.equal(resample(noise(16, 25), (16, 25)), noise(16, 25))


@pytest.mark.parametrize("size", [8, 15, 40, 64, 90])
def test_resampling_keeps_a_ramp(size: int) -> None:
    def centres(count: int) -> Tensor:
        return (torch.arange(count, dtype=torch.float64) + 0.5) / count

    resampled = resample(centres(40).view(1, 1, 1, -1), (1, size)).flatten()
    margin = max(2, size // 20)  # At the border the triangle is cut off.
    torch.testing.assert_close(resampled[margin:-margin], centres(size)[margin:-margin], rtol=0, atol=2e-3)


def test_resampling_by_half_averages_with_the_neighbours() -> None:
    point = torch.zeros(1, 1, 1, 16)
    point[..., 7] = 8
    assert resample(point, (1, 8)).flatten().tolist() == pytest.approx([0, 0, 0, 3, 1, 0, 0, 0])


@pytest.mark.parametrize("shape", [(8, 10), (4, 5), (4, 4, 5)])
def test_resampling_to_a_coarser_grid_keeps_the_mean(shape: tuple[int, ...]) -> None:
    image = torch.zeros(1, 1, *(4 * size for size in shape))
    inside = (slice(None), slice(None), *(slice(6, -6),) * len(shape))  # The triangle is cut off at the border.
    image[inside] = noise(*(4 * size - 12 for size in shape))
    assert float(resample(image, shape).mean()) == pytest.approx(float(image.mean()), rel=1e-5)


def test_percentiles_become_0_and_1() -> None:
    image = torch.arange(1001.0).view(1, 1, 7, 143)
    unit = to_unit_range(image, PreprocessingConfiguration(lower=10, upper=90))
    assert float(unit.flatten()[100]) == 0
    assert float(unit.flatten()[900]) == 1
    assert float(unit.flatten()[500]) == pytest.approx(0.5)


def test_a_few_bright_points_do_not_darken_the_rest() -> None:
    image = 100 * noise(50, 50)
    image[0, 0, 0, :3] = 1e6
    assert float(to_unit_range(image, DEFAULT).median()) == pytest.approx(0.5, abs=0.05)


def test_a_slice_with_nothing_but_a_few_bright_points_keeps_them() -> None:
    image = torch.zeros(1, 1, 50, 50)
    image[0, 0, 10, 10:13] = torch.tensor([1.0, 2.0, 4.0])
    assert to_unit_range(image, DEFAULT)[0, 0, 10, 9:14].tolist() == [0, 0.25, 0.5, 1, 0]


def test_the_mapping_does_not_depend_on_the_unit_of_the_intensities() -> None:
    torch.testing.assert_close(to_unit_range(40 * noise(20, 20) - 1000, DEFAULT), to_unit_range(noise(20, 20), DEFAULT))


def test_a_window_maps_fixed_intensities() -> None:
    image = torch.tensor([-1000.0, -160.0, 40.0, 240.0, 3000.0]).view(1, 1, 1, 5)
    assert to_unit_range(image, SOFT_TISSUE).flatten().tolist() == pytest.approx([0, 0, 0.5, 1, 1])


def test_the_percentiles_are_those_of_the_mask() -> None:
    image, mask = noise(20, 20), torch.zeros(1, 1, 20, 20)
    mask[..., :10] = 1
    outside = image.clone()
    outside[..., 10:] *= 1000
    inside = (slice(None), slice(None), slice(None), slice(0, 10))
    assert torch.equal(to_unit_range(outside, DEFAULT, mask)[inside], to_unit_range(image, DEFAULT, mask)[inside])


def test_a_constant_image_is_an_error_that_names_the_image_and_its_value() -> None:
    with pytest.raises(ValueError, match=r"The moving image is constant on this slice \(intensity 7 to 7, percentile"):
        to_unit_range(torch.full((1, 1, 9, 9), 7.0), DEFAULT, name="moving")


def test_an_image_outside_the_window_is_an_error_that_names_the_window() -> None:
    with pytest.raises(ValueError, match=r"intensity 300 to 400, window bounds -160 to 240\); nothing in it can be"):
        to_unit_range(torch.tensor([300.0, 400.0]).view(1, 1, 1, 2), SOFT_TISSUE)


def test_an_image_that_is_constant_in_the_mask_is_an_error() -> None:
    image = noise(9, 9)
    image[..., :4] = 0.5
    with pytest.raises(ValueError, match="is constant on this slice"):
        to_unit_range(image, DEFAULT, (image == 0.5).float())


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_voxel_that_is_not_finite_is_an_error(bad: float) -> None:
    image = noise(9, 9)
    image[0, 0, 3, 3] = bad
    with pytest.raises(ValueError, match="The fixed image has NaN or infinite voxels; replace them"):
        to_unit_range(image, DEFAULT, name="fixed")


def test_an_empty_mask_is_an_error() -> None:
    with pytest.raises(ValueError, match="The mask has no pixel on this slice"):
        to_unit_range(noise(9, 9), DEFAULT, torch.zeros(1, 1, 9, 9))
