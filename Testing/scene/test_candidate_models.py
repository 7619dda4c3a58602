"""The models that may register a pair, found in the bundled folder and in those of the environment variable."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest
import torch

from UnsupervisedRegistrationLib.core.images.phantom import draw_phantom
from UnsupervisedRegistrationLib.core.models.selection import DEFAULT
from UnsupervisedRegistrationLib.core.registration.options import RegistrationOptions
from UnsupervisedRegistrationLib.scene.geometry.volumes import addVolume
from UnsupervisedRegistrationLib.scene.registration.candidate_models import candidateModels, modelCards, modelsFor
from UnsupervisedRegistrationLib.scene.registration.model_folders import MODELS_VARIABLE, modelFolders, modelNames
from UnsupervisedRegistrationLib.scene.registration.phantom_nodes import addPhantom
from UnsupervisedRegistrationLib.scene.registration.slice import registerSlice
from UnsupervisedRegistrationLib.scene.registration.slice_pair import SliceInputs, samplePair

HU = np.random.default_rng(0).uniform(-1000, 500, (64, 64))
"""Intensities as of a CT: air, fat, soft tissue."""


def candidates(**options):
    return [model.name for model in candidateModels(RegistrationOptions(**options), HU, HU)]


def test_a_ct_admits_the_default_model_first_and_none_of_mr():
    assert candidates() == [DEFAULT, "abdomen-ct"]


def test_automatic_says_which_of_the_candidates_it_took_and_under_what_licence(scene):
    phantom = draw_phantom("abdomen")
    volumes = [addVolume(scene, "", voxels, phantom.ijk_to_ras) for voxels in (phantom.fixed, phantom.moving)]
    found = registerSlice(SliceInputs(*volumes), RegistrationOptions(preset="fast", device="cpu")).registration
    assert found.model == "abdomen-ct"
    assert found.model_reason.startswith("abdomen-ct: best of 2")
    assert found.licence == modelCards()["abdomen-ct"].licence


def test_a_phantom_is_of_no_domain_and_takes_the_default_model(scene):
    nodes = addPhantom(scene, "abdomen")
    pair = samplePair(SliceInputs(nodes.fixedVolume, nodes.movingVolume))
    assert [model.name for model in modelsFor(pair, RegistrationOptions())] == [DEFAULT]


def test_free_models_only_leaves_out_those_for_research():
    assert candidates(free_models_only=True) == [DEFAULT]


def test_a_chosen_model_is_the_only_candidate_even_if_it_does_not_fit():
    assert candidates(model="brain-mr") == ["brain-mr"]


def test_a_model_may_be_chosen_by_its_file(tmp_path):
    path = shutil.copy(modelFolders()[0] / "cardiac-mr.pt", tmp_path)
    assert candidates(model=str(path)) == ["cardiac-mr"]


@pytest.mark.parametrize("content", [b"", b"nothing"])
def test_a_damaged_file_that_nobody_chose_is_left_out(tmp_path, monkeypatch, content):
    (tmp_path / "broken.pt").write_bytes(content)
    monkeypatch.setenv(MODELS_VARIABLE, str(tmp_path))
    assert candidates() == [DEFAULT, "abdomen-ct"]


def test_a_damaged_file_that_was_chosen_is_an_error(tmp_path, monkeypatch):
    (tmp_path / "broken.pt").write_bytes(b"nothing")
    monkeypatch.setenv(MODELS_VARIABLE, str(tmp_path))
    with pytest.raises(ValueError, match=r"broken\.pt' is truncated or not a model file"):
        candidates(model="broken")


def test_a_folder_of_the_environment_variable_adds_its_models(tmp_path, monkeypatch):
    shutil.copy(modelFolders()[0] / "abdomen-ct.pt", tmp_path / "mine.pt")
    monkeypatch.setenv(MODELS_VARIABLE, f"{tmp_path}{os.pathsep}{tmp_path / 'missing'}")
    assert modelFolders()[-1] == tmp_path
    assert "mine" in modelNames()
    assert len(candidates()) == 3


def test_a_bundled_model_has_priority_over_another_of_its_name(tmp_path, monkeypatch):
    (tmp_path / "abdomen-ct.pt").write_bytes(b"nothing")
    monkeypatch.setenv(MODELS_VARIABLE, str(tmp_path))
    assert candidates(model="abdomen-ct") == ["abdomen-ct"]


def test_a_replaced_file_is_read_anew(tmp_path):
    path = tmp_path / "mine.pt"
    shutil.copy(modelFolders()[0] / "abdomen-ct.pt", path)
    first = candidateModels(RegistrationOptions(model=str(path)), HU, HU)[0]
    assert candidateModels(RegistrationOptions(model=str(path)), HU, HU)[0] is first
    shutil.copy(modelFolders()[0] / "brain-mr.pt", path)
    os.utime(path, (1, 1))
    second = candidateModels(RegistrationOptions(model=str(path)), HU, HU)[0]
    pairs = zip(first.network.parameters(), second.network.parameters(), strict=False)
    assert not all(a.shape == b.shape and torch.equal(a, b) for a, b in pairs)


def test_the_default_model_is_listed_first():
    assert modelNames()[0] == DEFAULT
    assert set(modelCards()) == set(modelNames())
