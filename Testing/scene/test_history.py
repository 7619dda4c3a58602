"""Results are kept in the scene, shown, compared, taken back, and come back with a saved scene."""

from __future__ import annotations

import dataclasses
import tempfile

import numpy as np
import pytest
import slicer
import slicer.util

from UnsupervisedRegistrationLib.scene.geometry.planes import shiftedPlane
from UnsupervisedRegistrationLib.scene.geometry.result_transform import checkOutputTransform, initialTransformOf
from UnsupervisedRegistrationLib.scene.geometry.transforms import mapToMoving
from UnsupervisedRegistrationLib.scene.history import result_history as history
from UnsupervisedRegistrationLib.scene.history.result_comparison import compareResults
from UnsupervisedRegistrationLib.scene.landmarks.markups import addLandmarks
from UnsupervisedRegistrationLib.scene.landmarks.tre_table import targetRegistrationError
from UnsupervisedRegistrationLib.scene.registration.slice import samplePair, showSliceResult

MM = 1e-4
SETTINGS = {"model": "any-contrast", "confined": True}


@pytest.fixture
def outcome(obliquePair, handmade):
    return showSliceResult(obliquePair, handmade(obliquePair.plane.shape))


@pytest.fixture
def again(obliquePair, handmade, outcome):
    """A second outcome in the same nodes, twice as far along the rows."""

    def make(rows=4.0):
        registration = handmade(obliquePair.plane.shape, rows=rows)
        return showSliceResult(obliquePair, registration, outcome.transformNode, outcome.warpedVolume)

    return make


@pytest.fixture
def errors(scene, outcome):
    centre = outcome.pair.plane.centre
    lists = [addLandmarks(scene, name, {"a": tuple(centre + shift)}) for name, shift in (("F", 0), ("M", 1))]
    return targetRegistrationError(*lists, outcome.transformNode, outcome.pair.movingVolume)


def saved(scene, tmp_path):
    """The scene, written and read again."""
    path = str(tmp_path / "scene.mrb")
    assert scene.WriteToMRB(path)
    fresh, application = slicer.vtkMRMLScene(), slicer.vtkSlicerApplicationLogic()
    application.SetMRMLScene(fresh)
    remote, manager = slicer.vtkMRMLRemoteIOLogic(), slicer.vtkDataIOManagerLogic()
    for logic in (remote, manager):
        logic.SetMRMLScene(fresh)
        logic.SetMRMLApplicationLogic(application)
    remote.GetCacheManager().SetRemoteCacheDirectory(tempfile.mkdtemp(dir=tmp_path))
    manager.SetAndObserveDataIOManager(remote.GetDataIOManager())
    remote.AddDataIOToScene()
    assert fresh.ReadFromMRB(path, True)
    return fresh, (application, remote, manager)


def test_a_result_knows_how_it_was_made(scene, outcome, errors):
    history.storeResult(scene, outcome, SETTINGS, errors)
    (result,) = history.storedResults(scene)
    assert result.model == "any-contrast"
    assert result.settings == SETTINGS
    assert result.tre == errors.summary()
    assert result.similarity == (0.2, 0.8)
    assert result.folding == 0
    assert result.plane.name == outcome.pair.plane.name
    assert result.movingVolume is outcome.pair.movingVolume
    assert not history.storedResultProblems(result)


def test_the_scene_may_be_given_by_a_parameter_node(scene, outcome):
    class Wrapper:
        parameterNode = scene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")

    history.storeResult(Wrapper, outcome, SETTINGS)
    assert len(history.storedResults(scene)) == 1


def test_a_setting_that_is_no_plain_value_is_kept_as_text(scene, outcome, tmp_path):
    result = history.storeResult(scene, outcome, SETTINGS | {"folder": tmp_path})
    assert result.settings["folder"] == str(tmp_path)


def test_a_result_stays_when_the_outcome_is_overwritten(scene, outcome, again):
    result = history.storeResult(scene, outcome, SETTINGS)
    point = outcome.pair.plane.centre[None]
    before = mapToMoving(result.transformNode, point)
    warped = slicer.util.arrayFromVolume(result.warpedVolume).copy()
    again()
    np.testing.assert_array_equal(mapToMoving(result.transformNode, point), before)
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(result.warpedVolume), warped)


def test_results_come_oldest_first(scene, outcome, again):
    names = [history.storeResult(scene, made, SETTINGS).name for made in (outcome, again(), again())]
    assert [result.name for result in history.storedResults(scene)] == names
    assert len(set(names)) == 3


def test_a_shown_result_moves_the_moving_volume(scene, outcome, again):
    result = history.storeResult(scene, outcome, SETTINGS)
    again()
    assert not result.shown
    history.showStoredResult(result)
    assert outcome.pair.movingVolume.GetParentTransformNode() is result.transformNode
    assert result.shown


def test_a_registration_goes_on_from_the_initial_placement_of_a_shown_result(scene, outcome, makeParent):
    moving, parent = outcome.pair.movingVolume, makeParent("linear")
    moving.SetAndObserveTransformNodeID(parent.GetID())
    placed = showSliceResult(samplePair(outcome.pair.fixedVolume, moving, outcome.pair.plane), outcome.registration)
    history.showStoredResult(history.storeResult(scene, placed, SETTINGS))
    assert initialTransformOf(moving) is parent


def test_a_deleted_result_leaves_nothing_behind(scene, outcome):
    count = scene.GetNumberOfNodes()
    result = history.storeResult(scene, outcome, SETTINGS)
    result.transformNode.CreateDefaultDisplayNodes()
    history.deleteResult(result)
    assert scene.GetNumberOfNodes() == count
    assert outcome.pair.movingVolume.GetParentTransformNode() is outcome.transformNode


def test_deleting_a_shown_result_puts_the_volume_back_under_its_initial_transform(scene, outcome):
    result = history.storeResult(scene, outcome, SETTINGS)
    history.showStoredResult(result)
    history.deleteResult(result)
    assert outcome.pair.movingVolume.GetParentTransformNode() is None


def test_a_result_can_be_renamed(scene, outcome):
    result = history.renameResult(history.storeResult(scene, outcome, SETTINGS), " best ")
    assert result.name == "best"
    assert history.storedResults(scene)[0].name == "best"


def test_two_results_are_compared_in_mm(scene, outcome, again, displacementMm, errors):
    other = again(4.0)
    first, second = (history.storeResult(scene, made, SETTINGS, errors) for made in (outcome, other))
    history.deleteResult(first)
    first = history.storeResult(scene, again(2.0), SETTINGS)
    vectors = [displacementMm(outcome.pair.plane, made.registration) for made in (outcome, other)]
    distances = np.linalg.norm(vectors[0] - vectors[1], axis=-1)
    comparison = compareResults(first, second)
    assert comparison.mean == pytest.approx(distances.mean(), abs=MM)
    assert comparison.maximum == pytest.approx(distances.max(), abs=MM)
    assert comparison.tre == (None, pytest.approx(errors.summary()["after"]["mean"]))


def test_undo_shows_what_was_before_and_then_nothing(scene, outcome, again):
    moving = outcome.pair.movingVolume
    first = history.storeResult(scene, outcome, SETTINGS)
    second = history.storeResult(scene, again(), SETTINGS)
    assert first.name in history.undoLastApply(scene)
    assert moving.GetParentTransformNode() is first.transformNode
    assert "as it did before" in history.undoLastApply(scene)
    assert moving.GetParentTransformNode() is None
    with pytest.raises(ValueError, match="nothing to undo"):
        history.undoLastApply(scene)
    assert [result.undone for result in history.storedResults(scene)] == [True, True]
    history.showStoredResult(history.storedResults(scene)[1])
    assert [result.undone for result in history.storedResults(scene)] == [True, False]
    assert second.transformNode.GetScene() is scene


def test_undo_leaves_a_volume_that_was_moved_by_hand(scene, outcome, makeParent):
    history.storeResult(scene, outcome, SETTINGS)
    parent = makeParent("linear")
    outcome.pair.movingVolume.SetAndObserveTransformNodeID(parent.GetID())
    with pytest.raises(ValueError, match="no longer lies under"):
        history.undoLastApply(scene)
    assert outcome.pair.movingVolume.GetParentTransformNode() is parent


def test_a_saved_scene_brings_the_results_back(scene, outcome, errors, tmp_path):
    result = history.storeResult(scene, outcome, SETTINGS, errors)
    history.showStoredResult(result)
    fresh, _logics = saved(scene, tmp_path)
    (loaded,) = history.storedResults(fresh)
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
    fresh.Clear(1)


def test_a_vanished_model_file_is_told_and_the_result_can_still_be_shown(scene, outcome, tmp_path):
    result = history.storeResult(scene, outcome, {"model": str(tmp_path / "gone.pt")})
    assert "gone.pt' that made" in history.storedResultProblems(result)[0]
    history.showStoredResult(result)
    assert result.shown


def test_vanished_volumes_are_told(scene, outcome):
    result = history.storeResult(scene, outcome, SETTINGS)
    for volume in (outcome.pair.fixedVolume, outcome.pair.movingVolume, result.warpedVolume):
        scene.RemoveNode(volume)
    assert len(history.storedResultProblems(result)) == 2
    with pytest.raises(ValueError, match="register it again"):
        history.showStoredResult(result)
    assert history.storedResults(scene)[0].warpedVolume is None
    history.deleteResult(result)
    assert not history.storedResults(scene)


def test_a_result_above_the_fixed_volume_is_refused(scene, outcome):
    result = history.storeResult(scene, outcome, SETTINGS)
    outcome.pair.fixedVolume.SetAndObserveTransformNodeID(result.transformNode.GetID())
    with pytest.raises(ValueError, match="already moves the fixed volume"):
        history.showStoredResult(result)


class TestRefused:
    def test_a_result_without_a_name(self, scene, outcome):
        result = history.storeResult(scene, outcome, SETTINGS)
        with pytest.raises(ValueError, match="needs a name"):
            history.renameResult(result, " ")

    def test_a_result_that_was_deleted(self, scene, outcome):
        result = history.storeResult(scene, outcome, SETTINGS)
        history.deleteResult(result)
        with pytest.raises(ValueError, match="was deleted"):
            history.showStoredResult(result)

    def test_a_comparison_of_other_slices(self, scene, outcome):
        plane = shiftedPlane(outcome.pair.plane, outcome.pair.plane.ijkToRas[:3, 2])
        elsewhere = dataclasses.replace(outcome, pair=dataclasses.replace(outcome.pair, plane=plane))
        first, second = (history.storeResult(scene, made, SETTINGS) for made in (outcome, elsewhere))
        with pytest.raises(ValueError, match="of the same slice"):
            compareResults(first, second)

    def test_a_comparison_of_other_images(self, scene, outcome, makeVolume, oblique):
        other = makeVolume(oblique.ijkToRas, "Other", seed=3)
        pair = samplePair(outcome.pair.fixedVolume, other, outcome.pair.plane)
        made = [outcome, showSliceResult(pair, outcome.registration)]
        first, second = (history.storeResult(scene, one, SETTINGS) for one in made)
        with pytest.raises(ValueError, match="different images"):
            compareResults(first, second)

    def test_a_result_as_output(self, scene, outcome):
        result = history.storeResult(scene, outcome, SETTINGS)
        with pytest.raises(ValueError, match="kept in the history"):
            checkOutputTransform(result.transformNode, None, None)
