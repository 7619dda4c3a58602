"""Facts about what is done to a pair: from images, model and options to the plan, without running a network."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from UnsupervisedRegistrationLib.core.images.crop import PreparedPair
from UnsupervisedRegistrationLib.core.models.card import Card
from UnsupervisedRegistrationLib.core.models.model_file import Model, ModelConfiguration
from UnsupervisedRegistrationLib.core.networks.network import Network, NetworkConfiguration
from UnsupervisedRegistrationLib.core.registration.options import RegistrationOptions
from UnsupervisedRegistrationLib.core.registration.plan import (
    FEW_STEPS,
    ITERATIONS,
    LARGE_VOXELS,
    RULES,
    Plan,
    make_plan,
)

NOTHING = {
    "half_resolution_first": False,
    "match_intensities": (False,),
    "second_pass": False,
    "flip_ensemble": False,
    "few_steps": True,
    "never_worse": True,
}
"""What is done with the preset ``fast`` to two small images of one contrast."""

OPTIMISED = {"second_pass": True, "few_steps": False}
"""What differs where the instance optimisation follows."""


class NeverRun(Network):
    """Fails where it is run."""

    multiple = 4

    def forward(self, fixed: Tensor, moving: Tensor) -> list[Tensor]:
        raise AssertionError("the plan ran a network")


def model(integration_steps: int = 6) -> Model:
    configuration = NetworkConfiguration(integration_steps=integration_steps)
    return Model("test", NeverRun(configuration), ModelConfiguration(configuration), Card())


def blobs(size: int, seed: int) -> Tensor:
    coarse = torch.rand(1, 1, 9, 9, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(coarse, (size, size), mode="bicubic").clamp(0, 1)


def alike(size: int) -> tuple[Tensor, Tensor]:
    return blobs(size, 1), 0.9 * blobs(size, 1) + 0.1 * blobs(size, 2)


def inverted(size: int) -> tuple[Tensor, Tensor]:
    """Bright tissue on black, and the same with dark and bright exchanged in the tissue only."""
    image = blobs(size, 1)
    tissue = torch.where(image > 0.4, image, 0.0)
    return tissue, torch.where(tissue > 0, 1.3 - tissue, 0.0)


def unrelated(size: int) -> tuple[Tensor, Tensor]:
    return blobs(size, 1), blobs(size, 2)


IMAGES = {
    "small": alike(64),
    "as large as trained on": alike(LARGE_VOXELS),
    "large": alike(LARGE_VOXELS + 4),
    "other contrast": inverted(64),
    "large, unrelated": unrelated(LARGE_VOXELS + 64),
    "small, unrelated": unrelated(64),
    "batch": tuple(torch.cat(pair) for pair in zip(alike(64), inverted(64), strict=True)),
}


def plan_of(images: str, without: frozenset[str] = frozenset(), steered: bool = False, **chosen: Any) -> Plan:
    fixed, moving = IMAGES[images]
    pair = PreparedPair(fixed, moving, None, None, tuple(fixed.shape[2:]), (0, 0))
    return make_plan(pair, model(), RegistrationOptions(**{"preset": "fast", **chosen}), steered, without)


TABLE: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("small", {}, {}),
    ("small, unrelated", {}, {}),
    ("as large as trained on", {}, {}),
    ("large", {}, {"half_resolution_first": True, "second_pass": True}),
    ("large, unrelated", {}, {"half_resolution_first": True, "second_pass": True, "flip_ensemble": True}),
    ("other contrast", {}, {"match_intensities": (True,)}),
    ("batch", {}, {"match_intensities": (False, True)}),
    ("small", {"preset": "standard"}, OPTIMISED),
    ("small", {"preset": "thorough"}, OPTIMISED),
    ("small", {"steered": True}, {**OPTIMISED, "never_worse": False}),
    ("small", {"preset": "standard", "steered": True}, {**OPTIMISED, "never_worse": False}),
    ("large, unrelated", {"transform": "rigid", "preset": "standard"}, {"few_steps": False}),
    ("other contrast", {"transform": "affine", "preset": "thorough"}, {"few_steps": False}),
    ("small", {"uncertainty": True}, {"uncertainty": True}),
]


@pytest.mark.parametrize(("images", "chosen", "expected"), TABLE)
def test_the_plan_is_the_expected_one(images: str, chosen: dict[str, Any], expected: dict[str, Any]) -> None:
    plan = plan_of(images, **chosen)
    wanted = {**NOTHING, "uncertainty": False, **expected}
    assert {name: getattr(plan, name) for name in wanted} == wanted


@pytest.mark.parametrize(
    ("chosen", "iterations"),
    [
        ({"preset": "fast"}, None),
        ({"preset": "standard"}, ITERATIONS["standard"]),
        ({"preset": "thorough"}, ITERATIONS["thorough"]),
        ({"preset": "fast", "steered": True}, ITERATIONS["standard"]),
        ({"preset": "thorough", "steered": True}, ITERATIONS["thorough"]),
        ({"preset": "standard", "transform": "rigid"}, None),
    ],
)
def test_preset_and_landmarks_decide_the_steps_of_the_optimisation(
    chosen: dict[str, Any], iterations: tuple[int, ...] | None
) -> None:
    optimisation = plan_of("small", **chosen).optimisation
    assert (optimisation and optimisation.iterations) == iterations


def test_the_optimisation_gets_what_the_user_chose() -> None:
    optimisation = plan_of(
        "small", preset="standard", similarity="mind", smoothness_weight=3.0, time_limit=7.0
    ).optimisation
    assert optimisation is not None
    assert (optimisation.similarity, optimisation.smoothness_weight, optimisation.time_limit) == ("mind", 3.0, 7.0)


def test_a_network_without_an_inverse_takes_one_pass_over_the_images_as_they_are() -> None:
    fixed, moving = IMAGES["large, unrelated"]
    pair = PreparedPair(fixed, moving, None, None, tuple(fixed.shape[2:]), (0, 0))
    plan = make_plan(pair, model(integration_steps=0), RegistrationOptions(preset="standard"))
    assert {name: getattr(plan, name) for name in NOTHING} == {**NOTHING, "few_steps": False}
    assert not make_plan(pair, model(integration_steps=0), RegistrationOptions(preset="fast")).few_steps


def does(plan: Plan, rule: str) -> bool:
    """Whether the plan applies a rule."""
    if rule == "coarser_levels":
        return plan.optimisation is not None and plan.optimisation.coarser_levels
    value = getattr(plan, rule)
    return any(value) if isinstance(value, tuple) else bool(value)


APPLIES: dict[str, tuple[str, dict[str, Any]]] = {
    "half_resolution_first": ("large", {"preset": "standard"}),
    "match_intensities": ("other contrast", {"preset": "standard"}),
    "second_pass": ("small", {"preset": "standard"}),
    "flip_ensemble": ("large, unrelated", {"preset": "standard"}),
    "few_steps": ("small", {"preset": "fast"}),
    "coarser_levels": ("small", {"preset": "standard"}),
    "never_worse": ("small", {"preset": "standard"}),
}
"""Images and options to which each rule applies."""


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_changes_a_plan_and_can_be_left_out(rule: str) -> None:
    images, chosen = APPLIES[rule]
    assert does(plan_of(images, **chosen), rule)
    left_out = plan_of(images, frozenset({rule}), **chosen)
    assert not does(left_out, rule)
    others = [name for name in RULES if name != rule and not (rule == "half_resolution_first" and "flip" in name)]
    assert all(does(left_out, name) == does(plan_of(images, **chosen), name) for name in others)


def test_a_rule_that_there_is_not_is_refused_and_all_rules_are_listed() -> None:
    with pytest.raises(ValueError, match=f"There is no rule secnd_pass; known are {', '.join(RULES)}"):
        plan_of("small", frozenset({"secnd_pass", "never_worse"}))


@pytest.mark.parametrize("rule", ["half_resolution_first", "match_intensities", "flip_ensemble"])
def test_the_plan_gives_its_reasons(rule: str) -> None:
    images, chosen = APPLIES[rule]
    assert RULES[rule] in plan_of(images, **chosen).reasons
    assert RULES[rule] in plan_of(images, **chosen).summary


def test_the_plan_says_how_many_symmetric_steps_follow_the_network() -> None:
    assert f"{sum(FEW_STEPS)} symmetric steps follow" in plan_of("small").summary
    assert "symmetric steps" not in plan_of("small", frozenset({"few_steps"})).summary


@pytest.mark.parametrize("rule", ["half_resolution_first", "match_intensities", "flip_ensemble"])
def test_the_plan_names_no_rule_that_does_not_apply(rule: str) -> None:
    assert RULES[rule] not in plan_of("small").reasons


def test_the_plan_says_how_many_passes_and_steps_there_are() -> None:
    assert plan_of("small", frozenset({"few_steps"})).reasons == ("The network alone registers the images.",)
    assert "in 2 passes" in plan_of("small", preset="thorough").summary
    assert "at most 50 steps at half and 120 at full" in plan_of("small", preset="thorough").summary
    assert "a rigid alignment" in plan_of("small", transform="rigid").summary
