"""What steers a registration reaches the core as it should, and a live update costs little and leaves nothing."""

from __future__ import annotations

import gc
import time
from dataclasses import replace

import numpy as np
import pytest
import slicer
import slicer.util
import torch
import vtk

from UnsupervisedRegistrationLib.core.registration.options import RegistrationOptions
from UnsupervisedRegistrationLib.core.registration.result import Cancelled
from UnsupervisedRegistrationLib.scene.geometry.planes import planeFromIndex, shiftedPlane
from UnsupervisedRegistrationLib.scene.geometry.sampling import sampleVolume
from UnsupervisedRegistrationLib.scene.geometry.transforms import mapToMoving
from UnsupervisedRegistrationLib.scene.geometry.volumes import addVolume
from UnsupervisedRegistrationLib.scene.landmarks.markups import addLandmarks
from UnsupervisedRegistrationLib.scene.registration.candidate_models import openModel
from UnsupervisedRegistrationLib.scene.registration.result_nodes import SliceOutputs, showSliceResult
from UnsupervisedRegistrationLib.scene.registration.slice import registerSlice
from UnsupervisedRegistrationLib.scene.registration.slice_pair import (
    SliceInputs,
    SliceSource,
    landmarksInPlane,
    samplePair,
)
from UnsupervisedRegistrationLib.scene.scene_nodes import nodesByClass

VOXELS = 1e-3  # float32 positions of a few dozen voxels.
SHAPE = (3, 64, 64)


@pytest.fixture(scope="module")
def model():
    return openModel("any-contrast")


@pytest.fixture
def volumes(makeVolume, oblique):
    return [makeVolume(oblique.ijkToRas, name, SHAPE, seed) for seed, name in enumerate(("Fixed", "Moving"))]


FAST = RegistrationOptions(preset="fast", prealignment="none", device="cpu")


def imagesOf(*volumes, **further):
    """What the core is given of two volumes."""
    return SliceSource(SliceInputs(*volumes, **further)).sample(None)


def labelmap(scene, voxels, like):
    node = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "Mask")
    slicer.util.updateVolumeFromArray(node, voxels.astype(np.uint8))
    node.CopyOrientation(like)
    return node


class TestMovingMask:
    def test_it_covers_the_pixels_of_its_voxels(self, scene, volumes):
        voxels = np.zeros(SHAPE)
        voxels[1, 10:30, 5:50] = 1
        images = imagesOf(*volumes, movingMaskNode=labelmap(scene, voxels, volumes[1]))
        np.testing.assert_array_equal(images.moving_mask[0, 0], voxels[1])
        assert images.mask is None

    def test_it_moves_with_the_moving_volume(self, scene, makeVolume):
        """A shift by two voxels places the moving volume, and its mask with it."""
        fixed, moving = (makeVolume(np.eye(4), name, SHAPE, seed) for seed, name in enumerate(("Fixed", "Moving")))
        voxels = np.zeros(SHAPE)
        voxels[1, 10:30, 5:50] = 1
        mask, parent = labelmap(scene, voxels, moving), scene.AddNewNodeByClass("vtkMRMLTransformNode")
        shift = vtk.vtkTransform()
        shift.Translate(2, 0, 0)
        parent.SetAndObserveTransformToParent(shift)
        moving.SetAndObserveTransformNodeID(parent.GetID())
        images = imagesOf(fixed, moving, movingMaskNode=mask)
        np.testing.assert_array_equal(images.moving_mask[0, 0, :, 2:], voxels[1, :, :-2])

    def test_it_follows_the_slice_of_the_moving_volume(self, scene, volumes):
        voxels = np.zeros(SHAPE)
        voxels[2, 3:20, 3:20] = 1
        plane = planeFromIndex(volumes[0], "axial", 0)
        offset = planeFromIndex(volumes[0], "axial", 2).centre - plane.centre
        mask = labelmap(scene, voxels, volumes[1])
        images = imagesOf(*volumes, plane=plane, movingOffset=offset, movingMaskNode=mask)
        np.testing.assert_array_equal(images.moving_mask[0, 0], voxels[2])

    def test_it_must_cover_the_slice(self, scene, volumes, model, snapshot):
        mask = labelmap(scene, np.zeros(SHAPE), volumes[1])
        before = snapshot()
        with pytest.raises(ValueError, match="'Mask' has no pixel"):
            registerSlice(SliceInputs(*volumes, movingMaskNode=mask), FAST, models=[model])
        assert snapshot() == before


class TestLandmarks:
    def lists(self, scene, pair, fixed, moving):
        """Point lists from pixels ``{label: (row, column, slices away)}``."""
        nodes = []
        for name, points in (("F", fixed), ("M", moving)):
            positions = {
                label: tuple(pair.plane.ijkToRas[:3] @ [column, row, away, 1])
                for label, (row, column, away) in points.items()
            }
            nodes.append(addLandmarks(scene, name, positions))
        return nodes

    def test_they_come_in_voxels_of_the_plane(self, scene, pair):
        nodes = self.lists(scene, pair, {"a": (3, 7, 0), "b": (20, 11, 0)}, {"b": (21, 9, 0), "a": (4.5, 7, 0)})
        landmarks, remarks = landmarksInPlane(pair, *nodes)
        np.testing.assert_allclose(landmarks.fixed, [[3, 7], [20, 11]], atol=VOXELS)
        np.testing.assert_allclose(landmarks.moving, [[4.5, 7], [21, 9]], atol=VOXELS)
        assert remarks == ()

    def test_those_off_the_slice_are_left_out_and_said_so(self, scene, pair):
        fixed = {"a": (3, 7, 0.4), "b": (20, 11, 0.6), "c": (5, 5, 0)}
        nodes = self.lists(scene, pair, fixed, {"a": (3, 7, 0), "b": (20, 11, 0), "c": (5, 5, -2)})
        landmarks, remarks = landmarksInPlane(pair, *nodes)
        np.testing.assert_allclose(landmarks.fixed, [[3, 7]], atol=VOXELS)
        assert remarks == ("2 of 3 landmarks lie off the slice and did not steer",)

    def test_if_none_is_left_nothing_steers(self, scene, obliquePair, model):
        nodes = self.lists(scene, obliquePair, {"a": (3, 7, 3)}, {"a": (3, 7, 3)})
        inputs = SliceInputs(
            obliquePair.fixedVolume, obliquePair.movingVolume, obliquePair.plane, landmarks=tuple(nodes)
        )
        result = registerSlice(inputs, FAST, models=[model])
        assert result.registration.plan.optimisation is None
        assert "1 of 1 landmarks lie off the slice" in " ".join(result.notes)

    def test_those_of_another_slice_of_the_moving_volume_lie_on_it(self, scene, obliquePair):
        offset = 2 * obliquePair.plane.ijkToRas[:3, 2]
        pair = samplePair(
            SliceInputs(
                obliquePair.fixedVolume, obliquePair.movingVolume, shiftedPlane(obliquePair.plane, -offset), offset
            )
        )
        nodes = self.lists(scene, pair, {"a": (3, 7, 0)}, {"a": (4, 8, 2)})
        landmarks, _ = landmarksInPlane(pair, *nodes)
        np.testing.assert_allclose(landmarks.moving, [[4, 8]], atol=VOXELS)

    @pytest.mark.parametrize("kind", ["linear", "grid"])
    def test_those_under_a_result_steer_as_before_it(self, scene, obliquePair, handmade, makeParent, kind):
        """The list lies under the initial transform first, then with the volume under the result."""
        moving, parent = obliquePair.movingVolume, makeParent(kind)
        moving.SetAndObserveTransformNodeID(parent.GetID())
        pair = samplePair(SliceInputs(obliquePair.fixedVolume, moving, obliquePair.plane))
        nodes = self.lists(scene, pair, {"a": (3, 7, 0)}, {"a": (4, 8, 0)})
        local = parent.GetTransformFromParent().TransformPoint(nodes[1].GetNthControlPointPosition(0))
        nodes[1].SetNthControlPointPosition(0, *local)
        nodes[1].SetAndObserveTransformNodeID(parent.GetID())
        expected = landmarksInPlane(pair, *nodes)[0].moving
        result = showSliceResult(pair, handmade(pair.plane.shape), SliceOutputs())
        nodes[1].SetAndObserveTransformNodeID(result.transformNode.GetID())
        again = samplePair(SliceInputs(obliquePair.fixedVolume, moving, obliquePair.plane))
        np.testing.assert_allclose(landmarksInPlane(again, *nodes)[0].moving, expected, atol=0.02)

    def test_lists_that_do_not_pair_are_refused(self, scene, volumes, model, snapshot):
        lists = [addLandmarks(scene, name, {label: (0.0, 0.0, 0.0)}) for name, label in (("F", "a"), ("M", "b"))]
        before = snapshot()
        with pytest.raises(ValueError, match="have no partner"):
            registerSlice(SliceInputs(*volumes, landmarks=tuple(lists)), FAST, models=[model])
        assert snapshot() == before

    def test_landmarks_pull_the_result_towards_them(self, scene, makeVolume, oblique, model):
        volumes = [makeVolume(oblique.ijkToRas, name, SHAPE, 0) for name in ("Fixed", "the same")]
        pair = samplePair(SliceInputs(*volumes))
        nodes = self.lists(scene, pair, {"a": (30, 30, 0)}, {"a": (34, 30, 0)})
        result = registerSlice(SliceInputs(*volumes, landmarks=tuple(nodes)), FAST, models=[model])
        start = pair.plane.ijkToRas[:3] @ [30, 30, 0, 1]
        end = pair.plane.ijkToRas[:3] @ [30, 34, 0, 1]
        moved = mapToMoving(result.transformNode, start[None])[0]
        assert np.linalg.norm(start - end) > 4
        assert np.linalg.norm(moved - end) < 0.5


def test_the_options_reach_the_core(volumes, model):
    options = RegistrationOptions(smoothness_weight=3.0, similarity="mind", uncertainty=True, prealignment="none")
    result = registerSlice(SliceInputs(*volumes), options, models=[model])
    assert result.registration.plan.preset == "standard"
    assert result.registration.plan.optimisation.smoothness_weight == 3.0
    assert result.registration.plan.optimisation.similarity == "mind"
    assert result.expectedError.shape == result.pair.plane.shape


def test_trust_is_one_where_no_error_is_expected(obliquePair, handmade):
    shape = obliquePair.plane.shape
    error = torch.zeros(1, 1, *shape)
    error[0, 0, 5, 5] = 4
    result = showSliceResult(obliquePair, replace(handmade(shape), expected_error=error), SliceOutputs())
    assert result.trust[0, 0] == 1
    assert result.trust[5, 5] < 0.5
    assert result.expectedError[5, 5] == 4


def test_without_an_estimate_there_is_no_trust(obliquePair, handmade):
    result = showSliceResult(obliquePair, handmade(obliquePair.plane.shape), SliceOutputs())
    assert result.trust is None
    assert result.expectedError is None


def test_a_cancelled_registration_changes_nothing(volumes, model, snapshot):
    def cancel(step, share):
        if share > 0:
            raise Cancelled

    before = snapshot()
    with pytest.raises(Cancelled):
        registerSlice(SliceInputs(*volumes), FAST, models=[model], progress=cancel)
    assert snapshot() == before


@pytest.mark.parametrize("index", [0, 1])
def test_a_volume_deleted_while_registering_is_told(scene, volumes, model, index):
    def remove(step, share):
        scene.RemoveNode(volumes[index])

    name = volumes[index].GetName()
    with pytest.raises(ValueError, match=f"'{name}' was deleted during the registration; choose another"):
        registerSlice(SliceInputs(*volumes), FAST, models=[model], progress=remove)
    assert not nodesByClass(scene, "vtkMRMLTransformNode")


class TestLive:
    @pytest.fixture(params=["alone", "placed"])
    def update(self, request, obliquePair, handmade):
        """A function that shows one more result in the nodes of the first."""
        pair = obliquePair if request.param == "alone" else replace(obliquePair, prealignmentMatrix=np.eye(4))
        first = showSliceResult(pair, handmade(pair.plane.shape), SliceOutputs())

        def show(rows=1.0):
            registration = handmade(pair.plane.shape, rows)
            return showSliceResult(
                pair, registration, SliceOutputs(first.transformNode, first.warpedVolume), exact=False
            )

        return show

    def test_one_event_tells_of_an_update(self, update):
        node, events = update().transformNode, []
        for event in (vtk.vtkCommand.ModifiedEvent, slicer.vtkMRMLTransformableNode.TransformModifiedEvent):
            node.AddObserver(event, lambda *_, event=event: events.append(event))
        update(2.0)
        assert events == [slicer.vtkMRMLTransformableNode.TransformModifiedEvent]

    def test_many_updates_add_no_node_and_no_object(self, scene, update):
        result = update()
        held = (result.transformNode, result.warpedVolume, result.pair.fixedVolume, result.pair.movingVolume)
        nodes, references = scene.GetNumberOfNodes(), [node.GetReferenceCount() for node in held]
        gc.collect()
        before = len(gc.get_objects())
        for number in range(200):
            update(0.01 * number)
        gc.collect()
        assert scene.GetNumberOfNodes() == nodes
        assert [node.GetReferenceCount() for node in held] == references
        assert len(gc.get_objects()) - before < 200

    def test_the_last_update_is_what_is_shown(self, update, displacementMm, pixelPositions):
        update(0.5)
        result = update(3.0)
        positions = pixelPositions(result.pair.plane).reshape(-1, 3)
        expected = positions + displacementMm(result.pair.plane, result.registration).reshape(-1, 3)
        np.testing.assert_allclose(mapToMoving(result.transformNode, positions), expected, atol=1e-4)

    def test_the_quick_picture_is_the_slice_the_network_warped(self, update):
        result = update()
        np.testing.assert_array_equal(result.warpedPixels, result.registration.warped[0, 0])


def test_a_live_update_takes_little_time(scene, handmade):
    """15 ms of this process for 256 x 256 pixels, the best of many, whatever else the machine does."""
    volumes = [
        addVolume(scene, name, np.random.default_rng(seed).random((3, 256, 256), np.float32), np.eye(4))
        for seed, name in enumerate(("Fixed", "Moving"))
    ]
    pair = samplePair(SliceInputs(*volumes))
    registration = handmade(pair.plane.shape)
    result = showSliceResult(pair, registration, SliceOutputs())
    times = []
    for _ in range(20):
        start = time.process_time()
        showSliceResult(pair, registration, SliceOutputs(result.transformNode, result.warpedVolume), exact=False)
        times.append(time.process_time() - start)
    assert min(times) < 0.015


def test_an_exact_picture_is_sampled_once_from_the_volume(obliquePair, handmade):
    result = showSliceResult(obliquePair, handmade(obliquePair.plane.shape), SliceOutputs())
    shown = sampleVolume(obliquePair.movingVolume, obliquePair.plane).pixels
    np.testing.assert_allclose(result.warpedPixels, shown, atol=1e-3)
    assert result.transformNode.GetTransformFromParent().GetInterpolationModeAsString() == "Cubic"
