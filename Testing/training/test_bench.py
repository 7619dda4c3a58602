"""The benchmark and what it claims, on drawn pairs and methods whose outcome is known."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import torch
from torch import Tensor

from training.benchmark import summary as claims
from training.benchmark.baselines import CONTRASTS, Call, Read, identity
from training.benchmark.bench import MOVING, PEER, Row, bench, compare, phantom_pairs, read, table
from training.data.labelled_pairs import LabelledPair
from UnsupervisedRegistrationLib.core.models.card import Card
from UnsupervisedRegistrationLib.core.models.model_file import Model, ModelConfiguration
from UnsupervisedRegistrationLib.core.networks.architectures import build_network
from UnsupervisedRegistrationLib.core.networks.network import NetworkConfiguration
from UnsupervisedRegistrationLib.core.spatial.grid import ImageGrid

SHAPE = (64, 64)


def shift(rows: float) -> object:
    """A method that moves every pixel down by some rows."""

    def method(pair: LabelledPair) -> tuple[Call, Read]:
        displacement = torch.zeros(1, 2, *pair.grid.shape)
        displacement[:, 0] = rows
        return (lambda: displacement), (lambda outcome: outcome)

    return method


@pytest.fixture
def square() -> LabelledPair:
    """A bright square, two rows lower in the moving image; its labels likewise."""

    def image(first: int) -> Tensor:
        values = torch.zeros(1, 1, *SHAPE)
        values[..., first : first + 20, 20:40] = 1
        return values

    return LabelledPair(image(20), image(22), ImageGrid(SHAPE, torch.eye(4)), image(20), image(22))


@pytest.fixture
def model() -> Model:
    torch.manual_seed(1)
    network = build_network(NetworkConfiguration(width=8)).eval().requires_grad_(False)
    return Model("small", network, ModelConfiguration(NetworkConfiguration(width=8)), Card())


def row(method: str, dice: float, milliseconds: float, dataset: str = "d", pause: float = 10) -> Row:
    first = milliseconds + pause
    return Row(dataset, method, 1, dice, float("nan"), 1.0, 0.0, milliseconds, first, 100 / milliseconds, 1.0)


def slow_at_first(first: float, after: float, calls: list[float]) -> object:
    """A method that takes so many seconds, and notes them."""

    def method(pair: LabelledPair) -> tuple[Call, Read]:
        waits = iter([first])

        def call() -> Tensor:
            calls.append(next(waits, after))
            time.sleep(calls[-1])
            return torch.zeros(1, 2, *pair.grid.shape)

        return call, (lambda outcome: outcome)

    return method


def test_the_right_shift_scores_one_and_nothing_scores_less(square: LabelledPair) -> None:
    rows = compare("square", [square], {"identity": identity, "right": shift(2.0)})  # type: ignore[dict-item]
    assert [one.dice for one in rows] == [pytest.approx(0.9), 1.0]
    assert [one.folding for one in rows] == [0.0, 0.0]


def test_results_are_written_as_numbers_and_as_a_table(square: LabelledPair, tmp_path: Path) -> None:
    methods = {"identity": identity, "any-contrast": shift(2.0)}
    rows = bench({"square": ([square], methods)}, CONTRASTS[:1], tmp_path)  # type: ignore[arg-type,dict-item]
    written = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert [(one["dataset"], one["method"]) for one in written] == [
        ("square", "identity"),
        ("square", "any-contrast"),
        (f"square{MOVING}inverted", "any-contrast"),
    ]
    assert written[0]["tre_mm"] is None
    assert (tmp_path / "results.md").read_text(encoding="utf-8") == table(rows)
    assert (tmp_path / "accuracy.png").stat().st_size > 1000


def test_one_data_set_is_measured_again_and_the_others_stay_in_their_places(
    square: LabelledPair, tmp_path: Path
) -> None:
    assert read(tmp_path) == []
    names = ("first", "second", "third")
    before = bench({name: ([square], {"any-contrast": shift(1.0)}) for name in names}, CONTRASTS[:2], tmp_path)  # type: ignore[arg-type,dict-item]
    assert [one.dataset for one in read(tmp_path)] == [one.dataset for one in before]
    bench({"second": ([square], {"any-contrast": shift(2.0)})}, CONTRASTS[:2], tmp_path, read(tmp_path))  # type: ignore[arg-type,dict-item]
    after = read(tmp_path)
    assert [one.dataset for one in after] == [one.dataset for one in before]
    for old, new in zip(before, after, strict=True):
        assert (new.dice > old.dice) == old.dataset.startswith("second")


def test_short_calls_are_repeated_and_the_first_one_stands_apart(square: LabelledPair) -> None:
    calls: list[float] = []
    (found,) = compare("square", [square], {"short": slow_at_first(0.1, 0.01, calls)})  # type: ignore[dict-item]
    assert len(calls) > 4
    assert found.first_ms >= 100
    assert 10 <= found.median_ms < 50


def test_long_calls_are_timed_once(square: LabelledPair) -> None:
    calls: list[float] = []
    (found,) = compare("square", [square], {"long": slow_at_first(0.3, 0.3, calls)})  # type: ignore[dict-item]
    assert len(calls) == 2  # The other one is the warm-up before the first pair.
    assert found.first_ms == found.median_ms


def test_no_pair_is_an_error() -> None:
    with pytest.raises(ValueError, match="no pair in 'empty'"):
        compare("empty", [], {})


def test_phantoms_have_landmarks_that_are_apart() -> None:
    for pair in phantom_pairs():
        assert pair.fixed_points is not None
        assert pair.moving_points is not None
        assert float((pair.fixed_points - pair.moving_points).norm(dim=1).mean()) > 1


def test_margins_are_differences_to_the_peer_and_ratios_of_time() -> None:
    rows = [row(PEER, 0.5, 100), row("SimpleITK demons", 0.4, 50), row("any-contrast", 0.6, 10)]
    (line,) = claims.margins(rows)
    assert "Dice +0.1000 against ANTs SyN CC" in line
    assert "10.0x (5.5x) ANTs SyN CC, 5.0x (3.0x) SimpleITK demons" in line


def test_a_contrast_is_compared_with_the_plain_score_of_the_same_method() -> None:
    rows = [row("any-contrast", 0.6, 10), row("any-contrast", 0.55, 10, f"d{MOVING}inverted")]
    assert claims.contrasts(rows) == ["d, moving inverted, any-contrast: -0.0500 Dice"]


def test_a_symmetric_network_says_so(model: Model, square: LabelledPair) -> None:
    line = claims.symmetry(model, [square])
    assert "moves against itself by 0.0000 px" in line


def test_the_cost_is_counted(model: Model) -> None:
    name, amount, *_ = claims.cost(model).replace(":", "").split()
    assert name == "small"
    assert 0.01 < float(amount) < 1


def test_stacks_are_timed(model: Model, square: LabelledPair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "_SLICES", 8)
    monkeypatch.setattr(claims, "_SIDE", 64)
    assert "slices a second in one call of 8" in claims.batch(model, square)
