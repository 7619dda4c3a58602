"""The ablation measures what is known beforehand, and decides by its rule."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from training.benchmark import ablation
from training.benchmark.ablation import Loss, ablate, datasets, finer, is_worthwhile, report, run_ablation
from training.benchmark.bootstrap import Estimate
from training.data.labelled_pairs import LabelledPair
from UnsupervisedRegistrationLib.core.images.phantom import draw_phantom
from UnsupervisedRegistrationLib.core.models.card import Card
from UnsupervisedRegistrationLib.core.models.model_file import Model, ModelConfiguration
from UnsupervisedRegistrationLib.core.networks.architectures import build_network
from UnsupervisedRegistrationLib.core.networks.network import NetworkConfiguration
from UnsupervisedRegistrationLib.core.registration.options import RegistrationOptions
from UnsupervisedRegistrationLib.core.registration.plan import RULES
from UnsupervisedRegistrationLib.core.spatial.grid import ImageGrid

FAST = RegistrationOptions(preset="fast", device="cpu")


def loss(mean: float, error: float, dataset: str = "a", decides: bool = True) -> Loss:
    return Loss("second_pass", dataset, 100, 100, Estimate(mean, error), decides)


@pytest.fixture
def model() -> Model:
    torch.manual_seed(1)
    configuration = NetworkConfiguration(width=8, levels=2)
    network = build_network(configuration).eval().requires_grad_(False)
    return Model("small", network, ModelConfiguration(configuration), Card())


@pytest.fixture(scope="module")
def pair() -> LabelledPair:
    """The head, with tissue brighter than 600 as the label."""
    phantom = draw_phantom("head")
    images = [torch.from_numpy(v[7].astype("float32"))[None, None] for v in (phantom.fixed, phantom.moving)]
    labels = [(image > 600).float() for image in images]
    return LabelledPair(*images, ImageGrid(tuple(images[0].shape[2:]), torch.eye(4)), *labels)


def test_a_rule_pays_with_gains_above_two_errors_on_two_sets() -> None:
    assert is_worthwhile([loss(0.021, 0.01), loss(0.03, 0.01)])
    assert not is_worthwhile([loss(0.021, 0.01), loss(0.019, 0.01)])
    assert not is_worthwhile([loss(0.0, 0.0)] * 3)  # A rule that changes nothing.
    assert not is_worthwhile([loss(0.5, math.nan)] * 3)  # Nothing is known about the error of one person.


def test_histology_is_shown_and_decides_nothing() -> None:
    losses = [loss(0.1, 0.01), loss(0.1, 0.01, "histology", decides=False)]
    assert not is_worthwhile(losses)
    text = report(losses)
    assert "| second_pass | histology | 100 | 100 | 0.1000 ± 0.0100 | yes (does not count) |" in text
    assert "* second_pass: delete; gains more than 2 standard errors on 1 data sets (a)." in text


def test_a_harmful_rule_is_called_so() -> None:
    assert "| -0.1000 ± 0.0100 | harm |" in report([loss(-0.1, 0.01)])


def test_the_loss_is_that_of_the_displacement_without_the_rule(
    model: Model, pair: LabelledPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {True: 0.7, False: 0.4}
    real = ablation.run

    def marked(images: object, models: object, options: object, without: frozenset[str] = frozenset()) -> object:
        result = real(images, models, options, without=without)  # type: ignore[arg-type]
        result.displacement.fill_(float(not without))
        return result

    monkeypatch.setattr(ablation, "run", marked)
    monkeypatch.setattr(ablation, "accuracy", lambda pair, displacement: values[bool(displacement.any())])
    found = {one.rule: one for one in ablate("brain", [pair], [model], RegistrationOptions(time_limit=1.0))}
    assert list(found) == list(RULES)
    assert found["second_pass"].loss.mean == pytest.approx(0.3)
    assert found["second_pass"].applied == 1


def test_a_rule_that_does_not_apply_is_not_run_and_loses_nothing(model: Model, pair: LabelledPair) -> None:
    found = {one.rule: one for one in ablate("brain", [pair], [model], FAST)}
    for rule in ("half_resolution_first", "flip_ensemble", "coarser_levels", "second_pass"):
        assert (found[rule].applied, found[rule].loss.mean) == (0, 0.0)
    larger = {one.rule: one for one in ablate("brain", [finer(pair)], [model], FAST)}
    assert larger["half_resolution_first"].applied == 1


def test_finer_pairs_have_the_same_extent_and_labels(pair: LabelledPair) -> None:
    twice = finer(pair)
    assert twice.grid.shape == tuple(2 * size for size in pair.grid.shape)
    assert twice.grid.spacing == pytest.approx([step / 2 for step in pair.grid.spacing])
    assert pair.fixed_labels is not None
    assert twice.fixed_labels is not None
    assert int(twice.fixed_labels.sum()) == 4 * int(pair.fixed_labels.sum())


def test_without_data_the_phantoms_are_measured(tmp_path: Path, model: Model) -> None:
    assert list(datasets(tmp_path, 2)) == ["phantom"]
    with pytest.raises(ValueError, match="There is no data set lungs; there are phantom"):
        run_ablation(tmp_path, [model], FAST, 2, ["lungs"])
