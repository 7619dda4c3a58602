"""Each fault of a result turns the light, and its sentence says what to do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from UnsupervisedRegistrationLib.core.spatial.deformation import invert
from UnsupervisedRegistrationLib.scene.landmarks.tre_table import TreTable
from UnsupervisedRegistrationLib.scene.registration.result_nodes import SliceOutputs, showSliceResult
from UnsupervisedRegistrationLib.scene.reporting.judgement import judge


@pytest.fixture
def resultWith(obliquePair, handmade):
    """a result whose way back is exact, but for the changes."""

    def make(mask=None, **changes):
        registration = handmade(obliquePair.plane.shape, 0.5, 0.5)
        registration = replace(registration, inverse=invert(registration.displacement))
        return showSliceResult(replace(obliquePair, mask=mask), replace(registration, **changes), SliceOutputs())

    return make


def errors(before, after):
    return TreTable(("a",), np.zeros((1, 3)), np.array([[before, 0, 0]]), np.array([[after, 0, 0]]))


def everywhere(result, value):
    return torch.full((1, 1, *result.pair.plane.shape), value)


def test_a_good_result_is_green(resultWith):
    judgement = judge(resultWith(), errors(5.0, 1.0))
    assert judgement.colour == "green"
    assert judgement.sentence == "no problem detected"


@pytest.mark.parametrize(("folding", "colour"), [(0.001, "amber"), (0.03, "red")])
def test_folding_is_said_with_its_remedy(resultWith, folding, colour):
    judgement = judge(resultWith(folding=folding))
    assert judgement.colour == colour
    assert judgement.reasons == (
        f"{100 * folding:.2g} % of the area folds: lower the flexibility (refine with more smoothness)",
    )


def test_a_pixel_that_folds_is_no_reason(resultWith):
    assert judge(resultWith(folding=1e-5)).colour == "green"


@pytest.mark.parametrize(
    ("before", "after", "colour"),
    [(0.5, 0.4, "red"), (0.2, 0.21, "amber"), (0.8, 0.81, "green"), (0.2, 0.3, "green"), (0.8, 0.795, "green")],
)
def test_similarity_counts_by_what_was_gained_and_what_there_was(resultWith, before, after, colour):
    assert judge(resultWith(similarity_before=before, similarity_after=after)).colour == colour


@pytest.mark.parametrize(("pixels", "colour"), [(0.0, "green"), (1.5, "amber"), (5.0, "red")])
def test_the_way_back_counts_in_mm(resultWith, pixels, colour):
    result = resultWith()
    back = result.registration.inverse.clone()
    back[:, 0] += pixels  # Rows of 1.1 mm.
    judgement = judge(replace(result, registration=replace(result.registration, inverse=back)))
    assert judgement.colour == colour
    assert ("there and back misses by" in judgement.sentence) == (pixels > 0)


@pytest.mark.parametrize(("error", "colour"), [(0.5, "green"), (3.0, "amber"), (6.0, "red")])
def test_the_expected_error_counts_in_mm(resultWith, error, colour):
    result = resultWith()
    judgement = judge(resultWith(expected_error=everywhere(result, error)))
    assert judgement.colour == colour
    assert ("look at the trust map" in judgement.sentence) == (colour != "green")


def test_landmarks_that_moved_apart_are_red(resultWith):
    judgement = judge(resultWith(), errors(1.0, 2.0))
    assert judgement.colour == "red"
    assert judgement.reasons[0].startswith("mean TRE of 1 landmarks 1.0 mm before, 2.0 mm after: undo it")


def test_without_landmarks_they_do_not_count(resultWith):
    none = TreTable((), *(np.zeros((0, 3)) for _ in range(3)))
    assert judge(resultWith(), none).colour == "green"


def test_only_the_inside_of_the_mask_counts(resultWith):
    result = resultWith()
    mask = np.zeros(result.pair.plane.shape, dtype=bool)
    mask[:10, :10] = True
    error = everywhere(result, 10.0)
    error[..., :10, :10] = 0
    assert judge(resultWith(mask=mask, expected_error=error)).colour == "green"
    assert judge(resultWith(expected_error=error)).colour == "red"


def test_the_gravest_reason_comes_first(resultWith):
    judgement = judge(resultWith(folding=0.001, similarity_after=0.1, similarity_before=0.4))
    assert judgement.colour == "red"
    assert judgement.reasons[0].startswith("the images became less alike")
    assert judgement.reasons[1].startswith("0.1 % of the area folds")
