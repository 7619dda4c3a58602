"""Gathers what a quality report is computed from: images, transform, structures and landmarks of both sides."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields

import numpy as np
import slicer
import slicer.util
import torch
import vtk

from ...core.evaluation.report_items import ComparedImages, Evidence, LandmarkErrors
from ..geometry.planes import SlicePlane
from ..geometry.result_transform import fittedLandmarks
from ..geometry.sampling import sampleMask, sampleSlices
from ..geometry.transforms import inSeries, mapPoints, worldToLocal
from ..landmarks.pairing import pairLandmarks
from ..registration.foreground_mask import foregroundOf
from .moving_space import MovingSpace, movingSpace
from .report_region import ReportRegion, regionOf
from .structures import structurePairs
from .transform_coverage import isDefined

MOST_FIELD_VOXELS = 4_000_000
"""Voxels on which the displacement of a volume is sampled; 4 million need about 2 GB."""
MOST_IMAGE_VOXELS = 250_000
"""Voxels on which intensities are compared."""
MOST_INVERTED_POINTS = 20_000
"""Points at which the transform is inverted."""


@dataclass(frozen=True)
class ReportInputs:
    """What a report is about.

    Attributes:
        fixedVolume: Fixed volume.
        movingVolume: Moving volume, under the transform or not.
        transformNode: Of any kind; from fixed to moving positions, as the parent transform of the moving volume.
        plane: Slice to report on; ``None`` is the whole fixed volume.
        mask: Outline of the patient on the fixed image; by default the foreground.
        fixedStructures: Segmentation or labelmap of the fixed image.
        movingStructures: Likewise of the moving image; structures are paired by name.
        fixedLandmarks: Point list of the fixed image.
        movingLandmarks: Point list of the moving image; points are paired by label.
    """

    fixedVolume: slicer.vtkMRMLVolumeNode
    movingVolume: slicer.vtkMRMLVolumeNode
    transformNode: slicer.vtkMRMLTransformNode
    plane: SlicePlane | None = None
    mask: slicer.vtkMRMLNode | None = None
    fixedStructures: slicer.vtkMRMLNode | None = None
    movingStructures: slicer.vtkMRMLNode | None = None
    fixedLandmarks: slicer.vtkMRMLMarkupsNode | None = None
    movingLandmarks: slicer.vtkMRMLMarkupsNode | None = None

    def checkNodes(self) -> None:
        """Refuse nodes that are no longer in a scene, and structures or landmarks of one side only.

        Raises:
            ValueError: Something is missing.
        """
        for field in fields(self):
            node = getattr(self, field.name)
            if isinstance(node, vtk.vtkObject) and node.GetScene() is None:
                raise ValueError(f"'{node.GetName()}' was deleted; choose another node and make the report again.")
        for what, first, second in (
            ("structures", self.fixedStructures, self.movingStructures),
            ("landmarks", self.fixedLandmarks, self.movingLandmarks),
        ):
            if (first is None) != (second is None):
                side = "moving" if second is None else "fixed"
                raise ValueError(f"The {what} of the {side} image are missing; give those of both images, or none.")


@dataclass(frozen=True)
class GatheredEvidence:
    """Evidence, and what must be said about it.

    Attributes:
        evidence: What the items are computed from.
        region: Where.
        space: Transform and moving image.
        throughSlice: Largest displacement out of the slice, mm; ``None`` for a volume.
        landmarkPositions: Fixed landmarks that were measured, ``(N, 3)`` world RAS mm.
        advisories: One sentence for each thing that was left out or not measured.
    """

    evidence: Evidence
    region: ReportRegion
    space: MovingSpace
    throughSlice: float | None
    landmarkPositions: np.ndarray
    advisories: tuple[str, ...]


def gatherEvidence(inputs: ReportInputs) -> GatheredEvidence:
    """Sample everything on the voxels of the fixed image; the scene is not changed.

    Raises:
        ValueError: Nodes do not belong together, miss the region, or cannot be used; the sentence says which.
    """
    inputs.checkNodes()
    space = movingSpace(inputs.fixedVolume, inputs.movingVolume, inputs.transformNode)
    full = regionOf(inputs.fixedVolume, inputs.plane)
    region = full.coarsened(MOST_FIELD_VOXELS)
    with _quietly():
        outline = outlineOf(inputs, region)
        voxels, covered = _displacement(space, region, outline)
        nodes = (inputs.fixedStructures, inputs.movingStructures)
        structures, remarks = structurePairs(*nodes, space, region)
        landmarks, positions, notes = _landmarks(inputs, space, region)
        images = _images(inputs, space, full.coarsened(MOST_IMAGE_VOXELS))
        consistency = _consistency(space, region.positions[outline])
    axes = (1, 0) if region.isSlice else (2, 1, 0)  # Array axes are in the opposite order of i, j, k.
    evidence = Evidence(
        grid=region.grid,
        displacement=torch.from_numpy(np.ascontiguousarray(np.stack([voxels[..., axis] for axis in axes])))[None],
        outline=torch.from_numpy(outline),
        images=images,
        consistency=torch.from_numpy(consistency),
        covered=covered,
        structures=structures,
        landmarks=landmarks,
        voxel=region.voxel,
    )
    through = float(np.abs(voxels[..., 2][outline]).max()) * region.plane.thickness if region.isSlice else None
    return GatheredEvidence(evidence, region, space, through, positions, (*_coarse(region), *remarks, *notes))


def outlineOf(inputs: ReportInputs, region: ReportRegion) -> np.ndarray:
    """The patient on the voxels of a region, ``(*shape)`` bool: the mask, or the foreground of each slice.

    Raises:
        ValueError: The mask has no voxel there, or the fixed volume misses the region.
    """
    if inputs.mask is not None:
        return sampleMask(inputs.mask, region.plane, count=region.count).reshape(region.shape)
    fixed = sampleSlices(inputs.fixedVolume, region.plane, region.count, _own(inputs.fixedVolume))
    if not fixed.inside.any():
        raise ValueError(f"The fixed volume does not meet the {region.name}; choose another slice.")
    outline = np.stack([foregroundOf(pixels) for pixels in fixed.pixels]) & fixed.inside
    return outline.reshape(region.shape)


def _own(node: slicer.vtkMRMLTransformableNode) -> vtk.vtkAbstractTransform:
    return worldToLocal(node.GetParentTransformNode())


def _displacement(space: MovingSpace, region: ReportRegion, outline: np.ndarray) -> tuple[np.ndarray, float]:
    """Displacement ``(*shape, 3)`` along i, j, k in voxels, and the share of the outline where it is defined.

    Raises:
        ValueError: It is not finite.
    """
    positions = region.positions
    vectors = mapPoints(space.forward, positions.reshape(-1, 3)).reshape(positions.shape) - positions
    if not np.isfinite(vectors).all():
        raise ValueError(
            f"The transform '{space.transformNode.GetName()}' has values that are NaN or infinite; compute it again."
        )
    covered = isDefined(space.fromWorld, positions[outline]).mean()
    return vectors @ np.linalg.inv(region.plane.ijkToRas[:3, :3]).T, float(covered)


def _consistency(space: MovingSpace, points: np.ndarray) -> np.ndarray:
    """Distance of points ``(N, 3)`` from themselves after the transform and its inverse, mm; infinite if not finite."""
    chosen = points[:: max(len(points) // MOST_INVERTED_POINTS, 1)]
    again = mapPoints(inSeries(space.fromWorld, space.fromWorld.GetInverse()), chosen)
    return np.nan_to_num(np.linalg.norm(again - chosen, axis=1), nan=np.inf)


def _images(inputs: ReportInputs, space: MovingSpace, region: ReportRegion) -> ComparedImages:
    """Intensities inside the outline, where the moving image covers it.

    Raises:
        ValueError: The transform maps the outline to where there is no moving image.
    """

    def sample(fromWorld: vtk.vtkAbstractTransform) -> tuple[np.ndarray, np.ndarray]:
        sampled = sampleSlices(inputs.movingVolume, region.plane, region.count, fromWorld)
        return sampled.pixels.reshape(region.shape), sampled.inside.reshape(region.shape)

    after, inside = sample(space.fromWorld)
    counted = outlineOf(inputs, region) & inside
    if not counted.any():
        raise ValueError(
            f"The transform '{space.transformNode.GetName()}' maps the patient's outline to where the moving volume"
            f" '{inputs.movingVolume.GetName()}' has no voxels; check that it belongs to these volumes, and its"
            " direction."
        )
    fixed = sampleSlices(inputs.fixedVolume, region.plane, region.count, _own(inputs.fixedVolume)).pixels
    images = (fixed.reshape(region.shape), sample(space.before)[0], after, sample(space.reverse)[0])
    return ComparedImages(*(torch.from_numpy(image[counted]) for image in images))


def _landmarks(
    inputs: ReportInputs, space: MovingSpace, region: ReportRegion
) -> tuple[LandmarkErrors | None, np.ndarray, list[str]]:
    """Errors of the landmarks on the region, their fixed positions, and a remark on those off the slice.

    Raises:
        ValueError: The lists do not pair.
    """
    first, second = inputs.fixedLandmarks, inputs.movingLandmarks
    if first is None or second is None:
        return None, np.zeros((0, 3)), []
    pairs = pairLandmarks(first, second)
    fixed = np.reshape([first.GetNthControlPointPositionWorld(index) for _, index, _ in pairs], (-1, 3))
    placed = np.reshape([second.GetNthControlPointPosition(index) for _, _, index in pairs], (-1, 3))
    local = mapPoints(space.toNode(second).GetInverse(), placed)
    moving = mapPoints(space.before.GetInverse(), local)
    fitted = fittedLandmarks(inputs.transformNode)
    errors = LandmarkErrors(
        torch.from_numpy(fixed - moving),
        torch.from_numpy(mapPoints(space.forward, fixed) - moving),
        torch.tensor([label in fitted for label, _, _ in pairs]),
    )
    on = region.plane.distances(fixed) <= region.plane.thickness / 2 if region.isSlice else np.ones(len(fixed), bool)
    if on.all():
        return errors, fixed, []
    remark = f"{int((~on).sum())} of {len(on)} landmarks lie off the {region.name} and were not measured."
    return (errors.select(torch.from_numpy(on)) if on.any() else None), fixed[on], [remark]


def _coarse(region: ReportRegion) -> list[str]:
    if region.step == 1:
        return []
    sentence = (
        "The volume is large: the displacement was sampled at every {step}. row and column; smaller folds are missed."
    )
    return [sentence.format(step=region.step)]


@contextmanager
def _quietly() -> Iterator[None]:
    """Without VTK's warning for every point at which a folded transform cannot be inverted."""
    shown = vtk.vtkObject.GetGlobalWarningDisplay()
    vtk.vtkObject.GlobalWarningDisplayOff()
    try:
        yield
    finally:
        vtk.vtkObject.SetGlobalWarningDisplay(shown)
