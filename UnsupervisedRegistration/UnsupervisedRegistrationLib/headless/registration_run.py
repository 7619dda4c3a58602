"""The registration of one pair, from nodes to a folder of files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

from ..scene.landmarks.tre_table import TreTable, targetRegistrationError
from ..scene.registration.result_nodes import SliceRegistration
from ..scene.registration.slice import Progress, RegistrationOptions, registerSlice
from ..scene.registration.slice_pair import SliceInputs
from ..scene.reporting.quality import checkQuality, gradeWord, qualityReport, qualitySentences
from ..scene.reporting.summary import resultReport, resultSentence
from .outcome import DO_NOT_USE, DONE, Outcome
from .output_files import WRITERS, Finished
from .output_folder import OutputFolder
from .session import Inputs

_DIRECTION = (
    "The transform maps points of the fixed image to points of the moving image, as images are resampled. In the file"
    " they are LPS millimetres."
)


@dataclass(frozen=True)
class Wanted:
    """What a run is asked for.

    Attributes:
        options: How the pair is registered.
        writes: Names of ``WRITERS``.
        explain: Whether to list what was done to the pair, and why.
    """

    options: RegistrationOptions
    writes: tuple[str, ...]
    explain: bool = False


def fileNames(wanted: Wanted) -> list[str]:
    """Return the files that a run writes besides the report."""
    return [WRITERS[name][0] for name in wanted.writes]


def registerToFolder(
    inputs: Inputs, wanted: Wanted, folder: OutputFolder, record: Mapping[str, object], progress: Progress
) -> Outcome:
    """Register, write the files into ``folder`` and say how good the result is.

    Raises:
        OSError: The folder cannot be written.
        ValueError: The inputs, the model or the device do not fit.
    """
    result = registerSlice(
        SliceInputs(inputs.fixed, inputs.moving, inputs.plane, inputs.movingOffset, inputs.mask, inputs.movingMask),
        wanted.options,
        progress=lambda step, share: progress(step, 0.1 + 0.5 * share),
    )
    tre = _landmarkErrors(inputs, result)
    closer = resultSentence(result, tre)
    caption = f"{inputs.moving.GetName()} to {inputs.fixed.GetName()}: {closer}"
    quality = checkQuality(result, tre)
    checked = f"Quality check: {gradeWord(quality.grade)}; {'; '.join(qualitySentences(quality))}."
    finished = Finished(inputs, result, tre, caption, checked)
    for number, name in enumerate(wanted.writes):
        progress(f"write the {name}", 0.65 + 0.3 * number / len(wanted.writes))
        file, write = WRITERS[name]
        write(finished, folder.path(file))
    figures = resultReport(result, tre, result.registration.model) | {"quality_check": qualityReport(quality)}
    folder.finish({**figures, **_details(finished, wanted.options), **record})
    lines = [*folder.notes, *_explanations(result)] if wanted.explain else list(folder.notes)
    code = DO_NOT_USE if quality.grade == "do not use" else DONE
    return Outcome("\n".join([*lines, _sentence(finished, closer, folder)]), code)


def _landmarkErrors(inputs: Inputs, result: SliceRegistration) -> TreTable | None:
    if inputs.fixedLandmarks is None or inputs.movingLandmarks is None:
        return None
    return targetRegistrationError(inputs.fixedLandmarks, inputs.movingLandmarks, result.transformNode, inputs.moving)


def _details(finished: Finished, options: RegistrationOptions) -> dict[str, object]:
    """What the report says besides the figures of every result."""
    result, registration, plane = finished.result, finished.result.registration, finished.inputs.plane
    return {
        "options": asdict(options),
        "plan": list(registration.plan.reasons),
        "model_reason": registration.model_reason,
        "licence": registration.licence,
        "direction": _DIRECTION,
        "spacing_mm": np.linalg.norm(plane.ijkToRas[:3, :3], axis=0).tolist(),
        "displacement_mm": _range(_lengths(result)),
        "jacobian": _range(result.jacobian),
        "landmark_errors_mm": None if finished.tre is None else _byLabel(finished.tre),
    }


def _lengths(result: SliceRegistration) -> np.ndarray:
    """Length of the displacement of each pixel in the plane, mm."""
    matrix = result.pair.plane.ijkToRas[:3, [1, 0]]  # Component 0 runs along the rows' axis j.
    return np.linalg.norm(np.einsum("rc,cyx->ryx", matrix, result.registration.displacement[0].numpy()), axis=0)


def _range(values: np.ndarray) -> dict[str, float]:
    return {"min": float(values.min()), "max": float(values.max())}


def _byLabel(tre: TreTable) -> dict[str, dict[str, float]]:
    before, after = (np.linalg.norm(vectors, axis=1).tolist() for vectors in (tre.before, tre.after))
    return {label: {"before": b, "after": a} for label, b, a in zip(tre.labels, before, after, strict=True)}


def _explanations(result: SliceRegistration) -> list[str]:
    return [*result.registration.plan.reasons, *(f"{note[:1].upper()}{note[1:]}." for note in result.notes)]


def _sentence(finished: Finished, closer: str, folder: OutputFolder) -> str:
    inputs, registration = finished.inputs, finished.result.registration
    seconds = sum(registration.milliseconds.values()) / 1000
    return (
        f"Registered the {inputs.plane.name} of {inputs.moving.GetName()} to {inputs.fixed.GetName()}: {closer};"
        f" {seconds:.2f} s on {registration.device}. The results are in {folder.folder}."
        f" Model {registration.model_reason or registration.model}; licence: {registration.licence}"
    )
