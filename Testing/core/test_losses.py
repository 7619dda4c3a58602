"""Facts about the similarities of two images."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from UnsupervisedRegistrationLib.core.similarity.losses import (
    local_correlation,
    local_ncc,
    mind,
    mind_descriptor,
    photometric,
)

Loss = Callable[..., Tensor]
SHAPES = {"2-D": (40, 32), "3-D": (14, 16, 24)}
SIMILARITIES: dict[str, Loss] = {"photometric": photometric, "local_ncc": local_ncc, "mind": mind}
shapes = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
similarities = pytest.mark.parametrize("loss", SIMILARITIES.values(), ids=SIMILARITIES.keys())


def noise(shape: tuple[int, ...], seed: int = 0, channels: int = 1) -> Tensor:
    return torch.rand(2, channels, *shape, generator=torch.Generator().manual_seed(seed))


def left_half(shape: tuple[int, ...]) -> Tensor:
    mask = torch.zeros(1, 1, *shape)
    mask[..., : shape[-1] // 2] = 1
    return mask


@shapes
@similarities
def test_equal_images_cost_nothing(loss: Loss, shape: tuple[int, ...]) -> None:
    # local_ncc adds 0.01^2 to variances of 1/12, which costs 0.0024.
    assert float(loss(noise(shape), noise(shape))) == pytest.approx(0, abs=0.003)


@shapes
@similarities
def test_unlike_images_cost_more_than_equal_ones(loss: Loss, shape: tuple[int, ...]) -> None:
    assert float(loss(noise(shape, 1), noise(shape, 2))) > 0.05


@shapes
@similarities
def test_swapping_the_images_does_not_change_the_cost(loss: Loss, shape: tuple[int, ...]) -> None:
    there, back = loss(noise(shape, 1), noise(shape, 2)), loss(noise(shape, 2), noise(shape, 1))
    torch.testing.assert_close(there, back)


@shapes
@similarities
def test_what_lies_outside_the_mask_does_not_matter(loss: Loss, shape: tuple[int, ...]) -> None:
    warped, fixed, changed = noise(shape, 1), noise(shape, 2), noise(shape, 1)
    reach = 5  # Half the window of local_ncc is 4 voxels, dilation plus radius of MIND also.
    changed[..., shape[-1] // 2 + reach :] = noise(shape, 9)[..., shape[-1] // 2 + reach :]
    mask = left_half(shape)
    torch.testing.assert_close(loss(changed, fixed, mask), loss(warped, fixed, mask), rtol=0, atol=1e-5)


@similarities
def test_what_lies_inside_the_mask_does_matter(loss: Loss) -> None:
    warped, fixed, mask = noise((40, 32), 1), noise((40, 32), 2), left_half((40, 32))
    assert float(loss(fixed, fixed, mask)) < float(loss(warped, fixed, mask)) - 0.05


@similarities
def test_a_mask_of_ones_changes_nothing(loss: Loss) -> None:
    warped, fixed = noise((40, 32), 1), noise((40, 32), 2)
    torch.testing.assert_close(loss(warped, fixed, torch.ones(1, 1, 40, 32)), loss(warped, fixed))


@similarities
def test_a_mask_of_another_shape_is_an_error(loss: Loss) -> None:
    with pytest.raises(ValueError, match="The mask has the shape"):
        loss(noise((40, 32)), noise((40, 32)), torch.ones(1, 1, 32, 40))


@shapes
@similarities
@pytest.mark.parametrize("constant", ["neither", "warped", "both"])
def test_the_gradient_of_a_similarity_is_finite(loss: Loss, shape: tuple[int, ...], constant: str) -> None:
    warped = torch.full_like(noise(shape), 0.3) if constant != "neither" else noise(shape, 1)
    fixed = torch.full_like(warped, 0.7) if constant == "both" else noise(shape, 2)
    loss(warped.requires_grad_(), fixed).backward()
    assert warped.grad is not None
    assert bool(torch.isfinite(warped.grad).all())


def test_an_empty_mask_costs_nothing() -> None:
    assert float(photometric(noise((8, 8), 1), noise((8, 8), 2), torch.zeros(1, 1, 8, 8))) == 0


def test_photometric_is_the_mean_squared_difference() -> None:
    assert float(photometric(torch.full((1, 1, 4, 4), 0.5), torch.full((1, 1, 4, 4), 0.2))) == pytest.approx(0.09)


def test_photometric_averages_over_channels() -> None:
    first, second = torch.zeros(1, 2, 4, 4), torch.zeros(1, 2, 4, 4)
    second[:, 1] = 2
    assert float(photometric(first, second)) == pytest.approx(2)


def test_photometric_weighs_by_the_mask() -> None:
    difference = torch.tensor([1.0, 2.0, 3.0, 4.0]).view(1, 1, 2, 2)
    mask = torch.tensor([1.0, 0.0, 0.0, 0.5]).view(1, 1, 2, 2)
    assert float(photometric(difference, torch.zeros(1, 1, 2, 2), mask)) == pytest.approx((1 + 0.5 * 16) / 1.5)


@shapes
@pytest.mark.parametrize(("gain", "offset"), [(0.5, 0.3), (-1.0, 1.0), (-0.4, 0.6)])
def test_local_ncc_ignores_a_linear_map_of_the_intensities(shape: tuple[int, ...], gain: float, offset: float) -> None:
    image = noise(shape)
    # The smallest gain leaves a variance of 0.16 / 12, of which the noise floor of 0.01^2 takes 0.8 %.
    assert float(local_ncc(gain * image + offset, image)) == pytest.approx(0, abs=0.012)


def test_local_ncc_of_unrelated_noise_is_almost_one() -> None:
    assert float(local_ncc(noise((40, 32), 1), noise((40, 32), 2))) > 0.95  # The chance of 1/81 in 81 voxels.


def test_local_ncc_takes_a_contrast_below_the_noise_for_flat() -> None:
    image = noise((40, 32))
    assert float(local_ncc(1e-3 * image, image)) > 0.99


def test_local_ncc_keeps_a_contrast_above_the_noise() -> None:
    image = 0.2 * noise((40, 32))  # Standard deviation 0.06, against a noise of 0.01.
    assert float(local_ncc(image, image)) < 0.1


def test_local_ncc_has_no_gradient_in_a_flat_area() -> None:
    warped, fixed = noise((40, 32), 1), noise((40, 32), 2)
    warped[..., 16:] = 0.5
    local_ncc(warped.requires_grad_(), fixed).backward()
    assert warped.grad is not None
    flat, textured = warped.grad[..., 24:].abs().max(), warped.grad[..., :12].abs().max()
    assert float(flat) < 1e-3 * float(textured)  # Rounding is all that is left in the flat area.


@shapes
@pytest.mark.parametrize(("gain", "offset"), [(0.5, 0.3), (-1.0, 1.0)])
def test_mind_ignores_a_linear_map_of_the_intensities(shape: tuple[int, ...], gain: float, offset: float) -> None:
    image = noise(shape)
    torch.testing.assert_close(mind_descriptor(gain * image + offset), mind_descriptor(image), rtol=0, atol=1e-4)


@shapes
def test_a_mind_descriptor_has_twelve_channels_between_0_and_1(shape: tuple[int, ...]) -> None:
    descriptor = mind_descriptor(noise(shape))
    assert descriptor.shape == (2, 12, *shape)
    assert float(descriptor.min()) >= 0
    assert float(descriptor.max()) == 1


def test_a_mind_descriptor_moves_with_the_image() -> None:
    image = noise((40, 32))
    moved, still = mind_descriptor(image.roll(3, dims=2)), mind_descriptor(image).roll(3, dims=2)
    inner = (slice(None), slice(None), slice(10, -10), slice(10, -10))  # The clamp looks at the mean of the image.
    torch.testing.assert_close(moved[inner], still[inner], rtol=0, atol=1e-4)


def test_mind_in_the_mask_does_not_depend_on_the_contrast_outside() -> None:
    warped, fixed, mask = noise((40, 32), 1), noise((40, 32), 2), left_half((40, 32))
    faint = torch.where(mask > 0, 0.01 * warped, 0.01)
    busy = faint.clone()
    busy[..., 21:] = warped[..., 21:]
    torch.testing.assert_close(mind(busy, fixed, mask), mind(faint, fixed, mask), rtol=0, atol=1e-3)


@pytest.mark.parametrize("shape", [(13, 16), (6, 7, 8), (2, 15)])
def test_correlations_at_every_third_voxel_are_those_of_all_voxels_there(shape: tuple[int, ...]) -> None:
    first, second = torch.rand(2, 1, 1, *shape)
    every = (slice(None), slice(None), *[slice(None, None, 3)] * len(shape))
    assert torch.allclose(local_correlation(first, second, step=3), local_correlation(first, second)[every], atol=1e-5)
