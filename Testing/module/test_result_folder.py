"""Where the result lives: one folder of the subject hierarchy, one subfolder a result, no helper nodes beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import slicer
import slicer.util
import vtk

import host


def hierarchy() -> Any:
    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)


def children(item: int) -> dict[str, int]:
    """Names and items below an item."""
    ids = vtk.vtkIdList()
    hierarchy().GetItemChildren(item, ids, False)
    return {hierarchy().GetItemName(ids.GetId(i)): ids.GetId(i) for i in range(ids.GetNumberOfIds())}


def top() -> dict[str, int]:
    return children(hierarchy().GetSceneItemID())


def names() -> list[str]:
    kinds = ("vtkMRMLStorableNode", "vtkMRMLPlotChartNode", "vtkMRMLPlotSeriesNode")
    return [node.GetName() for kind in kinds for node in slicer.util.getNodesByClass(kind)]


@pytest.fixture
def inputs(ui: Any) -> set[str]:
    """What is at the top before the registration."""
    return set(top())


def test_apply_adds_one_folder_to_the_top(inputs: set[str], applied: Any) -> None:
    applied.plotButton.click()
    applied.overlaySelector.setCurrentText("Change of area")
    applied.deformationSelector.setCurrentText("Grid")
    assert set(top()) - inputs == {"Registration results"}


def test_each_result_is_a_subfolder_with_transform_slice_and_table(applied: Any) -> None:
    applied.applyButton.click()
    inside = children(top()["Registration results"])
    for name in ("HeadMoving, axial slice 7", "HeadMoving, axial slice 7 (2)"):
        assert set(children(inside[name])) == {name, f"{name}, warped", f"{name}, TRE"}


def test_a_renamed_result_renames_its_subfolder(applied: Any) -> None:
    applied.resultTable.item(0, 0).setText("first try")
    assert "first try" in children(top()["Registration results"])


def test_a_deleted_result_takes_its_subfolder_along(applied: Any) -> None:
    applied.resultTable.selectRow(0)
    applied.deleteResultButton.click()
    assert "HeadMoving, axial slice 7" not in children(top()["Registration results"])
    assert not any("TRE" in name and "HeadMoving" in name for name in names())


def test_a_second_apply_with_new_outputs_repeats_no_name(applied: Any) -> None:
    for selector in (applied.transformSelector, applied.warpedSelector, applied.treTableSelector):
        selector.setCurrentNode(None)
    applied.applyButton.click()
    assert len(set(names())) == len(names())


def test_selectors_leave_kept_results_out(applied: Any) -> None:
    kept = slicer.util.getNode("HeadMoving, axial slice 7"), slicer.util.getNode("HeadMoving, axial slice 7, warped")
    for selector in (applied.transformSelector, applied.initialSelector):
        selector.setCurrentNode(kept[0])
        assert selector.currentNode() is not kept[0]
    for selector in (applied.fixedSelector, applied.movingSelector, applied.warpedSelector):
        selector.setCurrentNode(kept[1])
        assert selector.currentNode() is not kept[1]
    assert not any(node.GetHideFromEditors() for node in kept)


def test_selectors_leave_kept_results_out_after_the_scene_was_opened(applied: Any, tmp_path: Path) -> None:
    host.saveScene(slicer.mrmlScene, tmp_path / "scene.mrb")
    host.openScene(slicer.mrmlScene, tmp_path / "scene.mrb")
    kept = slicer.util.getNode("HeadMoving, axial slice 7")
    applied.initialSelector.setCurrentNode(kept)
    assert applied.initialSelector.currentNode() is None


def test_the_grid_leaves_no_colours_behind(applied: Any, tmp_path: Path) -> None:
    view = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeRed")
    host.openSlice(view)
    colours = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLProceduralColorNode")
    for _ in range(2):
        applied.overlaySelector.setCurrentText("Blend")
        applied.deformationSelector.setCurrentText("Grid")
        host.grabSlice(view, tmp_path / "grid.png")  # The view makes the colours when it first draws them.
        applied.deformationSelector.setCurrentText("Hidden")
        applied.overlaySelector.setCurrentText("Off")
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLProceduralColorNode") == colours
