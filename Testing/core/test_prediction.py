"""Facts about the passes of the network and how their velocities are combined."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from UnsupervisedRegistrationLib.core.images.crop import PreparedPair
from UnsupervisedRegistrationLib.core.images.phantom import draw_phantom
from UnsupervisedRegistrationLib.core.models.model_file import load_model
from UnsupervisedRegistrationLib.core.networks.architectures import build_network
from UnsupervisedRegistrationLib.core.networks.network import Network, NetworkConfiguration
from UnsupervisedRegistrationLib.core.registration import prediction
from UnsupervisedRegistrationLib.core.registration.plan import Plan
from UnsupervisedRegistrationLib.core.registration.prediction import fade, match_intensities, predict_images
from UnsupervisedRegistrationLib.core.similarity.losses import endpoint_error
from UnsupervisedRegistrationLib.core.spatial.deformation import compose, invert, lengths, warp
from UnsupervisedRegistrationLib.core.spatial.folding import folding

MODELS = Path(__file__).parents[2] / "UnsupervisedRegistration/Resources/Models"
ONE_PASS = Plan("fast", "deformable")
TWO_PASSES = Plan("fast", "deformable", second_pass=True)
HALF_FIRST = Plan("fast", "deformable", half_resolution_first=True, second_pass=True)
ENSEMBLE = Plan("fast", "deformable", half_resolution_first=True, second_pass=True, flip_ensemble=True)
LARGE: Any = ((416, 352), (40.0, -25.0))


def loud_network(integration_steps: int = 6) -> Network:
    """Fresh weights, of which the last layers are scaled up so that it moves by a voxel or two."""
    torch.manual_seed(5)
    network = build_network(NetworkConfiguration(width=4, integration_steps=integration_steps))
    for name, weight in network.eval().requires_grad_(False).named_parameters():
        if name.startswith("decoder") and ".4." in name:
            weight.mul_(100)
    return network


def smooth_pair(*shape: int) -> tuple[Tensor, Tensor]:
    coarse = torch.rand(2, 1, *(max(size // 16, 2) for size in shape), generator=torch.Generator().manual_seed(8))
    fixed, moving = torch.nn.functional.interpolate(coarse, shape, mode="bicubic", align_corners=True).split(1)
    return fixed, moving


def head_pair(shape: tuple[int, int], motion: tuple[float, float]) -> tuple[Tensor, Tensor, Tensor]:
    """The phantom of a head, the same deformed by up to that many voxels, and the displacement to that."""
    slices = draw_phantom("head").fixed
    image = torch.from_numpy(slices[len(slices) // 2].astype("float32"))[None, None]
    fixed = torch.nn.functional.interpolate(image / image.max(), shape, mode="bilinear")
    coarse = torch.zeros(1, 2, 4, 4)
    coarse[0, 0, 1:3, 1:3], coarse[0, 1, 1:3, 1:3] = motion
    displacement = torch.nn.functional.interpolate(coarse, shape, mode="bicubic", align_corners=True)
    return fixed, warp(fixed, invert(displacement)), displacement


def bundled(name: str = "any-contrast") -> Network:
    return load_model(MODELS / f"{name}.pt").network


@pytest.mark.parametrize("plan", [ONE_PASS, TWO_PASSES, HALF_FIRST])
@pytest.mark.parametrize("integration_steps", [6, 0])
def test_the_inverse_undoes_the_displacement(plan: Plan, integration_steps: int) -> None:
    fixed, moving = smooth_pair(64, 64)
    forward, inverse = predict_images(loud_network(integration_steps), fixed, moving, plan)
    inner = (slice(None), slice(None), slice(8, -8), slice(8, -8))  # Points from outside take the border.
    assert float(forward.abs().max()) > 1
    assert float(compose(forward, inverse)[inner].abs().max()) < 0.2  # Voxels: interpolation at every composition.
    assert float(compose(inverse, forward)[inner].abs().max()) < 0.2


@pytest.mark.parametrize("plan", [ONE_PASS, TWO_PASSES, ENSEMBLE])
@pytest.mark.parametrize("integration_steps", [6, 0])
def test_the_velocity_of_every_pass_is_constrained(integration_steps: int, plan: Plan) -> None:
    network = loud_network(integration_steps)
    forward, inverse = predict_images(network, *smooth_pair(64, 64), plan, torch.zeros_like)
    assert float(forward.abs().max()) == float(inverse.abs().max()) == 0


def test_every_pair_of_a_batch_is_predicted() -> None:
    fixed, moving = smooth_pair(64, 64)
    both = predict_images(loud_network(), torch.cat([fixed, moving]), torch.cat([moving, fixed]), ONE_PASS)
    torch.testing.assert_close(both.forward[0], both.inverse[1], rtol=0, atol=1e-4)  # Voxels, rounding only.
    assert float(both.forward.abs().max()) > 1


def test_half_resolution_first_finds_a_larger_displacement() -> None:
    fixed, moving, truth = head_pair(*LARGE)
    network, inside = bundled(), fixed > 0.05
    with torch.no_grad():
        half_first, at_once = (
            endpoint_error(predict_images(network, fixed, moving, plan).forward, truth, inside)
            for plan in (HALF_FIRST, ONE_PASS)
        )
    assert half_first < 0.6 * at_once


@pytest.mark.parametrize(
    ("plan", "shape", "motion"), [(HALF_FIRST, *LARGE), (TWO_PASSES, (208, 176), (14.0, -9.0))], ids=["large", "small"]
)
def test_with_two_passes_exchanging_the_images_gives_the_inverse_and_nothing_folds(
    plan: Plan, shape: tuple[int, int], motion: tuple[float, float]
) -> None:
    fixed, moving, _ = head_pair(shape, motion)
    network = bundled()
    with torch.no_grad():
        forward, inverse = predict_images(network, fixed, moving, plan)
        exchanged, _ = predict_images(network, moving, fixed, plan)
    assert float((exchanged - inverse).abs().max()) < 1e-2  # Voxels.
    assert float(lengths(compose(exchanged, forward)).mean()) < 0.1
    assert folding(forward) == folding(inverse) == 0


def test_a_second_pass_comes_closer() -> None:
    fixed, moving, truth = head_pair((208, 176), (14.0, -9.0))
    network, inside = bundled(), fixed > 0.05
    with torch.no_grad():
        once, twice = (
            endpoint_error(predict_images(network, fixed, moving, plan).forward, truth, inside)
            for plan in (ONE_PASS, TWO_PASSES)
        )
    assert twice < 0.8 * once


def test_if_the_second_pass_folds_that_of_the_first_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prediction, "repair_folds", lambda ways: None)
    network, pair = loud_network(), smooth_pair(64, 64)
    torch.testing.assert_close(predict_images(network, *pair, TWO_PASSES), predict_images(network, *pair, ONE_PASS))


@pytest.mark.parametrize(
    ("plan", "sizes"),
    [
        (ONE_PASS, [(384, 336)]),
        (TWO_PASSES, [(384, 336)] * 2),
        (HALF_FIRST, [(192, 168), (384, 336)]),
        (ENSEMBLE, [(192, 168)] * 4 + [(384, 336)] * 4),
    ],
    ids=["one pass", "two passes", "half first", "ensemble"],
)
def test_the_plan_says_at_which_sizes_the_network_sees_the_images(plan: Plan, sizes: list[tuple[int, int]]) -> None:
    network, seen = loud_network(), []
    network.register_forward_pre_hook(lambda _, pair: seen.append(tuple(pair[0].shape[2:])))
    predict_images(network, *smooth_pair(384, 336), plan)
    assert seen == sizes


def test_with_the_flip_ensemble_mirrored_images_give_the_mirrored_result_and_exchanged_ones_the_inverse() -> None:
    network = bundled()
    fixed, moving, _ = head_pair(*LARGE)
    moving = 0.5 * moving + 0.5 * smooth_pair(*LARGE[0])[1].clamp(0, 1)
    forward, inverse = predict_images(network, fixed, moving, ENSEMBLE)
    assert float(forward.abs().max()) > 1
    mirrored, _ = predict_images(network, fixed.flip(3), moving.flip(3), ENSEMBLE)
    back = mirrored.flip(3) * torch.tensor([1.0, -1.0]).view(1, 2, 1, 1)
    torch.testing.assert_close(back, forward, rtol=0, atol=1e-3)  # Voxels.
    exchanged, _ = predict_images(network, moving, fixed, ENSEMBLE)
    torch.testing.assert_close(exchanged, inverse, rtol=0, atol=1e-3)


class Guessing(Network):
    """Finds the same motion in every mirror image, and adds a guess of its own."""

    def __init__(self, guess: float) -> None:
        super().__init__(NetworkConfiguration())
        self.guess = guess

    def forward(self, fixed: Tensor, moving: Tensor) -> list[Tensor]:
        side = 1.0 if fixed[0, 0, 0, 0] > fixed[0, 0, -1, 0] else -1.0
        velocity = fixed.new_zeros(1, 2, *(size // 4 for size in fixed.shape[2:]))
        velocity[:, 0] = side * 1.0 + self.guess
        return [velocity]


def test_the_flip_ensemble_shortens_velocities_the_more_they_disagree() -> None:
    ramp = torch.linspace(1, 0, 64)[:, None].expand(64, 64)[None, None]
    found = [prediction._flip_ensemble(Guessing(guess), ramp, ramp)[0] for guess in (0.0, 0.25, 3.0)]
    assert torch.equal(found[0][0], torch.ones(16, 16))
    assert all(float(velocity[1].abs().max()) == 0 for velocity in found)
    shares = [float(velocity[0].mean()) for velocity in found]
    # The guess has the other sign in half of the mirror images: four of +-0.25 have the variance 1/12.
    assert shares[1] == pytest.approx(1 - 2.5 / 12, abs=1e-5)
    assert shares[2] == 0


def inverted(image: Tensor) -> Tensor:
    return torch.where(image > 0.03, 1.03 - image, 0)


def not_monotonic(image: Tensor) -> Tensor:
    """Dark and bright become bright, what lies between becomes dark."""
    return (2 * image - 0.8).abs().clamp(0, 1)


def matched(name: str, fixed: Tensor, moving: Tensor, differs: tuple[bool, ...] = (True,)) -> PreparedPair:
    """The pairs in matched intensities."""
    shape = tuple(fixed.shape[2:])
    pair = PreparedPair(fixed, moving, None, None, shape, (0, 0))
    plan = Plan("fast", "deformable", match_intensities=differs)
    return match_intensities(pair, load_model(MODELS / f"{name}.pt"), plan)[0]


@pytest.mark.parametrize("change", [inverted, not_monotonic])
@pytest.mark.parametrize("name", ["any-contrast", "brain-mr"])
def test_a_network_finds_in_another_contrast_what_it_finds_in_the_same(
    name: str, change: Callable[[Tensor], Tensor]
) -> None:
    fixed, moving, truth = head_pair((176, 152), (7.0, -5.0))
    pair = matched(name, fixed, change(moving))
    with torch.no_grad():
        plain, other = (
            endpoint_error(predict_images(bundled(name), *images, ONE_PASS).forward, truth, fixed > 0.05)
            for images in ((fixed, moving), (pair.fixed, pair.moving))
        )
    assert float(other) < float(plain) + 1  # Voxels, of eight.


def test_exchanging_images_of_different_contrast_gives_the_inverse() -> None:
    fixed, moving, _ = head_pair((176, 152), (7.0, -5.0))
    pairs = [matched("any-contrast", *images) for images in ((fixed, inverted(moving)), (inverted(moving), fixed))]
    with torch.no_grad():
        forward, exchanged = (predict_images(bundled(), p.fixed, p.moving, ONE_PASS).forward for p in pairs)
    assert float(lengths(forward).max()) > 5
    assert float(lengths(compose(exchanged, forward)).mean()) < 0.1


def test_only_those_pairs_of_a_batch_are_matched_that_the_plan_says() -> None:
    fixed, moving, _ = head_pair((176, 152), (7.0, -5.0))
    images = fixed.repeat(2, 1, 1, 1), torch.cat([moving, inverted(moving)])
    pair, alone = matched("any-contrast", *images, (False, True)), matched("any-contrast", fixed, inverted(moving))
    assert torch.equal(pair.fixed[:1], fixed)
    assert torch.equal(pair.moving[:1], moving)
    assert torch.equal(pair.fixed[1:], alone.fixed)
    assert torch.equal(pair.moving[1:], alone.moving)
    assert not torch.equal(pair.moving[1:], inverted(moving)) or not torch.equal(pair.fixed[1:], fixed)


def test_images_that_explain_nothing_of_each_other_are_not_matched() -> None:
    fixed, _, _ = head_pair((176, 152), (7.0, -5.0))
    noise = torch.rand(fixed.shape, generator=torch.Generator().manual_seed(3))
    other = torch.where(fixed > 0.03, 0.3 + 0.5 * noise, 0)
    images = PreparedPair(fixed, other, None, None, tuple(fixed.shape[2:]), (0, 0))
    plan = Plan("fast", "deformable", match_intensities=(True,))
    pair, agree = match_intensities(images, load_model(MODELS / "any-contrast.pt"), plan)
    assert torch.equal(pair.fixed, fixed)
    assert torch.equal(pair.moving, other)
    assert agree == (False,)


@pytest.mark.parametrize("dimension", [2, 3])
def test_fade_falls_by_equal_steps_from_1_inside_to_0_at_the_distance(dimension: int) -> None:
    mask = torch.zeros(1, 1, *[1] * (dimension - 1), 12)
    mask[..., 0] = 1
    expected = [1, 0.8, 0.6, 0.4, 0.2, 0, 0, 0, 0, 0, 0, 0]
    assert fade(mask, 5).flatten().tolist() == pytest.approx(expected)


def test_fade_over_less_than_a_voxel_is_the_mask() -> None:
    mask = torch.zeros(1, 1, 9, 8)
    mask[..., :4] = 1
    assert torch.equal(fade(mask, 0.1), mask)


def test_fade_takes_no_more_rings_than_the_image_has_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    calls, pool = [], torch.nn.functional.max_pool2d
    monkeypatch.setattr("torch.nn.functional.max_pool2d", lambda *a, **k: calls.append(1) or pool(*a, **k))
    mask = torch.zeros(2, 1, 1, 12)  # One empty, one with its first pixel.
    mask[1, 0, 0, 0] = 1
    found = fade(mask, 10_000)
    assert len(calls) == 12
    assert torch.equal(found[0], torch.zeros_like(found[0]))
    assert torch.equal(found[1, 0, 0], (10_000 - torch.arange(12)) / 10_000)
