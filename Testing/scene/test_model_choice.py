"""What the nodes of a scene tell of their images, and the model that follows from it."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import slicer

from UnsupervisedRegistrationLib.core.models.selection import DEFAULT
from UnsupervisedRegistrationLib.scene.geometry.volumes import addVolume
from UnsupervisedRegistrationLib.scene.registration.model_choice import chooseModel, traitsOf
from UnsupervisedRegistrationLib.scene.registration.model_folders import MODELS_VARIABLE, modelFolders


@pytest.fixture
def ct(scene):
    """Volumes as pictures of a CT: a body in black, HU 0 to 255."""

    def make(name):
        voxels = np.zeros((3, 32, 32), np.uint8)
        voxels[:, 8:24, 8:24] = np.random.default_rng(0).normal(40, 10, (3, 16, 16))
        voxels[:, 15, 15] = 255
        return addVolume(scene, name, voxels, np.eye(4))

    return make


def test_a_ct_of_the_liver_takes_the_model_of_the_abdomen(ct):
    name, reason = chooseModel(ct("CTLiver"), ct("follow-up"))
    assert name == "abdomen-ct"
    assert "Research use only" in reason


def test_the_description_of_a_node_counts_like_its_name(ct):
    volume = ct("12")
    volume.SetDescription("ABDOMEN Portal venous 3.0")
    assert chooseModel(volume, ct("13"))[0] == "abdomen-ct"


def test_the_quantity_that_dicom_volumes_carry_tells_the_modality(scene):
    volume = addVolume(scene, "12", np.arange(3000, dtype=np.int16).reshape(3, 25, 40), np.eye(4))
    entry = slicer.vtkCodedEntry()
    entry.SetValueSchemeMeaning("112031", "DCM", "Attenuation Coefficient")
    volume.SetVoxelValueQuantity(entry)
    assert (traitsOf(volume).modality, traitsOf(volume).told_by) == ("CT", "header")


def test_the_subject_hierarchy_tells_modality_and_study(scene, ct):
    names = slicer.vtkMRMLSubjectHierarchyConstants
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    volume = addVolume(scene, "12", np.ones((3, 8, 8), np.int16), np.eye(4))
    study = hierarchy.CreateStudyItem(hierarchy.GetSceneItemID(), "Study")
    hierarchy.SetItemAttribute(study, names.GetDICOMStudyDescriptionAttributeName(), "CT Abdomen")
    item = hierarchy.CreateItem(study, volume)
    hierarchy.SetItemAttribute(item, names.GetDICOMSeriesModalityAttributeName(), "CT")
    traits = traitsOf(volume)
    assert (traits.modality, traits.regions) == ("CT", {"abdomen"})


def test_a_window_counts_only_if_somebody_chose_it(scene):
    voxels = np.linspace(-120, 190, 768).reshape(3, 16, 16).astype(np.int16)
    volume = addVolume(scene, "Cropped", voxels, np.eye(4))
    volume.CreateDefaultDisplayNodes()
    assert traitsOf(volume).modality == ""
    volume.GetDisplayNode().SetAutoWindowLevel(False)
    volume.GetDisplayNode().SetWindowLevel(350, 40)
    assert traitsOf(volume).modality == "CT"


def test_a_broken_file_beside_the_models_is_named_and_left_out(ct, tmp_path, monkeypatch):
    (tmp_path / "broken.pt").write_text("nothing")
    monkeypatch.setenv(MODELS_VARIABLE, str(tmp_path))
    name, reason = chooseModel(ct("CTLiver"), ct("CTLiver"))
    assert name == "abdomen-ct"
    assert "'broken' cannot be read and was left out." in reason


def test_the_general_model_alone_is_enough(ct, tmp_path, monkeypatch):
    shutil.copy(modelFolders()[0] / f"{DEFAULT}.pt", tmp_path)
    monkeypatch.setattr("UnsupervisedRegistrationLib.scene.registration.model_choice.modelFolders", lambda: [tmp_path])
    name, reason = chooseModel(ct("CTLiver"), ct("CTLiver"))
    assert (name, "no model learned from such images" in reason) == (DEFAULT, True)


def test_an_empty_volume_is_refused(scene, ct):
    with pytest.raises(ValueError, match="has 0 x 0 x 0 voxels"):
        chooseModel(ct("CTLiver"), scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Empty"))
