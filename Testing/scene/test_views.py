"""Slice views show the pair on the registered slice, in radiological orientation."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import slicer.util
import vtk

from UnsupervisedRegistrationLib.scene.display import view_state
from UnsupervisedRegistrationLib.scene.display.slice_views import addSliceViews, displayOrder, fitView, showOverlay
from UnsupervisedRegistrationLib.scene.geometry.planes import planeFromIndex, planeFromSliceNode
from UnsupervisedRegistrationLib.scene.geometry.sampling import sampleVolume
from UnsupervisedRegistrationLib.scene.geometry.volumes import addVolume
from UnsupervisedRegistrationLib.scene.scene_nodes import nodesByClass

VIEWS = {"axial": "Red", "sagittal": "Yellow", "coronal": "Green"}
NAMES = pytest.mark.parametrize("name", VIEWS)
MM = 1e-6
ACROSS = {"axial": (1, 0, 0), "coronal": (1, 0, 0), "sagittal": (0, 1, 0)}  # What is on the left of the picture.
UP = {"axial": (0, 1, 0), "coronal": (0, 0, 1), "sagittal": (0, 0, 1)}


def sliceViews(scene):
    return {node.GetLayoutName(): node for node in nodesByClass(scene, "vtkMRMLSliceNode")}


@pytest.fixture
def volumes(scene, makeVolume, orientation):
    addSliceViews(scene)
    return [makeVolume(orientation.ijkToRas, name, (5, 6, 7)) for name in ("Fixed", "Moving")]


def test_a_scene_gets_the_views_of_the_application(scene):
    addSliceViews(scene)
    orientations = {name: view.GetOrientation() for name, view in sliceViews(scene).items()}
    assert orientations == {"Red": "Axial", "Yellow": "Sagittal", "Green": "Coronal"}


def test_every_view_has_its_layers(scene):
    addSliceViews(scene)
    layers = nodesByClass(scene, "vtkMRMLSliceCompositeNode")
    assert sorted(node.GetLayoutName() for node in layers) == ["Green", "Red", "Yellow"]
    assert sorted(node.GetSingletonTag() for node in layers) == ["Green", "Red", "Yellow"]


def test_the_moving_volume_lies_over_the_fixed_one_in_all_views(scene, volumes):
    fixed, moving = volumes
    showOverlay(fixed, moving, planeFromIndex(fixed), opacity=0.3)
    for layers in nodesByClass(scene, "vtkMRMLSliceCompositeNode"):
        assert layers.GetBackgroundVolumeID() == fixed.GetID()
        assert layers.GetForegroundVolumeID() == moving.GetID()
        assert layers.GetForegroundOpacity() == 0.3


@NAMES
def test_the_view_of_the_orientation_is_moved_to_the_plane(scene, volumes, name):
    plane = planeFromIndex(volumes[0], name, 1)
    showOverlay(*volumes, plane)
    sliceToRas = slicer.util.arrayFromVTKMatrix(sliceViews(scene)[VIEWS[name]].GetSliceToRAS())
    np.testing.assert_allclose(sliceToRas[:3, 3], plane.centre, atol=MM)
    assert abs(sliceToRas[:3, 2] @ plane.normal) == pytest.approx(1)


@NAMES
def test_a_view_moved_to_a_slice_shows_that_slice(scene, volumes, name):
    showOverlay(*volumes, planeFromIndex(volumes[0], name, 1))
    assert planeFromSliceNode(sliceViews(scene)[VIEWS[name]], volumes[0]).name == f"{name} slice 1"


@NAMES
def test_an_aligned_view_keeps_its_preset(scene, makeVolume, name):
    addSliceViews(scene)
    volume = makeVolume(np.diag([-1.0, -1, 1, 1]))
    showOverlay(volume, volume, planeFromIndex(volume, name))
    assert sliceViews(scene)[VIEWS[name]].GetOrientation() == name.capitalize()


def test_a_view_that_shows_the_plane_already_stays(scene, volumes):
    views = sliceViews(scene)
    before = slicer.util.arrayFromVTKMatrix(views["Red"].GetSliceToRAS())
    showOverlay(*volumes, planeFromIndex(volumes[0], "axial", 1), sliceNode=views["Red"])
    np.testing.assert_array_equal(slicer.util.arrayFromVTKMatrix(views["Red"].GetSliceToRAS()), before)


def test_a_scene_without_views_is_left_alone(scene, makeVolume, oblique, snapshot):
    volume = makeVolume(oblique.ijkToRas)
    plane, before = planeFromIndex(volume), snapshot()
    showOverlay(volume, volume, plane)
    assert snapshot() == before


@NAMES
def test_a_fitted_view_contains_the_plane_with_a_small_margin(scene, volumes, name):
    plane, view = planeFromIndex(volumes[0], name, 1), sliceViews(scene)[VIEWS[name]]
    showOverlay(*volumes, plane)
    view.SetDimensions(200, 100, 1)
    fitView(view, plane)
    rows, columns = plane.shape
    corners = [plane.ijkToRas @ [i, j, 0, 1] for i in (-0.5, columns - 0.5) for j in (-0.5, rows - 0.5)]
    rasToXy = vtk.vtkMatrix4x4()
    vtk.vtkMatrix4x4.Invert(view.GetXYToRAS(), rasToXy)
    x, y = np.transpose([rasToXy.MultiplyPoint(corner)[:2] for corner in corners])
    assert x.min() >= 0
    assert x.max() <= 200
    assert y.min() >= 0
    assert y.max() <= 100
    extent = max(size * step for size, step in zip((columns, rows), steps(plane), strict=True))
    assert min(view.GetFieldOfView()[:2]) == pytest.approx(1.05 * extent)


def steps(plane):
    return np.linalg.norm(plane.ijkToRas[:3, :2], axis=0)


@NAMES
@pytest.mark.parametrize("end", ["first", "last"])
@pytest.mark.parametrize("direction", ["across", "up"])
def test_right_or_front_is_displayed_left_and_front_or_head_up(scene, orientation, name, direction, end):
    """One bright line of voxels at the right, front or head side of the volume, found again in the picture."""
    towards = np.array((ACROSS if direction == "across" else UP)[name], float)
    volume = addVolume(scene, "Bright", np.zeros((5, 6, 7), np.uint8), orientation.ijkToRas)
    along = orientation.normalAxis[{(1, 0, 0): "sagittal", (0, 1, 0): "coronal", (0, 0, 1): "axial"}[tuple(towards)]]
    positive = orientation.ijkToRas[:3, along] @ towards > 0
    index = -1 if positive == (end == "first") else 0
    voxels = np.zeros((5, 6, 7), np.uint8)
    np.moveaxis(voxels, 2 - along, 0)[index] = 1
    slicer.util.updateVolumeFromArray(volume, voxels)
    plane = planeFromIndex(volume, name)
    picture = displayOrder(plane)(sampleVolume(volume, plane).pixels)
    picture = picture.T if direction == "across" else picture
    bright = np.flatnonzero(picture.any(axis=1))
    np.testing.assert_array_equal(bright, [0 if end == "first" else len(picture) - 1])


@NAMES
def test_colours_are_ordered_like_intensities(makeVolume, orientation, name):
    plane = planeFromIndex(makeVolume(orientation.ijkToRas, shape=(5, 6, 7)), name)
    grey = np.random.default_rng(0).random(plane.shape)
    order = displayOrder(plane)
    np.testing.assert_array_equal(order(np.stack([grey] * 3, axis=-1)), np.stack([order(grey)] * 3, axis=-1))


def test_views_of_an_imported_scene_get_their_own_volumes_back(scene, tmp_path):
    """The nodes of a scene that is added to another have new IDs."""
    addSliceViews(scene)
    first, second = (scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name) for name in ("first", "second"))
    layers = nodesByClass(scene, "vtkMRMLSliceCompositeNode")
    for node in layers:
        node.SetBackgroundVolumeID(first.GetID())
    view_state.remember(layers)
    for node in layers:
        node.SetBackgroundVolumeID(second.GetID())
    scene.SetURL(str(tmp_path / "scene.mrml"))
    scene.Commit()

    other = slicer.vtkMRMLScene()
    addSliceViews(other)
    own = other.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "own")
    assert own.GetID() == first.GetID()
    other.SetURL(str(tmp_path / "scene.mrml"))
    other.Import()
    view_state.restoreViewState(other)
    shown = other.GetNodeByID("vtkMRMLSliceCompositeNodeRed").GetBackgroundVolumeID()
    assert shown == other.GetFirstNodeByName("first").GetID()
    assert shown != own.GetID()
