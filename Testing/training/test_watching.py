"""What a run logs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from test_evaluate import write

from training.configuration import OptimisationConfiguration, run_from
from training.fit.learner import rate_factor
from training.fit.throughput import Throughput
from training.fit.trainer import fit


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of four updates with a labelled pair for validation."""
    folder = tmp_path_factory.mktemp("watched")
    (folder / "pairs").mkdir()
    write(folder / "pairs" / "a_ED.nii.gz")
    write(folder / "pairs" / "a_ES.nii.gz", shift=5)
    values = {
        "network": {"width": 4, "integration_steps": 3},
        "synthesis": {"size": (64, 64), "warp_scales": (8, 16), "warp_strengths": (1, 2)},
        "optimisation": {"steps": 4, "batch": 4, "warmup": 2, "validate_every": 2},
        "validation": {"pairs": str(folder / "pairs"), "count": 4},
    }
    throughput = Throughput()
    fit(run_from(values), folder, devices=1, throughput=throughput)
    (folder / "report.txt").write_text(throughput.report(4))
    return folder


@pytest.fixture(scope="module")
def log(folder: Path) -> EventAccumulator:
    return EventAccumulator(str(folder / "log")).Reload()


@pytest.mark.parametrize("name", ["val/loss", "val/tre_px", "val/tre_before_px", "val/folding", "val/dice"])
def test_every_validation_is_logged(log: EventAccumulator, name: str) -> None:
    assert [event.step for event in log.Scalars(name)] == [1, 3]


def test_labelled_pairs_are_scored_before_and_after(log: EventAccumulator) -> None:
    assert log.Scalars("val/dice_before")[0].value == pytest.approx(0.75)
    assert 0.5 < log.Scalars("val/dice")[-1].value <= 1


def test_every_validation_has_a_figure_of_examples(log: EventAccumulator) -> None:
    assert [image.step for image in log.Images("examples")] == [2, 4]
    assert min(log.Images("examples")[0].width, log.Images("examples")[0].height) >= 600


def test_the_last_and_the_best_state_are_kept(folder: Path) -> None:
    steps = [torch.load(folder / f"{name}.ckpt", weights_only=True)["global_step"] for name in ("last", "best")]
    assert steps[0] == 4
    assert steps[1] in (2, 4)


def test_a_profile_reports_shares_of_time_speeds_and_memory(folder: Path) -> None:
    first, shares, speeds, memory = (folder / "report.txt").read_text().splitlines()
    assert first.endswith("images/s")
    assert sum(float(word.split("%")[0]) for word in shares.replace(",", "").split() if "%" in word) == pytest.approx(
        100, abs=0.2
    )
    assert "trained on" in speeds
    assert "at most" in memory


def test_the_rate_warms_up_and_falls_to_a_hundredth() -> None:
    wanted = OptimisationConfiguration(steps=110, warmup=10)
    course = [rate_factor(step, wanted) for step in range(111)]
    assert course[0] == pytest.approx(0.1)
    assert course[9] == course[10] == 1
    assert course[110] == pytest.approx(0.01)
    assert sorted(course[10:], reverse=True) == course[10:]
