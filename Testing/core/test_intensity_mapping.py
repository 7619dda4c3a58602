"""Facts about images of different contrast, and what a network finds in them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from UnsupervisedRegistrationLib.core.images.phantom import draw_phantom
from UnsupervisedRegistrationLib.core.models.model_file import load_model
from UnsupervisedRegistrationLib.core.registration.prediction import _in_one_contrast, estimate
from UnsupervisedRegistrationLib.core.similarity.intensity_mapping import (
    IntensityMapping,
    contrast_differs,
    is_sparse_binary,
)
from UnsupervisedRegistrationLib.core.similarity.losses import endpoint_error
from UnsupervisedRegistrationLib.core.spatial.deformation import compose, invert, lengths, warp

MODELS = Path(__file__).parents[2] / "UnsupervisedRegistration/Resources/Models"


def head() -> tuple[Tensor, Tensor, Tensor]:
    """The phantom head, its deformed copy, and the displacement between them, ``(1, 1 or 2, 176, 152)``."""
    slices = draw_phantom("head").fixed
    image = torch.from_numpy(slices[len(slices) // 2].astype("float32"))[None, None]
    fixed = torch.nn.functional.interpolate(image / image.max(), (176, 152), mode="bilinear")
    coarse = torch.zeros(1, 2, 4, 4)
    coarse[0, 0, 1:3, 1:3], coarse[0, 1, 1:3, 1:3] = 7, -5
    displacement = torch.nn.functional.interpolate(coarse, (176, 152), mode="bicubic", align_corners=True)
    return fixed, warp(fixed, invert(displacement)), displacement


def inverted(image: Tensor) -> Tensor:
    return torch.where(image > 0.03, 1.03 - image, 0)


def folded(image: Tensor) -> Tensor:
    """Dark and bright become bright, what lies between becomes dark."""
    return (2 * image - 0.8).abs().clamp(0, 1)


changes = pytest.mark.parametrize("change", [inverted, folded])


@changes
def test_other_contrasts_differ_and_become_alike(change: Callable[[Tensor], Tensor]) -> None:
    fixed, moving, displacement = head()
    assert contrast_differs(fixed, change(moving))
    warped = warp(change(moving), displacement)
    both = torch.cat(IntensityMapping(fixed, warped).match(fixed, warped))
    assert float(torch.corrcoef(both.flatten(1))[0, 1]) > 0.97


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_a_pair_of_one_contrast_does_not_differ(scale: float) -> None:
    fixed, moving, _ = head()
    assert not contrast_differs(fixed, 0.2 + scale * 0.8 * moving)
    assert not contrast_differs(fixed, fixed)


@pytest.mark.parametrize("image", [torch.zeros(1, 1, 32, 32), torch.ones(1, 1, 32, 32)])
def test_an_image_of_one_grey_differs_from_nothing(image: Tensor) -> None:
    other = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    assert not contrast_differs(image, other)
    assert not contrast_differs(other, image)
    assert all(bool(torch.isfinite(found).all()) for found in IntensityMapping(image, other).match(image, other))


def test_specks_are_speckled_and_neither_a_mask_nor_a_head_is() -> None:
    fixed, _, _ = head()
    bright = (fixed > 0.05).float()
    specks = bright * (torch.rand(fixed.shape, generator=torch.Generator().manual_seed(0)) > 0.9)
    for image in (bright, specks):
        resampled = torch.nn.functional.interpolate(image, (160, 140), mode="nearest")
        assert is_sparse_binary(image) == is_sparse_binary(resampled) == (image is specks)
    assert not is_sparse_binary(fixed)
    assert not is_sparse_binary(torch.rand(fixed.shape))
    assert not is_sparse_binary(torch.zeros(fixed.shape))


def test_swapped_images_become_alike_as_before_but_swapped() -> None:
    fixed, moving, _ = head()
    pair = fixed, inverted(moving)
    first, second = IntensityMapping(*pair).match(*pair), IntensityMapping(*pair[::-1]).match(*pair[::-1])
    assert torch.equal(first[0], second[1])
    assert torch.equal(first[1], second[0])


def test_tissue_that_tells_nothing_of_the_other_is_known_as_such_although_the_air_is_black_in_both() -> None:
    fixed, moving, displacement = head()
    assert IntensityMapping(fixed, warp(inverted(moving), displacement)).left < 0.2
    noise = torch.rand(fixed.shape, generator=torch.Generator().manual_seed(3))
    other = torch.where(fixed > 0.03, 0.3 + 0.5 * noise, 0)
    assert IntensityMapping(fixed, other).left > 0.9
    network = load_model(MODELS / "any-contrast.pt").network
    with torch.no_grad():
        same = _in_one_contrast(network, fixed, other)
    assert all(torch.equal(a, b) for a, b in zip(same, (fixed, other), strict=True))


@changes
@pytest.mark.parametrize("name", ["any-contrast", "brain-mr"])
def test_a_network_finds_in_another_contrast_what_it_finds_in_the_same(
    name: str, change: Callable[[Tensor], Tensor]
) -> None:
    fixed, moving, truth = head()
    network, inside = load_model(MODELS / f"{name}.pt").network, fixed > 0.05
    with torch.no_grad():
        plain, other = (
            endpoint_error(estimate(network, fixed, image)[0], truth, inside) for image in (moving, change(moving))
        )
    assert float(other) < float(plain) + 1  # Voxels, of eight.


def test_swapping_images_of_different_contrast_gives_the_inverse() -> None:
    fixed, moving, _ = head()
    network, pair = load_model(MODELS / "any-contrast.pt").network, (fixed, inverted(moving))
    with torch.no_grad():
        (forward, _), (swapped, _) = estimate(network, *pair), estimate(network, *pair[::-1])
    assert float(lengths(compose(swapped, forward)).mean()) < 0.1


def test_in_a_batch_those_pairs_alone_are_brought_to_one_contrast_that_differ() -> None:
    fixed, moving, _ = head()
    network = load_model(MODELS / "any-contrast.pt").network
    with torch.no_grad():
        both = estimate(network, fixed.repeat(2, 1, 1, 1), torch.cat([moving, inverted(moving)]))[0]
        each = [estimate(network, fixed, image)[0] for image in (moving, inverted(moving))]
    torch.testing.assert_close(both, torch.cat(each), rtol=0, atol=1e-2)  # Voxels.
