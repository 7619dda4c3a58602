"""Facts about a batch of pairs: each is registered as it would be alone; progress, cancelling and the time limit."""

from __future__ import annotations

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from UnsupervisedRegistrationLib.core.models.card import Card
from UnsupervisedRegistrationLib.core.models.model_file import Model, ModelConfiguration
from UnsupervisedRegistrationLib.core.networks.architectures import build_network
from UnsupervisedRegistrationLib.core.networks.network import NetworkConfiguration
from UnsupervisedRegistrationLib.core.registration.image_pair import ImagePair
from UnsupervisedRegistrationLib.core.registration.options import RegistrationOptions
from UnsupervisedRegistrationLib.core.registration.pipeline import run
from UnsupervisedRegistrationLib.core.registration.result import Cancelled, RegistrationResult
from UnsupervisedRegistrationLib.core.registration.stack_smoothing import smooth_along_stack
from UnsupervisedRegistrationLib.core.spatial.grid import ImageGrid

SHAPE = (64, 64)
FAST = RegistrationOptions(preset="fast", device="cpu")
STANDARD = RegistrationOptions(preset="standard", device="cpu")
AS_FOUND = frozenset({"never_worse", "few_steps"})
"""Rules that are left out; the network makes some images less similar."""


@pytest.fixture(scope="module")
def model() -> Model:
    """Fresh weights, of which the last layers are scaled up so that it moves by a voxel or two."""
    torch.manual_seed(5)
    configuration = ModelConfiguration(NetworkConfiguration(width=4))
    network = build_network(configuration.network).eval().requires_grad_(False)
    for name, weight in network.named_parameters():
        if name.startswith("decoder") and ".4." in name:
            weight.mul_(100)
    return Model("test", network, configuration, Card())


def blobs(count: int, seed: int) -> Tensor:
    coarse = torch.rand(count, 1, 9, 9, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(coarse, SHAPE, mode="bicubic").clamp(0, 1)


def batch(count: int) -> ImagePair:
    return ImagePair(blobs(count, 1), blobs(count, 2), ImageGrid(SHAPE, torch.eye(4)))


def registered(images: ImagePair, model: Model, options: RegistrationOptions = FAST) -> RegistrationResult:
    return run(images, [model], options, without=AS_FOUND)


def test_each_pair_of_a_batch_gets_the_field_that_it_gets_alone(model: Model) -> None:
    images = batch(10)  # More than the network sees at once.
    images.moving[3] = 1 - images.fixed[3] * (images.fixed[3] > 0.4)  # Another contrast.
    together = registered(images, model)
    assert together.registered == tuple(range(10))
    assert float(together.displacement.abs().amax(dim=(1, 2, 3)).min()) > 0.3
    for number in range(10):
        alone = registered(images.part([number]), model)
        for name in ("displacement", "inverse", "warped"):
            one, expected = getattr(together, name)[number : number + 1], getattr(alone, name)
            torch.testing.assert_close(one, expected, rtol=0, atol=1e-4)  # Voxels; the order of sums differs.


def test_each_pair_of_a_batch_is_optimised_as_alone(model: Model) -> None:
    together = registered(batch(2), model, STANDARD)
    alone = registered(batch(2).part([1]), model, STANDARD)
    torch.testing.assert_close(together.displacement[1:], alone.displacement, rtol=0, atol=0.05)  # As the golden ones.


def test_pairs_that_show_nothing_are_not_deformed(model: Model) -> None:
    images = batch(4)
    images.fixed[1], images.moving[2] = 0, 7
    result = registered(images, model)
    assert result.registered == (0, 3)
    assert not result.displacement[1:3].any()
    assert result.displacement[[0, 3]].any()


def test_a_batch_that_shows_nothing_is_an_error(model: Model) -> None:
    empty = dataclasses.replace(batch(2), fixed=torch.zeros(2, 1, *SHAPE))
    with pytest.raises(ValueError, match="nothing in them can be aligned"):
        registered(empty, model)


def test_a_stack_is_smoothed_between_its_slices(model: Model) -> None:
    images = batch(5)
    plain = registered(images, model).displacement
    smoothed = registered(dataclasses.replace(images, slice_sigma=1.0), model).displacement
    torch.testing.assert_close(smoothed, smooth_along_stack(plain, list(range(5)), 1.0))
    assert float((smoothed - plain).abs().max()) > 0.1


def test_the_similarity_of_a_batch_rises_with_the_optimisation(model: Model) -> None:
    result = registered(batch(2), model, STANDARD)
    assert result.similarity_after > result.similarity_before + 0.05


def test_the_progress_of_a_batch_rises_pair_by_pair(model: Model) -> None:
    told: list[tuple[str, float]] = []
    run(batch(2), [model], STANDARD, lambda stage, share: told.append((stage, share)))
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert shares[0] == 0
    optimised = [share for stage, share in told if stage == "optimise"]
    assert min(optimised) == pytest.approx(0.1)
    assert max(optimised) == pytest.approx(0.75, abs=0.02)
    assert any(abs(share - (0.1 + 0.65 / 2)) < 1e-6 for share in optimised)  # The second pair begins.


@pytest.mark.parametrize("stage", ["prepare", "network", "optimise", "measure"])
def test_cancelling_passes_through_and_leaves_nothing_behind(model: Model, stage: str) -> None:
    def cancel(begun: str, share: float) -> None:
        if begun == stage:
            raise Cancelled

    images = batch(2)
    with pytest.raises(Cancelled):
        run(images, [model], STANDARD, cancel)
    assert torch.equal(images.fixed, batch(2).fixed)


@pytest.mark.parametrize("count", [1, 3])
def test_the_result_says_once_that_the_time_limit_struck(model: Model, count: int) -> None:
    hurried = registered(batch(count), model, dataclasses.replace(STANDARD, time_limit=1e-6))
    assert hurried.notes == ("the optimisation stopped at its time limit of 1e-06 s",)
    assert registered(batch(1), model, STANDARD).notes == ()
