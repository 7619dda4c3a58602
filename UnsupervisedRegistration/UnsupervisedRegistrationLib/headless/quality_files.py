"""From files to the files of a quality report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from ..scene.geometry.planes import planeFromIndex
from ..scene.reporting.evidence import ReportInputs
from ..scene.reporting.quality import gradeWord
from ..scene.reporting.quality_report import QualityReport
from ..scene.reporting.quality_report import makeReport as makeReport
from ..scene.reporting.report_files import reportCsv, reportJson
from ..scene.reporting.report_html import SUMMARIES, reportHtml
from ..scene.reporting.tolerance_profiles import PROFILES, ToleranceProfile, own_profile
from .input_files import ReportFiles
from .outcome import DO_NOT_USE, DONE, Outcome
from .output_folder import OutputFolder
from .readers import readLabels, readLandmarks, readMask, readTransform, readVolume
from .report_pdf import reportPdf
from .session import newScene
from .transform_checks import noteCoverage

FILE_NAMES = ("quality.html", "quality.pdf", "quality.csv", "quality.json")
"""The files of a report."""


def readReportInputs(files: ReportFiles) -> ReportInputs:
    """Read all files into a new scene; without a slice the report is about the whole volume.

    Raises:
        OSError: A file is missing or cannot be opened.
        ValueError: A file or the slice is not usable.
    """
    scene = newScene()
    fixed, moving = readVolume(scene, files.fixed), readVolume(scene, files.moving)
    transform = readTransform(scene, files.transform)
    noteCoverage(files.transform, transform, fixed)
    oneSlice = files.orientation is not None or files.fixedSlice is not None
    return ReportInputs(
        fixed,
        moving,
        transform,
        planeFromIndex(fixed, files.orientation, files.fixedSlice) if oneSlice else None,
        files.fixedMask and readMask(scene, files.fixedMask),
        files.fixedLabels and readLabels(scene, files.fixedLabels),
        files.movingLabels and readLabels(scene, files.movingLabels),
        files.fixedLandmarks and readLandmarks(scene, files.fixedLandmarks),
        files.movingLandmarks and readLandmarks(scene, files.movingLandmarks),
    )


def readProfile(profile: str) -> ToleranceProfile:
    """A profile of tolerances by its name, or from a JSON file.

    Raises:
        OSError: There is no such file.
        ValueError: It holds no profile.
    """
    if profile in PROFILES:
        return PROFILES[profile]
    path = Path(profile)
    if not path.is_file():
        raise FileNotFoundError(f"There is no profile '{profile}'; choose {', '.join(PROFILES)} or a JSON file.")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"'{path}' is no JSON file: {error}.") from error
    if not isinstance(content, dict):
        raise ValueError(f"'{path}' holds no tolerances; needed is a JSON object of names and numbers.")
    return own_profile(content)


def writeReport(report: QualityReport, folder: OutputFolder, record: Mapping[str, object]) -> Outcome:
    """Write ``quality.html``, ``.pdf``, ``.csv`` and ``.json``; exit code 3 means "do not use".

    Raises:
        OSError: A file cannot be written.
    """
    contents = (reportHtml(report).encode(), reportPdf(report), reportCsv(report).encode(), reportJson(report).encode())
    for name, content in zip(FILE_NAMES, contents, strict=True):
        folder.path(name).write_bytes(content)
    grade = report.check.grade
    folder.finish({**record, "grade": grade})
    sentence = (
        f"{gradeWord(grade)}: {SUMMARIES[grade]} Region: {report.header['Region']};"
        f" see {folder.folder / FILE_NAMES[0]}."
    )
    return Outcome(sentence, DO_NOT_USE if grade == "do not use" else DONE)
