"""The validation protocol of the quality report: transforms, structures and images whose items are known beforehand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import slicer
import slicer.util
import vtk
from vtk.util.numpy_support import numpy_to_vtk

from ..geometry.volumes import addVolume
from ..landmarks.markups import addLandmarks
from .evidence import ReportInputs
from .quality_report import makeReport

_KNOWN_SHAPE = (12, 40, 44)  # K, J, I; voxels of 2 x 2 x 3 mm.
_KNOWN_SPACING = np.array([2.0, 2.0, 3.0])
_KNOWN_CENTRE = (np.array(_KNOWN_SHAPE[::-1]) - 1) / 2 * _KNOWN_SPACING
_KNOWN_BOX = np.s_[3:9, 14:24, 12:22]  # Ten voxels along I and J.
_KNOWN_POINTS = {"1": (20.0, 30.0, 9.0), "2": (60.0, 50.0, 24.0), "3": (44.0, 26.0, 18.0)}
_KNOWN_SHIFT = np.array([3.0, -4.0, 0.0])
_KNOWN_ANGLE = 5.0  # Degrees about S.
_KNOWN_GROWTH = 1.1  # Along R and A, about the centre.

Known = tuple[str, float, float]
"""Name of an item, its expected value, and the largest difference."""


@dataclass(frozen=True)
class ValidationRow:
    """One item of one case.

    Attributes:
        case: What was built.
        item: Name of the item, with "before" if it is the value before the registration.
        expected: Value that follows from how the case was built.
        measured: Value in the report.
        tolerance: Largest difference.
    """

    case: str
    item: str
    expected: float
    measured: float
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether the report says what is expected."""
        return abs(self.measured - self.expected) <= self.tolerance


def validate() -> tuple[ValidationRow, ...]:
    """Build each case in a scene of its own and compare the report with what is known.

    Raises:
        ValueError: A report could not be made.
    """
    rows: list[ValidationRow] = []
    for case, (build, known) in _KNOWN_CASES.items():
        scene = slicer.vtkMRMLScene()
        items = makeReport(build(scene)).check.items
        values = {item.name: item.value for item in reversed(items)}
        values |= {f"{item.name} in box": item.value for item in items if item.structure}
        values |= {f"{item.name} before": item.before for item in reversed(items) if item.before is not None}
        rows += [ValidationRow(case, name, expected, values[name], most) for name, expected, most in known]
        scene.Clear(1)
    return tuple(rows)


def validationText(rows: tuple[ValidationRow, ...]) -> str:
    """A table of expected and measured values, and how many agree."""
    lines = [f"{'case':<18}{'item':<28}{'expected':>10}{'measured':>10}{'within':>10}  result"]
    for row in rows:
        numbers = f"{row.expected:>10.3f}{row.measured:>10.3f}{row.tolerance:>10.0e}"
        lines.append(f"{row.case:<18}{row.item:<28}{numbers}  {'passed' if row.passed else 'FAILED'}")
    return "\n".join([*lines, f"{sum(row.passed for row in rows)} of {len(rows)} passed"])


def _linear(rotation: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """The matrix from fixed to moving positions: a rotation about the centre, then a shift."""
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation, _KNOWN_CENTRE - rotation @ _KNOWN_CENTRE + shift
    return matrix


def _rotation() -> np.ndarray:
    cosine, sine = np.cos(np.deg2rad(_KNOWN_ANGLE)), np.sin(np.deg2rad(_KNOWN_ANGLE))
    return np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])


def _voxels() -> np.ndarray:
    """A textured body in air."""
    k, j, i = np.indices(_KNOWN_SHAPE)
    body = ((i - 21.5) / 19) ** 2 + ((j - 19.5) / 17) ** 2 < 1
    texture = np.sin(0.7 * i) * np.cos(0.5 * j + 0.3 * k) + np.sin(0.23 * i * j / 10 + k)
    return np.asarray((body * (500 + 150 * texture)).astype(np.float32))


def _inputs(
    scene: slicer.vtkMRMLScene,
    toMoving: np.ndarray,
    transform: vtk.vtkAbstractTransform,
    moving: np.ndarray | None = None,
) -> ReportInputs:
    """The fixed image, and the same voxels moved by a matrix, with landmarks and a box on both.

    Args:
        scene: Receives the nodes.
        toMoving: ``(4, 4)``, from fixed to moving positions.
        transform: What the report is about, from fixed to moving positions.
        moving: Voxels of the moving image; by default those of the fixed one.
    """
    matrix = np.diag([*_KNOWN_SPACING, 1.0])
    fixed = addVolume(scene, "fixed", _voxels(), matrix)
    volume = addVolume(scene, "moving", _voxels() if moving is None else moving, toMoving @ matrix)
    node = scene.AddNewNodeByClass("vtkMRMLTransformNode", "transform")
    node.SetAndObserveTransformFromParent(transform)
    points = {label: tuple(toMoving[:3, :3] @ point + toMoving[:3, 3]) for label, point in _KNOWN_POINTS.items()}
    return ReportInputs(
        fixed,
        volume,
        node,
        mask=_labels(scene, _voxels() > 0, matrix),
        fixedStructures=_labels(scene, _box(), matrix),
        movingStructures=_labels(scene, _box(), toMoving @ matrix),
        fixedLandmarks=addLandmarks(scene, "fixed points", _KNOWN_POINTS),
        movingLandmarks=addLandmarks(scene, "moving points", points),
    )


def _box(shift: int = 0) -> np.ndarray:
    voxels = np.zeros(_KNOWN_SHAPE, dtype=bool)
    voxels[_KNOWN_BOX] = True
    return np.roll(voxels, shift, axis=2)


def _labels(scene: slicer.vtkMRMLScene, region: np.ndarray, matrix: np.ndarray) -> slicer.vtkMRMLLabelMapVolumeNode:
    node = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "labels")
    slicer.util.updateVolumeFromArray(node, region.astype(np.uint8))
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))
    return node


def _matrixTransform(matrix: np.ndarray) -> vtk.vtkTransform:
    transform = vtk.vtkTransform()
    transform.SetMatrix(slicer.util.vtkMatrixFromArray(matrix))
    return transform


def _gridTransform(vectors: np.ndarray) -> slicer.vtkOrientedGridTransform:
    """A displacement ``(K, J, I, 3)``, RAS mm, on the voxels of the fixed image, linearly interpolated."""
    image = vtk.vtkImageData()
    image.SetDimensions(_KNOWN_SHAPE[::-1])
    image.SetSpacing(_KNOWN_SPACING)
    image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(vectors.reshape(-1, 3)), deep=True))
    transform = slicer.vtkOrientedGridTransform()
    transform.SetDisplacementGridData(image)
    transform.SetInterpolationModeToLinear()
    return transform


def _positions() -> np.ndarray:
    return np.moveaxis(np.indices(_KNOWN_SHAPE)[::-1], 0, -1) * _KNOWN_SPACING


def _linearCase(rotation: np.ndarray, shift: np.ndarray) -> Callable[[slicer.vtkMRMLScene], ReportInputs]:
    matrix = _linear(rotation, shift)
    return lambda scene: _inputs(scene, matrix, _matrixTransform(matrix))


def _deformation(scene: slicer.vtkMRMLScene) -> ReportInputs:
    """A growth along R and A, as a displacement grid."""
    growth = np.diag([_KNOWN_GROWTH, _KNOWN_GROWTH, 1.0])
    return _inputs(
        scene, _linear(growth, np.zeros(3)), _gridTransform((_positions() - _KNOWN_CENTRE) @ (growth - np.eye(3)))
    )


def _fold(scene: slicer.vtkMRMLScene) -> ReportInputs:
    """Rows 14 and on move back by 6 mm, behind the row before; one cell in each column of the box folds."""
    vectors = np.zeros((*_KNOWN_SHAPE, 3))
    vectors[:, 18:, :, 1] = -6.0
    return _inputs(scene, np.eye(4), _gridTransform(vectors))


def _structures(scene: slicer.vtkMRMLScene) -> ReportInputs:
    """The box of the moving image lies two of ten voxels beside that of the fixed one."""
    inputs = _inputs(scene, np.eye(4), vtk.vtkTransform())
    return replace(inputs, movingStructures=_labels(scene, _box(2), np.diag([*_KNOWN_SPACING, 1.0])))


def _contrast(scene: slicer.vtkMRMLScene) -> ReportInputs:
    """The negative of the fixed image."""
    return _inputs(scene, np.eye(4), vtk.vtkTransform(), 1000 - _voxels())


_KNOWN_CASES: dict[str, tuple[Callable[[slicer.vtkMRMLScene], ReportInputs], tuple[Known, ...]]] = {
    "identity": (
        _linearCase(np.eye(3), np.zeros(3)),
        (("TRE", 0, 1e-3), ("Dice", 1, 1e-6), ("mean Jacobian", 1, 1e-4), ("correlation", 1, 1e-6)),
    ),
    "shift": (
        _linearCase(np.eye(3), _KNOWN_SHIFT),
        (("TRE before", 5, 1e-3), ("TRE", 0, 1e-3), ("largest displacement", 5, 1e-3), ("Dice", 1, 1e-6)),
    ),
    "rotation": (
        _linearCase(_rotation(), np.zeros(3)),
        (("TRE", 0, 1e-3), ("smallest Jacobian", 1, 1e-4), ("inverse consistency", 0, 1e-3), ("Dice", 1, 1e-6)),
    ),
    "deformation": (
        _deformation,
        (("TRE", 0, 0.01), ("mean Jacobian", _KNOWN_GROWTH**2, 1e-3), ("Jacobian below 0", 0, 0), ("Dice", 1, 1e-6)),
    ),
    "fold": (_fold, (("Jacobian below 0 in box", 10, 1e-6), ("covered by the transform", 100, 1e-6))),
    "structures": (_structures, (("Dice", 0.8, 1e-6), ("HD95", 4, 1e-6), ("Dice before", 0.8, 1e-6))),
    "another contrast": (_contrast, (("correlation", -1, 1e-3), ("TRE", 0, 1e-3), ("Dice", 1, 1e-6))),
}
