"""The loss of a batch: what each part measures, and what leaves it alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from training.configuration import LossConfiguration, run_from
from training.data.batches import Batch
from training.fit.distillation import lessons
from training.fit.learner import Learner
from training.fit.objective import loss_of
from UnsupervisedRegistrationLib.core.models.card import Card
from UnsupervisedRegistrationLib.core.models.model_file import Model, ModelConfiguration, load_model, save_model
from UnsupervisedRegistrationLib.core.networks.architectures import build_network
from UnsupervisedRegistrationLib.core.networks.network import Network, NetworkConfiguration
from UnsupervisedRegistrationLib.core.registration.prediction import estimate
from UnsupervisedRegistrationLib.core.similarity.losses import compression

CONSISTENT = LossConfiguration(inverse_consistency_weight=1.0)


def batch(seed: int = 0) -> Batch:
    """Two pairs of smooth noise without a known truth."""
    torch.manual_seed(seed)
    coarse = torch.rand(4, 1, 8, 8)
    images = torch.nn.functional.interpolate(coarse, (128, 128), mode="bicubic").clamp(0, 1)
    return Batch(images[:2], images[2:], images[:2], images[2:], None, None)


def restless(architecture: str, integration_steps: int) -> Network:
    """A network whose last layers are not near zero, so that it moves something."""
    torch.manual_seed(1)
    network = build_network(NetworkConfiguration(architecture, 2, 4, integration_steps))  # type: ignore[arg-type]
    for name, weight in network.named_parameters():
        if weight.std() < 2e-3:
            torch.nn.init.normal_(weight, std=0.05) if name.endswith("weight") else None
    return network


def test_a_network_that_is_symmetric_by_construction_has_no_inconsistency() -> None:
    _, parts = loss_of(restless("pyramid", 6), batch(), CONSISTENT)
    assert parts["inverse_consistency"] < 0.02  # Voxels; what the squarings leave.


def test_the_inconsistency_of_the_papers_network_is_measured_and_can_be_learned() -> None:
    network = restless("fcn", 0)
    optimiser = torch.optim.Adam(network.parameters(), 1e-3)
    course = []
    for _ in range(8):
        loss, parts = loss_of(network, batch(), dataclasses.replace(CONSISTENT, similarity_weight=0.0))
        course.append(float(parts["inverse_consistency"]))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert course[0] > 0.05
    assert course[-1] < 0.5 * course[0]


def test_without_its_weight_the_second_direction_is_not_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    network, calls = restless("fcn", 0), []
    network.register_forward_hook(lambda *_: calls.append(1))
    _, parts = loss_of(network, batch(), LossConfiguration())
    assert "inverse_consistency" not in parts
    assert len(calls) == 1


def test_what_lies_outside_the_mask_has_no_influence_on_the_similarity() -> None:
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


def test_squared_differences_are_added_to_another_similarity_with_their_weight() -> None:
    network = restless("pyramid", 6)
    plain, added = (
        loss_of(network, batch(), LossConfiguration(similarity="local_ncc", photometric_weight=weight))
        for weight in (0.0, 10.0)
    )
    assert "photometric" not in plain[1]
    assert added[1]["similarity"] == plain[1]["similarity"]
    assert added[1]["photometric"] > 0
    assert added[0] > plain[0] + 10 * added[1]["photometric"]  # The finest scale, and the coarser ones beside it.


@pytest.mark.parametrize("similarity", ["photometric", "local_ncc", "mind"])
def test_half_precision_where_a_device_has_it_leaves_the_loss_as_it_is(similarity: str) -> None:
    network = build_network(NetworkConfiguration(width=8, normalised=True, demons_steps=2))
    losses = []
    for half in (False, True):
        with torch.autocast("cpu", torch.float16, enabled=half):
            loss, _ = loss_of(network, batch(), LossConfiguration(similarity=similarity))  # type: ignore[arg-type]
        losses.append(loss.item())
    assert losses[1] == pytest.approx(losses[0], rel=2e-3)
    loss.backward()
    assert all(bool(weight.grad.isfinite().all()) for weight in network.parameters() if weight.grad is not None)


def test_compression_is_measured_on_the_flows_that_may_fold_and_can_be_learned() -> None:
    network = restless("pyramid", 6)
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
    assert float(compression(flows)) < 0.5 * course[0]
    assert "compression" not in loss_of(network, batch(), LossConfiguration())[1]


def test_the_square_of_the_distance_from_the_truth_is_measured_if_wanted() -> None:
    network = build_network(NetworkConfiguration("pyramid", 2, 4))
    known = dataclasses.replace(batch(), truth=torch.full((2, 2, 128, 128), 3.0))
    distance, square = (
        float(loss_of(network, known, LossConfiguration(endpoint=kind))[1]["endpoint"])  # type: ignore[arg-type]
        for kind in ("distance", "square")
    )
    assert distance == pytest.approx(3 * 2**0.5, rel=0.05)  # It moves next to nothing yet.
    assert square == pytest.approx(9, rel=0.1)


def test_of_pairs_shown_in_part_the_teacher_tells_what_it_finds_in_the_whole() -> None:
    teacher, pair = restless("pyramid", 6), batch()
    shown = dataclasses.replace(pair, fixed=(pair.fixed > 0.5).float(), partial=torch.tensor([False, True]))
    whole, taught = lessons(shown, teacher)
    assert whole.truth is None
    assert torch.equal(whole.fixed, shown.fixed[:1])
    assert torch.equal(taught.fixed, shown.fixed[1:])
    assert taught.truth is not None
    with torch.no_grad():
        found, once = (estimate(teacher, pair.fixed[1:], pair.moving[1:], twice=t)[0] for t in (True, False))
    torch.testing.assert_close(taught.truth, found, atol=1e-4, rtol=1e-4)
    assert float((found - once).abs().max()) > 0.1
    assert not taught.truth.requires_grad
    for plain in (pair, dataclasses.replace(shown, partial=torch.tensor([False, False]))):
        assert lessons(plain, teacher) == [plain]
    assert lessons(shown, None) == [shown]
    (every,) = lessons(dataclasses.replace(shown, partial=torch.tensor([True, True])), teacher)
    assert every.truth is not None
    assert len(every.truth) == 2


def test_a_taught_run_learns_both_lessons_and_leaves_the_teacher_alone(tmp_path: Path) -> None:
    teacher = model_file(tmp_path / "teacher.pt", 4)
    values = {
        "data": {"saturated": 0.5},
        "network": {"width": 4},
        "synthesis": {"size": (64, 64)},
        "optimisation": {"teacher": str(teacher)},
    }
    learner = Learner(run_from(values), tmp_path)
    shown = dataclasses.replace(batch(), partial=torch.tensor([False, True]))
    loss, parts = learner.loss(shown)
    apart = [loss_of(learner.network, part, learner.run.loss) for part in lessons(shown, load_model(teacher).network)]
    torch.testing.assert_close(loss, (apart[0][0] + apart[1][0]) / 2)
    assert parts["similarity"] == apart[0][1]["similarity"] != apart[1][1]["similarity"]
    assert parts["endpoint"] == apart[1][1]["endpoint"]
    assert len(list(learner.parameters())) == len(list(learner.network.parameters()))


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


def test_a_run_may_close_its_network_otherwise_than_the_model_it_starts_from(tmp_path: Path) -> None:
    start = model_file(tmp_path / "start.pt", 4)
    values = {"network": {"width": 4, "demons_steps": 1}, "synthesis": {"size": (64, 64)}}
    learner = Learner(run_from(values | {"optimisation": {"start": str(start)}}), tmp_path)
    assert learner.model("x").configuration.network == NetworkConfiguration("pyramid", 2, 4, demons_steps=1)


def test_a_run_may_leave_out_the_coarsest_levels_of_the_model_it_starts_from(tmp_path: Path) -> None:
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
def test_a_run_may_start_narrower_from_the_channels_that_matter(dimension: int, tmp_path: Path) -> None:
    torch.manual_seed(5)
    network = build_network(NetworkConfiguration(dimension=dimension, width=6, levels=3))
    for name, weight in network.named_parameters():  # Of every three channels one does nothing.
        if len(weight) > dimension and ("encoder" not in name or ".1." in name or ".4." in name):
            weight.data[1::3] = 0
        elif len(weight) == dimension:
            weight.data *= 1000  # They begin almost at zero.
    save_model(Model("wide", network, ModelConfiguration(network.configuration), Card()), tmp_path / "wide.pt")
    values = {"network": {"width": 4}, "synthesis": {"size": (64, 64)}}
    narrow = Learner(run_from(values | {"optimisation": {"start": str(tmp_path / "wide.pt")}}), tmp_path).network
    assert narrow.configuration == dataclasses.replace(network.configuration, width=4)
    images = torch.rand(2, 1, 1, *[64] * dimension)
    with torch.no_grad():
        for wide, found in zip(network(*images), narrow(*images), strict=True):
            assert wide.abs().max() > 0.01
            torch.testing.assert_close(found, wide, rtol=1e-3, atol=1e-4)


def test_a_run_that_says_nothing_of_its_network_has_that_of_the_model_it_starts_from(tmp_path: Path) -> None:
    start = model_file(tmp_path / "start.pt", 4)
    values = {"synthesis": {"size": (64, 64)}, "optimisation": {"start": str(start)}}
    assert run_from(values).network == load_model(start).configuration.network
    assert run_from(values | {"network": {"demons_steps": 2}}).network.demons_steps == 2


def test_a_model_file_of_another_network_starts_nothing(tmp_path: Path) -> None:
    start = model_file(tmp_path / "start.pt", 4)
    wanted = run_from({"network": {"width": 8}, "optimisation": {"start": str(start)}})
    with pytest.raises(ValueError, match=r"'start' is a NetworkConfiguration\(.*width=4.*; give the run the network"):
        Learner(wanted, tmp_path)
