"""What the panel shows when it is entered again, when nodes are gone, and when the scene is closed."""

from __future__ import annotations

from typing import Any

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


def test_side_by_side_stays_when_the_slice_is_registered_again(applied: Any) -> None:
    applied.linkedButton.click()
    applied.applyButton.click()
    shown = [layers(name).GetBackgroundVolumeID() for name in ("RegistrationFixed", "RegistrationWarped")]
    assert shown == [slicer.util.getNode("HeadFixed").GetID(), moving().GetID()]
    assert layers("RegistrationFixed").GetForegroundVolumeID() is None


def test_side_by_side_that_was_refused_is_not_on(ui: Any) -> None:
    ui.fixedSelector.setCurrentNode(None)
    ui.linkedButton.click()
    assert "Choose" in ui.statusLabel.text
    assert not ui.linkedButton.checked


def test_a_closed_scene_gives_layout_and_buttons_back(applied: Any) -> None:
    layout = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    before = layout.GetViewArrangement()
    applied.linkedButton.click()
    applied.warpedCheckBox.click()
    slicer.mrmlScene.Clear(0)
    assert layout.GetViewArrangement() == before
    assert applied.warpedCheckBox.checked
    assert not applied.linkedButton.checked
