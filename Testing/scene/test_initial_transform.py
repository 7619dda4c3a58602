"""The transform that places the moving volume first stays part of the result."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
import slicer.util
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from UnsupervisedRegistrationLib.scene.geometry.planes import planeFromIndex
from UnsupervisedRegistrationLib.scene.geometry.result_transform import (
    checkOutputTransform,
    initialTransformOf,
    isResultTransform,
)
from UnsupervisedRegistrationLib.scene.registration.result_nodes import SliceOutputs, showSliceResult
from UnsupervisedRegistrationLib.scene.registration.slice_pair import SliceInputs, samplePair

GREY = 1.0  # A thousandth of the intensity range.
KINDS = pytest.mark.parametrize("kind", ["linear", "grid", "spline"])


def transformed(transform, points):
    return np.reshape([transform.TransformPoint(point) for point in points.reshape(-1, 3)], points.shape)


def assertAlike(image, truth):
    known = ~np.isnan(truth)
    assert known.mean() > 0.2
    np.testing.assert_allclose(image[known], truth[known], atol=GREY)


@pytest.fixture
def placed(makeVolume, orientation, makeParent):
    """A pair whose moving volume lies under a transform, and that transform."""

    def make(kind):
        fixed, moving = (makeVolume(orientation.ijkToRas, name, seed=i) for i, name in enumerate(("Fixed", "Moving")))
        parent = makeParent(kind)
        moving.SetAndObserveTransformNodeID(parent.GetID())
        return samplePair(SliceInputs(fixed, moving, planeFromIndex(fixed))), parent

    return make


@KINDS
def test_the_result_is_followed_by_the_initial_transform(
    placed, handmade, displacementMm, pixelPositions, valueAt, kind
):
    """W(x) = M(T0^-1(x + d))."""
    pair, parent = placed(kind)
    registration = handmade(pair.plane.shape)
    points = pixelPositions(pair.plane) + displacementMm(pair.plane, registration)
    truth = valueAt(pair.movingVolume, transformed(parent.GetTransformFromParent(), points))
    assertAlike(showSliceResult(pair, registration, SliceOutputs()).warpedPixels, truth)


@KINDS
def test_the_network_sees_the_moving_volume_as_it_is_placed(placed, pixelPositions, valueAt, kind):
    pair, parent = placed(kind)
    points = transformed(parent.GetTransformFromParent(), pixelPositions(pair.plane))
    assertAlike(pair.moving.pixels, valueAt(pair.movingVolume, points))


def test_itk_resamples_the_saved_composition_to_the_same_image(placed, handmade, orientation, tmp_path):
    pair, _ = placed("linear")
    result = showSliceResult(pair, handmade(pair.plane.shape), SliceOutputs())
    storage = slicer.vtkMRMLTransformStorageNode()
    storage.SetFileName(str(tmp_path / "t.h5"))
    assert storage.WriteData(result.transformNode)
    voxels = slicer.util.arrayFromVolume(pair.movingVolume)
    moving, reference = itkImage(voxels, orientation.ijkToRas), itkImage(pair.fixed.pixels[None], pair.plane.ijkToRas)
    transform = sitk.ReadTransform(str(tmp_path / "t.h5"))
    resampled = sitk.GetArrayFromImage(sitk.Resample(moving, reference, transform, sitk.sitkLinear, -1e6))[0]
    assertAlike(result.warpedPixels, np.where(resampled < -1, np.nan, resampled))


def itkImage(voxels, ijkToRas):
    image, matrix = sitk.GetImageFromArray(voxels), np.diag([-1.0, -1, 1, 1]) @ ijkToRas
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    image.SetSpacing(spacing)
    image.SetDirection((matrix[:3, :3] / spacing).ravel())
    image.SetOrigin(matrix[:3, 3])
    return image


@KINDS
def test_running_again_does_not_chain(placed, handmade, kind):
    """The second run starts from the initial transform, not from the first result."""
    pair, parent = placed(kind)
    first = showSliceResult(pair, handmade(pair.plane.shape), SliceOutputs())
    pixels = first.warpedPixels.copy()
    again = samplePair(SliceInputs(pair.fixedVolume, pair.movingVolume, pair.plane))
    assert again.initial is parent
    np.testing.assert_array_equal(again.moving.pixels, pair.moving.pixels)
    second = showSliceResult(again, handmade(pair.plane.shape), SliceOutputs(first.transformNode, first.warpedVolume))
    np.testing.assert_array_equal(second.warpedPixels, pixels)


def test_without_placement_running_again_does_not_chain_either(obliquePair, handmade):
    first = showSliceResult(obliquePair, handmade(obliquePair.plane.shape), SliceOutputs())
    again = samplePair(SliceInputs(obliquePair.fixedVolume, obliquePair.movingVolume, obliquePair.plane))
    assert again.initial is None
    np.testing.assert_array_equal(again.moving.pixels, obliquePair.moving.pixels)
    assert isResultTransform(first.transformNode)


def disturb(parent, kind):
    """Edits a transform in place, as dragging its handles or its landmarks does."""
    transform = parent.GetTransformFromParent()
    if kind == "linear":
        transform.Translate(50, 0, 0)
    elif kind == "grid":
        vtk_to_numpy(transform.GetDisplacementGrid().GetPointData().GetScalars())[:] += 20
        transform.GetDisplacementGrid().Modified()
    else:
        transform.GetTargetLandmarks().SetPoint(0, 90, 90, 90)
        transform.GetTargetLandmarks().Modified()
        transform.Modified()


@KINDS
def test_a_later_change_of_the_initial_transform_leaves_the_result(placed, handmade, kind):
    pair, parent = placed(kind)
    result = showSliceResult(pair, handmade(pair.plane.shape), SliceOutputs())
    initial, fromParent = parent.GetTransformFromParent(), result.transformNode.GetTransformFromParent()
    centre = tuple(pair.plane.centre)
    before, initially = fromParent.TransformPoint(centre), initial.TransformPoint(centre)
    disturb(parent, kind)
    assert initial.TransformPoint(centre) != initially
    assert fromParent.TransformPoint(centre) == before


@KINDS
def test_the_initial_transform_itself_is_left_as_it_was(placed, handmade, snapshot, kind):
    pair, parent = placed(kind)
    before = snapshot()[parent.GetID()]
    showSliceResult(pair, handmade(pair.plane.shape), SliceOutputs())
    assert snapshot()[parent.GetID()] == before


def test_two_initial_transforms_are_both_obeyed(placed, makeParent, handmade, pixelPositions, displacementMm, valueAt):
    pair, inner = placed("grid")
    outer = makeParent("linear")
    inner.SetAndObserveTransformNodeID(outer.GetID())
    pair = samplePair(SliceInputs(pair.fixedVolume, pair.movingVolume, pair.plane))
    registration = handmade(pair.plane.shape)
    points = pixelPositions(pair.plane) + displacementMm(pair.plane, registration)
    points = transformed(inner.GetTransformFromParent(), transformed(outer.GetTransformFromParent(), points))
    assertAlike(showSliceResult(pair, registration, SliceOutputs()).warpedPixels, valueAt(pair.movingVolume, points))


def test_a_plain_parent_is_the_initial_transform(placed):
    pair, parent = placed("linear")
    assert initialTransformOf(pair.movingVolume) is parent
    assert not isResultTransform(parent)


class TestCheckOutput:
    """An output node must not move the fixed volume or its own input."""

    @pytest.fixture
    def nodes(self, scene, makeVolume, oblique):
        first, second = (scene.AddNewNodeByClass("vtkMRMLTransformNode", name) for name in ("First", "Second"))
        first.SetAndObserveTransformToParent(vtk.vtkTransform())
        return makeVolume(oblique.ijkToRas), first, second

    def test_a_free_node_is_taken(self, nodes):
        volume, first, second = nodes
        volume.SetAndObserveTransformNodeID(first.GetID())
        checkOutputTransform(second, volume.GetParentTransformNode(), None)

    def test_the_parent_of_the_fixed_volume_is_refused(self, nodes):
        volume, first, _ = nodes
        volume.SetAndObserveTransformNodeID(first.GetID())
        with pytest.raises(ValueError, match="The output 'First' already moves the fixed volume; choose a new one"):
            checkOutputTransform(first, volume.GetParentTransformNode(), None)

    def test_a_grandparent_of_the_fixed_volume_is_refused(self, nodes):
        volume, first, second = nodes
        volume.SetAndObserveTransformNodeID(first.GetID())
        first.SetAndObserveTransformNodeID(second.GetID())
        with pytest.raises(ValueError, match="'Second' already moves the fixed volume"):
            checkOutputTransform(second, volume.GetParentTransformNode(), None)

    def test_the_initial_transform_is_refused(self, nodes):
        volume, first, _ = nodes
        with pytest.raises(ValueError, match="'First' already moves the initial transform"):
            checkOutputTransform(first, volume.GetParentTransformNode(), first)

    def test_a_parent_of_the_initial_transform_is_refused(self, nodes):
        volume, first, second = nodes
        first.SetAndObserveTransformNodeID(second.GetID())
        with pytest.raises(ValueError, match="'Second' already moves the initial transform"):
            checkOutputTransform(second, volume.GetParentTransformNode(), first)

    def test_a_node_under_another_transform_is_refused(self, nodes):
        volume, first, second = nodes
        second.SetAndObserveTransformNodeID(first.GetID())
        with pytest.raises(ValueError, match="'Second' has a parent transform"):
            checkOutputTransform(second, volume.GetParentTransformNode(), None)
