"""Facts about the conversion of model files of the former format."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from training.__main__ import main
from training.configuration import read_run
from training.convert import FORMER_VERSION, convert
from UnsupervisedRegistrationLib.core.models.card import Card, Domain
from UnsupervisedRegistrationLib.core.models.model_file import Model, ModelConfiguration, load_model, save_model
from UnsupervisedRegistrationLib.core.networks.architectures import build_network
from UnsupervisedRegistrationLib.core.networks.network import NetworkConfiguration

BRAIN = Path(__file__).parents[2] / "training/configurations/brain-mr.yaml"


def model() -> Model:
    torch.manual_seed(21)
    configuration = ModelConfiguration(network=NetworkConfiguration(width=4))
    card = Card(description="Small.", licence="Apache-2.0", scores={"tre": 1.5})
    return Model("any", build_network(configuration.network), configuration, card)


@pytest.fixture
def former(tmp_path: Path) -> Path:
    return write_former(tmp_path / "former.pt")


def write_former(path: Path, passes: int = 1) -> Path:
    """A file as the former release wrote it: with a number of passes, without a domain."""
    save_model(model(), path)
    content: dict[str, Any] = torch.load(path, weights_only=True)
    content["version"] = FORMER_VERSION
    content["configuration"]["passes"] = passes
    del content["card"]["domain"]
    del content["card"]["research_only"]
    torch.save(content, path)
    return path


def test_the_former_file_is_not_read_as_it_is(former: Path) -> None:
    with pytest.raises(ValueError, match="python -m training convert"):
        load_model(former)


def test_a_converted_model_has_the_same_weights_bit_for_bit(former: Path, tmp_path: Path) -> None:
    convert(former, tmp_path / "new.pt")
    weights = load_model(tmp_path / "new.pt").network.state_dict()
    expected = model().network.state_dict()
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[name], weight) for name, weight in expected.items())


def test_a_converted_model_has_the_same_configuration_and_card_and_any_domain(former: Path, tmp_path: Path) -> None:
    converted = convert(former, tmp_path / "new.pt")
    assert converted.configuration == model().configuration
    assert converted.card == model().card
    assert converted.card.domain == Domain()


def test_a_run_replaces_the_texts_and_the_domain_and_keeps_the_scores(former: Path, tmp_path: Path) -> None:
    card = convert(former, tmp_path / "new.pt", BRAIN).card
    of_run = dataclasses.asdict(read_run(BRAIN, []).card)
    assert of_run["domain"]["skull_stripped"]
    assert dataclasses.asdict(card) == dataclasses.asdict(model().card) | of_run
    assert card.scores == {"tre": 1.5}


def test_half_precision_halves_the_weights_and_changes_them_by_their_rounding(former: Path, tmp_path: Path) -> None:
    converted = convert(former, tmp_path / "new.pt", half=True)
    stored = torch.load(tmp_path / "new.pt", weights_only=True)["weights"]
    assert {weight.dtype for weight in stored.values()} == {torch.float16}
    for name, weight in model().network.state_dict().items():
        torch.testing.assert_close(converted.network.state_dict()[name], weight, rtol=1e-3, atol=1e-6)


def test_a_file_of_another_version_is_not_converted(former: Path, tmp_path: Path) -> None:
    convert(former, tmp_path / "new.pt")
    with pytest.raises(ValueError, match="has the model version 3; only version 2 can be converted"):
        convert(tmp_path / "new.pt", tmp_path / "newer.pt")
    assert not (tmp_path / "newer.pt").exists()


def test_a_model_of_several_passes_is_not_converted(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="applies its network 2 times, which this release does not"):
        convert(write_former(tmp_path / "former.pt", passes=2), tmp_path / "new.pt")
    assert not (tmp_path / "new.pt").exists()


def test_the_command_converts(former: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", str(former), str(tmp_path / "new.pt")]) == 0
    assert load_model(tmp_path / "new.pt").card == model().card
    assert "new" in capsys.readouterr().out
