"""Volumes and transforms whose truth is known, in every orientation."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import slicer
import slicer.util
import torch
import vtk
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.spatial.transform import Rotation
from vtk.util.numpy_support import numpy_to_vtk

from UnsupervisedRegistrationLib.core.registration.plan import Plan
from UnsupervisedRegistrationLib.core.registration.result import RegistrationResult
from UnsupervisedRegistrationLib.scene.geometry.planes import SlicePlane, planeFromIndex
from UnsupervisedRegistrationLib.scene.geometry.volumes import addVolume
from UnsupervisedRegistrationLib.scene.registration.slice_pair import SliceInputs, SlicePair, samplePair


@dataclass(frozen=True)
class Orientation:
    """How a volume lies: its matrix, and which of i, j, k runs across the slices of each orientation."""

    ijkToRas: np.ndarray
    normalAxis: dict[str, int]


def _matrix(axes: np.ndarray, spacing: tuple[float, float, float], origin: tuple[float, float, float]) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = axes * np.array(spacing)
    matrix[:3, 3] = origin
    return matrix


_USUAL = {"sagittal": 0, "coronal": 1, "axial": 2}
_PERMUTED = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])  # i to P, j to I, k to R: sagittal slices.
_TURNED = Rotation.from_euler("xyz", [20, -15, 35], degrees=True).as_matrix()
ORIENTATIONS = {
    "RAS": Orientation(_matrix(np.eye(3), (1, 1, 1), (-20, 5, 30)), _USUAL),
    "LPS": Orientation(_matrix(np.diag([-1.0, -1, 1]), (1, 1, 1), (20, 15, -3)), _USUAL),
    "anisotropic": Orientation(_matrix(np.diag([-1.0, -1, 1]), (0.7, 0.8, 5), (10, 20, -30)), _USUAL),
    "left-handed": Orientation(_matrix(np.diag([1.0, 1, -1]), (1.2, 0.9, 2), (3, -4, 11)), _USUAL),
    "permuted": Orientation(
        _matrix(_PERMUTED, (0.8, 0.9, 2.5), (-7, 12, 40)), {"sagittal": 2, "coronal": 0, "axial": 1}
    ),
    "oblique": Orientation(_matrix(_TURNED, (0.9, 1.1, 3), (-12, 8, 15)), _USUAL),
}


@pytest.fixture(params=ORIENTATIONS)
def orientation(request: pytest.FixtureRequest) -> Orientation:
    return ORIENTATIONS[request.param]


@pytest.fixture
def oblique() -> Orientation:
    return ORIENTATIONS["oblique"]


@pytest.fixture
def makeVolume(scene: slicer.vtkMRMLScene) -> Callable[..., slicer.vtkMRMLScalarVolumeNode]:
    """A smooth random volume, 0 to 1000; the same seed gives the same voxels."""

    def make(
        ijkToRas: np.ndarray, name: str = "Volume", shape: tuple[int, int, int] = (5, 32, 40), seed: int = 0
    ) -> slicer.vtkMRMLScalarVolumeNode:
        noise = gaussian_filter(np.random.default_rng(seed).standard_normal(shape), (0.5, 2, 2))
        voxels = 1000 * (noise - noise.min()) / np.ptp(noise)
        return addVolume(scene, name, voxels.astype(np.float32), ijkToRas)

    return make


@pytest.fixture
def pair(orientation: Orientation, makeVolume: Callable[..., slicer.vtkMRMLScalarVolumeNode]) -> SlicePair:
    """The middle slices of two volumes on one grid."""
    fixed, moving = (makeVolume(orientation.ijkToRas, name, seed=seed) for seed, name in enumerate(("Fixed", "Moving")))
    return samplePair(SliceInputs(fixed, moving, _ownSlice(fixed)))


@pytest.fixture
def obliquePair(oblique: Orientation, makeVolume: Callable[..., slicer.vtkMRMLScalarVolumeNode]) -> SlicePair:
    """As ``pair``, for what does not depend on the orientation."""
    fixed, moving = (makeVolume(oblique.ijkToRas, name, seed=seed) for seed, name in enumerate(("Fixed", "Moving")))
    return samplePair(SliceInputs(fixed, moving, _ownSlice(fixed)))


def _ownSlice(volume: slicer.vtkMRMLVolumeNode) -> SlicePlane:
    """The middle slice along k, which has the most pixels."""
    axes = {"sagittal": 0, "coronal": 1, "axial": 2}
    world = np.abs(slicer.util.arrayFromVTKMatrix(_ijkToRas(volume))[:3, 2])
    return planeFromIndex(volume, next(name for name, axis in axes.items() if axis == int(world.argmax())))


def _ijkToRas(volume: slicer.vtkMRMLVolumeNode) -> vtk.vtkMatrix4x4:
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    return matrix


@pytest.fixture
def handmade() -> Callable[..., RegistrationResult]:
    """A smooth displacement of up to 2 pixels, different along rows and columns, as a registration."""

    def make(shape: tuple[int, int], rows: float = 2.0, columns: float = -1.5) -> RegistrationResult:
        y, x = np.indices(shape) / np.reshape(shape, (2, 1, 1))
        wave = np.stack([rows * np.sin(4 * x + 1) * np.cos(3 * y), columns * np.cos(5 * y + x)])
        displacement = torch.from_numpy(wave.astype(np.float32))[None]
        return RegistrationResult(
            displacement=displacement,
            inverse=-displacement,
            warped=displacement[:, :1],
            similarity_before=0.2,
            similarity_after=0.8,
            folding=0.0,
            milliseconds={"network": 1.0},
            device="cpu",
            expected_error=None,
            plan=Plan("fast", "deformable"),
            model="any-contrast",
            model_reason="",
            licence="",
        )

    return make


@pytest.fixture
def pixelPositions() -> Callable[[SlicePlane], np.ndarray]:
    """RAS of every pixel of a plane, ``(rows, columns, 3)`` mm."""

    def positions(plane: SlicePlane) -> np.ndarray:
        rows, columns = np.indices(plane.shape)
        return np.stack([columns, rows, np.zeros_like(rows)], -1) @ plane.ijkToRas[:3, :3].T + plane.ijkToRas[:3, 3]

    return positions


@pytest.fixture
def valueAt() -> Callable[[slicer.vtkMRMLVolumeNode, np.ndarray], np.ndarray]:
    """Linear interpolation by scipy at points of the volume's own RAS space; NaN outside."""

    def value(volume: slicer.vtkMRMLVolumeNode, points: np.ndarray) -> np.ndarray:
        rasToIjk = np.linalg.inv(slicer.util.arrayFromVTKMatrix(_ijkToRas(volume)))
        kji = np.moveaxis(points @ rasToIjk[:3, :3].T + rasToIjk[:3, 3], -1, 0)[::-1]
        voxels = slicer.util.arrayFromVolume(volume).astype(float)
        near = np.where(np.abs(kji - np.rint(kji)) < 1e-6, np.rint(kji), kji)  # Rounding must not fall off the edge.
        return map_coordinates(voxels, near, order=1, mode="constant", cval=np.nan)

    return value


@pytest.fixture
def displacementMm() -> Callable[[SlicePlane, RegistrationResult], np.ndarray]:
    """The RAS vectors of a displacement, ``(rows, columns, 3)`` mm, computed from its definition."""

    def vectors(plane: SlicePlane, registration: RegistrationResult) -> np.ndarray:
        rows, columns = registration.displacement[0].double().numpy()
        return rows[..., None] * plane.ijkToRas[:3, 1] + columns[..., None] * plane.ijkToRas[:3, 0]

    return vectors


@pytest.fixture
def reopened(tmp_path: Path) -> Iterator[Callable[[slicer.vtkMRMLScene], slicer.vtkMRMLScene]]:
    """Saves a scene as .mrb and reads it into a new scene."""
    opened = []

    def reopen(scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLScene:
        path = str(tmp_path / "scene.mrb")
        assert scene.WriteToMRB(path)
        fresh, application = slicer.vtkMRMLScene(), slicer.vtkSlicerApplicationLogic()
        application.SetMRMLScene(fresh)
        remote, manager = slicer.vtkMRMLRemoteIOLogic(), slicer.vtkDataIOManagerLogic()
        for logic in (remote, manager):
            logic.SetMRMLScene(fresh)
            logic.SetMRMLApplicationLogic(application)
        remote.GetCacheManager().SetRemoteCacheDirectory(tempfile.mkdtemp(dir=tmp_path))
        manager.SetAndObserveDataIOManager(remote.GetDataIOManager())
        remote.AddDataIOToScene()
        opened.append((fresh, application, remote, manager))  # The scene needs the logics as long as it is used.
        assert fresh.ReadFromMRB(path, True)
        return fresh

    yield reopen
    for fresh, *_logics in opened:
        fresh.Clear(1)


@pytest.fixture
def makeParent(scene: slicer.vtkMRMLScene) -> Callable[[str], slicer.vtkMRMLTransformNode]:
    """A transform node of a kind: linear (turn and shift), grid (smooth waves) or thin plate spline."""
    kinds = {"linear": _linear, "grid": _waves, "spline": _spline}

    def make(kind: str) -> slicer.vtkMRMLTransformNode:
        node = scene.AddNewNodeByClass("vtkMRMLTransformNode", kind)
        node.SetAndObserveTransformFromParent(kinds[kind]())
        return node

    return make


def _linear() -> vtk.vtkTransform:
    transform = vtk.vtkTransform()
    transform.RotateWXYZ(4, 1, 2, 3)
    transform.Translate(1.5, -2, 0.7)
    return transform


def _waves() -> slicer.vtkOrientedGridTransform:
    """Up to 1.5 mm on a grid of 10 mm that covers every volume here."""
    size = 21
    k, j, i = np.indices((size,) * 3)
    vectors = 1.5 * np.stack([np.sin(0.4 * j), np.cos(0.3 * k + 0.2 * i), np.sin(0.5 * i + 1)], -1)
    image = vtk.vtkImageData()
    image.SetDimensions(size, size, size)
    image.SetSpacing(10, 10, 10)
    image.SetOrigin(-100, -100, -100)
    scalars = numpy_to_vtk(vectors.reshape(-1, 3), deep=True)
    image.GetPointData().SetScalars(scalars)
    transform = slicer.vtkOrientedGridTransform()
    transform.SetDisplacementGridData(image)
    transform.SetInterpolationModeToCubic()
    return transform


def _spline() -> vtk.vtkThinPlateSplineTransform:
    source, target = vtk.vtkPoints(), vtk.vtkPoints()
    random = np.random.default_rng(5)
    for point in random.uniform(-50, 50, (12, 3)):
        source.InsertNextPoint(point)
        target.InsertNextPoint(point + random.uniform(-2, 2, 3))
    transform = vtk.vtkThinPlateSplineTransform()
    transform.SetBasisToR()
    transform.SetSourceLandmarks(source)
    transform.SetTargetLandmarks(target)
    return transform


@pytest.fixture
def snapshot(scene: slicer.vtkMRMLScene) -> Callable[[], dict[str, tuple[object, ...]]]:
    """What must not change: every node's name, time of change and parent, by its ID."""

    def take() -> dict[str, tuple[object, ...]]:
        nodes = [scene.GetNthNode(index) for index in range(scene.GetNumberOfNodes())]
        # Asking for the parent first, because the first answer counts as a change.
        return {node.GetID(): (node.GetName(), _parentOf(node), node.GetMTime()) for node in nodes}

    return take


def _parentOf(node: slicer.vtkMRMLNode) -> str | None:
    return node.GetTransformNodeID() if isinstance(node, slicer.vtkMRMLTransformableNode) else None
