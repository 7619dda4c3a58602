"""Bad input is refused with a sentence, and the scene is as it was."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import slicer
import slicer.util
import torch
import vtk

from UnsupervisedRegistrationLib.scene.geometry.planes import planeFromIndex
from UnsupervisedRegistrationLib.scene.geometry.volumes import addVolume
from UnsupervisedRegistrationLib.scene.registration.model_folders import modelFolders
from UnsupervisedRegistrationLib.scene.registration.result_nodes import SliceOutputs
from UnsupervisedRegistrationLib.scene.registration.slice import RegistrationOptions, registerSlice
from UnsupervisedRegistrationLib.scene.registration.slice_pair import SliceInputs

SHAPE = (3, 64, 64)


FAST = RegistrationOptions(preset="fast", model="any-contrast", device="cpu")


@pytest.fixture
def volumes(makeVolume, oblique):
    return [makeVolume(oblique.ijkToRas, name, SHAPE, seed) for seed, name in enumerate(("Fixed", "Moving"))]


@pytest.fixture
def refused(snapshot):
    """Registers, expects a sentence, and compares the scene."""

    def run(fixed, moving, sentence, options=None, outputs=None, **further):
        before = snapshot()
        with pytest.raises(ValueError, match=sentence):
            registerSlice(SliceInputs(fixed, moving, **further), options or FAST, outputs)
        assert snapshot() == before

    return run


def test_the_same_volume_twice(volumes, refused):
    refused(volumes[0], volumes[0], "Fixed and moving are the same volume")


@pytest.mark.parametrize("which", ["fixed", "moving"])
class TestVolume:
    def pairWith(self, which, bad, volumes):
        return (bad, volumes[1]) if which == "fixed" else (volumes[0], bad)

    def test_empty(self, scene, volumes, refused, which):
        bad = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Bad")
        refused(*self.pairWith(which, bad, volumes), "'Bad' has 0 x 0 x 0 voxels")

    def test_not_a_number(self, volumes, makeVolume, oblique, refused, which):
        bad = makeVolume(oblique.ijkToRas, "Bad", SHAPE)
        slicer.util.arrayFromVolume(bad)[1, 2, 3] = np.nan
        refused(*self.pairWith(which, bad, volumes), "'Bad' has 1 voxels that are NaN or infinite")

    def test_constant(self, scene, volumes, oblique, refused, which):
        bad = addVolume(scene, "Bad", np.full(SHAPE, 5, np.int16), oblique.ijkToRas)
        refused(*self.pairWith(which, bad, volumes), f"{which} image")

    def test_elsewhere(self, volumes, makeVolume, oblique, refused, which):
        far = oblique.ijkToRas.copy()
        far[:3, 3] += 500
        bad = makeVolume(far, "Bad", SHAPE)
        refused(*self.pairWith(which, bad, volumes), "overlap")


def test_volumes_that_meet_the_plane_in_different_places(makeVolume, volumes, refused):
    """Each has pixels on the plane, but none in common."""
    plane = planeFromIndex(volumes[0])
    wide = makeVolume(plane.ijkToRas, "Wide", (1, 64, 200))
    shifted = plane.ijkToRas.copy()
    shifted[:3, 3] += 100 * shifted[:3, 0]
    beside = makeVolume(shifted, "Beside", (1, 64, 64))
    refused(
        volumes[0],
        beside,
        "'Fixed' and 'Beside' do not overlap",
        replace(FAST, prealignment="none"),
        plane=planeFromIndex(wide),
    )


def test_a_mask_without_pixels(scene, volumes, refused):
    mask = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "Mask")
    slicer.util.updateVolumeFromArray(mask, np.zeros(SHAPE, np.uint8))
    refused(*volumes, "'Mask' has no pixel", maskNode=mask)


def test_an_empty_labelmap_as_mask(scene, volumes, refused):
    mask = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "Mask")
    refused(*volumes, "'Mask' has 0 x 0 x 0 voxels", maskNode=mask)


def test_an_unknown_model(volumes, refused):
    refused(*volumes, "no model 'wonder'. Known are: any-contrast", RegistrationOptions(model="wonder"))


@pytest.mark.parametrize("length", [0, 100, 50_000])
def test_a_broken_model_file(volumes, refused, tmp_path, length):
    whole = next(folder / "any-contrast.pt" for folder in modelFolders()).read_bytes()
    path = tmp_path / "broken.pt"
    path.write_bytes(whole[:length])
    refused(*volumes, "broken.pt' is truncated or not a model file", RegistrationOptions(model=str(path)))


@pytest.mark.parametrize("device", ["cuda", "cuda:7", "tpu"])
def test_an_absent_device(volumes, refused, device):
    if device == "cuda" and torch.cuda.is_available():
        pytest.skip("cuda is there")
    refused(*volumes, f"The device '{device}' is not there", replace(FAST, device=device))


def test_an_output_above_the_fixed_volume(scene, volumes, refused):
    output = scene.AddNewNodeByClass("vtkMRMLTransformNode", "Output")
    volumes[0].SetAndObserveTransformNodeID(output.GetID())
    refused(*volumes, "'Output' already moves the fixed volume", outputs=SliceOutputs(transformNode=output))


def test_an_output_that_is_the_initial_transform(scene, volumes, refused):
    output = scene.AddNewNodeByClass("vtkMRMLTransformNode", "Output")
    output.SetAndObserveTransformToParent(vtk.vtkTransform())
    volumes[1].SetAndObserveTransformNodeID(output.GetID())
    refused(*volumes, "'Output' already moves the initial transform", outputs=SliceOutputs(transformNode=output))


def test_an_output_under_another_transform(scene, volumes, refused):
    output, above = (scene.AddNewNodeByClass("vtkMRMLTransformNode", name) for name in ("Output", "Above"))
    output.SetAndObserveTransformNodeID(above.GetID())
    refused(*volumes, "'Output' has a parent transform", outputs=SliceOutputs(transformNode=output))


@pytest.mark.parametrize("index", [0, 1])
def test_a_warped_volume_that_is_an_input(volumes, refused, index):
    name = volumes[index].GetName()
    refused(
        *volumes, f"would overwrite '{name}'; choose another output", outputs=SliceOutputs(warpedVolume=volumes[index])
    )


def test_a_warped_volume_that_is_the_mask(scene, volumes, refused):
    mask = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "Mask")
    slicer.util.updateVolumeFromArray(mask, np.ones(SHAPE, np.uint8))
    mask.CopyOrientation(volumes[0])
    refused(*volumes, "would overwrite 'Mask'", maskNode=mask, outputs=SliceOutputs(warpedVolume=mask))


def test_a_moving_slice_beside_its_volume(volumes, refused):
    refused(*volumes, "'Moving' does not meet", movingOffset=np.array([0, 0, 400.0]))


def test_an_output_that_moves_something_else(scene, volumes, refused):
    output, other = (scene.AddNewNodeByClass(f"vtkMRML{kind}Node", kind) for kind in ("Transform", "Model"))
    other.SetAndObserveTransformNodeID(output.GetID())
    refused(*volumes, "'Transform' already moves 'Model'", outputs=SliceOutputs(transformNode=output))
