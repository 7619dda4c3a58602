"""The two slices to register, taken from the scene."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
import slicer
import torch
import vtk

from ...core.registration.image_pair import ImagePair
from ...core.registration.landmark_constraint import LandmarkPairs
from ...core.registration.prealignment import PlanarImage
from ...core.spatial.grid import ImageGrid
from ..geometry.planes import SlicePlane, localIjkToRas, planeFromIndex, shiftedPlane, volumeSize
from ..geometry.result_transform import initialTransformOf
from ..geometry.sampling import SampledSlice, sampleMask, sampleVolume
from ..geometry.transforms import transformPoints, withPrealignment, worldToLocal
from ..landmarks.pairing import pairedPoints, pairLandmarks

WIDE_PIXELS = 256  # Along the longer side of the image of the whole moving volume; pre-alignment compares 72.


Landmarks = tuple[slicer.vtkMRMLMarkupsNode, slicer.vtkMRMLMarkupsNode]
"""Point lists of the fixed and the moving image."""


@dataclass(frozen=True)
class SliceInputs:
    """What is registered, as nodes of a scene.

    Attributes:
        fixedVolume: Stays where it is.
        movingVolume: Is put under the result. A transform it lies under already is its initial transform and stays
            part of the result.
        plane: Of the fixed slice; ``None`` takes the middle slice.
        movingOffset: From this plane to that of the moving slice, RAS mm; ``None`` if they are the same plane.
        maskNode: Segmentation or labelmap volume; the region that matters.
        movingMaskNode: The same on the moving image, with which it moves.
        landmarks: Lists whose pairs on the slice steer the optimisation.
        initialTransform: The moving volume is put under it before anything else.
    """

    fixedVolume: slicer.vtkMRMLVolumeNode
    movingVolume: slicer.vtkMRMLVolumeNode
    plane: SlicePlane | None = None
    movingOffset: np.ndarray | None = None
    maskNode: slicer.vtkMRMLNode | None = None
    movingMaskNode: slicer.vtkMRMLNode | None = None
    landmarks: Landmarks | None = None
    initialTransform: slicer.vtkMRMLTransformNode | None = None


@dataclass(frozen=True)
class SlicePair:
    """What the network needs, taken from the scene.

    Attributes:
        plane: Where the fixed slice lies; the result belongs to it.
        offset: From this plane to that of the moving slice, RAS mm.
        fixed: Sampled fixed volume.
        moving: Sampled moving volume.
        mask: ``(rows, columns)`` bool, or ``None``.
        fixedVolume: Node it came from.
        movingVolume: Node it came from.
        initial: Transform that places the moving volume, or ``None``.
        movingMask: Like ``mask``, of the moving image.
        prealignmentMatrix: ``(4, 4)``, applied before the initial transform, from fixed to moving; ``None`` if the
            images stay as they lie.
        steeringLabels: Labels of the landmarks on the slice that may steer the optimisation.
    """

    plane: SlicePlane
    offset: np.ndarray
    fixed: SampledSlice
    moving: SampledSlice
    mask: np.ndarray | None
    fixedVolume: slicer.vtkMRMLVolumeNode
    movingVolume: slicer.vtkMRMLVolumeNode
    initial: slicer.vtkMRMLTransformNode | None
    movingMask: np.ndarray | None = None
    prealignmentMatrix: np.ndarray | None = None
    steeringLabels: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What the sampling did to the images, a sentence each."""
        return tuple(dict.fromkeys(self.fixed.notes + self.moving.notes))


def samplePair(inputs: SliceInputs, matrix: np.ndarray | None = None) -> SlicePair:
    """Both slices as pixels of one plane; reads the scene and leaves it as it is.

    Args:
        inputs: What is registered.
        matrix: ``(4, 4)`` pre-alignment from fixed to moving, RAS mm; ``None`` if the images stay as they lie.

    Raises:
        ValueError: A volume is empty, or fixed and moving slice are the same.
    """
    fixedVolume, movingVolume = inputs.fixedVolume, inputs.movingVolume
    if fixedVolume is movingVolume and inputs.movingOffset is None:
        raise ValueError("Fixed and moving are the same volume; choose two, or two different slices of it.")
    plane = inputs.plane or planeFromIndex(fixedVolume)
    offset = np.zeros(3) if inputs.movingOffset is None else np.asarray(inputs.movingOffset, dtype=float)
    initial = initialTransformOf(movingVolume)
    # Of two slices of one volume the fixed one must not be seen through an earlier result.
    fixed = sampleVolume(fixedVolume, plane, worldToLocal(initial) if fixedVolume is movingVolume else None)
    source, fromWorld = shiftedPlane(plane, offset), withPrealignment(matrix, worldToLocal(initial))
    return SlicePair(
        plane,
        offset,
        fixed,
        sampleVolume(movingVolume, source, fromWorld),
        None if inputs.maskNode is None else sampleMask(inputs.maskNode, plane),
        fixedVolume,
        movingVolume,
        initial,
        None if inputs.movingMaskNode is None else sampleMask(inputs.movingMaskNode, source, fromWorld),
        matrix,
    )


class SliceSource:
    """Slices of the scene as the core's pre-alignment asks for them; see ``core.registration.image_pair.ImageSource``.

    Args:
        inputs: What is registered.
        matrix: ``(4, 4)`` pre-alignment that is known already; ``None`` if there is none.

    Attributes:
        pair: As it was sampled last.
    """

    def __init__(self, inputs: SliceInputs, matrix: np.ndarray | None = None) -> None:
        """Sample the slices as they lie, or under the pre-alignment that is known."""
        self._inputs = inputs
        self.pair = samplePair(inputs, matrix)

    @property
    def fixed_slice(self) -> PlanarImage:
        """The fixed slice."""
        return PlanarImage(self.pair.fixed.pixels, self.pair.fixed.inside, self.pair.plane.ijkToRas)

    @property
    def moving_slice(self) -> PlanarImage:
        """All that the moving volume has in the plane."""
        pair, fromWorld = self.pair, worldToLocal(self.pair.initial)
        wide = coveringPlane(shiftedPlane(pair.plane, pair.offset), pair.movingVolume, fromWorld)
        whole = sampleVolume(pair.movingVolume, wide, fromWorld)
        return PlanarImage(whole.pixels, whole.inside, shiftedPlane(wide, -pair.offset).ijkToRas)

    @property
    def mask(self) -> np.ndarray | None:
        """The mask of the fixed slice."""
        return self.pair.mask

    def sample(self, matrix: np.ndarray | None) -> ImagePair:
        """The images under a pre-alignment.

        Raises:
            ValueError: They do not overlap, or the landmarks do not pair.
        """
        if matrix is not None:
            self.pair = samplePair(self._inputs, matrix)
        pair = self.pair
        if not (pair.fixed.inside & pair.moving.inside).any():
            raise ValueError(
                f"'{pair.fixedVolume.GetName()}' and '{pair.movingVolume.GetName()}' do not overlap on the"
                f" {pair.plane.name}; place one over the other with a transform first."
            )
        points: LandmarkPairs | None = None
        remarks: tuple[str, ...] = ()
        if self._inputs.landmarks is not None:
            points, remarks = landmarksInPlane(pair, *self._inputs.landmarks)
            self.pair = replace(pair, steeringLabels=labelsInPlane(pair, *self._inputs.landmarks))
        return replace(imagesOf(pair), landmarks=points, notes=remarks)


def imagesOf(pair: SlicePair) -> ImagePair:
    """The pixels of a pair as the core takes them."""
    return ImagePair(
        fixed=_tensor(pair.fixed.pixels),
        moving=_tensor(pair.moving.pixels),
        grid=gridOf(pair.plane),
        mask=_maskTensor(pair.mask),
        moving_mask=_maskTensor(pair.movingMask),
        fixed_inside=_coverage(pair.fixed.inside),
        moving_inside=_coverage(pair.moving.inside),
        prealignment=pair.prealignmentMatrix,
    )


def gridOf(plane: SlicePlane) -> ImageGrid:
    """The pixels of a plane as ``core`` knows them."""
    return ImageGrid(plane.shape, torch.from_numpy(plane.ijkToRas))


def _coverage(inside: np.ndarray) -> torch.Tensor | None:
    return None if inside.all() else _maskTensor(inside)


def _maskTensor(mask: np.ndarray | None) -> torch.Tensor | None:
    return None if mask is None else _tensor(mask.astype(np.float32))


def _tensor(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels))[None, None]


def coveringPlane(
    plane: SlicePlane, volumeNode: slicer.vtkMRMLVolumeNode, fromWorld: vtk.vtkAbstractTransform
) -> SlicePlane:
    """The same plane with a rectangle that covers a volume, at most ``WIDE_PIXELS`` pixels along its longer side.

    Args:
        plane: Gives position and directions.
        volumeNode: The volume to cover.
        fromWorld: From the world to the RAS space of the volume.
    """
    ends = [(-0.5, size - 0.5) for size in volumeSize(volumeNode)]
    local = np.array([[*corner, 1.0] for corner in itertools.product(*ends)]) @ localIjkToRas(volumeNode).T
    toWorld = fromWorld.GetInverse()
    world = np.array([toWorld.TransformPoint(corner[:3]) for corner in local])
    pixels = (world - plane.ijkToRas[:3, 3]) @ np.linalg.inv(plane.ijkToRas[:3, :3]).T
    low = np.minimum(np.floor(pixels[:, :2].min(axis=0)), 0)
    high = np.maximum(np.ceil(pixels[:, :2].max(axis=0)), np.array(plane.shape)[::-1] - 1)
    step = max(1.0, float((high - low).max() + 1) / WIDE_PIXELS)
    columns, rows = np.ceil((high - low + 1) / step).astype(int)
    matrix = plane.ijkToRas.copy()
    matrix[:3, 3] += matrix[:3, :2] @ low
    matrix[:3, :2] *= step
    return SlicePlane((int(rows), int(columns)), matrix, plane.name)


def landmarksInPlane(
    pair: SlicePair, fixedNode: slicer.vtkMRMLMarkupsNode, movingNode: slicer.vtkMRMLMarkupsNode
) -> tuple[LandmarkPairs | None, tuple[str, ...]]:
    """Landmarks as the core takes them, without those off the slice, and what was left out, in words.

    Returns:
        Pairs in voxels of the plane, or ``None`` if none lies on it; sentences.

    Raises:
        ValueError: The landmarks do not pair.
    """
    fixed, moving, near = _pointsInPlane(pair, fixedNode, movingNode)
    away = int((~near).sum())
    remarks = () if not away else (f"{away} of {len(near)} landmarks lie off the slice and did not steer",)
    if not near.any():
        return None, remarks
    toVoxels = np.linalg.inv(pair.plane.ijkToRas)
    voxels = [transformPoints(toVoxels, points[near])[:, [1, 0]] for points in (fixed, moving)]
    return LandmarkPairs(*(torch.from_numpy(np.ascontiguousarray(v, dtype=np.float32)) for v in voxels)), remarks


def labelsInPlane(
    pair: SlicePair, fixedNode: slicer.vtkMRMLMarkupsNode, movingNode: slicer.vtkMRMLMarkupsNode
) -> tuple[str, ...]:
    """Labels of the landmark pairs on the slice.

    Raises:
        ValueError: The landmarks do not pair.
    """
    _fixed, _moving, near = _pointsInPlane(pair, fixedNode, movingNode)
    pairs = pairLandmarks(fixedNode, movingNode)
    return tuple(label for (label, _, _), isNear in zip(pairs, near, strict=True) if isNear)


def _pointsInPlane(
    pair: SlicePair, fixedNode: slicer.vtkMRMLMarkupsNode, movingNode: slicer.vtkMRMLMarkupsNode
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fixed and pre-aligned moving points, ``(N, 3)`` RAS mm, and which pairs lie on the slice."""
    fixed, moving = pairedPoints(fixedNode, movingNode, pair.initial)
    if pair.prealignmentMatrix is not None:
        moving = transformPoints(np.linalg.inv(pair.prealignmentMatrix), moving)
    moving = moving - pair.offset
    distances = np.maximum(pair.plane.distances(fixed), pair.plane.distances(moving))
    return fixed, moving, distances <= pair.plane.thickness / 2
