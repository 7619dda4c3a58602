"""Facts about model files: what is saved comes back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from UnsupervisedRegistrationLib.core.images.preprocessing import PreprocessingConfiguration
from UnsupervisedRegistrationLib.core.models.card import Card
from UnsupervisedRegistrationLib.core.models.model_file import (
    Model,
    ModelConfiguration,
    load_model,
    read_configuration,
    save_model,
)
from UnsupervisedRegistrationLib.core.networks.architectures import build_network
from UnsupervisedRegistrationLib.core.networks.network import NetworkConfiguration

CONFIGURATION = ModelConfiguration(
    network=NetworkConfiguration(width=4, integration_steps=5),
    preprocessing=PreprocessingConfiguration(working_spacing=1.5, intensity="window", lower=-160, upper=240),
    training={"steps": 10, "synthesis": {"size": 64}},
)
CARD = Card(description="Small.", data="None.", licence="Apache-2.0", command="make", commit="abc", scores={"tre": 1.5})


def fresh_model(configuration: ModelConfiguration = CONFIGURATION) -> Model:
    torch.manual_seed(21)
    return Model("any", build_network(configuration.network), configuration, CARD)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    save_model(fresh_model(), tmp_path / "small.pt")
    return tmp_path / "small.pt"


@pytest.mark.parametrize("architecture", ["fcn", "pyramid"])
def test_a_model_that_was_saved_and_loaded_gives_the_same_field_bit_for_bit(tmp_path: Path, architecture: Any) -> None:
    model = fresh_model(ModelConfiguration(network=NetworkConfiguration(architecture, width=4)))
    save_model(model, tmp_path / "small.pt")
    fixed, moving = torch.rand(2, 1, 1, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        before, after = model.network(fixed, moving), load_model(tmp_path / "small.pt").network(fixed, moving)
    assert float(before[-1].abs().max()) > 0
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_the_configuration_and_the_card_come_back(file: Path) -> None:
    model = load_model(file)
    assert model.configuration == CONFIGURATION
    assert model.card == CARD


def test_a_model_is_called_like_its_file(file: Path) -> None:
    assert load_model(file).name == "small"


def test_a_loaded_network_is_not_trained_by_accident(file: Path) -> None:
    network = load_model(file).network
    assert not network.training
    assert not any(weight.requires_grad for weight in network.parameters())


def test_a_default_configuration_comes_back(tmp_path: Path) -> None:
    configuration = ModelConfiguration(network=NetworkConfiguration(width=4))
    save_model(fresh_model(configuration), tmp_path / "small.pt")
    assert load_model(tmp_path / "small.pt").configuration == configuration


def test_weights_stored_in_half_precision_are_used_in_single(file: Path) -> None:
    content = torch.load(file, weights_only=True)
    content["weights"] = {name: weight.half() for name, weight in content["weights"].items()}
    torch.save(content, file)
    weights = load_model(file).network.state_dict()
    assert {weight.dtype for weight in weights.values()} == {torch.float32}
    for name, weight in fresh_model().network.state_dict().items():
        torch.testing.assert_close(weights[name], weight, rtol=1e-3, atol=1e-6)  # Half has 11 bits.


def test_a_configuration_with_only_some_names_takes_the_defaults_for_the_rest() -> None:
    assert read_configuration(ModelConfiguration, {"network": {"width": 8}}).network == NetworkConfiguration(width=8)
