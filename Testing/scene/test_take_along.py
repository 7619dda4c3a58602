"""Nodes taken along with a registration: under the transform, or as copies on the other side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import slicer
import slicer.util
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from UnsupervisedRegistrationLib.scene.geometry.result_transform import INITIAL_ROLE, setResultTransform
from UnsupervisedRegistrationLib.scene.geometry.volumes import addVolume
from UnsupervisedRegistrationLib.scene.landmarks.markups import addLandmarks
from UnsupervisedRegistrationLib.scene.propagation.hardened_copy import hardenedCopy
from UnsupervisedRegistrationLib.scene.propagation.inverse_transform import inverseTransformNode
from UnsupervisedRegistrationLib.scene.propagation.resampling import ResampleOptions
from UnsupervisedRegistrationLib.scene.propagation.take_along import (
    PropagationOptions,
    nodesToTakeAlong,
    takeAlong,
)

NEWTON = 0.02  # mm: Slicer inverts a grid transform to 0.01 mm.
SHIFT = np.array([3.0, -2.0, 1.0])  # mm, from the fixed to the moving position.
TO_MOVING = PropagationOptions("fixed to moving", "Hardened copy")
COPY = PropagationOptions(method="Hardened copy")


@pytest.fixture
def logics(scene: Any) -> Iterator[Any]:
    """What Slicer's own module does for a scene: it knows the representations of segments."""
    logic = slicer.vtkSlicerSegmentationsModuleLogic()
    logic.SetMRMLScene(scene)
    yield logic
    logic.SetMRMLScene(None)


@pytest.fixture
def register(scene: Any, logics: Any, makeVolume: Any, makeParent: Any) -> Callable[..., Any]:
    """A result transform of a kind between two volumes, with its truth: from fixed to moving positions."""

    def make(kind: str = "shift", initial: Any = None) -> Any:
        matrix = np.diag([1.0, 1, 3, 1])
        fixed, moving = makeVolume(matrix, "Fixed"), makeVolume(matrix, "Moving", seed=1)
        source = _shift(SHIFT) if kind == "shift" else makeParent(kind).GetTransformFromParent()
        chain = vtk.vtkGeneralTransform()
        chain.PostMultiply()
        chain.Concatenate(source)
        if initial is not None:
            moving.SetAndObserveTransformNodeID(initial.GetID())
            chain.Concatenate(initial.GetTransformFromParent())
        node = scene.AddNewNodeByClass("vtkMRMLTransformNode", "Result")
        setResultTransform(node, chain, initial, fixed, moving)
        return node, source.TransformPoint

    return make


def _shift(vector: np.ndarray) -> vtk.vtkTransform:
    transform = vtk.vtkTransform()
    transform.Translate(*vector)
    return transform


def addPoint(scene: Any, position: Any, name: str = "Points") -> Any:
    return addLandmarks(scene, name, {"a": tuple(position)})


def positionOf(node: Any) -> np.ndarray:
    return np.array(node.GetNthControlPointPositionWorld(0))


def addSegments(scene: Any, voxels: np.ndarray, matrix: np.ndarray, name: str = "Contours") -> Any:
    image = slicer.vtkOrientedImageData()
    image.SetDimensions(voxels.shape[::-1])
    image.GetPointData().SetScalars(numpy_to_vtk(voxels.astype(np.uint8).ravel(), deep=True))
    image.SetImageToWorldMatrix(slicer.util.vtkMatrixFromArray(matrix))
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.CreateDefaultDisplayNodes()
    node.AddSegmentFromBinaryLabelmapRepresentation(image, "organ", [0.2, 0.4, 0.6])
    return node


def centreOf(node: Any) -> np.ndarray:
    """Centre of the voxels of the only segment, world RAS mm."""
    image, matrix = slicer.vtkOrientedImageData(), vtk.vtkMatrix4x4()
    node.GetBinaryLabelmapRepresentation(node.GetSegmentation().GetNthSegmentID(0), image)
    image.GetImageToWorldMatrix(matrix)
    size = image.GetDimensions()[::-1]
    found = np.argwhere(vtk_to_numpy(image.GetPointData().GetScalars()).reshape(size))
    index = found[:, ::-1].mean(axis=0) + np.array(image.GetExtent()[::2])
    return (slicer.util.arrayFromVTKMatrix(matrix) @ [*index, 1])[:3]


@pytest.mark.parametrize("kind", ["shift", "linear", "grid", "spline"])
def test_a_copied_point_of_the_moving_image_lies_on_the_fixed_one(scene: Any, register: Any, kind: str) -> None:
    node, toMoving = register(kind)
    fixedPoint = (12.0, 9.0, 6.0)
    copy = hardenedCopy(addPoint(scene, toMoving(fixedPoint)), node)
    assert np.linalg.norm(positionOf(copy) - fixedPoint) < NEWTON


@pytest.mark.parametrize("kind", ["shift", "linear", "grid", "spline"])
def test_a_copied_point_of_the_fixed_image_lies_on_the_moving_one(scene: Any, register: Any, kind: str) -> None:
    node, toMoving = register(kind)
    fixedPoint = (12.0, 9.0, 6.0)
    copy = hardenedCopy(addPoint(scene, fixedPoint), node, "fixed to moving")
    assert np.linalg.norm(positionOf(copy) - toMoving(fixedPoint)) < NEWTON


@pytest.mark.parametrize("parent", ["initial", None, "result"])
def test_the_initial_transform_is_part_of_the_way(scene: Any, register: Any, makeParent: Any, parent: Any) -> None:
    """The point is drawn on the moving image before the registration, or follows the image already."""
    initial = makeParent("linear")
    node, toMovingWorld = register("grid", initial)
    fixedPoint = (12.0, 9.0, 6.0)
    world = np.array(toMovingWorld(fixedPoint))
    own = np.array(initial.GetTransformFromParent().TransformPoint(world))
    points = addPoint(scene, world if parent is None else own)
    under = {"initial": initial, "result": node, None: None}[parent]
    points.SetAndObserveTransformNodeID(under.GetID() if under else None)
    assert np.linalg.norm(positionOf(hardenedCopy(points, node)) - fixedPoint) < NEWTON


def test_a_copy_to_the_moving_side_lies_under_the_initial_transform(scene: Any, register: Any, makeParent: Any) -> None:
    initial = makeParent("linear")
    node, toMovingWorld = register("grid", initial)
    copy = hardenedCopy(addPoint(scene, (12.0, 9.0, 6.0)), node, "fixed to moving")
    assert copy.GetParentTransformNode() is initial
    assert np.linalg.norm(positionOf(copy) - toMovingWorld((12.0, 9.0, 6.0))) < NEWTON


def test_a_copied_image_is_the_warped_image(scene: Any, register: Any, valueAt: Any) -> None:
    node, toMoving = register("grid")
    moving = slicer.util.getNode("Moving")
    before = slicer.util.arrayFromVolume(moving).copy()
    copy = hardenedCopy(moving, node)
    voxels = slicer.util.arrayFromVolume(copy)
    for k, j, i in ((2, 10, 12), (1, 20, 25), (3, 16, 30)):
        expected = valueAt(moving, np.array([toMoving((i, j, 3.0 * k))]))[0]
        assert voxels[k, j, i] == pytest.approx(expected, abs=0.01)  # 1e-5 of the range.
    assert np.array_equal(slicer.util.arrayFromVolume(moving), before)
    assert moving.GetParentTransformNode() is node


def test_a_copied_image_has_the_grid_of_the_fixed_volume(scene: Any, register: Any) -> None:
    node, _ = register()
    other = addVolume(scene, "Dose", np.ones((4, 50, 60), np.float32), np.diag([0.5, 0.6, 2, 1]))
    copy, fixed = hardenedCopy(other, node), slicer.util.getNode("Fixed")
    assert copy.GetImageData().GetDimensions() == fixed.GetImageData().GetDimensions()
    matrices = [vtk.vtkMatrix4x4(), vtk.vtkMatrix4x4()]
    for volume, matrix in zip((copy, fixed), matrices, strict=True):
        volume.GetIJKToRASMatrix(matrix)
    assert np.array_equal(*map(slicer.util.arrayFromVTKMatrix, matrices))


def test_the_background_value_is_outside_the_source(scene: Any, register: Any) -> None:
    node, _ = register()
    other = addVolume(scene, "CT", np.zeros((5, 32, 40), np.int16), np.diag([1.0, 1, 3, 1]))
    voxels = slicer.util.arrayFromVolume(hardenedCopy(other, node, options=ResampleOptions(background=-1024)))
    assert voxels[2, 16, 39] == -1024  # 3 mm to the right of it lies no voxel.
    assert voxels[2, 16, 20] == 0


@pytest.mark.parametrize(("pixelType", "expected"), [("as the source", np.int16), ("float32", np.float32)])
def test_the_pixel_type_is_the_chosen_one(scene: Any, register: Any, pixelType: Any, expected: Any) -> None:
    node, _ = register()
    other = addVolume(scene, "CT", np.zeros((5, 32, 40), np.int16), np.diag([1.0, 1, 3, 1]))
    copy = hardenedCopy(other, node, options=ResampleOptions(pixelType=pixelType))
    assert slicer.util.arrayFromVolume(copy).dtype == expected


@pytest.mark.parametrize(("interpolation", "expected"), [("nearest", 0.0), ("linear", 25.0)])
def test_the_interpolation_is_the_chosen_one(scene: Any, register: Any, interpolation: Any, expected: float) -> None:
    node, _ = register()
    node.SetAndObserveTransformFromParent(_shift(np.array([0.25, 0, 0])))
    step = np.zeros((5, 32, 40), np.float32)
    step[:, :, 20:] = 100.0
    other = addVolume(scene, "Step", step, np.diag([1.0, 1, 3, 1]))
    copy = hardenedCopy(other, node, options=ResampleOptions(interpolation))
    assert slicer.util.arrayFromVolume(copy)[2, 16, 19] == expected


def test_a_labelmap_takes_the_nearest_voxel_whatever_is_chosen_for_images(scene: Any, register: Any) -> None:
    node, _ = register("grid")
    labels = np.zeros((5, 32, 40), np.uint8)
    labels[1:4, 8:20, 10:30] = 7
    labelmap = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "Labels")
    slicer.util.updateVolumeFromArray(labelmap, labels)
    labelmap.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(np.diag([1.0, 1, 3, 1])))
    copy = hardenedCopy(labelmap, node, options=ResampleOptions("cubic", 3.0, "float32"))
    voxels = slicer.util.arrayFromVolume(copy)
    assert copy.GetClassName() == "vtkMRMLLabelMapVolumeNode"
    assert voxels.dtype == np.uint8
    assert set(np.unique(voxels)) == {0, 7}


def test_a_background_that_the_pixel_type_cannot_hold_is_refused(scene: Any, register: Any, snapshot: Any) -> None:
    node, _ = register()
    other = addVolume(scene, "CT", np.zeros((5, 32, 40), np.uint8), np.diag([1.0, 1, 3, 1]))
    before = snapshot()
    with pytest.raises(ValueError, match="cannot hold the background value -1024"):
        hardenedCopy(other, node, options=ResampleOptions(background=-1024))
    assert snapshot() == before


def test_a_copied_segment_lies_where_its_organ_is_on_the_fixed_image(scene: Any, register: Any) -> None:
    node, _ = register()
    voxels = np.zeros((20, 32, 40))
    voxels[8:12, 10:20, 15:30] = 1
    contours = addSegments(scene, voxels, np.eye(4))
    copy = hardenedCopy(contours, node)
    assert centreOf(copy) == pytest.approx(centreOf(contours) - SHIFT, abs=0.01)
    assert copy.GetNodeReference(copy.GetReferenceImageGeometryReferenceRole()) is slicer.util.getNode("Fixed")
    assert copy.GetSegmentation().GetNthSegment(0).GetName() == "organ"
    assert copy.GetSegmentation().GetNthSegment(0).GetColor() == pytest.approx((0.2, 0.4, 0.6))


def test_the_points_of_a_copied_model_are_transformed(scene: Any, register: Any) -> None:
    node, _ = register()
    sphere = vtk.vtkSphereSource()
    sphere.SetCenter(10, 10, 6)
    sphere.Update()
    model = scene.AddNewNodeByClass("vtkMRMLModelNode", "Organ")
    model.SetAndObserveMesh(sphere.GetOutput())
    copy = hardenedCopy(model, node)
    assert np.array(copy.GetMesh().GetCenter()) == pytest.approx(np.array([10, 10, 6]) - SHIFT, abs=1e-4)
    assert np.array(model.GetMesh().GetCenter()) == pytest.approx([10, 10, 6], abs=1e-4)


def test_a_copy_is_named_has_a_storage_node_and_lies_beside_its_source(scene: Any, register: Any) -> None:
    node, _ = register()
    moving = slicer.util.getNode("Moving")
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    folder = hierarchy.CreateFolderItem(hierarchy.GetSceneItemID(), "Study")
    hierarchy.CreateItem(folder, moving)
    copy = hardenedCopy(moving, node)
    assert copy.GetName() == "Moving on Fixed"
    assert copy.GetStorageNode() is not None
    assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(copy)) == folder


def test_a_copy_keeps_window_and_level_but_not_the_dicom_instances(scene: Any, register: Any) -> None:
    node, _ = register()
    moving = slicer.util.getNode("Moving")
    moving.SetAttribute("DICOM.instanceUIDs", "1.2.3")
    moving.CreateDefaultDisplayNodes()
    moving.GetDisplayNode().SetAutoWindowLevel(False)
    moving.GetDisplayNode().SetWindowLevel(400, 40)
    copy = hardenedCopy(moving, node)
    assert (copy.GetDisplayNode().GetWindow(), copy.GetDisplayNode().GetLevel()) == (400, 40)
    assert copy.GetDisplayNode() is not moving.GetDisplayNode()
    assert copy.GetAttribute("DICOM.instanceUIDs") is None


def test_set_parent_moves_the_point_onto_the_fixed_image(scene: Any, register: Any) -> None:
    node, toMoving = register("grid")
    points = addPoint(scene, toMoving((12.0, 9.0, 6.0)))
    assert takeAlong([points], node).nodes == (points,)
    assert points.GetParentTransformNode() is node
    assert np.linalg.norm(positionOf(points) - (12.0, 9.0, 6.0)) < NEWTON


def test_set_parent_to_the_moving_side_takes_a_node_of_the_inverse(scene: Any, register: Any, makeParent: Any) -> None:
    node, toMovingWorld = register("grid", makeParent("linear"))
    points = addPoint(scene, (12.0, 9.0, 6.0))
    taken = takeAlong([points], node, PropagationOptions("fixed to moving"))
    assert points.GetParentTransformNode() is taken.inverse
    assert np.linalg.norm(positionOf(points) - toMovingWorld((12.0, 9.0, 6.0))) < NEWTON


def test_the_inverse_is_made_once_on_request_and_saved_with_the_scene(scene: Any, register: Any, reopened: Any) -> None:
    node, toMoving = register("grid")
    points = addPoint(scene, (12.0, 9.0, 6.0))
    assert takeAlong([points], node, TO_MOVING).inverse is None
    taken = takeAlong([points], node, PropagationOptions("fixed to moving", "Hardened copy", keepInverse=True))
    assert inverseTransformNode(node) is taken.inverse
    again = reopened(scene).GetFirstNodeByName("Result (inverse)")
    moved = again.GetTransformToParent().TransformPoint((12.0, 9.0, 6.0))
    assert np.linalg.norm(np.array(moved) - toMoving((12.0, 9.0, 6.0))) < NEWTON


def test_a_parent_transform_that_would_be_lost_is_refused(
    scene: Any, register: Any, makeParent: Any, snapshot: Any
) -> None:
    node, _ = register()
    first, second = addPoint(scene, (0, 0, 0)), addPoint(scene, (0, 0, 0), "Others")
    second.SetAndObserveTransformNodeID(makeParent("linear").GetID())
    before = snapshot()
    with pytest.raises(ValueError, match="'Others' has the parent transform 'linear'"):
        takeAlong([first, second], node)
    assert snapshot() == before


def test_one_node_that_cannot_be_copied_leaves_no_copies(scene: Any, register: Any) -> None:
    node, _ = register()
    count = scene.GetNumberOfNodesByClass("vtkMRMLDisplayableNode")
    empty = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Empty")
    with pytest.raises(ValueError, match="'Empty' has 0 x 0 x 0 voxels"):
        takeAlong([addPoint(scene, (0, 0, 0)), empty], node, COPY)
    assert scene.GetNumberOfNodesByClass("vtkMRMLDisplayableNode") == count + 2  # The two sources.


def test_the_fixed_volume_itself_is_not_moved(register: Any) -> None:
    node, _ = register()
    with pytest.raises(ValueError, match="'Fixed' is what the registration refers to"):
        takeAlong([slicer.util.getNode("Fixed")], node)


def test_a_deleted_fixed_volume_is_named(scene: Any, register: Any) -> None:
    node, _ = register()
    scene.RemoveNode(slicer.util.getNode("Fixed"))
    with pytest.raises(ValueError, match="'Result' has no fixed volume in the scene"):
        takeAlong([addPoint(scene, (0, 0, 0))], node, COPY)


def test_a_deleted_initial_transform_is_named(scene: Any, register: Any, makeParent: Any) -> None:
    node, _ = register("grid", makeParent("linear"))
    scene.RemoveNode(node.GetNodeReference(INITIAL_ROLE))
    with pytest.raises(ValueError, match="initial transform that 'Result' was registered with was deleted"):
        takeAlong([addPoint(scene, (0, 0, 0))], node)


def test_an_empty_list_is_refused(register: Any) -> None:
    node, _ = register()
    with pytest.raises(ValueError, match="No node was chosen"):
        takeAlong([], node)


def test_the_offered_nodes_can_be_taken_along(scene: Any, register: Any) -> None:
    node, _ = register()
    points = addPoint(scene, (0, 0, 0))
    hidden = addPoint(scene, (0, 0, 0), "Hidden")
    hidden.SetHideFromEditors(True)
    moving = slicer.util.getNode("Moving")
    assert nodesToTakeAlong(node, "moving to fixed") == [points, moving]
    assert nodesToTakeAlong(node, "fixed to moving") == [points, slicer.util.getNode("Fixed")]
