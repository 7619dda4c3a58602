"""What the panel shows stays true of the slice and the pair that were registered, whatever the user does next."""

from __future__ import annotations

import gc
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
import slicer.util

import host


def red() -> Any:
    return slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeRed")


def marked(ui: Any) -> list[bool]:
    return [ui.landmarkTable.item(row, 0).text().startswith("⚠") for row in range(ui.landmarkTable.rowCount)]


def test_landmarks_are_off_the_slice_that_was_registered_and_not_off_the_view(
    loaded: host.Loaded, applied: Any
) -> None:
    points = slicer.util.getNode("HeadFixedLandmarks")
    points.SetNthControlPointPositionWorld(0, *np.add(points.GetNthControlPointPositionWorld(0), [0, 0, 9.0]))
    host.waitUntil(lambda: marked(applied)[0])
    before = marked(applied)
    red().SetSliceOffset(red().GetSliceOffset() + 9.0)
    host.waitUntil(lambda: not loaded.widget.landmarks._refresh.isActive())
    assert marked(applied) == before


def test_side_by_side_opens_on_the_slice_of_the_view(loaded: host.Loaded, applied: Any) -> None:
    red().SetSliceOffset(12.0)
    applied.sideBySideButton.click()
    host.waitUntil(lambda: not loaded.widget.sideBySide._fit.isActive())
    slicer.app.processEvents()
    offsets = {
        view.GetName(): view.GetSliceOffset()
        for view in slicer.util.getNodesByClass("vtkMRMLSliceNode")
        if view.GetLayoutName().startswith("Registration")
    }
    applied.sideBySideButton.click()  # Gives the layout back, which outlives a test.
    assert len(offsets) == 2
    assert np.allclose(list(offsets.values()), 12.0)


@pytest.mark.parametrize("mode", ["Checkerboard", "Swipe", "Difference", "Edges"])
def test_a_drawn_overlay_follows_window_and_level(loaded: host.Loaded, applied: Any, mode: str) -> None:
    applied.overlaySelector.setCurrentText(mode)
    host.waitUntil(lambda: not loaded.widget.overlay._follow.isActive())
    picture = slicer.util.getNode("Registration picture")
    before = slicer.util.arrayFromVolume(picture).copy()
    display = slicer.util.getNode("HeadFixed").GetDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevel(display.GetWindow() / 4, display.GetLevel())
    host.waitUntil(lambda: not np.array_equal(slicer.util.arrayFromVolume(picture), before), 5)


def test_a_drawn_overlay_comes_to_rest(loaded: host.Loaded, applied: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing changes the display of the volumes, which must not lead to the next drawing."""
    applied.overlaySelector.setCurrentText("Checkerboard")
    slicer.util.getNode("HeadFixed").GetDisplayNode().SetWindowLevel(50, 50)
    host.waitUntil(lambda: not loaded.widget.overlay._follow.isActive())
    slicer.app.processEvents()
    assert not loaded.widget.overlay._follow.isActive()


@pytest.mark.parametrize("button", ["showResultButton", "restoreResultButton"])
def test_a_result_that_is_shown_again_brings_its_slice_along(applied: Any, button: str) -> None:
    registered = red().GetSliceOffset()
    red().SetSliceOffset(registered + 8.0)
    applied.resultTable.selectRow(0)
    getattr(applied, button).click()
    assert np.isclose(red().GetSliceOffset(), registered)


def test_a_result_that_is_shown_again_brings_its_index_along(loaded: host.Loaded, applied: Any) -> None:
    applied.sliceSourceSelector.setCurrentText("Axial, by index")
    applied.sliceIndexSpinBox.value = 2
    applied.resultTable.selectRow(0)
    applied.showResultButton.click()
    assert loaded.widget.parameters.sliceIndex == 7


def test_a_slice_that_live_refuses_has_no_grade(loaded: host.Loaded, ui: Any) -> None:
    ui.liveButton.click()
    host.waitUntil(lambda: ui.qualityLabel.visible)
    red().SetSliceOffset(900.0)
    host.waitUntil(lambda: "does not cut the volume" in ui.statusLabel.text)
    assert not ui.qualityLabel.visible
    assert (ui.liveLabel.visible, ui.keepButton.enabled, loaded.widget.result) == (False, False, None)
    red().SetSliceOffset(8.0)
    host.waitUntil(lambda: ui.qualityLabel.visible)


def test_a_closed_scene_leaves_no_result_in_memory(loaded: host.Loaded, applied: Any) -> None:
    """Also while another module is shown; observers of a node that is destroyed are told so."""
    applied.landmarksButton.collapsed = False
    nodes = [*slicer.util.getNodesByClass("vtkMRMLTransformNode"), slicer.util.getNode("HeadMoving")]
    left = {node.GetName() for node in nodes}
    for node in nodes:
        node.AddObserver("DeleteEvent", partial(lambda name, *event: left.discard(name), node.GetName()))
    del nodes, node
    loaded.panel.exit()
    slicer.mrmlScene.Clear(0)
    gc.collect()
    assert left == set()


def test_the_mouse_takes_the_proposed_partner_and_not_the_fixed_point(ui: Any, tmp_path: Path) -> None:
    """Before a registration the partner is proposed exactly on the fixed point."""
    host.openSlice(red())
    ui.createLandmarksButton.click()
    ui.placeButton.click()
    host.grabSlice(red(), tmp_path / "before.png")
    fixed, partners = ui.fixedLandmarksSelector.currentNode(), ui.movingLandmarksSelector.currentNode()
    start = np.array([5.0, 6.0, red().GetSliceOffset()])
    fixed.AddControlPointWorld(start)
    host.grabSlice(red(), tmp_path / "after.png")
    host.dragInSlice(red(), start, np.add(start, (20, 0, 0)))
    assert np.allclose(fixed.GetNthControlPointPositionWorld(0), start)
    assert partners.GetNthControlPointPositionWorld(0)[0] > 20
    ui.placeButton.click()
    assert not fixed.GetLocked()


@pytest.mark.parametrize("mode", ["Change of area", "Trust map"])
def test_a_map_of_a_result_that_was_undone_is_not_shown(applied: Any, mode: str) -> None:
    applied.overlaySelector.setCurrentText("Change of area")
    layers = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceCompositeNodeRed")
    picture = layers.GetForegroundVolumeID()
    applied.undoButton.click()
    applied.overlaySelector.setCurrentText(mode)
    assert layers.GetForegroundVolumeID() != picture
