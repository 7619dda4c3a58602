"""The frames of a sequence of volumes, each registered to the first."""

from __future__ import annotations

import numpy as np
import slicer
import torch

from ...core.models.model_file import Model
from ...core.models.selection import DEFAULT
from ...core.registration.pipeline import Progress
from ...core.registration.stack import register_stack
from ..geometry.grid_transform import gridTransform
from ..geometry.planes import SlicePlane, planeFromIndex
from ..geometry.sampling import sampleStack
from ..geometry.transforms import worldToLocal
from .result_nodes import gridOf
from .slice import openModel


def registerSequence(
    sequenceNode: slicer.vtkMRMLSequenceNode,
    *,
    plane: SlicePlane | None = None,
    model: Model | str = DEFAULT,
    transformSequence: slicer.vtkMRMLSequenceNode | None = None,
    device: str = "auto",
    thisSliceOnly: bool = True,
    progress: Progress | None = None,
) -> slicer.vtkMRMLSequenceNode:
    """A transform for each frame of a sequence of volumes that warps a slice of it onto that of the first frame.

    Args:
        sequenceNode: Of volumes.
        plane: In the first frame; without it the middle slice.
        model: Loaded, or its name or file.
        transformSequence: Receives the transforms; without it a new node.
        device: See ``core.register``.
        thisSliceOnly: See ``registerVolume``.
        progress: Told of each step; what it raises ends the work, and nothing has changed.

    Raises:
        OSError: The model cannot be read.
        ValueError: There are fewer than two frames, one is no volume, or they do not fit.
    """
    model = model if isinstance(model, Model) else openModel(model)
    frames = framesOf(sequenceNode)
    if transformSequence is sequenceNode:
        raise ValueError(f"The transforms would overwrite '{sequenceNode.GetName()}'; choose another output sequence.")
    plane = plane or planeFromIndex(frames[0])
    pixels = torch.from_numpy(np.stack([sampleStack(frame, plane, 1, worldToLocal(None)) for frame in frames]))
    displacement, _ = register_stack(
        fixed=pixels[:1].expand(len(frames) - 1, -1, -1, -1),
        moving=pixels[1:],
        grid=gridOf(plane),
        model=model,
        device=device,
        progress=progress,
    )
    if sequenceNode.GetScene() is None:
        raise ValueError(f"The sequence '{sequenceNode.GetName()}' was deleted meanwhile; choose another one.")
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
        node.SetAndObserveTransformFromParent(gridTransform(plane, vectors[index], thisSliceOnly))
        transformSequence.SetDataNodeAtValue(node, sequenceNode.GetNthIndexValue(index))
    return transformSequence


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
