"""The quality report of transforms of other tools: a right one is good, and each planted error is found."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from organ_images import SIZE, SPACING, organs, writeLandmarkPair
from UnsupervisedRegistrationLib.headless.__main__ import main
from UnsupervisedRegistrationLib.headless.readers import readLabels
from UnsupervisedRegistrationLib.scene.reporting.report_files import ITEM_COLUMNS, SCHEMA


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A moving image, and the fixed image that a known B-spline makes of it, with structures and landmarks of both."""
    folder = tmp_path_factory.mktemp("case")
    moving, labels = organs()
    truth = spline(moving)
    fixed = sitk.Resample(moving, moving, truth, sitk.sitkLinear)
    fixedLabels = sitk.Resample(labels, moving, truth, sitk.sitkNearestNeighbor)
    images = {"fixed": fixed, "moving": moving, "fixedLabels": fixedLabels, "movingLabels": labels}
    paths = {name: folder / f"{name}.nii.gz" for name in images}
    for name, image in images.items():
        sitk.WriteImage(image, str(paths[name]))
    paths |= writeLandmarkPair(folder, truth)
    paths["spline"] = folder / "spline.tfm"
    sitk.WriteTransform(truth, str(paths["spline"]))
    return SimpleNamespace(**paths, folder=folder, truth=truth, field=fieldOf(truth, fixed))


def spline(image: sitk.Image) -> sitk.BSplineTransform:
    """A smooth displacement of some millimetres, the same in every run."""
    transform = sitk.BSplineTransformInitializer(image, [4, 4, 3], 3)
    count = len(transform.GetParameters())
    transform.SetParameters(list(np.random.default_rng(2).uniform(-7, 7, count)))
    return transform


def fieldOf(transform: sitk.Transform, image: sitk.Image) -> sitk.Image:
    return sitk.TransformToDisplacementField(
        transform, sitk.sitkVectorFloat64, image.GetSize(), image.GetOrigin(), image.GetSpacing(), image.GetDirection()
    )


def writeField(case: SimpleNamespace, name: str, change: Any = None) -> Path:
    """The displacements as a file, as ANTs writes it; ``change`` gets them as an array ``(K, J, I, 3)``, LPS mm."""
    vectors = sitk.GetArrayFromImage(case.field)
    if change is not None:
        change(vectors)
    image = sitk.GetImageFromArray(vectors, isVector=True)
    image.CopyInformation(case.field)
    path: Path = case.folder / f"{name}.nii.gz"
    sitk.WriteImage(image, str(path))
    return path


def report(case: SimpleNamespace, transform: Path, output: Path, *more: str, evidence: bool = True) -> dict[str, Any]:
    """The content of quality.json."""
    arguments = ["report", str(case.fixed), str(case.moving), "--transform", str(transform), "--output", str(output)]
    arguments.append("--overwrite")
    if evidence:
        arguments += ["--fixed-labels", str(case.fixedLabels), "--moving-labels", str(case.movingLabels)]
        arguments += ["--fixed-landmarks", str(case.fixedLandmarks), "--moving-landmarks", str(case.movingLandmarks)]
    code = main([*arguments, *more])
    content: dict[str, Any] = json.loads((output / "quality.json").read_text(encoding="utf-8"))
    assert code == (3 if content["grade"] == "do not use" else 0)
    return content


def item(content: dict[str, Any], name: str, structure: str = "") -> dict[str, Any]:
    return next(i for i in content["items"] if i["name"] == name and i["structure"] == structure)


def problems(content: dict[str, Any]) -> set[str]:
    return {i["name"] for i in content["items"] if i["grade"] in ("check", "do not use")}


@pytest.fixture(scope="module")
def right(case: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """The report of the true B-spline."""
    output = tmp_path_factory.mktemp("right")
    return SimpleNamespace(content=report(case, case.spline, output), output=output)


def test_a_true_spline_is_good(right: SimpleNamespace) -> None:
    assert (right.content["grade"], problems(right.content)) == ("good", set())
    assert item(right.content, "TRE")["value"] == pytest.approx(0, abs=0.01)
    assert item(right.content, "Dice", "label 1")["value"] > 0.98
    assert item(right.content, "TRE")["before"] > 1


def test_a_true_displacement_field_is_good(case: SimpleNamespace, tmp_path: Path) -> None:
    content = report(case, writeField(case, "field"), tmp_path)
    assert (content["grade"], problems(content)) == ("good", set())
    assert item(content, "TRE")["value"] < 0.1


def test_without_landmarks_and_structures_a_true_transform_is_not_validated(
    case: SimpleNamespace, tmp_path: Path
) -> None:
    content = report(case, case.spline, tmp_path, evidence=False)
    assert content["grade"] == "not validated"
    assert any("Place at least five landmarks" in sentence for sentence in content["advisories"])


def test_a_folded_patch_is_found(case: SimpleNamespace, tmp_path: Path) -> None:
    def fold(vectors: np.ndarray) -> None:
        vectors[10:14, 20:26:2, 18:24, 1] += 6.0

    content = report(case, writeField(case, "folded", fold), tmp_path)
    assert "Jacobian below 0" in problems(content)
    assert content["grade"] in ("check", "do not use")


def test_a_shifted_organ_is_found(case: SimpleNamespace, tmp_path: Path) -> None:
    """The region of organ 1 arrives 12 mm beside it; the outline has no other change."""

    def shift(vectors: np.ndarray) -> None:
        vectors[4:20, 10:26, 6:22, 0] += 12.0

    content = report(case, writeField(case, "shifted", shift), tmp_path)
    assert item(content, "Dice", "label 1")["grade"] == "do not use"
    assert item(content, "Dice", "label 2")["grade"] == "good"
    assert content["grade"] == "do not use"


@pytest.mark.parametrize("evidence", [True, False])
def test_a_swapped_direction_is_found_with_and_without_landmarks(
    case: SimpleNamespace, tmp_path: Path, evidence: bool
) -> None:
    def invert(vectors: np.ndarray) -> None:
        field = sitk.InvertDisplacementField(case.field, maximumNumberOfIterations=50)
        vectors[...] = sitk.GetArrayFromImage(field)

    content = report(case, writeField(case, "swapped", invert), tmp_path, evidence=evidence)
    assert content["grade"] == "do not use"
    assert "mutual information by the inverse" in problems(content)
    assert any("wrong direction" in sentence for sentence in content["advisories"])


def test_the_schema_has_a_version_a_grade_and_items(right: SimpleNamespace) -> None:
    assert right.content["schema"] == SCHEMA == "unsupervised-registration/quality-report/1.0"
    assert right.content["grade"] in ("good", "not validated", "check", "do not use")
    assert {tuple(entry) for entry in right.content["items"]} == {ITEM_COLUMNS}
    assert ITEM_COLUMNS[:6] == ("name", "structure", "value", "unit", "tolerance", "grade")
    assert all(entry["unit"] for entry in right.content["items"])
    assert {entry["grade"] for entry in right.content["items"]} <= {None, "good", "check", "do not use"}


def test_the_csv_holds_the_same_items(right: SimpleNamespace) -> None:
    rows = list(csv.DictReader((right.output / "quality.csv").open(encoding="utf-8")))
    assert {row["schema"] for row in rows} == {SCHEMA}
    assert (rows[0]["name"], rows[0]["grade"]) == ("registration", "good")
    assert [row["name"] for row in rows[1:]] == [entry["name"] for entry in right.content["items"]]


def test_the_html_is_one_file_with_its_pictures(right: SimpleNamespace) -> None:
    text = (right.output / "quality.html").read_text(encoding="utf-8")
    embedded = text.count('src="data:image/png;base64,')
    assert embedded == text.count("src=") >= 10  # Nothing is loaded from elsewhere.
    assert "Appendix: basis of each metric" in text


def test_the_pdf_has_several_pages(right: SimpleNamespace) -> None:
    content = (right.output / "quality.pdf").read_bytes()
    assert content.startswith(b"%PDF")
    assert content.count(b"/Type /Page\n") >= 3


def test_the_names_of_files_are_written_only_if_asked_for(case: SimpleNamespace, tmp_path: Path) -> None:
    for arguments, named in (((), False), (("--identifiers",), True)):
        content = report(case, case.spline, tmp_path, "--plane", "axial", *arguments, evidence=False)
        assert ("'moving'" in content["header"]["Moving image"]) == named
        assert ("'spline'" in content["header"]["Transform"]) == named


def test_a_slice_is_measured_in_2d_and_says_so(case: SimpleNamespace, tmp_path: Path) -> None:
    content = report(case, case.spline, tmp_path, "--plane", "axial", "--fixed-slice", "12", evidence=False)
    assert content["header"]["Region"] == "axial slice 12 (2-D)"
    assert item(content, "largest displacement out of the slice")["value"] > 0.5


def test_the_whole_volume_is_measured_in_3d_and_says_so(right: SimpleNamespace) -> None:
    assert right.content["header"]["Region"] == f"whole volume, {SIZE[2]} slices (3-D)"
    assert right.content["header"]["Largest voxel dimension"] == f"{max(SPACING):.3g} mm"


def test_own_tolerances_come_from_a_file(case: SimpleNamespace, tmp_path: Path) -> None:
    profile = tmp_path / "own.json"
    profile.write_text(json.dumps({"name": "clinic", "good_dice": 1.0, "usable_dice": 0.5}), encoding="utf-8")
    content = report(case, writeField(case, "field"), tmp_path, "--profile", str(profile))
    assert content["header"]["Tolerances"] == "clinic"
    assert item(content, "Dice", "label 1")["tolerance"] == 1.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--fixed-labels", "{fixedLabels}"], "structures of the moving image are missing"),
        (["--fixed-landmarks", "{fixedLandmarks}"], "landmarks of the moving image are missing"),
        (["--fixed-labels", "{fixed}", "--moving-labels", "{movingLabels}"], "is no labelmap"),
        (["--profile", "loose"], "There is no profile 'loose'"),
        (["--profile", "{fixed}"], "is no JSON file"),
        (["--mask", "nowhere.nrrd"], "There is no file"),
        (["--plane", "axial", "--fixed-slice", "99"], "lies outside the volume"),
    ],
)
def test_bad_input_is_a_sentence(
    case: SimpleNamespace, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    given = [str(case.fixed), str(case.moving), "--transform", str(case.spline), "--output", str(tmp_path / "out")]
    code = main(["report", *given, *(argument.format(**vars(case)) for argument in arguments)])
    assert (code, message in capsys.readouterr().err) == (2, True)


def test_a_folder_that_cannot_be_written_is_a_sentence(
    case: SimpleNamespace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    given = [str(case.fixed), str(case.moving), "--transform", str(case.spline), "--output", str(tmp_path / "file")]
    assert main(["report", *given]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_a_transform_far_away_is_a_sentence(
    case: SimpleNamespace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "away.tfm"
    sitk.WriteTransform(sitk.TranslationTransform(3, (900.0, 0.0, 0.0)), str(path))
    given = [str(case.fixed), str(case.moving), "--transform", str(path), "--output", str(tmp_path / "out")]
    assert main(["report", *given]) == 2
    assert "has no voxels" in capsys.readouterr().err


def test_a_segmentation_file_keeps_the_names_of_its_segments(tmp_path: Path) -> None:
    import slicer
    import slicer.util

    scene = slicer.vtkMRMLScene()
    labels = sitk.GetImageFromArray(np.pad(np.ones((2, 3, 4), np.uint8), 2))
    for key, value in {
        "Segment0_ID": "s1",
        "Segment0_Name": "liver",
        "Segment0_LabelValue": "1",
        "Segment0_Layer": "0",
        "Segment0_Extent": "2 5 2 4 2 3",
        "Segmentation_ContainedRepresentationNames": "Binary labelmap|",
        "Segmentation_MasterRepresentation": "Binary labelmap",
    }.items():
        labels.SetMetaData(key, value)
    sitk.WriteImage(labels, str(tmp_path / "s.seg.nrrd"))
    segmentation = readLabels(scene, tmp_path / "s.seg.nrrd").GetSegmentation()
    assert [segmentation.GetNthSegment(index).GetName() for index in range(segmentation.GetNumberOfSegments())] == [
        "liver"
    ]


def test_the_validation_protocol_is_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate"]) == 0
    assert "24 of 24 passed" in capsys.readouterr().out
