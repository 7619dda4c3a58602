"""Landmarks of both images, paired by label, and the exact distance between them."""

from __future__ import annotations

import numpy as np
import pytest
import vtk

from UnsupervisedRegistrationLib.scene.geometry.planes import planeFromIndex
from UnsupervisedRegistrationLib.scene.landmarks.markups import addLandmarks
from UnsupervisedRegistrationLib.scene.landmarks.pairing import pairingProblems, pairLandmarks
from UnsupervisedRegistrationLib.scene.landmarks.tre_table import TreTable, targetRegistrationError
from UnsupervisedRegistrationLib.scene.registration.result_nodes import SliceOutputs, showSliceResult
from UnsupervisedRegistrationLib.scene.registration.slice_pair import SliceInputs, samplePair

MM = 1e-4  # float32 displacements of a few mm.
SHIFT = np.array([2.0, -1.0, 0.0])  # From fixed to moving, mm, in the axial plane.
POINTS = {"nose": (4.0, 6.0, 2.0), "chin": (9.0, 3.0, 2.0), "ear": (14.0, 12.0, 2.0)}


@pytest.fixture
def translated(makeVolume, handmade):
    """A result that moves every pixel of slice 2 by ``SHIFT``, in a RAS volume of 1 mm."""

    def make(initial=None):
        fixed, moving = (makeVolume(np.eye(4), name, seed=seed) for seed, name in enumerate(("Fixed", "Moving")))
        if initial is not None:
            moving.SetAndObserveTransformNodeID(initial.GetID())
        pair = samplePair(SliceInputs(fixed, moving, planeFromIndex(fixed)))
        registration = handmade(pair.plane.shape)
        registration.displacement[0, 0], registration.displacement[0, 1] = SHIFT[1], SHIFT[0]
        return showSliceResult(pair, registration, SliceOutputs())

    return make


def points(scene, name, shift=(0, 0, 0)):
    return addLandmarks(scene, name, {label: tuple(np.add(point, shift)) for label, point in POINTS.items()})


def labelled(scene, name, *labels):
    return addLandmarks(scene, name, dict.fromkeys(labels, (0.0, 0.0, 0.0)))


def errorsOf(result, fixed, moving):
    return targetRegistrationError(fixed, moving, result.transformNode, result.pair.movingVolume)


class TestPairs:
    def test_labels_pair_in_any_order(self, scene):
        fixed, moving = labelled(scene, "F", "a", "b", "c"), labelled(scene, "M", "c", "a", "b")
        assert pairLandmarks(fixed, moving) == [("a", 0, 1), ("b", 1, 2), ("c", 2, 0)]

    def test_the_name_of_the_list_does_not_count(self, scene):
        """Slicer labels new points F-1, F-2 of a list F."""
        fixed, moving = labelled(scene, "F", "F-1", "F-2"), labelled(scene, "M", "M-2", "M-1")
        assert pairLandmarks(fixed, moving) == [("1", 0, 1), ("2", 1, 0)]

    def test_only_the_name_of_its_own_list_is_removed(self, scene):
        with pytest.raises(ValueError, match=r"'1' \(only fixed\), 'F-1' \(only moving\)"):
            pairLandmarks(labelled(scene, "F", "F-1"), labelled(scene, "M", "F-1"))

    def test_landmarks_without_partner_are_named(self, scene):
        fixed, moving = labelled(scene, "F", "a", "nose"), labelled(scene, "M", "a", "chin")
        with pytest.raises(ValueError, match=r"no partner: 'nose' \(only fixed\), 'chin' \(only moving\)\. Rename"):
            pairLandmarks(fixed, moving)

    def test_labels_that_occur_twice_are_named(self, scene):
        twice = labelled(scene, "Twice", "a", "b")
        twice.AddControlPoint(vtk.vtkVector3d(1, 1, 1), "a")
        with pytest.raises(ValueError, match="'Twice' these labels occur twice: a"):
            pairLandmarks(labelled(scene, "M", "a", "b"), twice)

    def test_an_empty_list_is_named(self, scene):
        with pytest.raises(ValueError, match="list 'Empty' has no point; place at least one"):
            pairLandmarks(labelled(scene, "F", "a"), labelled(scene, "Empty"))

    def test_lists_of_different_length_are_reported(self, scene):
        (problem,) = pairingProblems(labelled(scene, "F", "a", "b", "c"), labelled(scene, "M", "a"))
        assert "no partner: 'b' (only fixed), 'c' (only fixed)" in problem
        assert "The lists have 3 and 1 points." in problem

    def test_problems_of_both_lists_are_reported_at_once(self, scene):
        assert len(pairingProblems(labelled(scene, "F"), labelled(scene, "M"))) == 2
        assert not pairingProblems(labelled(scene, "A", "a"), labelled(scene, "B", "a"))

    def test_while_placing_only_complete_pairs_count(self, scene):
        fixed, moving = labelled(scene, "F", "a", "b", "c"), labelled(scene, "M", "c", "x")
        fixed.AddControlPoint(vtk.vtkVector3d(1, 1, 1), "a")
        moving.AddControlPoint(vtk.vtkVector3d(1, 1, 1), "a")
        assert pairLandmarks(fixed, moving, complete=False) == [("c", 2, 0)]
        assert pairLandmarks(fixed, labelled(scene, "Empty"), complete=False) == []

    def test_points_without_a_position_are_ignored(self, scene):
        fixed, moving = labelled(scene, "F", "x", "a", "b"), labelled(scene, "M", "a", "b", "y")
        fixed.UnsetNthControlPointPosition(0)
        moving.UnsetNthControlPointPosition(2)
        assert pairLandmarks(fixed, moving) == [("a", 1, 0), ("b", 2, 1)]


class TestErrors:
    def test_a_known_translation_has_no_error_after(self, scene, translated):
        errors = errorsOf(translated(), points(scene, "F"), points(scene, "M", SHIFT))
        np.testing.assert_allclose(errors.after, 0, atol=MM)

    def test_before_is_from_moving_to_fixed_along_r_a_s(self, scene, translated):
        errors = errorsOf(translated(), points(scene, "F"), points(scene, "M", SHIFT))
        np.testing.assert_allclose(errors.before, np.tile(-SHIFT, (3, 1)), atol=1e-12)

    def test_the_remaining_error_is_along_r_a_s(self, scene, translated):
        missed = np.array([0.5, 0.25, -1.5])
        errors = errorsOf(translated(), points(scene, "F"), points(scene, "M", SHIFT + missed))
        np.testing.assert_allclose(errors.after, np.tile(-missed, (3, 1)), atol=MM)

    def test_labels_keep_the_order_of_the_fixed_list(self, scene, translated):
        errors = errorsOf(translated(), points(scene, "F"), points(scene, "M"))
        assert errors.labels == ("nose", "chin", "ear")

    def test_landmarks_of_another_slice_do_not_move(self, scene, translated):
        fixed = points(scene, "F", (0, 0, 1))
        errors = errorsOf(translated(), fixed, points(scene, "M", (0, 0, 1)))
        np.testing.assert_allclose(errors.after, 0, atol=MM)

    def test_a_fixed_list_under_a_transform_counts_in_the_world(self, scene, translated, makeParent):
        result, fixed, parent = translated(), points(scene, "F"), makeParent("linear")
        inverse = vtk.vtkTransform()
        inverse.DeepCopy(parent.GetTransformFromParent())
        for index in range(3):
            fixed.SetNthControlPointPosition(index, *inverse.TransformPoint(fixed.GetNthControlPointPosition(index)))
        fixed.SetAndObserveTransformNodeID(parent.GetID())
        errors = errorsOf(result, fixed, points(scene, "M", SHIFT))
        np.testing.assert_allclose(errors.after, 0, atol=MM)

    @pytest.mark.parametrize("kind", ["linear", "grid", "spline"])
    def test_with_an_initial_transform_the_error_is_measured_in_the_world(self, scene, translated, makeParent, kind):
        """The moving list is under the initial transform, like the moving volume."""
        parent = makeParent(kind)
        result, fromWorld = translated(parent), parent.GetTransformFromParent()
        placed = [np.array(point) + SHIFT for point in POINTS.values()]
        local = {name: fromWorld.TransformPoint(p) for name, p in zip(POINTS, placed, strict=True)}
        moving = addLandmarks(scene, "M", local)
        moving.SetAndObserveTransformNodeID(parent.GetID())
        errors = errorsOf(result, points(scene, "F"), moving)
        np.testing.assert_allclose(errors.before, np.tile(-SHIFT, (3, 1)), atol=0.02)  # Twice the inverse's 0.01 mm.
        np.testing.assert_allclose(errors.after, 0, atol=0.02)

    @pytest.mark.parametrize("kind", [None, "linear", "grid"])
    def test_a_moving_list_under_the_result_gives_the_same(self, scene, translated, makeParent, kind):
        parent = None if kind is None else makeParent(kind)
        result, moving = translated(parent), points(scene, "M", np.add(SHIFT, (0.3, 0.1, 0)))
        moving.SetAndObserveTransformNodeID(parent and parent.GetID())
        expected = errorsOf(result, points(scene, "F"), moving)
        moving.SetAndObserveTransformNodeID(result.transformNode.GetID())
        errors = errorsOf(result, points(scene, "F2"), moving)
        np.testing.assert_allclose(errors.before, expected.before, atol=0.02)
        np.testing.assert_allclose(errors.after, expected.after, atol=0.02)


def test_without_a_pair_there_are_no_errors(scene, translated):
    result = translated()
    nothing = addLandmarks(scene, "M", {})
    errors = targetRegistrationError(
        points(scene, "F"), nothing, result.transformNode, result.pair.movingVolume, complete=False
    )
    assert errors.labels == ()
    assert errors.before.shape == errors.after.shape == errors.fixed.shape == (0, 3)
    assert np.isnan(errors.summary()["after"]["max"])


def test_landmarks_off_the_slice_are_marked_with_their_distance(scene, translated):
    result = translated()
    fixed = points(scene, "F")
    fixed.SetNthControlPointPosition(1, 9, 3, 2.4)
    fixed.SetNthControlPointPosition(2, 14, 12, -1)
    errors = errorsOf(result, fixed, points(scene, "M"))
    np.testing.assert_allclose(errors.distances(result.pair.plane), [0, 0.4, 3], atol=1e-9)
    assert errors.offPlane(result.pair.plane).tolist() == [False, False, True]


@pytest.fixture
def errors():
    """Distances 5, 0 and 1 mm before, 1, 0 and 0 after."""
    before = np.array([[3.0, 4, 0], [0, 0, 0], [0, 0, -1]])
    after = np.array([[0.0, -1, 0], [0, 0, 0], [0, 0, 0]])
    return TreTable(("a", "b", "c"), np.zeros((3, 3)), before, after)


def test_the_summary_is_over_the_distances(errors):
    assert errors.summary()["before"] == pytest.approx({"mean": 2, "SD": np.sqrt(14 / 3), "median": 1, "max": 5})
    assert errors.summary()["after"]["max"] == 1
