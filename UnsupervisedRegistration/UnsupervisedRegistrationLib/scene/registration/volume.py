"""Many slices at once: those of a whole volume, as one transform."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
import slicer
import slicer.util
import torch

from ...core.images.crop import prepare
from ...core.models.model_file import Model
from ...core.models.selection import DEFAULT
from ...core.registration.pipeline import Progress, Registration, resolve_device
from ...core.registration.stack import register_stack, usable_pairs
from ...core.registration.stack_smoothing import smooth_along_stack
from ...core.spatial.deformation import warp
from ...core.spatial.folding import folding
from ..geometry.planes import Orientation, SlicePlane, planeFromIndex, sliceCount
from ..geometry.sampling import sampleMask, sampleStack
from ..geometry.transforms import withPrealignment, worldToLocal
from .result_nodes import SliceRegistration, checkOutputNodes, gridOf, showStackResult
from .slice import openModel
from .slice_pair import Prealignment, SlicePair, samplePair

_MEASURED = 9  # So many slices, evenly spread, tell the similarity of all.
_TOGETHER = 16  # Slices that are measured at once.
_SHARE = 0.8  # Of the whole work that the network does.


@dataclass(frozen=True)
class VolumeRegistration(SliceRegistration):
    """Many slices of one volume; ``pair`` and ``registration`` are of the middle one, but for the measures.

    Attributes:
        slices: Indices in the fixed volume.
        base: Plane of the first in the direction of the normal.
    """

    slices: tuple[int, ...]
    base: SlicePlane

    @property
    def warpedPixels(self) -> np.ndarray:
        """``(rows, columns)`` of the middle slice."""
        return slicer.util.arrayFromVolume(self.warpedVolume)[_position(self.base, self.pair.plane)]

    def covers(self, points: np.ndarray) -> np.ndarray:
        """``(N,)`` bool, which of ``(N, 3)`` points lie on one of the slices."""
        heights = (np.asarray(points) - self.base.centre) @ self.base.normal / self.base.thickness
        return (heights >= -0.5) & (heights <= len(self.slices) - 0.5)


def registerVolume(
    fixedVolume: slicer.vtkMRMLVolumeNode,
    movingVolume: slicer.vtkMRMLVolumeNode,
    *,
    orientation: Orientation | None = None,
    sliceRange: tuple[int, int] | None = None,
    smoothing: float = 3.0,
    model: Model | str = DEFAULT,
    maskNode: slicer.vtkMRMLNode | None = None,
    movingMaskNode: slicer.vtkMRMLNode | None = None,
    prealignment: Prealignment | np.ndarray = "none",
    transformNode: slicer.vtkMRMLTransformNode | None = None,
    warpedVolume: slicer.vtkMRMLScalarVolumeNode | None = None,
    device: str = "auto",
    thisSliceOnly: bool = True,
    progress: Progress | None = None,
) -> VolumeRegistration:
    """Registers slice by slice, and puts all into one transform; the scene changes only if all goes well.

    Args:
        fixedVolume: Stays where it is.
        movingVolume: Is put under the outcome, as by ``registration.registerSlice``.
        orientation: Of the slices; see ``planes.planeFromIndex``.
        sliceRange: First and last slice of the fixed volume; without it all.
        smoothing: Standard deviation in mm of the Gaussian that joins the slices along their normal; 0 leaves them.
        model: Loaded, or its name or file.
        maskNode: See ``registration.registerSlice``; a slice without a pixel of it stays, but for the smoothing.
        movingMaskNode: Likewise.
        prealignment: Of the middle slice, for all.
        transformNode: Receives the outcome; without it a new node.
        warpedVolume: Receives the warped slices; without it a new node.
        device: See ``core.register``.
        thisSliceOnly: Deform these slices alone; otherwise those beyond like the last one.
        progress: Told of each step; what it raises ends the work, and nothing has changed.

    Raises:
        OSError: The model cannot be read.
        ValueError: Something does not fit; the sentence says what.
    """
    model = model if isinstance(model, Model) else openModel(model)
    first, last = _range(fixedVolume, orientation, sliceRange)
    middle = _middle(fixedVolume, orientation, first, last)
    planes = [planeFromIndex(fixedVolume, orientation, index) for index in range(first, last + 1)]
    base = min(planes, key=lambda plane: float(plane.centre @ plane.normal))  # Its normal may point to lower indices.
    pair, images = _sampled(
        fixedVolume, movingVolume, middle, base, len(planes), (maskNode, movingMaskNode), prealignment
    )
    checkOutputNodes(pair, transformNode, warpedVolume, (maskNode, movingMaskNode))
    clock = time.perf_counter()
    tell = progress or (lambda step, share: None)
    ways = register_stack(
        **vars(images),
        grid=gridOf(base),
        model=model,
        device=device,
        progress=lambda step, share: tell(step, _SHARE * share),
    )
    tell("measure", _SHARE)
    usable = usable_pairs(**vars(images), model=model)
    at, aside = _position(base, middle), images.outside.difference(usable)
    sigma = smoothing / base.thickness
    displacement, inverse = (smooth_along_stack(way, sorted(aside.union(usable)), sigma) for way in ways)
    registration = replace(
        _measured(images, base, usable, displacement, model),
        displacement=displacement[at : at + 1],
        inverse=inverse[at : at + 1],
        warped=warp(images.moving[at : at + 1], displacement[at : at + 1]),
        milliseconds={"network": round(1000 * (time.perf_counter() - clock), 2)},
        device=str(resolve_device(device)),
    )
    tell("warp", 0.95)
    empty = len(planes) - len(usable) - len(aside)
    remarks = [f"{empty} of {len(planes)} slices show nothing in one of the volumes"] if empty else []
    remarks += [f"{len(aside)} of {len(planes)} slices lie outside the mask and stay"] if aside else []
    pair = replace(pair, remarks=(*pair.remarks, *remarks))
    outcome = showStackResult(pair, base, displacement, registration, transformNode, warpedVolume, thisSliceOnly)
    slices = tuple(range(first, last + 1))
    return VolumeRegistration(outcome.transformNode, outcome.warpedVolume, pair, registration, slices, base)


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


@dataclass(frozen=True)
class _Images:
    """What the network sees of all slices, ``(N, 1, rows, columns)`` each; see ``register_stack``."""

    fixed: torch.Tensor
    moving: torch.Tensor
    mask: torch.Tensor | None = None
    moving_mask: torch.Tensor | None = None

    @property
    def outside(self) -> set[int]:
        """Slices that have no pixel of a mask."""
        masks = [mask for mask in (self.mask, self.moving_mask) if mask is not None]
        return {n for mask in masks for n in range(len(mask)) if not mask[n].any()}


def _sampled(
    fixedVolume: slicer.vtkMRMLVolumeNode,
    movingVolume: slicer.vtkMRMLVolumeNode,
    middle: SlicePlane,
    base: SlicePlane,
    count: int,
    masks: tuple[slicer.vtkMRMLNode | None, slicer.vtkMRMLNode | None],
    prealignment: Prealignment | np.ndarray,
) -> tuple[SlicePair, _Images]:
    """The middle slice as a pair, with the masks that have a pixel on it, and the images of all slices."""
    at = _position(base, middle)
    mask = None if masks[0] is None else sampleMask(masks[0], base, count=count)
    there = masks[0] if mask is not None and mask[at].any() else None
    pair = samplePair(fixedVolume, movingVolume, middle, maskNode=there, prealignment=prealignment)
    fromWorld = withPrealignment(pair.prealignmentMatrix, worldToLocal(pair.initial))
    movingMask = None if masks[1] is None else sampleMask(masks[1], base, fromWorld, count)
    if movingMask is not None and movingMask[at].any():
        pair = replace(pair, movingMask=movingMask[at])
    fixed = sampleStack(fixedVolume, base, count, worldToLocal(fixedVolume.GetParentTransformNode()))
    moving = sampleStack(movingVolume, base, count, fromWorld)
    inside = [part if part is None else _tensor(part.astype(np.float32)) for part in (mask, movingMask)]
    return pair, _Images(_tensor(fixed), _tensor(moving), *inside)


def _tensor(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels)[:, None]


def _measured(
    images: _Images, plane: SlicePlane, usable: list[int], displacement: torch.Tensor, model: Model
) -> Registration:
    """The similarity of some slices and the folding of all, without their displacement."""
    some = usable[:: max(len(usable) // _MEASURED, 1)]
    fixed, moving, mask, movingMask = (None if part is None else part[some] for part in vars(images).values())
    before, after = (
        prepare(
            fixed=fixed,
            moving=image,
            mask=mask,
            moving_mask=inside,
            grid=gridOf(plane),
            configuration=model.configuration.preprocessing,
            multiple=model.network.multiple,
        ).similarity(None)
        for image, inside in (
            (moving, movingMask),
            (
                warp(moving, displacement[some]),
                None if movingMask is None else warp(movingMask, displacement[some], "nearest"),
            ),
        )
    )
    folds = sum(len(part) * folding(part) for part in displacement.split(_TOGETHER)) / len(displacement)
    nothing = displacement[:0]
    return Registration(nothing, nothing, nothing[:, :1], before, after, folds, {}, "")
