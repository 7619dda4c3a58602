"""Facts about what a user may choose: every wrong choice is refused with a sentence that lists the right ones."""

from __future__ import annotations

import os
import subprocess
import sys
import typing
from typing import Any

import pytest

from UnsupervisedRegistrationLib.core.registration import options
from UnsupervisedRegistrationLib.core.registration.options import RegistrationOptions

CHOICES = {
    "transform": options.TransformType,
    "preset": options.Preset,
    "prealignment": options.Prealignment,
    "similarity": options.Similarity,
}


def test_nothing_chosen_is_the_standard_preset_with_an_automatic_model() -> None:
    chosen = RegistrationOptions()
    assert (chosen.transform, chosen.preset, chosen.model) == ("deformable", "standard", "auto")


@pytest.mark.parametrize(
    ("name", "choice"), [(name, choice) for name, kind in CHOICES.items() for choice in typing.get_args(kind)]
)
def test_every_choice_is_taken(name: str, choice: str) -> None:
    assert getattr(RegistrationOptions(**{name: choice}), name) == choice


@pytest.mark.parametrize("wrong", ["", None, "Rigid", "standrad", 1])
@pytest.mark.parametrize("name", CHOICES)
def test_a_choice_that_does_not_exist_is_refused_and_all_choices_are_listed(name: str, wrong: Any) -> None:
    if (name, wrong) == ("prealignment", None):
        pytest.skip("None is no pre-alignment.")
    listed = ", ".join(f"'{choice}'" for choice in typing.get_args(CHOICES[name]))
    with pytest.raises(ValueError, match=f"^{name} is one of {listed}, not {wrong!r}"):
        RegistrationOptions(**{name: wrong})


@pytest.mark.parametrize("wrong", ["", None])
def test_no_model_at_all_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="model is 'auto', the name of a model, or a model file"):
        RegistrationOptions(model=wrong)


@pytest.mark.parametrize("wrong", [float("inf"), float("nan"), 1e9, -1.0, 20.1, "1", None, True])
def test_a_smoothness_weight_out_of_range_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="smoothness_weight is a number from 0 to 20"):
        RegistrationOptions(smoothness_weight=wrong)


@pytest.mark.parametrize("bound", [0.0, 20.0])
def test_the_bounds_of_the_smoothness_weight_are_taken(bound: float) -> None:
    assert RegistrationOptions(smoothness_weight=bound).smoothness_weight == bound


@pytest.mark.parametrize("wrong", [0.0, -1.0, float("inf"), float("nan"), "60", None])
def test_a_time_limit_out_of_range_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="time_limit is a number of seconds above 0"):
        RegistrationOptions(time_limit=wrong)


def test_the_options_load_no_torch() -> None:
    code = f"import sys, {options.__name__}; sys.exit('torch' in sys.modules)"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0


def test_no_prealignment_may_be_spelled_as_none() -> None:
    assert RegistrationOptions(prealignment=None).prealignment == "none"  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["uncertainty", "free_models_only"])
def test_a_switch_that_is_neither_true_nor_false_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is True or False, not 'no'"):
        RegistrationOptions(**{name: "no"})  # type: ignore[arg-type]
