"""One slice of one volume onto another: sample, register, put the outcome into the scene.

The three steps are separate, so that the middle one, which touches no node, may run in another thread.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import slicer
import slicer.util
import torch
import vtk

from ..core.catalogue import DEFAULT, find_model, model_files
from ..core.deformation import jacobian_determinant
from ..core.grid import ImageGrid
from ..core.measures import inverse_consistency_error
from ..core.model import Card, Model, load_model
from ..core.refine import LandmarkPairs, Refinement
from ..core.register import Cancelled as Cancelled
from ..core.register import Progress, Registration, register
from ..core.trust import trust_map
from . import transforms
from .landmarks import pairedPoints
from .models import modelFolders
from .planes import SlicePlane, planeFromIndex, shiftedPlane
from .prealignment import Prealignment, alignInPlane, coveringPlane
from .volumes import SampledSlice, sampleMask, sampleStack, sampleVolume, showAsVolume, worldToLocal

Landmarks = tuple[slicer.vtkMRMLMarkupsNode, slicer.vtkMRMLMarkupsNode]
"""Point lists of the fixed and the moving image."""


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
        placement: ``(4, 4)``, pre-alignment before the initial transform, from fixed to moving, or ``None``.
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
    placement: np.ndarray | None = None
    remarks: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done to the images, in words."""
        return tuple(dict.fromkeys(self.fixed.notes + self.moving.notes + self.remarks))


@dataclass(frozen=True)
class SliceRegistration:
    """An outcome in the scene.

    Attributes:
        transformNode: Moves the moving volume.
        warpedVolume: The warped slice on the pixels of the fixed one.
        pair: What was registered.
        registration: Displacement, measures and times.
    """

    transformNode: slicer.vtkMRMLTransformNode
    warpedVolume: slicer.vtkMRMLScalarVolumeNode
    pair: SlicePair
    registration: Registration

    @property
    def warpedPixels(self) -> np.ndarray:
        """``(rows, columns)`` of the warped volume."""
        return slicer.util.arrayFromVolume(self.warpedVolume)[0]

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
        return None if error is None else trust_map(error)[0, 0].numpy()

    @property
    def sourcePositions(self) -> tuple[np.ndarray, np.ndarray]:
        """Row and column in the moving slice, in fixed pixels, that each pixel of the fixed slice comes from."""
        rows, columns = np.indices(self.pair.plane.shape) + self.registration.displacement[0].numpy()
        return rows, columns


def registerSlice(
    fixedVolume: slicer.vtkMRMLVolumeNode,
    movingVolume: slicer.vtkMRMLVolumeNode,
    *,
    plane: SlicePlane | None = None,
    movingOffset: np.ndarray | None = None,
    model: Model | str = DEFAULT,
    maskNode: slicer.vtkMRMLNode | None = None,
    movingMaskNode: slicer.vtkMRMLNode | None = None,
    prealignment: Prealignment | np.ndarray = "none",
    refinement: Refinement | None = None,
    landmarks: Landmarks | None = None,
    trust: bool = False,
    transformNode: slicer.vtkMRMLTransformNode | None = None,
    warpedVolume: slicer.vtkMRMLScalarVolumeNode | None = None,
    device: str = "auto",
    confined: bool = True,
    progress: Progress | None = None,
) -> SliceRegistration:
    """Registers a slice of ``movingVolume`` to one of ``fixedVolume``; the scene changes only if all goes well.

    Args:
        fixedVolume: Stays where it is.
        movingVolume: Is put under the outcome. A transform it lies under already is its initial placement and
            stays part of the outcome.
        plane: Of the fixed slice; without it the middle slice.
        movingOffset: From this plane to that of the moving slice, RAS mm; without it they are the same plane.
        model: Loaded, or its name or file.
        maskNode: Segmentation or labelmap volume; the region that matters.
        movingMaskNode: The same on the moving image, with which it moves.
        prealignment: In-plane alignment before the network, on top of the initial placement; or its matrix, such as
            the ``placement`` of an earlier pair.
        refinement: How the outcome is refined for this pair; see ``core.refine``.
        landmarks: Lists whose pairs on the slice steer the refinement.
        trust: Whether to estimate how far each pixel may be off.
        transformNode: Receives the outcome; without it a new node.
        warpedVolume: Receives the warped slice; without it a new node.
        device: See ``core.register``.
        confined: Deform this slice alone; otherwise all slices of the volume alike.
        progress: Told of each step; may raise ``core.register.Cancelled``.

    Raises:
        OSError: The model cannot be read.
        ValueError: Something does not fit; the sentence says what.
    """
    model = model if isinstance(model, Model) else openModel(model)
    pair = samplePair(fixedVolume, movingVolume, plane, movingOffset, maskNode, movingMaskNode, prealignment)
    points = None
    if landmarks is not None:
        points, remarks = landmarksInPlane(pair, *landmarks)
        pair = replace(pair, remarks=pair.remarks + remarks)
    checkOutputs(pair, transformNode, warpedVolume, (maskNode, movingMaskNode))
    registration = registerPair(pair, model, device, progress, refinement=refinement, landmarks=points, trust=trust)
    return showOutcome(pair, registration, transformNode, warpedVolume, confined)


def checkOutputs(
    pair: SlicePair,
    transformNode: slicer.vtkMRMLTransformNode | None,
    warpedVolume: slicer.vtkMRMLScalarVolumeNode | None,
    masks: tuple[slicer.vtkMRMLNode | None, ...] = (),
) -> None:
    """Refuses output nodes that cannot hold the outcome, or hold what must stay.

    Raises:
        ValueError: They do.
    """
    if transformNode is not None:
        sameVolume = pair.fixedVolume is pair.movingVolume
        fixedParent = pair.initial if sameVolume else pair.fixedVolume.GetParentTransformNode()
        transforms.checkOutput(transformNode, fixedParent, pair.initial)
    if warpedVolume is not None and warpedVolume in (pair.fixedVolume, pair.movingVolume, *masks):
        raise ValueError(f"The warped slice would overwrite '{warpedVolume.GetName()}'; choose another output volume.")
    if warpedVolume is not None and warpedVolume.GetClassName() != "vtkMRMLScalarVolumeNode":
        raise ValueError(f"'{warpedVolume.GetName()}' is no scalar volume; choose a new one for the warped slice.")


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
    initial = transforms.initialTransformOf(movingVolume)
    # Of two slices of one volume the fixed one must not be seen through an earlier outcome.
    fixed = sampleVolume(fixedVolume, plane, worldToLocal(initial) if fixedVolume is movingVolume else None)
    mask = None if maskNode is None else sampleMask(maskNode, plane)
    source, placement, remarks = shiftedPlane(plane, offset), None, ()
    if isinstance(prealignment, np.ndarray):
        placement = prealignment
    elif prealignment != "none":
        placement, sentence = _prealigned(plane, offset, fixed, mask, movingVolume, initial, prealignment)
        remarks = (sentence,)
    fromWorld = transforms.placed(placement, worldToLocal(initial))
    moving = sampleVolume(movingVolume, source, fromWorld)
    if not (fixed.inside & moving.inside).any():
        raise ValueError(
            f"'{fixedVolume.GetName()}' and '{movingVolume.GetName()}' do not overlap on the {plane.name};"
            " place one over the other with a transform first."
        )
    movingMask = None if movingMaskNode is None else sampleMask(movingMaskNode, source, fromWorld)
    return SlicePair(
        plane, offset, fixed, moving, mask, fixedVolume, movingVolume, initial, movingMask, placement, remarks
    )


def prealign(pair: SlicePair, kind: Prealignment) -> tuple[np.ndarray, str]:
    """In-plane alignment of a pair on top of its initial placement; see ``prealignment.alignInPlane``."""
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
    return alignInPlane(plane, fixed, shiftedPlane(wide, -offset), whole, kind, mask)


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
    if pair.placement is not None:
        moving = transforms.applied(np.linalg.inv(pair.placement), moving)
    moving = moving - pair.offset
    near = (pair.plane.distances(fixed) <= pair.plane.thickness / 2) & (
        pair.plane.distances(moving) <= pair.plane.thickness / 2
    )
    away = int((~near).sum())
    remarks = () if not away else (f"{away} of {len(near)} landmarks lie off the slice and did not steer",)
    if not near.any():
        return None, remarks
    toVoxels = np.linalg.inv(pair.plane.ijkToRas)
    voxels = [transforms.applied(toVoxels, points[near])[:, [1, 0]] for points in (fixed, moving)]
    return LandmarkPairs(*(torch.from_numpy(np.ascontiguousarray(v, dtype=np.float32)) for v in voxels)), remarks


def registerPair(
    pair: SlicePair,
    model: Model,
    device: str = "auto",
    progress: Progress | None = None,
    *,
    refinement: Refinement | None = None,
    landmarks: LandmarkPairs | None = None,
    trust: bool = False,
) -> Registration:
    """Runs the network and what follows it; touches no node."""
    return register(
        fixed=_tensor(pair.fixed.pixels),
        moving=_tensor(pair.moving.pixels),
        grid=gridOf(pair.plane),
        model=model,
        mask=_maskTensor(pair.mask),
        moving_mask=_maskTensor(pair.movingMask),
        refinement=refinement,
        landmarks=landmarks,
        trust=trust,
        device=device,
        progress=progress,
    )


def showOutcome(
    pair: SlicePair,
    registration: Registration,
    transformNode: slicer.vtkMRMLTransformNode | None = None,
    warpedVolume: slicer.vtkMRMLScalarVolumeNode | None = None,
    confined: bool = True,
    exact: bool = True,
) -> SliceRegistration:
    """Puts the outcome into the given nodes, or new ones, and the moving volume under the transform.

    Args:
        pair: What was registered.
        registration: Its outcome.
        transformNode: Receives the displacement.
        warpedVolume: Receives the warped slice.
        confined: See ``registerSlice``.
        exact: Take the warped slice from the volume itself; otherwise from the slice that the network saw, which is
            interpolated twice but takes no time, as live updates need.

    Raises:
        ValueError: A volume was deleted meanwhile.
    """
    _checkThere(pair)
    vectors = gridOf(pair.plane).displacement_to_ras(registration.displacement)[0].movedim(0, -1).numpy()
    grid = transforms.gridTransform(pair.plane, vectors + pair.offset, confined)
    outcome = transforms.followedBy(grid, pair.initial, pair.placement)
    if exact:  # May refuse, so before the scene changes.
        with _quick(grid):
            pixels = sampleVolume(pair.movingVolume, pair.plane, outcome).pixels
    else:
        pixels = registration.warped[0, 0].numpy()
    return _show(pair, registration, outcome, pixels, pair.plane, transformNode, warpedVolume)


def showStack(
    pair: SlicePair,
    plane: SlicePlane,
    displacement: torch.Tensor,
    registration: Registration,
    transformNode: slicer.vtkMRMLTransformNode | None = None,
    warpedVolume: slicer.vtkMRMLScalarVolumeNode | None = None,
    confined: bool = True,
) -> SliceRegistration:
    """As ``showOutcome`` for many slices.

    Args:
        pair: Of one of them.
        plane: Of the first; the others follow along its normal.
        displacement: ``(N, 2, rows, columns)``, voxels of the plane.
        registration: Of the pair.
        transformNode: Receives the displacement.
        warpedVolume: Receives the warped slices.
        confined: See ``registerSlice``.
    """
    _checkThere(pair)
    vectors = gridOf(plane).displacement_to_ras(displacement).movedim(1, -1).numpy()
    grid = transforms.gridTransform(plane, vectors, confined)
    outcome = transforms.followedBy(grid, pair.initial, pair.placement)
    with _quick(grid):
        pixels = sampleStack(pair.movingVolume, plane, len(displacement), outcome)
    return _show(pair, registration, outcome, pixels, plane, transformNode, warpedVolume)


def _show(
    pair: SlicePair,
    registration: Registration,
    outcome: vtk.vtkAbstractTransform,
    pixels: np.ndarray,
    plane: SlicePlane,
    transformNode: slicer.vtkMRMLTransformNode | None,
    warpedVolume: slicer.vtkMRMLScalarVolumeNode | None,
) -> SliceRegistration:
    scene, name = pair.fixedVolume.GetScene(), pair.movingVolume.GetName()
    if transformNode is None:
        transformNode = scene.AddNewNodeByClass("vtkMRMLTransformNode", f"{name} to {pair.fixedVolume.GetName()}")
    if warpedVolume is None:
        warpedVolume = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", f"{name} warped")
    transforms.setOutcome(transformNode, outcome, pair.initial, pair.fixedVolume, pair.movingVolume)
    showAsVolume(warpedVolume, pixels, plane, like=pair.movingVolume)
    return SliceRegistration(transformNode, warpedVolume, pair, registration)


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


def openModel(nameOrFile: str) -> Model:
    """A model by its name or file; see ``core.model``."""
    return load_model(find_model(nameOrFile, modelFolders()))


def modelCards() -> dict[str, Card]:
    """Name to card of every model that can be chosen by name.

    Raises:
        ValueError: A file in one of the folders is no model.
    """
    return {name: load_model(path).card for name, path in model_files(modelFolders()).items()}


def gridOf(plane: SlicePlane) -> ImageGrid:
    """The pixels of a plane as ``core`` knows them."""
    return ImageGrid(plane.shape, torch.from_numpy(plane.ijkToRas))


def _maskTensor(mask: np.ndarray | None) -> torch.Tensor | None:
    return None if mask is None else _tensor(mask.astype(np.float32))


def _tensor(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels))[None, None]
