"""The sections of the panel: overlay, landmarks, results, whole volume, models."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
import slicer.util

import host

MODELS = Path(__file__).parents[2] / "UnsupervisedRegistration" / "Resources" / "Models"


def layers() -> Any:
    return slicer.mrmlScene.GetNodeByID("vtkMRMLSliceCompositeNodeRed")


def moving() -> Any:
    return slicer.util.getNode("HeadMoving")


@pytest.mark.parametrize(
    "mode", ["Red and cyan", "Flicker", "Checkerboard", "Swipe", "Difference", "Edges", "Change of area", "Trust map"]
)
def test_every_mode_is_drawn_and_off_gives_the_views_back(applied: Any, mode: str) -> None:
    applied.overlaySelector.setCurrentText("Off")
    layers().SetForegroundOpacity(0.3)
    before = (layers().GetBackgroundVolumeID(), layers().GetForegroundVolumeID(), layers().GetCompositing())
    said = applied.statusLabel.text
    applied.overlaySelector.setCurrentText(mode)
    assert applied.statusLabel.text == said
    assert layers().GetForegroundOpacity() != 0.3
    applied.overlaySelector.setCurrentText("Off")
    assert layers().GetForegroundOpacity() == 0.3
    assert (layers().GetBackgroundVolumeID(), layers().GetForegroundVolumeID(), layers().GetCompositing()) == before


def test_only_the_slider_of_the_mode_is_there(applied: Any) -> None:
    applied.overlaySelector.setCurrentText("Checkerboard")
    shown = [name for name in ("blend", "flicker", "tile", "swipe") if getattr(applied, f"{name}Slider").isVisible()]
    assert shown == ["tile"]


def test_the_slider_blends(applied: Any) -> None:
    applied.blendSlider.value = 0.8
    assert layers().GetForegroundOpacity() == pytest.approx(0.8)


def test_flicker_takes_turns_and_ends_with_the_panel(loaded: host.Loaded, applied: Any) -> None:
    applied.overlaySelector.setCurrentText("Flicker")
    applied.flickerSlider.value = 8.0
    seen: set[float] = set()
    host.waitUntil(lambda: seen.add(layers().GetForegroundOpacity()) or len(seen) == 2)
    loaded.panel.exit()
    assert not loaded.widget.overlay._flicker.isActive()


def test_a_picture_follows_the_slice_without_live(loaded: host.Loaded, applied: Any) -> None:
    applied.overlaySelector.setCurrentText("Checkerboard")
    picture = layers().GetForegroundVolumeID()
    slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeRed").SetSliceOffset(8.0)
    host.waitUntil(lambda: not loaded.widget.overlay._follow.isActive())
    assert slicer.mrmlScene.GetNodeByID(picture).GetOrigin()[2] == pytest.approx(8.0)


def test_unwarped_shows_the_image_as_it_lay(applied: Any) -> None:
    outcome = moving().GetParentTransformNode()
    applied.warpedCheckBox.click()
    assert moving().GetParentTransformNode() is None
    applied.warpedCheckBox.click()
    assert moving().GetParentTransformNode() is outcome


def test_side_by_side_and_back(applied: Any) -> None:
    layout = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    before = layout.GetViewArrangement()
    applied.sideBySideButton.click()
    assert layout.GetViewArrangement() != before
    applied.sideBySideButton.click()
    assert layout.GetViewArrangement() == before


def test_side_by_side_is_followed_by_live_and_gives_the_chosen_view_back(loaded: host.Loaded, applied: Any) -> None:
    chosen = applied.sliceViewSelector.currentNode()
    applied.sideBySideButton.click()
    left = applied.sliceViewSelector.currentNode()
    assert left.GetLayoutName() == "RegistrationFixed"
    applied.liveButton.click()
    host.waitUntil(lambda: not loaded.widget.live.isBusy)
    left.SetSliceOffset(12.0)
    host.waitUntil(lambda: not loaded.widget.live.isBusy)
    assert applied.statusLabel.text.startswith("Axial slice 10")
    applied.liveButton.click()
    applied.sideBySideButton.click()
    assert applied.sliceViewSelector.currentNode() is chosen


def test_a_partner_is_proposed_where_the_moving_image_is_drawn(loaded: host.Loaded, applied: Any) -> None:
    """Apply has warped the moving image, so the structure and its point are drawn at the fixed one."""
    applied.createLandmarksButton.click()
    fixed, partners = (s.currentNode() for s in (applied.fixedLandmarksSelector, applied.movingLandmarksSelector))
    assert partners.GetParentTransformNode() is moving().GetParentTransformNode()
    truth = [slicer.util.getNode(f"Head{which}Landmarks") for which in ("Fixed", "Moving")]
    applied.placeButton.click()
    fixed.AddControlPointWorld(truth[0].GetNthControlPointPositionWorld(0))
    drawn = np.array(partners.GetNthControlPointPositionWorld(0))
    assert np.linalg.norm(drawn - fixed.GetNthControlPointPositionWorld(0)) < 0.1
    own = np.array(partners.GetNthControlPointPosition(0))
    assert np.linalg.norm(own - truth[1].GetNthControlPointPositionWorld(0)) < 2.0
    applied.warpedCheckBox.click()
    host.waitUntil(lambda: partners.GetParentTransformNode() is None)
    assert np.allclose(partners.GetNthControlPointPositionWorld(0), own)


def test_points_of_the_user_stay_where_they_are(applied: Any) -> None:
    points = slicer.util.getNode("HeadMovingLandmarks")
    applied.applyButton.click()
    assert points.GetParentTransformNode() is None


def test_placing_that_was_broken_off_can_be_taken_up_again(ui: Any) -> None:
    interaction = slicer.util.getNode("vtkMRMLInteractionNodeSingleton")
    ui.createLandmarksButton.click()
    ui.placeButton.click()
    assert not ui.nextPointButton.enabled
    interaction.SwitchToViewTransformMode()  # As Esc does.
    assert ui.nextPointButton.enabled
    assert "Next point" in ui.placeLabel.text
    ui.nextPointButton.click()
    assert interaction.GetCurrentInteractionMode() == interaction.Place
    assert not ui.nextPointButton.enabled


def test_a_placed_point_gets_a_partner_to_correct(ui: Any) -> None:
    interaction = slicer.util.getNode("vtkMRMLInteractionNodeSingleton")
    ui.createLandmarksButton.click()
    ui.placeButton.click()
    assert interaction.GetCurrentInteractionMode() == interaction.Place
    fixed, partners = ui.fixedLandmarksSelector.currentNode(), ui.movingLandmarksSelector.currentNode()
    fixed.AddControlPointWorld(5.0, 6.0, 0.0)
    assert partners.GetNumberOfControlPoints() == 1
    assert interaction.GetCurrentInteractionMode() != interaction.Place
    assert "point that corresponds to 1" in ui.placeLabel.text
    ui.nextPointButton.click()
    assert interaction.GetCurrentInteractionMode() == interaction.Place
    ui.placeButton.click()
    assert interaction.GetCurrentInteractionMode() != interaction.Place


def test_the_table_follows_a_dragged_point(applied: Any) -> None:
    before = applied.landmarkTable.item(0, 2).text()
    points = slicer.util.getNode("HeadMovingLandmarks")
    points.SetNthControlPointPositionWorld(0, *np.add(points.GetNthControlPointPositionWorld(0), [9.0, 0, 0]))
    host.waitUntil(lambda: applied.landmarkTable.item(0, 2).text() != before)


def test_a_row_jumps_to_its_landmark(applied: Any) -> None:
    applied.landmarkTable.cellClicked.emit(2, 0)
    position = slicer.util.getNode("HeadFixedLandmarks").GetNthControlPointPositionWorld(2)
    green = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeGreen")
    assert green.GetSliceOffset() == pytest.approx(position[1])


def test_a_point_off_the_slice_is_marked(applied: Any) -> None:
    points = slicer.util.getNode("HeadFixedLandmarks")
    points.SetNthControlPointPositionWorld(0, *np.add(points.GetNthControlPointPositionWorld(0), [0, 0, 9.0]))
    host.waitUntil(lambda: applied.landmarkTable.item(0, 0).text().startswith("⚠"))
    assert "1 of 8 are not on the slice" in applied.landmarkLabel.text


def test_landmarks_that_guided_the_registration_are_marked_as_fitted(applied: Any) -> None:
    assert "(fitted)" not in applied.landmarkTable.item(0, 0).text()
    applied.steerCheckBox.checked = True
    applied.applyButton.click()
    assert applied.landmarkTable.item(0, 0).text().endswith("(fitted)")
    assert "does not measure the accuracy" in applied.landmarkTable.item(0, 0).toolTip()
    assert "All landmarks are fitted" in applied.landmarkLabel.text


def test_the_distances_are_written_to_a_file(applied: Any, tmp_path: Path) -> None:
    host.answers.append(str(tmp_path / "errors.csv"))
    applied.exportButton.click()
    assert len((tmp_path / "errors.csv").read_text(encoding="utf-8").splitlines()) == 1 + 8 + 4


def test_a_folder_that_is_not_there_is_a_sentence(applied: Any, tmp_path: Path) -> None:
    host.answers.append(str(tmp_path / "nowhere" / "errors.csv"))
    applied.exportButton.click()
    assert "cannot be written" in applied.statusLabel.text


def test_the_plot_is_shown(applied: Any) -> None:
    applied.plotButton.click()
    chart = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLPlotChartNode")
    assert chart.GetNumberOfPlotSeriesNodes() == 2
    selection = slicer.util.getNode("vtkMRMLSelectionNodeSingleton")
    assert selection.GetActivePlotChartID() == chart.GetID()


def test_the_plot_is_shown_in_the_plot_view(applied: Any) -> None:
    applied.plotButton.click()
    chart = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLPlotChartNode")
    views = slicer.util.getNodesByClass("vtkMRMLPlotViewNode")
    assert [view.GetPlotChartNodeID() for view in views] == [chart.GetID()]


def test_undo_takes_the_last_apply_back(applied: Any) -> None:
    applied.deformationSelector.setCurrentText("Grid")
    outcome = applied.transformSelector.currentNode()
    assert outcome.GetDisplayNode().GetVisibility2D()
    applied.undoButton.click()
    assert moving().GetParentTransformNode() is None
    assert applied.resultTable.rowCount == 1
    assert not applied.undoButton.enabled
    assert applied.landmarkTable.rowCount == 0
    assert "Press Apply" in applied.landmarkLabel.text
    assert not outcome.GetDisplayNode().GetVisibility2D()


def test_the_distances_stay_while_the_image_is_shown_unwarped(applied: Any) -> None:
    before = [applied.landmarkTable.item(row, 2).text() for row in range(applied.landmarkTable.rowCount)]
    applied.warpedCheckBox.click()
    slicer.app.processEvents()
    assert [applied.landmarkTable.item(row, 2).text() for row in range(applied.landmarkTable.rowCount)] == before
    assert before


def test_an_older_result_is_shown_again_renamed_and_deleted(applied: Any) -> None:
    applied.resultTable.item(0, 0).setText("first try")
    assert applied.resultTable.item(0, 0).text() == "first try"
    applied.presetSelector.setCurrentText("standard")
    applied.applyButton.click()
    applied.resultTable.selectRow(1)
    assert "first try" in applied.resultLabel.text
    applied.showResultButton.click()
    assert moving().GetParentTransformNode().GetName() == "first try"
    applied.resultTable.selectRow(1)
    applied.deleteResultButton.click()
    assert applied.resultTable.rowCount == 1
    assert moving().GetParentTransformNode() is None


def test_a_restored_result_brings_its_settings_back(loaded: host.Loaded, applied: Any) -> None:
    parameters = loaded.widget.parameters
    first = parameters.prealignment
    applied.prealignmentSelector.setCurrentText("rigid")
    applied.presetSelector.setCurrentText("standard")
    applied.smoothnessSlider.value = 2.0
    applied.applyButton.click()
    applied.smoothnessSlider.value = 1.0
    applied.resultTable.selectRow(1)
    applied.restoreResultButton.click()
    assert (parameters.prealignment, parameters.preset) == (first, "fast")
    assert applied.resultTable.item(1, 0).text().startswith("▸")
    applied.resultTable.clearSelection()
    applied.resultTable.selectRow(0)
    applied.restoreResultButton.click()
    assert (parameters.prealignment, parameters.preset, parameters.smoothnessWeight) == ("rigid", "standard", 2.0)
    assert parameters.model == "any-contrast"


def test_a_result_whose_model_vanished_is_restored_without_it(loaded: host.Loaded, ui: Any, tmp_path: Path) -> None:
    file = Path(shutil.copy(MODELS / "any-contrast.pt", tmp_path / "mine.pt"))
    loaded.widget.parameters.model = str(file)
    ui.applyButton.click()
    file.unlink()
    loaded.widget.parameters.model = "auto"
    ui.resultTable.selectRow(0)
    assert "is missing" in ui.resultLabel.text
    ui.restoreResultButton.click()
    assert loaded.widget.parameters.model == "auto"
    assert moving().GetParentTransformNode() is not None


def test_an_empty_name_is_refused(applied: Any) -> None:
    name = applied.resultTable.item(0, 0).text()
    applied.resultTable.item(0, 0).setText("  ")
    assert "needs a name" in applied.statusLabel.text
    assert applied.resultTable.item(0, 0).text() == name


def test_the_verdict_is_a_light_and_words(applied: Any) -> None:
    assert applied.qualityLabel.isVisible()
    assert any(word in applied.qualityLabel.text for word in ("Good", "Not validated", "Check", "Do not use"))


def test_a_transform_in_use_elsewhere_is_refused(ui: Any) -> None:
    used = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "used")
    slicer.util.getNode("HeadFixed").SetAndObserveTransformNodeID(used.GetID())
    ui.transformSelector.setCurrentNode(used)
    for button in (ui.applyButton, ui.liveButton):
        button.click()
        host.waitUntil(lambda: "already moves the fixed volume" in ui.statusLabel.text)
        ui.statusLabel.text = ""
    assert moving().GetParentTransformNode() is None


def test_a_loop_of_transforms_is_refused(ui: Any) -> None:
    """The chosen output lies above the initial transform of the moving volume."""
    above, initial = (slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", name) for name in ("above", "below"))
    initial.SetAndObserveTransformNodeID(above.GetID())
    moving().SetAndObserveTransformNodeID(initial.GetID())
    ui.transformSelector.setCurrentNode(above)
    for button in (ui.applyButton, ui.liveButton, ui.registerVolumeButton):
        button.click()
        host.waitUntil(lambda: "already moves the initial transform" in ui.statusLabel.text)
        ui.statusLabel.text = ""
    assert moving().GetParentTransformNode() is initial


def test_a_model_that_vanished_after_the_scene_was_saved_is_a_sentence(
    loaded: host.Loaded, ui: Any, tmp_path: Path
) -> None:
    file = Path(shutil.copy(MODELS / "any-contrast.pt", tmp_path / "mine.pt"))
    loaded.widget.parameters.model = str(file)
    ui.applyButton.click()
    host.saveScene(slicer.mrmlScene, tmp_path / "scene.mrb")
    file.unlink()
    host.openScene(slicer.mrmlScene, tmp_path / "scene.mrb")
    shown = moving().GetParentTransformNode()
    count = slicer.mrmlScene.GetNumberOfNodes()
    for button in (ui.applyButton, ui.liveButton):
        button.click()
        host.waitUntil(lambda: "mine.pt" in ui.statusLabel.text)
        ui.statusLabel.text = ""
    assert slicer.mrmlScene.GetNumberOfNodes() == count
    assert moving().GetParentTransformNode() is shown
    ui.resultTable.selectRow(0)
    assert "is missing" in ui.resultLabel.text


def test_an_initial_transform_is_taken_and_given_back_on_failure(ui: Any) -> None:
    initial = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "initial")
    ui.initialSelector.setCurrentNode(initial)
    ui.modelSelector.setCurrentIndex(ui.modelSelector.findText("any-contrast"))
    slicer.util.arrayFromVolume(moving())[:] = 7
    ui.applyButton.click()
    assert "constant" in ui.statusLabel.text
    assert moving().GetParentTransformNode() is None


def test_a_model_file_that_vanished_is_a_sentence(loaded: host.Loaded, ui: Any) -> None:
    loaded.widget.parameters.model = "/nowhere/gone.pt"
    ui.applyButton.click()
    assert "gone.pt" in ui.statusLabel.text
    assert moving().GetParentTransformNode() is None


def test_a_model_file_is_added_chosen_and_removed(loaded: host.Loaded, ui: Any, tmp_path: Path) -> None:
    file = shutil.copy(MODELS / "any-contrast.pt", tmp_path / "mine.pt")
    host.answers.append(str(file))
    ui.addModelButton.click()
    assert (ui.modelSelector.currentText, loaded.widget.parameters.model) == ("mine", str(file))
    ui.removeModelButton.click()
    assert loaded.widget.parameters.model == "auto"
    assert ui.modelSelector.findText("mine") < 0
    assert Path(file).exists()


def test_what_is_no_model_is_not_added(ui: Any, tmp_path: Path) -> None:
    (tmp_path / "text.pt").write_text("nothing")
    host.answers.append(str(tmp_path))
    ui.addFolderButton.click()
    assert "not a model file" in ui.statusLabel.text
    assert ui.modelSelector.findText("text") < 0


def test_cards_and_devices_are_read_when_someone_looks(ui: Any) -> None:
    ui.modelSelector.setCurrentIndex(ui.modelSelector.findText("any-contrast"))
    assert ui.modelCardLabel.text == ""
    ui.modelsButton.collapsed = False
    assert "Licence: Apache-2.0" in ui.modelCardLabel.text
    assert any("threads" in ui.deviceSelector.itemText(index) for index in range(ui.deviceSelector.count))


def test_too_little_gpu_memory_falls_back_to_the_cpu(
    loaded: host.Loaded, ui: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from UnsupervisedRegistrationLib.scene.registration import slice as registration

    real, devices = registration.registerSlice, []

    def crowded(inputs: Any, options: Any, *rest: Any) -> Any:
        devices.append(options.device)
        if options.device != "cpu":
            raise torch.cuda.OutOfMemoryError("too large")
        return real(inputs, options, *rest)

    monkeypatch.setattr(registration, "registerSlice", crowded)
    ui.applyButton.click()
    assert devices == ["auto", "cpu"]
    assert "memory of the GPU was too small" in ui.statusLabel.text


def test_nothing_is_cut_off_in_a_narrow_panel(loaded: host.Loaded, applied: Any, tmp_path: Path) -> None:
    sections = ("landmarks", "results", "advanced", "start", "volume", "outputs", "models")
    for section in sections:
        getattr(applied, f"{section}Button").collapsed = False
    host.grab(loaded.panel, tmp_path / "all.png", 391)
    assert loaded.panel.width == 391
    qt = __import__("qt")
    texts = [*loaded.panel.findChildren(qt.QPushButton), *loaded.panel.findChildren(qt.QCheckBox)]
    texts += [label for label in loaded.panel.findChildren(qt.QLabel) if not label.wordWrap]
    cut = [widget.text for widget in texts if widget.isVisible() and widget.width < _least(widget)]
    assert cut == []


def _least(widget: Any) -> int:
    """Width that a widget needs; Qt's own classes give it by a call, those of the application as a property."""
    hint = widget.minimumSizeHint
    return int((hint() if callable(hint) else hint).width())
