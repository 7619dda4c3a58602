"""Pixels of a plane, sampled from a volume."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import slicer.util

from UnsupervisedRegistrationLib.scene.geometry.planes import planeFromIndex, shiftedPlane
from UnsupervisedRegistrationLib.scene.geometry.sampling import sampleVolume
from UnsupervisedRegistrationLib.scene.geometry.transforms import worldToLocal
from UnsupervisedRegistrationLib.scene.geometry.volumes import addVolume, fillSliceVolume

GREY = 0.1  # Of 1000: a ten-thousandth of the range, what float32 positions cost in vtkImageReslice.
NAMES = pytest.mark.parametrize("name", ["axial", "sagittal", "coronal"])
PARENTS = pytest.mark.parametrize("kind", ["linear", "grid", "spline"])


@NAMES
def test_own_slices_are_returned_bit_for_bit(makeVolume, orientation, name):
    volume, axis = makeVolume(orientation.ijkToRas), orientation.normalAxis[name]
    voxels = slicer.util.arrayFromVolume(volume)
    for index in range(voxels.shape[2 - axis]):
        pixels = sampleVolume(volume, planeFromIndex(volume, name, index)).pixels
        np.testing.assert_array_equal(pixels, np.take(voxels, index, axis=2 - axis))


@pytest.mark.parametrize("type_", ["uint8", "int16", "uint16", "float32", "float64"])
def test_every_voxel_type_is_read(scene, oblique, type_):
    voxels = np.random.default_rng(0).integers(0, 255, (5, 6, 7)).astype(type_)
    volume = addVolume(scene, "Volume", voxels, oblique.ijkToRas)
    sampled = sampleVolume(volume, planeFromIndex(volume)).pixels
    assert sampled.dtype == np.float32
    np.testing.assert_array_equal(sampled, voxels[2])


def test_a_linear_parent_carries_the_own_slice_along(makeVolume, orientation, makeParent):
    volume = makeVolume(orientation.ijkToRas)
    before = sampleVolume(volume, planeFromIndex(volume)).pixels
    volume.SetAndObserveTransformNodeID(makeParent("linear").GetID())
    after = sampleVolume(volume, planeFromIndex(volume))
    np.testing.assert_allclose(after.pixels, before, atol=GREY)
    assert after.inside.all()


@PARENTS
def test_a_volume_under_a_transform_is_sampled_at_the_transformed_positions(
    makeVolume, orientation, makeParent, pixelPositions, valueAt, kind
):
    volume, parent = makeVolume(orientation.ijkToRas), makeParent(kind)
    plane = planeFromIndex(volume)
    positions = pixelPositions(plane)
    truth = valueAt(volume, transformed(parent.GetTransformFromParent(), positions))
    volume.SetAndObserveTransformNodeID(parent.GetID())
    sampled = sampleVolume(volume, plane)
    known = ~np.isnan(truth)
    assert known.mean() > 0.2
    np.testing.assert_allclose(sampled.pixels[known], truth[known], atol=GREY)


def test_two_parent_transforms_are_both_applied(makeVolume, oblique, makeParent, pixelPositions, valueAt):
    volume, inner, outer = makeVolume(oblique.ijkToRas), makeParent("grid"), makeParent("linear")
    plane = planeFromIndex(volume)
    inner.SetAndObserveTransformNodeID(outer.GetID())
    volume.SetAndObserveTransformNodeID(inner.GetID())
    points = transformed(outer.GetTransformFromParent(), pixelPositions(plane))
    truth = valueAt(volume, transformed(inner.GetTransformFromParent(), points))
    known = ~np.isnan(truth)
    assert known.mean() > 0.2
    np.testing.assert_allclose(sampleVolume(volume, plane).pixels[known], truth[known], atol=GREY)


def test_a_plane_between_slices_is_interpolated(makeVolume, orientation, pixelPositions, valueAt):
    volume = makeVolume(orientation.ijkToRas)
    plane = planeFromIndex(volume)
    plane = shiftedPlane(plane, 0.37 * plane.ijkToRas[:3, 2] + 0.61 * plane.ijkToRas[:3, 1])
    truth = valueAt(volume, pixelPositions(plane))
    known = ~np.isnan(truth)
    assert known.mean() > 0.5
    np.testing.assert_allclose(sampleVolume(volume, plane).pixels[known], truth[known], atol=GREY)


@pytest.mark.parametrize("shift", [3, -5])
def test_outside_are_exactly_the_pixels_beyond_the_volume(makeVolume, orientation, shift):
    volume = makeVolume(orientation.ijkToRas)
    plane = planeFromIndex(volume)
    inside = sampleVolume(volume, shiftedPlane(plane, shift * plane.ijkToRas[:3, 0])).inside
    columns = np.arange(plane.shape[1]) + shift
    expected = (columns >= 0) & (columns < plane.shape[1])
    np.testing.assert_array_equal(inside, np.broadcast_to(expected, plane.shape))


def test_outside_is_the_lowest_intensity_inside(scene, oblique):
    voxels = np.random.default_rng(0).integers(-900, 100, (3, 20, 20)).astype(np.int16)
    volume = addVolume(scene, "CT", voxels, oblique.ijkToRas)
    plane = planeFromIndex(volume)
    sampled = sampleVolume(volume, shiftedPlane(plane, 4 * plane.ijkToRas[:3, 1]))
    np.testing.assert_array_equal(np.unique(sampled.pixels[~sampled.inside]), voxels[1, 4:].min())


def test_a_plane_beside_the_volume_is_refused(makeVolume, orientation):
    volume = makeVolume(orientation.ijkToRas, name="Far")
    plane = planeFromIndex(volume)
    with pytest.raises(ValueError, match=r"'Far' does not meet the axial slice .* must overlap"):
        sampleVolume(volume, shiftedPlane(plane, 300 * plane.normal))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_voxels_are_refused_and_counted(scene, bad):
    voxels = np.ones((3, 4, 5), np.float32)
    voxels[1, 1, 2] = voxels[2, 2, 2] = bad
    volume = addVolume(scene, "Broken", voxels, np.eye(4))
    with pytest.raises(ValueError, match="'Broken' has 2 voxels that are NaN or infinite, some of them on the axial"):
        sampleVolume(volume, planeFromIndex(volume))


def test_nan_voxels_on_another_slice_do_not_matter(scene):
    voxels = np.ones((3, 4, 5), np.float32)
    voxels[0] = np.nan
    volume = addVolume(scene, "Padded", voxels, np.eye(4))
    assert sampleVolume(volume, planeFromIndex(volume)).inside.all()


def test_a_constant_volume_is_sampled(scene):
    volume = addVolume(scene, "Flat", np.full((3, 4, 5), 7, np.int16), np.eye(4))
    np.testing.assert_array_equal(sampleVolume(volume, planeFromIndex(volume)).pixels, 7)


@pytest.mark.parametrize("components", [3, 4])
def test_colour_becomes_luminance_with_a_note(scene, oblique, components):
    """BT.709; opacity, the fourth value, does not count."""
    colours = np.random.default_rng(0).integers(0, 255, (2, 6, 7, components)).astype(np.uint8)
    volume = addVolume(scene, "Photo", colours, oblique.ijkToRas)
    sampled = sampleVolume(volume, planeFromIndex(volume))
    luminance = 0.2126 * colours[1, ..., 0] + 0.7152 * colours[1, ..., 1] + 0.0722 * colours[1, ..., 2]
    np.testing.assert_allclose(sampled.pixels, luminance, atol=1e-4)  # float32 of numbers up to 255.
    assert sampled.notes == ("'Photo' is a colour image; its luminance was registered",)


def test_a_scalar_volume_has_no_note(makeVolume, oblique):
    volume = makeVolume(oblique.ijkToRas)
    assert sampleVolume(volume, planeFromIndex(volume)).notes == ()


def test_a_vector_of_two_is_refused(scene):
    volume = addVolume(scene, "Flow", np.zeros((3, 4, 5, 2), np.float32), np.eye(4))
    with pytest.raises(ValueError, match="'Flow' has 2 values per voxel; choose a scalar or colour volume"):
        sampleVolume(volume, planeFromIndex(volume))


def test_sampling_changes_no_node(makeVolume, oblique, makeParent, snapshot):
    volume = makeVolume(oblique.ijkToRas)
    volume.SetAndObserveTransformNodeID(makeParent("grid").GetID())
    before = snapshot()
    sampleVolume(volume, planeFromIndex(volume))
    assert snapshot() == before


def test_without_parent_the_world_is_the_local_space():
    assert worldToLocal(None).TransformPoint(1, 2, 3) == (1, 2, 3)


def test_a_slice_volume_has_the_geometry_of_its_plane(scene, makeVolume, orientation):
    volume = makeVolume(orientation.ijkToRas)
    plane = planeFromIndex(volume, "sagittal", 1)
    pixels = sampleVolume(volume, plane).pixels
    shown = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Shown")
    fillSliceVolume(shown, pixels, plane, like=volume)
    np.testing.assert_allclose(sampleVolume(shown, plane).pixels, pixels, atol=GREY)
    np.testing.assert_allclose(planeFromIndex(shown).ijkToRas, plane.ijkToRas, atol=1e-9)


def test_a_slice_volume_has_the_window_of_its_source(scene, makeVolume, oblique):
    volume = makeVolume(oblique.ijkToRas)
    volume.CreateDefaultDisplayNodes()
    volume.GetDisplayNode().SetAutoWindowLevel(False)
    volume.GetDisplayNode().SetWindowLevel(321, 123)
    plane = planeFromIndex(volume)
    shown = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Shown")
    fillSliceVolume(shown, sampleVolume(volume, plane).pixels, plane, like=volume)
    display = shown.GetDisplayNode()
    assert (display.GetWindow(), display.GetLevel(), display.GetAutoWindowLevel()) == (321, 123, 0)


def test_a_slice_volume_loses_its_parent_transform(scene, makeVolume, oblique, makeParent):
    volume = makeVolume(oblique.ijkToRas)
    plane = planeFromIndex(volume)
    shown = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Shown")
    shown.SetAndObserveTransformNodeID(makeParent("linear").GetID())
    fillSliceVolume(shown, sampleVolume(volume, plane).pixels, plane, like=volume)
    assert shown.GetParentTransformNode() is None


def transformed(transform, points):
    flat = [transform.TransformPoint(point) for point in points.reshape(-1, 3)]
    return np.reshape(flat, points.shape)
