"""``register``: registers a slice of one file to a slice of another."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..arguments import FOREGROUND_MASK, Commands, addGeneral, addOutput, addRegistration, optionsOf
from ..folder_run import runInFolder
from ..outcome import Outcome
from ..output_folder import OutputFolder
from ..progress import ProgressBar


def addRegister(commands: Commands) -> None:
    """Add the parser of this command."""
    parser = commands.add_parser("register", help="register a slice of MOVING to a slice of FIXED")
    parser.add_argument("fixed", type=Path, metavar="FIXED", help="image or volume file, or a folder with DICOM files")
    parser.add_argument("moving", type=Path, metavar="MOVING", help="likewise; is warped onto FIXED")
    addOutput(parser)
    addRegistration(parser)
    parser.add_argument("--plane", choices=("axial", "sagittal", "coronal"), help="orientation of the slice")
    parser.add_argument("--fixed-slice", type=int, metavar="K", help="slice of FIXED, from 0 (default: the middle)")
    parser.add_argument("--moving-slice", type=int, metavar="K", help="slice of MOVING (default: the same place)")
    parser.add_argument(
        "--mask", type=Path, help="labelmap of the region that matters, on FIXED; auto takes the patient"
    )
    parser.add_argument("--moving-mask", type=Path, metavar="MASK", help="the same on MOVING")
    parser.add_argument("--initial-transform", type=Path, help="places MOVING first (.h5, .tfm)")
    parser.add_argument(
        "--fixed-landmarks", type=Path, metavar="F", help=".mrk.json, .fcsv or .csv; paired by label with .."
    )
    parser.add_argument("--moving-landmarks", type=Path, metavar="M", help=".. these, for the error in mm")
    addGeneral(
        parser,
        "register fixed.nii.gz moving.nii.gz --output out",
        "register ct.nrrd mr.nrrd --output out --plane axial --fixed-slice 82 --preset thorough",
        "register a.png b.png --output out --options former/options.json",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> Outcome:
    """Register the files and write the results."""
    from .. import session
    from ..registration_run import Wanted, fileNames, registerToFolder

    wanted = Wanted(optionsOf(options), tuple(options.write), options.explain)

    def work(folder: OutputFolder, record: dict[str, object]) -> Outcome:
        with ProgressBar(options) as progress:
            progress("read the files", 0.0)
            inputs = session.readInputs(
                session.newScene(),
                options.fixed,
                options.moving,
                orientation=options.plane,
                fixedSlice=options.fixed_slice,
                movingSlice=options.moving_slice,
                mask=options.mask,
                movingMask=options.moving_mask,
                initialTransform=options.initial_transform,
                fixedLandmarks=options.fixed_landmarks,
                movingLandmarks=options.moving_landmarks,
            )
            return registerToFolder(inputs, wanted, folder, record, progress)

    return runInFolder(options, fileNames(wanted), _inputs(options), work)


def _inputs(options: argparse.Namespace) -> dict[str, Path | None]:
    """The files and folders that are read."""
    names = ("fixed", "moving", "mask", "moving_mask", "initial_transform", "fixed_landmarks", "moving_landmarks")
    given = {name: getattr(options, name) for name in names}
    model = Path(options.model)
    given["model"] = model if model.is_file() else None
    return {name: None if path == Path(FOREGROUND_MASK) else path for name, path in given.items()}
