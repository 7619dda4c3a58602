"""The moving image as it was taken, and the point under the cursor on both images."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import vtk

from UnsupervisedRegistrationLib.scene.display.linked_cursor import correspondingPoint, markCorrespondingPoint
from UnsupervisedRegistrationLib.scene.display.overlays import enterOverlay, restoreViews
from UnsupervisedRegistrationLib.scene.display.side_by_side import showSideBySide
from UnsupervisedRegistrationLib.scene.display.slice_views import FIXED_VIEW, WARPED_VIEW, addSliceViews
from UnsupervisedRegistrationLib.scene.display.undeformed_volume import undeformedVolume
from UnsupervisedRegistrationLib.scene.geometry.planes import planeFromIndex
from UnsupervisedRegistrationLib.scene.geometry.result_transform import setResultTransform
from UnsupervisedRegistrationLib.scene.scene_nodes import nodesByClass

NEWTON = 0.02  # mm: Slicer inverts a grid transform to 0.01 mm.
POINT = np.array([12.0, 9.0, 6.0])


@pytest.fixture(params=[False, True], ids=["alone", "initial"])
def registered(request: pytest.FixtureRequest, scene: Any, makeVolume: Any, makeParent: Any) -> Any:
    """Fixed, moving, result transform, the initial one, and the displacement as a function of world positions."""
    fixed, moving = (makeVolume(np.diag([1.0, 1, 3, 1]), name, seed=n) for n, name in enumerate(("Fixed", "Moving")))
    initial, grid = makeParent("linear") if request.param else None, makeParent("grid").GetTransformFromParent()
    chain = vtk.vtkGeneralTransform()
    chain.PostMultiply()
    chain.Concatenate(grid)
    if initial is not None:
        chain.Concatenate(initial.GetTransformFromParent())
    node = scene.AddNewNodeByClass("vtkMRMLTransformNode", "Result")
    setResultTransform(node, chain, initial, fixed, moving)
    return fixed, moving, node, initial, grid.TransformPoint


def viewsOf(scene: Any) -> dict[str, Any]:
    return {view.GetLayoutName(): view for view in nodesByClass(scene, "vtkMRMLSliceNode")}


def opened(scene: Any, registered: Any) -> dict[str, Any]:
    """The layout with the undeformed image; outside the application nobody adds the views."""
    fixed, moving, *_rest = registered
    addSliceViews(scene)
    for name in (FIXED_VIEW, WARPED_VIEW):
        for kind in ("vtkMRMLSliceNode", "vtkMRMLSliceCompositeNode"):
            if scene.GetSingletonNode(name, kind) is None:
                node = scene.CreateNodeByClass(kind)
                node.UnRegister(None)
                node.SetSingletonTag(name)
                node.SetLayoutName(name)
                scene.AddNode(node)
    showSideBySide(enterOverlay(fixed, moving), planeFromIndex(fixed, "axial"), isUndeformed=True)
    return viewsOf(scene)


def test_the_second_node_shares_the_voxels_and_has_the_initial_transform(registered: Any) -> None:
    _fixed, moving, node, initial, _toMoving = registered
    second = undeformedVolume(moving)
    assert second.GetImageData() is moving.GetImageData()
    assert second.GetParentTransformNode() is initial
    assert moving.GetParentTransformNode() is node


def test_the_second_node_is_hidden_and_not_saved(registered: Any) -> None:
    second = undeformedVolume(registered[1])
    assert second.GetHideFromEditors()
    assert not second.GetSaveWithScene()


def test_the_second_node_follows_window_and_level(registered: Any) -> None:
    moving = registered[1]
    moving.CreateDefaultDisplayNodes()
    moving.GetDisplayNode().SetAutoWindowLevel(False)
    moving.GetDisplayNode().SetWindowLevel(321, 123)
    display = undeformedVolume(moving).GetDisplayNode()
    assert (display.GetWindow(), display.GetLevel()) == (321, 123)


def test_side_by_side_shows_it_and_restoring_the_views_removes_it(scene: Any, registered: Any) -> None:
    opened(scene, registered)
    layers = {node.GetLayoutName(): node for node in nodesByClass(scene, "vtkMRMLSliceCompositeNode")}
    shown = scene.GetNodeByID(layers[WARPED_VIEW].GetBackgroundVolumeID())
    assert shown.GetName() == "Moving undeformed"
    assert layers[FIXED_VIEW].GetBackgroundVolumeID() == registered[0].GetID()
    restoreViews(scene)
    assert scene.GetFirstNodeByName("Moving undeformed") is None
    assert registered[1].GetImageData() is not None


def test_a_fixed_point_corresponds_to_where_the_moving_image_was_taken(registered: Any) -> None:
    *_nodes, node, _initial, toMoving = registered
    assert correspondingPoint(POINT, node, isOnFixed=True) == pytest.approx(np.array(toMoving(POINT)), abs=NEWTON)


def test_a_moving_point_corresponds_to_the_fixed_one(registered: Any) -> None:
    *_nodes, node, _initial, toMoving = registered
    moving = np.array(toMoving(POINT))
    assert correspondingPoint(moving, node, isOnFixed=False) == pytest.approx(POINT, abs=NEWTON)


@pytest.mark.parametrize("under", [FIXED_VIEW, WARPED_VIEW])
def test_the_cursor_is_marked_in_the_other_view_which_scrolls_there(scene: Any, registered: Any, under: str) -> None:
    views = opened(scene, registered)
    *_nodes, node, _initial, _toMoving = registered
    mark = markCorrespondingPoint(POINT, node, views[under])
    other = views[WARPED_VIEW if under == FIXED_VIEW else FIXED_VIEW]
    expected = correspondingPoint(POINT, node, isOnFixed=under == FIXED_VIEW)
    assert mark.GetNthControlPointPositionWorld(0) == pytest.approx(expected, abs=1e-6)
    assert mark.GetDisplayNode().GetViewNodeIDs() == (other.GetID(),)
    assert other.GetSliceOffset() == pytest.approx(expected[2], abs=1e-6)


def test_the_mark_is_one_node_that_restoring_the_views_removes(scene: Any, registered: Any) -> None:
    views = opened(scene, registered)
    marks = [markCorrespondingPoint(POINT, registered[2], views[FIXED_VIEW]) for _ in range(2)]
    assert marks[0] is marks[1]
    restoreViews(scene)
    assert marks[0].GetScene() is None


def test_a_cursor_in_another_view_is_not_followed(scene: Any, registered: Any) -> None:
    views = opened(scene, registered)
    assert markCorrespondingPoint(POINT, registered[2], views["Red"]) is None
