"""The transform node of a result warps as numpy, VTK and ITK compute it."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
import slicer.util

from UnsupervisedRegistrationLib.scene.geometry.planes import shiftedPlane
from UnsupervisedRegistrationLib.scene.geometry.sampling import sampleVolume
from UnsupervisedRegistrationLib.scene.registration.result_nodes import SliceOutputs, showSliceResult

GREY = 1.0  # A thousandth of the intensity range.
RING = 8  # Pixels around the slice in which these displacements fall to zero, at most.
MM = 1e-4  # float32 displacements of a few mm.
FLIP = np.diag([-1.0, -1, 1, 1])


@pytest.fixture
def result(pair, handmade):
    return showSliceResult(pair, handmade(pair.plane.shape), SliceOutputs())


@pytest.fixture
def truth(pair, handmade, displacementMm, pixelPositions, valueAt):
    """``M(x + d)`` in double precision; NaN outside."""
    displacement = displacementMm(pair.plane, handmade(pair.plane.shape))
    return valueAt(pair.movingVolume, pixelPositions(pair.plane) + displacement)


def assertAlike(image, truth):
    known = ~np.isnan(truth)
    assert known.mean() > 0.8
    np.testing.assert_allclose(image[known], truth[known], atol=GREY)


def moved(transformNode, points):
    """How far the transform takes points of the fixed image, mm."""
    transform, flat = transformNode.GetTransformFromParent(), points.reshape(-1, 3)
    return np.reshape([transform.TransformPoint(point) - point for point in flat], points.shape)


def save(transformNode, path):
    storage = slicer.vtkMRMLTransformStorageNode()
    storage.SetFileName(str(path))
    assert storage.WriteData(transformNode)
    return path


def load(scene, path):
    node, storage = scene.AddNewNodeByClass("vtkMRMLTransformNode"), slicer.vtkMRMLTransformStorageNode()
    storage.SetFileName(str(path))
    assert storage.ReadData(node)
    return node


def itkImage(voxels, ijkToRas):
    image, matrix = sitk.GetImageFromArray(voxels), FLIP @ ijkToRas
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    image.SetSpacing(spacing)
    image.SetDirection((matrix[:3, :3] / spacing).ravel())
    image.SetOrigin(matrix[:3, 3])
    return image


def test_the_warped_slice_is_the_moving_volume_at_the_displaced_positions(result, truth):
    assertAlike(result.warpedPixels, truth)


def test_the_moving_volume_is_shown_warped_without_resampling(result, truth):
    """What a slice view draws: the volume itself through its parent transform."""
    assertAlike(sampleVolume(result.pair.movingVolume, result.pair.plane).pixels, truth)


def test_the_node_moves_each_pixel_by_the_displacement(result, displacementMm, pixelPositions):
    expected = displacementMm(result.pair.plane, result.registration)
    np.testing.assert_allclose(moved(result.transformNode, pixelPositions(result.pair.plane)), expected, atol=MM)


def test_itk_resamples_the_saved_transform_to_the_same_image(result, truth, orientation, tmp_path):
    transform = sitk.ReadTransform(str(save(result.transformNode, tmp_path / "t.h5")))
    moving = itkImage(slicer.util.arrayFromVolume(result.pair.movingVolume), orientation.ijkToRas)
    reference = itkImage(result.pair.fixed.pixels[None], result.pair.plane.ijkToRas)
    assertAlike(sitk.GetArrayFromImage(sitk.Resample(moving, reference, transform, sitk.sitkLinear))[0], truth)


def test_a_reloaded_transform_has_the_same_values(scene, result, pixelPositions, tmp_path):
    loaded = load(scene, save(result.transformNode, tmp_path / "t.h5"))
    plane = result.pair.plane
    between = pixelPositions(plane) + 0.37 * plane.ijkToRas[:3, 0] - 0.21 * plane.ijkToRas[:3, 2]
    np.testing.assert_allclose(moved(loaded, between), moved(result.transformNode, between), atol=MM)


def test_a_reloaded_transform_is_cubic_as_before(scene, result, tmp_path):
    loaded = load(scene, save(result.transformNode, tmp_path / "t.h5"))
    for node in (result.transformNode, loaded):
        assert node.GetTransformFromParent().GetInterpolationModeAsString() == "Cubic"


@pytest.mark.parametrize("slices", [-2, -1, 1, 2])
def test_by_default_other_slices_stay(result, pixelPositions, slices):
    plane = result.pair.plane
    neighbour = pixelPositions(shiftedPlane(plane, slices * plane.ijkToRas[:3, 2]))
    np.testing.assert_allclose(moved(result.transformNode, neighbour), 0, atol=MM)


@pytest.mark.parametrize("share", [-0.75, -0.5, 0.25, 0.5])
def test_the_displacement_falls_smoothly_to_the_next_slice(result, pixelPositions, displacementMm, share):
    """VTK's cubic through 0, 1, 0 is the parabola; three quarters are left half way."""
    plane = result.pair.plane
    between = pixelPositions(shiftedPlane(plane, share * plane.ijkToRas[:3, 2]))
    expected = displacementMm(plane, result.registration) * (1 - share**2)
    np.testing.assert_allclose(moved(result.transformNode, between), expected, atol=MM)


@pytest.mark.parametrize("slices", [-2, -0.5, 1, 2])
def test_without_this_slice_only_all_slices_move_equally(pair, handmade, pixelPositions, displacementMm, slices):
    result = showSliceResult(pair, handmade(pair.plane.shape), SliceOutputs(thisSliceOnly=False))
    other = pixelPositions(shiftedPlane(pair.plane, slices * pair.plane.ijkToRas[:3, 2]))
    expected = displacementMm(pair.plane, result.registration)
    np.testing.assert_allclose(moved(result.transformNode, other), expected, atol=MM)


@pytest.mark.parametrize("direction", [0, 1])
@pytest.mark.parametrize("side", [-1, 1])
def test_nothing_moves_outside_the_slice_in_slicer_and_in_itk(result, pixelPositions, tmp_path, direction, side):
    """VTK repeats the last vector and ITK takes zero, so the last vectors must be zero."""
    plane = result.pair.plane
    shift = side * (plane.shape[1 - direction] + RING) * plane.ijkToRas[:3, direction]
    points = pixelPositions(plane) + shift
    np.testing.assert_allclose(moved(result.transformNode, points), 0, atol=MM)
    transform = sitk.ReadTransform(str(save(result.transformNode, tmp_path / "t.h5")))
    lps = points.reshape(-1, 3)[::7] * [-1, -1, 1]
    np.testing.assert_allclose([transform.TransformPoint(point) for point in lps], lps, atol=MM)


@pytest.mark.parametrize("pixels", [0.5, 6.0])
def test_nothing_folds_where_the_displacement_falls_to_zero_around_the_slice(obliquePair, handmade, pixels):
    """Slicer's inverse leads back to the start only where nothing folds."""
    result = showSliceResult(obliquePair, handmade(obliquePair.plane.shape, pixels, pixels), SliceOutputs())
    plane, transform = obliquePair.plane, result.transformNode.GetTransformFromParent()
    rows, columns = np.meshgrid(np.arange(-12, plane.shape[0] + 12, 0.7), [-9, -1.5, -0.5, plane.shape[1] - 0.3])
    points = np.stack([columns, rows], -1).reshape(-1, 2) @ plane.ijkToRas[:3, :2].T + plane.ijkToRas[:3, 3]
    back = [transform.GetInverse().TransformPoint(transform.TransformPoint(point)) for point in points]
    np.testing.assert_allclose(back, points, atol=0.02)  # Slicer stops at 0.01 mm.


def test_the_moving_volume_is_under_the_result_transform(result):
    assert result.pair.movingVolume.GetParentTransformNode() is result.transformNode


def test_the_fixed_volume_has_no_parent_transform(result):
    assert result.pair.fixedVolume.GetParentTransformNode() is None


def test_the_transform_knows_its_fixed_and_moving_volume(result):
    node = result.transformNode
    assert node.GetNodeReference("spatialRegistrationFixed") is result.pair.fixedVolume
    assert node.GetNodeReference("spatialRegistrationMoving") is result.pair.movingVolume


def test_nothing_is_hardened(pair, handmade):
    volume = pair.movingVolume
    voxels = slicer.util.arrayFromVolume(volume).copy()
    before = [volume.GetOrigin(), volume.GetSpacing(), directions(volume)]
    showSliceResult(pair, handmade(pair.plane.shape), SliceOutputs())
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(volume), voxels)
    assert [volume.GetOrigin(), volume.GetSpacing(), directions(volume)] == before


def directions(volume):
    columns = np.zeros((3, 3))
    volume.GetIJKToRASDirections(columns)
    return columns.tolist()


def test_a_result_modifies_its_node_once(scene, obliquePair, handmade):
    """Every event redraws all views."""
    node, events = scene.AddNewNodeByClass("vtkMRMLTransformNode"), []
    node.AddObserver(slicer.vtkMRMLTransformableNode.TransformModifiedEvent, lambda *_: events.append(1))
    showSliceResult(obliquePair, handmade(obliquePair.plane.shape), SliceOutputs(node))
    assert len(events) == 1


def test_new_nodes_are_named_after_the_volumes(obliquePair, handmade):
    result = showSliceResult(obliquePair, handmade(obliquePair.plane.shape), SliceOutputs())
    assert result.transformNode.GetName() == "Moving to Fixed"
    assert result.warpedVolume.GetName() == "Moving warped"


def test_given_nodes_are_filled_and_none_is_created(scene, obliquePair, handmade):
    transform = scene.AddNewNodeByClass("vtkMRMLTransformNode")
    warped = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    result = showSliceResult(obliquePair, handmade(obliquePair.plane.shape), SliceOutputs(transform, warped))
    assert result.transformNode is transform
    assert result.warpedVolume is warped
    assert scene.GetNumberOfNodesByClass("vtkMRMLTransformNode") == 1
    assert scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 3


def test_the_warped_slice_lies_on_the_fixed_pixels(result):
    matrix = np.array(slicer.util.arrayFromVTKMatrix(ijkToRas(result.warpedVolume)))
    np.testing.assert_allclose(matrix, result.pair.plane.ijkToRas, atol=1e-9)
    assert result.warpedVolume.GetParentTransformNode() is None


def ijkToRas(volume):
    matrix = slicer.util.vtkMatrixFromArray(np.eye(4))
    volume.GetIJKToRASMatrix(matrix)
    return matrix


def test_source_positions_are_where_the_pixels_come_from(obliquePair, handmade):
    result = showSliceResult(obliquePair, handmade(obliquePair.plane.shape), SliceOutputs())
    rows, columns = result.sourcePositions
    displacement = result.registration.displacement[0].numpy()
    np.testing.assert_allclose([rows[3, 7], columns[3, 7]], np.array([3, 7]) + displacement[:, 3, 7], rtol=1e-6)


def test_the_jacobian_of_no_displacement_is_one(obliquePair, handmade):
    result = showSliceResult(obliquePair, handmade(obliquePair.plane.shape, 0, 0), SliceOutputs())
    np.testing.assert_allclose(result.jacobian, np.ones(obliquePair.plane.shape), atol=1e-6)
