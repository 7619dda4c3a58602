"""Facts about images of different contrast, and what maps one contrast to the other."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from UnsupervisedRegistrationLib.core.images.phantom import draw_phantom
from UnsupervisedRegistrationLib.core.registration.plan import DIFFERENT_RATIO, MAX_UNEXPLAINED
from UnsupervisedRegistrationLib.core.similarity.intensity_mapping import IntensityMapping, contrast_differs
from UnsupervisedRegistrationLib.core.spatial.deformation import invert, warp


def head() -> tuple[Tensor, Tensor, Tensor]:
    """The phantom of a head, the same deformed, and the displacement to that, ``(1, 1 or 2, 176, 152)``."""
    slices = draw_phantom("head").fixed
    image = torch.from_numpy(slices[len(slices) // 2].astype("float32"))[None, None]
    fixed = torch.nn.functional.interpolate(image / image.max(), (176, 152), mode="bilinear")
    coarse = torch.zeros(1, 2, 4, 4)
    coarse[0, 0, 1:3, 1:3], coarse[0, 1, 1:3, 1:3] = 7, -5
    displacement = torch.nn.functional.interpolate(coarse, (176, 152), mode="bicubic", align_corners=True)
    return fixed, warp(fixed, invert(displacement)), displacement


def inverted(image: Tensor) -> Tensor:
    return torch.where(image > 0.03, 1.03 - image, 0)


def not_monotonic(image: Tensor) -> Tensor:
    """Dark and bright become bright, what lies between becomes dark."""
    return (2 * image - 0.8).abs().clamp(0, 1)


@pytest.mark.parametrize("change", [inverted, not_monotonic])
def test_other_contrasts_differ_and_are_matched(change: Callable[[Tensor], Tensor]) -> None:
    fixed, moving, displacement = head()
    assert contrast_differs(fixed, change(moving), DIFFERENT_RATIO)
    warped = warp(change(moving), displacement)
    both = torch.cat(IntensityMapping(fixed, warped).match(fixed, warped))
    assert float(torch.corrcoef(both.flatten(1))[0, 1]) > 0.97


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_the_contrast_of_linearly_related_intensities_does_not_differ(scale: float) -> None:
    fixed, moving, _ = head()
    assert not contrast_differs(fixed, 0.2 + scale * 0.8 * moving, DIFFERENT_RATIO)
    assert not contrast_differs(fixed, fixed, DIFFERENT_RATIO)


@pytest.mark.parametrize("image", [torch.zeros(1, 1, 32, 32), torch.ones(1, 1, 32, 32)])
def test_the_contrast_of_a_constant_image_differs_from_none(image: Tensor) -> None:
    other = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    assert not contrast_differs(image, other, DIFFERENT_RATIO)
    assert not contrast_differs(other, image, DIFFERENT_RATIO)
    assert all(bool(torch.isfinite(found).all()) for found in IntensityMapping(image, other).match(image, other))


def test_exchanging_the_images_exchanges_the_matched_images() -> None:
    fixed, moving, _ = head()
    pair = fixed, inverted(moving)
    first, second = IntensityMapping(*pair).match(*pair), IntensityMapping(*pair[::-1]).match(*pair[::-1])
    assert torch.equal(first[0], second[1])
    assert torch.equal(first[1], second[0])


def test_unrelated_tissues_explain_little_of_each_other_although_the_air_is_black_in_both() -> None:
    fixed, moving, displacement = head()
    related = IntensityMapping(fixed, warp(inverted(moving), displacement))
    assert related.left < MAX_UNEXPLAINED
    assert related.left < 0.2
    noise = torch.rand(fixed.shape, generator=torch.Generator().manual_seed(3))
    unrelated = IntensityMapping(fixed, torch.where(fixed > 0.03, 0.3 + 0.5 * noise, 0))
    assert unrelated.left > MAX_UNEXPLAINED
    assert unrelated.left > 0.9
