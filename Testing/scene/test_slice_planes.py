"""A plane is a slice of the volume, pixel for pixel."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import slicer.util
import vtk

from UnsupervisedRegistrationLib.scene.geometry.planes import offsetBetween, planeFromIndex, shiftedPlane, sliceCount
from UnsupervisedRegistrationLib.scene.geometry.volumes import addVolume

SHAPE = (5, 6, 7)  # K, J, I
MM = 1e-9  # Rounding of matrices of numbers up to 100.
NAMES = pytest.mark.parametrize("name", ["axial", "sagittal", "coronal"])


@pytest.fixture
def volume(scene, orientation):
    """Every voxel has another value."""
    voxels = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)
    return addVolume(scene, "Volume", voxels, orientation.ijkToRas)


def single(scene, shape, ijkToRas=None):
    return addVolume(scene, "Single", np.zeros(shape, np.int16), np.eye(4) if ijkToRas is None else ijkToRas)


@NAMES
def test_pixels_of_a_plane_lie_on_the_voxels_of_that_slice(volume, orientation, pixelPositions, name):
    axis, index = orientation.normalAxis[name], 2
    plane = planeFromIndex(volume, name, index)
    rasToIjk = np.linalg.inv(orientation.ijkToRas)
    i, j, k = np.moveaxis(pixelPositions(plane) @ rasToIjk[:3, :3].T + rasToIjk[:3, 3], -1, 0)
    np.testing.assert_allclose((i, j, k)[axis], index, atol=MM)
    voxels = slicer.util.arrayFromVolume(volume)[tuple(np.rint((k, j, i)).astype(int))]
    np.testing.assert_array_equal(voxels, np.take(slicer.util.arrayFromVolume(volume), index, axis=2 - axis))


@NAMES
def test_normal_of_a_plane_is_nearest_to_its_anatomical_axis(volume, name):
    normal = planeFromIndex(volume, name).normal
    assert np.abs(normal).argmax() == {"sagittal": 0, "coronal": 1, "axial": 2}[name]


@NAMES
def test_axes_of_a_plane_are_right_handed(volume, name):
    assert np.linalg.det(planeFromIndex(volume, name).ijkToRas[:3, :3]) > 0


@NAMES
def test_the_middle_slice_is_the_default(volume, orientation, name):
    middle = SHAPE[2 - orientation.normalAxis[name]] // 2
    np.testing.assert_array_equal(planeFromIndex(volume, name).ijkToRas, planeFromIndex(volume, name, middle).ijkToRas)


@NAMES
def test_the_normal_is_as_long_as_the_slices_are_apart(volume, orientation, name):
    step = np.linalg.norm(orientation.ijkToRas[:3, orientation.normalAxis[name]])
    assert np.linalg.norm(planeFromIndex(volume, name).ijkToRas[:3, 2]) == pytest.approx(step)


@NAMES
def test_slices_are_counted_along_the_normal(volume, orientation, name):
    assert sliceCount(volume, name) == SHAPE[2 - orientation.normalAxis[name]]


@pytest.mark.parametrize("index", [-1, 5])
def test_an_index_outside_is_refused_with_the_range(scene, index):
    with pytest.raises(ValueError, match=rf"Slice {index} lies outside .*'Single', whose axial slices are 0 to 4\."):
        planeFromIndex(single(scene, SHAPE), "axial", index)


@pytest.mark.parametrize("shape", [(1, 6, 7), (5, 1, 7), (5, 6, 1)])
def test_a_volume_of_one_slice_needs_no_orientation(scene, shape):
    plane = planeFromIndex(single(scene, shape))
    assert plane.shape == tuple(size for size in shape if size > 1)


@pytest.mark.parametrize(("shape", "name"), [((1, 6, 7), "axial"), ((5, 1, 7), "coronal"), ((5, 6, 1), "sagittal")])
def test_the_only_slice_is_named_by_its_orientation(scene, shape, name):
    assert planeFromIndex(single(scene, shape)).name == f"{name} slice 0"


def test_a_slice_across_a_volume_of_one_slice_is_refused(scene):
    with pytest.raises(ValueError, match="sagittal slice of 'Single' is only 6 x 1 pixels"):
        planeFromIndex(single(scene, (1, 6, 7)), "sagittal")


def test_a_row_of_voxels_is_refused(scene):
    with pytest.raises(ValueError, match="'Single' has 7 x 1 x 1 voxels"):
        planeFromIndex(single(scene, (1, 1, 7)))


def test_a_volume_without_image_is_refused(scene):
    empty = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Empty")
    with pytest.raises(ValueError, match="'Empty' has 0 x 0 x 0 voxels"):
        planeFromIndex(empty)


def test_an_image_without_values_is_refused(scene):
    empty = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Empty")
    image = vtk.vtkImageData()
    image.SetDimensions(4, 4, 4)
    empty.SetAndObserveImageData(image)
    with pytest.raises(ValueError, match="'Empty' has 0 x 0 x 0 voxels"):
        planeFromIndex(empty)


def test_a_linear_parent_moves_the_plane(scene, makeVolume, orientation, makeParent):
    volume, parent = makeVolume(orientation.ijkToRas), makeParent("linear")
    before = planeFromIndex(volume).ijkToRas
    volume.SetAndObserveTransformNodeID(parent.GetID())
    toWorld = vtk.vtkMatrix4x4()
    parent.GetMatrixTransformToWorld(toWorld)
    np.testing.assert_allclose(
        planeFromIndex(volume).ijkToRas, slicer.util.arrayFromVTKMatrix(toWorld) @ before, atol=MM
    )


def test_the_anatomical_axis_is_that_of_the_world(scene, makeVolume):
    """A quarter turn about R makes the k axis run to the front."""
    volume, parent = makeVolume(np.eye(4)), scene.AddNewNodeByClass("vtkMRMLTransformNode", "Turn")
    turn = vtk.vtkTransform()
    turn.RotateX(90)
    parent.SetAndObserveTransformToParent(turn)
    volume.SetAndObserveTransformNodeID(parent.GetID())
    assert sliceCount(volume, "coronal") == 5


@pytest.mark.parametrize("kind", ["grid", "spline"])
def test_a_curved_parent_leaves_the_plane(makeVolume, oblique, makeParent, kind):
    volume = makeVolume(oblique.ijkToRas)
    before = planeFromIndex(volume).ijkToRas
    volume.SetAndObserveTransformNodeID(makeParent(kind).GetID())
    np.testing.assert_array_equal(planeFromIndex(volume).ijkToRas, before)


@NAMES
def test_the_offset_between_slices_is_their_distance_along_the_normal(volume, orientation, name):
    first, second = planeFromIndex(volume, name, 1), planeFromIndex(volume, name, 4)
    step = orientation.ijkToRas[:3, orientation.normalAxis[name]]
    np.testing.assert_allclose(offsetBetween(first, second), 3 * step, atol=MM)


def test_an_in_plane_shift_has_no_offset(volume):
    plane = planeFromIndex(volume)
    shifted = shiftedPlane(plane, 5 * plane.ijkToRas[:3, 0])
    np.testing.assert_allclose(offsetBetween(plane, shifted), 0, atol=MM)


def test_planes_of_different_orientation_have_no_offset(scene):
    volume = single(scene, SHAPE)
    with pytest.raises(ValueError, match=r"axial slice 2 .* coronal slice 3 .* not parallel"):
        offsetBetween(planeFromIndex(volume, "axial", 2), planeFromIndex(volume, "coronal", 3))


@pytest.mark.parametrize("normal", ["forwards", "backwards"])
def test_the_direction_of_the_normal_does_not_change_the_offset(scene, normal):
    """Volumes stored upside down give planes whose normals point the other way."""
    flip = np.diag([1.0, 1 if normal == "forwards" else -1, -1 if normal == "backwards" else 1, 1])
    fixed, moving = single(scene, SHAPE), single(scene, SHAPE, flip)
    offset = offsetBetween(planeFromIndex(fixed, "axial", 1), planeFromIndex(moving, "axial", 4))
    np.testing.assert_allclose(offset, [0, 0, 3 if normal == "forwards" else -5], atol=MM)


def test_distances_are_measured_along_the_normal(volume, orientation):
    plane = planeFromIndex(volume, "axial", 2)
    normal = np.cross(plane.ijkToRas[:3, 0], plane.ijkToRas[:3, 1])
    points = plane.centre + np.outer([0, 2, -3], normal / np.linalg.norm(normal)) + 4 * plane.ijkToRas[:3, 0]
    np.testing.assert_allclose(plane.distances(points), [0, 2, 3], atol=MM)
