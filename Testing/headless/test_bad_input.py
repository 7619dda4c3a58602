"""Every bad input ends with code 2 and one sentence, never with a traceback."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from UnsupervisedRegistrationLib.headless import session
from UnsupervisedRegistrationLib.headless.__main__ import main
from UnsupervisedRegistrationLib.scene.registration.model_folders import modelFolders


@pytest.fixture
def refused(files, tmp_path, capsys):
    """Runs ``register`` with good files but for the given ones, and expects a sentence."""

    def run(sentence, *options, fixed=files.fixed, moving=files.moving, output=tmp_path / "out"):
        arguments = ["register", fixed, moving, "--output", output, "--device", "cpu", *options]
        assert main([str(argument) for argument in arguments]) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert "Traceback" not in said.err
        sentences = [line for line in said.err.splitlines() if line.startswith("unsupervised-registration: ")]
        assert sentences == said.err.splitlines()[-1:]
        assert sentence in sentences[0]

    return run


@pytest.mark.parametrize("which", ["fixed", "moving"])
def test_a_missing_file(refused, tmp_path, which):
    refused("nowhere.nii'; check the path", **{which: tmp_path / "nowhere.nii"})


@pytest.mark.parametrize("which", ["fixed", "moving"])
def test_text_instead_of_an_image(refused, tmp_path, which):
    (tmp_path / "text.nii").write_text("This is no image.")
    refused("text.nii' cannot be read as an image", **{which: tmp_path / "text.nii"})


def test_a_folder_without_dicom(refused, tmp_path):
    (tmp_path / "empty").mkdir()
    refused("holds no DICOM series", fixed=tmp_path / "empty")


def test_an_output_folder_below_a_file(refused, tmp_path):
    (tmp_path / "file").touch()
    refused("cannot be written", output=tmp_path / "file" / "out")


def test_an_output_folder_that_is_a_file(refused, tmp_path):
    (tmp_path / "file").touch()
    refused("cannot be written", output=tmp_path / "file")


def test_landmarks_without_partner_are_named(refused, landmarkFile, files):
    lonely = landmarkFile("nose", "toe")
    refused(
        "no partner: 'chin' (only fixed), 'toe' (only moving)",
        "--fixed-landmarks", files.fixedLandmarks, "--moving-landmarks", lonely,
    )  # fmt: skip


@pytest.mark.parametrize("option", ["--fixed-landmarks", "--moving-landmarks"])
def test_one_landmark_file_alone(refused, files, option):
    refused("give both --fixed-landmarks and --moving-landmarks", option, files.fixedLandmarks)


def test_landmarks_that_are_text(refused, files, tmp_path):
    (tmp_path / "text.mrk.json").write_text("nose")
    refused(
        "text.mrk.json' holds no landmarks",
        "--fixed-landmarks", files.fixedLandmarks, "--moving-landmarks", tmp_path / "text.mrk.json",
    )  # fmt: skip


@pytest.mark.parametrize("option", ["--fixed-slice", "--moving-slice"])
@pytest.mark.parametrize("index", [-1, 5])
def test_a_slice_outside_the_volume(refused, option, index):
    name = option.split("-")[2]
    refused(f"Slice {index} lies outside the volume '{name}', whose axial slices are 0 to 4.", f"{option}={index}")


@pytest.mark.parametrize("device", ["cuda", "tpu"])
def test_a_device_that_is_not_there(refused, device):
    if device == "cuda" and torch.cuda.is_available():
        pytest.skip("cuda is there")
    refused(f"The device '{device}' is not there. This machine has: ", "--device", device)


def test_an_unknown_model(refused):
    refused("There is no model 'wonder'. Known are: any-contrast", "--model", "wonder")


def test_a_broken_model_file(refused, tmp_path):
    path = tmp_path / "broken.pt"
    path.write_bytes(next(folder / "any-contrast.pt" for folder in modelFolders()).read_bytes()[:5000])
    refused("broken.pt' is truncated or not a model file", "--model", path)


def test_a_transform_that_is_text(refused, tmp_path):
    (tmp_path / "text.tfm").write_text("left")
    refused("text.tfm' is no transform that Slicer can read", "--initial-transform", tmp_path / "text.tfm")


def test_a_mask_without_pixels(refused, tmp_path):
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((5, 64, 64), np.uint8)), str(tmp_path / "mask.nrrd"))
    refused("The mask 'mask' has no pixel on the axial slice 2", "--mask", tmp_path / "mask.nrrd")


def test_images_that_lie_apart(refused, files, tmp_path):
    image = sitk.ReadImage(str(files.moving))
    image.SetOrigin((500, 0, 0))
    sitk.WriteImage(image, str(tmp_path / "far.nrrd"))
    refused("fixed and moving must overlap in space", moving=tmp_path / "far.nrrd")


def test_slices_that_are_not_parallel(refused, files, tmp_path):
    turn = sitk.Euler3DTransform((30, 30, 6), 0.4, 0, 0)
    sitk.WriteTransform(turn, str(tmp_path / "turn.tfm"))
    refused("not parallel", "--moving-slice", 2, "--initial-transform", tmp_path / "turn.tfm")


@pytest.mark.parametrize(
    "name", ["transform.h5", "warped.nrrd", "report.json", "overlay.png", "scene.mrb", "options.json"]
)
def test_a_file_that_cannot_be_replaced(refused, tmp_path, name):
    (tmp_path / "out" / name / "not empty").mkdir(parents=True)
    refused(name)


def test_no_model_at_all(capsys, monkeypatch):
    monkeypatch.setattr("UnsupervisedRegistrationLib.scene.registration.model_folders.modelFolders", list)
    monkeypatch.setattr("UnsupervisedRegistrationLib.scene.registration.candidate_models.modelFolders", list)
    assert main(["models"]) == 2
    assert (
        capsys.readouterr().err == "unsupervised-registration: There is no model in any known folder. (exit code 2)\n"
    )


def test_a_missing_package_is_named_with_its_cure(refused, monkeypatch):
    def missing():
        raise ModuleNotFoundError("No module named 'slicer'", name="slicer")

    monkeypatch.setattr(session, "newScene", missing)
    refused("The Python package 'slicer' is missing; install this tool with: pip install")


@pytest.mark.parametrize("arguments", [[], ["register"], ["register", "a", "b"], ["demo", "--phantom", "leg"]])
def test_wrong_usage_shows_the_usage(capsys, arguments):
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert "usage: unsupervised-registration" in capsys.readouterr().err
