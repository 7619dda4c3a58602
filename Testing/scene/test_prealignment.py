"""A known motion in the plane is found again, in every orientation, and the result holds it."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import slicer.util
from scipy.ndimage import gaussian_filter

from UnsupervisedRegistrationLib.core.registration.options import Prealignment, RegistrationOptions
from UnsupervisedRegistrationLib.core.registration.pipeline import prealign
from UnsupervisedRegistrationLib.scene.geometry.planes import planeFromIndex
from UnsupervisedRegistrationLib.scene.geometry.transforms import mapToMoving, transformPoints
from UnsupervisedRegistrationLib.scene.geometry.volumes import addVolume
from UnsupervisedRegistrationLib.scene.landmarks.markups import addLandmarks
from UnsupervisedRegistrationLib.scene.registration.result_nodes import SliceOutputs, showSliceResult
from UnsupervisedRegistrationLib.scene.registration.slice import registerSlice
from UnsupervisedRegistrationLib.scene.registration.slice_pair import (
    SliceInputs,
    SlicePair,
    SliceSource,
    landmarksInPlane,
    samplePair,
)

PIXELS = 0.35  # A third of a pixel of the slice, of which the images are compared at half the resolution.
SHAPE = (5, 120, 140)
MOTIONS = {"shift": (0, (9.0, -6.0)), "turn": (12, (0.0, 0.0)), "both": (-18, (-14.0, 20.0))}


def blobs(shape=SHAPE, seed=1):
    """An asymmetric body of soft tissue in air, the same through the slices but for their brightness."""
    rows, columns = np.indices(shape[1:])
    centre, random = np.array(shape[1:]) / 2, np.random.default_rng(seed)
    body = ((rows - centre[0]) / (0.33 * shape[1])) ** 2 + ((columns - centre[1]) / (0.22 * shape[2])) ** 2 < 1
    texture = gaussian_filter(random.standard_normal(shape[1:]), 4)
    slice_ = gaussian_filter(body * (300 + 900 * texture / texture.std() * 0.2), 1)
    return np.stack([slice_ * (1 + 0.02 * k) for k in range(shape[0])]).astype(np.float32)


def motion(plane, degrees, shift, scale=1.0):
    """In the plane about its centre, ``(4, 4)`` RAS mm."""
    frame = np.eye(4)
    frame[:3, :3] = plane.ijkToRas[:3, :3] / np.linalg.norm(plane.ijkToRas[:3, :3], axis=0)
    frame[:3, 3] = plane.centre
    angle, inPlane = np.deg2rad(degrees), np.eye(4)
    inPlane[:2, :2] = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    inPlane[:2, 3] = shift
    return frame @ inPlane @ np.linalg.inv(frame)


def error(plane, matrix, truth):
    """Mean distance over the slice, in its pixels."""
    points = plane.pixelPositions()[::6, ::6].reshape(-1, 3)
    distances = np.linalg.norm(transformPoints(matrix, points) - transformPoints(truth, points), axis=1)
    return distances.mean() / np.linalg.norm(plane.ijkToRas[:3, 0])


def inputsOf(pair: SlicePair, **further: object) -> SliceInputs:
    return SliceInputs(pair.fixedVolume, pair.movingVolume, pair.plane, **further)


def aligned(inputs: SliceInputs, kind: Prealignment) -> tuple[SlicePair, str]:
    """The pair under its pre-alignment, and the sentence about it."""
    source = SliceSource(inputs)
    images = prealign(source, RegistrationOptions(prealignment=kind))
    return source.pair, images.notes[-1] if images.notes else ""


def found(inputs: SliceInputs, kind: Prealignment) -> tuple[np.ndarray, str]:
    """The matrix of the pre-alignment, and the sentence about it."""
    pair, sentence = aligned(inputs, kind)
    return np.eye(4) if pair.prealignmentMatrix is None else pair.prealignmentMatrix, sentence


@pytest.fixture
def placedPair(scene):
    """A volume and its copy, whose voxels a matrix has moved; ``change`` alters the copy's voxels."""

    def make(ijkToRas, degrees=0, shift=(0, 0), scale=1.0, change=lambda voxels: voxels, name="axial"):
        fixed = addVolume(scene, "Fixed", blobs(), ijkToRas)
        plane = planeFromIndex(fixed, name, 2)
        truth = motion(plane, degrees, shift, scale)
        moving = addVolume(scene, "Moving", change(blobs()), truth @ ijkToRas)
        return samplePair(SliceInputs(fixed, moving, plane)), truth

    return make


@pytest.mark.parametrize("name", ["sagittal", "coronal"])
def test_a_slice_of_few_rows_is_left_as_it_lies(scene, name):
    for rows in (2, 5):
        fixed, moving = (addVolume(scene, str(seed), blobs((rows, 60, 70), seed), np.eye(4)) for seed in (1, 2))
        matrix, sentence = found(SliceInputs(fixed, moving, planeFromIndex(fixed, name, 30)), "auto")
        assert np.array_equal(matrix, np.eye(4))
        assert sentence.endswith("unchanged: the slice is too narrow for it")


@pytest.mark.parametrize("name", MOTIONS)
def test_a_rigid_motion_is_found_in_every_orientation(placedPair, orientation, name):
    degrees, shift = MOTIONS[name]
    alongK = next(key for key, axis in orientation.normalAxis.items() if axis == 2)
    pair, truth = placedPair(orientation.ijkToRas, degrees, shift, name=alongK)
    matrix, sentence = found(inputsOf(pair), "rigid")
    assert error(pair.plane, matrix, truth) < PIXELS
    assert float(sentence.split("turned it by ")[1].split()[0]) == pytest.approx(abs(degrees), abs=0.3)
    np.testing.assert_allclose(np.linalg.det(matrix), 1, atol=1e-6)


def test_an_affine_motion_is_found(placedPair, oblique):
    pair, truth = placedPair(oblique.ijkToRas, 6, (5, -4), 1.12)
    matrix, sentence = found(inputsOf(pair), "affine")
    assert error(pair.plane, matrix, truth) < 3 * PIXELS
    assert "scaled it by 1.1" in sentence


@pytest.mark.parametrize(
    "change", [lambda v: 1000 - v, lambda v: np.sqrt(np.maximum(v, 0)) * 40], ids=["inverted", "root"]
)
def test_another_contrast_does_not_matter(placedPair, oblique, change):
    pair, truth = placedPair(oblique.ijkToRas, 8, (10, 5), change=change)
    assert error(pair.plane, found(inputsOf(pair), "rigid")[0], truth) < 2 * PIXELS


def test_images_that_lie_well_are_left(placedPair, oblique):
    pair, _ = placedPair(oblique.ijkToRas)
    matrix, sentence = found(inputsOf(pair), "rigid")
    np.testing.assert_array_equal(matrix, np.eye(4))
    assert "left the images unchanged" in sentence


def test_it_is_the_same_every_time(placedPair, oblique):
    pair, _ = placedPair(oblique.ijkToRas, 8, (10, 5))
    np.testing.assert_allclose(found(inputsOf(pair), "affine")[0], found(inputsOf(pair), "affine")[0], atol=1e-9)


def test_another_spacing_field_of_view_and_direction_do_not_matter(scene, oblique):
    """The moving volume has pixels half as large, flipped, and shows the middle of the body only."""
    fixed = addVolume(scene, "Fixed", blobs(), oblique.ijkToRas)
    plane = planeFromIndex(fixed, "axial", 2)
    fine = np.repeat(np.repeat(blobs()[:, 15:105, 20:120], 2, axis=1), 2, axis=2)[:, ::-1]
    place = oblique.ijkToRas @ np.array([[0.5, 0, 0, 19.75], [0, -0.5, 0, 104.25], [0, 0, 1, 0], [0, 0, 0, 1]])
    truth = motion(plane, 10, (12, -7))
    moving = addVolume(scene, "Moving", np.ascontiguousarray(fine), truth @ place)
    matrix, _ = found(SliceInputs(fixed, moving, plane), "rigid")
    assert error(plane, matrix, truth) < 2 * PIXELS


def test_what_lies_beside_the_fixed_slice_is_brought_over(placedPair, oblique):
    """Shifted by most of its width; only the corners of the fields of view are in common."""
    pair, truth = placedPair(oblique.ijkToRas, 0, (95.0, 0.0))
    assert error(pair.plane, found(inputsOf(pair), "rigid")[0], truth) < 2 * PIXELS


@pytest.mark.parametrize("kind", ["linear", "grid"])
def test_an_initial_transform_comes_first(scene, makeParent, oblique, kind):
    fixed = addVolume(scene, "Fixed", blobs(), oblique.ijkToRas)
    plane, parent = planeFromIndex(fixed, "axial", 2), makeParent(kind)
    moving = addVolume(scene, "Moving", blobs(), motion(plane, 7, (8, 3)) @ oblique.ijkToRas)
    moving.SetAndObserveTransformNodeID(parent.GetID())
    pairs = [aligned(SliceInputs(fixed, moving, plane), kind)[0] for kind in ("none", "rigid")]
    difference = [np.abs(pair.moving.pixels - pair.fixed.pixels).mean() for pair in pairs]
    assert difference[1] < 0.6 * difference[0]
    assert pairs[1].initial is parent


def test_the_result_is_the_deformation_then_the_placement(placedPair, oblique, handmade, displacementMm):
    """Inside the slice; beside it the whole volume is placed and nothing is deformed."""
    pair, _ = placedPair(oblique.ijkToRas, 7, (8, 3))
    pair = aligned(inputsOf(pair), "rigid")[0]
    registration = handmade(pair.plane.shape)
    result = showSliceResult(pair, registration, SliceOutputs())
    points = pair.plane.pixelPositions()
    deformed = (points + displacementMm(pair.plane, registration)).reshape(-1, 3)
    ends = mapToMoving(result.transformNode, points.reshape(-1, 3))
    np.testing.assert_allclose(ends, transformPoints(pair.prealignmentMatrix, deformed), atol=1e-4)
    beside = (points + 3 * pair.plane.ijkToRas[:3, 2]).reshape(-1, 3)
    ends = mapToMoving(result.transformNode, beside)
    np.testing.assert_allclose(ends, transformPoints(pair.prealignmentMatrix, beside), atol=1e-4)


def test_the_placement_of_an_earlier_pair_can_be_given(placedPair, oblique):
    pair, _ = placedPair(oblique.ijkToRas, 7, (8, 3))
    first, sentence = aligned(inputsOf(pair), "rigid")
    again = samplePair(inputsOf(pair), first.prealignmentMatrix)
    np.testing.assert_array_equal(again.moving.pixels, first.moving.pixels)
    assert sentence.startswith("pre-alignment shifted")


def test_landmarks_on_the_slice_are_where_the_network_sees_them(scene, placedPair, oblique):
    pair, truth = placedPair(oblique.ijkToRas, 7, (8, 3))
    pair = aligned(inputsOf(pair), "rigid")[0]
    place = pair.plane.pixelPositions()[40, 60]
    fixed = addLandmarks(scene, "F", {"a": tuple(place)})
    moving = addLandmarks(scene, "M", {"a": tuple(transformPoints(truth, place[None])[0])})
    landmarks, remarks = landmarksInPlane(pair, fixed, moving)
    np.testing.assert_allclose(landmarks.fixed, [[40, 60]], atol=1e-4)
    np.testing.assert_allclose(landmarks.moving, [[40, 60]], atol=0.5)
    assert remarks == ()


def test_an_image_that_shows_nothing_is_left(placedPair, oblique):
    pair, _ = placedPair(oblique.ijkToRas, change=lambda voxels: 0 * voxels)
    matrix, sentence = found(inputsOf(pair), "rigid")
    np.testing.assert_array_equal(matrix, np.eye(4))
    assert "shows nothing" in sentence


def test_a_mask_tells_what_to_align(scene, placedPair, oblique):
    """One side of the image is turned upside down; the mask covers the other."""
    pair, truth = placedPair(oblique.ijkToRas, 0, (6, 0))
    mask = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "Mask")
    slicer.util.updateVolumeFromArray(mask, np.pad(np.ones((5, 80, 60), np.uint8), ((0, 0), (20, 20), (20, 60))))
    mask.CopyOrientation(pair.fixedVolume)
    slicer.util.arrayFromVolume(pair.movingVolume)[:, :, 85:] = slicer.util.arrayFromVolume(pair.movingVolume)[
        :, ::-1, 85:
    ]
    assert error(pair.plane, found(inputsOf(pair, maskNode=mask), "rigid")[0], truth) < 2 * PIXELS


@pytest.mark.parametrize(("shift", "isFar"), [(1.0, False), (45.0, True)])
def test_auto_aligns_images_that_lie_far_apart_and_no_others(placedPair, orientation, shift, isFar):
    name = next(name for name, axis in orientation.normalAxis.items() if axis == 2)
    pair, truth = placedPair(orientation.ijkToRas, shift=(shift, 0), name=name)
    matrix, sentence = found(inputsOf(pair), "auto")
    if isFar:
        assert error(pair.plane, matrix, truth) < PIXELS
    else:
        assert "unchanged: they are near enough" in sentence


def test_images_that_stay_as_they_lie_have_no_placement(placedPair, oblique):
    """So that the result is a plain grid, which more formats can hold."""
    pair, _ = placedPair(oblique.ijkToRas)
    again, sentence = aligned(inputsOf(pair), "auto")
    assert again.prealignmentMatrix is None
    assert "unchanged" in sentence


@pytest.mark.parametrize("kind", ["", "Rigid"])
def test_a_wrong_kind_is_an_error_that_lists_the_choices(kind):
    with pytest.raises(ValueError, match="'none', 'auto', 'rigid', 'affine'"):
        RegistrationOptions(prealignment=kind)


@pytest.mark.parametrize("transform", ["rigid", "affine"])
def test_a_linear_transform_is_the_prealignment_alone(placedPair, oblique, transform):
    pair, truth = placedPair(oblique.ijkToRas, 7, (8, 3))
    options = RegistrationOptions(transform=transform, prealignment="none", model="any-contrast", device="cpu")
    result = registerSlice(inputsOf(pair), options)
    assert not result.registration.displacement.any()
    points = pair.plane.pixelPositions()[::6, ::6].reshape(-1, 3)
    matrix = result.registration.prealignment
    np.testing.assert_allclose(mapToMoving(result.transformNode, points), transformPoints(matrix, points), atol=1e-4)
    assert error(pair.plane, matrix, truth) < 3 * PIXELS
    before, after = (np.abs(image - pair.fixed.pixels).mean() for image in (pair.moving.pixels, result.warpedPixels))
    assert after < before / 3
