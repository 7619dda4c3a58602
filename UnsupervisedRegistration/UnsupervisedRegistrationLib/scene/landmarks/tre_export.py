"""A TRE table as a table node, a plot and a CSV file."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import slicer
import slicer.util
import vtk

from ..geometry.planes import SlicePlane
from ..geometry.registered_slices import RegisteredSlices
from ..scene_nodes import addHiddenNode
from .tre_table import TreTable, summarise

_OFF = "off the slice"
_USE = {True: "fitted", False: "measured"}  # A fitted landmark steered the registration.
_SERIES = {"Landmarks": ("Before (mm)", "After (mm)"), "No change": ("Equal before (mm)", "Equal after (mm)")}
_COLOURS = {"Landmarks": (0.1, 0.55, 0.75), "No change": (0.5, 0.5, 0.5)}
_TABLE_ROLE = "unsupervisedRegistrationPlot"


def fillTreTableNode(
    tableNode: slicer.vtkMRMLTableNode, tre: TreTable, plane: SlicePlane | RegisteredSlices | None = None
) -> None:
    """Write a TRE table to a table node: one row per landmark, then mean, SD, median and max.

    Args:
        tableNode: Is overwritten.
        tre: Table to write.
        plane: Registered slice or slices; if given, the distance of each landmark from them and a remark are added.
    """
    labels, numbers, texts = _content(tre, plane)
    with slicer.util.NodeModify(tableNode):
        tableNode.RemoveAllColumns()
        tableNode.AddColumn(_textColumn("Landmark", labels))
        for name, values in numbers.items():
            tableNode.AddColumn(_numberColumn(name, values))
        for name, words in texts.items():
            tableNode.AddColumn(_textColumn(name, words))
        tableNode.SetUseColumnTitleAsColumnHeader(True)
        tableNode.Modified()


def fillTrePlot(chartNode: slicer.vtkMRMLPlotChartNode, tre: TreTable) -> None:
    """Plot the TRE after against the TRE before; points below the diagonal improved.

    The plot series and their table are created once per chart and then updated in place.
    """
    before, after = (np.linalg.norm(vectors, axis=1) for vectors in (tre.before, tre.after))
    longest = max([0.0, *before, *after])
    diagonal = np.resize([0.0, longest], len(before))
    table = _plotTable(chartNode)
    with slicer.util.NodeModify(table):
        table.RemoveAllColumns()
        table.AddColumn(_textColumn("Landmark", tre.labels))
        values = dict(zip(_SERIES, ((before, after), (diagonal, diagonal)), strict=True))
        for series, names in _SERIES.items():
            for name, column in zip(names, values[series], strict=True):
                table.AddColumn(_numberColumn(name, column))
        table.Modified()
    chartNode.SetTitle("Target registration error")
    chartNode.SetXAxisTitle("TRE before (mm)")
    chartNode.SetYAxisTitle("TRE after (mm)")


def exportTreCsv(tre: TreTable, path: Path | str, plane: SlicePlane | RegisteredSlices | None = None) -> None:
    """Write the columns of ``fillTreTableNode`` to a CSV file.

    Raises:
        OSError: The file cannot be written.
    """
    labels, numbers, texts = _content(tre, plane)
    header = ["Landmark", *numbers, *texts]
    written = [["" if np.isnan(value) else f"{value:.4f}" for value in values] for values in numbers.values()]
    rows = zip(labels, *written, *texts.values(), strict=True)
    try:
        with Path(path).open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([header, *rows])
    except OSError as error:
        raise OSError(f"'{path}' cannot be written ({error.strerror}); choose another folder or name.") from error


def _content(
    tre: TreTable, plane: SlicePlane | RegisteredSlices | None
) -> tuple[list[str], dict[str, np.ndarray], dict[str, list[str]]]:
    """Labels, columns of numbers (NaN where there is no value) and columns of text; the last rows are the summary.

    The summary is over the independent landmarks, or over the fitted ones if all landmarks steered.
    """
    summarised = tre.independent if tre.independent.labels else tre
    names = list(summarise(tre.before))
    empty = [np.nan] * len(names)
    numbers: dict[str, np.ndarray] = {}
    for when, vectors, counted in (
        ("before", tre.before, summarised.before),
        ("after", tre.after, summarised.after),
    ):
        for column, (values, basis) in _components(vectors, counted).items():
            numbers[f"TRE {when}{column} (mm)"] = np.array([*values, *summarise(basis).values()])
    texts = {}
    if tre.isFitted.any():
        numbers["TRE left out (mm)"] = np.array([*tre.leftOut, *empty])
        summary = _USE[bool(summarised.isFitted.any())]
        texts["Use"] = [*(_USE[isFitted] for isFitted in tre.isFitted), *[summary] * len(names)]
    if plane is not None:
        numbers["Distance from the slice (mm)"] = np.array([*tre.distances(plane), *empty])
        texts["Remark"] = [*(_OFF if off else "" for off in tre.offPlane(plane)), *[""] * len(names)]
    return [*tre.labels, *names], numbers, texts


def _components(vectors: np.ndarray, summarised: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Length and R, A, S of two sets of vectors, by the end of the column's name."""
    lengths = {"": (np.linalg.norm(vectors, axis=1), np.linalg.norm(summarised, axis=1))}
    return lengths | {f" {axis}": (vectors[:, i], summarised[:, i]) for i, axis in enumerate("RAS")}


def _textColumn(name: str, values: list[str] | tuple[str, ...]) -> vtk.vtkStringArray:
    column = vtk.vtkStringArray()
    column.SetName(name)
    for value in values:
        column.InsertNextValue(value)
    return column


def _numberColumn(name: str, values: np.ndarray) -> vtk.vtkDoubleArray:
    column = vtk.vtkDoubleArray()
    column.SetName(name)
    for value in values:
        column.InsertNextValue(value)
    return column


def _plotTable(chartNode: slicer.vtkMRMLPlotChartNode) -> slicer.vtkMRMLTableNode:
    """The hidden table behind a chart; it is created with the plot series when first needed."""
    table = chartNode.GetNodeReference(_TABLE_ROLE)
    if table is not None and chartNode.GetNumberOfPlotSeriesNodes() == len(_SERIES):
        return table
    scene = chartNode.GetScene()
    table = table or addHiddenNode(scene, "vtkMRMLTableNode", f"{chartNode.GetName()} table")
    chartNode.SetNodeReferenceID(_TABLE_ROLE, table.GetID())
    chartNode.RemoveAllPlotSeriesNodeIDs()
    for name, (x, y) in _SERIES.items():
        series = addHiddenNode(scene, "vtkMRMLPlotSeriesNode", name)
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
