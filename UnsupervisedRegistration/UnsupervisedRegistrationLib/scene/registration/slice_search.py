"""Which slice of a volume fits a given slice best: one network pass for each."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
import slicer
import slicer.util
import torch

from ...core.models.selection import DEFAULT
from ...core.registration.image_pair import ImagePair, mutual_information, registrable_pairs
from ...core.registration.options import AUTOMATIC, RegistrationOptions
from ...core.registration.pipeline import run
from ...core.registration.plan import RULES
from ...core.registration.prealignment import PlanarImage, align_in_plane
from ...core.registration.result import Progress
from ..geometry.planes import Orientation, SlicePlane, ijkToWorld, planeFromIndex, shiftedPlane, volumeSize
from ..geometry.sampling import SampledSlice, sampleSlices, sampleVolume
from ..geometry.transforms import withPrealignment, worldToLocal
from .candidate_models import openModel
from .slice_pair import coveringPlane, gridOf

COARSE_PIXELS, FINE_PIXELS = 64, 128
"""Along the longer side of the images of all slices, and of the few that fit best; networks need 64."""
REFINED = 9
"""Slices that are compared again with more pixels: neighbours of the best one differ little."""
MIN_COVERED = 0.8
"""Of the largest share of the given slice that a slice covers; similarity over a smaller part says little."""
_PARALLEL = 1 - 1e-6  # Cosine from which the slices of the volume count as parallel to the given one.


@dataclass(frozen=True)
class SliceSearch:
    """How well each slice of a volume fits a given slice, by normalised mutual information after the network, 1 to 2.

    Attributes:
        plane: Of the given slice.
        offsets: ``(N,)`` mm along the normal of ``plane``, where the compared slices lie.
        similarity: ``(N,)``, of coarse images; NaN where there is nothing.
        refined: ``(N,)``, of finer images of those that fit best; NaN for all others.
        indices: ``(N,)`` slice indices in the volume; ``None`` if its slices are not parallel to the given one.
        toVolume: ``(4, 4)`` RAS mm, from the space of the given slice to that of the volume.
        model: Name of the model.
    """

    plane: SlicePlane
    offsets: np.ndarray
    similarity: np.ndarray
    refined: np.ndarray
    indices: np.ndarray | None
    toVolume: np.ndarray
    model: str

    @property
    def best(self) -> int:
        """Number of the slice that fits best, among those that were compared."""
        return int(np.nanargmax(self.refined))

    @property
    def matrix(self) -> np.ndarray:
        """``(4, 4)`` RAS mm, from points of the given slice to the best slice in the volume."""
        shift = np.eye(4)
        shift[:3, 3] = self.offsets[self.best] * self.plane.normal
        return self.toVolume @ shift

    @property
    def name(self) -> str:
        """Of the best slice, for a person."""
        if self.indices is None:
            return f"slice {self.offsets[self.best]:.1f} mm along the normal"
        return f"slice {self.indices[self.best]}"


def findSlice(
    sliceVolume: slicer.vtkMRMLVolumeNode,
    volume: slicer.vtkMRMLVolumeNode,
    orientation: Orientation | None = None,
    options: RegistrationOptions | None = None,
    progress: Progress | None = None,
) -> SliceSearch:
    """Compare a slice with all slices of a volume that are parallel to it; the scene is not changed.

    The network alone registers each slice, and the normalised mutual information afterwards decides. If the options
    pre-align, the slices are compared a second time, under the alignment of the best one in the plane.

    Args:
        sliceVolume: Its only slice, or its middle slice, is looked for.
        volume: In which it is looked for; may be under a linear transform.
        orientation: Slices of the volume to compare, centre on centre and row on row, wherever the given slice lies;
            ``None`` takes those that are parallel to the given slice as it lies.
        options: Model, device and pre-alignment count.
        progress: Told of each stage.

    Raises:
        OSError: The model cannot be read.
        ValueError: The volume has a single slice, or none of its slices lies over the given one.
    """
    options = options or RegistrationOptions()
    plane = planeFromIndex(sliceVolume)
    toVolume = np.eye(4) if orientation is None else _centredOn(plane, volume, orientation)
    candidates = _Candidates(sliceVolume, volume, plane, toVolume, options)
    similarity = candidates.similarity(toVolume, COARSE_PIXELS, progress=progress)
    if options.prealignment != "none":
        aligned = toVolume @ candidates.alignment(toVolume, int(np.nanargmax(similarity)))
        if not np.array_equal(aligned, toVolume):
            toVolume = aligned
            similarity = candidates.similarity(toVolume, COARSE_PIXELS, progress=progress)
    likely = np.argsort(np.nan_to_num(similarity))[-REFINED:]
    refined = candidates.similarity(toVolume, FINE_PIXELS, set(likely.tolist()), progress)
    indices, model = candidates.indices, candidates.model.name
    return SliceSearch(plane, candidates.offsets, similarity, refined, indices, toVolume, model)


def _centredOn(plane: SlicePlane, volume: slicer.vtkMRMLVolumeNode, orientation: Orientation) -> np.ndarray:
    """``(4, 4)`` from the plane to the middle slice of the volume: centre on centre, row on row."""
    target = planeFromIndex(volume, orientation)
    frames = []
    for one in (plane, target):
        frame = np.eye(4)
        frame[:3, :3], frame[:3, 3] = one.ijkToRas[:3, :3] / np.linalg.norm(one.ijkToRas[:3, :3], axis=0), one.centre
        frames.append(frame)
    return frames[1] @ np.linalg.inv(frames[0])


class _Candidates:
    """The planes parallel to a slice that cover a volume, in its slice distance.

    Attributes:
        offsets: ``(N,)`` mm along the normal of the slice.
        indices: ``(N,)`` slice indices in the volume, or ``None``.
        model: Registers each.
    """

    def __init__(
        self,
        sliceVolume: slicer.vtkMRMLVolumeNode,
        volume: slicer.vtkMRMLVolumeNode,
        plane: SlicePlane,
        toVolume: np.ndarray,
        options: RegistrationOptions,
    ) -> None:
        self._sliceVolume, self._volume, self._plane, self._options = sliceVolume, volume, plane, options
        self.model = openModel(DEFAULT if options.model == AUTOMATIC else options.model)
        matrix, size = np.linalg.inv(toVolume) @ ijkToWorld(volume), volumeSize(volume)
        spacing = np.linalg.norm(matrix[:3, :3], axis=0)
        along = plane.normal @ matrix[:3, :3]  # mm along the normal for a step of each axis.
        axis = int(np.argmax(np.abs(along) / spacing))
        corners = np.array([[*c, 1.0] for c in itertools.product(*[(0, n - 1) for n in size])]) @ matrix.T
        heights = (corners[:, :3] - plane.centre) @ plane.normal
        self._step = float(np.abs(along).max())
        count = round(float(np.ptp(heights)) / self._step) + 1
        if count < 2:
            raise ValueError(
                f"'{volume.GetName()}' has a single slice parallel to the given one; give a volume of several slices,"
                " or choose their orientation with --plane."
            )
        self.offsets = heights.min() + self._step * np.arange(count)
        self.indices = None
        if abs(along[axis]) / spacing[axis] > _PARALLEL:
            self.indices = np.arange(count) if along[axis] > 0 else np.arange(count)[::-1]

    def similarity(
        self, toVolume: np.ndarray, pixels: int, only: set[int] | None = None, progress: Progress | None = None
    ) -> np.ndarray:
        """``(N,)``, NaN for slices that show nothing or cover little, and for those that are not asked for.

        Args:
            toVolume: ``(4, 4)`` from the space of the given slice to that of the volume.
            pixels: Along the longer side.
            only: Numbers of the slices to compare.
            progress: Told of each stage.

        Raises:
            ValueError: No slice of the volume lies over the given one.
        """
        images = self._images(toVolume, pixels)
        usable = [n for n in registrable_pairs(images, self.model) if n in _covered(images)]
        usable = [n for n in usable if only is None or n in only]
        alone = replace(self._options, preset="fast", transform="deformable", prealignment="none", uncertainty=False)
        result = run(images.part(usable), [self.model], alone, progress, frozenset(RULES))
        found = np.full(len(self.offsets), np.nan)
        for number, index in enumerate(usable):
            found[index] = mutual_information(images.part([index]), result.displacement[number : number + 1])
        return found

    def alignment(self, toVolume: np.ndarray, number: int) -> np.ndarray:
        """``(4, 4)`` from the given slice to one of the slices, in the plane."""
        offset, plane = self.offsets[number] * self._plane.normal, self._plane
        fromWorld = withPrealignment(toVolume, worldToLocal(self._volume.GetParentTransformNode()))
        wide = coveringPlane(shiftedPlane(plane, offset), self._volume, fromWorld)
        fixed, moving = sampleVolume(self._sliceVolume, plane), sampleVolume(self._volume, wide, fromWorld)
        here = PlanarImage(fixed.pixels, fixed.inside, plane.ijkToRas)
        there = PlanarImage(moving.pixels, moving.inside, shiftedPlane(wide, -offset).ijkToRas)
        return align_in_plane(here, there, self._options.prealignment)[0]

    def _images(self, toVolume: np.ndarray, pixels: int) -> ImagePair:
        """The given slice beside each slice of the volume."""
        here, count = _coarse(self._plane, pixels), len(self.offsets)
        matrix = here.ijkToRas.copy()
        matrix[:3, 3] += self.offsets[0] * self._plane.normal
        matrix[:3, 2] = self._step * self._plane.normal
        first = SlicePlane(here.shape, matrix, here.name)
        parents = [worldToLocal(node.GetParentTransformNode()) for node in (self._sliceVolume, self._volume)]
        fixed = sampleSlices(self._sliceVolume, here, 1, parents[0])
        moving = sampleSlices(self._volume, first, count, withPrealignment(toVolume, parents[1]))
        if not (moving.inside & fixed.inside).any():
            raise ValueError(
                f"'{self._sliceVolume.GetName()}' and '{self._volume.GetName()}' do not overlap in space; choose the"
                " orientation of the slices with --plane, which places centre on centre."
            )
        image, inside = (part.expand(count, -1, -1, -1) for part in _tensors(fixed))
        others, covered = _tensors(moving)
        return ImagePair(image, others, gridOf(first), fixed_inside=inside, moving_inside=covered)


def _coarse(plane: SlicePlane, pixels: int) -> SlicePlane:
    """The same rectangle with at most ``pixels`` pixels along the longer side."""
    factor = max(max(plane.shape) / pixels, 1.0)
    rows, columns = (max(round(size / factor), 2) for size in plane.shape)
    scales = np.array([plane.shape[1] / columns, plane.shape[0] / rows])
    matrix = plane.ijkToRas.copy()
    matrix[:3, 3] += matrix[:3, :2] @ ((scales - 1) / 2)
    matrix[:3, :2] *= scales
    return SlicePlane((rows, columns), matrix, plane.name)


def _covered(images: ImagePair) -> set[int]:
    """Numbers of the slices that cover nearly as much of the given slice as the one that covers most."""
    assert images.fixed_inside is not None
    assert images.moving_inside is not None
    shares = (images.fixed_inside * images.moving_inside).flatten(1).mean(dim=1)
    return set((shares >= MIN_COVERED * shares.max()).nonzero()[:, 0].tolist())


def _tensors(sampled: SampledSlice) -> tuple[torch.Tensor, torch.Tensor]:
    """Pixels and coverage, ``(N, 1, rows, columns)``."""
    pixels, inside = torch.from_numpy(sampled.pixels), torch.from_numpy(sampled.inside.astype(np.float32))
    return pixels[:, None], inside[:, None]
