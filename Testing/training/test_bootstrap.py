"""Standard errors over people equal those that are known beforehand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from training.benchmark.bootstrap import Estimate, estimate, resampled_weights


def alone(count: int) -> list[tuple[str, str]]:
    """One pair of two images of each person."""
    return [(f"p{number}", f"p{number}") for number in range(count)]


def test_with_one_pair_a_person_the_error_is_that_of_a_mean() -> None:
    values = np.random.default_rng(3).normal(0.5, 0.1, 40)
    found = estimate(list(values), alone(40))
    assert found.mean == pytest.approx(values.mean())
    assert found.error == pytest.approx(values.std() / math.sqrt(40), rel=0.05)  # 2000 resamples: 1.6 %.


def test_more_pairs_of_the_same_people_are_no_more_evidence() -> None:
    values, subjects = [0.3, 0.5, 0.9, 0.4], alone(4)
    assert estimate(values * 25, subjects * 25).error == pytest.approx(estimate(values, subjects).error)


def test_pairs_of_three_people_have_the_error_of_all_27_resamples() -> None:
    people = ("a", "b", "c")
    subjects = list(itertools.permutations(people, 2))
    values = [0.1, 0.4, 0.2, 0.9, 0.5, 0.6]
    means = []
    for drawn in itertools.product(people, repeat=3):
        weights = [drawn.count(first) * drawn.count(second) for first, second in subjects]
        if sum(weights):
            means.append(np.average(values, weights=weights))
    assert len(means) == 24  # The three resamples of one person alone hold no pair.
    assert estimate(values, subjects).error == pytest.approx(np.std(means), rel=0.05)


def test_the_weight_of_a_pair_is_the_product_of_the_multiplicities() -> None:
    weights = resampled_weights([("a", "a"), ("b", "b"), ("a", "b"), ("b", "a")], resamples=50)
    assert np.array_equal(weights[:, 2], weights[:, 0] * weights[:, 1])
    assert np.array_equal(weights[:, 3], weights[:, 2])
    assert (weights[:, 0] + weights[:, 1] == 2).all()


def test_a_constant_has_no_error() -> None:
    assert estimate([0.25] * 6, alone(6)) == Estimate(0.25, 0.0)


def test_of_one_person_there_is_no_error() -> None:
    found = estimate([0.1, 0.2], [("a", "a")] * 2)
    assert found.mean == pytest.approx(0.15)
    assert math.isnan(found.error)
    assert found.text(2) == "0.15"


def test_pairs_without_a_value_are_left_out() -> None:
    values, subjects = [0.1, 0.2, 0.6], alone(3)
    assert estimate([*values, math.nan], [*subjects, ("p9", "p9")]) == estimate(values, subjects)
    assert math.isnan(estimate([math.nan], alone(1)).mean)


def test_the_same_values_have_the_same_error_every_time() -> None:
    values = [0.1, 0.7, 0.4, 0.3]
    assert estimate(values, alone(4)) == estimate(values, alone(4))
