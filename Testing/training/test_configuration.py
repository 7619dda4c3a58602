"""Settings come from a file and from overrides; a wrong setting is named."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_type_hints

import pytest

from training.__main__ import main
from training.configuration import RunConfiguration, plain, read_run, run_from

CONFIGURATIONS = sorted((Path(__file__).parents[2] / "training" / "configurations").glob("*.yaml"))


def read(folder: Path, text: str, *overrides: str) -> RunConfiguration:
    (folder / "a.yaml").write_text(text)
    return read_run(folder / "a.yaml", list(overrides))


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: path.stem)
def test_every_configuration_of_the_repository_can_be_read(path: Path) -> None:
    assert isinstance(read_run(path, []), RunConfiguration)


def settings_of(part: type, name: str = "") -> Iterator[str]:
    """Names of all settings of a dataclass, without those of ``core``."""
    for field, kind in get_type_hints(part).items():
        if not dataclasses.is_dataclass(kind):
            yield f"{name}{field}"
        elif kind.__module__.startswith("training"):
            yield from settings_of(kind, f"{name}{field}.")  # type: ignore[arg-type]


def test_every_setting_is_set_by_a_configuration_a_run_or_the_readme() -> None:
    files = [
        *CONFIGURATIONS,
        *CONFIGURATIONS[0].parents[1].glob("runs/*.sh"),
        CONFIGURATIONS[0].parents[1] / "README.md",
    ]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    names = list(settings_of(RunConfiguration))
    assert "augmentation.translation" in names
    assert [name for name in names if not re.search(rf"\b{name.split('.')[-1]}(:|`| )", text)] == []


def test_plain_values_restore_the_run() -> None:
    run = run_from({"data": {"folders": ["a"], "preprocessing": {"working_spacing": 2}}, "seed": 4})
    assert run_from(plain(run)) == run


def test_overrides_win_over_the_file(tmp_path: Path) -> None:
    text = "optimisation: {steps: 3}\nseed: 5"
    run = read(tmp_path, text, "--optimisation.steps", "7", "--data.folders", "[one, two]")
    assert (run.optimisation.steps, run.seed, run.data.folders) == (7, 5, ("one", "two"))


def test_an_override_may_have_an_equals_sign(tmp_path: Path) -> None:
    assert read(tmp_path, "", "--data.masks=a=b", "--seed=3").data.masks == "a=b"


@pytest.mark.parametrize("text", ["8e-4", "8E-4", "+8e-4", "8.e-4", ".8e-3", "0.0008", "8.0e-4"])
def test_every_notation_of_a_number_is_read(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, f"optimisation: {{rate: {text}}}").optimisation.rate == pytest.approx(8e-4)
    assert read(tmp_path, "", "--optimisation.rate", text).optimisation.rate == pytest.approx(8e-4)


def test_a_whole_number_may_have_an_exponent_and_becomes_a_float_where_needed(tmp_path: Path) -> None:
    run = read(tmp_path, "optimisation: {steps: 8e3, rate: 2}")
    assert (run.optimisation.steps, run.optimisation.rate) == (8000, 2.0)
    assert isinstance(run.optimisation.steps, int)
    assert isinstance(run.optimisation.rate, float)


@pytest.mark.parametrize("name", ["1e3a", "e-4", "10-e", "1e3 subjects"])
def test_text_that_resembles_a_number_stays_text(tmp_path: Path, name: str) -> None:
    assert read(tmp_path, f"data: {{masks: {name}}}").data.masks == name


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("optimisation: {rate: fast}", "optimisation.rate is 'fast'; it needs a number."),
        ("optimisation: {rate: true}", "optimisation.rate is True; it needs a number."),
        ("optimisation: {rate: .nan}", "optimisation.rate is nan; it needs a number."),
        ("optimisation: {steps: 2.5}", "optimisation.steps is 2.5; it needs a whole number."),
        ("optimisation: {steps: }", "optimisation.steps is None; it needs a whole number."),
        ("network: {normalised: 1}", "network.normalised is 1; it needs true or false."),
        ("loss: {similarity: ssd}", "loss.similarity is 'ssd'; it needs 'photometric' or 'local_ncc' or 'mind'."),
        ("data: {folders: scans}", "data.folders is 'scans'; it needs a list, each entry text."),
        ("data: {folders: [a, 7]}", "data.folders[1] is 7; it needs text, so put it in quotes."),
        ("data: {preprocessing: {working_spacing: fine}}", "working_spacing is 'fine'; it needs a number."),
        ("synthesis: {size: [160]}", "synthesis.size is [160]; it needs a list of 2, each a whole number."),
        ("synthesis: {size: 160}", "synthesis.size is 160; it needs a list of 2, each a whole number."),
        ("synthesis: {warp_scales: [a]}", "synthesis.warp_scales[0] is 'a'; it needs a number."),
        ("loss:", "loss is None; it needs settings by their names."),
        ("network: pyramid", "network is 'pyramid'; it needs settings by their names."),
        ("card: {data: 72}", "card.data is 72; it needs text, so put it in quotes."),
        ("optimisation: {stepz: 3}", "has no stepz; it knows steps, batch"),
        ("[1, 2]", "holds no settings; it needs lines such as 'seed: 1'"),
        ("a: [", "is not YAML"),
        ("loss: {photometric_weight: -1}", "Weights of the loss are 0 or more"),
        ("data: {subject_share: 0}", "subject_share is above 0 and at most 1"),
        ("augmentation: {shared_deformation: 2}", "shared_deformation is 0 to 1"),
        ("augmentation: {translation: -1}", "translation 0 pixels or more"),
        ("optimisation: {average: 1.5}", "average is from 0 to below 1"),
    ],
)
def test_a_setting_of_the_wrong_type_is_named_with_what_it_needs(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the sentence is compared below, without patterns.
        read(tmp_path, text)
    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["--sede", "7"], "has no sede"),
        (["--seed", "seven"], "seed is 'seven'; it needs a whole number."),
        (["--seed.x", "7"], "There is no setting 'seed.x': 'seed' is a value, not a part."),
        (["--seed", "["], "'--seed' is not YAML"),
        (["seed", "7"], "Overrides come as '--part.name value', not as 'seed 7'."),
        (["--seed"], "Overrides come as '--part.name value', not as '--seed'."),
    ],
)
def test_a_wrong_override_is_named(tmp_path: Path, overrides: list[str], sentence: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the sentence is compared below, without patterns.
        read(tmp_path, "seed: 5", *overrides)
    assert sentence in str(refused.value)


def test_a_run_without_an_output_goes_to_a_folder_of_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "liver.yaml").write_text("seed: 5")
    given = []
    monkeypatch.setattr("training.fit.trainer.fit", lambda run, folder, **_: given.append((run.seed, folder)))
    assert main(["fit", str(tmp_path / "liver.yaml")]) == 0
    assert main(["fit", str(tmp_path / "liver.yaml"), "--output", "here", "--seed", "7"]) == 0
    assert given == [(5, Path("out/train/liver")), (7, Path("here"))]


def test_a_wrong_setting_ends_the_command_with_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "liver.yaml").write_text("seed: five")
    assert main(["fit", str(tmp_path / "liver.yaml")]) == 1
    assert capsys.readouterr().err == "training: seed is 'five'; it needs a whole number.\n"
