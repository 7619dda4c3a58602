"""The TRE as a table node, a plot and a file."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from UnsupervisedRegistrationLib.scene.geometry.planes import SlicePlane
from UnsupervisedRegistrationLib.scene.landmarks.tre_export import exportTreCsv, fillTrePlot, fillTreTableNode
from UnsupervisedRegistrationLib.scene.landmarks.tre_table import TreTable

PLANE = SlicePlane((10, 10), np.eye(4), "axial slice 0")


NONE = TreTable((), *(np.zeros((0, 3)) for _ in range(3)))


@pytest.fixture
def tre():
    """Distances 5, 0 and 1 mm before, 1, 0 and 0 after."""
    before = np.array([[3.0, 4, 0], [0, 0, 0], [0, 0, -1]])
    after = np.array([[0.0, -1, 0], [0, 0, 0], [0, 0, 0]])
    return TreTable(("a", "b", "c"), np.array([[0.0, 0, 0], [1, 2, 0.25], [0, 0, -3]]), before, after)


def test_the_table_has_one_row_per_landmark_and_summary(scene, tre):
    table = scene.AddNewNodeByClass("vtkMRMLTableNode")
    fillTreTableNode(table, tre)
    rows = [table.GetCellText(row, 0) for row in range(table.GetNumberOfRows())]
    assert rows == ["a", "b", "c", "mean", "SD", "median", "max"]


def test_the_table_has_distance_and_components_before_and_after(scene, tre):
    table = scene.AddNewNodeByClass("vtkMRMLTableNode")
    fillTreTableNode(table, tre)
    names = [table.GetColumnName(column) for column in range(1, table.GetNumberOfColumns())]
    assert names == [f"TRE {when}{part} (mm)" for when in ("before", "after") for part in ("", " R", " A", " S")]


def test_the_table_holds_the_tre(scene, tre):
    table = scene.AddNewNodeByClass("vtkMRMLTableNode")
    fillTreTableNode(table, tre)
    column = [table.GetTable().GetColumnByName("TRE before (mm)").GetValue(row) for row in range(7)]
    assert column == pytest.approx([5, 0, 1, 2, np.sqrt(14 / 3), 1, 5])
    assert table.GetTable().GetColumnByName("TRE before A (mm)").GetValue(0) == 4
    assert table.GetTable().GetColumnByName("TRE before S (mm)").GetValue(2) == -1


def test_a_table_filled_again_has_no_old_rows(scene, tre):
    table = scene.AddNewNodeByClass("vtkMRMLTableNode")
    fillTreTableNode(table, tre)
    fillTreTableNode(table, TreTable(("z",), tre.fixed[:1], tre.before[:1], tre.after[:1]))
    assert table.GetNumberOfRows() == 5
    assert table.GetNumberOfColumns() == 9


def test_the_table_says_which_landmarks_lie_off_the_slice(scene, tre):
    table = scene.AddNewNodeByClass("vtkMRMLTableNode")
    fillTreTableNode(table, tre, PLANE)
    far, remarks = (table.GetTable().GetColumnByName(name) for name in ("Distance from the slice (mm)", "Remark"))
    assert [far.GetValue(row) for row in range(3)] == [0, 0.25, 3]
    assert np.isnan(far.GetValue(3))
    assert [remarks.GetValue(row) for row in range(7)] == ["", "", "off the slice", "", "", "", ""]


def test_a_table_without_landmarks_has_no_figures(scene):
    table = scene.AddNewNodeByClass("vtkMRMLTableNode")
    fillTreTableNode(table, NONE, PLANE)
    assert table.GetNumberOfRows() == 4
    assert np.isnan(table.GetTable().GetColumnByName("TRE after (mm)").GetValue(0))


def test_the_file_has_the_content_of_the_table(scene, tre, tmp_path):
    exportTreCsv(tre, tmp_path / "errors.csv", PLANE)
    table = scene.AddNewNodeByClass("vtkMRMLTableNode")
    fillTreTableNode(table, tre, PLANE)
    header, *rows = csv.reader((tmp_path / "errors.csv").open(newline="", encoding="utf-8"))
    assert header == [table.GetColumnName(column) for column in range(table.GetNumberOfColumns())]
    assert len(rows) == table.GetNumberOfRows()
    for number, row in enumerate(rows):
        for column, text in enumerate(row):
            shown = table.GetTable().GetValue(number, column).ToString()
            assert text == shown or (not text and shown == "nan") or abs(float(text) - float(shown)) < 1e-4


def test_a_file_without_a_slice_has_no_remark(tre, tmp_path):
    exportTreCsv(tre, str(tmp_path / "errors.csv"))
    assert (tmp_path / "errors.csv").read_text().splitlines()[0].endswith("TRE after S (mm)")


def test_a_file_that_cannot_be_written_is_reported(tre, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"errors.csv' cannot be written \(Not a directory\); choose another folder"):
        exportTreCsv(tre, tmp_path / "file" / "errors.csv")


def test_the_plot_has_after_against_before_and_a_line(scene, tre):
    chart = scene.AddNewNodeByClass("vtkMRMLPlotChartNode", "Chart")
    fillTrePlot(chart, tre)
    points, line = (chart.GetNthPlotSeriesNode(index) for index in range(2))
    assert values(points) == ([5, 0, 1], [1, 0, 0])
    assert values(line) == ([0, 5, 0], [0, 5, 0])
    assert points.GetLabelColumnName() == "Landmark"
    assert chart.GetXAxisTitle() == "TRE before (mm)"


def values(series):
    table = series.GetTableNode().GetTable()
    names = series.GetXColumnName(), series.GetYColumnName()
    columns = [table.GetColumnByName(name) for name in names]
    return tuple([column.GetValue(row) for row in range(table.GetNumberOfRows())] for column in columns)


def test_a_plot_filled_again_adds_no_node(scene, tre):
    chart = scene.AddNewNodeByClass("vtkMRMLPlotChartNode", "Chart")
    fillTrePlot(chart, tre)
    count = scene.GetNumberOfNodes()
    for again in (tre, NONE):
        fillTrePlot(chart, again)
    assert scene.GetNumberOfNodes() == count
    assert values(chart.GetNthPlotSeriesNode(0)) == ([], [])


def test_a_plot_whose_parts_were_deleted_is_created_again(scene, tre):
    chart = scene.AddNewNodeByClass("vtkMRMLPlotChartNode", "Chart")
    fillTrePlot(chart, tre)
    scene.RemoveNode(chart.GetNthPlotSeriesNode(0).GetTableNode())
    scene.RemoveNode(chart.GetNthPlotSeriesNode(1))
    fillTrePlot(chart, tre)
    assert chart.GetNumberOfPlotSeriesNodes() == 2
    assert values(chart.GetNthPlotSeriesNode(0)) == ([5, 0, 1], [1, 0, 0])
