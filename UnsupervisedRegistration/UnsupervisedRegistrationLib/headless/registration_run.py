"""The registration of one pair, from nodes to a folder of files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ..scene.exchange.displacement_image import checkPlanar
from ..scene.geometry.planes import planeFromIndex
from ..scene.landmarks.tre_table import TreTable, targetRegistrationError
from ..scene.registration.result_nodes import SliceRegistration
from ..scene.registration.slice import Progress, RegistrationOptions, registerSlice
from ..scene.registration.slice_pair import SliceInputs
from ..scene.registration.volume import VolumeSlices, registerVolume
from ..scene.registration_options import Orientation
from ..scene.reporting.quality import QualityItem, checkQuality, gradeWord, qualityReport, qualitySentences
from ..scene.reporting.structures import structureAgreement
from ..scene.reporting.summary import resultReport, resultSentence
from .application import Application, applyTo, outputName, outputNames
from .arguments import TRANSFORM_2D
from .options_file import OPTIONS_FILE
from .outcome import DO_NOT_USE, DONE, Outcome
from .output_files import WRITERS, Finished
from .output_folder import REPORT, OutputFolder
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
        slices: Which slices of the fixed volume; ``None`` is a single one.
        steer: Whether the landmarks steer the optimisation.
        along: Files of the moving image that follow.
        labels: Likewise, labels, of which each voxel takes the nearest.
    """

    options: RegistrationOptions
    writes: tuple[str, ...]
    explain: bool = False
    slices: VolumeSlices | None = None
    steer: bool = False
    along: tuple[Path, ...] = ()
    labels: Path | None = None

    @property
    def followers(self) -> tuple[Path, ...]:
        """All files that follow."""
        return (*self.along, *([self.labels] if self.labels else []))


def volumeSlices(text: str | None, orientation: Orientation | None) -> VolumeSlices | None:
    """Return the slices that ``all`` or ``A-B`` means; ``None`` for ``None``."""
    if text is None:
        return None
    first, _, last = text.partition("-")
    return VolumeSlices(orientation, None if text == "all" else (int(first), int(last)))


def fileNames(wanted: Wanted) -> list[str]:
    """Return the files that a run writes besides the report.

    Raises:
        ValueError: Two of them would have the same name.
    """
    names = [WRITERS[name][0] for name in wanted.writes]
    return names + outputNames(wanted.followers, (*names, OPTIONS_FILE, REPORT))


def registerToFolder(
    inputs: Inputs, wanted: Wanted, folder: OutputFolder, record: Mapping[str, object], progress: Progress
) -> Outcome:
    """Register, write the files into ``folder`` and say how good the result is.

    Raises:
        OSError: The folder cannot be written.
        ValueError: The inputs, the model or the device do not fit.
    """
    if TRANSFORM_2D in wanted.writes:
        checkPlanar(inputs.plane, planeFromIndex(inputs.moving))
    result = _register(inputs, wanted, lambda step, share: progress(step, 0.1 + 0.5 * share))
    tre = _landmarkErrors(inputs, result)
    structures, remarks = _structures(inputs, result)
    closer = ", ".join([*_overlaps(structures), resultSentence(result, tre)])
    caption = f"{inputs.moving.GetName()} to {inputs.fixed.GetName()}: {closer}"
    quality = checkQuality(result, tre, structures)
    checked = f"Quality check: {gradeWord(quality.grade)}; {'; '.join(qualitySentences(quality))}."
    finished = Finished(inputs, result, tre, caption, checked)
    _write(finished, wanted, folder, progress)
    figures = resultReport(result, tre, result.registration.model) | {"quality_check": qualityReport(quality)}
    figures |= {"notes": [*result.notes, *remarks], "structures": _byStructure(structures)}
    folder.finish({**figures, **_details(finished, wanted.options), **record})
    lines = [*folder.notes, *_explanations(result)] if wanted.explain else list(folder.notes)
    code = DO_NOT_USE if quality.grade == "do not use" else DONE
    return Outcome("\n".join([*lines, _sentence(finished, closer, folder)]), code)


def _register(inputs: Inputs, wanted: Wanted, progress: Progress) -> SliceRegistration:
    landmarks = None
    if wanted.steer and inputs.fixedLandmarks is not None and inputs.movingLandmarks is not None:
        landmarks = (inputs.fixedLandmarks, inputs.movingLandmarks)
    offset, masks = inputs.movingOffset, (inputs.mask, inputs.movingMask)
    given = SliceInputs(inputs.fixed, inputs.moving, inputs.plane, offset, *masks, landmarks)
    if wanted.slices is not None:
        return registerVolume(given, wanted.slices, wanted.options, progress=progress)
    return registerSlice(given, wanted.options, progress=progress)


def _write(finished: Finished, wanted: Wanted, folder: OutputFolder, progress: Progress) -> None:
    """Write the files, then those that follow."""
    count = len(wanted.writes) + len(wanted.followers)
    for number, name in enumerate(wanted.writes):
        progress(f"write the {name}", 0.65 + 0.3 * number / count)
        file, write = WRITERS[name]
        write(finished, folder.path(file))
    application = Application(finished.result.transformNode, finished.result.warpedVolume)
    for number, path in enumerate(wanted.followers, len(wanted.writes)):
        progress(f"transform {path.name}", 0.65 + 0.3 * number / count)
        applied = application.forLabels() if path == wanted.labels else application
        applyTo(path, applied, folder.path(outputName(path)))


def _structures(inputs: Inputs, result: SliceRegistration) -> tuple[tuple[QualityItem, ...], list[str]]:
    if inputs.fixedLabels is None or inputs.movingLabels is None:
        return (), []
    return structureAgreement(result, inputs.fixedLabels, inputs.movingLabels)


def _overlaps(structures: tuple[QualityItem, ...]) -> list[str]:
    """The mean Dice as a part of a sentence; none without structures."""
    dice = [item for item in structures if item.name == "Dice"]
    if not dice:
        return []
    before, after = (
        float(np.mean(values)) for values in zip(*((item.before, item.value) for item in dice), strict=True)
    )
    return [f"mean Dice of {len(dice)} structures {before:.2f} before, {after:.2f} after"]


def _byStructure(structures: tuple[QualityItem, ...]) -> dict[str, dict[str, dict[str, float | None]]]:
    """Structure to Dice, mean distance to agreement (MDA, mm) and 95 % Hausdorff distance (HD95, mm)."""
    found: dict[str, dict[str, dict[str, float | None]]] = {}
    for item in structures:
        found.setdefault(item.structure, {})[item.name] = {"before": item.before, "after": item.value}
    return found


def _landmarkErrors(inputs: Inputs, result: SliceRegistration) -> TreTable | None:
    if inputs.fixedLandmarks is None or inputs.movingLandmarks is None:
        return None
    return targetRegistrationError(inputs.fixedLandmarks, inputs.movingLandmarks, result.transformNode, inputs.moving)


def _details(finished: Finished, options: RegistrationOptions) -> dict[str, object]:
    """What the report says besides the figures of every result."""
    result, registration, plane = finished.result, finished.result.registration, finished.result.pair.plane
    return {
        "options": asdict(options),
        "plan": list(registration.plan.reasons),
        "model_reason": registration.model_reason,
        "licence": registration.licence,
        "direction": _DIRECTION,
        "spacing_mm": np.linalg.norm(plane.ijkToRas[:3, :3], axis=0).tolist(),
        "displacement_mm": _range(_lengths(result)),
        "jacobian": _range(result.jacobians),
        "landmark_errors_mm": None if finished.tre is None else _byLabel(finished.tre),
    }


def _lengths(result: SliceRegistration) -> np.ndarray:
    """Length of the displacement of each pixel of the slices in their plane, mm."""
    matrix = result.pair.plane.ijkToRas[:3, [1, 0]]  # Component 0 runs along the rows' axis j.
    return np.linalg.norm(np.einsum("rc,ncyx->nryx", matrix, result.allSlices.displacement.numpy()), axis=1)


def _range(values: np.ndarray) -> dict[str, float]:
    return {"min": float(values.min()), "max": float(values.max())}


def _byLabel(tre: TreTable) -> dict[str, dict[str, float]]:
    before, after = (np.linalg.norm(vectors, axis=1).tolist() for vectors in (tre.before, tre.after))
    return {label: {"before": b, "after": a} for label, b, a in zip(tre.labels, before, after, strict=True)}


def _explanations(result: SliceRegistration) -> list[str]:
    return [*result.registration.plan.reasons, *(f"{note[:1].upper()}{note[1:]}." for note in result.notes)]


def _sentence(finished: Finished, closer: str, folder: OutputFolder) -> str:
    inputs, registration, plane = finished.inputs, finished.result.registration, finished.result.pair.plane
    seconds = sum(registration.milliseconds.values()) / 1000
    return (
        f"Registered the {plane.name} of {inputs.moving.GetName()} to {inputs.fixed.GetName()}: {closer};"
        f" {seconds:.2f} s on {registration.device}. The results are in {folder.folder}."
        f" Model {registration.model_reason or registration.model}; licence: {registration.licence}"
    )
