"""Side by side with the moving image as it was taken."""

from __future__ import annotations

from typing import Any

import pytest
import slicer
import slicer.util
import vtk


def shownRight() -> Any:
    layers = {node.GetLayoutName(): node for node in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")}
    return slicer.mrmlScene.GetNodeByID(layers["RegistrationWarped"].GetBackgroundVolumeID())


def view(name: str) -> Any:
    views = {node.GetLayoutName(): node for node in slicer.util.getNodesByClass("vtkMRMLSliceNode")}
    return views[name]


def test_the_right_view_shows_the_image_as_it_was_taken(applied: Any) -> None:
    moving = slicer.util.getNode("HeadMoving")
    applied.undeformedCheckBox.checked = True
    applied.sideBySideButton.click()
    assert shownRight().GetName() == "HeadMoving undeformed"
    assert shownRight().GetParentTransformNode() is None
    assert moving.GetParentTransformNode() is not None
    applied.undeformedCheckBox.checked = False
    assert shownRight() is moving
    applied.sideBySideButton.click()
    assert slicer.mrmlScene.GetFirstNodeByName("HeadMoving undeformed") is None


@pytest.mark.parametrize("isUndeformed", [True, False])
def test_the_point_under_the_mouse_is_marked_in_the_undeformed_view_only(applied: Any, isUndeformed: bool) -> None:
    crosshair = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
    crosshair = crosshair or slicer.mrmlScene.AddNewNodeByClass("vtkMRMLCrosshairNode")
    applied.undeformedCheckBox.checked = isUndeformed
    applied.sideBySideButton.click()
    truth = [slicer.util.getNode(f"Head{which}Landmarks") for which in ("Fixed", "Moving")]
    fixed, moving = (node.GetNthControlPointPositionWorld(0) for node in truth)
    toView = vtk.vtkMatrix4x4()
    vtk.vtkMatrix4x4.Invert(view("RegistrationFixed").GetXYToRAS(), toView)
    crosshair.SetCursorPositionXYZ(toView.MultiplyPoint([*fixed, 1.0])[:3], view("RegistrationFixed"))
    mark = slicer.mrmlScene.GetFirstNodeByName("Registration corresponding point")
    marked = None if mark is None else mark.GetNthControlPointPositionWorld(0)
    applied.sideBySideButton.click()  # Gives the layout back, which outlives a test.
    assert (marked is not None) == isUndeformed
    if marked is not None:
        assert max(abs(a - b) for a, b in zip(marked, moving, strict=True)) < 2.0  # mm, accuracy of the registration
