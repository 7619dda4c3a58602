"""Displacement and change of volume of segments, under transforms whose values are known beforehand."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
import slicer.util
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from UnsupervisedRegistrationLib.scene.geometry.result_transform import setResultTransform
from UnsupervisedRegistrationLib.scene.propagation.segment_displacement import (
    addDisplacementTable,
    exportDisplacementCsv,
    segmentDisplacements,
)

SPACING = np.array([1.0, 1.0, 3.0])


@pytest.fixture
def contours(scene: Any) -> Any:
    """A segment of 4 x 6 x 8 voxels, 576 mm³, whose voxel centres lie around (18.5, 12.5, 16.5)."""
    voxels = np.zeros((12, 32, 40), np.uint8)
    voxels[4:8, 10:16, 15:23] = 1
    return addSegmentation(scene, voxels)


def addSegmentation(scene: Any, voxels: np.ndarray) -> Any:
    """The voxels are cut by 2 on each side, as Slicer's editor cuts them."""
    part, size = voxels[2:-2, 2:-2, 2:-2], voxels.shape[::-1]
    image = slicer.vtkOrientedImageData()
    image.SetExtent(2, size[0] - 3, 2, size[1] - 3, 2, size[2] - 3)
    image.GetPointData().SetScalars(numpy_to_vtk(part.ravel(), deep=True))
    image.SetImageToWorldMatrix(slicer.util.vtkMatrixFromArray(np.diag([*SPACING, 1])))
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Contours")
    node.AddSegmentFromBinaryLabelmapRepresentation(image, "organ")
    return node


def addResult(scene: Any, makeVolume: Any, fromParent: vtk.vtkAbstractTransform) -> Any:
    fixed, moving = (makeVolume(np.diag([*SPACING, 1.0]), name) for name in ("Fixed", "Moving"))
    node = scene.AddNewNodeByClass("vtkMRMLTransformNode", "Result")
    setResultTransform(node, fromParent, None, fixed, moving)
    return node


def linear(scale: float = 1.0, shift: tuple[float, float, float] = (0, 0, 0)) -> vtk.vtkTransform:
    transform = vtk.vtkTransform()
    transform.Translate(*shift)
    transform.Scale(scale, scale, scale)
    return transform


def test_a_shift_moves_every_voxel_by_its_length(scene: Any, makeVolume: Any, contours: Any) -> None:
    (organ,) = segmentDisplacements(contours, addResult(scene, makeVolume, linear(shift=(3, 0, 4))))
    assert (organ.mean, organ.percentile95, organ.maximum) == pytest.approx((5, 5, 5))
    assert organ.name == "organ"
    assert organ.volumeBefore == pytest.approx(0.576)  # mL
    assert organ.changeOfVolume == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(("direction", "factor"), [("fixed to moving", 1.1), ("moving to fixed", 1 / 1.1)])
def test_an_expansion_changes_the_volume_by_its_third_power(
    scene: Any, makeVolume: Any, contours: Any, direction: Any, factor: float
) -> None:
    (organ,) = segmentDisplacements(contours, addResult(scene, makeVolume, linear(1.1)), direction)
    assert organ.changeOfVolume == pytest.approx(100 * (factor**3 - 1), rel=1e-6)
    k, j, i = np.indices((4, 6, 8)).reshape(3, -1)
    lengths = abs(factor - 1) * np.linalg.norm(np.stack([i + 15, j + 10, 3 * (k + 4)]), axis=0)
    expected = (lengths.mean(), np.percentile(lengths, 95), lengths.max())
    assert (organ.mean, organ.percentile95, organ.maximum) == pytest.approx(expected)


def test_the_voxels_of_a_large_segment_are_scaled_to_its_volume(
    scene: Any, makeVolume: Any, monkeypatch: pytest.MonkeyPatch, contours: Any
) -> None:
    monkeypatch.setattr("UnsupervisedRegistrationLib.scene.propagation.segment_displacement._MAX_DERIVATIVE_VOXELS", 60)
    (organ,) = segmentDisplacements(contours, addResult(scene, makeVolume, linear(1.1)), "fixed to moving")
    assert organ.volumeBefore == pytest.approx(0.576)
    assert organ.volumeAfter == pytest.approx(0.576 * 1.1**3)


def test_a_grid_gives_the_volume_that_its_copy_has(scene: Any, makeVolume: Any, makeParent: Any) -> None:
    """A large smooth structure, whose voxels can be counted before and after; 2 % are the rounding of its surface."""
    from UnsupervisedRegistrationLib.scene.propagation.hardened_copy import hardenedCopy

    logic = slicer.vtkSlicerSegmentationsModuleLogic()
    logic.SetMRMLScene(scene)
    k, j, i = np.indices((24, 48, 48))
    ball = ((i - 24) ** 2 + (j - 24) ** 2 + (3 * (k - 12)) ** 2 < 20**2).astype(np.uint8)
    contours = addSegmentation(scene, ball)
    node = addResult(scene, makeVolume, makeParent("grid").GetTransformFromParent())
    (organ,) = segmentDisplacements(contours, node)
    copy, image = hardenedCopy(contours, node), slicer.vtkOrientedImageData()
    copy.GetBinaryLabelmapRepresentation(copy.GetSegmentation().GetNthSegmentID(0), image)
    counted = np.count_nonzero(vtk_to_numpy(image.GetPointData().GetScalars()))
    assert organ.volumeAfter == pytest.approx(counted * 3 / 1000, rel=0.02)
    logic.SetMRMLScene(None)


def test_each_label_of_a_labelmap_is_a_part(scene: Any, makeVolume: Any) -> None:
    voxels = np.zeros((5, 32, 40), np.uint8)
    voxels[1, 4:8, 4:8], voxels[2, 10:20, 10:20] = 1, 4
    labelmap = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "Labels")
    slicer.util.updateVolumeFromArray(labelmap, voxels)
    parts = segmentDisplacements(labelmap, addResult(scene, makeVolume, linear(shift=(0, 2, 0))))
    assert [(part.name, part.mean) for part in parts] == [("Label 1", pytest.approx(2)), ("Label 4", pytest.approx(2))]
    assert [part.volumeBefore for part in parts] == pytest.approx([0.016, 0.1])


def test_the_table_node_and_the_file_hold_the_same_rows(
    scene: Any, makeVolume: Any, contours: Any, tmp_path: Path
) -> None:
    parts = segmentDisplacements(contours, addResult(scene, makeVolume, linear(shift=(3, 0, 4))))
    table = addDisplacementTable(contours, parts)
    assert table.GetName() == "Contours displacement"
    row = [table.GetCellText(0, column) for column in range(table.GetNumberOfColumns())]
    exportDisplacementCsv(parts, tmp_path / "parts.csv")
    with (tmp_path / "parts.csv").open(newline="") as stream:
        titles, cells = csv.reader(stream)
    assert titles == [table.GetColumnName(index) for index in range(table.GetNumberOfColumns())]
    assert cells == ["organ", "5.000", "5.000", "5.000", "0.5760", "0.5760", cells[-1]]
    assert float(cells[-1]) == pytest.approx(0, abs=1e-9)
    assert row[0] == "organ"
    assert [float(cell) for cell in row[1:4]] == pytest.approx([5, 5, 5])


def test_a_node_without_voxels_is_refused(scene: Any, makeVolume: Any) -> None:
    empty = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Empty")
    with pytest.raises(ValueError, match="'Empty' has no voxels"):
        segmentDisplacements(empty, addResult(scene, makeVolume, linear()))


def test_a_point_list_has_no_segments(scene: Any, makeVolume: Any) -> None:
    points = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "Points")
    with pytest.raises(ValueError, match="'Points' has no segments"):
        segmentDisplacements(points, addResult(scene, makeVolume, linear()))
