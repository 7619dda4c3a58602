"""Outputs of the wrong class, deleted transforms and landmarks off the slice are reported."""

from __future__ import annotations

import pytest

from UnsupervisedRegistrationLib.scene.landmarks.tre_table import targetRegistrationError
from UnsupervisedRegistrationLib.scene.registration.phantom_nodes import PhantomNodes, addPhantom
from UnsupervisedRegistrationLib.scene.registration.result_nodes import SliceOutputs
from UnsupervisedRegistrationLib.scene.registration.slice import RegistrationOptions, registerSlice
from UnsupervisedRegistrationLib.scene.registration.slice_pair import SliceInputs
from UnsupervisedRegistrationLib.scene.reporting.summary import resultSentence

FAST = RegistrationOptions(preset="fast", model="any-contrast")


def inputs(head: PhantomNodes) -> SliceInputs:
    return SliceInputs(head.fixedVolume, head.movingVolume)


@pytest.fixture
def head(scene) -> PhantomNodes:
    return addPhantom(scene, "head")


def test_an_output_that_cannot_hold_a_displacement_is_refused(scene, head):
    linear = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Linear")
    with pytest.raises(ValueError, match="'Linear' holds linear transforms only"):
        registerSlice(inputs(head), FAST, SliceOutputs(transformNode=linear))
    assert head.movingVolume.GetParentTransformNode() is None


def test_a_warped_volume_that_is_a_labelmap_is_refused(scene, head):
    labelmap = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "Labels")
    with pytest.raises(ValueError, match="'Labels' is not a scalar volume"):
        registerSlice(inputs(head), FAST, SliceOutputs(warpedVolume=labelmap))
    assert head.movingVolume.GetParentTransformNode() is None


def test_a_deleted_initial_transform_is_reported(scene, head):
    initial = scene.AddNewNodeByClass("vtkMRMLTransformNode", "Initial")
    head.movingVolume.SetAndObserveTransformNodeID(initial.GetID())
    registerSlice(inputs(head), FAST)
    scene.RemoveNode(initial)
    with pytest.raises(ValueError, match=r"The initial transform of 'HeadMoving' below .* was deleted"):
        registerSlice(inputs(head), FAST)


def test_landmarks_off_the_slice_are_counted(scene, head):
    head.fixedLandmarks.SetNthControlPointPosition(0, 0, 0, 20)
    result = registerSlice(inputs(head), FAST)
    errors = targetRegistrationError(head.fixedLandmarks, head.movingLandmarks, result.transformNode, head.movingVolume)
    assert "1 of 8 landmarks lie off the slice" in resultSentence(result, errors)
