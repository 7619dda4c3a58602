"""Whole volumes and sequences, and what may happen while they are at work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import slicer
import slicer.util

import host


def moving() -> Any:
    return slicer.util.getNode("HeadMoving")


def snapshot() -> list[tuple[str, ...]]:
    """Every node but the parameters: where it lies and what it refers to, and the fields of all transforms."""
    found = []
    for index in range(slicer.mrmlScene.GetNumberOfNodes()):
        node = slicer.mrmlScene.GetNthNode(index)
        parent = node.GetTransformNodeID() if node.IsA("vtkMRMLTransformableNode") else ""
        grid = node.IsA("vtkMRMLTransformNode") and node.GetTransformFromParent()
        field = slicer.util.arrayFromGridTransform(node).tobytes() if grid and grid.IsA("vtkGridTransform") else b""
        found.append((node.GetID(), node.GetName() or "", parent or "", str(hash(field))))
    return found


def test_a_range_of_slices_becomes_one_transform(ui: Any) -> None:
    assert ui.lastSliceSpinBox.value == 14
    ui.firstSliceSpinBox.value, ui.lastSliceSpinBox.value = 6, 8
    ui.registerVolumeButton.click()
    assert ui.statusLabel.text.startswith("Axial slices 6 to 8")
    assert moving().GetParentTransformNode() is ui.transformSelector.currentNode()


def test_cancel_leaves_everything_as_it_was(ui: Any, during: Callable[..., None]) -> None:
    before = slicer.mrmlScene.GetNumberOfNodes()
    during(ui.cancelButton.click)
    for button in (ui.registerVolumeButton, ui.applyButton):
        button.click()
        assert ui.statusLabel.text == "Cancelled; everything is as it was."
    assert slicer.mrmlScene.GetNumberOfNodes() == before
    assert ui.applyButton.enabled
    assert not ui.cancelButton.isVisible()


def test_a_volume_deleted_while_registering_is_a_sentence(ui: Any, during: Callable[..., None]) -> None:
    def delete() -> None:
        for node in slicer.util.getNodes("HeadMoving", useLists=True).get("HeadMoving", []):
            slicer.mrmlScene.RemoveNode(node)

    during(delete)
    ui.applyButton.click()
    assert "Choose a fixed and a moving volume" in ui.statusLabel.text
    assert not slicer.util.getNodes("HeadMoving to*")


def test_a_scene_closed_while_registering_is_no_error(ui: Any, during: Callable[..., None]) -> None:
    during(lambda: slicer.mrmlScene.Clear(0))
    ui.applyButton.click()
    assert not host.messages
    assert host.uncaught == []


def test_a_cancelled_volume_leaves_an_earlier_outcome_and_the_history(
    applied: Any, during: Callable[..., None]
) -> None:
    """Cancelled at its second step, when the network has begun."""
    before, steps = snapshot(), []
    during(lambda: steps.append(1) or (len(steps) == 2 and applied.cancelButton.click()))
    applied.registerVolumeButton.click()
    assert applied.statusLabel.text == "Cancelled; everything is as it was."
    assert len(steps) == 2
    assert snapshot() == before
    assert applied.resultTable.rowCount == 1


def test_the_time_left_is_told(loaded: host.Loaded, ui: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    told, values = [], []
    monkeypatch.setattr(loaded.widget, "say", told.append)

    def work(progress: Callable[[str, float], None]) -> None:
        loaded.widget.longWork._began -= 30  # So long ago.
        progress("network", 0.75)
        values.append(ui.progressBar.value)

    loaded.widget.longWork.run(work)
    assert (told[0], values) == ("Registering, 10 s left", [75])


def test_masks_count_in_a_whole_volume(ui: Any, drawMask: Callable[..., Any]) -> None:
    """Slices without a pixel of the mask stay, but for the smoothing over 3 mm; they lie 4 mm apart."""
    ui.maskSelector.setCurrentNode(drawMask(slice(6, 9), slice(60, 140), slice(50, 120)))
    ui.registerVolumeButton.click()
    assert "12 of 15 slices lie outside the mask and stay" in ui.statusLabel.text
    vectors = np.abs(slicer.util.arrayFromGridTransform(ui.transformSelector.currentNode())).max(axis=(1, 2, 3))[1:-1]
    assert vectors[7] > 1
    assert vectors[[0, 1, 13, 14]].max() < 1e-3


def test_a_whole_volume_is_kept_as_what_it_is(loaded: host.Loaded, ui: Any) -> None:
    """Landmarks guide single slices only, and the history must not claim more."""
    for which in ("fixed", "moving"):
        selector = getattr(ui, f"{which}LandmarksSelector")
        selector.setCurrentNode(slicer.util.getNode(f"Head{which.capitalize()}Landmarks"))
    ui.steerCheckBox.checked = True
    ui.firstSliceSpinBox.value, ui.lastSliceSpinBox.value = 6, 8
    ui.registerVolumeButton.click()
    ui.resultTable.selectRow(0)
    assert "guided" not in ui.resultLabel.text
    assert "Landmarks do not guide" in ui.statusLabel.text


@pytest.fixture
def cine() -> Any:
    """A sequence of three volumes of one slice, the later ones bigger."""
    rows, columns = np.indices((96, 96)) - 47.5
    sequence = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode", "Cine")
    for index, size in enumerate((1.0, 1.05, 1.1)):
        frame = slicer.vtkMRMLScalarVolumeNode()
        frame.SetName(f"Frame {index}")
        body = 200.0 * (np.hypot(rows / size, columns / size) < 30)
        slicer.util.updateVolumeFromArray(frame, body[None].astype(np.float32))
        sequence.SetDataNodeAtValue(frame, str(40 * index))
    return sequence


def test_the_frames_of_a_sequence_are_registered_to_the_first(ui: Any, cine: Any) -> None:
    assert not ui.registerSequenceButton.enabled
    ui.sequenceSelector.setCurrentNode(cine)
    ui.registerSequenceButton.click()
    found = slicer.util.getNode("Cine to its first frame")
    assert "'Cine to its first frame' holds a transform for each of the 3 frames." in ui.statusLabel.text
    assert found.GetNumberOfDataNodes() == 3
    assert np.abs(slicer.util.arrayFromGridTransform(found.GetNthDataNode(2))).max() > 1
    assert ui.registerSequenceButton.enabled


def test_a_sequence_needs_no_volumes(ui: Any, cine: Any) -> None:
    ui.fixedSelector.setCurrentNode(None)
    ui.sequenceSelector.setCurrentNode(cine)
    ui.registerSequenceButton.click()
    assert "each of the 3 frames" in ui.statusLabel.text


def test_a_cancelled_sequence_leaves_everything(ui: Any, cine: Any, during: Callable[..., None]) -> None:
    ui.sequenceSelector.setCurrentNode(cine)
    before = snapshot()
    during(ui.cancelButton.click)
    ui.registerSequenceButton.click()
    assert ui.statusLabel.text == "Cancelled; everything is as it was."
    assert snapshot() == before


def test_a_sequence_of_one_frame_is_a_sentence(ui: Any, cine: Any) -> None:
    for value in ("40", "80"):
        cine.RemoveDataNodeAtValue(value)
    ui.sequenceSelector.setCurrentNode(cine)
    ui.registerSequenceButton.click()
    assert "needed are two volumes or more" in ui.statusLabel.text


def test_a_sequence_deleted_while_registering_is_a_sentence(ui: Any, cine: Any, during: Callable[..., None]) -> None:
    ui.sequenceSelector.setCurrentNode(cine)
    during(lambda: slicer.mrmlScene.RemoveNode(cine) if cine.GetScene() else None)
    ui.registerSequenceButton.click()
    assert "Choose a sequence of volumes" in ui.statusLabel.text
    assert not slicer.util.getNodes("Cine to its first frame")
