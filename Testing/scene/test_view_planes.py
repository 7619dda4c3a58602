"""The plane that a slice view shows."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import slicer
import slicer.util
import vtk

from UnsupervisedRegistrationLib.scene.display.slice_views import addSliceViews
from UnsupervisedRegistrationLib.scene.geometry.planes import planeFromIndex, planeFromSliceNode
from UnsupervisedRegistrationLib.scene.geometry.sampling import sampleVolume
from UnsupervisedRegistrationLib.scene.scene_nodes import nodesByClass

VIEWS = {"Red": "axial", "Yellow": "sagittal", "Green": "coronal"}
VIEW = pytest.mark.parametrize("view", VIEWS)


@pytest.fixture
def views(scene):
    addSliceViews(scene)
    return {node.GetLayoutName(): node for node in nodesByClass(scene, "vtkMRMLSliceNode")}


@pytest.fixture
def aligned(orientation):
    if np.count_nonzero(np.round(orientation.ijkToRas[:3, :3], 6)) > 3:
        pytest.skip("no axis along R, A or S")
    return orientation


def tilt(sliceNode, degrees=30.0):
    """Turns a view about its own right."""
    turn = vtk.vtkTransform()
    turn.SetMatrix(sliceNode.GetSliceToRAS())
    turn.RotateX(degrees)
    sliceNode.GetSliceToRAS().DeepCopy(turn.GetMatrix())
    sliceNode.UpdateMatrices()


@VIEW
@pytest.mark.parametrize("slack", [-0.4, 0.0, 0.4])
def test_an_aligned_view_gives_the_nearest_slice_pixel_for_pixel(views, makeVolume, aligned, view, slack):
    volume, index = makeVolume(aligned.ijkToRas, shape=(5, 6, 7)), 3
    step = np.linalg.norm(aligned.ijkToRas[:3, aligned.normalAxis[VIEWS[view]]])
    expected = planeFromIndex(volume, VIEWS[view], index)
    normal = slicer.util.arrayFromVTKMatrix(views[view].GetSliceToRAS())[:3, 2]
    views[view].SetSliceOffset(normal @ expected.centre + slack * step)
    plane = planeFromSliceNode(views[view], volume)
    np.testing.assert_array_equal(plane.ijkToRas, expected.ijkToRas)


@VIEW
def test_a_view_turned_to_the_volume_gives_its_slice(views, makeVolume, oblique, view):
    """RotateToVolumePlane is what the "Rotate to volume plane" button calls."""
    volume = makeVolume(oblique.ijkToRas, shape=(5, 6, 7))
    views[view].RotateToVolumePlane(volume)
    views[view].JumpSliceByCentering(*planeFromIndex(volume, VIEWS[view], 3).centre)
    assert planeFromSliceNode(views[view], volume).name == f"{VIEWS[view]} slice 3"


@VIEW
def test_a_tilted_view_covers_the_whole_volume(views, makeVolume, orientation, view):
    volume = makeVolume(orientation.ijkToRas)
    views[view].JumpSliceByCentering(*planeFromIndex(volume).centre)
    tilt(views[view])
    plane = planeFromSliceNode(views[view], volume)
    corners = np.array([[i, j, k, 1] for i, j, k in itertools.product((0, 39), (0, 31), (0, 4))])
    columns, rows, _, _ = np.linalg.inv(plane.ijkToRas) @ orientation.ijkToRas @ corners.T
    assert columns.min() >= -0.5
    assert rows.min() >= -0.5
    assert columns.max() <= plane.shape[1] - 0.5
    assert rows.max() <= plane.shape[0] - 0.5


@VIEW
def test_a_tilted_view_gives_a_plane_through_its_centre(views, makeVolume, oblique, view):
    volume = makeVolume(oblique.ijkToRas)
    views[view].JumpSliceByCentering(*planeFromIndex(volume).centre)
    tilt(views[view])
    plane = planeFromSliceNode(views[view], volume)
    sliceToRas = slicer.util.arrayFromVTKMatrix(views[view].GetSliceToRAS())
    np.testing.assert_allclose(plane.distances([sliceToRas[:3, 3]]), 0, atol=1e-9)
    assert abs(plane.normal @ sliceToRas[:3, 2]) == pytest.approx(1)


def test_a_tilted_view_has_the_finest_spacing_of_the_volume(views, makeVolume, oblique):
    volume = makeVolume(oblique.ijkToRas)
    views["Red"].JumpSliceByCentering(*planeFromIndex(volume).centre)
    tilt(views["Red"])
    steps = np.linalg.norm(planeFromSliceNode(views["Red"], volume).ijkToRas[:3, :2], axis=0)
    np.testing.assert_allclose(steps, 0.9)


def test_a_tilted_plane_is_right_handed(views, makeVolume, oblique):
    volume = makeVolume(oblique.ijkToRas)
    views["Red"].JumpSliceByCentering(*planeFromIndex(volume).centre)
    tilt(views["Red"])
    assert np.linalg.det(planeFromSliceNode(views["Red"], volume).ijkToRas[:3, :3]) > 0


def test_a_tilted_plane_has_the_orientation_of_the_view(views, makeVolume, oblique):
    """Columns run to the right of the view and rows down, so both pictures look alike."""
    volume = makeVolume(oblique.ijkToRas)
    views["Red"].JumpSliceByCentering(*planeFromIndex(volume).centre)
    tilt(views["Red"])
    plane = planeFromSliceNode(views["Red"], volume)
    sliceToRas = slicer.util.arrayFromVTKMatrix(views["Red"].GetSliceToRAS())
    np.testing.assert_allclose(plane.ijkToRas[:3, 0] @ sliceToRas[:3, 0], 0.9)
    np.testing.assert_allclose(plane.ijkToRas[:3, 1] @ sliceToRas[:3, 1], -0.9)


@VIEW
def test_a_view_outside_the_volume_is_refused(views, makeVolume, orientation, view):
    views[view].SetSliceOffset(500)
    with pytest.raises(ValueError, match=f"The view '{views[view].GetName()}' does not cut the volume 'Volume'"):
        planeFromSliceNode(views[view], makeVolume(orientation.ijkToRas))


def test_the_zoom_of_a_view_has_no_influence(views, makeVolume, oblique):
    volume = makeVolume(oblique.ijkToRas)
    views["Red"].JumpSliceByCentering(*planeFromIndex(volume).centre)
    before = planeFromSliceNode(views["Red"], volume)
    views["Red"].SetFieldOfView(10, 10, 1)
    np.testing.assert_array_equal(planeFromSliceNode(views["Red"], volume).ijkToRas, before.ijkToRas)


@pytest.mark.parametrize("offset", [0.0, 0.3])
def test_a_view_of_a_single_slice_gives_that_slice(views, makeVolume, offset):
    """Such as a photograph or a radiograph; the view need not lie on it to the hundredth of a millimetre."""
    volume = makeVolume(np.diag([-0.7, -0.8, 1, 1]), shape=(1, 32, 40))
    views["Red"].SetSliceOffset(offset)
    plane = planeFromSliceNode(views["Red"], volume)
    np.testing.assert_array_equal(sampleVolume(volume, plane).pixels, slicer.util.arrayFromVolume(volume)[0])
