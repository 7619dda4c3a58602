"""Facts about results that are less similar than the images as they lay: they are replaced by no deformation."""

from __future__ import annotations

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from UnsupervisedRegistrationLib.core.models.card import Card
from UnsupervisedRegistrationLib.core.models.model_file import Model, ModelConfiguration
from UnsupervisedRegistrationLib.core.networks.network import Network, NetworkConfiguration
from UnsupervisedRegistrationLib.core.registration.image_pair import ImagePair, mutual_information
from UnsupervisedRegistrationLib.core.registration.landmark_constraint import LandmarkPairs
from UnsupervisedRegistrationLib.core.registration.options import RegistrationOptions
from UnsupervisedRegistrationLib.core.registration.pipeline import run
from UnsupervisedRegistrationLib.core.spatial.grid import ImageGrid

FAST = RegistrationOptions(preset="fast", device="cpu")
NETWORK_ALONE = frozenset({"few_steps"})  # Steps would correct what the network of these tests does on purpose.
NOTE = "returned without deformation, because the deformed image was less similar than the moving image as it lay"


class Shift(Network):
    """Moves everything by so many voxels along the first axis, whatever the images show."""

    def __init__(self, voxels: float) -> None:
        super().__init__(NetworkConfiguration())
        self.voxels = nn.Parameter(torch.tensor(voxels), requires_grad=False)

    def forward(self, fixed: Tensor, moving: Tensor) -> list[Tensor]:
        velocity = fixed.new_zeros(len(fixed), 2, *fixed.shape[2:])
        velocity[:, 0] = self.voxels
        return [velocity]


def shifts_by(voxels: float) -> Model:
    return Model("shift", Shift(voxels), ModelConfiguration(), Card())


@pytest.fixture
def images() -> ImagePair:
    """Blobs, and the same four voxels lower."""
    coarse = torch.rand(1, 1, 12, 12, generator=torch.Generator().manual_seed(3))
    image = 300 * F.interpolate(coarse, (72, 72), mode="bicubic").clamp(0, 1)
    return ImagePair(image[..., 4:68, 4:68], image[..., :64, 4:68], ImageGrid((64, 64), torch.eye(4)))


def test_a_result_that_is_less_similar_is_replaced_by_no_deformation_and_said(images: ImagePair) -> None:
    result = run(images, [shifts_by(-4.0)], FAST, without=NETWORK_ALONE)
    assert not result.displacement.any()
    assert not result.inverse.any()
    torch.testing.assert_close(result.warped, images.moving, rtol=0, atol=1e-3)  # Of 300; rounding only.
    assert result.similarity_after == pytest.approx(result.similarity_before, abs=1e-5)
    assert result.notes == (NOTE,)


def test_a_result_that_is_more_similar_is_kept_and_nothing_said(images: ImagePair) -> None:
    result = run(images, [shifts_by(4.0)], FAST, without=NETWORK_ALONE)
    torch.testing.assert_close(result.displacement[:, 0], torch.full((1, 64, 64), 4.0))
    assert result.similarity_after > result.similarity_before
    assert result.notes == ()


def test_without_the_rule_the_result_is_kept(images: ImagePair) -> None:
    result = run(images, [shifts_by(-4.0)], FAST, without=NETWORK_ALONE | {"never_worse"})
    torch.testing.assert_close(result.displacement[:, 0], torch.full((1, 64, 64), -4.0))
    assert result.notes == ()


def test_landmarks_that_steer_are_followed_although_the_images_become_less_similar(images: ImagePair) -> None:
    points = torch.tensor([[20.0, 20.0], [40.0, 44.0]])
    steered = dataclasses.replace(
        images, moving=images.fixed, landmarks=LandmarkPairs(points, points + torch.tensor([0.0, 3.0]))
    )
    result = run(steered, [shifts_by(0.0)], FAST)
    assert result.similarity_after < result.similarity_before
    assert float(result.displacement[0, 1, 20, 20]) == pytest.approx(3, abs=0.5)
    assert result.notes == ()


def test_only_what_lies_inside_the_masks_and_the_volumes_decides(images: ImagePair) -> None:
    """The left part fits the shift; the larger right part, which does not count, is aligned already."""
    fixed = torch.cat([images.fixed[..., :24], images.moving[..., 24:]], dim=-1)
    left = torch.zeros_like(fixed)
    left[..., :24] = 1
    mixed = dataclasses.replace(images, fixed=fixed)
    assert run(mixed, [shifts_by(4.0)], FAST, without=NETWORK_ALONE).notes == (NOTE,)
    for name in ("mask", "moving_mask", "fixed_inside", "moving_inside"):
        assert (
            run(dataclasses.replace(mixed, **{name: left}), [shifts_by(4.0)], FAST, without=NETWORK_ALONE).notes == ()
        ), name


@pytest.mark.parametrize(
    ("name", "other"),
    [("mask", "moving"), ("fixed_inside", "moving"), ("moving_mask", "fixed"), ("moving_inside", "fixed")],
)
def test_a_pixel_in_which_one_image_does_not_count_does_not_change_the_mutual_information(
    images: ImagePair, name: str, other: str
) -> None:
    left = torch.zeros_like(images.fixed)
    left[..., :24] = 1
    first = getattr(images, other).clone()
    first[..., 0, :24], first[..., 1, :24] = 0, 300  # So many pixels that they are the percentiles in any case.
    second = first.clone()
    second[..., 24:] = 150
    whole = [mutual_information(dataclasses.replace(images, **{other: image}), None) for image in (first, second)]
    counted = [
        mutual_information(dataclasses.replace(images, **{other: image, name: left}), None) for image in (first, second)
    ]
    assert abs(whole[0] - whole[1]) > 1e-4
    assert counted[0] == counted[1]


def batch(images: ImagePair, shifted: tuple[bool, ...], slice_sigma: float = 0.0) -> ImagePair:
    """Pairs that a shift of four voxels aligns, or that are equal."""
    moving = torch.cat([images.moving if one else images.fixed for one in shifted])
    return dataclasses.replace(images, fixed=torch.cat([images.fixed] * 3), moving=moving, slice_sigma=slice_sigma)


def test_of_a_batch_only_the_pairs_that_became_less_similar_stay_as_they_lay(images: ImagePair) -> None:
    result = run(batch(images, (True, False, True)), [shifts_by(4.0)], FAST, without=NETWORK_ALONE)
    assert [bool(one.any()) for one in result.displacement] == [True, False, True]
    assert not result.inverse[1].any()
    assert result.notes == (f"1 of 3 images {NOTE}",)


@pytest.mark.parametrize(("shifted", "kept"), [((True, False, True), True), ((False, True, False), False)])
def test_the_slices_of_a_stack_are_kept_or_replaced_together(
    images: ImagePair, shifted: tuple[bool, ...], kept: bool
) -> None:
    result = run(batch(images, shifted, slice_sigma=0.5), [shifts_by(4.0)], FAST, without=NETWORK_ALONE)
    assert [bool(one.any()) for one in result.displacement] == [kept] * 3
    assert result.notes == (() if kept else (f"3 of 3 images {NOTE}",))
