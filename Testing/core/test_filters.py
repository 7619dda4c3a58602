"""Linear filters along the axes, against those of PyTorch and SciPy."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter, uniform_filter
from torch import Tensor

from UnsupervisedRegistrationLib.core.spatial.filters import (
    box_mean,
    gaussian,
    gaussian_halved,
    halved,
    interpolated,
    slope,
)

shapes = pytest.mark.parametrize("shape", [(14, 10), (6, 8, 4)])


def noise(shape: tuple[int, ...]) -> Tensor:
    return torch.rand(2, 3, *shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


@shapes
def test_slopes_are_central_differences(shape: tuple[int, ...]) -> None:
    image = noise(shape)
    for axis in range(2, image.ndim):
        torch.testing.assert_close(slope(image, axis), torch.gradient(image, dim=axis)[0])


@shapes
@pytest.mark.parametrize("window", [3, 9])
def test_the_mean_over_a_cube_is_that_of_the_part_inside(shape: tuple[int, ...], window: int) -> None:
    image = noise(shape)
    spatial = tuple(range(2, image.ndim))
    total, inside = (
        torch.from_numpy(uniform_filter(values.numpy(), window, mode="constant", axes=spatial))
        for values in (image, torch.ones_like(image))
    )
    torch.testing.assert_close(box_mean(image, window), total / inside)


@pytest.mark.parametrize("window", [5, 9])
@pytest.mark.parametrize("shape", [(13, 16), (6, 7, 8), (2, 15)])
def test_means_at_every_third_voxel_are_those_of_all_voxels_there(shape: tuple[int, ...], window: int) -> None:
    image = noise(shape)
    every = (slice(None), slice(None), *[slice(None, None, 3)] * len(shape))
    torch.testing.assert_close(box_mean(image, window, step=3), box_mean(image, window)[every])


@shapes
@pytest.mark.parametrize("sigma", [0.8, 2.0])
def test_smoothing_repeats_the_border(shape: tuple[int, ...], sigma: float) -> None:
    image = noise(shape)
    spatial = tuple(range(2, image.ndim))
    expected = gaussian_filter(image.numpy(), sigma, mode="nearest", radius=round(2.5 * sigma), axes=spatial)
    torch.testing.assert_close(gaussian(image, sigma), torch.from_numpy(expected))


@shapes
def test_halving_takes_the_mean_of_all_voxels_of_a_cube(shape: tuple[int, ...]) -> None:
    image = noise(shape)
    pool = F.avg_pool2d if len(shape) == 2 else F.avg_pool3d
    torch.testing.assert_close(halved(image), pool(image, 2))
    torch.testing.assert_close(gaussian_halved(image, 1.0, 3.0), 3 * pool(gaussian(image, 1.0), 2))


@shapes
@pytest.mark.parametrize("factor", [2, 0.5])
def test_interpolation_is_linear_in_between(shape: tuple[int, ...], factor: float) -> None:
    image, wanted = noise(shape), tuple(int(factor * size) for size in shape)
    mode = "bilinear" if len(shape) == 2 else "trilinear"
    torch.testing.assert_close(interpolated(image, wanted), F.interpolate(image, wanted, mode=mode))


def test_a_filter_used_in_inference_mode_takes_part_in_a_gradient_later() -> None:
    image = torch.rand(1, 1, 23, 29)
    with torch.inference_mode():
        expected = box_mean(image, 3)
    values = image.clone().requires_grad_()
    box_mean(values, 3).sum().backward()
    assert values.grad is not None
    torch.testing.assert_close(box_mean(image, 3), expected)
