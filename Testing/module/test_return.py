"""What the panel shows when it is entered again, when nodes are gone, and when the scene is closed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
import slicer.util

import host


def layers(name: str) -> Any:
    nodes = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    return next(node for node in nodes if node.GetLayoutName() == name)


def moving() -> Any:
    return slicer.util.getNode("HeadMoving")


def again(loaded: host.Loaded) -> None:
    loaded.panel.exit()
    loaded.panel.enter()


def test_the_slider_of_the_mode_works_after_the_panel_was_left(loaded: host.Loaded, applied: Any) -> None:
    again(loaded)
    applied.blendSlider.value = 0.9
    assert layers("Red").GetForegroundOpacity() == pytest.approx(0.9)


def test_flicker_goes_on_after_the_panel_was_left(loaded: host.Loaded, applied: Any) -> None:
    applied.overlaySelector.setCurrentText("Flicker")
    again(loaded)
    assert loaded.widget.overlay._flicker.isActive()


def test_an_entered_panel_leaves_views_alone_that_show_no_overlay(loaded: host.Loaded, applied: Any) -> None:
    applied.overlaySelector.setCurrentText("Off")
    layers("Red").SetForegroundOpacity(0.3)
    again(loaded)
    assert layers("Red").GetForegroundOpacity() == 0.3


def test_a_picture_whose_volume_is_gone_is_not_drawn_again(loaded: host.Loaded, applied: Any) -> None:
    applied.overlaySelector.setCurrentText("Checkerboard")
    slicer.mrmlScene.RemoveNode(slicer.util.getNode("HeadFixed"))
    slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeRed").SetSliceOffset(4.0)
    host.waitUntil(lambda: not loaded.widget.overlay._follow.isActive())
    assert host.uncaught == []


@pytest.mark.parametrize("button", ["showResultButton", "deleteResultButton", "undoButton"])
def test_results_can_be_handled_without_chosen_volumes(applied: Any, button: str) -> None:
    applied.fixedSelector.setCurrentNode(None)
    applied.resultTable.selectRow(0)
    getattr(applied, button).click()
    assert host.uncaught == []
    assert "HeadMoving" in applied.statusLabel.text


def test_side_by_side_stays_when_the_slice_is_registered_again(applied: Any) -> None:
    applied.sideBySideButton.click()
    applied.applyButton.click()
    shown = [layers(name).GetBackgroundVolumeID() for name in ("RegistrationFixed", "RegistrationWarped")]
    assert shown == [slicer.util.getNode("HeadFixed").GetID(), moving().GetID()]
    assert layers("RegistrationFixed").GetForegroundVolumeID() is None
    applied.sideBySideButton.click()  # The layout outlives the scene.


def test_side_by_side_that_was_refused_is_not_on(ui: Any) -> None:
    ui.fixedSelector.setCurrentNode(None)
    ui.sideBySideButton.click()
    assert "Choose" in ui.statusLabel.text
    assert not ui.sideBySideButton.checked


def test_a_closed_scene_gives_layout_and_buttons_back(applied: Any) -> None:
    layout = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    before = layout.GetViewArrangement()
    applied.sideBySideButton.click()
    applied.warpedCheckBox.click()
    slicer.mrmlScene.Clear(0)
    assert layout.GetViewArrangement() == before
    assert applied.warpedCheckBox.checked
    assert not applied.sideBySideButton.checked


def test_a_result_shown_while_unwarped_stays_when_the_overlay_is_switched_off(applied: Any) -> None:
    applied.applyButton.click()
    applied.warpedCheckBox.click()
    applied.resultTable.selectRow(1)
    applied.showResultButton.click()
    shown = moving().GetParentTransformNode()
    assert applied.warpedCheckBox.checked
    applied.overlaySelector.setCurrentText("Off")
    assert moving().GetParentTransformNode() is shown


def test_undo_works_while_unwarped(applied: Any) -> None:
    applied.warpedCheckBox.click()
    applied.undoButton.click()
    assert "is shown as it was before" in applied.statusLabel.text
    assert moving().GetParentTransformNode() is None


def test_landmarks_tell_that_the_initial_transform_was_deleted(applied: Any) -> None:
    initial = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "initial")
    applied.undoButton.click()
    applied.initialSelector.setCurrentNode(initial)
    applied.applyButton.click()
    slicer.mrmlScene.RemoveNode(initial)
    points = slicer.util.getNode("HeadMovingLandmarks")
    points.SetNthControlPointPositionWorld(0, *np.add(points.GetNthControlPointPositionWorld(0), [9.0, 0, 0]))
    host.waitUntil(lambda: "was deleted" in applied.landmarkLabel.text)
    assert host.uncaught == []


@pytest.mark.parametrize("selector", ["transformSelector", "warpedSelector"])
def test_an_output_deleted_while_registering_is_made_anew(
    applied: Any, during: Callable[[Callable[[], Any]], None], selector: str
) -> None:
    output = getattr(applied, selector).currentNode()
    during(lambda: output.GetScene() and slicer.mrmlScene.RemoveNode(output))
    applied.applyButton.click()
    assert host.uncaught == []
    assert getattr(applied, selector).currentNode() not in (None, output)
    assert moving().GetParentTransformNode() is applied.transformSelector.currentNode()


def test_labelmaps_are_not_drawn_in_red_and_cyan(ui: Any, drawMask: Callable[..., Any]) -> None:
    for selector, rows in ((ui.fixedSelector, slice(50, 150)), (ui.movingSelector, slice(55, 155))):
        labelmap = drawMask(slice(0, 15), rows, slice(50, 120), f"from {rows.start}")
        labelmap.CreateDefaultDisplayNodes()
        selector.setCurrentNode(labelmap)
    ui.overlaySelector.setCurrentText("Red and cyan")
    assert "choose a blend" in ui.statusLabel.text
    assert host.uncaught == []


def test_the_card_of_a_vanished_model_is_not_that_of_another(loaded: host.Loaded, ui: Any, tmp_path: Path) -> None:
    ui.modelsButton.collapsed = False
    assert ui.modelCardLabel.text
    loaded.widget.parameters.model = str(tmp_path / "gone.pt")
    assert ui.modelCardLabel.text == ""


def test_a_node_that_goes_is_not_replaced_by_its_neighbour(loaded: host.Loaded, applied: Any) -> None:
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "of the user")
    slicer.mrmlScene.RemoveNode(applied.warpedSelector.currentNode())
    assert applied.warpedSelector.currentNode() is None
    slicer.mrmlScene.RemoveNode(slicer.util.getNode("HeadFixed"))
    assert applied.fixedSelector.currentNode() is None
    assert loaded.widget.parameters.fixedVolume is None
    assert applied.movingSelector.currentNode() is moving()


def test_live_says_which_node_went(loaded: host.Loaded, ui: Any) -> None:
    ui.liveButton.click()
    host.waitUntil(lambda: not loaded.widget.live.isBusy)
    slicer.mrmlScene.RemoveNode(slicer.util.getNode("HeadFixed"))
    assert not loaded.widget.live.isOn
    assert "'HeadFixed' was deleted" in ui.statusLabel.text


def test_a_scene_saved_unwarped_opens_unwarped_and_says_so(loaded: host.Loaded, applied: Any, tmp_path: Path) -> None:
    applied.warpedCheckBox.click()
    host.saveScene(slicer.mrmlScene, tmp_path / "scene.mrb")
    host.openScene(slicer.mrmlScene, tmp_path / "scene.mrb")
    assert not applied.warpedCheckBox.checked
    assert moving().GetParentTransformNode() is None
    applied.transformSelector.setCurrentNode(None)
    applied.applyButton.click()
    assert applied.warpedCheckBox.checked
    outcome = moving().GetParentTransformNode()
    applied.overlaySelector.setCurrentText("Off")
    assert moving().GetParentTransformNode() is outcome


def test_side_by_side_that_was_left_by_the_menu_of_layouts(loaded: host.Loaded, applied: Any) -> None:
    layout = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    chosen = applied.sliceViewSelector.currentNode()
    applied.sideBySideButton.click()
    layout.SetViewArrangement(layout.SlicerLayoutFourUpView)
    assert not applied.sideBySideButton.checked
    assert applied.sliceViewSelector.currentNode() is chosen
    applied.overlaySelector.setCurrentText("Off")
    assert layout.GetViewArrangement() == layout.SlicerLayoutFourUpView


def test_the_views_beside_each_other_are_known_from_the_start(loaded: host.Loaded) -> None:
    loaded.module.registerLayout()
    layout = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    assert "RegistrationFixed" in layout.GetLayoutDescription(3173)


def test_nothing_else_begins_while_something_is_at_work(
    loaded: host.Loaded, applied: Any, during: Callable[[Callable[[], Any]], None]
) -> None:
    names = ("applyButton", "registerVolumeButton", "undoButton", "deleteResultButton")
    seen = []

    def act() -> None:
        applied.blendSlider.value = 0.3 + 0.01 * len(seen)
        applied.resultTable.selectRow(0)
        seen.append([getattr(applied, name).enabled for name in names])
        applied.applyButton.click()
        loaded.widget.onApply()

    during(act)
    applied.applyButton.click()
    assert seen
    assert not any(enabled for step in seen for enabled in step)
    assert applied.resultTable.rowCount == 2
    assert all(getattr(applied, name).enabled for name in names[:3])
