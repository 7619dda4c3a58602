"""The loss of a batch and its parts; the initial weights of a run."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from training.configuration import LossConfiguration, run_from
from training.data.batches import Batch
from training.fit.learner import Learner
from training.fit.objective import loss_of
from UnsupervisedRegistrationLib.core.models.card import Card
from UnsupervisedRegistrationLib.core.models.model_file import Model, ModelConfiguration, load_model, save_model
from UnsupervisedRegistrationLib.core.networks.architectures import build_network
from UnsupervisedRegistrationLib.core.networks.network import Network, NetworkConfiguration
from UnsupervisedRegistrationLib.core.similarity.losses import compression


def batch(seed: int = 0) -> Batch:
    """Two pairs of smooth noise without a known truth."""
    torch.manual_seed(seed)
    coarse = torch.rand(4, 1, 8, 8)
    images = torch.nn.functional.interpolate(coarse, (128, 128), mode="bicubic").clamp(0, 1)
    return Batch(images[:2], images[2:], images[:2], images[2:], None, None)


def moving_network(architecture: str, integration_steps: int) -> Network:
    """A network whose last layers are not near zero, so that it gives a displacement."""
    torch.manual_seed(1)
    network = build_network(NetworkConfiguration(architecture, 2, 4, integration_steps))  # type: ignore[arg-type]
    for name, weight in network.named_parameters():
        if weight.std() < 2e-3:
            torch.nn.init.normal_(weight, std=0.05) if name.endswith("weight") else None
    return network


def test_voxels_outside_the_mask_do_not_change_the_similarity() -> None:
    pair = batch()
    weight = torch.zeros_like(pair.fixed)
    weight[..., 40:88, 40:88] = 1
    noisy = torch.where(weight > 0, pair.fixed, torch.rand_like(pair.fixed))
    network = build_network(NetworkConfiguration("fcn", 2, 4, 0))
    for name, parameter in network.named_parameters():  # The identity, so that no pixel is moved into the mask.
        torch.nn.init.zeros_(parameter) if "predict" in name or "upsample" in name else None
    values = [
        float(
            loss_of(
                network,
                dataclasses.replace(pair, similar_fixed=fixed, weight=weight),
                LossConfiguration(),
            )[1]["similarity"]
        )
        for fixed in (pair.fixed, noisy)
    ]
    assert values[0] == pytest.approx(values[1], rel=1e-5)


def test_squared_differences_are_added_with_their_weight() -> None:
    network = moving_network("pyramid", 6)
    plain, added = (
        loss_of(network, batch(), LossConfiguration(similarity="local_ncc", photometric_weight=weight))
        for weight in (0.0, 10.0)
    )
    assert "photometric" not in plain[1]
    assert added[1]["similarity"] == plain[1]["similarity"]
    assert added[1]["photometric"] > 0
    assert added[0] > plain[0] + 10 * added[1]["photometric"]  # The finest scale, and the coarser ones beside it.


@pytest.mark.parametrize("similarity", ["photometric", "local_ncc", "mind"])
def test_half_precision_of_the_network_hardly_changes_the_loss(similarity: str) -> None:
    network = build_network(NetworkConfiguration(width=8, normalised=True, demons_steps=2))
    losses = []
    for half in (False, True):
        with torch.autocast("cpu", torch.float16, enabled=half):
            loss, _ = loss_of(network, batch(), LossConfiguration(similarity=similarity))  # type: ignore[arg-type]
        losses.append(loss.item())
    assert losses[1] == pytest.approx(losses[0], rel=2e-3)
    loss.backward()
    assert all(bool(weight.grad.isfinite().all()) for weight in network.parameters() if weight.grad is not None)


def test_training_lowers_the_compression_of_the_flows() -> None:
    network = moving_network("pyramid", 6)
    for name, weight in network.named_parameters():
        weight.data *= 40 if len(weight) == 2 and "decoder" in name else 1  # The layers that give the velocity.
    wanted = LossConfiguration(similarity_weight=0.0, smoothness_weight=0.0, compression_weight=100.0)
    optimiser = torch.optim.Adam(network.parameters(), 1e-3)
    course = []
    for _ in range(12):
        loss, parts = loss_of(network, batch(), wanted)
        course.append(float(parts["compression"]))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    flows = network.flows(network(batch().fixed, batch().moving)[-1])
    assert course[0] > 1e-4
    assert float(compression(flows).detach()) < 0.5 * course[0]
    assert "compression" not in loss_of(network, batch(), LossConfiguration())[1]


def test_the_distance_from_the_truth_is_measured_in_voxels() -> None:
    network = build_network(NetworkConfiguration("pyramid", 2, 4))
    known = dataclasses.replace(batch(), truth=torch.full((2, 2, 128, 128), 3.0))
    distance = float(loss_of(network, known, LossConfiguration())[1]["endpoint"])
    assert distance == pytest.approx(3 * 2**0.5, rel=0.05)  # The untrained network moves almost nothing.


def model_file(path: Path, width: int) -> Path:
    """A model with random weights."""
    torch.manual_seed(3)
    network = build_network(NetworkConfiguration(width=width))
    save_model(Model(path.stem, network, ModelConfiguration(network.configuration), Card()), path)
    return path


def test_a_run_starts_with_the_weights_of_a_model_file(tmp_path: Path) -> None:
    start = model_file(tmp_path / "start.pt", 4)
    wanted = run_from({"network": {"width": 4}, "synthesis": {"size": (64, 64)}, "optimisation": {"start": str(start)}})
    learner, model = Learner(wanted, tmp_path), load_model(start)
    assert all(torch.equal(w, learner.network.state_dict()[n]) for n, w in model.network.state_dict().items())
    assert all(weight.requires_grad for weight in learner.network.parameters())


def test_a_run_may_use_other_demons_iterations_than_its_initial_model(tmp_path: Path) -> None:
    start = model_file(tmp_path / "start.pt", 4)
    values = {"network": {"width": 4, "demons_steps": 1}, "synthesis": {"size": (64, 64)}}
    learner = Learner(run_from(values | {"optimisation": {"start": str(start)}}), tmp_path)
    assert learner.model("x").configuration.network == NetworkConfiguration("pyramid", 2, 4, demons_steps=1)


def test_a_run_may_leave_out_the_coarsest_levels_of_its_initial_model(tmp_path: Path) -> None:
    start = model_file(tmp_path / "start.pt", 4)
    values = {"network": {"levels": 2}, "synthesis": {"size": (64, 64)}, "optimisation": {"start": str(start)}}
    learner, weights = Learner(run_from(values), tmp_path), load_model(start).network.state_dict()
    found = learner.network.state_dict()
    assert len(found) < len(weights)
    assert all(torch.equal(weight, weights[name]) for name, weight in found.items())
    save_model(learner.model("low"), tmp_path / "low.pt")
    with pytest.raises(ValueError, match=r"'low' is a NetworkConfiguration\(.*levels=2.*; give the run the network"):
        Learner(
            run_from({"network": {"levels": 3}, "optimisation": {"start": str(tmp_path / "low.pt")}}),
            tmp_path,
        )


@pytest.mark.parametrize("dimension", [2, 3])
def test_pruning_channels_without_weight_keeps_the_output(dimension: int, tmp_path: Path) -> None:
    torch.manual_seed(5)
    network = build_network(NetworkConfiguration(dimension=dimension, width=6, levels=3))
    for name, weight in network.named_parameters():  # One of every three channels has no influence.
        if len(weight) > dimension and ("encoder" not in name or ".1." in name or ".4." in name):
            weight.data[1::3] = 0
        elif len(weight) == dimension:
            weight.data *= 1000  # They are initialised almost to zero.
    save_model(Model("wide", network, ModelConfiguration(network.configuration), Card()), tmp_path / "wide.pt")
    values = {"network": {"width": 4}, "synthesis": {"size": (64, 64)}}
    pruned = Learner(run_from(values | {"optimisation": {"start": str(tmp_path / "wide.pt")}}), tmp_path).network
    assert pruned.configuration == dataclasses.replace(network.configuration, width=4)
    images = torch.rand(2, 1, 1, *[64] * dimension)
    with torch.no_grad():
        for wide, found in zip(network(*images), pruned(*images), strict=True):
            assert wide.abs().max() > 0.01
            torch.testing.assert_close(found, wide, rtol=1e-3, atol=1e-4)


def test_a_run_that_names_no_network_takes_that_of_its_initial_model(tmp_path: Path) -> None:
    start = model_file(tmp_path / "start.pt", 4)
    values = {"synthesis": {"size": (64, 64)}, "optimisation": {"start": str(start)}}
    assert run_from(values).network == load_model(start).configuration.network
    assert run_from(values | {"network": {"demons_steps": 2}}).network.demons_steps == 2


def test_an_initial_model_with_another_network_is_refused(tmp_path: Path) -> None:
    start = model_file(tmp_path / "start.pt", 4)
    wanted = run_from({"network": {"width": 8}, "optimisation": {"start": str(start)}})
    with pytest.raises(ValueError, match=r"'start' is a NetworkConfiguration\(.*width=4.*; give the run the network"):
        Learner(wanted, tmp_path)
