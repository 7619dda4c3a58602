"""The frames of a sequence of volumes, each registered to the first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import slicer
import torch

from ...core.models.model_file import Model
from ...core.registration.frame_tracking import track_frames
from ...core.registration.options import RegistrationOptions
from ...core.registration.result import Progress, RegistrationResult
from ..geometry.grid_transform import gridTransform
from ..geometry.planes import SlicePlane, planeFromIndex
from ..geometry.sampling import sampleStack
from ..geometry.transforms import worldToLocal
from ..result_folder import putIntoFolder, uniqueName
from .candidate_models import candidateModels
from .phantom_nodes import isSynthetic
from .slice_pair import gridOf


@dataclass(frozen=True)
class SequenceRegistration:
    """A registered sequence.

    Attributes:
        transformSequence: A transform for each frame.
        result: Of all frames but the first.
    """

    transformSequence: slicer.vtkMRMLSequenceNode
    result: RegistrationResult


def registerSequence(
    sequenceNode: slicer.vtkMRMLSequenceNode,
    plane: SlicePlane | None = None,
    options: RegistrationOptions | None = None,
    transformSequence: slicer.vtkMRMLSequenceNode | None = None,
    progress: Progress | None = None,
    models: Sequence[Model] | None = None,
) -> SequenceRegistration:
    """A transform for each frame of a sequence of volumes that warps a slice of it onto that of the first frame.

    Each frame is registered by way of the frames between; see ``frame_tracking.track_frames``.

    Args:
        sequenceNode: Of volumes.
        plane: In the first frame; ``None`` takes the middle slice.
        options: See ``registerSlice``; frames of one sequence are not pre-aligned.
        transformSequence: Receives the transforms; ``None`` makes a new node.
        progress: Told of each stage; what it raises ends the work, and nothing has changed.
        models: See ``registerSlice``.

    Raises:
        OSError: The model cannot be read.
        ValueError: There are fewer than two frames, one is no volume, or they do not fit.
    """
    options, frames = options or RegistrationOptions(), framesOf(sequenceNode)
    if transformSequence is not None and transformSequence is sequenceNode:
        raise ValueError(f"The transforms would overwrite '{sequenceNode.GetName()}'; choose another output sequence.")
    plane = plane or planeFromIndex(frames[0])
    pixels = torch.from_numpy(np.stack([sampleStack(frame, plane, 1, worldToLocal(None)) for frame in frames]))
    chosen = models or candidateModels(options, pixels[0].numpy(), pixels[1:].numpy(), isSynthetic(*frames))
    result = track_frames(pixels, gridOf(plane), chosen, options, progress)
    if sequenceNode.GetScene() is None:
        raise ValueError(
            f"The sequence '{sequenceNode.GetName()}' was deleted during the registration; choose another."
        )
    if transformSequence is None:
        scene = sequenceNode.GetScene()
        name = uniqueName(scene, f"{sequenceNode.GetName()} to its first frame")
        transformSequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode", name)
        putIntoFolder(transformSequence)
    _fillSequence(transformSequence, sequenceNode, plane, result)
    return SequenceRegistration(transformSequence, result)


def _fillSequence(
    transformSequence: slicer.vtkMRMLSequenceNode,
    sequenceNode: slicer.vtkMRMLSequenceNode,
    plane: SlicePlane,
    result: RegistrationResult,
) -> None:
    """Puts the transforms at the index values of the frames."""
    still = torch.zeros_like(result.displacement[:1])
    vectors = gridOf(plane).displacement_to_ras(torch.cat([still, result.displacement])).movedim(1, -1).numpy()
    transformSequence.RemoveAllDataNodes()
    transformSequence.SetIndexName(sequenceNode.GetIndexName())
    transformSequence.SetIndexUnit(sequenceNode.GetIndexUnit())
    transformSequence.SetIndexType(sequenceNode.GetIndexType())
    for index, frame in enumerate(framesOf(sequenceNode)):
        node = slicer.vtkMRMLTransformNode()
        node.SetName(f"{frame.GetName()} to the first frame")
        node.SetAndObserveTransformFromParent(gridTransform(plane, vectors[index], thisSliceOnly=True))
        transformSequence.SetDataNodeAtValue(node, sequenceNode.GetNthIndexValue(index))


def framesOf(sequenceNode: slicer.vtkMRMLSequenceNode) -> list[slicer.vtkMRMLVolumeNode]:
    """The volumes of a sequence.

    Raises:
        ValueError: There are fewer than two, or something else is among them.
    """
    frames = [sequenceNode.GetNthDataNode(index) for index in range(sequenceNode.GetNumberOfDataNodes())]
    if len(frames) < 2 or not all(isinstance(frame, slicer.vtkMRMLVolumeNode) for frame in frames):
        raise ValueError(
            f"The sequence '{sequenceNode.GetName()}' has {len(frames)} items; needed are two volumes or more."
        )
    return frames
