"""The real widget and its ``.ui``, driven as a person would: choose, press, look."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
import slicer.util

import host

ROOT = Path(__file__).parents[2]
MODULE = ROOT / "UnsupervisedRegistration" / "UnsupervisedRegistration.py"
PICTURES = ROOT / "out" / "panel"


def picture(loaded: host.Loaded, name: str) -> Path:
    PICTURES.mkdir(parents=True, exist_ok=True)
    host.grab(loaded.panel, PICTURES / f"{name}.png", 391)
    return PICTURES / f"{name}.png"


def chooseLandmarks(ui: Any) -> None:
    ui.fixedLandmarksSelector.setCurrentNode(slicer.util.getNode("HeadFixedLandmarks"))
    ui.movingLandmarksSelector.setCurrentNode(slicer.util.getNode("HeadMovingLandmarks"))


def nodeNames() -> set[str]:
    return {node.GetName() for node in slicer.util.getNodesByClass("vtkMRMLStorableNode")}


def test_apply_waits_for_two_volumes(loaded: host.Loaded) -> None:
    controls = loaded.widget.ui
    assert not controls.applyButton.enabled
    assert "fixed and a moving" in controls.applyButton.toolTip
    assert controls.statusLabel.text == "Choose a fixed and a moving volume."
    picture(loaded, "empty")


def test_the_hint_disappears_once_nothing_is_missing(ui: Any) -> None:
    assert ui.statusLabel.text == ""
    ui.movingSelector.setCurrentNode(slicer.util.getNode("HeadFixed"))
    assert "two different volumes" in ui.statusLabel.text
    ui.movingSelector.setCurrentNode(slicer.util.getNode("HeadMoving"))
    assert ui.statusLabel.text == ""


@pytest.mark.parametrize("selector", ["fixedSelector", "movingSelector"])
def test_another_volume_removes_the_grade_of_the_former_pair(loaded: host.Loaded, ui: Any, selector: str) -> None:
    ui.applyButton.click()
    assert ui.qualityLabel.visible
    assert ui.statusLabel.text.startswith("Axial slice")
    getattr(ui, selector).setCurrentNode(host.clickSample("RegistrationAbdomen")[0])
    assert not ui.qualityLabel.visible
    assert (ui.statusLabel.text, ui.planLabel.visible) == ("", False)
    assert loaded.widget.result is None


def test_a_closed_scene_removes_the_grade(loaded: host.Loaded, ui: Any) -> None:
    ui.applyButton.click()
    slicer.mrmlScene.Clear(0)
    assert not ui.qualityLabel.visible
    assert ui.statusLabel.text == "Choose a fixed and a moving volume."
    assert loaded.widget.result is None


def test_a_message_that_is_not_about_the_result_stays(ui: Any) -> None:
    ui.applyButton.click()
    ui.undoButton.click()
    said = ui.statusLabel.text
    ui.movingSelector.setCurrentNode(slicer.util.getNode("HeadFixed"))
    assert said
    assert ui.statusLabel.text == said


def test_apply_makes_the_nodes_and_says_what_it_did(loaded: host.Loaded, ui: Any) -> None:
    assert ui.applyButton.enabled
    ui.applyButton.click()
    transform = slicer.util.getNode("HeadMoving to HeadFixed")
    assert slicer.util.getNode("HeadMoving").GetParentTransformNode() is transform
    assert ui.transformSelector.currentNode() is transform
    assert ui.warpedSelector.currentNode() is slicer.util.getNode("HeadMoving warped")
    assert "similarity" in ui.statusLabel.text
    assert not host.messages
    assert picture(loaded, "applied").stat().st_size > 5000


def test_apply_again_fills_the_same_nodes_and_adds_one_result(ui: Any) -> None:
    ui.applyButton.click()
    transform, before = ui.transformSelector.currentNode(), nodeNames()
    ui.applyButton.click()
    assert ui.transformSelector.currentNode() is transform
    assert len(nodeNames() - before) == 2  # The result and its warped slice.
    assert ui.resultTable.rowCount == 2


def test_landmarks_are_measured_into_a_table(loaded: host.Loaded, ui: Any) -> None:
    ui.landmarksButton.collapsed = False
    ui.fixedLandmarksSelector.setCurrentNode(slicer.util.getNode("HeadFixedLandmarks"))
    assert not ui.applyButton.enabled
    chooseLandmarks(ui)
    ui.applyButton.click()
    assert "landmarks" in ui.statusLabel.text
    assert ui.treTableSelector.currentNode().GetNumberOfRows() == 12
    picture(loaded, "landmarks")


def test_the_slice_of_the_view_is_registered(loaded: host.Loaded, ui: Any) -> None:
    ui.sliceViewSelector.currentNode().SetSliceOffset(8.0)
    ui.applyButton.click()
    assert ui.statusLabel.text.startswith("Axial slice 9")


def test_an_index_replaces_the_view(ui: Any) -> None:
    ui.sliceSourceSelector.setCurrentText("Coronal, by index")
    assert not ui.sliceViewSelector.visible
    assert ui.sliceIndexSpinBox.visible
    assert ui.sliceIndexSpinBox.maximum == 207
    ui.sliceIndexSpinBox.value = 100
    ui.applyButton.click()
    assert ui.statusLabel.text.startswith("Coronal slice 100")


def test_a_mask_may_be_a_labelmap(ui: Any) -> None:
    mask = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "mask")
    fixed = slicer.util.getNode("HeadFixed")
    slicer.util.updateVolumeFromArray(mask, np.ones_like(slicer.util.arrayFromVolume(fixed), dtype=np.uint8))
    mask.CopyOrientation(fixed)
    ui.maskSelector.setCurrentNode(mask)
    ui.applyButton.click()
    assert "similarity" in ui.statusLabel.text
    assert not host.messages


def test_an_error_is_one_sentence_and_leaves_the_scene(loaded: host.Loaded, ui: Any) -> None:
    slicer.util.arrayFromVolume(slicer.util.getNode("HeadMoving"))[:] = 7
    before = nodeNames()
    ui.applyButton.click()
    assert "constant" in ui.statusLabel.text
    assert not host.messages
    assert nodeNames() == before
    assert slicer.util.getNode("HeadMoving").GetParentTransformNode() is None
    assert not ui.progressBar.visible


def test_landmarks_without_partner_are_named_and_the_others_measured(ui: Any) -> None:
    slicer.util.getNode("HeadMovingLandmarks").SetNthControlPointLabel(0, "elsewhere")
    chooseLandmarks(ui)
    ui.applyButton.click()
    assert "'elsewhere' (only moving)" in ui.landmarkLabel.text
    assert ui.landmarkTable.rowCount == 7


def test_landmarks_that_do_not_pair_cannot_steer(ui: Any) -> None:
    slicer.util.getNode("HeadMovingLandmarks").SetNthControlPointLabel(0, "frontal horn L")
    chooseLandmarks(ui)
    ui.steerCheckBox.checked = True
    before = nodeNames()
    ui.applyButton.click()
    assert "occur twice" in ui.statusLabel.text
    assert nodeNames() == before


def test_missing_torch_names_the_extension(ui: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    for button in (ui.applyButton, ui.liveButton):
        ui.statusLabel.text = ""
        button.click()
        assert "PyTorch extension" in ui.statusLabel.text
    assert not ui.liveButton.checked


def test_parameters_survive_leaving_and_entering(loaded: host.Loaded, ui: Any) -> None:
    ui.deviceSelector.setCurrentText("cpu")
    loaded.widget.exit()
    loaded.widget.enter()
    assert ui.fixedSelector.currentNode().GetName() == "HeadFixed"
    assert ui.deviceSelector.currentText == "cpu"


def test_the_choice_of_the_slice_survives_leaving_and_entering(loaded: host.Loaded, ui: Any) -> None:
    ui.sliceSourceSelector.setCurrentText("Axial, by index")
    ui.sliceIndexSpinBox.value = 9
    for _ in range(2):
        loaded.widget.exit()
        loaded.widget.enter()
    assert ui.sliceSourceSelector.currentText == "Axial, by index"
    assert ui.sliceIndexSpinBox.value == 9


def test_another_moving_volume_leaves_the_first_outcome_alone(ui: Any) -> None:
    ui.applyButton.click()
    first = ui.transformSelector.currentNode()
    host.clickSample("RegistrationHead")
    second = slicer.util.getNodes("HeadMoving*", useLists=True)["HeadMoving"][1]
    ui.movingSelector.setCurrentNode(second)
    ui.applyButton.click()
    assert ui.transformSelector.currentNode() is not first
    assert slicer.util.getNodes("HeadMoving", useLists=True)["HeadMoving"][0].GetParentTransformNode() is first


def test_a_model_file_of_a_script_is_shown(loaded: host.Loaded, ui: Any) -> None:
    file = str(MODULE.parent / "Resources" / "Models" / "any-contrast.pt")
    loaded.widget.logic.getParameterNode().model = file
    assert ui.modelSelector.currentData == file


def test_closing_the_scene_empties_the_panel(loaded: host.Loaded, ui: Any) -> None:
    slicer.mrmlScene.Clear(0)
    assert ui.fixedSelector.currentNode() is None
    assert not ui.applyButton.enabled


def test_both_samples_are_offered(loaded: host.Loaded) -> None:
    for name in ("RegistrationHead", "RegistrationAbdomen"):
        nodes = host.clickSample(name)
        assert len(nodes) == 4


def test_the_tests_of_the_module_pass(loaded: host.Loaded) -> None:
    case = loaded.module.UnsupervisedRegistrationTest()
    case.runTest()


def test_every_control_has_a_tooltip(loaded: host.Loaded) -> None:
    described = (MODULE.parent / "Resources" / "UI" / "UnsupervisedRegistration.ui").read_text(encoding="utf-8")
    names = re.findall(r'<widget class="\w+" name="(\w+)"', described)[1:]
    assert len(names) > 80
    assert [name for name in names if not getattr(loaded.widget.ui, name).toolTip] == []


def test_opening_the_module_loads_no_torch() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'Testing')!r}); import host; host.start();"
        f" host.loadModule({str(MODULE)!r}); host.clickSample('RegistrationHead'); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_the_module_file_is_short() -> None:
    assert len(MODULE.read_text(encoding="utf-8").splitlines()) <= 150
