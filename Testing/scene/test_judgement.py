"""Each fault of an outcome turns the light, and its sentence says what to do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from UnsupervisedRegistrationLib.core.spatial.deformation import invert
from UnsupervisedRegistrationLib.scene.landmarks.tre_table import TreTable
from UnsupervisedRegistrationLib.scene.registration.slice import showSliceResult
from UnsupervisedRegistrationLib.scene.reporting.judgement import judge


@pytest.fixture
def outcomeWith(obliquePair, handmade):
    """An outcome whose way back is exact, but for the changes."""

    def make(mask=None, **changes):
        registration = handmade(obliquePair.plane.shape, 0.5, 0.5)
        registration = replace(registration, inverse=invert(registration.displacement))
        return showSliceResult(replace(obliquePair, mask=mask), replace(registration, **changes))

    return make


def errors(before, after):
    return TreTable(("a",), np.zeros((1, 3)), np.array([[before, 0, 0]]), np.array([[after, 0, 0]]))


def everywhere(outcome, value):
    return torch.full((1, 1, *outcome.pair.plane.shape), value)


def test_a_good_outcome_is_green(outcomeWith):
    judgement = judge(outcomeWith(), errors(5.0, 1.0))
    assert judgement.colour == "green"
    assert judgement.sentence == "nothing speaks against the outcome"


@pytest.mark.parametrize(("folding", "colour"), [(0.001, "amber"), (0.03, "red")])
def test_folding_is_said_with_its_remedy(outcomeWith, folding, colour):
    judgement = judge(outcomeWith(folding=folding))
    assert judgement.colour == colour
    assert judgement.reasons == (
        f"{100 * folding:.2g} % of the area folds: lower the flexibility (refine with more smoothness)",
    )


def test_a_pixel_that_folds_is_no_reason(outcomeWith):
    assert judge(outcomeWith(folding=1e-5)).colour == "green"


@pytest.mark.parametrize(
    ("before", "after", "colour"),
    [(0.5, 0.4, "red"), (0.2, 0.21, "amber"), (0.8, 0.81, "green"), (0.2, 0.3, "green"), (0.8, 0.795, "green")],
)
def test_similarity_counts_by_what_was_gained_and_what_there_was(outcomeWith, before, after, colour):
    assert judge(outcomeWith(similarity_before=before, similarity_after=after)).colour == colour


@pytest.mark.parametrize(("pixels", "colour"), [(0.0, "green"), (1.5, "amber"), (5.0, "red")])
def test_the_way_back_counts_in_mm(outcomeWith, pixels, colour):
    outcome = outcomeWith()
    back = outcome.registration.inverse.clone()
    back[:, 0] += pixels  # Rows of 1.1 mm.
    judgement = judge(replace(outcome, registration=replace(outcome.registration, inverse=back)))
    assert judgement.colour == colour
    assert ("there and back misses by" in judgement.sentence) == (pixels > 0)


@pytest.mark.parametrize(("error", "colour"), [(0.5, "green"), (3.0, "amber"), (6.0, "red")])
def test_the_expected_error_counts_in_mm(outcomeWith, error, colour):
    outcome = outcomeWith()
    judgement = judge(outcomeWith(expected_error=everywhere(outcome, error)))
    assert judgement.colour == colour
    assert ("look at the trust map" in judgement.sentence) == (colour != "green")


def test_landmarks_that_moved_apart_are_red(outcomeWith):
    judgement = judge(outcomeWith(), errors(1.0, 2.0))
    assert judgement.colour == "red"
    assert judgement.reasons[0].startswith("landmarks 1.0 mm apart are now 2.0 mm apart: undo it")


def test_without_landmarks_they_do_not_count(outcomeWith):
    none = TreTable((), *(np.zeros((0, 3)) for _ in range(3)))
    assert judge(outcomeWith(), none).colour == "green"


def test_only_the_inside_of_the_mask_counts(outcomeWith):
    outcome = outcomeWith()
    mask = np.zeros(outcome.pair.plane.shape, dtype=bool)
    mask[:10, :10] = True
    error = everywhere(outcome, 10.0)
    error[..., :10, :10] = 0
    assert judge(outcomeWith(mask=mask, expected_error=error)).colour == "green"
    assert judge(outcomeWith(expected_error=error)).colour == "red"


def test_the_gravest_reason_comes_first(outcomeWith):
    judgement = judge(outcomeWith(folding=0.001, similarity_after=0.1, similarity_before=0.4))
    assert judgement.colour == "red"
    assert judgement.reasons[0].startswith("the images became less alike")
    assert judgement.reasons[1].startswith("0.1 % of the area folds")
