"""One slice of one volume onto another: sample, register, put the outcome into the scene.

The three steps are separate, so that the middle one, which touches no node, may run in another thread.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import slicer
import torch

from ...core.models.card import Card
from ...core.models.model_file import Model, load_model
from ...core.models.selection import DEFAULT, find_model, model_files
from ...core.registration.instance_optimisation import Refinement
from ...core.registration.landmark_constraint import LandmarkPairs
from ...core.registration.pipeline import Cancelled as Cancelled
from ...core.registration.pipeline import Progress, Registration, register
from ..geometry.planes import SlicePlane
from .model_folders import modelFolders
from .result_nodes import SliceRegistration, checkOutputNodes, gridOf, showSliceResult
from .slice_pair import Prealignment, SlicePair, landmarksInPlane, samplePair

Landmarks = tuple[slicer.vtkMRMLMarkupsNode, slicer.vtkMRMLMarkupsNode]
"""Point lists of the fixed and the moving image."""


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
    thisSliceOnly: bool = True,
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
            the ``prealignmentMatrix`` of an earlier pair.
        refinement: How the outcome is refined for this pair; see ``core.refine``.
        landmarks: Lists whose pairs on the slice steer the refinement.
        trust: Whether to estimate how far each pixel may be off.
        transformNode: Receives the outcome; without it a new node.
        warpedVolume: Receives the warped slice; without it a new node.
        device: See ``core.register``.
        thisSliceOnly: Deform this slice alone; otherwise all slices of the volume alike.
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
    checkOutputNodes(pair, transformNode, warpedVolume, (maskNode, movingMaskNode))
    registration = registerPair(pair, model, device, progress, refinement=refinement, landmarks=points, trust=trust)
    return showSliceResult(pair, registration, transformNode, warpedVolume, thisSliceOnly)


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


def openModel(nameOrFile: str) -> Model:
    """A model by its name or file; see ``core.model``."""
    return load_model(find_model(nameOrFile, modelFolders()))


def modelCards() -> dict[str, Card]:
    """Name to card of every model that can be chosen by name.

    Raises:
        ValueError: A file in one of the folders is no model.
    """
    return {name: load_model(path).card for name, path in model_files(modelFolders()).items()}


def _maskTensor(mask: np.ndarray | None) -> torch.Tensor | None:
    return None if mask is None else _tensor(mask.astype(np.float32))


def _tensor(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels))[None, None]
