"""Results of the core in the scene."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import slicer
import slicer.util
import torch
import vtk

from ...core.evaluation.metrics import inverse_consistency_error
from ...core.registration.result import RegistrationResult
from ...core.registration.uncertainty import trust_from_error
from ...core.spatial.deformation import jacobian_determinant
from ..geometry.grid_transform import gridTransform
from ..geometry.planes import SlicePlane
from ..geometry.result_transform import checkOutputTransform, setFittedLandmarks, setResultTransform
from ..geometry.sampling import sampleStack, sampleVolume
from ..geometry.transforms import composedTransform
from ..geometry.volumes import fillSliceVolume
from .slice_pair import SlicePair, gridOf


@dataclass(frozen=True)
class SliceOutputs:
    """Where a result goes.

    Attributes:
        transformNode: Receives the displacement; ``None`` makes a new node.
        warpedVolume: Receives the warped slice; ``None`` makes a new node.
        thisSliceOnly: Deform the registered slices only; otherwise all slices of the volume alike.
    """

    transformNode: slicer.vtkMRMLTransformNode | None = None
    warpedVolume: slicer.vtkMRMLScalarVolumeNode | None = None
    thisSliceOnly: bool = True


@dataclass(frozen=True)
class SliceRegistration:
    """A result in the scene.

    Attributes:
        transformNode: Moves the moving volume.
        warpedVolume: The warped slice on the pixels of the fixed one.
        pair: What was registered.
        registration: Displacement, measures and times.
    """

    transformNode: slicer.vtkMRMLTransformNode
    warpedVolume: slicer.vtkMRMLScalarVolumeNode
    pair: SlicePair
    registration: RegistrationResult

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done to the images, a sentence each."""
        return tuple(dict.fromkeys(self.pair.notes + self.registration.notes))

    @property
    def warpedPixels(self) -> np.ndarray:
        """``(rows, columns)`` of the warped volume."""
        return slicer.util.arrayFromVolume(self.warpedVolume)[0]

    def covers(self, points: np.ndarray) -> np.ndarray:
        """``(N,)`` bool, which of ``(N, 3)`` points lie on the slice."""
        return self.pair.plane.distances(points) <= self.pair.plane.thickness / 2

    @property
    def jacobian(self) -> np.ndarray:
        """``(rows, columns)``, local change of area; 0 and below folds."""
        return jacobian_determinant(self.registration.displacement)[0, 0].numpy()

    @property
    def inverseConsistency(self) -> np.ndarray:
        """``(rows, columns)`` mm, how far each pixel is from itself after going to the moving image and back."""
        ways = self.registration.displacement, self.registration.inverse
        return inverse_consistency_error(*ways, gridOf(self.pair.plane))[0, 0].numpy()

    @property
    def expectedError(self) -> np.ndarray | None:
        """``(rows, columns)`` mm, how far each pixel may be off; ``None`` if it was not asked for."""
        error = self.registration.expected_error
        return None if error is None else error[0, 0].numpy()

    @property
    def trust(self) -> np.ndarray | None:
        """``(rows, columns)``, 0..1; ``None`` if it was not asked for."""
        error = self.registration.expected_error
        return None if error is None else trust_from_error(error)[0, 0].numpy()

    @property
    def sourcePositions(self) -> tuple[np.ndarray, np.ndarray]:
        """Row and column in the moving slice, in fixed pixels, that each pixel of the fixed slice comes from."""
        rows, columns = np.indices(self.pair.plane.shape) + self.registration.displacement[0].numpy()
        return rows, columns


def checkOutputNodes(pair: SlicePair, outputs: SliceOutputs, masks: tuple[slicer.vtkMRMLNode | None, ...] = ()) -> None:
    """Refuses output nodes that cannot hold the result, or hold what must stay.

    Raises:
        ValueError: They do.
    """
    transformNode, warpedVolume = outputs.transformNode, outputs.warpedVolume
    if transformNode is not None:
        sameVolume = pair.fixedVolume is pair.movingVolume
        fixedParent = pair.initial if sameVolume else pair.fixedVolume.GetParentTransformNode()
        checkOutputTransform(transformNode, fixedParent, pair.initial)
    if warpedVolume is not None and warpedVolume in (pair.fixedVolume, pair.movingVolume, *masks):
        raise ValueError(f"The warped slice would overwrite '{warpedVolume.GetName()}'; choose another output volume.")
    if warpedVolume is not None and warpedVolume.GetClassName() != "vtkMRMLScalarVolumeNode":
        raise ValueError(f"'{warpedVolume.GetName()}' is no scalar volume; choose a new one for the warped slice.")


def showSliceResult(
    pair: SlicePair, registration: RegistrationResult, outputs: SliceOutputs, exact: bool = True
) -> SliceRegistration:
    """Puts the result into the given nodes, or new ones, and the moving volume under the transform.

    Args:
        pair: What was registered.
        registration: Its result.
        outputs: Receive it.
        exact: Take the warped slice from the volume itself; otherwise from the slice that the network saw, which is
            interpolated twice but takes no time, as live updates need.

    Raises:
        ValueError: A volume was deleted meanwhile.
    """
    _checkThere(pair)
    vectors = gridOf(pair.plane).displacement_to_ras(registration.displacement)[0].movedim(0, -1).numpy()
    grid = gridTransform(pair.plane, vectors + pair.offset, outputs.thisSliceOnly)
    transform = composedTransform(grid, pair.initial, pair.prealignmentMatrix)
    if exact:  # May refuse, so before the scene changes.
        with _quick(grid):
            pixels = sampleVolume(pair.movingVolume, pair.plane, transform).pixels
    else:
        pixels = registration.warped[0, 0].numpy()
    transformNode, warpedVolume = _fillNodes(pair, transform, pixels, pair.plane, outputs)
    if registration.plan.optimisation is not None:  # Only the optimisation obeys landmarks.
        setFittedLandmarks(transformNode, _landmarkErrors(pair, registration))
    return SliceRegistration(transformNode, warpedVolume, pair, registration)


def showStackResult(
    pair: SlicePair, plane: SlicePlane, displacement: torch.Tensor, outputs: SliceOutputs
) -> tuple[slicer.vtkMRMLTransformNode, slicer.vtkMRMLScalarVolumeNode]:
    """As ``showSliceResult`` for many slices.

    Args:
        pair: Of one of them.
        plane: Of the first; the others follow along its normal.
        displacement: ``(N, 2, rows, columns)``, voxels of the plane.
        outputs: Receive it.
    """
    _checkThere(pair)
    vectors = gridOf(plane).displacement_to_ras(displacement).movedim(1, -1).numpy()
    grid = gridTransform(plane, vectors, outputs.thisSliceOnly)
    transform = composedTransform(grid, pair.initial, pair.prealignmentMatrix)
    with _quick(grid):
        pixels = sampleStack(pair.movingVolume, plane, len(displacement), transform)
    return _fillNodes(pair, transform, pixels, plane, outputs)


def _landmarkErrors(pair: SlicePair, registration: RegistrationResult) -> dict[str, float | None]:
    """Label to leave-one-out error of the steering landmarks, mm; ``None`` where it was not estimated."""
    if registration.landmark_errors is None:
        return dict.fromkeys(pair.steeringLabels)
    errors = [round(error, 4) for error in registration.landmark_errors.tolist()]
    return dict(zip(pair.steeringLabels, errors, strict=True))


def _fillNodes(
    pair: SlicePair, transform: vtk.vtkAbstractTransform, pixels: np.ndarray, plane: SlicePlane, outputs: SliceOutputs
) -> tuple[slicer.vtkMRMLTransformNode, slicer.vtkMRMLScalarVolumeNode]:
    scene, name = pair.fixedVolume.GetScene(), pair.movingVolume.GetName()
    transformNode, warpedVolume = outputs.transformNode, outputs.warpedVolume
    if transformNode is None or transformNode.GetScene() is None:  # Deleted while the work went on.
        transformNode = scene.AddNewNodeByClass("vtkMRMLTransformNode", f"{name} to {pair.fixedVolume.GetName()}")
    if warpedVolume is None or warpedVolume.GetScene() is None:
        warpedVolume = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", f"{name} warped")
    setResultTransform(transformNode, transform, pair.initial, pair.fixedVolume, pair.movingVolume)
    fillSliceVolume(warpedVolume, pixels, plane, like=pair.movingVolume)
    return transformNode, warpedVolume


def _checkThere(pair: SlicePair) -> None:
    for what, volume in (("fixed", pair.fixedVolume), ("moving", pair.movingVolume)):
        if volume.GetScene() is None:
            raise ValueError(f"The {what} volume '{volume.GetName()}' was deleted meanwhile; choose another one.")


@contextmanager
def _quick(grid: slicer.vtkOrientedGridTransform) -> Iterator[None]:
    """Linear while its own nodes are sampled, where a cubic gives the same values in twice the time."""
    grid.SetInterpolationModeToLinear()
    yield
    grid.SetInterpolationModeToCubic()
