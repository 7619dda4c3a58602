"""One kept outcome, as a transform node and an attribute of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import slicer

from ..geometry.planes import SlicePlane
from ..geometry.result_transform import STORED_RESULT_ATTRIBUTE, fixedRole, movingRole

WARPED_ROLE = "unsupervisedRegistrationWarped"
"""Reference from a result to its warped slice."""


@dataclass(frozen=True)
class StoredResult:
    """One kept outcome.

    Attributes:
        transformNode: Its own; holds all that is stored.
        time: When it was made.
        model: Name or file.
        settings: What it was made with, as plain values.
        tre: Mean, SD, median and max in mm, ``before`` and ``after``; ``None`` without landmarks.
        similarity: Before and after, of 1.
        folding: Share of the area.
        plane: Of the fixed slice.
        undone: Taken back by ``undoLastApply``.
    """

    transformNode: slicer.vtkMRMLTransformNode
    time: datetime
    model: str
    settings: dict[str, Any]
    tre: dict[str, dict[str, float]] | None
    similarity: tuple[float, float]
    folding: float
    plane: SlicePlane
    undone: bool

    @property
    def name(self) -> str:
        """As shown in the list."""
        return self.transformNode.GetName()

    @property
    def fixedVolume(self) -> slicer.vtkMRMLVolumeNode | None:
        """What it was registered to; ``None`` if it was deleted."""
        return self.transformNode.GetNodeReference(fixedRole())

    @property
    def movingVolume(self) -> slicer.vtkMRMLVolumeNode | None:
        """What it moves; ``None`` if it was deleted."""
        return self.transformNode.GetNodeReference(movingRole())

    @property
    def warpedVolume(self) -> slicer.vtkMRMLScalarVolumeNode | None:
        """The warped slice; ``None`` if it was deleted."""
        return self.transformNode.GetNodeReference(WARPED_ROLE)

    @property
    def shown(self) -> bool:
        """Whether the moving volume lies under it now."""
        moving = self.movingVolume
        return moving is not None and moving.GetParentTransformNode() is self.transformNode


def readStoredResult(node: slicer.vtkMRMLTransformNode) -> StoredResult:
    """What is stored in a node."""
    content = json.loads(node.GetAttribute(STORED_RESULT_ATTRIBUTE))
    plane = content["plane"]
    return StoredResult(
        node,
        datetime.fromisoformat(content["time"]),
        content["model"],
        content["settings"],
        content["tre"],
        (content["similarity"][0], content["similarity"][1]),
        content["folding"],
        SlicePlane((plane["shape"][0], plane["shape"][1]), np.array(plane["ijkToRas"]), plane["name"]),
        content["undone"],
    )


def changeStoredResult(node: slicer.vtkMRMLTransformNode, **changes: Any) -> None:
    """Stores other values in a node."""
    node.SetAttribute(
        STORED_RESULT_ATTRIBUTE, json.dumps(json.loads(node.GetAttribute(STORED_RESULT_ATTRIBUTE)) | changes)
    )
