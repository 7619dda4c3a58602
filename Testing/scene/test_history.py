"""Results are stored in the scene, shown, compared, undone, and restored with a saved scene."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import slicer
import slicer.util

from UnsupervisedRegistrationLib.scene.geometry.planes import shiftedPlane
from UnsupervisedRegistrationLib.scene.geometry.result_transform import checkOutputTransform, initialTransformOf
from UnsupervisedRegistrationLib.scene.geometry.transforms import mapToMoving
from UnsupervisedRegistrationLib.scene.history import result_history
from UnsupervisedRegistrationLib.scene.history.result_comparison import compareResults
from UnsupervisedRegistrationLib.scene.landmarks.markups import addLandmarks
from UnsupervisedRegistrationLib.scene.landmarks.tre_table import targetRegistrationError
from UnsupervisedRegistrationLib.scene.registration.result_nodes import SliceOutputs, showSliceResult
from UnsupervisedRegistrationLib.scene.registration.slice_pair import SliceInputs, samplePair
from UnsupervisedRegistrationLib.scene.reporting.assessment import ReaderAssessment, readAssessment, storeAssessment

MM = 1e-4
SETTINGS = {"model": "any-contrast", "confined": True}


def moveAgain(result, moving):
    """The same displacement for a moving volume as it is placed now."""
    pair = samplePair(SliceInputs(result.pair.fixedVolume, moving, result.pair.plane))
    return showSliceResult(pair, result.registration, SliceOutputs())


@pytest.fixture
def registered(obliquePair, handmade):
    return showSliceResult(obliquePair, handmade(obliquePair.plane.shape), SliceOutputs())


@pytest.fixture
def again(obliquePair, handmade, registered):
    """A second result in the same nodes, twice as far along the rows."""

    def make(rows=4.0):
        registration = handmade(obliquePair.plane.shape, rows=rows)
        return showSliceResult(
            obliquePair, registration, SliceOutputs(registered.transformNode, registered.warpedVolume)
        )

    return make


@pytest.fixture
def tre(scene, registered):
    centre = registered.pair.plane.centre
    lists = [addLandmarks(scene, name, {"a": tuple(centre + shift)}) for name, shift in (("F", 0), ("M", 1))]
    return targetRegistrationError(*lists, registered.transformNode, registered.pair.movingVolume)


def test_a_stored_result_has_its_settings_and_measures(scene, registered, tre):
    result_history.storeResult(scene, registered, SETTINGS, tre)
    (result,) = result_history.storedResults(scene)
    assert result.model == "any-contrast"
    assert result.settings == SETTINGS
    assert result.tre == tre.summary()
    assert result.similarity == (0.2, 0.8)
    assert result.folding == 0
    assert result.plane.name == registered.pair.plane.name
    assert result.movingVolume is registered.pair.movingVolume
    assert not result_history.storedResultProblems(result)


def test_a_result_that_was_assessed_before_it_is_stored_keeps_the_assessment(scene, registered):
    saved = storeAssessment(registered.transformNode, ReaderAssessment("check", text="pons"))
    result_history.storeResult(scene, registered, SETTINGS)
    (result,) = result_history.storedResults(scene)
    assert readAssessment(result.transformNode) == saved


def test_the_scene_may_be_given_by_a_parameter_node(scene, registered):
    class Wrapper:
        parameterNode = scene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")

    result_history.storeResult(Wrapper, registered, SETTINGS)
    assert len(result_history.storedResults(scene)) == 1


def test_a_setting_that_is_no_plain_value_is_stored_as_text(scene, registered, tmp_path):
    result = result_history.storeResult(scene, registered, SETTINGS | {"folder": tmp_path})
    assert result.settings["folder"] == str(tmp_path)


def test_a_stored_result_stays_when_the_transform_is_overwritten(scene, registered, again):
    result = result_history.storeResult(scene, registered, SETTINGS)
    point = registered.pair.plane.centre[None]
    before = mapToMoving(result.transformNode, point)
    warped = slicer.util.arrayFromVolume(result.warpedVolume).copy()
    again()
    np.testing.assert_array_equal(mapToMoving(result.transformNode, point), before)
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(result.warpedVolume), warped)


def test_results_come_oldest_first(scene, registered, again):
    names = [result_history.storeResult(scene, made, SETTINGS).name for made in (registered, again(), again())]
    assert [result.name for result in result_history.storedResults(scene)] == names
    assert len(set(names)) == 3


def test_a_shown_result_moves_the_moving_volume(scene, registered, again):
    result = result_history.storeResult(scene, registered, SETTINGS)
    again()
    assert not result.shown
    result_history.showStoredResult(result)
    assert registered.pair.movingVolume.GetParentTransformNode() is result.transformNode
    assert result.shown


def test_a_registration_starts_from_the_initial_transform_of_a_shown_result(scene, registered, makeParent):
    moving, parent = registered.pair.movingVolume, makeParent("linear")
    moving.SetAndObserveTransformNodeID(parent.GetID())
    placed = moveAgain(registered, moving)
    result_history.showStoredResult(result_history.storeResult(scene, placed, SETTINGS))
    assert initialTransformOf(moving) is parent


def test_a_deleted_result_leaves_nothing_behind(scene, registered):
    count = scene.GetNumberOfNodes()
    result = result_history.storeResult(scene, registered, SETTINGS)
    result.transformNode.CreateDefaultDisplayNodes()
    result_history.deleteResult(result)
    assert scene.GetNumberOfNodes() == count
    assert registered.pair.movingVolume.GetParentTransformNode() is registered.transformNode


def test_deleting_a_shown_result_puts_the_volume_back_under_its_initial_transform(scene, registered):
    result = result_history.storeResult(scene, registered, SETTINGS)
    result_history.showStoredResult(result)
    result_history.deleteResult(result)
    assert registered.pair.movingVolume.GetParentTransformNode() is None


def test_a_result_can_be_renamed(scene, registered):
    result = result_history.renameResult(result_history.storeResult(scene, registered, SETTINGS), " best ")
    assert result.name == "best"
    assert result_history.storedResults(scene)[0].name == "best"


def test_two_results_are_compared_in_mm(scene, registered, again, displacementMm, tre):
    other = again(4.0)
    first, second = (result_history.storeResult(scene, made, SETTINGS, tre) for made in (registered, other))
    result_history.deleteResult(first)
    first = result_history.storeResult(scene, again(2.0), SETTINGS)
    vectors = [displacementMm(registered.pair.plane, made.registration) for made in (registered, other)]
    distances = np.linalg.norm(vectors[0] - vectors[1], axis=-1)
    comparison = compareResults(first, second)
    assert comparison.mean == pytest.approx(distances.mean(), abs=MM)
    assert comparison.maximum == pytest.approx(distances.max(), abs=MM)
    assert comparison.tre == (None, pytest.approx(tre.summary()["after"]["mean"]))


def test_undo_shows_the_result_before_and_then_none(scene, registered, again):
    moving = registered.pair.movingVolume
    first = result_history.storeResult(scene, registered, SETTINGS)
    second = result_history.storeResult(scene, again(), SETTINGS)
    assert first.name in result_history.undoLastApply(scene)
    assert moving.GetParentTransformNode() is first.transformNode
    assert "as it was before" in result_history.undoLastApply(scene)
    assert moving.GetParentTransformNode() is None
    with pytest.raises(ValueError, match="nothing to undo"):
        result_history.undoLastApply(scene)
    assert [result.undone for result in result_history.storedResults(scene)] == [True, True]
    result_history.showStoredResult(result_history.storedResults(scene)[1])
    assert [result.undone for result in result_history.storedResults(scene)] == [True, False]
    assert second.transformNode.GetScene() is scene


def test_undo_is_refused_for_a_volume_under_another_transform(scene, registered, makeParent):
    result_history.storeResult(scene, registered, SETTINGS)
    parent = makeParent("linear")
    registered.pair.movingVolume.SetAndObserveTransformNodeID(parent.GetID())
    with pytest.raises(ValueError, match="is no longer under"):
        result_history.undoLastApply(scene)
    assert registered.pair.movingVolume.GetParentTransformNode() is parent


def test_a_saved_scene_brings_the_results_back(scene, registered, tre, reopened):
    result = result_history.storeResult(scene, registered, SETTINGS, tre)
    result_history.showStoredResult(result)
    fresh = reopened(scene)
    (loaded,) = result_history.storedResults(fresh)
    assert dataclasses.replace(loaded, transformNode=None, plane=None) == dataclasses.replace(
        result, transformNode=None, plane=None
    )
    np.testing.assert_array_equal(loaded.plane.ijkToRas, result.plane.ijkToRas)
    assert loaded.shown
    positions = result.plane.pixelPositions().reshape(-1, 3)
    np.testing.assert_allclose(
        mapToMoving(loaded.transformNode, positions),
        mapToMoving(result.transformNode, positions),
        atol=MM,
    )
    np.testing.assert_array_equal(
        slicer.util.arrayFromVolume(loaded.warpedVolume), slicer.util.arrayFromVolume(result.warpedVolume)
    )


def test_a_missing_model_file_is_reported_and_the_result_can_still_be_shown(scene, registered, tmp_path):
    result = result_history.storeResult(scene, registered, {"model": str(tmp_path / "gone.pt")})
    assert "gone.pt' of '" in result_history.storedResultProblems(result)[0]
    result_history.showStoredResult(result)
    assert result.shown


def test_deleted_volumes_are_reported(scene, registered):
    result = result_history.storeResult(scene, registered, SETTINGS)
    for volume in (registered.pair.fixedVolume, registered.pair.movingVolume, result.warpedVolume):
        scene.RemoveNode(volume)
    assert len(result_history.storedResultProblems(result)) == 2
    with pytest.raises(ValueError, match="register it again"):
        result_history.showStoredResult(result)
    assert result_history.storedResults(scene)[0].warpedVolume is None
    result_history.deleteResult(result)
    assert not result_history.storedResults(scene)


def test_a_result_above_the_fixed_volume_is_refused(scene, registered):
    result = result_history.storeResult(scene, registered, SETTINGS)
    registered.pair.fixedVolume.SetAndObserveTransformNodeID(result.transformNode.GetID())
    with pytest.raises(ValueError, match="already moves the fixed volume"):
        result_history.showStoredResult(result)


class TestRefused:
    def test_a_result_without_a_name(self, scene, registered):
        result = result_history.storeResult(scene, registered, SETTINGS)
        with pytest.raises(ValueError, match="needs a name"):
            result_history.renameResult(result, " ")

    def test_a_result_that_was_deleted(self, scene, registered):
        result = result_history.storeResult(scene, registered, SETTINGS)
        result_history.deleteResult(result)
        with pytest.raises(ValueError, match="was deleted"):
            result_history.showStoredResult(result)

    def test_a_comparison_of_other_slices(self, scene, registered):
        plane = shiftedPlane(registered.pair.plane, registered.pair.plane.ijkToRas[:3, 2])
        elsewhere = dataclasses.replace(registered, pair=dataclasses.replace(registered.pair, plane=plane))
        first, second = (result_history.storeResult(scene, made, SETTINGS) for made in (registered, elsewhere))
        with pytest.raises(ValueError, match="of the same slice"):
            compareResults(first, second)

    def test_a_comparison_of_other_images(self, scene, registered, makeVolume, oblique):
        other = makeVolume(oblique.ijkToRas, "Other", seed=3)
        pair = samplePair(SliceInputs(registered.pair.fixedVolume, other, registered.pair.plane))
        made = [registered, showSliceResult(pair, registered.registration, SliceOutputs())]
        first, second = (result_history.storeResult(scene, one, SETTINGS) for one in made)
        with pytest.raises(ValueError, match="different images"):
            compareResults(first, second)

    def test_a_result_as_output(self, scene, registered):
        result = result_history.storeResult(scene, registered, SETTINGS)
        with pytest.raises(ValueError, match="a stored result of the history"):
            checkOutputTransform(result.transformNode, None, None)
