"""Each problem of a result lowers its grade, and its sentence says what to do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from UnsupervisedRegistrationLib.core.spatial.deformation import invert
from UnsupervisedRegistrationLib.scene.landmarks.tre_table import TreTable
from UnsupervisedRegistrationLib.scene.registration.result_nodes import SliceOutputs, showSliceResult
from UnsupervisedRegistrationLib.scene.reporting.quality import (
    checkQuality,
    gradeWord,
    qualityReport,
    qualitySentences,
)


@pytest.fixture
def resultWith(obliquePair, handmade):
    """A result whose inverse is exact, but for the changes."""

    def make(mask=None, **changes):
        registration = handmade(obliquePair.plane.shape, 0.5, 0.5)
        registration = replace(registration, inverse=invert(registration.displacement))
        return showSliceResult(replace(obliquePair, mask=mask), replace(registration, **changes), SliceOutputs())

    return make


def landmarks(result, before, after, off=0.0, fitted=()):
    """One landmark in the middle of the slice, or ``off`` slice distances away."""
    plane = result.pair.plane
    place = plane.centre + off * plane.thickness * plane.normal
    vectors = [np.array([[length, 0, 0]]) for length in (before, after)]
    return TreTable(("a",), place[None], *vectors, dict.fromkeys(fitted))


def everywhere(result, value):
    return torch.full((1, 1, *result.pair.plane.shape), value)


def item(check, name):
    return next(item for item in check.items if item.name == name)


def test_landmarks_within_the_tolerance_make_a_result_good(resultWith):
    result = resultWith()
    check = checkQuality(result, landmarks(result, 5.0, 1.0))
    assert check.grade == "good"
    tolerance = max(2.0, result.pair.plane.thickness)
    assert qualitySentences(check) == (f"no problem detected; mean TRE 1.0 mm, tolerance {tolerance:.1f} mm",)


def test_without_landmarks_a_result_is_not_validated(resultWith):
    check = checkQuality(resultWith())
    assert check.grade == "not validated"
    assert qualitySentences(check) == ("no problem detected; not validated here",)


@pytest.mark.parametrize("change", [{"off": 2.0}, {"fitted": ("a",)}], ids=["off the slice", "fitted"])
def test_landmarks_off_the_slice_or_fitted_are_no_evidence(resultWith, change):
    result = resultWith()
    assert checkQuality(result, landmarks(result, 5.0, 1.0, **change)).grade == "not validated"


def test_an_empty_table_is_no_evidence(resultWith):
    none = TreTable((), *(np.zeros((0, 3)) for _ in range(3)))
    assert checkQuality(resultWith(), none).grade == "not validated"


def test_landmarks_that_moved_apart_are_a_problem(resultWith):
    result = resultWith()
    check = checkQuality(result, landmarks(result, 10.0, 20.0))
    assert check.grade == "do not use"
    assert qualitySentences(check)[0].startswith("the mean TRE is 20.0 mm, 10.0 mm before (tolerance ")


@pytest.mark.parametrize(("folding", "grade"), [(1e-5, "not validated"), (0.001, "check"), (0.03, "do not use")])
def test_folding_is_graded_by_its_share(resultWith, folding, grade):
    check = checkQuality(resultWith(folding=folding))
    assert check.grade == grade
    if grade != "not validated":
        sentence = f"{100 * folding:.2g} % of the area folds: register again with more smoothness"
        assert qualitySentences(check) == (sentence,)


def test_inside_a_mask_its_folds_alone_count(resultWith):
    result = resultWith()
    folded = result.registration.displacement.clone()
    folded[:, 1, 20:25, 20:25] += 4
    mask = np.zeros(result.pair.plane.shape, dtype=bool)
    mask[:10, :10] = True
    changes = {"displacement": folded, "inverse": invert(folded), "folding": 0.03}
    assert item(checkQuality(resultWith(mask=mask, **changes)), "folding").value == 0
    mask[:30, :30] = True
    assert item(checkQuality(resultWith(mask=mask, **changes)), "folding").grade == "check"


@pytest.mark.parametrize(
    ("before", "after", "grade"),
    [(0.5, 0.4, "do not use"), (0.2, 0.21, "check"), (0.8, 0.81, None), (0.2, 0.3, None), (0.8, 0.795, None)],
)
def test_similarity_is_graded_where_it_falls_or_hardly_changes(resultWith, before, after, grade):
    check = checkQuality(resultWith(similarity_before=before, similarity_after=after))
    assert item(check, "similarity").grade == grade
    assert ("the similarity" in qualitySentences(check)[0]) == (grade is not None)


@pytest.mark.parametrize(("pixels", "grade"), [(0.0, "good"), (1.5, "check"), (5.0, "do not use")])
def test_inverse_consistency_is_graded_by_pixels(resultWith, pixels, grade):
    result = resultWith()
    inverse = result.registration.inverse.clone()
    inverse[:, 0] += pixels
    check = checkQuality(replace(result, registration=replace(result.registration, inverse=inverse)))
    assert item(check, "inverse consistency").grade == grade
    assert ("inverse consistency error" in qualitySentences(check)[0]) == (grade != "good")


@pytest.mark.parametrize(("error", "grade"), [(0.5, "good"), (3.0, "check"), (6.0, "do not use")])
def test_the_expected_error_is_graded_in_mm(resultWith, error, grade):
    check = checkQuality(resultWith(expected_error=everywhere(resultWith(), error)))
    assert item(check, "expected error").grade == grade
    assert ("see the trust map" in qualitySentences(check)[0]) == (grade != "good")


def test_only_the_inside_of_the_mask_counts(resultWith):
    result = resultWith()
    mask = np.zeros(result.pair.plane.shape, dtype=bool)
    mask[:10, :10] = True
    error = everywhere(result, 10.0)
    error[..., :10, :10] = 0
    assert checkQuality(resultWith(mask=mask, expected_error=error)).grade == "not validated"
    assert checkQuality(resultWith(expected_error=error)).grade == "do not use"


def test_the_worst_problem_comes_first(resultWith):
    check = checkQuality(resultWith(folding=0.001, similarity_after=0.1, similarity_before=0.4))
    assert check.grade == "do not use"
    first, second = qualitySentences(check)
    assert first.startswith("the similarity fell from 0.40 to 0.10")
    assert second.startswith("0.1 % of the area folds")


def test_the_report_holds_plain_values(resultWith):
    report = qualityReport(checkQuality(resultWith(folding=0.001)))
    assert report["grade"] == "check"
    assert report["sentences"] == ["0.1 % of the area folds: register again with more smoothness"]
    folding = next(item for item in report["items"] if item["name"] == "folding")
    assert folding == {
        **{"name": "folding", "value": 0.001, "unit": "", "tolerance": 0.0005, "grade": "check"},
        **{"structure": "", "before": None},
    }


def test_every_grade_has_a_word():
    words = [gradeWord(grade) for grade in ("good", "not validated", "check", "do not use")]
    assert words == ["Good", "Not validated", "Check", "Do not use"]
