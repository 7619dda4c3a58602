"""Scenes that version 0.1.0 saved open with their results: every stored name is still read.

The names are written out here, so that a change of a name in the code is noticed.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
import slicer
import slicer.util
import vtk

from UnsupervisedRegistrationLib.scene.display import view_state
from UnsupervisedRegistrationLib.scene.display.overlays import restoreViews
from UnsupervisedRegistrationLib.scene.display.slice_views import addSliceViews
from UnsupervisedRegistrationLib.scene.geometry.result_transform import (
    initialTransformOf,
    isResultTransformOf,
    isWarped,
    resultTransformOf,
)
from UnsupervisedRegistrationLib.scene.geometry.transforms import mapToMoving
from UnsupervisedRegistrationLib.scene.geometry.volumes import addVolume
from UnsupervisedRegistrationLib.scene.history.result_history import showStoredResult, storedResults, undoLastApply
from UnsupervisedRegistrationLib.scene.landmarks.markups import addLandmarks, followVolume

SHIFT = (1.0, -2.0, 0.5)  # RAS mm, from fixed to moving.
IJK_TO_RAS = np.diag([1.5, 1.5, 3.0, 1.0])
CONTENT = {
    "time": "2026-11-27T10:20:30+01:00",
    "model": "any-contrast",
    "settings": {"model": "any-contrast", "device": "cpu", "refined": True, "steered": False, "prealignment": "rigid"},
    "tre": {when: {"mean": mean, "SD": 0.5, "median": 2.0, "max": 4.0} for when, mean in (("before", 3), ("after", 1))},
    "similarity": [0.25, 0.75],
    "folding": 0.125,
    "plane": {"shape": [6, 7], "ijkToRas": IJK_TO_RAS.tolist(), "name": "axial slice 2"},
    "undone": False,
}


def addResultNode(scene, name, fixed, moving, initial=None):
    """A transform node as version 0.1.0 filled it."""
    grid = vtk.vtkTransform()
    grid.Translate(*SHIFT)
    node = scene.AddNewNodeByClass("vtkMRMLTransformNode", name)
    node.SetAndObserveTransformFromParent(grid)
    node.SetAttribute("UnsupervisedRegistration.Outcome", "alone" if initial is None else "placed")
    node.SetNodeReferenceID("spatialRegistrationFixed", fixed.GetID())
    node.SetNodeReferenceID("spatialRegistrationMoving", moving.GetID())
    if initial is not None:
        node.SetNodeReferenceID("unsupervisedRegistrationInitial", initial.GetID())
    return node


@pytest.fixture
def former(scene):
    """A scene with one registration, its entry in the history, and the moving volume shown."""
    fixed, moving, warped = (
        addVolume(scene, name, np.arange(5 * 6 * 7, dtype=np.int16).reshape(5, 6, 7), IJK_TO_RAS)
        for name in ("Fixed", "Moving", "Stored, warped")
    )
    initial = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Initial")
    output = addResultNode(scene, "Output", fixed, moving, initial)
    stored = addResultNode(scene, "Stored", fixed, moving, initial)
    stored.SetAttribute("UnsupervisedRegistration.Result", json.dumps(CONTENT))
    stored.SetNodeReferenceID("unsupervisedRegistrationOutput", output.GetID())
    stored.SetNodeReferenceID("unsupervisedRegistrationWarped", warped.GetID())
    moving.SetAndObserveTransformNodeID(output.GetID())
    return scene


def test_the_history_has_the_stored_result(former, reopened):
    (result,) = storedResults(reopened(former))
    assert (result.name, result.fixedVolume.GetName(), result.movingVolume.GetName()) == ("Stored", "Fixed", "Moving")
    assert result.warpedVolume.GetName() == "Stored, warped"
    assert result.time.isoformat() == CONTENT["time"]
    assert (result.model, result.settings, result.tre) == (CONTENT["model"], CONTENT["settings"], CONTENT["tre"])
    assert (result.similarity, result.folding, result.undone) == ((0.25, 0.75), 0.125, False)
    assert (result.plane.shape, result.plane.name) == ((6, 7), "axial slice 2")
    np.testing.assert_array_equal(result.plane.ijkToRas, IJK_TO_RAS)
    np.testing.assert_allclose(mapToMoving(result.transformNode, np.zeros((1, 3))), [SHIFT], atol=1e-9)


def test_the_stored_result_can_be_shown_and_undone(former, reopened):
    scene = reopened(former)
    (result,) = storedResults(scene)
    showStoredResult(result)
    assert result.shown
    assert "as it was before" in undoLastApply(scene)
    assert result.movingVolume.GetParentTransformNode() is scene.GetFirstNodeByName("Initial")


def test_the_output_can_be_undone_through_its_stored_copy(former, reopened):
    scene = reopened(former)
    assert "as it was before" in undoLastApply(scene)
    assert storedResults(scene)[0].undone


def test_the_output_is_known_as_a_result_with_its_initial_transform(former, reopened):
    scene = reopened(former)
    moving, output = scene.GetFirstNodeByName("Moving"), scene.GetFirstNodeByName("Output")
    assert isResultTransformOf(output, moving)
    assert not isResultTransformOf(output, scene.GetFirstNodeByName("Fixed"))
    assert initialTransformOf(moving) is scene.GetFirstNodeByName("Initial")


def test_a_deleted_initial_transform_is_noticed(former, reopened):
    scene = reopened(former)
    scene.RemoveNode(scene.GetFirstNodeByName("Initial"))
    with pytest.raises(ValueError, match="initial transform of 'Moving' below 'Output' was deleted"):
        initialTransformOf(scene.GetFirstNodeByName("Moving"))


def test_a_volume_that_was_shown_unwarped_is_warped_again(former, reopened):
    moving, output = former.GetFirstNodeByName("Moving"), former.GetFirstNodeByName("Output")
    moving.SetNodeReferenceID("unsupervisedRegistrationUnwarped", output.GetID())
    moving.SetAndObserveTransformNodeID(None)
    scene = reopened(former)
    moving, output = scene.GetFirstNodeByName("Moving"), scene.GetFirstNodeByName("Output")
    assert not isWarped(moving)
    assert resultTransformOf(moving) is output
    restoreViews(scene)
    assert moving.GetParentTransformNode() is output


def test_moving_landmarks_follow_the_volume(former, reopened):
    addLandmarks(former, "M", {"1": (1.0, 2.0, 3.0)}).SetAttribute("UnsupervisedRegistration.Follows", "1")
    scene = reopened(former)
    landmarks, moving = scene.GetFirstNodeByName("M"), scene.GetFirstNodeByName("Moving")
    followVolume(landmarks, moving)
    assert landmarks.GetParentTransformNode() is moving.GetParentTransformNode()


def test_the_views_of_an_overlay_are_restored(former):
    """Read from the scene itself, because slice views are not saved outside the application."""
    addSliceViews(former)
    layers = former.GetNodeByID("vtkMRMLSliceCompositeNodeRed")
    memory = slicer.vtkMRMLScriptedModuleNode()
    memory.SetSingletonTag("UnsupervisedRegistrationViews")
    memory = former.AddNode(memory)
    memory.SetNodeReferenceID("remembered0", layers.GetID())
    memory.SetNodeReferenceID("remembered0BackgroundVolumeID", former.GetFirstNodeByName("Fixed").GetID())
    values = {"BackgroundVolumeID": None, "ForegroundOpacity": 0.25}
    memory.SetAttribute("UnsupervisedRegistration.Remembered", json.dumps({"remembered0": values}))
    derived = former.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Registration picture")
    derived.SetAttribute("UnsupervisedRegistration.Purpose", "picture")
    memory.AddNodeReferenceID("owned", derived.GetID())
    assert view_state.findOwned(former, "picture") is derived
    restoreViews(former)
    assert layers.GetBackgroundVolumeID() == former.GetFirstNodeByName("Fixed").GetID()
    assert layers.GetForegroundOpacity() == 0.25
    assert former.GetFirstNodeByName("Registration picture") is None
    assert not view_state.isOverlayShown(former)
