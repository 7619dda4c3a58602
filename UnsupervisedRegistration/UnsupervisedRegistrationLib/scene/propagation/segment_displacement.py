"""How far a registration moves each segment, and how it changes the volume of the segment."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import slicer
import slicer.util
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from ..geometry.planes import localIjkToRas
from .hardened_copy import placeBeside
from .node_map import PropagationDirection, nodeMap

_HALF_STEP = 0.25  # Of a voxel, for the derivatives; small against the nodes of a grid transform.
_MAX_DERIVATIVE_VOXELS = 50_000  # Evenly chosen; the volumes of larger segments are scaled from these voxels.
_COLUMNS = (
    "segment",
    "mean displacement (mm)",
    "95th percentile (mm)",
    "maximum (mm)",
    "volume before (mL)",
    "volume after (mL)",
    "change of volume (%)",
)


@dataclass(frozen=True)
class SegmentDisplacement:
    """Displacement of the voxel centres of one segment.

    Attributes:
        name: Name of the segment.
        mean: Mean displacement, mm.
        percentile95: 95th percentile, mm.
        maximum: Maximum, mm.
        volumeBefore: mL.
        volumeAfter: mL, from the Jacobian determinants at the voxels.
    """

    name: str
    mean: float
    percentile95: float
    maximum: float
    volumeBefore: float
    volumeAfter: float

    @property
    def changeOfVolume(self) -> float:
        """Change of the volume, percent of the volume before."""
        return 100 * (self.volumeAfter / self.volumeBefore - 1)

    @property
    def row(self) -> tuple[str | float, ...]:
        """Values in the order of the table."""
        lengths = (self.mean, self.percentile95, self.maximum)
        return self.name, *lengths, self.volumeBefore, self.volumeAfter, self.changeOfVolume


def segmentDisplacements(
    node: slicer.vtkMRMLNode,
    transformNode: slicer.vtkMRMLTransformNode,
    direction: PropagationDirection = "moving to fixed",
) -> list[SegmentDisplacement]:
    """Displacement and change of volume of every segment of a segmentation, or of every label of a labelmap.

    Args:
        node: Segmentation with a binary labelmap, or labelmap volume.
        transformNode: Parent transform of the warped moving volume.
        direction: Side that the node is taken to.

    Raises:
        ValueError: The node has no voxels, or lies on the other side.
    """
    mapping = nodeMap(node, transformNode, direction)
    before, after = mapping.before, mapping.afterInWorld
    measured = [_measured(name, indices, matrix, before, after) for name, indices, matrix in _parts(node)]
    if not measured:
        raise ValueError(f"'{node.GetName()}' has no voxels; draw a segment first, or choose another node.")
    return measured


def addDisplacementTable(
    node: slicer.vtkMRMLNode, displacements: Sequence[SegmentDisplacement]
) -> slicer.vtkMRMLTableNode:
    """A table node with one row for each segment, beside ``node`` in the subject hierarchy."""
    scene = node.GetScene()
    name = scene.GenerateUniqueName(f"{node.GetName()} displacement")
    tableNode = scene.AddNewNodeByClass("vtkMRMLTableNode", name)
    table = vtk.vtkTable()
    for index, title in enumerate(_COLUMNS):
        column = vtk.vtkStringArray() if index == 0 else vtk.vtkDoubleArray()
        column.SetName(title)
        for displacement in displacements:
            column.InsertNextValue(displacement.row[index])
        table.AddColumn(column)
    tableNode.SetAndObserveTable(table)
    tableNode.SetLocked(True)
    placeBeside(tableNode, node)
    return tableNode


def exportDisplacementCsv(displacements: Sequence[SegmentDisplacement], path: str | Path) -> None:
    """Write the table to a CSV file, lengths with 3 and volumes with 4 decimals.

    Raises:
        OSError: The file cannot be written.
    """
    with Path(path).open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(_COLUMNS)
        for displacement in displacements:
            name, mean, percentile, maximum, volumeBefore, volumeAfter, change = displacement.row
            lengths = [f"{value:.3f}" for value in (mean, percentile, maximum)]
            writer.writerow([name, *lengths, f"{volumeBefore:.4f}", f"{volumeAfter:.4f}", f"{change:.2f}"])


def _measured(
    name: str,
    indices: np.ndarray,
    matrix: np.ndarray,
    before: vtk.vtkAbstractTransform,
    after: vtk.vtkAbstractTransform,
) -> SegmentDisplacement:
    """Measures of the voxels with the indices ``(N, 3)``, i j k."""
    points = indices @ matrix[:3, :3].T + matrix[:3, 3]
    lengths = np.linalg.norm(_transformed(after, points) - _transformed(before, points), axis=1)
    chosen = points[:: max(1, len(points) // _MAX_DERIVATIVE_VOXELS)]
    scale = len(points) / len(chosen) / 1000  # mm³ of the chosen voxels to mL of all.
    volumes = [abs(_volumesOfVoxels(transform, chosen, matrix).sum()) * scale for transform in (before, after)]
    percentile = float(np.percentile(lengths, 95))
    return SegmentDisplacement(name, float(lengths.mean()), percentile, float(lengths.max()), *volumes)


def _volumesOfVoxels(transform: vtk.vtkAbstractTransform, points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Signed volumes ``(N,)`` in mm³ of the voxels at ``points`` after a transform; the opposite sign is folding."""
    edges = []
    for axis in range(3):
        step = _HALF_STEP * matrix[:3, axis]
        edges.append((_transformed(transform, points + step) - _transformed(transform, points - step)) / 2 / _HALF_STEP)
    return np.linalg.det(np.stack(edges, axis=-1))


def _transformed(transform: vtk.vtkAbstractTransform, points: np.ndarray) -> np.ndarray:
    source, target = vtk.vtkPoints(), vtk.vtkPoints()
    source.SetData(numpy_to_vtk(np.ascontiguousarray(points, dtype=np.float64), deep=True))
    target.SetDataTypeToDouble()
    transform.TransformPoints(source, target)
    return vtk_to_numpy(target.GetData()).reshape(-1, 3).copy()


def _parts(node: slicer.vtkMRMLNode) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Name, voxel indices ``(N, 3)`` as i j k, and ``(4, 4)`` matrix to the RAS space of the node, of every part."""
    if node.IsA("vtkMRMLLabelMapVolumeNode"):
        yield from _labels(node)
    elif node.IsA("vtkMRMLSegmentationNode"):
        yield from _segments(node)
    else:
        raise ValueError(f"'{node.GetName()}' has no segments; choose a segmentation or a labelmap volume.")


def _labels(node: slicer.vtkMRMLLabelMapVolumeNode) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    if node.GetImageData() is None:
        return
    voxels = slicer.util.arrayFromVolume(node)
    colours = node.GetDisplayNode().GetColorNode() if node.GetDisplayNode() is not None else None
    for label in np.unique(voxels[voxels > 0]):
        name = colours.GetColorName(int(label)) if colours is not None else ""
        yield name or f"Label {label}", np.argwhere(voxels == label)[:, ::-1], localIjkToRas(node)


def _segments(node: slicer.vtkMRMLSegmentationNode) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    for segmentId in node.GetSegmentation().GetSegmentIDs():
        image, matrix = slicer.vtkOrientedImageData(), vtk.vtkMatrix4x4()
        name = node.GetSegmentation().GetSegment(segmentId).GetName()
        if not node.GetBinaryLabelmapRepresentation(segmentId, image):
            raise ValueError(
                f"The segment '{name}' of '{node.GetName()}' has no binary labelmap; create one in the Segmentations"
                " module."
            )
        if image.IsEmpty():
            continue
        image.GetImageToWorldMatrix(matrix)
        low, size = np.array(image.GetExtent()[::2]), image.GetDimensions()[::-1]
        found = np.argwhere(vtk_to_numpy(image.GetPointData().GetScalars()).reshape(size) > 0)[:, ::-1]
        if len(found):
            yield name, found + low, slicer.util.arrayFromVTKMatrix(matrix)
