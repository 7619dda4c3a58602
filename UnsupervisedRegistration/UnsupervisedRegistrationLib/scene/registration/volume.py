"""Many slices at once: those of a whole volume, as one transform."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import slicer
import slicer.util
import torch

from ...core.models.model_file import Model
from ...core.registration.image_pair import ImagePair, outside_mask
from ...core.registration.options import RegistrationOptions
from ...core.registration.pipeline import prealign, run
from ...core.registration.result import Progress, RegistrationResult
from ...core.spatial.deformation import invert
from ..geometry.planes import Orientation, SlicePlane, planeFromIndex, sliceCount
from ..geometry.sampling import sampleMask, sampleStack
from ..geometry.transforms import withPrealignment, worldToLocal
from .candidate_models import modelsFor
from .result_nodes import SliceOutputs, SliceRegistration, checkOutputNodes, showStackResult
from .slice import underInitialTransform
from .slice_pair import SliceInputs, SlicePair, SliceSource, gridOf

SMOOTHING_MM = 3.0
"""Standard deviation of the Gaussian that smooths the displacements along the normal of the slices."""


@dataclass(frozen=True)
class VolumeRegistration(SliceRegistration):
    """Many slices of one volume; ``pair`` and ``registration`` are of the middle one, but for the measures.

    Attributes:
        slices: Indices in the fixed volume.
        base: Plane of the first in the direction of the normal.
        stack: Result of all slices.
    """

    slices: tuple[int, ...]
    base: SlicePlane
    stack: RegistrationResult

    @property
    def firstPlane(self) -> SlicePlane:
        """See ``SliceRegistration``."""
        return self.base

    @property
    def allSlices(self) -> RegistrationResult:
        """See ``SliceRegistration``."""
        return self.stack

    @property
    def inverses(self) -> torch.Tensor:
        """See ``SliceRegistration``; found anew, since smoothed inverses are not the inverses of what is smoothed."""
        return torch.cat([invert(one) for one in self.stack.displacement.split(1)])

    @property
    def warpedPixels(self) -> np.ndarray:
        """``(rows, columns)`` of the middle slice."""
        return slicer.util.arrayFromVolume(self.warpedVolume)[_position(self.base, self.pair.plane)]

    def covers(self, points: np.ndarray) -> np.ndarray:
        """``(N,)`` bool, which of ``(N, 3)`` points lie on one of the slices."""
        heights = (np.asarray(points) - self.base.centre) @ self.base.normal / self.base.thickness
        return (heights >= -0.5) & (heights <= len(self.slices) - 0.5)


@dataclass(frozen=True)
class VolumeSlices:
    """Which slices of the fixed volume are registered.

    Attributes:
        orientation: See ``planes.planeFromIndex``.
        sliceRange: First and last slice; ``None`` takes all.
        smoothing: Standard deviation in mm of the Gaussian along the normal of the slices; 0 leaves them apart.
    """

    orientation: Orientation | None = None
    sliceRange: tuple[int, int] | None = None
    smoothing: float = SMOOTHING_MM

    def __post_init__(self) -> None:
        """Refuse a smoothing that is no length."""
        if not (self.smoothing >= 0 and math.isfinite(self.smoothing)):
            raise ValueError(f"The smoothing between slices is a number of mm from 0, not {self.smoothing}.")


def registerVolume(
    inputs: SliceInputs,
    slices: VolumeSlices | None = None,
    options: RegistrationOptions | None = None,
    outputs: SliceOutputs | None = None,
    progress: Progress | None = None,
    models: Sequence[Model] | None = None,
) -> VolumeRegistration:
    """Registers slice by slice, and puts all into one transform; the scene changes only if all goes well.

    The middle slice is pre-aligned, for all.

    Args:
        inputs: Volumes, masks, initial transform; ``plane``, ``movingOffset`` and ``landmarks`` are of a single slice
            and are not used. A slice without a pixel of a mask stays, but for the smoothing.
        slices: Which ones; all by default.
        options: See ``registerSlice``.
        outputs: See ``registerSlice``.
        progress: Told of each stage; what it raises ends the work, and nothing has changed.
        models: See ``registerSlice``.

    Raises:
        OSError: The model cannot be read.
        ValueError: Something does not fit; the sentence says what.
    """
    slices, options, outputs = slices or VolumeSlices(), options or RegistrationOptions(), outputs or SliceOutputs()
    first, last = _range(inputs.fixedVolume, slices.orientation, slices.sliceRange)
    middle = _middle(inputs.fixedVolume, slices.orientation, first, last)
    planes = [planeFromIndex(inputs.fixedVolume, slices.orientation, index) for index in range(first, last + 1)]
    base = min(planes, key=lambda plane: float(plane.centre @ plane.normal))  # Its normal may point to lower indices.
    with underInitialTransform(inputs):
        stack = _Stack(inputs, middle, base, len(planes))
        checkOutputNodes(stack.source.pair, outputs, (inputs.maskNode, inputs.movingMaskNode))
        images = stack.images(options, slices.smoothing / base.thickness)
        pair = stack.pair
        chosen = models or modelsFor(pair, options)
        result = run(images, chosen, options, progress)
        nodes = showStackResult(pair, base, result.displacement, outputs)
    result = replace(result, notes=(*result.notes, *_notes(images, result)))
    of_middle = _ofSlice(result, _position(base, middle))
    return VolumeRegistration(*nodes, pair, of_middle, tuple(range(first, last + 1)), base, result)


def _ofSlice(result: RegistrationResult, at: int) -> RegistrationResult:
    """The displacement of one slice, with the measures of all."""
    one = slice(at, at + 1)
    error = result.expected_error
    return replace(
        result,
        displacement=result.displacement[one],
        inverse=result.inverse[one],
        warped=result.warped[one],
        expected_error=None if error is None else error[one],
    )


def _notes(images: ImagePair, result: RegistrationResult) -> list[str]:
    """How many slices were not registered, and why."""
    count, aside = len(images.fixed), outside_mask(images).difference(result.registered)
    empty = count - len(result.registered) - len(aside)
    notes = [f"{empty} of {count} slices show nothing in one of the volumes"] if empty else []
    return notes + ([f"{len(aside)} of {count} slices lie outside the mask and stay"] if aside else [])


def _range(
    volume: slicer.vtkMRMLVolumeNode, orientation: Orientation | None, sliceRange: tuple[int, int] | None
) -> tuple[int, int]:
    count = sliceCount(volume, orientation)
    first, last = sliceRange or (0, count - 1)
    if not 0 <= first <= last < count:
        raise ValueError(
            f"Slices {first} to {last} are not in the volume '{volume.GetName()}', which has 0 to {count - 1};"
            " choose a range within."
        )
    return first, last


def _middle(volume: slicer.vtkMRMLVolumeNode, orientation: Orientation | None, first: int, last: int) -> SlicePlane:
    """Of a range of slices, named after the range."""
    plane = planeFromIndex(volume, orientation, (first + last + 1) // 2)
    return replace(plane, name=f"{plane.name.split(' ')[0]} slices {first} to {last}")


def _position(base: SlicePlane, plane: SlicePlane) -> int:
    """How many slices a plane lies from another along its normal."""
    return round(float((plane.centre - base.centre) @ base.normal) / base.thickness)


class _Stack:
    """The slices of two volumes, sampled.

    Args:
        inputs: Volumes and masks.
        middle: Plane of the slice that is pre-aligned for all.
        base: Plane of the first slice.
        count: How many slices.
    """

    def __init__(self, inputs: SliceInputs, middle: SlicePlane, base: SlicePlane, count: int) -> None:
        self._inputs, self._base, self._count, self._at = inputs, base, count, _position(base, middle)
        self._mask = None if inputs.maskNode is None else sampleMask(inputs.maskNode, base, count=count)
        there = inputs.maskNode if self._mask is not None and self._mask[self._at].any() else None
        alone = SliceInputs(inputs.fixedVolume, inputs.movingVolume, middle, maskNode=there)
        self.source = SliceSource(alone)
        self._movingMask: np.ndarray | None = None

    @property
    def pair(self) -> SlicePair:
        """The middle slice, with the masks that have a pixel on it."""
        if self._movingMask is not None and self._movingMask[self._at].any():
            return replace(self.source.pair, movingMask=self._movingMask[self._at])
        return self.source.pair

    def images(self, options: RegistrationOptions, sigma: float) -> ImagePair:
        """All slices, under the pre-alignment of the middle one.

        Args:
            options: Say how it is pre-aligned.
            sigma: Of the smoothing, slices.

        Raises:
            ValueError: The volumes do not overlap on the middle slice.
        """
        middle, inputs = prealign(self.source, options), self._inputs
        fromWorld = withPrealignment(middle.prealignment, worldToLocal(self.source.pair.initial))
        if inputs.movingMaskNode is not None:
            self._movingMask = sampleMask(inputs.movingMaskNode, self._base, fromWorld, self._count)
        fixedWorld = worldToLocal(inputs.fixedVolume.GetParentTransformNode())
        return replace(
            middle,
            fixed=_tensor(sampleStack(inputs.fixedVolume, self._base, self._count, fixedWorld)),
            moving=_tensor(sampleStack(inputs.movingVolume, self._base, self._count, fromWorld)),
            grid=gridOf(self._base),
            mask=_maskTensor(self._mask),
            moving_mask=_maskTensor(self._movingMask),
            fixed_inside=None,
            moving_inside=None,
            slice_sigma=sigma,
        )


def _maskTensor(mask: np.ndarray | None) -> torch.Tensor | None:
    return None if mask is None else _tensor(mask.astype(np.float32))


def _tensor(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels)[:, None]
