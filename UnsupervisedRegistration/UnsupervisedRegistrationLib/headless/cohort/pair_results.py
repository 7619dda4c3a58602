"""Files and figures of a registered pair."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import slicer

from ...scene.display.slice_views import displayOrder
from ...scene.landmarks.tre_table import TreTable, summarise, targetRegistrationError
from ...scene.registration.result_nodes import SliceRegistration
from ...scene.registration.slice import registerSlice
from ...scene.registration.slice_batch import RegistrationResult, SliceBatch, showBatchResult
from ...scene.registration.slice_pair import SliceInputs
from ...scene.registration_options import RegistrationOptions
from ...scene.reporting.label_overlap import labelOverlap
from ...scene.reporting.quality import checkQuality, qualityReport
from ...scene.reporting.summary import resultReport
from ..figure import redCyanPixels, windowed
from ..output_files import saveNode
from ..readers import readVolume
from ..session import Inputs
from .pair_inputs import readPairInputs
from .pair_table import CohortPair
from .result_table import CohortRow


def pairSlices(inputs: Inputs) -> SliceInputs:
    """Return the slices of a pair of a cohort."""
    masks = (inputs.mask, inputs.movingMask)
    return SliceInputs(inputs.fixed, inputs.moving, inputs.plane, inputs.movingOffset, *masks)


def register(
    inputs: Inputs, options: RegistrationOptions, known: RegistrationResult | None = None
) -> SliceRegistration:
    """Register a pair of a cohort.

    Args:
        inputs: The pair.
        options: How.
        known: Its result, if it was registered together with others.

    Raises:
        OSError: The model cannot be read.
        ValueError: The inputs, the model or the device do not fit.
    """
    given = pairSlices(inputs)
    return registerSlice(given, options) if known is None else showBatchResult(given, known)


def registerBatch(pairs: Iterable[CohortPair], options: RegistrationOptions) -> Mapping[str, RegistrationResult]:
    """Register the pairs that have equal grids together.

    Returns:
        Name to result, without the pairs that cannot be read or registered: each of these says why when its turn comes.
    """
    batch = SliceBatch(options)
    for pair in pairs:
        with contextlib.suppress(ValueError, OSError):
            batch.add(pair.name, pairSlices(readPairInputs(pair)))
    try:
        return batch.results()
    except ValueError:  # Not one of them shows anything.
        return {}


def writeFiles(result: SliceRegistration, transform: Path, warped: Path, picture: Path) -> None:
    """Write transform, warped slice and the red and cyan overlays before and after, side by side.

    Raises:
        OSError: A file cannot be written.
    """
    saveNode(slicer.vtkMRMLTransformStorageNode(), result.transformNode, transform)
    saveNode(slicer.vtkMRMLVolumeArchetypeStorageNode(), result.warpedVolume, warped)
    order = displayOrder(result.pair.plane)
    images = (result.pair.fixed.pixels, result.pair.moving.pixels, result.warpedPixels)
    fixed, before, after = (windowed(order(pixels)) for pixels in images)
    overlays = np.concatenate([redCyanPixels(fixed, before), redCyanPixels(fixed, after)], axis=1)
    try:
        sitk.WriteImage(sitk.GetImageFromArray((255 * overlays).astype(np.uint8), isVector=True), str(picture))
    except RuntimeError as error:
        raise OSError(f"'{picture.name}' could not be written; is the disk full?") from error


def measure(pair: CohortPair, inputs: Inputs, result: SliceRegistration) -> tuple[CohortRow, dict[str, object]]:
    """Measure a result: its row in the table, and its report.

    Raises:
        OSError: A labelmap cannot be read.
        ValueError: Labels or landmarks do not fit.
    """
    tre = None
    if inputs.fixedLandmarks is not None and inputs.movingLandmarks is not None:
        found = targetRegistrationError(
            inputs.fixedLandmarks, inputs.movingLandmarks, result.transformNode, inputs.moving
        )
        tre = found.select(result.covers(found.fixed))
    quality = checkQuality(result, tre)
    report = qualityReport(quality)
    measured, overlap = result.registration, _overlap(pair, result)
    row = CohortRow(
        pair=pair.name,
        quality_check=quality.grade,
        similarity_before=measured.similarity_before,
        similarity_after=measured.similarity_after,
        folding=measured.folding,
        dice_before=overlap[0],
        dice_after=overlap[1],
        tre_before_mm=_mean(tre, "before"),
        tre_after_mm=_mean(tre, "after"),
        model=measured.model,
        message="; ".join(report["sentences"]) if quality.problems else "",  # type: ignore[arg-type]
    )
    figures = resultReport(result, tre, measured.model)
    dice = None if overlap[0] is None else {"before": overlap[0], "after": overlap[1]}
    return row, {**figures, "dice": dice, "quality_check": report}


def _overlap(pair: CohortPair, result: SliceRegistration) -> tuple[float | None, float | None]:
    if pair.fixedLabels is None or pair.movingLabels is None:
        return None, None
    scene = result.transformNode.GetScene()
    return labelOverlap(result, readVolume(scene, pair.fixedLabels), readVolume(scene, pair.movingLabels))


def _mean(tre: TreTable | None, when: str) -> float | None:
    """Mean length of the vectors before or after, mm."""
    return None if tre is None else summarise(np.linalg.norm(getattr(tre, when), axis=1))["mean"]
