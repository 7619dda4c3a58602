"""``report``: the quality report of a transform between two files, from any tool."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..arguments import Commands, addEvidence, addGeneral, addOutput, addPair, addSlice, addTransform, pairFiles
from ..folder_run import runInFolder
from ..input_files import ReportFiles
from ..outcome import Outcome
from ..output_folder import OutputFolder
from ..progress import ProgressBar


def addReport(commands: Commands) -> None:
    """Add the parser of this command."""
    parser = commands.add_parser("report", help="quality report of any transform from MOVING to FIXED")
    addPair(parser, "likewise")
    addTransform(
        parser,
        "from fixed to moving points, as it resamples MOVING: linear, B-spline, displacement field or composite",
    )
    addOutput(parser)
    addEvidence(parser)
    parser.add_argument("--mask", type=Path, help="labelmap of the patient on FIXED (default: the foreground)")
    parser.add_argument("--profile", default="tg-132", help="tolerances: tg-132, strict, or a JSON file")
    addSlice(parser, "whole volume; with --plane the middle")
    parser.add_argument("--identifiers", action="store_true", help="write the names of the files into the report")
    addGeneral(
        parser,
        "report F.nrrd M.nrrd --transform T.h5 --output out --fixed-labels F.seg.nrrd --moving-labels M.seg.nrrd",
        "report F.nrrd M.nrrd --transform T.nii.gz --output out --plane axial --profile strict",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> Outcome:
    """Read the files, make the report and write it."""
    from .. import quality_files

    files = ReportFiles(**pairFiles(options), transform=options.transform)
    profile = quality_files.readProfile(options.profile)

    def work(folder: OutputFolder, record: dict[str, object]) -> Outcome:
        with ProgressBar(options) as progress:
            progress("read the files", 0.0)
            inputs = quality_files.readReportInputs(files)
            progress("measure", 0.1)
            report = quality_files.makeReport(inputs, profile, options.identifiers)
            progress("write the report", 0.8)
            safe = ("started", "versions", "input_notes")
            shown = record if options.identifiers else {name: record[name] for name in safe}
            return quality_files.writeReport(report, folder, shown)

    return runInFolder(options, quality_files.FILE_NAMES, files.files, work, keepsOptions=options.identifiers)
