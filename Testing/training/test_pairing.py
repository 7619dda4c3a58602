"""Which slices make a pair, for any number of slices."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from training.data.pairing import Pairing
from training.data.store import _RECORD


def records(*slices: tuple[int, int, float]) -> NDArray[np.void]:
    """Records of slices: subject, group and level."""
    return np.array([(0, subject, group, level) for subject, group, level in slices], _RECORD)


def test_within_joins_the_images_of_one_group_at_one_level() -> None:
    pairing = Pairing(records((0, 0, 0.0), (0, 0, 4.0), (0, 0, 0.0), (0, 1, 0.0), (1, 2, 4.0)), "within")
    assert [pairing.candidates(n).tolist() for n in range(5)] == [[2], [1], [0], [3], [4]]


def test_across_joins_different_subjects_at_the_nearest_levels() -> None:
    slices = records((0, 0, 0.0), (0, 0, 8.0), (1, 1, 0.5), (2, 2, 1.25), (2, 2, 2.5), (2, 2, 90.0))
    pairing = Pairing(slices, "across")
    assert [pairing.candidates(n).tolist() for n in range(6)] == [[2, 3], [4], [0, 3], [0, 2], [0, 2], [1]]


@pytest.mark.parametrize("pairs", ["across", "within"])
def test_candidates_equal_those_of_a_search_through_all_slices(pairs: str) -> None:
    random = np.random.default_rng(3)
    slices = np.zeros(80, _RECORD)
    slices["subject"], slices["group"] = random.integers(6, size=80), random.integers(9, size=80)
    slices["level"] = random.integers(40, size=80) / 2
    pairing = Pairing(slices, pairs)  # type: ignore[arg-type]
    for index, one in enumerate(slices):
        distance = np.abs(slices["level"] - one["level"])
        if pairs == "across":
            others = slices["subject"] != one["subject"]
            found = others & (distance <= distance[others].min() + 1)
        else:
            found = (slices["group"] == one["group"]) & (distance == 0)
        expected = [n for n in np.flatnonzero(found) if n != index] or [index]
        assert pairing.candidates(index).tolist() == expected


def test_a_million_slices_take_no_memory_for_their_pairs() -> None:
    count = 1_000_000
    many = np.zeros(count, _RECORD)
    many["subject"], many["level"] = np.arange(count) // 100, np.arange(count) % 100
    assert len(Pairing(many, "across").candidates(4321)) == 3 * (
        count // 100 - 1
    )  # At the level and 1 mm above and below.


@pytest.mark.parametrize(
    ("pairs", "slices"), [("across", [(0, 0, 0.0), (0, 1, 0.0)]), ("within", [(0, 0, 0.0), (1, 1, 0.0)])]
)
def test_slices_that_make_no_pair_are_refused(pairs: str, slices: list[tuple[int, int, float]]) -> None:
    with pytest.raises(ValueError, match=f"No two of the 2 slices make a pair '{pairs}'"):
        Pairing(records(*slices), pairs)  # type: ignore[arg-type]
