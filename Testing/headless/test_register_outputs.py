"""``register`` with labels, files that follow, many slices, and displacements for other programs."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
import slicer

from UnsupervisedRegistrationLib.headless.__main__ import main
from UnsupervisedRegistrationLib.headless.point_files import readPoints, writePoints
from UnsupervisedRegistrationLib.headless.readers import readLabels, readModel, readTransform

FAST = ("--preset", "fast", "--model", "any-contrast", "--device", "cpu", "--prealignment", "none")
MM = 0.02


def run(*arguments):
    return main([str(argument) for argument in arguments])


def reportOf(folder):
    return json.loads((folder / "report.json").read_text())


def writeSegmentation(path, like, name):
    """One segment: the bright half of an image."""
    image = sitk.ReadImage(str(like))
    voxels = sitk.GetArrayFromImage(image)
    labels = sitk.GetImageFromArray((voxels > np.median(voxels)).astype(np.uint8))
    labels.CopyInformation(image)
    for key, value in {"ID": "s1", "Name": name, "LabelValue": "1", "Layer": "0", "Extent": "0 63 0 63 0 4"}.items():
        labels.SetMetaData(f"Segment0_{key}", value)
    sitk.WriteImage(labels, str(path))
    return path


def writeModel(path, points):
    """A triangle, LPS in the file."""
    rows = "".join(f"{-r} {-a} {s}\n" for r, a, s in points)
    path.write_text(
        f"# vtk DataFile Version 3.0\nSPACE=LPS\nASCII\nDATASET POLYDATA\nPOINTS 3 float\n{rows}POLYGONS 1 4\n3 0 1 2\n"
    )
    return path


@pytest.fixture(scope="module")
def followed(files, tmp_path_factory):
    """A registration with labels of both sides, and an image, a segmentation, a model and points that follow."""
    folder = tmp_path_factory.mktemp("follow")
    labels = [
        writeSegmentation(folder / f"{side}.seg.nrrd", getattr(files, side), "bright") for side in ("fixed", "moving")
    ]
    points = [(-20.0, -15.0, 9.0), (-40.0, -30.0, 9.0), (-30.0, -40.0, 9.0)]
    writePoints([(str(number), point) for number, point in enumerate(points)], folder / "points.csv")
    flair = sitk.ReadImage(str(files.moving)) + 5
    sitk.WriteImage(flair, str(folder / "flair.nii.gz"))
    along = [folder / "flair.nii.gz", folder / "points.csv", writeModel(folder / "skin.vtk", points)]
    out = folder / "out"
    code = run(
        "register", files.fixed, files.moving, "--output", out, "--fixed-slice", 2, "--moving-slice", 3,
        "--initial-transform", files.initial, "--labels", labels[0], "--moving-labels", labels[1], *FAST,
        "--along", *along, "--write", "transform,warped",
    )  # fmt: skip
    assert code in (0, 3)
    return SimpleNamespace(folder=out, points=points)


def test_dice_and_distances_of_labels_are_in_the_report(followed):
    bright = reportOf(followed.folder)["structures"]["bright"]
    assert set(bright) == {"Dice", "MDA", "HD95"}
    assert bright["Dice"]["after"] > 0.95  # The images are the same.
    assert bright["Dice"]["after"] > bright["Dice"]["before"]
    assert any(item["name"] == "Dice" for item in reportOf(followed.folder)["quality_check"]["items"])


def test_an_image_follows_as_the_moving_image_does(followed):
    warped, flair = (sitk.ReadImage(str(followed.folder / name)) for name in ("warped.nrrd", "flair.nii.gz"))
    assert flair.GetSize() == warped.GetSize()
    np.testing.assert_allclose(flair.GetOrigin(), warped.GetOrigin(), atol=1e-4)
    inner = np.s_[:, 12:-12, 12:-12]
    difference = sitk.GetArrayFromImage(flair)[inner] - sitk.GetArrayFromImage(warped)[inner]
    np.testing.assert_allclose(difference, 5, atol=1)  # Whole numbers.


def test_points_and_models_follow_to_the_fixed_image(followed):
    scene = slicer.vtkMRMLScene()
    fromParent = readTransform(scene, followed.folder / "transform.h5").GetTransformFromParent()
    moved = [position for _, position in readPoints(followed.folder / "points.csv")]
    np.testing.assert_allclose([fromParent.TransformPoint(point) for point in moved], followed.points, atol=MM)
    model = readModel(scene, followed.folder / "skin.vtk").GetPolyData()
    np.testing.assert_allclose([model.GetPoint(number) for number in range(3)], moved, atol=MM)


def test_a_segmentation_keeps_the_names_of_its_segments(followed):
    node = readLabels(slicer.vtkMRMLScene(), followed.folder / "moving.seg.nrrd")
    segmentation = node.GetSegmentation()
    assert [segmentation.GetNthSegment(n).GetName() for n in range(segmentation.GetNumberOfSegments())] == ["bright"]


@pytest.fixture(scope="module")
def stack(files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stack") / "out"
    outputs = "transform,inverse,warped,jacobian,displacement.nii.gz,displacement.mha,overlay"
    code = run(
        "register", files.fixed, files.moving, "--output", folder, "--slices", "1-3", *FAST,
        "--initial-transform", files.initial, "--write", outputs,
    )  # fmt: skip
    assert code in (0, 3)
    return folder


def test_a_range_of_slices_becomes_one_transform_and_one_volume(stack, files):
    assert reportOf(stack)["slice"] == "axial slices 1 to 3"
    warped, fixed = sitk.ReadImage(str(stack / "warped.nrrd")), sitk.ReadImage(str(files.fixed))
    assert warped.GetSize() == (64, 64, 3)
    np.testing.assert_allclose(warped.GetOrigin(), fixed.TransformIndexToPhysicalPoint((0, 0, 1)), atol=1e-4)
    assert sitk.ReadImage(str(stack / "jacobian.nrrd")).GetSize() == (64, 64, 3)


def test_the_inverse_of_a_stack_brings_points_of_every_slice_back(stack):
    forward, inverse = (sitk.ReadTransform(str(stack / name)) for name in ("transform.h5", "inverse.h5"))
    grid = sitk.ReadImage(str(stack / "warped.nrrd"))
    points = [grid.TransformIndexToPhysicalPoint((i, j, k)) for i in (20, 40) for j in (20, 40) for k in range(3)]
    back = [inverse.TransformPoint(forward.TransformPoint(point)) for point in points]
    np.testing.assert_allclose(back, points, atol=0.2)  # The slices are noise that shares no structure.


@pytest.mark.parametrize("ending", ["nii.gz", "mha"])
def test_the_displacement_maps_as_the_transform(stack, ending):
    image = sitk.ReadImage(str(stack / f"displacement.{ending}"))
    assert image.GetPixelID() == sitk.sitkVectorFloat32
    assert image.GetSize()[2] == 5  # Three slices and one on each side.
    field = sitk.DisplacementFieldTransform(sitk.Cast(image, sitk.sitkVectorFloat64))
    transform = sitk.ReadTransform(str(stack / "transform.h5"))
    grid = sitk.ReadImage(str(stack / "warped.nrrd"))
    for index in np.random.default_rng(0).integers([5, 5, 0], [59, 59, 3], (30, 3)).tolist():
        point = grid.TransformIndexToPhysicalPoint(index)
        np.testing.assert_allclose(field.TransformPoint(point), transform.TransformPoint(point), atol=MM)


def test_slicer_reads_the_displacement_as_a_transform(stack):
    scene = slicer.vtkMRMLScene()
    nodes = [readTransform(scene, stack / name) for name in ("transform.h5", "displacement.nii.gz")]
    for point in [(-20.0, -15.0, 6.0), (-40.0, -30.0, 3.0)]:
        first, second = (node.GetTransformFromParent().TransformPoint(point) for node in nodes)
        np.testing.assert_allclose(first, second, atol=MM)


@pytest.fixture(scope="module")
def planar(tmp_path_factory):
    """Two 2-D pictures, registered, with a 2-D transform."""
    folder = tmp_path_factory.mktemp("planar")
    rows, columns = np.indices((96, 80))
    for name, shift in (("a", 0), ("b", 4)):
        bright = 200 * np.exp(-((rows - 48) ** 2 + (columns - 40 - shift) ** 2) / 300)
        image = sitk.GetImageFromArray(bright.astype(np.float32))
        image.SetSpacing((0.7, 0.9))
        image.SetOrigin((5, -8))
        sitk.WriteImage(image, str(folder / f"{name}.mha"))
    given = ("--output", folder / "out", "--write", "transform,transform-2d", *FAST)
    assert run("register", folder / "a.mha", folder / "b.mha", *given) in (0, 3)
    return folder


def test_a_2d_transform_maps_as_the_3d_one_and_warps_2d_images(planar):
    flat, deep = (sitk.ReadTransform(str(planar / "out" / name)) for name in ("transform-2d.h5", "transform.h5"))
    assert flat.GetDimension() == 2
    fixed, moving = (sitk.ReadImage(str(planar / f"{name}.mha")) for name in "ab")
    for index in ((40, 48), (30, 40), (50, 60)):
        point = fixed.TransformIndexToPhysicalPoint(index)
        np.testing.assert_allclose(flat.TransformPoint(point), deep.TransformPoint((*point, 0))[:2], atol=1e-3)
    images = (sitk.GetArrayFromImage(image) for image in (fixed, moving, sitk.Resample(moving, fixed, flat)))
    target, before, after = images
    assert np.abs(after - target).mean() < np.abs(before - target).mean() / 2


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--slices", "1-9"), "Slices 1 to 9 are not in the volume 'fixed', which has 0 to 4"),
        (("--slices", "all", "--fixed-slice", "1"), "--fixed-slice belongs to a single slice, --slices to many"),
        (("--plane", "coronal", "--write", "transform-2d"), "is not parallel to the axes x and y"),
        (("--labels", "fixed.nrrd"), "give --moving-labels too"),
        (("--steer",), "--steer needs --fixed-landmarks and --moving-landmarks"),
        (("--along", "a/warped.nrrd"), "'a/warped.nrrd' would become the file 'warped.nrrd', like another file"),
        (("--along", "a/x.csv", "b/x.csv"), "'b/x.csv' would become the file 'x.csv', like another file"),
    ],
)
def test_what_does_not_fit_is_refused_with_a_sentence(files, tmp_path, capsys, options, sentence):
    assert run("register", files.fixed, files.moving, "--output", tmp_path / "out", *options) == 2
    assert sentence in capsys.readouterr().err


def test_a_range_that_is_none_is_refused(files, tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        run("register", files.fixed, files.moving, "--output", tmp_path / "out", "--slices", "3")
    assert "'3' is neither all nor two slices from 0" in capsys.readouterr().err


def test_landmarks_that_steer_are_told_apart(files, tmp_path):
    marks = ("--fixed-landmarks", files.fixedLandmarks, "--moving-landmarks", files.movingLandmarks, "--steer")
    where = ("--fixed-slice", 2, "--moving-slice", 3, "--initial-transform", files.initial)
    given = (*marks, *where, "--model", "any-contrast", "--device", "cpu", "--write", "transform")
    assert run("register", files.fixed, files.moving, "--output", tmp_path / "out", *given) in (0, 3)
    assert reportOf(tmp_path / "out")["fitted_tre_mm"]["after"]["mean"] < 1
    assert reportOf(tmp_path / "out")["tre_mm"] is None


def test_the_options_of_a_run_with_followers_start_the_next(planar, tmp_path):
    given = ("--along", planar / "a.mha", planar / "b.mha", "--write", "transform", *FAST)
    assert run("register", planar / "a.mha", planar / "b.mha", "--output", tmp_path / "one", *given) in (0, 3)
    assert run("register", "--options", tmp_path / "one" / "options.json", "--output", tmp_path / "two") in (0, 3)
    names = [{path.name for path in (tmp_path / run_).iterdir()} for run_ in ("one", "two")]
    assert names[0] == names[1] == {"transform.h5", "a.mha", "b.mha", "report.json", "options.json"}
