"""``find`` names the slice, draws the curve and writes the plane as a transform that ``register`` takes."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import SimpleITK as sitk

from UnsupervisedRegistrationLib.headless.__main__ import main

FAST = ["--model", "any-contrast", "--device", "cpu", "--prealignment", "none"]


def run(*arguments):
    return main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def found(files, tmp_path_factory):
    """Slice 3 of the fixed volume, which says that it lies at slice 1."""
    folder = tmp_path_factory.mktemp("find")
    volume = sitk.ReadImage(str(files.fixed))
    given = volume[:, :, 3:4]
    given.SetOrigin(volume.TransformIndexToPhysicalPoint((0, 0, 1)))
    sitk.WriteImage(given, str(folder / "given.nrrd"))
    assert run("find", folder / "given.nrrd", files.fixed, "--output", folder / "out", *FAST) == 0
    return folder


def test_the_report_names_the_slice(found):
    report = json.loads((found / "out" / "report.json").read_text())
    assert report["best"]["slice"] == 3
    assert (report["compared"], report["of"]) == (5, 5)
    names = {"similarity.png", "similarity.csv", "plane.h5", "slice.nrrd", "report.json", "options.json"}
    assert {path.name for path in (found / "out").iterdir()} == names


def test_the_table_has_every_slice(found):
    rows = list(csv.DictReader((found / "out" / "similarity.csv").read_text().splitlines()))
    assert [row["slice"] for row in rows] == list("01234")
    assert max(rows, key=lambda row: float(row["similarity"]))["slice"] == "3"


def test_the_plane_maps_the_given_slice_to_its_place(found, files):
    transform, volume = sitk.ReadTransform(str(found / "out" / "plane.h5")), sitk.ReadImage(str(files.fixed))
    given = sitk.ReadImage(str(found / "given.nrrd"))
    here, there = given.TransformIndexToPhysicalPoint((9, 7, 0)), volume.TransformIndexToPhysicalPoint((9, 7, 3))
    np.testing.assert_allclose(transform.TransformPoint(here), there, atol=1e-4)


def test_the_slice_that_was_found_lies_on_the_given_one(found):
    given, best = (sitk.ReadImage(str(path)) for path in (found / "given.nrrd", found / "out" / "slice.nrrd"))
    np.testing.assert_allclose(best.GetOrigin(), given.GetOrigin(), atol=1e-4)
    np.testing.assert_allclose(sitk.GetArrayFromImage(best), sitk.GetArrayFromImage(given), atol=0.01)


def test_register_begins_with_the_plane(found, files, tmp_path):
    start = ("--initial-transform", found / "out" / "plane.h5", "--write", "transform", "--preset", "fast")
    assert run("register", found / "given.nrrd", files.fixed, "--output", tmp_path / "out", *start, *FAST) in (0, 3)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["similarity"]["before"] > 0.98  # Where the file says that it lies, it is 0.17.
