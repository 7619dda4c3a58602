"""A DICOM folder is read as it lies in the patient, or refused with a sentence that says what is wrong."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from dicom_writer import AXIAL, EVEN, dicomSlice, intensity, writeFrames, writeSeries
from UnsupervisedRegistrationLib.headless import file_checks
from UnsupervisedRegistrationLib.headless.__main__ import main
from UnsupervisedRegistrationLib.headless.dicom_series import readDicom
from UnsupervisedRegistrationLib.headless.reading import readingInputs

ROUNDED = 0.51  # The pixels are whole numbers.
TILTED = tuple((0.0, 1.1 * k, 2.0 * k) for k in range(6))
OBLIQUE = tuple(Rotation.from_euler("xyz", [20, -15, 35], degrees=True).as_matrix()[:, :2].T.ravel())


def read(path: Path, *series: str) -> tuple[sitk.Image, list[str]]:
    """The image, and what was noted."""
    with readingInputs({"fixed": path}, series) as reading:
        image = readDicom(path)
    return image, reading.notes.get("fixed", [])


def refused(path: Path, sentence: str, *series: str) -> None:
    with pytest.raises(ValueError, match=sentence) as caught:
        read(path, *series)
    assert str(path) in str(caught.value)


def voxelPoints(image: sitk.Image) -> np.ndarray:
    """``(K, J, I, 3)`` LPS mm."""
    indices = np.moveaxis(np.indices(image.GetSize()[::-1])[::-1], 0, -1)
    axes = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    return np.asarray(indices @ axes.T + image.GetOrigin())


def checkIntensities(image: sitk.Image, inside: Any = slice(None)) -> None:
    """The known volume lies where the image says."""
    found, expected = sitk.GetArrayFromImage(image), intensity(voxelPoints(image))
    np.testing.assert_allclose(found[inside], expected[inside], atol=ROUNDED)


@pytest.mark.parametrize("axes", [AXIAL, OBLIQUE], ids=["axial", "oblique"])
def test_a_whole_series_lies_in_the_patient_as_written(tmp_path, axes):
    normal = np.cross(axes[:3], axes[3:])
    image, notes = read(writeSeries(tmp_path, [2.0 * k * normal + (5, 6, 7) for k in range(6)], axes=axes))
    assert notes == []
    assert image.GetSize() == (40, 32, 6)
    checkIntensities(image)


def test_a_missing_slice_is_refused(tmp_path):
    refused(writeSeries(tmp_path, EVEN[:2] + EVEN[3:]), "slices are missing, 1 of 6, the most between 2 and 6 mm")


def test_a_copy_of_a_slice_is_left_out_and_noted(tmp_path):
    shutil.copy(writeSeries(tmp_path) / "2.dcm", tmp_path / "copy.dcm")
    image, notes = read(tmp_path)
    assert image.GetSize()[2] == 6
    assert notes == ["1 files are copies of others and were left out"]


def test_two_different_slices_of_one_place_are_refused(tmp_path):
    refused(writeSeries(tmp_path, (*EVEN, EVEN[2])), "2 images of one place.*differ in InstanceNumber 3 and 7")


def test_two_files_of_one_instance_that_differ_are_refused(tmp_path):
    folder = writeSeries(tmp_path)
    data = pydicom.dcmread(folder / "2.dcm")
    data.PixelData = bytes(len(data.PixelData))
    data.save_as(folder / "copy.dcm")
    refused(folder, "differ, but have one SOPInstanceUID")


def test_two_time_points_are_refused(tmp_path):
    def later(data):
        data.TemporalPositionIdentifier = 1 + (data.InstanceNumber > 6)

    refused(
        writeSeries(tmp_path, EVEN + EVEN, later), "2 images of each of 6 places.*TemporalPositionIdentifier 1 and 2"
    )


@pytest.mark.parametrize("share", [0.97, 0.5, 0.1, 0.02])
@pytest.mark.parametrize("isFolder", [True, False])
def test_a_truncated_file_is_refused(tmp_path, share, isFolder):
    path = writeSeries(tmp_path) / "2.dcm"
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=r"2\.dcm' is truncated"):
        readDicom(tmp_path if isFolder else path)


def test_an_empty_file_is_refused(tmp_path):
    (writeSeries(tmp_path) / "6.dcm").touch()
    refused(tmp_path, r"6\.dcm' is empty")


def test_files_that_are_not_dicom_do_not_matter(tmp_path):
    (writeSeries(tmp_path) / "notes.txt").write_text("text")
    (tmp_path / ".DS_Store").touch()
    assert read(tmp_path)[0].GetSize()[2] == 6


def test_distances_that_vary_much_are_refused(tmp_path):
    places = [(0, 0, z) for z in (0.0, 2.0, 4.0, 5.0, 8.0)]
    refused(writeSeries(tmp_path, places), "distances of the slices vary from 1 to 3 mm; needed is one distance")


def test_distances_that_vary_little_are_noted(tmp_path):
    image, notes = read(writeSeries(tmp_path, [(0, 0, z) for z in (0.0, 2.0, 4.05, 6.0)]))
    assert image.GetSpacing()[2] == pytest.approx(2.0)
    assert notes == [
        "the distances of the slices vary from 1.95 to 2.05 mm; they are read as 2 mm, so a slice lies up to 0.05 mm"
        " off its place"
    ]


def test_a_tilted_gantry_is_undone_and_noted(tmp_path):
    image, notes = read(writeSeries(tmp_path, TILTED))
    assert notes == [
        "the gantry was tilted by 28.8 degrees; the slices were shifted in their plane by up to 5.5 mm, so that the"
        " volume is upright"
    ]
    assert image.GetSize() == (40, 32 + 11, 6)
    for k in range(6):
        first = int(np.ceil(1.1 * k / 0.5))
        checkIntensities(image, (k, slice(first, first + 31)))


def test_no_pixel_of_a_tilted_series_is_lost(tmp_path):
    image, _ = read(writeSeries(tmp_path, [(0.0, -1.0 * k, 2.0 * k) for k in range(6)]))  # Whole pixels.
    found = sitk.GetArrayFromImage(image)
    for k in range(6):
        np.testing.assert_array_equal(found[k, 10 - 2 * k : 42 - 2 * k], pixelsOf(tmp_path, k))


def pixelsOf(folder: Path, k: int) -> np.ndarray:
    return np.asarray(sitk.GetArrayFromImage(sitk.ReadImage(str(folder / f"{5 - k}.dcm")))[0])


def test_slices_that_jump_sideways_are_refused(tmp_path):
    places = [(x, 0.0, z) for x, _, z in EVEN]
    places[2] = (4.0, 0.0, 4.0)
    refused(writeSeries(tmp_path, places), "jump sideways by up to 4 mm")


@pytest.mark.parametrize("positions", [EVEN, EVEN[:1]])
def test_parallel_axes_are_refused(tmp_path, positions):
    refused(writeSeries(tmp_path, positions, axes=(1, 0, 0, 1, 0, 0)), "axes that are not perpendicular")


def test_slices_that_are_not_parallel_are_refused(tmp_path):
    def turn(data):
        if data.InstanceNumber == 3:
            data.ImageOrientationPatient = [0, 1, 0, 0, 0, 1]

    refused(writeSeries(tmp_path, EVEN, turn), "are not parallel; give a folder with the slices of one orientation")


def test_slices_of_several_grids_are_refused(tmp_path):
    def enlarge(data):
        if data.InstanceNumber == 3:
            data.PixelSpacing = [1, 1]

    refused(writeSeries(tmp_path, EVEN, enlarge), "differ in the number or size of their pixels")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("ImagePositionPatient", "no position or orientation"), ("PixelSpacing", "no PixelSpacing above 0")],
)
def test_slices_without_a_place_are_refused(tmp_path, name, sentence):
    refused(writeSeries(tmp_path, EVEN, lambda data: delattr(data, name)), sentence)


class TestSeries:
    @pytest.fixture
    def two(self, tmp_path: Path) -> Path:
        def second(data):
            data.SeriesInstanceUID, data.SeriesNumber, data.SeriesDescription = "1.9", 7, "Scout"
            data.SOPInstanceUID = f"1.8.{data.InstanceNumber}"

        writeSeries(tmp_path)
        return writeSeries(tmp_path, EVEN[:2], second, name="scout")

    def test_two_series_are_listed(self, two):
        refused(two, r"holds 2 series: 3 thin \(6 files, 1\.3\); 7 Scout \(2 files, 1\.9\)\. Choose one by --series")

    @pytest.mark.parametrize("name", ["7", "scout", "1.9"])
    def test_one_is_chosen_by_number_description_or_uid(self, two, name):
        assert read(two, name)[0].GetSize()[2] == 2

    def test_the_choice_must_be_one(self, two):
        refused(two, "Choose one", "3", "7")

    def test_the_only_series_is_taken_with_a_note(self, tmp_path):
        image, notes = read(writeSeries(tmp_path), "8")
        assert image.GetSize()[2] == 6
        assert notes == ["its only series is not the one of --series; it was taken"]


class TestFrames:
    @pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (0, 2, 3, 1)])
    def test_frames_lie_where_they_say(self, tmp_path, order):
        image, notes = read(writeFrames(tmp_path / "a.dcm", [EVEN[k] for k in order]))
        assert notes == []
        assert image.GetSize() == (40, 32, 4)
        checkIntensities(image)

    def test_a_missing_frame_is_refused(self, tmp_path):
        refused(writeFrames(tmp_path / "a.dcm", EVEN[:2] + EVEN[3:]), "slices are missing, 1 of 6")

    def test_two_time_points_in_one_file_are_refused(self, tmp_path):
        path = writeFrames(tmp_path / "a.dcm", EVEN + EVEN, [1] * 6 + [2] * 6)
        refused(path, "2 images of each of 6 places.*TemporalPositionIdentifier 1 and 2")

    def test_a_film_is_refused(self, tmp_path):
        data = dicomSlice(EVEN[0], 1)
        data.NumberOfFrames, data.PixelData = 3, 3 * data.PixelData
        pydicom.dcmwrite(tmp_path / "a.dcm", data, enforce_file_format=True)
        refused(tmp_path / "a.dcm", "3 frames without positions, as a film has")


def test_inverted_grey_values_are_noted(tmp_path):
    def invert(data):
        data.PhotometricInterpretation = "MONOCHROME1"

    image, notes = read(writeSeries(tmp_path, EVEN, invert))
    assert notes == ["its grey values (MONOCHROME1) were inverted, so that high values are bright"]
    assert sitk.GetArrayFromImage(image)[0, 0, 0] > sitk.GetArrayFromImage(image)[0, 0, 39]


def test_a_series_that_is_too_large_is_refused_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(file_checks, "_LARGEST", 10_000)
    refused(writeSeries(tmp_path), "has 40 x 32 x 6 voxels, more than 2 GiB")


NOTE = "the gantry was tilted by 28.8 degrees"
FAST = ("--model", "any-contrast", "--device", "cpu", "--prealignment", "none")


class TestNotes:
    """A note stands in the report and in the last line of every command that reads volumes."""

    @pytest.fixture
    def tilted(self, tmp_path: Path) -> Path:
        return writeSeries(tmp_path / "ct", TILTED)

    def run(self, capsys: Any, *arguments: object) -> str:
        assert main([str(argument) for argument in arguments]) in (0, 3)
        return capsys.readouterr().out.splitlines()[-1]

    def check(self, line: str, folder: Path, *names: str) -> None:
        notes = json.loads((folder / "report.json").read_text())["input_notes"]
        assert set(notes) == set(names)
        for name in names:
            assert NOTE in notes[name][0]
            assert f"Note on {name}: {NOTE}" in line

    def test_register_then_apply_and_report(self, tilted, tmp_path, capsys):
        options = ("--preset", "fast", "--write", "transform")
        line = self.run(capsys, "register", tilted, tilted, "--output", tmp_path / "a", *options, *FAST)
        self.check(line, tmp_path / "a", "fixed", "moving")
        transform = tmp_path / "a" / "transform.h5"
        line = self.run(capsys, "apply", transform, tilted, "--reference", tilted, "--output", tmp_path / "b")
        self.check(line, tmp_path / "b", "reference", "input 1")
        line = self.run(
            capsys, "report", tilted, tilted, "--transform", transform, "--output", tmp_path / "c", "--plane", "axial"
        )
        self.check(line, tmp_path / "c", "fixed", "moving")

    def test_find(self, tilted, tmp_path, capsys):
        line = self.run(capsys, "find", tilted / "2.dcm", tilted, "--output", tmp_path / "a", *FAST)
        self.check(line, tmp_path / "a", "volume")

    def test_cohort(self, tilted, tmp_path, capsys):
        (tmp_path / "pairs.csv").write_text(f"fixed,moving\n{tilted},{tilted}\n")
        line = self.run(capsys, "cohort", tmp_path / "pairs.csv", tmp_path / "out", "--preset", "fast", *FAST)
        assert line == "Exit code 0: done. 1 pairs have notes on their files, in the column input_notes."
        with (tmp_path / "out" / "results.csv").open(newline="") as stream:
            (row,) = csv.DictReader(stream)
        assert f"Note on fixed: {NOTE}" in row["input_notes"]
        report = json.loads((tmp_path / "out" / row["pair"] / "report.json").read_text())
        assert NOTE in report["input_notes"]["fixed"][0]
