"""Facts about the automatic choice of a model: all register the pair, and normalised mutual information decides."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from UnsupervisedRegistrationLib.core.models.card import Card
from UnsupervisedRegistrationLib.core.models.model_file import Model, ModelConfiguration
from UnsupervisedRegistrationLib.core.networks.network import Network, NetworkConfiguration
from UnsupervisedRegistrationLib.core.registration.image_pair import ImagePair
from UnsupervisedRegistrationLib.core.registration.model_trial import choose_by_trial, normalised_mutual_information
from UnsupervisedRegistrationLib.core.registration.options import RegistrationOptions
from UnsupervisedRegistrationLib.core.registration.pipeline import run
from UnsupervisedRegistrationLib.core.spatial.grid import ImageGrid

FAST = RegistrationOptions(preset="fast", device="cpu")


class Shift(Network):
    """Moves everything by so many voxels along the first axis, whatever the images show."""

    def __init__(self, voxels: float) -> None:
        super().__init__(NetworkConfiguration())
        self.voxels = nn.Parameter(torch.tensor(voxels), requires_grad=False)

    def forward(self, fixed: Tensor, moving: Tensor) -> list[Tensor]:
        velocity = fixed.new_zeros(len(fixed), 2, *fixed.shape[2:])
        velocity[:, 0] = self.voxels
        return [velocity]


def model(name: str, voxels: float = 0.0) -> Model:
    return Model(name, Shift(voxels), ModelConfiguration(), Card(licence=f"Licence of {name}."))


def noise(seed: int, *shape: int) -> Tensor:
    return torch.rand(1, 1, *(shape or (200, 200)), generator=torch.Generator().manual_seed(seed))


def test_the_mutual_information_of_equal_images_is_2() -> None:
    assert normalised_mutual_information(noise(1), noise(1)) == pytest.approx(2)


def test_the_mutual_information_of_independent_noise_is_near_1() -> None:
    found = normalised_mutual_information(noise(1), noise(2))
    assert 1 < found < 1.01  # 1024 bins share 40000 voxels, which biases the entropy by .01 nats.


def test_the_mutual_information_does_not_change_if_an_image_is_inverted() -> None:
    fixed, moving = noise(1), 0.5 * noise(1) + 0.5 * noise(2)
    found, inverted = (normalised_mutual_information(fixed, image) for image in (moving, 1 - moving))
    assert found == pytest.approx(inverted, abs=1e-4)  # Rounding moves a few voxels to the next bin.
    assert found > 1.05


def test_the_mutual_information_of_a_constant_image_is_1() -> None:
    assert normalised_mutual_information(torch.zeros(1, 1, 9, 9), torch.zeros(1, 1, 9, 9)) == 1
    assert normalised_mutual_information(noise(1), torch.zeros_like(noise(1))) == pytest.approx(1)


def test_only_what_lies_inside_counts() -> None:
    other = noise(1).clone()
    other[..., :100] = noise(2)[..., :100]
    inside = torch.zeros_like(other)
    inside[..., 100:] = 1
    assert normalised_mutual_information(noise(1), other, inside) == pytest.approx(2)
    assert normalised_mutual_information(noise(1), other) < 1.9


@pytest.mark.parametrize(
    ("gains", "expected"),
    [
        ((0.1, 0.1, 0.05), "first"),
        ((0.1, 0.05, 0.06), "second"),
        ((0.199, 0.05, 0.1), "second"),
        ((0.201, 0.05, 0.1), "default"),
        ((0.01, -0.2, -0.1), "default"),
        ((-0.1, -0.2, -0.05), "second"),
        ((-0.15, -0.1, -0.2), "first"),
    ],
)
def test_a_special_model_is_preferred_unless_the_default_gains_more_than_twice_as_much(
    gains: tuple[float, ...], expected: str
) -> None:
    of = dict(zip(("default", "first", "second"), gains, strict=True))
    chosen, reason = choose_by_trial([model(name) for name in of], lambda tried: of[tried.name])
    assert chosen.name == expected
    assert reason == f"{expected}: best of 3 by normalised mutual information"


def test_a_single_model_is_taken_without_a_trial() -> None:
    chosen, reason = choose_by_trial([model("only")], lambda tried: math.nan)
    assert (chosen.name, reason) == ("only", "only: the only admissible model")


@pytest.fixture
def images() -> ImagePair:
    """Blobs, and the same four voxels lower."""
    image = F.interpolate(noise(3, 12, 12), (72, 72), mode="bicubic").clamp(0, 1)
    return ImagePair(image[..., 4:68, 4:68], image[..., :64, 4:68], ImageGrid((64, 64), torch.eye(4)))


@pytest.mark.parametrize(
    ("default", "special", "expected"), [(4.0, -4.0, "any-contrast"), (-4.0, 4.0, "organ"), (4.0, 3.9, "organ")]
)
@pytest.mark.parametrize("preset", ["fast", "standard"])
def test_the_pipeline_takes_the_model_that_aligns_the_images_and_says_so(
    images: ImagePair, default: float, special: float, expected: str, preset: str
) -> None:
    models = [model("any-contrast", default), model("organ", special)]
    result = run(images, models, dataclasses.replace(FAST, preset=preset))  # type: ignore[arg-type]
    assert result.model == expected
    assert result.model_reason == f"{expected}: best of 2 by normalised mutual information"
    assert result.licence == f"Licence of {expected}."


def test_a_model_that_the_user_chose_needs_no_reason(images: ImagePair) -> None:
    result = run(images, [model("organ", 4.0)], FAST)
    assert (result.model, result.model_reason) == ("organ", "")


def test_one_pair_of_a_batch_decides_for_all(images: ImagePair) -> None:
    batch = dataclasses.replace(images, fixed=images.fixed.repeat(3, 1, 1, 1), moving=images.moving.repeat(3, 1, 1, 1))
    result = run(batch, [model("any-contrast", -4.0), model("organ", 4.0)], FAST, without=frozenset({"few_steps"}))
    assert result.model == "organ"
    torch.testing.assert_close(result.displacement[:, 0], torch.full((3, 64, 64), 4.0))


def test_the_default_model_is_taken_where_the_contrasts_differ_and_cannot_be_matched() -> None:
    """Tissue shows in both images, but the intensities inside it tell nothing of each other."""
    disc = torch.hypot(*torch.meshgrid(torch.arange(64) - 31.5, torch.arange(64) - 31.5, indexing="ij")) < 24
    fixed, moving = disc * (0.1 + 0.9 * noise(1, 64, 64)), disc * (0.6 + 0.1 * noise(2, 64, 64))
    unmatched = ImagePair(300 * fixed, 300 * moving, ImageGrid((64, 64), torch.eye(4)))
    models = [model("any-contrast"), model("organ")]
    result = run(unmatched, models, FAST)
    assert result.model == "any-contrast"
    assert result.model_reason == "any-contrast: the contrasts differ and cannot be matched"
    matched = dataclasses.replace(unmatched, moving=300 * disc * (1.1 - fixed))
    assert run(matched, models, FAST).model_reason == "organ: best of 2 by normalised mutual information"
