"""Facts about devices, and about images that cannot be registered or are just large enough."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from UnsupervisedRegistrationLib.core.models.card import Card
from UnsupervisedRegistrationLib.core.models.model_file import Model, ModelConfiguration
from UnsupervisedRegistrationLib.core.networks.architectures import build_network
from UnsupervisedRegistrationLib.core.networks.network import NetworkConfiguration
from UnsupervisedRegistrationLib.core.registration.device import resolve_device
from UnsupervisedRegistrationLib.core.registration.image_pair import ImagePair
from UnsupervisedRegistrationLib.core.registration.landmark_constraint import LandmarkPairs
from UnsupervisedRegistrationLib.core.registration.options import RegistrationOptions
from UnsupervisedRegistrationLib.core.registration.pipeline import run
from UnsupervisedRegistrationLib.core.registration.result import RegistrationResult
from UnsupervisedRegistrationLib.core.spatial.grid import ImageGrid

FAST = RegistrationOptions(preset="fast", device="cpu")


def loud_model(dimension: int = 2) -> Model:
    """Fresh weights, of which the last layers are scaled up so that it moves by a voxel or two."""
    torch.manual_seed(5)
    configuration = ModelConfiguration(NetworkConfiguration(dimension=dimension, width=4))
    network = build_network(configuration.network).eval().requires_grad_(False)
    for name, weight in network.named_parameters():
        if name.startswith("decoder") and ".4." in name:
            weight.mul_(100)
    return Model("test", network, configuration, Card())


def smooth_pair(*shape: int) -> tuple[Tensor, Tensor]:
    coarse = torch.rand(2, 1, *(max(size // 16, 2) for size in shape), generator=torch.Generator().manual_seed(8))
    fixed, moving = torch.nn.functional.interpolate(coarse, shape, mode="bicubic", align_corners=True).split(1)
    return 100 * fixed, 100 * moving


def registered(**changes: Any) -> RegistrationResult:
    fixed, moving = smooth_pair(40, 50)
    images = {"fixed": fixed, "moving": moving, "grid": ImageGrid((40, 50), torch.eye(4)), **changes}
    return run(ImagePair(**images), [loud_model()], FAST, without=frozenset({"never_worse"}))


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


def test_the_result_names_the_device() -> None:
    assert registered().device == "cpu"


@pytest.mark.parametrize("name", ["fixed", "moving", "mask"])
def test_an_image_on_another_grid_is_an_error(name: str) -> None:
    with pytest.raises(ValueError, match=rf"The {name}( image)? must have the shape .* 40, 50\), not .* 50, 40\)"):
        registered(**{name: torch.rand(1, 1, 50, 40)})


def test_a_model_of_another_dimension_is_an_error() -> None:
    fixed, moving = smooth_pair(40, 50)
    images = ImagePair(fixed, moving, ImageGrid((40, 50), torch.eye(4)))
    with pytest.raises(ValueError, match="The model 'test' registers 3-D images, not 2-D"):
        run(images, [loud_model(3)], FAST)


@pytest.mark.parametrize(("name", "told"), [("mask", "mask"), ("moving_mask", "mask of the moving image")])
def test_a_mask_without_a_pixel_is_an_error(name: str, told: str) -> None:
    with pytest.raises(ValueError, match=f"The {told} has no pixel on this slice; draw it there"):
        registered(**{name: torch.zeros(1, 1, 40, 50)})


@pytest.mark.parametrize("shape", [(1, 50), (40, 1), (1, 1)])
def test_an_image_one_pixel_wide_is_an_error(shape: tuple[int, int]) -> None:
    image = torch.rand(1, 1, *shape)
    with pytest.raises(ValueError, match="cannot be registered; two are needed"):
        registered(fixed=image, moving=image, grid=ImageGrid(shape, torch.eye(4)))


def test_landmarks_do_not_steer_a_batch() -> None:
    fixed, moving = (torch.cat([image, image]) for image in smooth_pair(40, 50))
    points = torch.tensor([[20.0, 20.0]])
    with pytest.raises(ValueError, match="Landmarks steer a single pair, not a batch of 2"):
        registered(fixed=fixed, moving=moving, landmarks=LandmarkPairs(points, points))


def test_a_pair_of_two_by_two_pixels_is_registered() -> None:
    fixed, moving = torch.rand(2, 1, 1, 2, 2, generator=torch.Generator().manual_seed(1))
    result = registered(fixed=fixed, moving=moving, grid=ImageGrid((2, 2), torch.eye(4)))
    assert bool(torch.isfinite(result.displacement).all())


@pytest.mark.parametrize("name", ["fixed", "moving"])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_an_image_that_is_not_finite_is_an_error_that_names_it(name: str, bad: float) -> None:
    image = torch.rand(1, 1, 40, 50)
    image[0, 0, 5, 5] = bad
    with pytest.raises(ValueError, match=f"The {name} image has NaN or infinite voxels"):
        registered(**{name: image})


@pytest.mark.parametrize("name", ["fixed", "moving"])
def test_a_constant_image_is_an_error_that_names_it(name: str) -> None:
    with pytest.raises(ValueError, match=f"The {name} image is constant on this slice"):
        registered(**{name: torch.full((1, 1, 40, 50), 3.0)})


@pytest.mark.parametrize("dtype", [torch.float64, torch.int16, torch.int64])
def test_the_type_of_the_intensities_does_not_matter(dtype: torch.dtype) -> None:
    fixed, moving = (image.round() for image in smooth_pair(40, 50))
    whole = registered(fixed=fixed, moving=moving).displacement
    typed = registered(fixed=fixed.to(dtype), moving=moving.to(dtype)).displacement
    assert float(whole.abs().max()) > 0.3
    torch.testing.assert_close(typed.float(), whole, rtol=0, atol=1e-3)  # Voxels, rounding only.


def test_a_volume_of_a_few_slices_is_registered() -> None:
    fixed, moving = torch.rand(2, 1, 1, 5, 32, 40, generator=torch.Generator().manual_seed(1))
    images = ImagePair(fixed, moving, ImageGrid((5, 32, 40), torch.eye(4)))
    assert run(images, [loud_model(3)], FAST).displacement.shape == (1, 3, 5, 32, 40)
