"""Outputs of the wrong kind, vanished transforms and landmarks elsewhere are noticed."""

from __future__ import annotations

import pytest

from UnsupervisedRegistrationLib.scene.landmarks.tre_table import targetRegistrationError
from UnsupervisedRegistrationLib.scene.registration.phantom_nodes import PhantomNodes, addPhantom
from UnsupervisedRegistrationLib.scene.registration.slice import registerSlice
from UnsupervisedRegistrationLib.scene.reporting.summary import describeResult


@pytest.fixture
def head(scene) -> PhantomNodes:
    return addPhantom(scene, "head")


def test_an_output_that_cannot_hold_a_displacement_is_refused(scene, head):
    linear = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Linear")
    with pytest.raises(ValueError, match="'Linear' holds linear transforms only"):
        registerSlice(head.fixedVolume, head.movingVolume, transformNode=linear)
    assert head.movingVolume.GetParentTransformNode() is None


def test_a_warped_volume_that_is_a_labelmap_is_refused(scene, head):
    labelmap = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "Labels")
    with pytest.raises(ValueError, match="'Labels' is no scalar volume"):
        registerSlice(head.fixedVolume, head.movingVolume, warpedVolume=labelmap)
    assert head.movingVolume.GetParentTransformNode() is None


def test_a_deleted_initial_transform_is_not_forgotten_silently(scene, head):
    initial = scene.AddNewNodeByClass("vtkMRMLTransformNode", "Initial")
    head.movingVolume.SetAndObserveTransformNodeID(initial.GetID())
    registerSlice(head.fixedVolume, head.movingVolume)
    scene.RemoveNode(initial)
    with pytest.raises(ValueError, match=r"The initial transform of 'HeadMoving' below .* was deleted"):
        registerSlice(head.fixedVolume, head.movingVolume)


def test_landmarks_off_the_slice_are_counted(scene, head):
    head.fixedLandmarks.SetNthControlPointPosition(0, 0, 0, 20)
    result = registerSlice(head.fixedVolume, head.movingVolume)
    errors = targetRegistrationError(head.fixedLandmarks, head.movingLandmarks, result.transformNode, head.movingVolume)
    assert "1 of 8 landmarks lie off the slice" in describeResult(result, errors)
