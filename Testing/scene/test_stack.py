"""All slices of a volume become one transform, and every frame of a sequence its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import slicer
import slicer.util
import torch

from UnsupervisedRegistrationLib.core.images.preprocessing import PreprocessingConfiguration
from UnsupervisedRegistrationLib.core.registration.image_pair import ImagePair
from UnsupervisedRegistrationLib.core.registration.options import RegistrationOptions
from UnsupervisedRegistrationLib.core.registration.pipeline import run
from UnsupervisedRegistrationLib.core.registration.result import Cancelled
from UnsupervisedRegistrationLib.core.registration.stages import network_stages
from UnsupervisedRegistrationLib.core.spatial.deformation import Mapping
from UnsupervisedRegistrationLib.scene.geometry.planes import planeFromIndex
from UnsupervisedRegistrationLib.scene.geometry.sampling import sampleVolume
from UnsupervisedRegistrationLib.scene.geometry.transforms import mapToMoving
from UnsupervisedRegistrationLib.scene.geometry.volumes import addVolume
from UnsupervisedRegistrationLib.scene.history import result_history as history
from UnsupervisedRegistrationLib.scene.registration import sequence as sequences
from UnsupervisedRegistrationLib.scene.registration import volume as stack
from UnsupervisedRegistrationLib.scene.registration.candidate_models import openModel
from UnsupervisedRegistrationLib.scene.registration.result_nodes import SliceOutputs
from UnsupervisedRegistrationLib.scene.registration.slice_pair import SliceInputs
from UnsupervisedRegistrationLib.scene.registration.volume import VolumeSlices
from UnsupervisedRegistrationLib.scene.reporting.summary import resultSentence
from UnsupervisedRegistrationLib.scene.scene_nodes import nodesByClass

MM = 1e-4
SHAPE = (6, 64, 72)


@pytest.fixture(scope="module")
def model():
    return openModel("any-contrast")


@pytest.fixture
def volumes(makeVolume, orientation):
    return [makeVolume(orientation.ijkToRas, name, SHAPE, seed) for seed, name in enumerate(("Fixed", "Moving"))]


@pytest.fixture
def obliqueVolumes(makeVolume, oblique):
    return [makeVolume(oblique.ijkToRas, name, SHAPE, seed) for seed, name in enumerate(("Fixed", "Moving"))]


@pytest.fixture
def known(monkeypatch):
    """In place of the network: slice n moves by ``rows[n]`` pixels down the rows; keeps the images it was given."""

    def put(rows):
        given, left = {}, list(rows)

        def predict(pair, model, plan, grid, agree):
            count, shape = len(pair.fixed), tuple(pair.fixed.shape[2:])
            scale = pair.shape[0] / grid.shape[0]  # Working voxels in a pixel.
            forward = torch.zeros(count, 2, *shape)
            forward[:, 0] = scale * torch.tensor([left.pop(0) for _ in range(count)])[:, None, None]
            return Mapping(forward, -forward)

        def watched(images, *others):
            left[:] = rows
            given.update(vars(images))
            return run(images, *others, without=frozenset({"never_worse"}))  # The images are noise.

        def tracked(frames, grid, *others):
            return watched(ImagePair(frames[:1].expand_as(frames[1:]), frames[1:], grid), *others)

        monkeypatch.setattr(network_stages, "predict", predict)
        monkeypatch.setattr(stack, "run", watched)
        monkeypatch.setattr(sequences, "track_frames", tracked)
        return given

    return put


def options(**changes):
    return RegistrationOptions(**{"preset": "fast", "prealignment": "none", "device": "cpu", **changes})


def registerVolume(fixed, moving, *, model, maskNode=None, movingMaskNode=None, progress=None, **settings):
    """A volume, without instance optimisation."""
    names = ("orientation", "sliceRange", "smoothing")
    slices = VolumeSlices(**{name: settings.pop(name) for name in names if name in settings})
    inputs = SliceInputs(fixed, moving, maskNode=maskNode, movingMaskNode=movingMaskNode)
    return stack.registerVolume(inputs, slices, options(), SliceOutputs(**settings), progress, [model])


def registerSequence(frames, *, model, transformSequence=None):
    """A sequence, without instance optimisation."""
    return sequences.registerSequence(frames, None, options(), transformSequence, models=[model]).transformSequence


def alongK(orientation):
    return next(name for name, axis in orientation.normalAxis.items() if axis == 2)


def downRows(result, index, volume, orientation):
    """How far the transform moves the middle of a slice, in pixels down the rows."""
    plane = planeFromIndex(volume, orientation, index)
    moved = mapToMoving(result.transformNode, plane.centre[None])[0] - plane.centre
    return moved @ plane.ijkToRas[:3, 1] / (plane.ijkToRas[:3, 1] @ plane.ijkToRas[:3, 1])


def test_every_slice_gets_its_displacement_in_every_orientation(volumes, known, model, orientation):
    name = alongK(orientation)
    base = planeFromIndex(volumes[0], name, 0)
    step = planeFromIndex(volumes[0], name, 1).centre - base.centre
    rows = [0.5, -1.0, 1.5, 2.0, 0.0, 1.0]
    known(rows if step @ base.normal > 0 else rows[::-1])
    result = registerVolume(*volumes, orientation=name, smoothing=0, model=model)
    assert result.slices == (0, 1, 2, 3, 4, 5)
    found = [downRows(result, index, volumes[0], name) for index in range(6)]
    np.testing.assert_allclose(found, rows, atol=MM)


def test_the_network_sees_the_slices_of_both_volumes(volumes, known, model, orientation):
    name = alongK(orientation)
    given = known([0.0] * 3)
    registerVolume(*volumes, orientation=name, sliceRange=(2, 4), model=model)
    for key, volume in zip(("fixed", "moving"), volumes, strict=True):
        planes = [planeFromIndex(volumes[0], name, index) for index in (2, 3, 4)]
        planes.sort(key=lambda plane: plane.centre @ plane.normal)
        expected = np.stack([sampleVolume(volume, plane).pixels for plane in planes])
        np.testing.assert_allclose(given[key][:, 0], expected, atol=1e-3)


def test_the_warped_volume_is_the_moving_one_through_the_transform(obliqueVolumes, known, model):
    known([0.5, -1.0, 1.5, 2.0, 0.0, 1.0])
    result = registerVolume(*obliqueVolumes, smoothing=0, model=model)
    voxels = slicer.util.arrayFromVolume(result.warpedVolume)
    assert voxels.shape == SHAPE
    for index in range(6):
        shown = sampleVolume(obliqueVolumes[1], planeFromIndex(obliqueVolumes[0], "axial", index)).pixels
        np.testing.assert_allclose(voxels[index, 3:-3], shown[3:-3], atol=0.5)  # Not what lies outside.


def test_a_confined_range_leaves_the_other_slices(obliqueVolumes, known, model):
    known([1.0, 1.0])
    result = registerVolume(*obliqueVolumes, sliceRange=(2, 3), smoothing=0, model=model)
    found = [downRows(result, index, obliqueVolumes[0], "axial") for index in range(6)]
    np.testing.assert_allclose(found, [0, 0, 1, 1, 0, 0], atol=MM)


def test_an_unconfined_range_moves_those_beyond_like_the_last(obliqueVolumes, known, model):
    known([1.0, 2.0])
    result = registerVolume(*obliqueVolumes, sliceRange=(2, 3), smoothing=0, thisSliceOnly=False, model=model)
    found = [downRows(result, index, obliqueVolumes[0], "axial") for index in (0, 1, 4, 5)]
    np.testing.assert_allclose(found, [1, 1, 2, 2], atol=MM)


def test_smoothing_is_a_gaussian_along_the_slices(obliqueVolumes, known, model):
    """3 mm are one slice here."""
    known([0.0, 0, 1, 0, 0, 0])
    result = registerVolume(*obliqueVolumes, smoothing=3, model=model)
    weights = np.exp(-0.5 * np.subtract.outer(np.arange(6), np.arange(6)) ** 2)
    expected = (weights / weights.sum(axis=1, keepdims=True))[:, 2]
    found = [downRows(result, index, obliqueVolumes[0], "axial") for index in range(6)]
    np.testing.assert_allclose(found, expected, atol=MM)


def test_slices_that_show_nothing_do_not_hold_the_others_back(obliqueVolumes, known, model):
    slicer.util.arrayFromVolume(obliqueVolumes[1])[4:] = 0
    known([1.0, 1, 1, 1, 0, 0])
    result = registerVolume(*obliqueVolumes, smoothing=3, model=model)
    found = [downRows(result, index, obliqueVolumes[0], "axial") for index in range(4)]
    np.testing.assert_allclose(found, 1, atol=MM)
    assert "2 of 6 slices show nothing" in resultSentence(result, None)


@pytest.fixture
def maskOn(scene, obliqueVolumes):
    """A labelmap on the fixed volume that covers some slices, away from their border."""

    def make(slices, shift=0):
        voxels = np.zeros(SHAPE, np.uint8)
        voxels[slices, 12:52, 12 + shift : 60] = 1
        node = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "Mask")
        slicer.util.updateVolumeFromArray(node, voxels)
        node.CopyOrientation(obliqueVolumes[0])
        return node

    return make


def test_the_network_sees_both_masks_slice_by_slice(obliqueVolumes, known, model, maskOn):
    given = known([0.0] * 6)
    masks = {"mask": maskOn([1, 3, 4]), "moving_mask": maskOn([0, 3], 5)}
    registerVolume(*obliqueVolumes, model=model, maskNode=masks["mask"], movingMaskNode=masks["moving_mask"])
    for name, node in masks.items():
        expected = slicer.util.arrayFromVolume(node)
        found = given[name][:, 0].numpy()
        assert (found if keepsOrder(obliqueVolumes) else found[::-1]).tolist() == expected.tolist()


def keepsOrder(volumes):
    """Whether the normal of the slices points to higher indices."""
    first, second = (planeFromIndex(volumes[0], "axial", index) for index in (0, 1))
    return (second.centre - first.centre) @ first.normal > 0


def test_outside_the_mask_nothing_moves(obliqueVolumes, model, maskOn):
    result = registerVolume(*obliqueVolumes, smoothing=0, model=model, maskNode=maskOn([2, 3, 4]))
    for index in (0, 1, 5):
        plane = planeFromIndex(obliqueVolumes[0], "axial", index)
        moved = mapToMoving(result.transformNode, plane.pixelPositions().reshape(-1, 3))
        assert np.abs(moved - plane.pixelPositions().reshape(-1, 3)).max() < 0.01
    plane = planeFromIndex(obliqueVolumes[0], "axial", 3)
    inside = plane.pixelPositions()[20:44, 20:52].reshape(-1, 3)
    assert np.abs(mapToMoving(result.transformNode, inside) - inside).max() > 0.5
    assert "3 of 6 slices lie outside the mask and stay" in resultSentence(result, None)


def test_a_mask_that_misses_the_middle_slice_is_no_error(obliqueVolumes, model, maskOn):
    result = registerVolume(*obliqueVolumes, model=model, maskNode=maskOn([0, 1]))
    assert result.pair.mask is None


def test_a_mask_beside_all_slices_is_refused(obliqueVolumes, model, maskOn, snapshot):
    mask = maskOn([5])
    before = snapshot()
    with pytest.raises(ValueError, match="no pixel on any of the slices"):
        registerVolume(*obliqueVolumes, sliceRange=(0, 2), model=model, maskNode=mask)
    assert snapshot() == before


def test_a_slice_that_the_window_of_a_model_leaves_constant_is_skipped(obliqueVolumes, model):
    """Of intensities 0 to 200 a window that ends at 100 shows something; of 300 to 500 it does not."""
    preprocessing = PreprocessingConfiguration(intensity="window", lower=-200, upper=100)
    windowed = replace(model, configuration=replace(model.configuration, preprocessing=preprocessing))
    for volume in obliqueVolumes:
        slicer.util.arrayFromVolume(volume)[:] /= 5
    slicer.util.arrayFromVolume(obliqueVolumes[1])[4] += 300
    result = registerVolume(*obliqueVolumes, model=windowed)
    assert "1 of 6 slices show nothing in one of the volumes" in resultSentence(result, None)


def test_an_initial_transform_stays_part_of_the_result(obliqueVolumes, known, model, makeParent):
    parent = makeParent("linear")
    obliqueVolumes[1].SetAndObserveTransformNodeID(parent.GetID())
    known([0.0] * 6)
    result = registerVolume(*obliqueVolumes, model=model)
    point = planeFromIndex(obliqueVolumes[0]).centre
    expected = parent.GetTransformFromParent().TransformPoint(point)
    np.testing.assert_allclose(mapToMoving(result.transformNode, point[None])[0], expected, atol=MM)


def test_the_result_can_be_kept_and_described(scene, obliqueVolumes, known, model):
    known([0.0] * 6)
    result = registerVolume(*obliqueVolumes, model=model)
    assert "no folding" in resultSentence(result, None)
    stored = history.storeResult(scene, result, {"model": "any-contrast"})
    assert stored.plane.name == "axial slices 0 to 5"
    assert slicer.util.arrayFromVolume(stored.warpedVolume).shape == SHAPE
    assert result.jacobian.shape == SHAPE[1:]
    assert result.registration.similarity_before == pytest.approx(result.registration.similarity_after, abs=0.01)


def test_the_middle_slice_stands_for_all(volumes, known, model, orientation):
    """Its displacement and its pixels, in volumes whose normal points to lower indices too."""
    name = alongK(orientation)
    known([0.0] * 6)
    result = registerVolume(*volumes, orientation=name, smoothing=0, model=model)
    middle = planeFromIndex(volumes[0], name, 3)
    np.testing.assert_allclose(result.pair.plane.centre, middle.centre, atol=1e-9)
    shown = sampleVolume(volumes[1], middle).pixels
    np.testing.assert_allclose(result.warpedPixels[3:-3], shown[3:-3], atol=0.5)
    np.testing.assert_allclose(result.registration.warped[0, 0, 3:-3], shown[3:-3], atol=0.5)


def test_points_on_any_of_the_slices_count(volumes, known, model, orientation):
    name = alongK(orientation)
    known([0.0] * 3)
    result = registerVolume(*volumes, orientation=name, sliceRange=(1, 3), model=model)
    centres = np.array([planeFromIndex(volumes[0], name, index).centre for index in range(6)])
    assert result.covers(centres).tolist() == [False, True, True, True, False, False]


def test_the_network_itself_does_it(obliqueVolumes, model):
    told = []
    result = registerVolume(*obliqueVolumes, model=model, progress=lambda *step: told.append(step))
    assert result.registration.similarity_after > result.registration.similarity_before
    assert result.registration.device == "cpu"
    assert [stage for stage, _ in told if stage == "network"]
    assert [share for _, share in told] == sorted(share for _, share in told)


class TestRefused:
    @pytest.fixture
    def refused(self, snapshot):
        def run(function, sentence, *arguments, error=ValueError, **settings):
            before = snapshot()
            with pytest.raises(error, match=sentence):
                function(*arguments, **settings)
            assert snapshot() == before

        return run

    def test_a_cancelled_run_changes_nothing(self, obliqueVolumes, model, refused):
        def cancel(step, share):
            raise Cancelled

        refused(registerVolume, None, *obliqueVolumes, model=model, progress=cancel, error=Cancelled)

    @pytest.mark.parametrize("sliceRange", [(-1, 3), (4, 2), (0, 6)])
    def test_a_range_outside(self, obliqueVolumes, refused, sliceRange, model):
        refused(registerVolume, "has 0 to 5; choose", *obliqueVolumes, sliceRange=sliceRange, model=model)

    def test_a_volume_deleted_meanwhile(self, scene, obliqueVolumes, model):
        def remove(step, share):
            scene.RemoveNode(obliqueVolumes[1])

        with pytest.raises(ValueError, match="'Moving' was deleted during the registration"):
            registerVolume(*obliqueVolumes, model=model, progress=remove)
        assert not nodesByClass(scene, "vtkMRMLTransformNode")

    def test_a_volume_beside(self, obliqueVolumes, makeVolume, oblique, model, refused):
        far = oblique.ijkToRas.copy()
        far[:3, 3] += 500
        refused(registerVolume, "overlap", obliqueVolumes[0], makeVolume(far, "Far", SHAPE), model=model)

    def test_an_output_that_is_in_use(self, scene, obliqueVolumes, model, refused):
        output = scene.AddNewNodeByClass("vtkMRMLTransformNode", "Output")
        obliqueVolumes[0].SetAndObserveTransformNodeID(output.GetID())
        refused(registerVolume, "already moves the fixed", *obliqueVolumes, transformNode=output, model=model)

    def test_a_sequence_of_one_frame(self, scene, makeVolume, oblique, model, refused):
        sequence = sequenceOf(scene, [makeVolume(oblique.ijkToRas)])
        refused(registerSequence, "has 1 items; needed are two volumes", sequence, model=model)

    def test_a_sequence_of_something_else(self, scene, model, refused):
        sequence = sequenceOf(scene, [scene.AddNewNodeByClass("vtkMRMLTextNode") for _ in range(2)])
        refused(registerSequence, "needed are two volumes", sequence, model=model)

    def test_transforms_over_their_own_volumes(self, scene, frames, model, refused):
        refused(registerSequence, "would overwrite 'Cine'", frames, transformSequence=frames, model=model)


def sequenceOf(scene, nodes):
    sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode", "Cine")
    sequence.SetIndexName("time")
    sequence.SetIndexUnit("ms")
    for index, node in enumerate(nodes):
        sequence.SetDataNodeAtValue(node, str(40 * index))
    return sequence


@pytest.fixture
def frames(scene, makeVolume, oblique):
    return sequenceOf(scene, [makeVolume(oblique.ijkToRas, f"Frame {n}", (1, 64, 72), n) for n in range(4)])


def test_every_frame_gets_a_transform_onto_the_first(frames, known, model):
    given = known([1.0, 2.0, 3.0])
    found = registerSequence(frames, model=model)
    assert [found.GetNthIndexValue(n) for n in range(4)] == ["0", "40", "80", "120"]
    assert (found.GetIndexName(), found.GetIndexUnit()) == ("time", "ms")
    plane = planeFromIndex(frames.GetNthDataNode(0))
    for index in range(4):
        moved = mapToMoving(found.GetNthDataNode(index), plane.centre[None])[0] - plane.centre
        np.testing.assert_allclose(moved, index * plane.ijkToRas[:3, 1], atol=MM)
    first = slicer.util.arrayFromVolume(frames.GetNthDataNode(0))[0]
    np.testing.assert_allclose(given["fixed"][:, 0], np.stack([first] * 3), atol=1e-3)
    last = slicer.util.arrayFromVolume(frames.GetNthDataNode(3))[0]
    np.testing.assert_allclose(given["moving"][2, 0], last, atol=1e-3)


def test_a_frame_under_its_transform_looks_like_the_first(scene, oblique, model):
    """Frames of a body that grows by a tenth; their difference from the first falls by more than a third."""
    rows, columns = np.indices((96, 96)) - 47.5
    voxels = [200.0 * (np.hypot(rows / s, columns / s) < 30) for s in (1, 1.1)]
    nodes = [addVolume(scene, f"Frame {n}", v[None].astype(np.float32), oblique.ijkToRas) for n, v in enumerate(voxels)]
    found = registerSequence(sequenceOf(scene, nodes), model=model)
    plane = planeFromIndex(nodes[0])
    warped = sampleVolume(nodes[1], plane, found.GetNthDataNode(1).GetTransformFromParent()).pixels
    before, after = (np.abs(image - voxels[0]).mean() for image in (voxels[1], warped))
    assert after < 2 / 3 * before


def test_given_transforms_are_replaced(scene, frames, known, model):
    known([0.0] * 3)
    output = registerSequence(frames, model=model)
    count = scene.GetNumberOfNodes()
    assert registerSequence(frames, transformSequence=output, model=model) is output
    assert output.GetNumberOfDataNodes() == 4
    assert scene.GetNumberOfNodes() == count
