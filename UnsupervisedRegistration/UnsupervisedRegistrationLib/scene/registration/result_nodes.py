"""Registration results as nodes of a scene."""

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
from ...core.registration.plan import HALF_TRUST_MM as HALF_TRUST_MM  # For the legend of the trust map.
from ...core.registration.result import RegistrationResult
from ...core.registration.uncertainty import trust_from_error
from ...core.spatial.deformation import jacobian_determinant
from ..geometry.grid_transform import gridTransform
from ..geometry.planes import SlicePlane
from ..geometry.registered_slices import setRegisteredSlices
from ..geometry.result_transform import checkOutputTransform, setFittedLandmarks, setResultTransform
from ..geometry.sampling import sampleStack, sampleVolume
from ..geometry.transforms import composedTransform
from ..geometry.volumes import fillSliceVolume
from ..result_folder import putIntoFolder, uniqueName
from .slice_pair import SlicePair, gridOf


@dataclass(frozen=True)
class SliceOutputs:
    """Output nodes of a registration.

    Attributes:
        transformNode: Receives the displacement; ``None`` creates a node.
        warpedVolume: Receives the warped slice; ``None`` creates a node.
        thisSliceOnly: Whether only the registered slices are deformed; otherwise all slices of the volume are.
    """

    transformNode: slicer.vtkMRMLTransformNode | None = None
    warpedVolume: slicer.vtkMRMLScalarVolumeNode | None = None
    thisSliceOnly: bool = True


@dataclass(frozen=True)
class SliceRegistration:
    """A result in the scene.

    Attributes:
        transformNode: Parent transform of the moving volume.
        warpedVolume: The warped slice on the pixels of the fixed slice.
        pair: The registered slices.
        registration: Displacement, measures and times.
    """

    transformNode: slicer.vtkMRMLTransformNode
    warpedVolume: slicer.vtkMRMLScalarVolumeNode
    pair: SlicePair
    registration: RegistrationResult

    @property
    def notes(self) -> tuple[str, ...]:
        """One sentence for each change of the images."""
        return tuple(dict.fromkeys(self.pair.notes + self.registration.notes))

    @property
    def warpedPixels(self) -> np.ndarray:
        """``(rows, columns)`` of the warped volume."""
        return slicer.util.arrayFromVolume(self.warpedVolume)[0]

    def covers(self, points: np.ndarray) -> np.ndarray:
        """``(N,)`` bool, true for ``(N, 3)`` points on the slice, RAS mm."""
        return self.pair.plane.distances(points) <= self.pair.plane.thickness / 2

    @property
    def firstPlane(self) -> SlicePlane:
        """Plane of the first registered slice; the others follow along its normal."""
        return self.pair.plane

    @property
    def allSlices(self) -> RegistrationResult:
        """The result with the displacements of all registered slices, in the order of ``firstPlane``."""
        return self.registration

    @property
    def inverses(self) -> torch.Tensor:
        """Inverse displacements of all registered slices, ``(slices, 2, rows, columns)``, voxels."""
        return self.registration.inverse

    @property
    def jacobians(self) -> np.ndarray:
        """Jacobian determinants of all registered slices, ``(slices, rows, columns)``."""
        return jacobian_determinant(self.allSlices.displacement)[:, 0].numpy()

    @property
    def jacobian(self) -> np.ndarray:
        """Jacobian determinant, ``(rows, columns)``; 0 and below is folding."""
        return jacobian_determinant(self.registration.displacement)[0, 0].numpy()

    @property
    def inverseConsistency(self) -> np.ndarray:
        """Inverse consistency error of each pixel, ``(rows, columns)`` mm."""
        forward, inverse = self.registration.displacement, self.registration.inverse
        return inverse_consistency_error(forward, inverse, gridOf(self.pair.plane))[0, 0].numpy()

    @property
    def expectedError(self) -> np.ndarray | None:
        """Expected error of each pixel, ``(rows, columns)`` mm; ``None`` if it was not estimated."""
        error = self.registration.expected_error
        return None if error is None else error[0, 0].numpy()

    @property
    def trust(self) -> np.ndarray | None:
        """Trust map, ``(rows, columns)``, 0..1; ``None`` if the error was not estimated."""
        error = self.registration.expected_error
        return None if error is None else trust_from_error(error)[0, 0].numpy()

    @property
    def sourcePositions(self) -> tuple[np.ndarray, np.ndarray]:
        """Row and column in the moving slice of each pixel of the fixed slice, in fixed pixels."""
        rows, columns = np.indices(self.pair.plane.shape) + self.registration.displacement[0].numpy()
        return rows, columns


def checkOutputNodes(pair: SlicePair, outputs: SliceOutputs, masks: tuple[slicer.vtkMRMLNode | None, ...] = ()) -> None:
    """Refuse output nodes that cannot hold the result, or that hold an input.

    Raises:
        ValueError: A node cannot be used.
    """
    transformNode, warpedVolume = outputs.transformNode, outputs.warpedVolume
    if transformNode is not None:
        sameVolume = pair.fixedVolume is pair.movingVolume
        fixedParent = pair.initial if sameVolume else pair.fixedVolume.GetParentTransformNode()
        checkOutputTransform(transformNode, fixedParent, pair.initial)
    if warpedVolume is not None and warpedVolume in (pair.fixedVolume, pair.movingVolume, *masks):
        raise ValueError(f"The warped slice would overwrite '{warpedVolume.GetName()}'; choose another output volume.")
    if warpedVolume is not None and warpedVolume.GetClassName() != "vtkMRMLScalarVolumeNode":
        raise ValueError(f"'{warpedVolume.GetName()}' is not a scalar volume; choose a new one for the warped slice.")


def showSliceResult(
    pair: SlicePair, registration: RegistrationResult, outputs: SliceOutputs, exact: bool = True
) -> SliceRegistration:
    """Fill the output nodes, and put the moving volume under the result transform.

    Args:
        pair: The registered slices.
        registration: Their result.
        outputs: Output nodes.
        exact: Whether the warped slice is sampled from the volume. Otherwise the sampled slice is warped, which
            interpolates twice but takes no time, as live updates need.

    Raises:
        ValueError: A volume was deleted during the registration.
    """
    _checkVolumes(pair)
    vectors = gridOf(pair.plane).displacement_to_ras(registration.displacement)[0].movedim(0, -1).numpy()
    grid = gridTransform(pair.plane, vectors + pair.offset, outputs.thisSliceOnly)
    transform = composedTransform(grid, pair.initial, pair.prealignmentMatrix)
    if exact:  # Sampling may raise, so it comes before the scene changes.
        with _linearly(grid):
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
    """``showSliceResult`` for several slices.

    Args:
        pair: One of the slices.
        plane: Plane of the first slice; the others follow along its normal.
        displacement: ``(N, 2, rows, columns)``, voxels of the plane.
        outputs: Output nodes.
    """
    _checkVolumes(pair)
    vectors = gridOf(plane).displacement_to_ras(displacement).movedim(1, -1).numpy()
    grid = gridTransform(plane, vectors, outputs.thisSliceOnly)
    transform = composedTransform(grid, pair.initial, pair.prealignmentMatrix)
    with _linearly(grid):
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
    if transformNode is None or transformNode.GetScene() is None:  # Deleted during the registration.
        toFixed = uniqueName(scene, f"{name} to {pair.fixedVolume.GetName()}")
        transformNode = scene.AddNewNodeByClass("vtkMRMLTransformNode", toFixed)
        putIntoFolder(transformNode)
    if warpedVolume is None or warpedVolume.GetScene() is None:
        warpedVolume = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", uniqueName(scene, f"{name} warped"))
        putIntoFolder(warpedVolume)
    setRegisteredSlices(transformNode, plane, 1 if pixels.ndim == 2 else len(pixels))
    setResultTransform(transformNode, transform, pair.initial, pair.fixedVolume, pair.movingVolume)
    fillSliceVolume(warpedVolume, pixels, plane, like=pair.movingVolume)
    return transformNode, warpedVolume


def _checkVolumes(pair: SlicePair) -> None:
    for what, volume in (("fixed", pair.fixedVolume), ("moving", pair.movingVolume)):
        if volume.GetScene() is None:
            raise ValueError(
                f"The {what} volume '{volume.GetName()}' was deleted during the registration; choose another one."
            )


@contextmanager
def _linearly(grid: slicer.vtkOrientedGridTransform) -> Iterator[None]:
    """Interpolate the grid linearly while it is sampled at its own nodes: same values as cubic in half the time."""
    grid.SetInterpolationModeToLinear()
    yield
    grid.SetInterpolationModeToCubic()
