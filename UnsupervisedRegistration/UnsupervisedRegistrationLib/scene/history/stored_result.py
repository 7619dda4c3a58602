"""One stored result: a transform node with an attribute that holds measures and settings."""

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
"""Reference from a stored result to its warped slice."""
KEPT_TABLE_ROLE = "unsupervisedRegistrationTable"
"""Reference from a stored result to the table of its landmark errors."""


@dataclass(frozen=True)
class StoredResult:
    """A result in the history.

    Attributes:
        transformNode: Copy of the result transform; it holds all that is stored.
        time: Time of the registration.
        model: Name or file.
        settings: Settings of the registration, as plain values.
        tre: Mean, SD, median and max of the TRE in mm, ``before`` and ``after``; ``None`` without landmarks.
        treFitted: Whether ``tre`` is that of landmarks that steered the registration, and so no evidence of accuracy.
        similarity: Before and after, 0 to 1.
        folding: Folded share of the area, 0 to 1.
        plane: Plane of the fixed slice.
        undone: Whether ``undoLastApply`` took it back.
    """

    transformNode: slicer.vtkMRMLTransformNode
    time: datetime
    model: str
    settings: dict[str, Any]
    tre: dict[str, dict[str, float]] | None
    treFitted: bool
    similarity: tuple[float, float]
    folding: float
    plane: SlicePlane
    undone: bool

    @property
    def name(self) -> str:
        """Name in the list."""
        return self.transformNode.GetName()

    @property
    def fixedVolume(self) -> slicer.vtkMRMLVolumeNode | None:
        """Fixed volume; ``None`` if it was deleted."""
        return self.transformNode.GetNodeReference(fixedRole())

    @property
    def movingVolume(self) -> slicer.vtkMRMLVolumeNode | None:
        """Moving volume; ``None`` if it was deleted."""
        return self.transformNode.GetNodeReference(movingRole())

    @property
    def warpedVolume(self) -> slicer.vtkMRMLScalarVolumeNode | None:
        """Warped slice; ``None`` if it was deleted."""
        return self.transformNode.GetNodeReference(WARPED_ROLE)

    @property
    def treTable(self) -> slicer.vtkMRMLTableNode | None:
        """Errors of the landmarks when the result was stored; ``None`` without landmarks, or if it was deleted."""
        return self.transformNode.GetNodeReference(KEPT_TABLE_ROLE)

    @property
    def shown(self) -> bool:
        """Whether the moving volume is under this transform now."""
        moving = self.movingVolume
        return moving is not None and moving.GetParentTransformNode() is self.transformNode


def readStoredResult(node: slicer.vtkMRMLTransformNode) -> StoredResult:
    """Read the stored result of a node."""
    content = json.loads(node.GetAttribute(STORED_RESULT_ATTRIBUTE))
    plane = content["plane"]
    return StoredResult(
        node,
        datetime.fromisoformat(content["time"]),
        content["model"],
        content["settings"],
        content["tre"],
        content["tre"] is not None and content.get("treFitted", bool(content["settings"].get("steered"))),
        (content["similarity"][0], content["similarity"][1]),
        content["folding"],
        SlicePlane((plane["shape"][0], plane["shape"][1]), np.array(plane["ijkToRas"]), plane["name"]),
        content["undone"],
    )


def changeStoredResult(node: slicer.vtkMRMLTransformNode, **changes: Any) -> None:
    """Change stored values of a node."""
    node.SetAttribute(
        STORED_RESULT_ATTRIBUTE, json.dumps(json.loads(node.GetAttribute(STORED_RESULT_ATTRIBUTE)) | changes)
    )


def checkNotDeleted(result: StoredResult) -> None:
    """Refuse a result whose transform node was deleted.

    Raises:
        ValueError: It was deleted.
    """
    if result.transformNode.GetScene() is None:
        raise ValueError(f"The result '{result.name}' was deleted; choose another one.")
