"""The benchmark measures, stores and reports methods whose result is known beforehand."""

from __future__ import annotations

import dataclasses
import itertools
import math
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from training.benchmark import cases as case_module
from training.benchmark import summary
from training.benchmark.bench import Case, bench, compare
from training.benchmark.cases import available, cases, pairs_of
from training.benchmark.contrasts import BENT, CONTRASTS, INVERTED
from training.benchmark.figure import draw
from training.benchmark.method import Call, Read, identity
from training.benchmark.our_methods import SliceSource, _linear_displacement, automatic, our_methods
from training.benchmark.phantoms import phantom_pairs
from training.benchmark.report import DOCUMENT, PICTURE, document, write_report
from training.benchmark.results import MOVING, REFERENCE, Measurement, Results, read, rows_of, write
from training.data.labelled_pairs import LabelledPair
from UnsupervisedRegistrationLib.core.models.card import Card
from UnsupervisedRegistrationLib.core.models.model_file import Model, ModelConfiguration, save_model
from UnsupervisedRegistrationLib.core.networks.architectures import build_network
from UnsupervisedRegistrationLib.core.networks.network import NetworkConfiguration
from UnsupervisedRegistrationLib.core.spatial.deformation import sample_at
from UnsupervisedRegistrationLib.core.spatial.grid import ImageGrid

SHAPE = (64, 64)


def shift(rows: float) -> object:
    """A method that displaces every pixel by some rows."""

    def method(pair: LabelledPair) -> tuple[Call, Read]:
        displacement = torch.zeros(1, 2, *pair.grid.shape)
        displacement[:, 0] = rows
        return (lambda: displacement), (lambda result: result)

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


def measurement(
    method: str, dice: float, ms: float, pair: int = 0, dataset: str = "brain", person: str = ""
) -> Measurement:
    subject = person or f"p{pair}"
    return Measurement(dataset, method, pair, subject, subject, dice, math.nan, 1.0, 0.0, 0.1, ms, ms + 10, 1.0)


def slow_at_first(first: float, after: float, calls: list[float]) -> object:
    """A method that takes so many seconds, and records them."""

    def method(pair: LabelledPair) -> tuple[Call, Read]:
        waits = iter([first])

        def call() -> Tensor:
            calls.append(next(waits, after))
            time.sleep(calls[-1])
            return torch.zeros(1, 2, *pair.grid.shape)

        return call, (lambda result: result)

    return method


def test_the_right_shift_scores_one_and_the_unregistered_pair_less(square: LabelledPair) -> None:
    found = compare("square", [square], {"unregistered": identity, "right": shift(2.0)})  # type: ignore[dict-item]
    assert [one.dice for one in found] == [pytest.approx(0.9), 1.0]
    assert [one.hd95_mm for one in found] == [pytest.approx(2.0), 0.0]
    assert [one.folded_percent for one in found] == [0.0, 0.0]


def test_a_mirror_image_folds_everywhere(square: LabelledPair) -> None:
    def mirrored(pair: LabelledPair) -> tuple[Call, Read]:
        rows = torch.arange(float(SHAPE[0])).view(1, 1, -1, 1).expand(1, 1, *SHAPE)
        field = torch.cat([-2 * rows, torch.zeros_like(rows)], dim=1)
        return (lambda: field), (lambda result: result)

    (found,) = compare("square", [square], {"mirrored": mirrored})
    assert found.folded_percent == 100


def test_results_are_read_as_they_were_written(square: LabelledPair, tmp_path: Path) -> None:
    case = Case([square], {"unregistered": identity, "ours": shift(2.0)}, ("ours",))  # type: ignore[dict-item]
    results = bench({"square": case}, CONTRASTS[:1], tmp_path)
    assert [(one.dataset, one.method) for one in results.measurements] == [
        ("square", "unregistered"),
        ("square", "ours"),
        (f"square{MOVING}inverted", "ours"),
    ]
    stored = read(tmp_path)
    assert stored.machine == results.machine
    assert repr(stored.measurements) == repr(results.measurements)  # nan equals itself only as text.
    assert math.isnan(stored.measurements[0].tre_mm)


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text("[]")
    with pytest.raises(ValueError, match="is not of this benchmark"):
        read(tmp_path)


def test_one_data_set_is_measured_again_and_the_others_keep_their_places(square: LabelledPair, tmp_path: Path) -> None:
    names = ("first", "second", "third")

    def case(rows: float) -> Case:
        return Case([square], {"ours": shift(rows)}, ("ours",))  # type: ignore[dict-item]

    before = bench({name: case(1.0) for name in names}, CONTRASTS[:2], tmp_path).measurements
    bench({"second": case(2.0)}, CONTRASTS[:2], tmp_path, read(tmp_path))
    after = read(tmp_path).measurements
    assert [one.dataset for one in after] == [one.dataset for one in before]
    for old, new in zip(before, after, strict=True):
        assert (new.dice > old.dice) == old.dataset.startswith("second")


def test_short_calls_are_repeated_and_the_first_one_is_kept_apart(square: LabelledPair) -> None:
    calls: list[float] = []
    (found,) = compare("square", [square], {"short": slow_at_first(0.1, 0.01, calls)})  # type: ignore[dict-item]
    assert len(calls) > 4
    assert found.first_ms >= 100
    assert 10 <= found.ms < 50


def test_long_calls_are_timed_once(square: LabelledPair) -> None:
    calls: list[float] = []
    (found,) = compare("square", [square], {"long": slow_at_first(0.3, 0.3, calls)})  # type: ignore[dict-item]
    assert len(calls) == 2  # The other one is the warm-up before the first pair.
    assert found.first_ms == found.ms


def test_no_pair_is_an_error() -> None:
    with pytest.raises(ValueError, match="no pair in 'empty'"):
        compare("empty", [], {})


def test_the_difference_is_that_of_the_same_pairs() -> None:
    dices = [0.3, 0.5, 0.9, 0.4]
    rows = rows_of(
        [measurement(REFERENCE, dice, 100, pair) for pair, dice in enumerate(dices)]
        + [measurement("ours", dice + 0.02, 10, pair) for pair, dice in enumerate(dices)]
    )
    assert rows[1].difference.mean == pytest.approx(0.02)
    assert rows[1].difference.error == pytest.approx(0, abs=1e-12)  # Each value varies, the difference does not.
    assert rows[1].dice.error > 0.05
    assert rows[1].speedup == 10
    assert rows[1].people == 4


def test_without_the_reference_there_is_no_difference() -> None:
    (row,) = rows_of([measurement("ours", 0.5, 10)])
    assert math.isnan(row.difference.mean)
    assert math.isnan(row.speedup)


def test_the_page_has_the_numbers_of_the_results(tmp_path: Path) -> None:
    found = [measurement(REFERENCE, d, 100, p) for p, d in enumerate((0.5, 0.6))]
    found += [measurement("ours", d, 10, p) for p, d in enumerate((0.6, 0.65))]
    found += [measurement("ours", d, 10, p, f"brain{MOVING}bent") for p, d in enumerate((0.5, 0.55))]
    results = Results(found, {"threads": "2"}, ["A sentence."])
    write(results, tmp_path)
    write_report(read(tmp_path), tmp_path)
    text = (tmp_path / DOCUMENT).read_text(encoding="utf-8")
    assert text == document(results)
    assert "## Brain: 2 pairs\n" in text
    line = next(line for line in text.splitlines() if line.startswith("| ours |"))
    assert line.split(" | ")[1].startswith("0.6250 ± 0.0")
    assert "| 0.0750 ±" in line
    assert "| brain | bent | ours | 0.5250 ± " in text
    assert "-0.1000 |" in text
    assert "* A sentence." in text
    assert (tmp_path / PICTURE).stat().st_size > 1000


def test_landmark_errors_are_compared_with_the_unregistered_pair() -> None:
    def landmarks(method: str, pair: int, tre: float) -> Measurement:
        return Measurement("histology", method, pair, "a", "a", *[math.nan, tre, math.nan, 0.0, 0.1, 1.0, 1.0, 1.0])

    found = [landmarks("unregistered", pair, 10) for pair in range(3)]
    found += [landmarks("ours", pair, tre) for pair, tre in enumerate((5, 6, 12))]
    assert "| histology | ours | 0.60 | 1.20 | 1 |" in document(Results(found))


def test_the_figure_has_a_panel_for_each_data_set_with_a_logarithmic_time_axis() -> None:
    found = [measurement(name, 0.5, 10) for name in ("Greedy", "standard", "brain-mr, standard", "default")]
    figure = draw(rows_of([*found, measurement("Greedy", 0.5, 10, dataset="heart")]))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["Greedy", "standard"]
    assert [axes.get_title() for axes in figure.axes] == ["brain", "heart"]
    assert {axes.get_xscale() for axes in figure.axes} == {"log"}


def test_phantoms_differ_by_seed_and_their_landmarks_correspond() -> None:
    pairs = list(phantom_pairs(3))
    assert not torch.equal(pairs[0].fixed, pairs[2].fixed)
    assert torch.equal(pairs[0].fixed, next(phantom_pairs(1)).fixed)
    for pair in pairs:
        assert pair.fixed_points is not None
        assert pair.moving_points is not None
        assert float((pair.fixed_points - pair.moving_points).norm(dim=1).mean()) > 1
        fixed, moving = (
            sample_at(image, points).flatten()
            for image, points in ((pair.fixed, pair.fixed_points), (pair.moving, pair.moving_points))
        )
        assert float(torch.corrcoef(torch.stack([fixed, moving]))[0, 1]) > 0.8


def test_a_contrast_change_keeps_the_background_and_the_anatomy(square: LabelledPair) -> None:
    for contrast in (INVERTED, BENT):
        changed = contrast(square)
        assert torch.equal(changed.fixed, square.fixed)
        assert not changed.moving[square.moving == 0].any()
    ramp = torch.linspace(0, 1, 11).view(1, 1, 1, -1)
    values = BENT.change(ramp).flatten()
    assert not bool((values.diff() >= 0).all())
    assert not bool((values.diff() <= 0).all())


def test_data_sets_that_are_missing_are_left_out(tmp_path: Path) -> None:
    assert available(tmp_path) == ["phantom"]
    assert len(pairs_of("phantom", tmp_path, 3)) == 3
    with pytest.raises(ValueError, match="no data set lungs; there are phantom"):
        cases(tmp_path, tmp_path, tmp_path, only=("lungs",))


@pytest.mark.parametrize("most", [1, 2, 5, 99, 100, 200, 0])
def test_as_many_pairs_as_wanted_are_chosen_evenly(square: LabelledPair, most: int) -> None:
    pairs = [dataclasses.replace(square, fixed_subject=str(number)) for number in range(108)]
    chosen = [int(pair.fixed_subject) for pair in case_module._some(pairs, most)]
    assert len(chosen) == min(most or 108, 108)
    steps = {second - first for first, second in itertools.pairwise(chosen)}
    assert not steps or max(steps) - min(steps) <= 1


def test_methods_without_their_package_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(case_module, "_BASELINES", {"here": ("torch", identity), "not": ("no_such_package", identity)})
    assert list(case_module._installed()) == ["here"]


def test_a_symmetric_network_says_so(model: Model, square: LabelledPair) -> None:
    assert "registered to itself moves by 0.0000 px" in summary.symmetry(model, [square])


def test_the_cost_is_counted(model: Model) -> None:
    name, amount, *_ = summary.cost(model).replace(":", "").split()
    assert name == "small"
    assert 0.01 < float(amount) < 1


def test_stacks_are_timed(model: Model, square: LabelledPair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summary, "_SLICES", 8)
    monkeypatch.setattr(summary, "_SIDE", 64)
    assert "slices a second in one call of 8 slices" in summary.stack_rate(model, square)


def test_the_default_method_includes_the_prealignment(model: Model) -> None:
    pair = next(phantom_pairs(1))
    angle = 0.6  # Radians; far more than a network finds.
    turn = np.eye(4)
    turn[:2, :2] = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    turned = SliceSource(pair).sample(turn)
    moved = dataclasses.replace(pair, moving=turned.moving, fixed=pair.moving, fixed_labels=None, moving_labels=None)
    call, read = automatic([model])(moved)
    found = read(call())
    truth = _linear_displacement(np.linalg.inv(turn), pair.grid, torch.zeros(1, 2, *pair.grid.shape))
    centre = (slice(None), slice(None), slice(50, 150), slice(40, 130))
    assert float((found - truth)[centre].norm(dim=1).mean()) < 2  # Voxels; the turn moves by up to 40.


def test_each_preset_and_each_fitting_model_is_a_method(model: Model, tmp_path: Path) -> None:
    for name in ("any-contrast", "brain-mr", "cardiac-mr"):
        save_model(dataclasses.replace(model, name=name), tmp_path / f"{name}.pt")
    methods, changed = our_methods("brain", tmp_path)
    presets = ["default", "fast", "standard", "thorough"]
    single = ["any-contrast, fast", "any-contrast, standard", "brain-mr, fast", "brain-mr, standard"]
    assert list(methods) == presets + single
    assert set(changed) < set(methods)


def test_a_slow_method_registers_every_third_pair_only(square: LabelledPair) -> None:
    methods = {"ours": identity, "slow": shift(2.0)}
    found = compare("square", [square] * 5, methods, {"slow": 3})  # type: ignore[arg-type]
    assert [one.pair for one in found if one.method == "slow"] == [0, 3]
    assert "| slow (2 pairs) |" in document(Results(found))
