"""``report``: the quality report of a transform between two files, from any tool."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..arguments import Commands, addGeneral, addOutput
from ..folder_run import runInFolder
from ..outcome import Outcome
from ..output_folder import OutputFolder
from ..progress import ProgressBar


def addReport(commands: Commands) -> None:
    """Add the parser of this command."""
    parser = commands.add_parser("report", help="quality report of any transform from MOVING to FIXED")
    parser.add_argument("fixed", type=Path, metavar="FIXED", help="image or volume file, or a folder with DICOM files")
    parser.add_argument("moving", type=Path, metavar="MOVING", help="likewise")
    parser.add_argument(
        "--transform",
        type=Path,
        required=True,
        metavar="T",
        help="from fixed to moving points, as it resamples MOVING: linear, B-spline, displacement field or composite",
    )
    addOutput(parser)
    parser.add_argument("--fixed-labels", type=Path, metavar="L", help="labelmap or .seg.nrrd, paired by name with ..")
    parser.add_argument("--moving-labels", type=Path, metavar="L", help=".. these")
    parser.add_argument("--fixed-landmarks", type=Path, metavar="F.mrk.json", help="paired by label with ..")
    parser.add_argument("--moving-landmarks", type=Path, metavar="M.mrk.json", help=".. these")
    parser.add_argument("--mask", type=Path, help="labelmap of the patient on FIXED (default: the foreground)")
    parser.add_argument("--profile", default="tg-132", help="tolerances: tg-132, strict, or a JSON file")
    parser.add_argument("--plane", choices=("axial", "sagittal", "coronal"), help="one slice of this orientation ..")
    parser.add_argument("--fixed-slice", type=int, metavar="K", help=".. or this one, from 0 (default: whole volume)")
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

    files = quality_files.ReportFiles(
        options.fixed,
        options.moving,
        options.transform,
        fixedLabels=options.fixed_labels,
        movingLabels=options.moving_labels,
        fixedLandmarks=options.fixed_landmarks,
        movingLandmarks=options.moving_landmarks,
        mask=options.mask,
        orientation=options.plane,
        fixedSlice=options.fixed_slice,
    )
    profile = quality_files.readProfile(options.profile)

    def work(folder: OutputFolder, record: dict[str, object]) -> Outcome:
        with ProgressBar(options) as progress:
            progress("read the files", 0.0)
            inputs = quality_files.readReportInputs(files)
            progress("measure", 0.1)
            report = quality_files.makeReport(inputs, profile, options.identifiers)
            progress("write the report", 0.8)
            shown = record if options.identifiers else {name: record[name] for name in ("started", "versions")}
            return quality_files.writeReport(report, folder, shown)

    return runInFolder(options, quality_files.FILE_NAMES, files.paths, work, keepsOptions=options.identifiers)
