"""Point lists keep label and position through every format and coordinate system."""

from __future__ import annotations

import json

import numpy as np
import pytest

from UnsupervisedRegistrationLib.headless.point_files import readPoints, writePoints
from UnsupervisedRegistrationLib.headless.readers import readLandmarks

POINTS = [("nose", (1.0, 2.5, -3.0)), ("left, ear", (-4.0, 5.0, 6.0))]


def markups(system: object, units: object = "mm", position: tuple[float, ...] = (1, 2, 3)) -> str:
    point = {"label": "nose", "position": list(position)}
    return json.dumps({"markups": [{"coordinateSystem": system, "coordinateUnits": units, "controlPoints": [point]}]})


@pytest.mark.parametrize("name", ["p.mrk.json", "p.fcsv", "p.csv"])
def test_points_are_read_as_they_were_written(tmp_path, name):
    writePoints(POINTS, tmp_path / name)
    assert readPoints(tmp_path / name) == POINTS


@pytest.mark.parametrize("name", ["p.mrk.json", "p.fcsv"])
def test_slicer_reads_the_points_that_were_written(tmp_path, name):
    import slicer
    import slicer.util

    writePoints(POINTS, tmp_path / name)
    scene = slicer.vtkMRMLScene()
    node = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode")
    isJson = name.endswith("json")
    storage = slicer.vtkMRMLMarkupsJsonStorageNode() if isJson else slicer.vtkMRMLMarkupsFiducialStorageNode()
    storage.SetFileName(str(tmp_path / name))
    assert storage.ReadData(node)
    np.testing.assert_allclose(slicer.util.arrayFromMarkupsControlPoints(node), [point for _, point in POINTS])


@pytest.mark.parametrize(("system", "sign"), [("LPS", -1), ("lps", -1), ("Ras", 1), ("0", 1), (1, -1)])
def test_the_system_of_json_counts_in_any_case_of_letters(tmp_path, system, sign):
    (tmp_path / "p.mrk.json").write_text(markups(system))
    assert readPoints(tmp_path / "p.mrk.json") == [("nose", (sign * 1.0, sign * 2.0, 3.0))]


@pytest.mark.parametrize(("system", "sign"), [("lps", -1), ("RAS", 1), ("0", 1), ("1", -1)])
def test_the_system_of_fcsv_counts_in_any_case_of_letters(tmp_path, system, sign):
    (tmp_path / "p.fcsv").write_text(f"# CoordinateSystem = {system}\n1,1,2,3,0,0,0,1,1,1,0,nose,,\n")
    assert readPoints(tmp_path / "p.fcsv") == [("nose", (sign * 1.0, sign * 2.0, 3.0))]


def test_csv_takes_the_system_from_its_columns(tmp_path):
    (tmp_path / "p.csv").write_text("Label,L,P,S\nnose,1,2,3\n")
    assert readPoints(tmp_path / "p.csv") == [("nose", (-1.0, -2.0, 3.0))]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("p.mrk.json", markups("XYZ"), "coordinate system 'XYZ' is unknown; needed is RAS or LPS"),
        ("p.mrk.json", markups("LPS", ["m", "m", "m"]), "needed is mm"),
        ("p.mrk.json", markups("LPS", position=(float("nan"), 0, 0)), "The point 'nose' of .* lies at"),
        ("p.mrk.json", markups("LPS", position=(float("inf"), 0, 0)), "The point 'nose' of .* lies at"),
        ("p.mrk.json", markups("LPS", position=(100_000, 0, 0)), "correct it, or the unit of the file"),
        ("p.mrk.json", markups("LPS", position=(1, 2)), "p.mrk.json'"),
        ("p.mrk.json", "nose", "holds no landmarks"),
        ("p.csv", "label,x,y,z\nnose,1,2,3\n", "the columns are label, x, y, z; needed are label, r, a, s"),
        ("p.csv", "label,r,a,s\nnose,1,two,3\n", "needed are three numbers in mm"),
        ("p.fcsv", "1,2\n", "holds no landmarks"),
    ],
)
def test_what_is_no_point_list_is_refused(tmp_path, name, content, sentence):
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=sentence):
        readPoints(tmp_path / name)


@pytest.mark.parametrize("labels", [("a", "a"), ("", "a"), (" ", "a")])
def test_landmarks_need_labels_of_their_own(tmp_path, labels):
    import slicer

    writePoints([(label, (0.0, 0.0, 0.0)) for label in labels], tmp_path / "p.csv")
    with pytest.raises(ValueError, match="has a label that is empty or occurs twice"):
        readLandmarks(slicer.vtkMRMLScene(), tmp_path / "p.csv")
