"""Panel, script and command line share one set of choices and defaults."""

from __future__ import annotations

import typing
from typing import Any

import pytest

import host

host.start()
from UnsupervisedRegistrationLib.interaction import inputs  # noqa: E402 - needs slicer.i18n
from UnsupervisedRegistrationLib.scene import registration_options  # noqa: E402
from UnsupervisedRegistrationLib.scene.registration_options import RegistrationOptions  # noqa: E402


def test_the_defaults_of_the_panel_are_those_of_the_options(loaded: host.Loaded) -> None:
    assert inputs.chosenOptions(loaded.widget.parameters) == RegistrationOptions()


def test_a_script_without_options_takes_the_defaults(loaded: host.Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    engine = loaded.widget.logic._engine
    monkeypatch.setattr(engine, "registerSlice", lambda chosen, used, *rest: asked.append(used))
    loaded.widget.logic.register(None, None)
    assert asked == [RegistrationOptions()]


def test_the_command_line_without_options_takes_the_defaults() -> None:
    from UnsupervisedRegistrationLib.headless import __main__ as command
    from UnsupervisedRegistrationLib.headless.arguments import optionsOf

    given = command.parser().parse_args(["register", "fixed.nii", "moving.nii", "--output", "out"])
    assert optionsOf(given) == RegistrationOptions()


@pytest.mark.parametrize(
    ("selector", "choices"),
    [
        ("presetSelector", registration_options.Preset),
        ("transformTypeSelector", registration_options.TransformType),
        ("prealignmentSelector", registration_options.Prealignment),
        ("similaritySelector", registration_options.Similarity),
    ],
)
def test_a_list_of_the_panel_offers_the_choices_of_the_options(
    loaded: host.Loaded, selector: str, choices: Any
) -> None:
    control = getattr(loaded.widget.ui, selector)
    assert [control.itemText(index) for index in range(control.count)] == list(typing.get_args(choices))


def test_apply_optimises_by_default_and_says_so(loaded: host.Loaded, ui: Any) -> None:
    ui.presetSelector.setCurrentText(RegistrationOptions().preset)
    ui.applyButton.click()
    assert "2 levels optimised" in ui.planLabel.text
    assert "Model any-contrast" in ui.planLabel.text
    assert "licence of the model: Apache-2.0" in ui.planLabel.text
    assert ui.planLabel.text.endswith("are attached.")
    assert not ui.planLabel.text.endswith("..")


def test_every_stage_has_a_name_for_people() -> None:
    from UnsupervisedRegistrationLib.core.registration.pipeline import STAGES
    from UnsupervisedRegistrationLib.interaction.sentences import describeStage

    for name in ("prealign", *(stage.name for stage in STAGES)):
        assert describeStage(name) != name
