"""Standard errors of means over pairs, bootstrapped over people.

Pairs of the same people are not independent: with 4 people there are 108 brain pairs, but far fewer independent
values. So people are drawn, not pairs, and both people of a pair are drawn together.

Source:
    Efron and Tibshirani, An introduction to the bootstrap, 1993; for pairs: Snijders and Borgatti, Non-parametric
    standard errors and tests for network statistics, Connections 1999.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_RESAMPLES = 2000
_SEED = 1

Numbers = NDArray[np.float64]


class Estimate(NamedTuple):
    """A mean over pairs and its standard error; nan where there is none."""

    mean: float
    error: float

    def __str__(self) -> str:
        return self.text(4)

    def text(self, digits: int) -> str:
        """``0.5123 ± 0.0040``, without the error where there is none; empty without a mean."""
        if math.isnan(self.mean):
            return ""
        error = "" if math.isnan(self.error) else f" ± {self.error:.{digits}f}"
        return f"{self.mean:.{digits}f}{error}"


def estimate(values: Sequence[float], subjects: Sequence[tuple[str, str]]) -> Estimate:
    """Mean and standard error of one value a pair; pairs whose value is nan are left out.

    Args:
        values: One a pair.
        subjects: Of the fixed and of the moving image of each pair.

    Returns:
        The plain mean; the error is nan if fewer than two people are left.
    """
    known = [index for index, value in enumerate(values) if not math.isnan(value)]
    if not known:
        return Estimate(math.nan, math.nan)
    numbers = np.array([values[index] for index in known])
    weights = resampled_weights([subjects[index] for index in known])
    return Estimate(float(numbers.mean()), _error(numbers, weights))


def resampled_weights(subjects: Sequence[tuple[str, str]], resamples: int = _RESAMPLES, seed: int = _SEED) -> Numbers:
    """How often each pair occurs in each resample of people, ``(resamples, pairs)``.

    As many people are drawn with replacement as there are. A pair of two people counts with the product of their
    multiplicities, a pair of images of one person with the multiplicity of this person.
    """
    people = sorted({person for pair in subjects for person in pair})
    first, second = (np.array([people.index(pair[side]) for pair in subjects]) for side in (0, 1))
    draws = np.random.default_rng(seed).multinomial(len(people), [1 / len(people)] * len(people), resamples)
    weights = draws[:, first] * np.where(first == second, 1, draws[:, second])
    return weights.astype(np.float64)


def _error(values: Numbers, weights: Numbers) -> float:
    """Standard deviation of the weighted means; resamples without any pair are left out."""
    used = weights[weights.sum(axis=1) > 0]
    if len(np.unique(used, axis=0)) < 2:  # A single person, who is drawn every time.
        return math.nan
    return float(((used @ values) / used.sum(axis=1)).std())
