"""Landmarks that steered a registration are labelled as fitted, and are no evidence of its accuracy."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from UnsupervisedRegistrationLib.core.registration.plan import OptimisationPlan, Plan
from UnsupervisedRegistrationLib.scene.geometry.result_transform import (
    copyResultTransform,
    fittedLandmarks,
    setFittedLandmarks,
)
from UnsupervisedRegistrationLib.scene.history.result_history import storeResult
from UnsupervisedRegistrationLib.scene.history.stored_result import readStoredResult
from UnsupervisedRegistrationLib.scene.landmarks.markups import addLandmarks
from UnsupervisedRegistrationLib.scene.landmarks.tre_export import exportTreCsv, fillTreTableNode
from UnsupervisedRegistrationLib.scene.landmarks.tre_table import TreTable, targetRegistrationError
from UnsupervisedRegistrationLib.scene.registration.result_nodes import SliceOutputs, showSliceResult
from UnsupervisedRegistrationLib.scene.registration.slice_pair import SliceInputs, SliceSource
from UnsupervisedRegistrationLib.scene.reporting.quality import checkQuality
from UnsupervisedRegistrationLib.scene.reporting.summary import landmarkSentences, resultReport

OPTIMISED = Plan("standard", "deformable", optimisation=OptimisationPlan("auto", 1.0, (1,), False, 60.0))


def makeTable(before, after, fitted) -> TreTable:
    """A table of landmarks a, b, .. whose errors point to the right, mm."""
    vectors = [np.array(lengths, dtype=float)[:, None] * [1, 0, 0] for lengths in (before, after)]
    return TreTable(tuple("abcdef"[: len(before)]), np.zeros((len(before), 3)), *vectors, fitted)


@pytest.fixture
def mixed() -> TreTable:
    """TRE before 4, 8, 6 mm and after 1, 3, 0.5 mm; the last landmark steered, and is off by 2 mm when left out."""
    return makeTable([4, 8, 6], [1, 3, 0.5], {"c": 2.0})


@pytest.fixture
def steered(obliquePair, handmade):
    """A result that landmark a steered."""
    pair = replace(obliquePair, steeringLabels=("a",))
    return showSliceResult(pair, replace(handmade(pair.plane.shape), plan=OPTIMISED), SliceOutputs())


def column(table, name):
    values = table.GetTable().GetColumnByName(name)
    return [values.GetValue(row) for row in range(values.GetNumberOfValues())]


def test_a_steered_result_knows_its_fitted_landmarks(steered):
    assert fittedLandmarks(steered.transformNode) == {"a": None}


def test_the_errors_of_landmarks_left_out_are_stored_with_their_labels(obliquePair, handmade):
    pair = replace(obliquePair, steeringLabels=("a", "b"))
    registration = replace(handmade(pair.plane.shape), plan=OPTIMISED, landmark_errors=torch.tensor([1.5, 0.25]))
    result = showSliceResult(pair, registration, SliceOutputs())
    assert fittedLandmarks(result.transformNode) == {"a": 1.5, "b": 0.25}


def test_without_optimisation_no_landmark_is_fitted(obliquePair, handmade):
    pair = replace(obliquePair, steeringLabels=("a",))
    result = showSliceResult(pair, handmade(pair.plane.shape), SliceOutputs())
    assert fittedLandmarks(result.transformNode) == {}


def test_the_next_result_in_the_same_node_forgets_them(obliquePair, handmade, steered):
    showSliceResult(obliquePair, handmade(obliquePair.plane.shape), SliceOutputs(steered.transformNode))
    assert fittedLandmarks(steered.transformNode) == {}


def test_a_copied_result_keeps_them(scene, steered):
    copy = scene.AddNewNodeByClass("vtkMRMLTransformNode", "Copy")
    copyResultTransform(steered.transformNode, copy)
    assert fittedLandmarks(copy) == {"a": None}


def test_only_landmarks_on_the_slice_steer(scene, obliquePair):
    plane = obliquePair.plane
    positions = {"on": tuple(plane.centre), "off": tuple(plane.centre + plane.thickness * plane.normal)}
    landmarks = (addLandmarks(scene, "F", positions), addLandmarks(scene, "M", positions))
    source = SliceSource(SliceInputs(obliquePair.fixedVolume, obliquePair.movingVolume, plane, landmarks=landmarks))
    assert source.sample(None).landmarks is not None
    assert source.pair.steeringLabels == ("on",)


def test_the_tre_table_takes_them_from_the_result(scene, steered):
    setFittedLandmarks(steered.transformNode, {"a": 1.5})
    centre = steered.pair.plane.centre
    lists = [addLandmarks(scene, name, {"a": tuple(centre), "b": tuple(centre + 1)}) for name in ("F", "M")]
    tre = targetRegistrationError(*lists, steered.transformNode, steered.pair.movingVolume)
    np.testing.assert_array_equal(tre.isFitted, [True, False])
    np.testing.assert_array_equal(tre.leftOut, [1.5, np.nan])
    assert tre.independent.labels == ("b",)


def test_the_table_node_labels_them_and_summarises_the_others(scene, mixed):
    table = scene.AddNewNodeByClass("vtkMRMLTableNode")
    fillTreTableNode(table, mixed)
    assert column(table, "Use") == ["measured", "measured", "fitted", *["measured"] * 4]
    np.testing.assert_array_equal(column(table, "TRE left out (mm)"), [np.nan, np.nan, 2, *[np.nan] * 4])
    assert column(table, "TRE after (mm)")[3:] == [2.0, 1.0, 2.0, 3.0]


def test_if_all_landmarks_steered_the_summary_is_labelled_too(scene):
    table = scene.AddNewNodeByClass("vtkMRMLTableNode")
    fillTreTableNode(table, makeTable([4, 8], [1, 3], {"a": None, "b": None}))
    assert column(table, "Use") == ["fitted"] * 6
    assert column(table, "TRE after (mm)")[2] == 2.0


def test_the_file_has_the_columns_of_the_table(mixed, tmp_path):
    exportTreCsv(mixed, tmp_path / "tre.csv")
    header, *rows = ((tmp_path / "tre.csv").read_text().splitlines()[row].split(",") for row in (0, 1, 3))
    assert header[-2:] == ["TRE left out (mm)", "Use"]
    assert [row[-2:] for row in rows] == [["", "measured"], ["2.0000", "fitted"]]


def test_without_fitted_landmarks_there_are_no_such_columns(scene):
    table = scene.AddNewNodeByClass("vtkMRMLTableNode")
    fillTreTableNode(table, makeTable([4], [1], {}))
    assert table.GetTable().GetColumnByName("Use") is None
    assert table.GetTable().GetColumnByName("TRE left out (mm)") is None


def test_the_sentence_tells_them_apart(mixed):
    assert landmarkSentences(mixed) == [
        "mean TRE of 2 landmarks 6.0 mm before, 2.0 mm after",
        "mean TRE of 1 fitted landmarks 6.0 mm before, 0.5 mm after (2.0 mm if left out)",
    ]


def test_an_error_that_was_not_estimated_is_not_mentioned():
    (sentence,) = landmarkSentences(makeTable([6], [0.5], {"a": None}))
    assert sentence == "mean TRE of 1 fitted landmarks 6.0 mm before, 0.5 mm after"


def test_the_report_tells_them_apart(steered, mixed):
    report = resultReport(steered, mixed, "any-contrast")
    assert report["tre_mm"]["after"]["mean"] == 2.0
    assert report["fitted_tre_mm"]["after"]["mean"] == 0.5
    assert report["left_out_tre_mm"] == {"c": 2.0}


@pytest.mark.parametrize(("fitted", "counts"), [({}, True), ({"a": None}, False)])
def test_only_independent_landmarks_count_for_the_grade(steered, fitted, counts):
    table = replace(makeTable([1], [2], fitted), fixed=steered.pair.plane.centre[None])
    assert ("TRE" in [item.name for item in checkQuality(steered, table).items]) == counts


@pytest.mark.parametrize(("fitted", "mean"), [({"c": None}, 2.0), (dict.fromkeys("abc"), 1.5)])
def test_the_history_says_whether_its_tre_is_fitted(scene, steered, mixed, fitted, mean):
    stored = storeResult(scene, steered, {"model": "any-contrast"}, replace(mixed, fitted=fitted))
    assert stored.tre["after"]["mean"] == mean
    assert stored.treFitted == (len(fitted) == 3)


def test_a_steered_result_of_version_0_1_0_has_a_fitted_tre(scene, steered, mixed):
    node = storeResult(scene, steered, {"model": "any-contrast", "steered": True}, mixed).transformNode
    content = json.loads(node.GetAttribute("UnsupervisedRegistration.Result"))
    del content["treFitted"]
    node.SetAttribute("UnsupervisedRegistration.Result", json.dumps(content))
    assert readStoredResult(node).treFitted
