"""Landmarks are placed in turn, and the moving point is proposed where the result maps the fixed point."""

from __future__ import annotations

import numpy as np
import pytest
import vtk

from UnsupervisedRegistrationLib.scene.landmarks.markups import addLandmarks, createLandmarkPair
from UnsupervisedRegistrationLib.scene.landmarks.pairing import pairLandmarks
from UnsupervisedRegistrationLib.scene.landmarks.placing import nextToPlace, placeProposals, proposeMovingPoint
from UnsupervisedRegistrationLib.scene.landmarks.tre_table import targetRegistrationError
from UnsupervisedRegistrationLib.scene.registration.result_nodes import SliceOutputs, showSliceResult
from UnsupervisedRegistrationLib.scene.registration.slice_pair import SliceInputs, samplePair

MM = 1e-4


def moveAgain(result, moving):
    """The same displacement for a moving volume as it is placed now."""
    pair = samplePair(SliceInputs(result.pair.fixedVolume, moving, result.pair.plane))
    return showSliceResult(pair, result.registration, SliceOutputs())


@pytest.fixture
def result(obliquePair, handmade):
    return showSliceResult(obliquePair, handmade(obliquePair.plane.shape), SliceOutputs())


def somePoints(result):
    """Three pixels of the slice, RAS mm."""
    positions = result.pair.plane.pixelPositions()
    return {"a": positions[10, 12], "b": positions[20, 30], "c": positions[15, 21]}


def test_a_new_pair_of_lists_pairs_by_number(scene):
    fixed, moving = createLandmarkPair(scene)
    for node in (fixed, moving):
        for _ in range(3):
            node.AddControlPoint(vtk.vtkVector3d(0, 0, 0))
    assert [label for label, _, _ in pairLandmarks(fixed, moving)] == ["1", "2", "3"]
    assert fixed.GetDisplayNode().GetSelectedColor() != moving.GetDisplayNode().GetSelectedColor()


def test_two_pairs_have_different_names(scene):
    nodes = [*createLandmarkPair(scene), *createLandmarkPair(scene)]
    assert len({node.GetName() for node in nodes}) == 4


def test_the_lists_take_turns(scene):
    fixed, moving = createLandmarkPair(scene)
    turns = []
    for _ in range(4):
        turns.append(nextToPlace(fixed, moving))
        (fixed if turns[-1] == "fixed" else moving).AddControlPoint(vtk.vtkVector3d(0, 0, 0))
    assert turns == ["fixed", "moving", "fixed", "moving"]


def test_without_a_result_the_same_position_is_proposed(result):
    np.testing.assert_array_equal(proposeMovingPoint(np.array([1, 2, 3]), None, result.pair.movingVolume), [1, 2, 3])


@pytest.mark.parametrize("kind", [None, "linear", "grid"])
@pytest.mark.parametrize("under", [False, True])
def test_a_proposed_point_has_no_error_after(scene, result, makeParent, kind, under):
    moving = result.pair.movingVolume
    if kind is not None:
        moving.SetAndObserveTransformNodeID(makeParent(kind).GetID())
        result = moveAgain(result, moving)
    fixedList, movingList = addLandmarks(scene, "F", somePoints(result)), addLandmarks(scene, "M", {})
    if under:
        movingList.SetAndObserveTransformNodeID(result.transformNode.GetID())
    assert placeProposals(fixedList, movingList, result.transformNode, moving) == [0, 1, 2]
    errors = targetRegistrationError(fixedList, movingList, result.transformNode, moving)
    np.testing.assert_allclose(errors.after, 0, atol=MM)
    assert np.linalg.norm(errors.before, axis=1).max() > 0.5


def test_an_existing_point_is_not_replaced(scene, result):
    fixedList = addLandmarks(scene, "F", somePoints(result))
    movingList = addLandmarks(scene, "M", {"b": (1.0, 2.0, 3.0)})
    assert placeProposals(fixedList, movingList, None, result.pair.movingVolume) == [1, 2]
    assert movingList.GetNthControlPointPosition(0) == (1, 2, 3)
    assert placeProposals(fixedList, movingList, None, result.pair.movingVolume) == []
