"""The quality report of any transform between two images: grade, items, advisories and provenance."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import slicer
import slicer.util
import vtk

from ...core.evaluation.quality_check import QualityCheck, QualityItem
from ...core.evaluation.report_items import report_items
from ...core.evaluation.tolerances import TG_132, ToleranceProfile
from ..geometry.result_transform import STORED_RESULT_ATTRIBUTE, fittedLandmarks
from ..geometry.transforms import steps
from ..history.stored_result import readStoredResult
from .assessment import ReaderAssessment, readAssessment
from .evidence import GatheredEvidence, ReportInputs, gatherEvidence
from .report_pictures import Picture, drawPictures
from .report_words import VALIDATION_ADVICE

MODULE_VERSION = "0.1.0"
"""Of this module, as in ``pyproject.toml``."""
_HASH_LENGTH = 16  # Hexadecimal digits of SHA-256 that are shown.
_KINDS = {
    "vtkOrientedGridTransform": "displacement grid",
    "vtkGridTransform": "displacement grid",
    "vtkOrientedBSplineTransform": "B-spline",
    "vtkBSplineTransform": "B-spline",
    "vtkThinPlateSplineTransform": "thin plate spline",
}


@dataclass(frozen=True)
class QualityReport:
    """A report, ready to be written.

    Attributes:
        check: Items and grade.
        profile: Tolerances.
        header: Title to text: date, software, images, transform, region.
        advisories: What was not measured, and why it matters; one sentence or two each.
        figures: Pictures of one slice.
        assessment: The reader's own.
    """

    check: QualityCheck
    profile: ToleranceProfile
    header: dict[str, str]
    advisories: tuple[str, ...]
    figures: tuple[Picture, ...]
    assessment: ReaderAssessment


def makeReport(inputs: ReportInputs, profile: ToleranceProfile = TG_132, identifiers: bool = False) -> QualityReport:
    """Measure and draw everything; the scene is not changed.

    Args:
        inputs: What the report is about.
        profile: Tolerances.
        identifiers: Whether names of nodes, which may name a patient, are in the report.

    Raises:
        ValueError: The inputs do not belong together or cannot be used; the sentence says which.
    """
    gathered = gatherEvidence(inputs)
    items = report_items(gathered.evidence, profile)
    if gathered.throughSlice is not None:
        name = "largest displacement out of the slice"
        items = (*items, QualityItem(name, gathered.throughSlice, "mm", None, None))
    check = QualityCheck(items)
    figures = drawPictures(inputs, gathered)
    inputs.checkNodes()  # Something may have been deleted meanwhile.
    return QualityReport(
        check,
        profile,
        _header(inputs, gathered, profile, identifiers),
        _advisories(inputs, gathered, check),
        figures,
        readAssessment(inputs.transformNode),
    )


def _advisories(inputs: ReportInputs, gathered: GatheredEvidence, check: QualityCheck) -> tuple[str, ...]:
    """Sentences on what the report does not show."""
    found = list(gathered.advisories)
    problems = {item.name for item in check.problems}
    graded = {item.name for item in check.items if item.grade is not None}
    if not graded & {"TRE", "Dice"}:
        found.append(VALIDATION_ADVICE)
    elif "TRE" not in graded:
        found.append("No independent landmark was measured: the accuracy inside the structures is not known.")
    elif "Dice" not in graded:
        found.append("No structure was compared: the accuracy between the landmarks is not known.")
    if "mutual information by the inverse" in problems:
        found.append(
            "The inverse of the transform makes the images more similar, the transform makes them less similar: it was"
            " probably stored in the wrong direction. Invert it."
        )
    if "covered by the transform" in problems:
        found.append("The transform ends inside the patient's outline; beyond it no displacement was computed.")
    if fittedLandmarks(inputs.transformNode):
        found.append("Landmarks steered this registration; their own error is no evidence of accuracy elsewhere.")
    if inputs.mask is None:
        found.append("The patient's outline was segmented automatically; give a mask to measure inside another region.")
    if gathered.region.isSlice:
        found.append("Only one slice was examined, in 2-D. Motion through the slice and other slices are not judged.")
    found.append("The uncertainty of the transform was not measured; the reader's own estimate is in the assessment.")
    return tuple(found)


def _header(
    inputs: ReportInputs, gathered: GatheredEvidence, profile: ToleranceProfile, identifiers: bool
) -> dict[str, str]:
    volumes = {"Fixed image": inputs.fixedVolume, "Moving image": inputs.movingVolume}
    content = {
        "Date": datetime.now().astimezone().isoformat(sep=" ", timespec="seconds"),
        "Software": f"Unsupervised Registration {MODULE_VERSION}, VTK {vtk.vtkVersion.GetVTKVersion()}",
        "Region": gathered.region.name + (" (2-D)" if gathered.region.isSlice else " (3-D)"),
        "Largest voxel dimension": f"{gathered.region.voxel:.3g} mm",
        "Tolerances": profile.name,
        "Frame of reference": "patient coordinates, RAS, mm; fixed to moving",
    }
    content |= {title: _described(volume, identifiers) for title, volume in volumes.items()}
    field = np.ascontiguousarray(gathered.evidence.displacement.numpy(), dtype=np.float32)
    kinds = [_KINDS.get(type(step).__name__, "linear") for step in steps(gathered.space.fromWorld)] or ["identity"]
    label = f"'{inputs.transformNode.GetName()}', " if identifiers else ""
    content["Transform"] = f"{label}{' then '.join(kinds)}; displacements SHA-256 {_hash(field)}"
    if inputs.transformNode.GetAttribute(STORED_RESULT_ATTRIBUTE):
        content["Model"] = readStoredResult(inputs.transformNode).model
    return content


def _described(volume: slicer.vtkMRMLVolumeNode, identifiers: bool) -> str:
    """Size, spacing and hash of a volume; its name and description only if asked for."""
    voxels = slicer.util.arrayFromVolume(volume)
    size = " x ".join(str(count) for count in volume.GetImageData().GetDimensions())
    spacing = " x ".join(f"{step:.3g}" for step in volume.GetSpacing())
    named = [f"'{volume.GetName()}'", volume.GetDescription() or ""] if identifiers else []
    parts = [*(part for part in named if part), f"{size} voxels of {spacing} mm", f"SHA-256 {_hash(voxels)}"]
    return ", ".join(parts)


def _hash(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:_HASH_LENGTH]
