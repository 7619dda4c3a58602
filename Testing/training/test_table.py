"""The table of an experiment: means over seeds, and changes from the first setting."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from training.benchmark.voxelmorph import build_network
from training.data.labelled_pairs import LabelledPair
from training.evaluation import table as tables
from training.evaluation.evaluate import Score
from UnsupervisedRegistrationLib.core.models.card import Card
from UnsupervisedRegistrationLib.core.models.model_file import Model, ModelConfiguration, save_model
from UnsupervisedRegistrationLib.core.networks.network import NetworkConfiguration
from UnsupervisedRegistrationLib.core.spatial.grid import ImageGrid

AFTER = {"plain-1": (0.5, 4.0), "plain-2": (0.6, 5.0), "edges-1": (0.55, 3.0), "edges-2": (0.6, 4.0)}


def pair() -> LabelledPair:
    """A square that has to move by two pixels of 1.5 mm."""
    labels = torch.zeros(2, 1, 1, 32, 32)
    labels[0, ..., 8:18, 8:18], labels[1, ..., 8:18, 10:20] = 1, 1
    grid = ImageGrid((32, 32), torch.diag(torch.tensor([1.5, 1.5, 1.0, 1.0])))
    return LabelledPair(labels[0] * 100, labels[1] * 100, grid, labels[0], labels[1])


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """The cells of every row, by its first one."""

    def scored(model: str, pairs: list[LabelledPair], device: str, known: list[dict[str, float]]) -> Score:
        dice, surface = AFTER[model]
        return Score(1, known[0], {"Dice": dice, "surface mm": surface, "HD95 mm": 9.0}, 0, 0.0, 1.0)

    monkeypatch.setattr(tables, "load_model", lambda path, build: path.stem)
    monkeypatch.setattr(tables, "evaluate", scored)
    lines = tables.table([Path(f"{name}.pt") for name in AFTER], [pair()]).splitlines()
    assert lines[0] == "1 pairs"
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    assert len({len(row) for row in cells}) == 1
    return {row[0]: row for row in cells}


def test_a_setting_has_the_mean_and_the_standard_deviation_of_its_seeds(rows: dict[str, list[str]]) -> None:
    assert rows["plain"][1:3] == ["2", "0.5500 ± 0.0707"]
    assert rows["edges"][3] == "3.500 ± 0.707"


def test_the_unregistered_pairs_are_measured_once(rows: dict[str, list[str]]) -> None:
    assert rows["unregistered"][2] == "0.8000"


def test_a_change_is_that_of_the_means_with_the_range_over_the_seeds(rows: dict[str, list[str]]) -> None:
    assert rows["setting"][-2:] == ["change of surface", "change of Dice"]
    assert rows["plain"][-2:] == ["", ""]
    assert rows["edges"][-2:] == ["-22.2 % (-25.0 to -20.0)", "+4.5 % (+0.0 to +10.0)"]


def test_a_model_of_the_benchmark_is_read_by_the_builder_of_the_benchmark(tmp_path: Path) -> None:
    configuration = ModelConfiguration(NetworkConfiguration("voxelmorph", width=4, integration_steps=0))
    save_model(Model("unet", build_network(configuration.network), configuration, Card()), tmp_path / "unet-1.pt")
    assert "| unet | 1 |" in tables.table([tmp_path / "unet-1.pt"], [pair()], "cpu", build_network)
    with pytest.raises(ValueError, match="no architecture 'voxelmorph'"):
        tables.table([tmp_path / "unet-1.pt"], [pair()], "cpu")
