"""The section Take along, and the choice of what becomes of the moving volume."""

from __future__ import annotations

import csv
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pydicom
import pytest
import slicer
import slicer.util
from pydicom.uid import MRImageStorage, generate_uid

import host


def node(name: str) -> Any:
    return slicer.util.getNode(name)


def choose(ui: Any, *names: str) -> None:
    """Select rows of the list by the names of their nodes."""
    ui.takeAlongTable.clearSelection()
    for row in range(ui.takeAlongTable.rowCount):
        if ui.takeAlongTable.item(row, 0).text() in names:
            for column in range(2):
                ui.takeAlongTable.item(row, column).setSelected(True)


def listed(ui: Any) -> set[str]:
    return {ui.takeAlongTable.item(row, 0).text() for row in range(ui.takeAlongTable.rowCount)}


@pytest.fixture
def organ(applied: Any) -> Any:
    """A labelmap on the moving volume."""
    moving = node("HeadMoving")
    voxels = np.zeros_like(slicer.util.arrayFromVolume(moving), dtype=np.uint8)
    middle = [size // 2 for size in voxels.shape]
    voxels[middle[0], middle[1] - 9 : middle[1] + 9, middle[2] - 9 : middle[2] + 9] = 1
    labelmap = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "organ")
    slicer.util.updateVolumeFromArray(labelmap, voxels)
    labelmap.CopyOrientation(moving)
    applied.alongButton.collapsed = False  # Opened, the section lists the new node.
    return labelmap


def test_nothing_is_offered_before_a_registration(ui: Any) -> None:
    assert listed(ui) == set()
    assert not ui.takeAlongButton.enabled


def test_a_selected_node_follows_under_the_transform(applied: Any, organ: Any) -> None:
    choose(applied, "organ")
    applied.takeAlongButton.click()
    assert organ.GetParentTransformNode() is node("HeadMoving").GetParentTransformNode()
    assert applied.statusLabel.text == "Taken along: 'organ'."


def test_a_hardened_copy_takes_the_chosen_background_and_type(applied: Any) -> None:
    applied.methodSelector.setCurrentText("Hardened copy")
    applied.backgroundSpinBox.value = -7.0
    applied.pixelTypeSelector.setCurrentText("float32")
    choose(applied, "HeadMoving")
    applied.takeAlongButton.click()
    copy = node("HeadMoving on HeadFixed")
    assert slicer.util.arrayFromVolume(copy).dtype == np.float32
    assert copy.GetParentTransformNode() is None


def test_an_image_option_is_there_for_copies_only(applied: Any) -> None:
    assert not applied.backgroundSpinBox.enabled
    applied.methodSelector.setCurrentText("Hardened copy")
    assert applied.backgroundSpinBox.enabled


def test_the_inverse_becomes_a_node_on_request(applied: Any, organ: Any) -> None:
    applied.keepInverseCheckBox.checked = True
    choose(applied, "organ")
    applied.takeAlongButton.click()
    assert slicer.mrmlScene.GetFirstNodeByName(f"{organ.GetParentTransformNode().GetName()} (inverse)") is not None


def test_without_a_selection_a_sentence_says_what_to_do(applied: Any) -> None:
    applied.takeAlongTable.clearSelection()
    applied.takeAlongButton.click()
    assert applied.statusLabel.text == "No node was chosen; select the nodes to take along."


def test_the_displacement_is_a_table_and_a_file(applied: Any, organ: Any, tmp_path: Path) -> None:
    assert not applied.displacementCsvButton.enabled
    choose(applied, "organ")
    applied.displacementButton.click()
    assert float(node("organ displacement").GetCellText(0, 1)) > 0.1
    host.answers.append(str(tmp_path / "displacement.csv"))
    applied.displacementCsvButton.click()
    with (tmp_path / "displacement.csv").open(newline="") as stream:
        assert len(list(csv.reader(stream))) == 2


def test_the_displacement_needs_segments(applied: Any) -> None:
    choose(applied, "HeadMoving")
    applied.displacementButton.click()
    assert applied.statusLabel.text == "Select a segmentation or a labelmap in the list first."


def test_a_volume_without_dicom_origin_is_refused_with_a_sentence(applied: Any) -> None:
    applied.dicomButton.click()
    assert applied.statusLabel.text.startswith("The volume 'HeadFixed' has no DICOM instances")


def test_a_registration_of_dicom_volumes_is_written(
    applied: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {}
    for name in ("HeadFixed", "HeadMoving"):
        header = pydicom.Dataset()
        header.SOPClassUID, header.SOPInstanceUID = MRImageStorage, generate_uid()
        header.StudyInstanceUID, header.SeriesInstanceUID, header.FrameOfReferenceUID = (
            generate_uid() for _ in range(3)
        )
        header.file_meta = pydicom.dataset.FileMetaDataset()
        header.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        files[header.SOPInstanceUID] = str(tmp_path / f"{name}.dcm")
        pydicom.dcmwrite(files[header.SOPInstanceUID], header, enforce_file_format=True)
        node(name).SetAttribute("DICOM.instanceUIDs", header.SOPInstanceUID)
    monkeypatch.setattr(slicer, "dicomDatabase", SimpleNamespace(fileForInstance=files.get), raising=False)
    host.answers.append(str(tmp_path / "registration.dcm"))
    applied.dicomButton.click()
    assert applied.statusLabel.text.startswith("The Deformable Spatial Registration was written to")
    assert pydicom.dcmread(tmp_path / "registration.dcm").Modality == "REG"


@pytest.fixture
def untouched(ui: Any) -> Any:
    """Applied with a resampled copy of the moving volume."""
    ui.movingOutputSelector.setCurrentText("Resampled copy, original untouched")
    ui.applyButton.click()
    return ui


def test_the_moving_volume_stays_untouched_beside_its_copy(untouched: Any) -> None:
    assert node("HeadMoving").GetParentTransformNode() is None
    copy, warped = node("HeadMoving on HeadFixed"), untouched.warpedSelector.currentNode()
    pixels = slicer.util.arrayFromVolume(warped)[0]
    k = slicer.util.arrayFromVolume(copy).shape[0] // 2
    ranges = [np.abs(slicer.util.arrayFromVolume(copy)[index] - pixels).max() for index in (k - 1, k, k + 1)]
    assert min(ranges) <= 1e-3 * np.ptp(pixels)  # The slice that was registered.


def test_the_views_show_the_copy_and_unwarped_the_original(untouched: Any) -> None:
    layers = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceCompositeNodeRed")
    assert layers.GetForegroundVolumeID() == node("HeadMoving on HeadFixed").GetID()
    untouched.warpedCheckBox.click()
    assert layers.GetForegroundVolumeID() == node("HeadMoving").GetID()


def test_a_second_apply_fills_the_same_copy(untouched: Any) -> None:
    copy = node("HeadMoving on HeadFixed")
    untouched.applyButton.click()
    names = [each.GetName() for each in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")]
    assert sum(name.startswith("HeadMoving on HeadFixed") for name in names) == 1
    assert node("HeadMoving on HeadFixed") is copy


def test_apply_under_the_transform_again_ends_the_copy_in_the_views(untouched: Any) -> None:
    untouched.movingOutputSelector.setCurrentText("Under the transform")
    untouched.applyButton.click()
    layers = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceCompositeNodeRed")
    assert node("HeadMoving").GetParentTransformNode() is not None
    assert layers.GetForegroundVolumeID() == node("HeadMoving").GetID()
