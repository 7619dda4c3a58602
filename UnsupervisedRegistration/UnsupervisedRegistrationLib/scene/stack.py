"""Many slices at once: those of a whole volume as one transform, or the frames of a sequence."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
import slicer
import slicer.util
import torch

from ..core.catalogue import DEFAULT
from ..core.deformation import warp
from ..core.measures import folding
from ..core.model import Model
from ..core.preprocessing import prepare
from ..core.register import Progress, Registration, resolve_device
from ..core.stack import register_stack
from . import transforms
from .outcomes import SliceRegistration, checkOutputs, gridOf, showStack
from .pairs import samplePair
from .planes import Orientation, SlicePlane, planeFromIndex, sliceCount
from .prealignment import Prealignment
from .registration import openModel
from .volumes import sampleStack, worldToLocal

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
    prealignment: Prealignment | np.ndarray = "none",
    transformNode: slicer.vtkMRMLTransformNode | None = None,
    warpedVolume: slicer.vtkMRMLScalarVolumeNode | None = None,
    device: str = "auto",
    confined: bool = True,
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
        prealignment: Of the middle slice, for all.
        transformNode: Receives the outcome; without it a new node.
        warpedVolume: Receives the warped slices; without it a new node.
        device: See ``core.register``.
        confined: Deform these slices alone; otherwise those beyond like the last one.
        progress: Told of each step; what it raises ends the work, and nothing has changed.

    Raises:
        OSError: The model cannot be read.
        ValueError: Something does not fit; the sentence says what.
    """
    model = model if isinstance(model, Model) else openModel(model)
    first, last = _range(fixedVolume, orientation, sliceRange)
    middle = _middle(fixedVolume, orientation, first, last)
    pair = samplePair(fixedVolume, movingVolume, middle, prealignment=prealignment)
    checkOutputs(pair, transformNode, warpedVolume)
    planes = [planeFromIndex(fixedVolume, orientation, index) for index in range(first, last + 1)]
    base = min(planes, key=lambda plane: float(plane.centre @ plane.normal))  # Its normal may point to lower indices.
    fixed = sampleStack(fixedVolume, base, len(planes), worldToLocal(fixedVolume.GetParentTransformNode()))
    fromWorld = transforms.placed(pair.placement, worldToLocal(pair.initial))
    moving = sampleStack(movingVolume, base, len(planes), fromWorld)
    clock = time.perf_counter()
    tell = progress or (lambda step, share: None)
    ways = _registered(fixed, moving, base, model, device, lambda step, share: tell(step, _SHARE * share))
    tell("measure", _SHARE)
    shown = np.array([min(np.ptp(a), np.ptp(b)) > 0 for a, b in zip(fixed, moving, strict=True)])
    displacement, inverse = (_joined(way, shown, smoothing / base.thickness) for way in ways)
    at = _position(base, middle)
    registration = replace(
        _measured(fixed, moving, base, shown, displacement, model),
        displacement=displacement[at : at + 1],
        inverse=inverse[at : at + 1],
        warped=warp(torch.from_numpy(moving[at : at + 1])[:, None], displacement[at : at + 1]),
        milliseconds={"network": round(1000 * (time.perf_counter() - clock), 2)},
        device=str(resolve_device(device)),
    )
    tell("warp", 0.95)
    remarks = () if shown.all() else (f"{(~shown).sum()} of {len(shown)} slices show nothing in one of the volumes",)
    pair = replace(pair, remarks=pair.remarks + remarks)
    outcome = showStack(pair, base, displacement, registration, transformNode, warpedVolume, confined)
    slices = tuple(range(first, last + 1))
    return VolumeRegistration(outcome.transformNode, outcome.warpedVolume, pair, registration, slices, base)


def registerSequence(
    sequenceNode: slicer.vtkMRMLSequenceNode,
    *,
    plane: SlicePlane | None = None,
    model: Model | str = DEFAULT,
    transformSequence: slicer.vtkMRMLSequenceNode | None = None,
    device: str = "auto",
    confined: bool = True,
    progress: Progress | None = None,
) -> slicer.vtkMRMLSequenceNode:
    """A transform for each frame of a sequence of volumes that warps a slice of it onto that of the first frame.

    Args:
        sequenceNode: Of volumes.
        plane: In the first frame; without it the middle slice.
        model: Loaded, or its name or file.
        transformSequence: Receives the transforms; without it a new node.
        device: See ``core.register``.
        confined: See ``registerVolume``.
        progress: Told of each step; what it raises ends the work, and nothing has changed.

    Raises:
        OSError: The model cannot be read.
        ValueError: There are fewer than two frames, one is no volume, or they do not fit.
    """
    model = model if isinstance(model, Model) else openModel(model)
    frames = [sequenceNode.GetNthDataNode(index) for index in range(sequenceNode.GetNumberOfDataNodes())]
    if len(frames) < 2 or not all(isinstance(frame, slicer.vtkMRMLVolumeNode) for frame in frames):
        raise ValueError(
            f"The sequence '{sequenceNode.GetName()}' has {len(frames)} items; needed are two volumes or more."
        )
    if transformSequence is sequenceNode:
        raise ValueError(f"The transforms would overwrite '{sequenceNode.GetName()}'; choose another output sequence.")
    plane = plane or planeFromIndex(frames[0])
    pixels = np.concatenate([sampleStack(frame, plane, 1, worldToLocal(None)) for frame in frames])
    fixed = np.repeat(pixels[:1], len(frames) - 1, axis=0)
    displacement, _ = _registered(fixed, pixels[1:], plane, model, device, progress)
    still = torch.zeros_like(displacement[:1])
    vectors = gridOf(plane).displacement_to_ras(torch.cat([still, displacement])).movedim(1, -1).numpy()
    if transformSequence is None:
        transformSequence = sequenceNode.GetScene().AddNewNodeByClass(
            "vtkMRMLSequenceNode", f"{sequenceNode.GetName()} to its first frame"
        )
    transformSequence.RemoveAllDataNodes()
    transformSequence.SetIndexName(sequenceNode.GetIndexName())
    transformSequence.SetIndexUnit(sequenceNode.GetIndexUnit())
    transformSequence.SetIndexType(sequenceNode.GetIndexType())
    for index, frame in enumerate(frames):
        node = slicer.vtkMRMLTransformNode()
        node.SetName(f"{frame.GetName()} to the first frame")
        node.SetAndObserveTransformFromParent(transforms.gridTransform(plane, vectors[index], confined))
        transformSequence.SetDataNodeAtValue(node, sequenceNode.GetNthIndexValue(index))
    return transformSequence


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


def _registered(
    fixed: np.ndarray, moving: np.ndarray, plane: SlicePlane, model: Model, device: str, progress: Progress | None
) -> tuple[torch.Tensor, torch.Tensor]:
    return register_stack(
        fixed=torch.from_numpy(fixed)[:, None],
        moving=torch.from_numpy(moving)[:, None],
        grid=gridOf(plane),
        model=model,
        device=device,
        progress=progress,
    )


def _joined(displacement: torch.Tensor, shown: np.ndarray, sigma: float) -> torch.Tensor:
    """Gaussian means along the slices, of those that show something.

    Args:
        displacement: ``(N, 2, rows, columns)``.
        shown: ``(N,)`` bool.
        sigma: Slices.
    """
    if not sigma > 0:
        return displacement
    places = np.arange(len(shown))
    weights = np.exp(-0.5 * ((places[:, None] - places) / sigma) ** 2) * shown
    weights /= np.maximum(weights.sum(axis=1, keepdims=True), 1e-30)
    joined = np.tensordot(weights.astype(np.float32), displacement.numpy(), axes=1)
    return torch.from_numpy(joined)


def _measured(
    fixed: np.ndarray,
    moving: np.ndarray,
    plane: SlicePlane,
    shown: np.ndarray,
    displacement: torch.Tensor,
    model: Model,
) -> Registration:
    """The similarity of some slices and the folding of all, without their displacement."""
    images, grid = torch.from_numpy(moving)[:, None], gridOf(plane)
    some = np.flatnonzero(shown)[:: max(int(shown.sum()) // _MEASURED, 1)]
    warped = warp(images[some], displacement[some])
    before, after = (
        prepare(
            fixed=torch.from_numpy(fixed[some])[:, None],
            moving=image,
            grid=grid,
            configuration=model.configuration.preprocessing,
            multiple=model.network.multiple,
        ).similarity(None)
        for image in (images[some], warped)
    )
    folds = sum(len(part) * folding(part) for part in displacement.split(_TOGETHER)) / len(displacement)
    nothing = displacement[:0]
    return Registration(nothing, nothing, warped[:0], before, after, folds, {}, "")
