"""One slice onto another, from the scene and back into it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import slicer
import slicer.util

from UnsupervisedRegistrationLib.core.registration import options
from UnsupervisedRegistrationLib.core.registration.pipeline import run
from UnsupervisedRegistrationLib.scene.geometry.planes import offsetBetween, planeFromIndex
from UnsupervisedRegistrationLib.scene.geometry.volumes import addVolume
from UnsupervisedRegistrationLib.scene.landmarks.tre_table import targetRegistrationError
from UnsupervisedRegistrationLib.scene.registration.candidate_models import openModel
from UnsupervisedRegistrationLib.scene.registration.phantom_nodes import addPhantom
from UnsupervisedRegistrationLib.scene.registration.result_nodes import SliceOutputs, showSliceResult
from UnsupervisedRegistrationLib.scene.registration.slice import RegistrationOptions, registerSlice
from UnsupervisedRegistrationLib.scene.registration.slice_pair import SliceInputs, SliceSource, samplePair
from UnsupervisedRegistrationLib.scene.reporting.summary import resultReport, resultSentence

SHAPE = (3, 64, 64)
FAST = RegistrationOptions(preset="fast", prealignment="none", device="cpu")


@pytest.fixture(scope="module")
def model():
    return openModel("any-contrast")


@pytest.fixture(scope="module")
def phantom(model):
    """The head, registered: its nodes, the result and the errors of the landmarks."""
    slicer.mrmlScene = slicer.vtkMRMLScene()
    nodes = addPhantom(slicer.mrmlScene, "head")
    result = registerSlice(SliceInputs(nodes.fixedVolume, nodes.movingVolume), FAST, models=[model])
    errors = targetRegistrationError(
        nodes.fixedLandmarks, nodes.movingLandmarks, result.transformNode, nodes.movingVolume
    )
    return nodes, result, errors


@pytest.fixture
def volumes(makeVolume, oblique):
    return [makeVolume(oblique.ijkToRas, name, SHAPE, seed) for seed, name in enumerate(("Fixed", "Moving"))]


class TestPhantom:
    def test_landmarks_come_more_than_twice_as_close(self, phantom):
        summary = phantom[2].summary()
        assert summary["before"]["mean"] > 4
        assert summary["after"]["mean"] < summary["before"]["mean"] / 2

    def test_nothing_folds(self, phantom):
        assert phantom[1].registration.folding == 0
        assert phantom[1].jacobian.min() > 0

    def test_the_images_become_more_alike(self, phantom):
        registration = phantom[1].registration
        assert registration.similarity_after > registration.similarity_before

    def test_the_middle_axial_slice_is_the_default(self, phantom):
        assert phantom[1].pair.plane.name == "axial slice 7"

    def test_the_warped_volume_is_what_the_network_warped(self, phantom):
        """Within 1 % of the range inside: VTK warps in double precision, torch in single."""
        result = phantom[1]
        warped = result.registration.warped[0, 0].numpy()
        inner = np.s_[8:-8, 8:-8]
        np.testing.assert_allclose(result.warpedPixels[inner], warped[inner], atol=0.01 * np.ptp(warped))

    def test_the_result_in_words_names_landmarks_and_folds(self, phantom):
        assert resultSentence(phantom[1], phantom[2]).startswith("mean TRE of 8 landmarks 5.0 mm before, ")
        assert resultSentence(phantom[1], phantom[2]).endswith("no folding")

    def test_without_landmarks_the_words_name_the_similarity_alone(self, phantom):
        assert resultSentence(phantom[1], None).startswith("similarity ")

    def test_the_report_has_the_figures_of_the_run(self, phantom):
        figures = resultReport(phantom[1], phantom[2], "any-contrast")
        assert figures["fixed"] == "HeadFixed"
        assert figures["moving"] == "HeadMoving"
        assert figures["slice"] == "axial slice 7"
        assert figures["device"] == "cpu"
        assert figures["tre_mm"] == phantom[2].summary()

    def test_the_landmarks_lie_on_the_middle_slice(self, phantom):
        nodes, result, _ = phantom
        points = slicer.util.arrayFromMarkupsControlPoints(nodes.fixedLandmarks)
        assert result.pair.plane.distances(points).max() < 1e-9


def test_folding_is_said_as_a_share(obliquePair, handmade):
    registration = replace(handmade(obliquePair.plane.shape), folding=0.031)
    assert "3.1 % of the area folds" in resultSentence(showSliceResult(obliquePair, registration, SliceOutputs()), None)


def test_every_step_is_told(volumes, model):
    told = []
    registerSlice(SliceInputs(*volumes), FAST, None, lambda step, share: told.append((step, share)), [model])
    steps = list(dict.fromkeys(step for step, _ in told))
    assert steps == ["prealign", "choose the model", "prepare", "network", "warp", "compare", "measure"]
    assert [share for _, share in told] == sorted(share for _, share in told)


def test_the_pipeline_touches_no_node(volumes, model, snapshot):
    """So it may run in another thread."""
    source = SliceSource(SliceInputs(*volumes))
    before = snapshot()
    run(source, [model], FAST)
    assert snapshot() == before


def test_a_mask_keeps_the_deformation_near(scene, volumes, model):
    """The deformation has faded to nothing 20 mm outside the mask, here more than 22 pixels."""
    voxels = np.zeros(SHAPE, np.uint8)
    voxels[1, :12, :12] = 1
    mask = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "Mask")
    slicer.util.updateVolumeFromArray(mask, voxels)
    mask.CopyOrientation(volumes[0])
    result = registerSlice(SliceInputs(*volumes, maskNode=mask), FAST, models=[model])
    displacement = result.registration.displacement[0].abs()
    assert float(displacement[:, :12, :12].max()) > 0.1
    assert float(displacement[:, 48:, 48:].max()) < 0.05


def test_another_slice_of_the_moving_volume_is_registered(volumes, model):
    fixed, moving = volumes
    plane, other = planeFromIndex(fixed, "axial", 0), planeFromIndex(moving, "axial", 2)
    inputs = SliceInputs(fixed, moving, plane=plane, movingOffset=offsetBetween(plane, other))
    result = registerSlice(inputs, FAST, models=[model])
    np.testing.assert_array_equal(result.pair.moving.pixels, slicer.util.arrayFromVolume(moving)[2])
    warped = result.registration.warped[0, 0].numpy()[8:-8, 8:-8]
    np.testing.assert_allclose(result.warpedPixels[8:-8, 8:-8], warped, atol=10)  # 1 % of the range.


def neighbours(volume):
    plane, other = planeFromIndex(volume, "axial", 0), planeFromIndex(volume, "axial", 2)
    return {"plane": plane, "movingOffset": offsetBetween(plane, other)}


def test_two_slices_of_one_volume_are_registered(volumes, model):
    result = registerSlice(SliceInputs(volumes[0], volumes[0], **neighbours(volumes[0])), FAST, models=[model])
    voxels = slicer.util.arrayFromVolume(volumes[0])
    np.testing.assert_array_equal(result.pair.fixed.pixels, voxels[0])
    np.testing.assert_array_equal(result.pair.moving.pixels, voxels[2])


def test_two_slices_of_one_volume_are_the_same_when_run_again(volumes, model):
    registerSlice(SliceInputs(volumes[0], volumes[0], **neighbours(volumes[0])), FAST, models=[model])
    again = samplePair(SliceInputs(volumes[0], volumes[0], **neighbours(volumes[0])))
    np.testing.assert_array_equal(again.fixed.pixels, slicer.util.arrayFromVolume(volumes[0])[0])


def test_a_result_that_leaves_the_moving_volume_changes_nothing(volumes, handmade, snapshot):
    """As when two images overlap by a few pixels only."""
    pair = samplePair(SliceInputs(*volumes))
    registration = handmade(pair.plane.shape, 0, 0)
    registration.displacement[0, 1] = 200
    before = snapshot()
    with pytest.raises(ValueError, match="does not meet"):
        showSliceResult(pair, registration, SliceOutputs())
    assert snapshot() == before


def test_colour_images_are_registered_and_noted(scene, oblique, model):
    colours = np.random.default_rng(0).integers(0, 255, (1, 64, 64, 3)).astype(np.uint8)
    volumes = [addVolume(scene, name, colours, oblique.ijkToRas) for name in ("Photo", "Film")]
    result = registerSlice(SliceInputs(*volumes), FAST, models=[model])
    notes = [f"'{name}' is a colour image; its luminance was registered" for name in ("Photo", "Film")]
    assert list(result.notes) == notes
    assert resultSentence(result, None).endswith(", ".join(notes))


def test_the_same_note_is_said_once(scene, oblique):
    colours = np.zeros((1, 64, 64, 3), np.uint8)
    volumes = [addVolume(scene, "Photo", colours, oblique.ijkToRas) for _ in range(2)]
    assert len(samplePair(SliceInputs(*volumes)).notes) == 1


def test_the_scene_offers_the_options_of_the_core():
    assert RegistrationOptions is options.RegistrationOptions
