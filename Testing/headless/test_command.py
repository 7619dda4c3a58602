"""The command registers files and writes everything into a folder."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import sys
import tempfile
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
import slicer.util

from UnsupervisedRegistrationLib.core.evaluation import quality_check
from UnsupervisedRegistrationLib.headless import registration_run, session
from UnsupervisedRegistrationLib.headless.__main__ import main
from UnsupervisedRegistrationLib.scene.registration.model_folders import modelFolders
from UnsupervisedRegistrationLib.scene.registration_options import RegistrationOptions
from UnsupervisedRegistrationLib.scene.scene_nodes import nodesByClass

FILES = {"transform.h5", "warped.nrrd", "overlay.png", "report.json", "scene.mrb", "options.json"}
GREY = 1.0  # A thousandth of the intensity range; the same for the similarity.


def run(*arguments):
    """The exit code and what the command says."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(argument) for argument in arguments])
    return SimpleNamespace(code=code, out=out.getvalue(), err=err.getvalue())


def reportOf(folder):
    return json.loads((folder / "report.json").read_text())


def register(files, folder, *options):
    return run("register", files.fixed, files.moving, "--output", folder, "--device", "cpu", *options)


@pytest.fixture(scope="module")
def everything(files, tmp_path_factory):
    """A run with every option of ``register``, its folder and what it said."""
    folder = tmp_path_factory.mktemp("everything") / "new" / "folder"
    model = next(path / "any-contrast.pt" for path in modelFolders())
    options = ["--plane", "axial", "--fixed-slice", 2, "--moving-slice", 3, "--mask", files.mask, "--model", model]
    options += ["--initial-transform", files.initial]
    options += ["--fixed-landmarks", files.fixedLandmarks, "--moving-landmarks", files.movingLandmarks]
    return SimpleNamespace(folder=folder, **vars(register(files, folder, *options)))


def readScene(path):
    """A scene file, read as Slicer does (without trame or the application)."""
    scene, application = slicer.vtkMRMLScene(), slicer.vtkSlicerApplicationLogic()
    application.SetMRMLScene(scene)
    remote, data = slicer.vtkMRMLRemoteIOLogic(), slicer.vtkDataIOManagerLogic()
    for logic in (remote, data):
        logic.SetMRMLScene(scene)
        logic.SetMRMLApplicationLogic(application)
    with tempfile.TemporaryDirectory() as cache:
        remote.GetCacheManager().SetRemoteCacheDirectory(cache)
        data.SetAndObserveDataIOManager(remote.GetDataIOManager())
        remote.AddDataIOToScene()
        assert scene.ReadFromMRB(str(path), True)
    return scene


@pytest.fixture(scope="module")
def reloaded(everything):
    return readScene(everything.folder / "scene.mrb")


class TestRegister:
    def test_it_ends_well(self, everything):
        assert everything.code == 0, everything.err

    def test_it_writes_its_files_into_a_new_folder(self, everything):
        assert {path.name for path in everything.folder.iterdir()} == FILES

    def test_it_says_one_sentence_that_names_the_output(self, everything):
        assert everything.out.count("\n") == 2
        assert everything.out.startswith("Registered the axial slice 2 of moving to fixed: mean TRE of 2 landmarks ")
        assert str(everything.folder) in everything.out.splitlines()[-2]

    def test_the_last_line_names_the_exit_code(self, everything):
        assert everything.out.splitlines()[-1] == "Exit code 0: done."

    def test_it_tells_its_steps_on_standard_error(self, everything):
        shares = [int(line.split("%")[0]) for line in everything.err.splitlines()]
        assert shares[0] == 0
        assert len(shares) > 5
        assert shares == sorted(shares)

    def test_the_report_has_all_figures(self, everything):
        figures = reportOf(everything.folder)
        assert set(figures) == {
            "fixed", "moving", "slice", "model", "device", "milliseconds", "similarity", "folding", "tre_mm", "notes",
            "inverse_consistency_mm", "expected_error_mm", "fitted_tre_mm", "left_out_tre_mm", "options", "plan",
            "quality_check", "model_reason", "licence", "direction", "spacing_mm", "displacement_mm", "jacobian",
            "landmark_errors_mm", "structures", "input_notes", "started", "command", "versions", "inputs", "files",
        }  # fmt: skip
        assert figures["slice"] == "axial slice 2"
        assert figures["device"] == "cpu"

    def test_slice_and_initial_transform_bring_the_same_structures_together(self, everything):
        """Slice 3 of the moving file, shifted back, is slice 2 of the fixed file."""
        assert reportOf(everything.folder)["similarity"]["before"] > 0.99

    def test_the_picture_is_a_png(self, everything):
        assert min(sitk.ReadImage(str(everything.folder / "overlay.png")).GetSize()) > 400

    def test_the_warped_file_lies_on_the_fixed_slice(self, everything, files):
        fixed, warped = sitk.ReadImage(str(files.fixed)), sitk.ReadImage(str(everything.folder / "warped.nrrd"))
        assert warped.GetSize() == (64, 64, 1)
        np.testing.assert_allclose(
            warped.TransformIndexToPhysicalPoint((0, 0, 0)), fixed.TransformIndexToPhysicalPoint((0, 0, 2))
        )

    def test_itk_warps_with_the_transform_file_as_in_the_warped_file(self, everything, files):
        warped = sitk.ReadImage(str(everything.folder / "warped.nrrd"))
        transform = sitk.ReadTransform(str(everything.folder / "transform.h5"))
        moving = sitk.Cast(sitk.ReadImage(str(files.moving)), sitk.sitkFloat32)
        resampled = sitk.GetArrayFromImage(sitk.Resample(moving, warped, transform, sitk.sitkLinear))[0]
        inner = np.s_[12:-12, 12:-12]  # Clear of the border, where VTK has half a voxel more.
        np.testing.assert_allclose(resampled[inner], sitk.GetArrayFromImage(warped)[0][inner], atol=GREY)


def test_a_result_that_the_quality_check_refuses_ends_with_code_3(files, tmp_path, monkeypatch):
    worse = quality_check.QualityCheck((quality_check.similarity_item(0.9, 0.1),))
    monkeypatch.setattr(registration_run, "checkQuality", lambda *_: worse)
    outcome = register(files, tmp_path, "--preset", "fast", "--model", "any-contrast")
    assert outcome.code == 3
    assert outcome.out.splitlines()[-1] == 'Exit code 3: done, but the quality check says "do not use".'
    assert reportOf(tmp_path)["quality_check"]["grade"] == "do not use"


class TestModel:
    def test_by_default_the_models_are_compared_and_the_reason_is_said(self, files, tmp_path):
        outcome = register(files, tmp_path, "--preset", "fast")
        assert outcome.code == 0, outcome.err
        figures = reportOf(tmp_path)
        assert figures["model_reason"].startswith(f"{figures['model']}: best of ")
        assert figures["model_reason"] in outcome.out
        assert figures["licence"]
        assert figures["licence"] in outcome.out

    def test_free_models_only_leaves_the_organ_models_out(self, files, tmp_path):
        outcome = register(files, tmp_path, "--preset", "fast", "--free-models-only")
        assert outcome.code == 0, outcome.err
        assert reportOf(tmp_path)["model"] == "any-contrast"

    def test_a_model_that_was_named_needs_no_reason(self, everything):
        assert reportOf(everything.folder)["model_reason"] == ""


class TestLandmarks:
    def tre(self, files, folder, *options):
        landmarks = ["--fixed-landmarks", files.fixedLandmarks, "--moving-landmarks", files.movingLandmarks]
        outcome = register(files, folder, "--fixed-slice", 2, "--moving-slice", 3, *landmarks, *options)
        assert outcome.code == 0, outcome.err
        return reportOf(folder)["tre_mm"]

    def test_before_they_are_as_far_apart_as_in_the_files(self, files, tmp_path):
        assert self.tre(files, tmp_path)["before"]["mean"] == pytest.approx(np.linalg.norm([6, -4, 3]), abs=1e-3)

    def test_the_initial_transform_places_them_with_their_image(self, files, tmp_path):
        """What is left is one slice, 3 mm; afterwards nothing."""
        summary = self.tre(files, tmp_path, "--initial-transform", files.initial)
        assert summary["before"]["mean"] == pytest.approx(3, abs=1e-3)
        assert summary["after"]["mean"] < 0.5


class TestScene:
    def test_the_moving_volume_lies_under_the_transform(self, reloaded):
        moving = reloaded.GetFirstNodeByName("moving")
        assert moving.GetParentTransformNode().GetName() == "moving to fixed"

    def test_the_transform_knows_its_volumes(self, reloaded):
        transform = reloaded.GetFirstNodeByName("moving to fixed")
        assert transform.GetNodeReference("spatialRegistrationFixed").GetName() == "fixed"
        assert transform.GetNodeReference("spatialRegistrationMoving").GetName() == "moving"

    def test_the_transform_maps_as_that_of_the_transform_file(self, reloaded, everything):
        fromParent = reloaded.GetFirstNodeByName("moving to fixed").GetTransformFromParent()
        transform = sitk.ReadTransform(str(everything.folder / "transform.h5"))
        for point in np.random.default_rng(0).integers(10, 50, (20, 2)):
            expected = np.array(transform.TransformPoint((*point.tolist(), 6))) * [-1, -1, 1]
            np.testing.assert_allclose(fromParent.TransformPoint(*-point, 6), expected, atol=1e-3)

    def test_the_moving_volume_lies_over_the_fixed_one(self, reloaded):
        layers = nodesByClass(reloaded, "vtkMRMLSliceCompositeNode")
        assert sorted(node.GetLayoutName() for node in layers) == ["Green", "Red", "Yellow"]
        for node in layers:
            assert reloaded.GetNodeByID(node.GetBackgroundVolumeID()).GetName() == "fixed"
            assert reloaded.GetNodeByID(node.GetForegroundVolumeID()).GetName() == "moving"
            assert node.GetForegroundOpacity() == 0.5

    def test_the_axial_view_is_on_the_slice(self, reloaded):
        views = {node.GetLayoutName(): node for node in nodesByClass(reloaded, "vtkMRMLSliceNode")}
        assert views["Red"].GetSliceOffset() == pytest.approx(6)

    def test_the_voxels_of_the_moving_volume_are_those_of_the_file(self, reloaded, files):
        voxels = sitk.GetArrayFromImage(sitk.ReadImage(str(files.moving)))
        np.testing.assert_array_equal(slicer.util.arrayFromVolume(reloaded.GetFirstNodeByName("moving")), voxels)

    def test_the_errors_of_the_landmarks_are_in_a_table(self, reloaded):
        table = reloaded.GetFirstNodeByName("Landmark errors")
        assert [table.GetCellText(row, 0) for row in range(2)] == ["nose", "chin"]


@pytest.fixture(scope="module")
def options(files, tmp_path_factory):
    """A run that optimises, estimates the uncertainty, pre-aligns, masks the moving image and explains itself."""
    folder = tmp_path_factory.mktemp("options")
    given = ["--preset", "standard", "--uncertainty", "--prealignment", "rigid", "--model", "any-contrast", "--explain"]
    outcome = register(files, folder, *given, "--moving-mask", files.mask)
    assert outcome.code == 0, outcome.err
    return SimpleNamespace(folder=folder, figures=reportOf(folder), out=outcome.out)


class TestOptions:
    """Each option shows in the report, and the picture where it should."""

    def test_the_options_are_kept_with_the_defaults_of_the_others(self, options):
        expected = RegistrationOptions(device="cpu", model="any-contrast", prealignment="rigid", uncertainty=True)
        assert options.figures["options"] == dataclasses.asdict(expected)

    def test_the_plan_is_in_the_report_and_printed_by_explain(self, options, everything):
        assert options.figures["plan"]
        assert options.out.splitlines()[: len(options.figures["plan"])] == options.figures["plan"]
        assert everything.out.count("\n") == 2

    def test_the_optimisation_took_time(self, options):
        assert options.figures["milliseconds"]["optimise"] > 0

    def test_a_wrong_preset_is_refused_with_the_choices(self, files, tmp_path, capsys):
        with pytest.raises(SystemExit):
            main(["register", str(files.fixed), str(files.moving), "--output", str(tmp_path), "--preset", "quick"])
        assert "standard" in capsys.readouterr().err

    def test_pre_alignment_says_what_it_did(self, options):
        assert any("pre-align" in note.lower() for note in options.figures["notes"])

    def test_the_expected_error_is_given_and_drawn(self, options, everything):
        assert options.figures["expected_error_mm"]["median"] > 0
        widths = [sitk.ReadImage(str(one.folder / "overlay.png")).GetWidth() for one in (options, everything)]
        assert widths[0] > widths[1]

    def test_without_uncertainty_no_error_is_expected(self, everything):
        assert reportOf(everything.folder)["expected_error_mm"] is None

    def test_the_quality_check_is_a_grade_with_items_and_sentences(self, options):
        check = options.figures["quality_check"]
        assert check["grade"] in ("good", "not validated", "check", "do not use")
        assert {"similarity", "folding", "inverse consistency"} <= {item["name"] for item in check["items"]}
        assert check["sentences"]


@pytest.mark.parametrize("plane", ["sagittal", "coronal"])
def test_other_planes_are_registered(files, tmp_path, plane):
    assert register(files, tmp_path, "--plane", plane).code == 0
    assert reportOf(tmp_path)["slice"] == f"{plane} slice 32"


def test_photographs_are_registered_with_a_note(tmp_path):
    colours = np.random.default_rng(0).integers(0, 255, (64, 48, 3)).astype(np.uint8)
    for name in ("a.png", "b.png"):
        sitk.WriteImage(sitk.GetImageFromArray(colours, isVector=True), str(tmp_path / name))
    outcome = run("register", tmp_path / "a.png", tmp_path / "b.png", "--output", tmp_path / "out", "--device", "cpu")
    assert outcome.code == 0, outcome.err
    assert "'a' is a colour image; its luminance was registered" in reportOf(tmp_path / "out")["notes"]


def test_the_demo_brings_the_landmarks_together(tmp_path):
    outcome = run("demo", "--output", tmp_path, "--device", "cpu")
    assert outcome.code == 0, outcome.err
    assert {path.name for path in tmp_path.iterdir()} == FILES
    summary = reportOf(tmp_path)["tre_mm"]
    assert summary["after"]["mean"] < summary["before"]["mean"] / 2


def test_models_lists_names_and_licences():
    outcome = run("models")
    assert outcome.code == 0
    assert outcome.out.startswith("any-contrast\n  what: ")
    assert "licence: " in outcome.out


def test_on_a_terminal_the_progress_is_one_line(files, tmp_path, monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    options = ["--output", str(tmp_path), "--device", "cpu"]
    assert main(["register", str(files.fixed), str(files.moving), *options]) == 0
    assert "\n" not in terminal.getvalue()
    assert "[##############################]" not in terminal.getvalue().split("\r")[-1]


def test_a_new_scene_is_known_to_slicer_util():
    assert session.newScene() is slicer.mrmlScene


def test_auto_takes_the_patient_as_mask(files, tmp_path):
    outcome = register(files, tmp_path, "--mask", "auto", "--moving-mask", "auto")
    assert outcome.code == 0, outcome.err
    scene = readScene(tmp_path / "scene.mrb")
    masks = [node.GetName() for node in nodesByClass(scene, "vtkMRMLLabelMapVolumeNode")]
    assert masks == ["fixed foreground", "moving foreground"]
