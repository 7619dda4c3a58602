"""A TRE table as a table node, a plot and a CSV file."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import slicer
import slicer.util
import vtk

from ..geometry.planes import SlicePlane
from .tre_table import TreTable, summarise

_OFF = "off the slice"
_SERIES = {"Landmarks": ("Before (mm)", "After (mm)"), "No change": ("Equal before (mm)", "Equal after (mm)")}
_COLOURS = {"Landmarks": (0.1, 0.55, 0.75), "No change": (0.5, 0.5, 0.5)}
_TABLE_ROLE = "unsupervisedRegistrationPlot"


def fillTreTableNode(tableNode: slicer.vtkMRMLTableNode, errors: TreTable, plane: SlicePlane | None = None) -> None:
    """Writes one row a landmark and one a summary into a table node, mm.

    Args:
        tableNode: Is overwritten.
        errors: What to write.
        plane: Adds how far each landmark lies from it, and a remark beside those off the slice.
    """
    labels, columns, remarks = _content(errors, plane)
    with slicer.util.NodeModify(tableNode):
        tableNode.RemoveAllColumns()
        tableNode.AddColumn(_texts("Landmark", labels))
        for name, values in columns.items():
            tableNode.AddColumn(_numbers(name, values))
        if remarks:
            tableNode.AddColumn(_texts("Remark", remarks))
        tableNode.SetUseColumnTitleAsColumnHeader(True)
        tableNode.Modified()


def fillTrePlot(chartNode: slicer.vtkMRMLPlotChartNode, errors: TreTable) -> None:
    """Plots the distance after against that before; what lies below the line came closer.

    The points and their table are made once for a chart and then filled in place.
    """
    before, after = (np.linalg.norm(vectors, axis=1) for vectors in (errors.before, errors.after))
    longest = max([0.0, *before, *after])
    diagonal = np.resize([0.0, longest], len(before))
    table = _plotTable(chartNode)
    with slicer.util.NodeModify(table):
        table.RemoveAllColumns()
        table.AddColumn(_texts("Landmark", errors.labels))
        values = dict(zip(_SERIES, ((before, after), (diagonal, diagonal)), strict=True))
        for series, names in _SERIES.items():
            for name, column in zip(names, values[series], strict=True):
                table.AddColumn(_numbers(name, column))
        table.Modified()
    chartNode.SetTitle("Distance of the landmarks")
    chartNode.SetXAxisTitle("before (mm)")
    chartNode.SetYAxisTitle("after (mm)")


def exportTreCsv(errors: TreTable, path: Path | str, plane: SlicePlane | None = None) -> None:
    """Writes what ``fillTreTableNode`` shows into a file.

    Raises:
        OSError: It cannot be written.
    """
    labels, columns, remarks = _content(errors, plane)
    header = ["Landmark", *columns, *(["Remark"] if remarks else [])]
    numbers = [["" if np.isnan(value) else f"{value:.4f}" for value in values] for values in columns.values()]
    rows = zip(labels, *numbers, *([remarks] if remarks else []), strict=True)
    try:
        with Path(path).open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([header, *rows])
    except OSError as error:
        raise OSError(f"'{path}' cannot be written ({error.strerror}); choose another folder or name.") from error


def _content(errors: TreTable, plane: SlicePlane | None) -> tuple[list[str], dict[str, np.ndarray], list[str]]:
    """Labels, columns of numbers and remarks, the summary at the end; NaN where a number would say nothing."""
    names = list(summarise(errors.before))
    labels = [*errors.labels, *names]
    columns = {}
    for when, vectors in (("before", errors.before), ("after", errors.after)):
        named = {"": np.linalg.norm(vectors, axis=1)} | {f" {axis}": vectors[:, i] for i, axis in enumerate("RAS")}
        for name, values in named.items():
            columns[f"TRE {when}{name} (mm)"] = np.array([*values, *summarise(values).values()])
    if plane is None:
        return labels, columns, []
    columns["From the slice (mm)"] = np.array([*errors.distances(plane), *[np.nan] * len(names)])
    return labels, columns, [*(_OFF if off else "" for off in errors.offPlane(plane)), *[""] * len(names)]


def _texts(name: str, values: list[str] | tuple[str, ...]) -> vtk.vtkStringArray:
    column = vtk.vtkStringArray()
    column.SetName(name)
    for value in values:
        column.InsertNextValue(value)
    return column


def _numbers(name: str, values: np.ndarray) -> vtk.vtkDoubleArray:
    column = vtk.vtkDoubleArray()
    column.SetName(name)
    for value in values:
        column.InsertNextValue(value)
    return column


def _plotTable(chartNode: slicer.vtkMRMLPlotChartNode) -> slicer.vtkMRMLTableNode:
    """The hidden table that a chart is drawn from; made with the series when it is first needed."""
    table = chartNode.GetNodeReference(_TABLE_ROLE)
    if table is not None and chartNode.GetNumberOfPlotSeriesNodes() == len(_SERIES):
        return table
    scene = chartNode.GetScene()
    table = table or scene.AddNewNodeByClass("vtkMRMLTableNode", f"{chartNode.GetName()} table")
    table.SetHideFromEditors(True)
    chartNode.SetNodeReferenceID(_TABLE_ROLE, table.GetID())
    chartNode.RemoveAllPlotSeriesNodeIDs()
    for name, (x, y) in _SERIES.items():
        series = scene.AddNewNodeByClass("vtkMRMLPlotSeriesNode", name)
        series.SetAndObserveTableNodeID(table.GetID())
        series.SetXColumnName(x)
        series.SetYColumnName(y)
        series.SetPlotType(slicer.vtkMRMLPlotSeriesNode.PlotTypeScatter)
        series.SetColor(*_COLOURS[name])
        if name == "Landmarks":
            series.SetLabelColumnName("Landmark")
            series.SetLineStyle(slicer.vtkMRMLPlotSeriesNode.LineStyleNone)
        else:
            series.SetMarkerStyle(slicer.vtkMRMLPlotSeriesNode.MarkerStyleNone)
        chartNode.AddAndObservePlotSeriesNodeID(series.GetID())
    return table
