"""Facts about devices, passes of the network, and arguments that cannot be registered."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from UnsupervisedRegistrationLib.core.images.phantom import draw_phantom
from UnsupervisedRegistrationLib.core.models.card import Card
from UnsupervisedRegistrationLib.core.models.model_file import Model, ModelConfiguration, load_model
from UnsupervisedRegistrationLib.core.networks.architectures import build_network
from UnsupervisedRegistrationLib.core.networks.network import Network, NetworkConfiguration
from UnsupervisedRegistrationLib.core.registration import prediction as estimation
from UnsupervisedRegistrationLib.core.registration.pipeline import register, resolve_device
from UnsupervisedRegistrationLib.core.registration.prediction import estimate
from UnsupervisedRegistrationLib.core.similarity.losses import endpoint_error
from UnsupervisedRegistrationLib.core.spatial.deformation import compose, invert, lengths, warp
from UnsupervisedRegistrationLib.core.spatial.folding import folding
from UnsupervisedRegistrationLib.core.spatial.grid import ImageGrid

MODELS = Path(__file__).parents[2] / "UnsupervisedRegistration/Resources/Models"


def loud_network(dimension: int = 2, integration_steps: int = 6) -> Network:
    """Fresh weights, of which the last layers are scaled up so that it moves by a voxel or two."""
    torch.manual_seed(5)
    configuration = NetworkConfiguration(dimension=dimension, width=4, integration_steps=integration_steps)
    network = build_network(configuration).eval().requires_grad_(False)
    for name, weight in network.named_parameters():
        if name.startswith("decoder") and ".4." in name:
            weight.mul_(100)
    return network


def smooth_pair(*shape: int) -> tuple[Tensor, Tensor]:
    coarse = torch.rand(2, 1, *(max(size // 16, 2) for size in shape), generator=torch.Generator().manual_seed(8))
    fixed, moving = torch.nn.functional.interpolate(coarse, shape, mode="bicubic", align_corners=True).split(1)
    return fixed, moving


def arguments(**changes: Any) -> Any:
    network = loud_network()
    values = {
        "fixed": 100 * smooth_pair(40, 50)[0],
        "moving": 100 * smooth_pair(40, 50)[1],
        "grid": ImageGrid((40, 50), torch.eye(4)),
        "model": Model("test", network, ModelConfiguration(network.configuration), Card()),
        "device": "cpu",
    }
    return {**values, **changes}


@pytest.mark.parametrize("passes", [1, 2, 3])
@pytest.mark.parametrize("integration_steps", [6, 0])
def test_the_backward_displacement_inverts_the_forward_one(passes: int, integration_steps: int) -> None:
    fixed, moving = smooth_pair(64, 64)
    network = loud_network(integration_steps=integration_steps)
    forward, backward = estimate(network, fixed, moving, passes)
    inner = (slice(None), slice(None), slice(8, -8), slice(8, -8))  # Points from outside take the border.
    assert float(forward.abs().max()) > 1
    assert float(compose(forward, backward)[inner].abs().max()) < 0.2  # Voxels: interpolation at every composition.
    assert float(compose(backward, forward)[inner].abs().max()) < 0.2


def test_the_second_pass_goes_on_from_the_image_warped_by_the_first() -> None:
    fixed, moving = smooth_pair(64, 64)
    network = loud_network()
    first, _ = estimate(network, fixed, moving)
    second, _ = estimate(network, fixed, warp(moving, first))
    torch.testing.assert_close(estimate(network, fixed, moving, 2)[0], compose(first, second))


@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.parametrize("integration_steps", [6, 0])
def test_every_velocity_is_shaped_as_asked(integration_steps: int, twice: bool) -> None:
    network = loud_network(integration_steps=integration_steps)
    forward, backward = estimate(network, *smooth_pair(64, 64), 2, torch.zeros_like, twice)
    assert float(forward.abs().max()) == float(backward.abs().max()) == 0


def test_every_pair_of_a_batch_is_estimated() -> None:
    fixed, moving = smooth_pair(64, 64)
    both = estimate(loud_network(), torch.cat([fixed, moving]), torch.cat([moving, fixed]))
    torch.testing.assert_close(both[0][0], both[1][1], rtol=0, atol=1e-4)  # Voxels; each is the inverse of the other.


def drawn_pair(shape: tuple[int, int], motion: tuple[float, float]) -> tuple[Tensor, Tensor, Tensor]:
    """The drawn head, what a known displacement of up to that many voxels makes of it, and that displacement."""
    slices = draw_phantom("head").fixed
    image = torch.from_numpy(slices[len(slices) // 2].astype("float32"))[None, None]
    fixed = torch.nn.functional.interpolate(image / image.max(), shape, mode="bilinear")
    coarse = torch.zeros(1, 2, 4, 4)
    coarse[0, 0, 1:3, 1:3], coarse[0, 1, 1:3, 1:3] = motion
    displacement = torch.nn.functional.interpolate(coarse, shape, mode="bicubic", align_corners=True)
    return fixed, warp(fixed, invert(displacement)), displacement


LARGE: Any = ((416, 352), (40.0, -25.0))


def test_a_large_image_is_followed_further_because_its_half_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    fixed, moving, truth = drawn_pair(*LARGE)
    network, inside = load_model(MODELS / "any-contrast.pt").network, fixed > 0.05
    with torch.no_grad():
        coarse_first = endpoint_error(estimate(network, fixed, moving)[0], truth, inside)
        monkeypatch.setattr(estimation, "_LARGE", 10_000)
        at_once = endpoint_error(estimate(network, fixed, moving)[0], truth, inside)
    assert coarse_first < 0.6 * at_once


def test_swapping_large_images_gives_the_inverse_and_nothing_folds() -> None:
    fixed, moving, _ = drawn_pair(*LARGE)
    network = load_model(MODELS / "any-contrast.pt").network
    with torch.no_grad():
        (forward, backward), (swapped, _) = estimate(network, fixed, moving), estimate(network, moving, fixed)
    assert float((swapped - backward).abs().max()) < 1e-2  # Voxels.
    assert float(lengths(compose(swapped, forward)).mean()) < 0.1
    assert folding(forward) == folding(backward) == 0


def test_a_second_look_comes_closer_and_its_outcome_undoes_that_of_the_swapped_images() -> None:
    fixed, moving, truth = drawn_pair((208, 176), (14.0, -9.0))
    network, inside = load_model(MODELS / "any-contrast.pt").network, fixed > 0.05
    with torch.no_grad():
        once, _ = estimate(network, fixed, moving)
        (forward, backward), (swapped, _) = (
            estimate(network, *images, twice=True) for images in ((fixed, moving), (moving, fixed))
        )
    assert endpoint_error(forward, truth, inside) < 0.8 * endpoint_error(once, truth, inside)
    assert float((swapped - backward).abs().max()) < 1e-2  # Voxels.
    assert float(lengths(compose(swapped, forward)).mean()) < 0.1
    assert folding(forward) == folding(backward) == 0


def test_outside_of_what_the_images_show_both_ways_undo_each_other_too() -> None:
    fixed, moving, _ = drawn_pair((128, 112), (14.0, -9.0))  # The head moves at the border of the box, too.
    fixed, moving = (torch.nn.functional.pad(image, [60, 40, 50, 70]) for image in (fixed, moving))
    model, grid = load_model(MODELS / "any-contrast.pt"), ImageGrid(tuple(fixed.shape[2:]), torch.eye(4))
    there, back = (
        register(fixed=images[0], moving=images[1], grid=grid, model=model, device="cpu").displacement
        for images in ((fixed, moving), (moving, fixed))
    )
    assert float(lengths(there).amax(dim=(1, 2, 3))) > 5
    missed = lengths(compose(there, back))
    assert float(missed.mean()) < 0.05
    assert float(missed.max()) < 1


def test_a_second_look_that_would_fold_leaves_what_the_first_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimation, "repair_folds", lambda ways: None)
    network, pair = loud_network(), smooth_pair(64, 64)
    torch.testing.assert_close(estimate(network, *pair, twice=True), estimate(network, *pair))


def calls_of(network: Network) -> list[tuple[int, ...]]:
    """A list that gets the size of the images whenever the network sees some."""
    seen: list[tuple[int, ...]] = []
    network.register_forward_pre_hook(lambda _, pair: seen.append(tuple(pair[0].shape[2:])))
    return seen


def specks_of(image: Tensor) -> Tensor:
    """Some of the bright pixels, white on black."""
    lit = torch.rand(image.shape, generator=torch.Generator().manual_seed(0)) > 0.7
    return ((image > 0.8) & lit).float()


@pytest.mark.parametrize("which", [(0,), (1,), (0, 1)])
def test_specks_are_looked_at_once_from_every_side_and_shifted_where_others_are_looked_at_twice(
    which: tuple[int, ...],
) -> None:
    network, pair = load_model(MODELS / "any-contrast.pt").network, list(drawn_pair((128, 112), (8.0, -5.0))[:2])
    for number in which:
        pair[number] = specks_of(pair[number])
    sides = []
    with torch.no_grad():
        for shift, axes in itertools.product((0, 2), ([], [2], [3], [2, 3])):
            images = (image.roll((4 * shift, 4 * shift), (2, 3)).flip(axes) for image in pair)
            velocity = network(*images)[-1].flip(axes).roll((-shift, -shift), (2, 3))
            for axis in axes:
                velocity[:, axis - 2] *= -1
            sides.append(velocity)
        seen = calls_of(network)
        found, once = estimate(network, *pair, twice=True)[0], estimate(network, *pair)[0]
    assert seen == [(128, 112)] * 9
    wanted = network.displacement(torch.stack(sides).mean(dim=0), (128, 112))
    assert float((found - wanted).square().mean()) < 0.1 * float((found - once).square().mean())


def test_large_images_that_tell_little_of_each_other_are_looked_at_from_all_sides() -> None:
    network = loud_network()
    seen = calls_of(network)
    unrelated = smooth_pair(384, 336)
    estimate(network, *unrelated)
    assert seen == [(192, 168)] * 4 + [(384, 336)] * 4
    seen.clear()
    estimate(network, *drawn_pair((384, 336), (5.0, -3.0))[:2])
    assert seen == [(192, 168), (384, 336)]
    seen.clear()
    estimate(network, *smooth_pair(192, 168))
    assert len(seen) == 1


def test_from_all_sides_mirrored_images_give_the_mirrored_outcome_and_swapped_ones_the_inverse() -> None:
    network = load_model(MODELS / "any-contrast.pt").network
    fixed, moving, _ = drawn_pair(*LARGE)
    moving = 0.5 * moving + 0.5 * smooth_pair(*LARGE[0])[1].clamp(0, 1)
    seen = calls_of(network)
    forward, backward = estimate(network, fixed, moving)
    assert len(seen) == 8
    assert float(forward.abs().max()) > 1
    mirrored, _ = estimate(network, fixed.flip(3), moving.flip(3))
    back = mirrored.flip(3) * torch.tensor([1.0, -1.0]).view(1, 2, 1, 1)
    torch.testing.assert_close(back, forward, rtol=0, atol=1e-3)  # Voxels.
    swapped, _ = estimate(network, moving, fixed)
    torch.testing.assert_close(swapped, backward, rtol=0, atol=1e-3)


class Guessing(Network):
    """Finds the same motion from every side, and a guess besides that depends on the side."""

    def __init__(self, guess: float) -> None:
        super().__init__(NetworkConfiguration())
        self.guess = guess

    def forward(self, fixed: Tensor, moving: Tensor) -> list[Tensor]:
        side = 1.0 if fixed[0, 0, 0, 0] > fixed[0, 0, -1, 0] else -1.0
        velocity = fixed.new_zeros(1, 2, *(size // 4 for size in fixed.shape[2:]))
        velocity[:, 0] = side * 1.0 + self.guess
        return [velocity]


def test_looks_from_all_sides_count_the_less_the_more_they_disagree() -> None:
    ramp = torch.linspace(1, 0, 64)[:, None].expand(64, 64)[None, None]
    found = [estimation._careful_look(Guessing(guess), ramp, ramp)[0] for guess in (0.0, 0.25, 3.0)]
    assert torch.equal(found[0][0], torch.ones(16, 16))
    assert all(float(velocity[1].abs().max()) == 0 for velocity in found)
    shares = [float(velocity[0].mean()) for velocity in found]
    # The guess has the other sign in half of the looks: four of +-0.25 have the variance 1/12.
    assert shares[1] == pytest.approx(1 - 2.5 / 12, abs=1e-5)
    assert shares[2] == 0


def test_the_cpu_is_there() -> None:
    assert resolve_device("cpu") == torch.device("cpu")


def test_auto_finds_a_device() -> None:
    assert resolve_device("auto").type in ("cpu", "cuda", "mps")


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
@pytest.mark.parametrize("name", ["cuda", "cuda:0", "cuda:7"])
def test_cuda_on_a_machine_without_it_is_an_error(name: str) -> None:
    with pytest.raises(ValueError, match=f"The device '{name}' is not there. This machine has: cpu"):
        resolve_device(name)


@pytest.mark.parametrize("name", ["tpu", "", "cpu:1", "cuda:999", "cuda:x", "cpu:", "cpu:00"])
def test_a_device_that_is_not_there_is_an_error(name: str) -> None:
    with pytest.raises(ValueError, match=r"is not there\. This machine has: cpu.*Choose one of them, or 'auto'"):
        resolve_device(name)


def test_the_outcome_names_the_device() -> None:
    assert register(**arguments()).device == "cpu"


@pytest.mark.parametrize("name", ["fixed", "moving", "mask"])
def test_an_image_on_another_grid_is_an_error(name: str) -> None:
    with pytest.raises(ValueError, match=rf"The {name}( image)? must have the shape .* 40, 50\), not .* 50, 40\)"):
        register(**arguments(**{name: torch.rand(1, 1, 50, 40)}))


def test_a_model_of_another_dimension_is_an_error() -> None:
    network = loud_network(3)
    volumetric = Model("volumes", network, ModelConfiguration(network.configuration), Card())
    with pytest.raises(ValueError, match="The model 'volumes' registers 3-D images, not 2-D"):
        register(**arguments(model=volumetric))


def test_a_mask_without_a_pixel_is_an_error() -> None:
    with pytest.raises(ValueError, match="The mask has no pixel on this slice; draw it there"):
        register(**arguments(mask=torch.zeros(1, 1, 40, 50)))


@pytest.mark.parametrize("shape", [(1, 50), (40, 1), (1, 1)])
def test_an_image_one_pixel_wide_is_an_error(shape: tuple[int, int]) -> None:
    image = torch.rand(1, 1, *shape)
    with pytest.raises(ValueError, match="cannot be registered; two are needed"):
        register(**arguments(fixed=image, moving=image, grid=ImageGrid(shape, torch.eye(4))))


def test_a_pair_of_two_by_two_pixels_is_registered() -> None:
    fixed, moving = torch.rand(2, 1, 1, 2, 2, generator=torch.Generator().manual_seed(1))
    outcome = register(**arguments(fixed=fixed, moving=moving, grid=ImageGrid((2, 2), torch.eye(4))))
    assert bool(torch.isfinite(outcome.displacement).all())


@pytest.mark.parametrize("name", ["fixed", "moving"])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_an_image_that_is_not_finite_is_an_error_that_names_it(name: str, bad: float) -> None:
    image = torch.rand(1, 1, 40, 50)
    image[0, 0, 5, 5] = bad
    with pytest.raises(ValueError, match=f"The {name} image has NaN or infinite voxels"):
        register(**arguments(**{name: image}))


@pytest.mark.parametrize("name", ["fixed", "moving"])
def test_a_constant_image_is_an_error_that_names_it(name: str) -> None:
    with pytest.raises(ValueError, match=f"The {name} image is constant on this slice"):
        register(**arguments(**{name: torch.full((1, 1, 40, 50), 3.0)}))


@pytest.mark.parametrize("dtype", [torch.float64, torch.int16])
def test_the_type_of_the_intensities_does_not_matter(dtype: torch.dtype) -> None:
    fixed, moving = (100 * image for image in smooth_pair(40, 50))
    whole = register(**arguments(fixed=fixed.round(), moving=moving.round())).displacement
    typed = register(**arguments(fixed=fixed.round().to(dtype), moving=moving.round().to(dtype))).displacement
    torch.testing.assert_close(typed.float(), whole, rtol=0, atol=1e-3)  # Voxels, rounding only.


def test_a_volume_of_a_few_slices_is_registered() -> None:
    network = loud_network(3)
    fixed, moving = torch.rand(2, 1, 1, 5, 32, 40, generator=torch.Generator().manual_seed(1))
    volumetric = Model("volumes", network, ModelConfiguration(network.configuration), Card())
    outcome = register(
        **arguments(fixed=fixed, moving=moving, grid=ImageGrid((5, 32, 40), torch.eye(4)), model=volumetric)
    )
    assert outcome.displacement.shape == (1, 3, 5, 32, 40)
