"""Facts about the registration of one pair with a small network of fresh weights, scaled up so that it moves."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from UnsupervisedRegistrationLib.core.images.preprocessing import PreprocessingConfiguration
from UnsupervisedRegistrationLib.core.models.card import Card
from UnsupervisedRegistrationLib.core.models.model_file import Model, ModelConfiguration
from UnsupervisedRegistrationLib.core.networks.architectures import build_network
from UnsupervisedRegistrationLib.core.networks.network import NetworkConfiguration
from UnsupervisedRegistrationLib.core.registration.image_pair import ImagePair
from UnsupervisedRegistrationLib.core.registration.options import RegistrationOptions
from UnsupervisedRegistrationLib.core.registration.pipeline import run
from UnsupervisedRegistrationLib.core.registration.result import RegistrationResult
from UnsupervisedRegistrationLib.core.similarity.losses import local_ncc
from UnsupervisedRegistrationLib.core.spatial.deformation import warp
from UnsupervisedRegistrationLib.core.spatial.folding import folding
from UnsupervisedRegistrationLib.core.spatial.grid import ImageGrid

GRIDS = {
    "LPS": ((50, 64), [-1.0, -1.0, 3.0]),
    "anisotropic": ((32, 60), [-1.0, -2.0, 3.0]),
    "3-D": ((16, 32, 40), [1.0, 1.0, 2.0]),
}
shapes = pytest.mark.parametrize(("shape", "steps"), GRIDS.values(), ids=GRIDS.keys())


def image(shape: tuple[int, ...], seed: int) -> Tensor:
    """Smooth blobs, 0 to 400."""
    coarse = torch.rand(1, 1, *(max(size // 6, 2) for size in shape), generator=torch.Generator().manual_seed(seed))
    mode = "bilinear" if len(shape) == 2 else "trilinear"
    return 400 * torch.nn.functional.interpolate(coarse, shape, mode=mode)


def grid(shape: tuple[int, ...], steps: list[float]) -> ImageGrid:
    return ImageGrid(shape, torch.diag(torch.tensor([*steps, 1.0], dtype=torch.float64)))


def model(dimension: int = 2, working_spacing: float | None = None) -> Model:
    preprocessing = PreprocessingConfiguration(working_spacing=working_spacing)
    configuration = ModelConfiguration(NetworkConfiguration(dimension=dimension, width=4), preprocessing)
    torch.manual_seed(5)
    network = build_network(configuration.network).eval()
    for name, weight in network.named_parameters():
        if name.startswith("decoder") and ".4." in name:
            weight.data *= 300
    return Model("test", network, configuration, Card())


FAST = RegistrationOptions(preset="fast", device="cpu")
AS_PREDICTED = frozenset({"never_worse", "few_steps"})
"""Rules that are left out; the network makes some images less similar."""


def pair(shape: tuple[int, ...] = (50, 64), steps: tuple[float, ...] = (1.0, 1.0, 1.0), **changes: Any) -> ImagePair:
    return ImagePair(
        **{"fixed": image(shape, 1), "moving": image(shape, 2), "grid": grid(shape, list(steps)), **changes}
    )


def registered(images: ImagePair, taken: Model | None = None) -> RegistrationResult:
    """The result of the network alone."""
    return run(images, [taken or model(len(images.grid.shape))], FAST, without=AS_PREDICTED)


def left_half(shape: tuple[int, ...]) -> Tensor:
    mask = torch.zeros(1, 1, *shape)
    mask[..., : shape[-1] // 2] = 1
    return mask


@shapes
def test_the_result_lies_on_the_grid_of_the_fixed_image(shape: tuple[int, ...], steps: list[float]) -> None:
    result = registered(pair(shape, tuple(steps)))
    assert result.displacement.shape == result.inverse.shape == (1, len(shape), *shape)
    assert result.warped.shape == (1, 1, *shape)
    assert {t.dtype for t in (result.displacement, result.inverse, result.warped)} == {torch.float32}
    assert float(result.displacement.abs().max()) > 0.3  # Voxels; otherwise these tests would test nothing.


@shapes
def test_the_warped_image_is_the_moving_one_warped_by_the_displacement(
    shape: tuple[int, ...], steps: list[float]
) -> None:
    result = registered(pair(shape, tuple(steps)))
    assert torch.equal(result.warped, warp(image(shape, 2), result.displacement))


def test_the_arguments_stay_as_they_were() -> None:
    given, taken = pair(mask=left_half((50, 64))), model()
    weights = {name: weight.clone() for name, weight in taken.network.state_dict().items()}
    copies = {name: getattr(given, name).clone() for name in ("fixed", "moving", "mask")}
    registered(given, taken)
    assert all(torch.equal(getattr(given, name), copy) for name, copy in copies.items())
    assert all(torch.equal(taken.network.state_dict()[name], weight) for name, weight in weights.items())


def test_the_same_pair_gives_the_same_displacement() -> None:
    assert torch.equal(registered(pair()).displacement, registered(pair()).displacement)


def test_an_image_registered_to_itself_stays_where_it_is() -> None:
    result = registered(pair(moving=image((50, 64), 1)))
    assert float(result.displacement.abs().max()) == float(result.inverse.abs().max()) == 0
    assert result.similarity_before == pytest.approx(result.similarity_after, abs=1e-5)


def test_swapping_the_images_swaps_the_displacement_and_its_inverse() -> None:
    there = registered(pair())
    back = registered(pair(fixed=image((50, 64), 2), moving=image((50, 64), 1)))
    torch.testing.assert_close(there.displacement, back.inverse, rtol=0, atol=1e-4)  # Voxels, rounding only.


def test_the_displacement_does_not_depend_on_the_unit_of_the_intensities() -> None:
    scaled = registered(pair(fixed=3 * image((50, 64), 1) - 1000)).displacement
    torch.testing.assert_close(scaled, registered(pair()).displacement, rtol=0, atol=1e-3)  # Voxels, rounding.


def test_the_similarity_is_the_squared_local_correlation() -> None:
    result = registered(pair())
    expected = 1 - float(local_ncc(image((50, 64), 2) / 400, image((50, 64), 1) / 400))
    assert result.similarity_before == pytest.approx(expected, abs=0.02)  # The percentiles clip one in a hundred.


def test_the_similarity_with_a_mask_is_that_inside() -> None:
    moving = torch.cat([image((50, 64), 1)[..., :38], image((50, 64), 2)[..., 38:]], dim=-1)
    inside = registered(pair(moving=moving, mask=left_half((50, 64)))).similarity_before
    assert inside > 0.97 > registered(pair(moving=moving)).similarity_before


@pytest.mark.parametrize(("columns", "weight"), [(1, 1.0), (20, 0.4)], ids=["thin", "faint"])
def test_the_similarity_of_an_image_with_itself_is_high_in_every_mask(columns: int, weight: float) -> None:
    mask = torch.zeros(1, 1, 50, 64)
    mask[..., 20 : 20 + columns] = weight
    result = registered(pair(moving=image((50, 64), 1), mask=mask), model(working_spacing=2.0))
    assert result.similarity_before > 0.9


def test_the_folding_is_that_of_the_displacement() -> None:
    result = registered(pair())
    assert result.folding == folding(result.displacement)


STEPS = ["choose the model", "prepare", "network", "warp", "compare", "measure"]


def timed_and_told() -> tuple[dict[str, float], list[tuple[str, float]]]:
    """Milliseconds of the stages of the network alone, and what the progress callback was told."""
    told: list[tuple[str, float]] = []
    result = run(pair(), [model()], FAST, lambda step, share: told.append((step, share)))
    return result.milliseconds, told


def test_the_stages_are_timed() -> None:
    milliseconds, _ = timed_and_told()
    assert list(milliseconds) == STEPS
    assert all(value >= 0 for value in milliseconds.values())
    assert milliseconds["network"] > 0


def test_the_progress_names_each_stage_and_rises_from_0() -> None:
    steps, shares = zip(*timed_and_told()[1], strict=True)
    assert list(dict.fromkeys(steps)) == STEPS
    assert shares[0] == 0
    assert list(shares) == sorted(shares)
    assert 0.8 < shares[-1] < 1


@pytest.mark.parametrize("axis", [0, 1])
def test_far_outside_the_mask_nothing_moves(axis: int) -> None:
    mask = torch.zeros(1, 1, 64, 64)
    mask.narrow(axis + 2, 0, 20)[:] = 1
    result = registered(pair((64, 64), (2.0, 2.0, 1.0), mask=mask))
    # 20 mm are 10 voxels; a voxel of the network's finest level, 4 voxels, interpolates across that border, and one of
    # the grid twice as fine across what that leaves.
    far = result.displacement.narrow(axis + 2, 36, 28)
    assert float(far.abs().max()) < 1e-5 < float(result.displacement.narrow(axis + 2, 0, 20).abs().max())  # Rounding.


def test_inside_a_mask_of_everything_all_moves_as_without_one() -> None:
    masked = registered(pair(mask=torch.ones(1, 1, 50, 64))).displacement
    assert torch.equal(masked, registered(pair()).displacement)


def test_a_boolean_mask_is_a_mask() -> None:
    mask = left_half((50, 64))
    assert torch.equal(registered(pair(mask=mask.bool())).displacement, registered(pair(mask=mask)).displacement)
