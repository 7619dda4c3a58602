"""``apply`` takes images and points along, forward and inverse, as SimpleITK does with the same file."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from UnsupervisedRegistrationLib.headless.__main__ import main
from UnsupervisedRegistrationLib.headless.point_files import readPoints, writePoints

MM = 0.05
FAST = ["--preset", "fast", "--model", "any-contrast", "--device", "cpu"]


def run(*arguments):
    return main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def registered(tmp_path_factory):
    """The phantom, registered with all outputs."""
    folder = tmp_path_factory.mktemp("demo") / "out"
    outputs = "transform,inverse,linear,warped,jacobian,uncertainty"
    assert run("demo", "--output", folder, "--write", outputs, *FAST) == 0
    return folder


def slicePoints(path, count=40):
    """Points on the slice of an image, LPS, clear of its border."""
    image, random = sitk.ReadImage(str(path)), np.random.default_rng(0)
    width, height = image.GetSize()[:2]
    indices = random.uniform([0.2 * width, 0.2 * height], [0.8 * width, 0.8 * height], (count, 2))
    return [image.TransformContinuousIndexToPhysicalPoint((*index.tolist(), 0)) for index in indices]


def test_write_chooses_the_files(registered):
    names = {"transform.h5", "inverse.h5", "linear.h5", "warped.nrrd", "jacobian.nrrd", "uncertainty.nrrd"}
    assert {path.name for path in registered.iterdir()} == {*names, "report.json", "options.json"}


def test_the_maps_lie_on_the_warped_slice(registered):
    warped = sitk.ReadImage(str(registered / "warped.nrrd"))
    for name in ("jacobian", "uncertainty"):
        image = sitk.ReadImage(str(registered / f"{name}.nrrd"))
        assert (image.GetSize(), image.GetOrigin()) == (warped.GetSize(), warped.GetOrigin())


def test_the_inverse_brings_points_back(registered):
    forward, inverse = (sitk.ReadTransform(str(registered / name)) for name in ("transform.h5", "inverse.h5"))
    points = slicePoints(registered / "warped.nrrd")
    moved = [forward.TransformPoint(point) for point in points]
    assert np.linalg.norm(np.subtract(moved, points), axis=1).max() > 1
    assert np.abs(np.subtract([inverse.TransformPoint(point) for point in moved], points)).max() < MM


def test_points_go_to_the_moving_image_as_in_itk_and_back(registered, tmp_path):
    points = slicePoints(registered / "warped.nrrd")
    named = [(str(number), (-x, -y, z)) for number, (x, y, z) in enumerate(points)]
    writePoints(named, tmp_path / "points.csv")
    given = ["--reference", registered / "warped.nrrd"]
    there, back = tmp_path / "there", tmp_path / "back"
    assert (
        run("apply", registered / "transform.h5", tmp_path / "points.csv", *given, "--output", there, "--inverse") == 0
    )
    assert run("apply", registered / "transform.h5", there / "points.csv", *given, "--output", back) == 0
    transform = sitk.ReadTransform(str(registered / "transform.h5"))
    expected = np.array([transform.TransformPoint(point) for point in points]) * [-1, -1, 1]
    np.testing.assert_allclose([point for _, point in readPoints(there / "points.csv")], expected, atol=MM)
    np.testing.assert_allclose(
        [point for _, point in readPoints(back / "points.csv")], [point for _, point in named], atol=MM
    )


@pytest.fixture
def shifted(tmp_path):
    """An image, and a transform that takes it 3 voxels along x."""
    voxels = np.random.default_rng(0).integers(1, 5, (4, 20, 24)).astype(np.int16)
    sitk.WriteImage(sitk.GetImageFromArray(voxels), str(tmp_path / "image.nii.gz"))
    sitk.WriteTransform(sitk.TranslationTransform(3, (3, 0, 0)), str(tmp_path / "shift.tfm"))
    return voxels


@pytest.mark.parametrize(("options", "shift"), [((), -3), (("--inverse",), 3)])
def test_an_image_is_resampled_on_the_reference(shifted, tmp_path, options, shift):
    image = tmp_path / "image.nii.gz"
    given = ["--reference", image, "--interpolation", "nearest", "--background", 9, "--output", tmp_path / "out"]
    assert run("apply", tmp_path / "shift.tfm", image, *given, *options) == 0
    result = sitk.ReadImage(str(tmp_path / "out" / "image.nii.gz"))
    expected = np.full_like(shifted, 9)
    if shift < 0:
        expected[..., :shift] = shifted[..., -shift:]
    else:
        expected[..., shift:] = shifted[..., :-shift]
    np.testing.assert_array_equal(sitk.GetArrayFromImage(result), expected)
    assert result.GetPixelID() == sitk.sitkInt16


def test_the_pixel_type_can_be_chosen(shifted, tmp_path):
    image = tmp_path / "image.nii.gz"
    given = ["--reference", image, "--pixel-type", "float32", "--output", tmp_path / "out"]
    assert run("apply", tmp_path / "shift.tfm", image, *given) == 0
    assert sitk.ReadImage(str(tmp_path / "out" / "image.nii.gz")).GetPixelID() == sitk.sitkFloat32


def test_two_inputs_of_one_name_are_refused(shifted, tmp_path, capsys):
    (tmp_path / "b").mkdir()
    image = tmp_path / "image.nii.gz"
    given = ["--reference", image, "--output", tmp_path / "out"]
    assert run("apply", tmp_path / "shift.tfm", image, tmp_path / "b" / "image.nii.gz", *given) == 2
    assert "would become the file 'image.nii.gz', like another file" in capsys.readouterr().err


def test_an_input_in_the_output_folder_is_not_replaced(shifted, tmp_path, capsys):
    image = tmp_path / "image.nii.gz"
    before = image.read_bytes()
    assert run("apply", tmp_path / "shift.tfm", image, "--reference", image, "--output", tmp_path, "--overwrite") == 2
    assert "is an input of this run" in capsys.readouterr().err
    assert image.read_bytes() == before


def test_an_unknown_output_is_refused(capsys, tmp_path):
    with pytest.raises(SystemExit, match="2"):
        run("demo", "--output", tmp_path, "--write", "warped,movie")
    assert "'movie' is none of overlay, transform" in capsys.readouterr().err
