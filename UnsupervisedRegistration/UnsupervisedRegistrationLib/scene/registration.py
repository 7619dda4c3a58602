"""One slice of one volume onto another: sample, register, put the outcome into the scene.

The three steps are separate, so that the middle one, which touches no node, may run in another thread.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import slicer
import slicer.util
import torch

from ..core.catalogue import DEFAULT, find_model, model_files
from ..core.deformation import jacobian_determinant
from ..core.grid import ImageGrid
from ..core.model import Card, Model, load_model
from ..core.register import Progress, Registration, register
from . import transforms
from .models import modelFolders
from .planes import SlicePlane, planeFromIndex, shiftedPlane
from .volumes import SampledSlice, sampleMask, sampleVolume, showAsVolume, worldToLocal


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
    """

    plane: SlicePlane
    offset: np.ndarray
    fixed: SampledSlice
    moving: SampledSlice
    mask: np.ndarray | None
    fixedVolume: slicer.vtkMRMLVolumeNode
    movingVolume: slicer.vtkMRMLVolumeNode
    initial: slicer.vtkMRMLTransformNode | None

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done to the images, in words."""
        return tuple(dict.fromkeys(self.fixed.notes + self.moving.notes))


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
        transformNode: Receives the outcome; without it a new node.
        warpedVolume: Receives the warped slice; without it a new node.
        device: See ``core.register``.
        confined: Warp this slice alone; otherwise all slices of the volume alike.
        progress: Told of each step.

    Raises:
        OSError: The model cannot be read.
        ValueError: Something does not fit; the sentence says what.
    """
    model = model if isinstance(model, Model) else openModel(model)
    pair = samplePair(fixedVolume, movingVolume, plane, movingOffset, maskNode)
    if transformNode is not None:
        fixedParent = pair.initial if fixedVolume is movingVolume else fixedVolume.GetParentTransformNode()
        transforms.checkOutput(transformNode, fixedParent, pair.initial)
    if warpedVolume is not None and warpedVolume in (fixedVolume, movingVolume, maskNode):
        raise ValueError(f"The warped slice would overwrite '{warpedVolume.GetName()}'; choose another output volume.")
    if warpedVolume is not None and warpedVolume.GetClassName() != "vtkMRMLScalarVolumeNode":
        raise ValueError(f"'{warpedVolume.GetName()}' is no scalar volume; choose a new one for the warped slice.")
    return showOutcome(pair, registerPair(pair, model, device, progress), transformNode, warpedVolume, confined)


def samplePair(
    fixedVolume: slicer.vtkMRMLVolumeNode,
    movingVolume: slicer.vtkMRMLVolumeNode,
    plane: SlicePlane | None = None,
    movingOffset: np.ndarray | None = None,
    maskNode: slicer.vtkMRMLNode | None = None,
) -> SlicePair:
    """Both slices as pixels of one plane; reads the scene and leaves it as it is."""
    if fixedVolume is movingVolume and movingOffset is None:
        raise ValueError("Fixed and moving are the same volume; choose two, or two different slices of it.")
    plane = plane or planeFromIndex(fixedVolume)
    offset = np.zeros(3) if movingOffset is None else np.asarray(movingOffset, dtype=float)
    initial = transforms.initialTransformOf(movingVolume)
    # Of two slices of one volume the fixed one must not be seen through an earlier outcome.
    fixed = sampleVolume(fixedVolume, plane, worldToLocal(initial) if fixedVolume is movingVolume else None)
    moving = sampleVolume(movingVolume, shiftedPlane(plane, offset), worldToLocal(initial))
    if not (fixed.inside & moving.inside).any():
        raise ValueError(
            f"'{fixedVolume.GetName()}' and '{movingVolume.GetName()}' do not overlap on the {plane.name};"
            " place one over the other with a transform first."
        )
    mask = None if maskNode is None else sampleMask(maskNode, plane)
    return SlicePair(plane, offset, fixed, moving, mask, fixedVolume, movingVolume, initial)


def registerPair(pair: SlicePair, model: Model, device: str = "auto", progress: Progress | None = None) -> Registration:
    """Runs the network; touches no node."""
    mask = None if pair.mask is None else _tensor(pair.mask.astype(np.float32))
    return register(
        fixed=_tensor(pair.fixed.pixels),
        moving=_tensor(pair.moving.pixels),
        grid=_grid(pair.plane),
        model=model,
        mask=mask,
        device=device,
        progress=progress,
    )


def showOutcome(
    pair: SlicePair,
    registration: Registration,
    transformNode: slicer.vtkMRMLTransformNode | None = None,
    warpedVolume: slicer.vtkMRMLScalarVolumeNode | None = None,
    confined: bool = True,
) -> SliceRegistration:
    """Puts the outcome into the given nodes, or new ones, and the moving volume under the transform."""
    vectors = _grid(pair.plane).displacement_to_ras(registration.displacement)[0].movedim(0, -1).numpy()
    grid = transforms.gridTransform(pair.plane, vectors + pair.offset, confined)
    outcome = transforms.followedBy(grid, pair.initial)
    warped = sampleVolume(pair.movingVolume, pair.plane, outcome)  # May refuse, so before the scene changes.
    scene, name = pair.fixedVolume.GetScene(), pair.movingVolume.GetName()
    if transformNode is None:
        transformNode = scene.AddNewNodeByClass("vtkMRMLTransformNode", f"{name} to {pair.fixedVolume.GetName()}")
    if warpedVolume is None:
        warpedVolume = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", f"{name} warped")
    transforms.setOutcome(transformNode, outcome, pair.initial, pair.fixedVolume, pair.movingVolume)
    showAsVolume(warpedVolume, warped.pixels, pair.plane, like=pair.movingVolume)
    return SliceRegistration(transformNode, warpedVolume, pair, registration)


def openModel(nameOrFile: str) -> Model:
    """A model by its name or file; see ``core.model``."""
    return load_model(find_model(nameOrFile, modelFolders()))


def modelCards() -> dict[str, Card]:
    """Name to card of every model that can be chosen by name.

    Raises:
        ValueError: A file in one of the folders is no model.
    """
    return {name: load_model(path).card for name, path in model_files(modelFolders()).items()}


def _grid(plane: SlicePlane) -> ImageGrid:
    return ImageGrid(plane.shape, torch.from_numpy(plane.ijkToRas))


def _tensor(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels))[None, None]
