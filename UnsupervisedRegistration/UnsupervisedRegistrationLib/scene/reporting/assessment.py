"""What the reader of a quality report thinks of the registration; it is saved with the transform in the scene."""

from __future__ import annotations

import json
import typing
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal

import slicer

from ..geometry.result_transform import ASSESSMENT_ATTRIBUTE, KEPT_COPY_ROLE

ReaderGrade = Literal["", "good", "check", "do not use"]
READER_GRADES: tuple[ReaderGrade, ...] = typing.get_args(ReaderGrade)
"""What a reader may choose; empty is "not assessed"."""
UncertaintyLevel = Literal["", "low", "moderate", "high"]
UNCERTAINTIES: tuple[UncertaintyLevel, ...] = typing.get_args(UncertaintyLevel)
"""How uncertain the reader holds the alignment; empty is "not stated"."""


@dataclass(frozen=True)
class ReaderAssessment:
    """Grade, uncertainty and text of a reader.

    Attributes:
        grade: Empty if nobody assessed the registration.
        uncertainty: Of the alignment.
        text: Free text.
        time: When it was stored, ISO 8601; empty before that.

    Raises:
        ValueError: Grade or uncertainty is none of those that exist.
    """

    grade: ReaderGrade = ""
    uncertainty: UncertaintyLevel = ""
    text: str = ""
    time: str = ""

    def __post_init__(self) -> None:
        if self.grade not in READER_GRADES:
            raise ValueError(f"'{self.grade}' is no grade; choose among {', '.join(READER_GRADES[1:])}.")
        if self.uncertainty not in UNCERTAINTIES:
            raise ValueError(f"'{self.uncertainty}' is no uncertainty; choose among {', '.join(UNCERTAINTIES[1:])}.")


def storeAssessment(transformNode: slicer.vtkMRMLTransformNode, assessment: ReaderAssessment) -> ReaderAssessment:
    """Save an assessment, with the time of now, as an attribute of the transform node; returns what was saved.

    The copy of the result in the history receives the same assessment.

    Raises:
        ValueError: The node was deleted.
    """
    if transformNode.GetScene() is None:
        raise ValueError(f"The transform '{transformNode.GetName()}' was deleted; its assessment cannot be saved.")
    now = datetime.now().astimezone().isoformat(timespec="seconds")
    saved = ReaderAssessment(assessment.grade, assessment.uncertainty, assessment.text.strip(), now)
    for node in (transformNode, transformNode.GetNodeReference(KEPT_COPY_ROLE)):
        if node is not None:
            node.SetAttribute(ASSESSMENT_ATTRIBUTE, json.dumps(asdict(saved)))
    return saved


def readAssessment(transformNode: slicer.vtkMRMLTransformNode) -> ReaderAssessment:
    """The assessment that was saved with a transform; an empty one if there is none."""
    content = transformNode.GetAttribute(ASSESSMENT_ATTRIBUTE)
    return ReaderAssessment(**json.loads(content)) if content else ReaderAssessment()
