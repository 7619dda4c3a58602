"""The two slices to register, taken from the scene."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import slicer
import torch
import vtk

from ...core.registration.landmark_constraint import LandmarkPairs
from ...core.registration.prealignment import PlanarImage, align_in_plane, check_kind
from ...core.registration.prealignment import Prealignment as Prealignment
from ..geometry.planes import SlicePlane, localIjkToRas, planeFromIndex, shiftedPlane, volumeSize
from ..geometry.result_transform import initialTransformOf
from ..geometry.sampling import SampledSlice, sampleMask, sampleVolume
from ..geometry.transforms import transformPoints, withPrealignment, worldToLocal
from ..landmarks.pairing import pairedPoints

WIDE_PIXELS = 256  # Along the longer side of the image of the whole moving volume; pre-alignment compares 72.


@dataclass(frozen=True)
class SlicePair:
    """What the network needs, taken from the scene.

    Attributes:
        plane: Where the fixed slice lies; the outcome belongs to it.
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
        remarks: What was done beyond the sampling, in words.
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
    remarks: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done to the images, in words."""
        return tuple(dict.fromkeys(self.fixed.notes + self.moving.notes + self.remarks))


def samplePair(
    fixedVolume: slicer.vtkMRMLVolumeNode,
    movingVolume: slicer.vtkMRMLVolumeNode,
    plane: SlicePlane | None = None,
    movingOffset: np.ndarray | None = None,
    maskNode: slicer.vtkMRMLNode | None = None,
    movingMaskNode: slicer.vtkMRMLNode | None = None,
    prealignment: Prealignment | np.ndarray = "none",
) -> SlicePair:
    """Both slices as pixels of one plane; reads the scene and leaves it as it is.

    See ``registerSlice`` for the arguments.
    """
    if fixedVolume is movingVolume and movingOffset is None:
        raise ValueError("Fixed and moving are the same volume; choose two, or two different slices of it.")
    plane = plane or planeFromIndex(fixedVolume)
    offset = np.zeros(3) if movingOffset is None else np.asarray(movingOffset, dtype=float)
    initial = initialTransformOf(movingVolume)
    # Of two slices of one volume the fixed one must not be seen through an earlier outcome.
    fixed = sampleVolume(fixedVolume, plane, worldToLocal(initial) if fixedVolume is movingVolume else None)
    mask = None if maskNode is None else sampleMask(maskNode, plane)
    source, prealignmentMatrix, remarks = shiftedPlane(plane, offset), None, ()
    if isinstance(prealignment, np.ndarray):
        prealignmentMatrix = prealignment
    elif prealignment != "none":
        check_kind(prealignment)
        matrix, sentence = _prealigned(plane, offset, fixed, mask, movingVolume, initial, prealignment)
        prealignmentMatrix, remarks = None if np.array_equal(matrix, np.eye(4)) else matrix, (sentence,)
    fromWorld = withPrealignment(prealignmentMatrix, worldToLocal(initial))
    moving = sampleVolume(movingVolume, source, fromWorld)
    if not (fixed.inside & moving.inside).any():
        raise ValueError(
            f"'{fixedVolume.GetName()}' and '{movingVolume.GetName()}' do not overlap on the {plane.name};"
            " place one over the other with a transform first."
        )
    movingMask = None if movingMaskNode is None else sampleMask(movingMaskNode, source, fromWorld)
    return SlicePair(
        plane, offset, fixed, moving, mask, fixedVolume, movingVolume, initial, movingMask, prealignmentMatrix, remarks
    )


def prealign(pair: SlicePair, kind: Prealignment) -> tuple[np.ndarray, str]:
    """In-plane alignment of a pair on top of its initial placement; see ``align_in_plane``."""
    return _prealigned(pair.plane, pair.offset, pair.fixed, pair.mask, pair.movingVolume, pair.initial, kind)


def _prealigned(
    plane: SlicePlane,
    offset: np.ndarray,
    fixed: SampledSlice,
    mask: np.ndarray | None,
    movingVolume: slicer.vtkMRMLVolumeNode,
    initial: slicer.vtkMRMLTransformNode | None,
    kind: Prealignment,
) -> tuple[np.ndarray, str]:
    """Compares the fixed slice with all that the moving volume has in the plane, beyond the fixed rectangle too."""
    fromWorld = worldToLocal(initial)
    wide = coveringPlane(shiftedPlane(plane, offset), movingVolume, fromWorld)
    whole = sampleVolume(movingVolume, wide, fromWorld)
    moving = PlanarImage(whole.pixels, whole.inside, shiftedPlane(wide, -offset).ijkToRas)
    return align_in_plane(PlanarImage(fixed.pixels, fixed.inside, plane.ijkToRas), moving, kind, mask)


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
    """Landmarks as what ``core.refine`` understands, without those off the slice, and what was left out, in words.

    Returns:
        Pairs in voxels of the plane, or ``None`` if none lies on it; sentences.

    Raises:
        ValueError: The landmarks do not pair.
    """
    fixed, moving = pairedPoints(fixedNode, movingNode, pair.initial)
    if pair.prealignmentMatrix is not None:
        moving = transformPoints(np.linalg.inv(pair.prealignmentMatrix), moving)
    moving = moving - pair.offset
    near = (pair.plane.distances(fixed) <= pair.plane.thickness / 2) & (
        pair.plane.distances(moving) <= pair.plane.thickness / 2
    )
    away = int((~near).sum())
    remarks = () if not away else (f"{away} of {len(near)} landmarks lie off the slice and did not steer",)
    if not near.any():
        return None, remarks
    toVoxels = np.linalg.inv(pair.plane.ijkToRas)
    voxels = [transformPoints(toVoxels, points[near])[:, [1, 0]] for points in (fixed, moving)]
    return LandmarkPairs(*(torch.from_numpy(np.ascontiguousarray(v, dtype=np.float32)) for v in voxels)), remarks
