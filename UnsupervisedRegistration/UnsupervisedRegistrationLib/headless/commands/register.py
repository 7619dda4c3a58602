"""``register``: registers a slice of one file, or many, to those of another."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from ..arguments import (
    FOREGROUND_MASK,
    TRANSFORM_2D,
    Commands,
    addEvidence,
    addGeneral,
    addOutput,
    addPair,
    addRegistration,
    addSlice,
    optionsOf,
    pairFiles,
)
from ..folder_run import runInFolder
from ..input_files import RegistrationFiles
from ..outcome import Outcome
from ..output_folder import OutputFolder
from ..progress import ProgressBar


def addRegister(commands: Commands) -> None:
    """Add the parser of this command."""
    parser = commands.add_parser("register", help="register a slice of MOVING to a slice of FIXED")
    addPair(parser)
    addOutput(parser)
    addRegistration(parser)
    addSlice(parser, "the middle")
    parser.add_argument("--moving-slice", type=int, metavar="K", help="slice of MOVING (default: the same place)")
    parser.add_argument(
        "--slices", type=_slices, metavar="all|A-B", help="all slices of FIXED, or slices A to B, as one transform"
    )
    parser.add_argument(
        "--mask", type=Path, help="labelmap of the region that matters, on FIXED; auto takes the patient"
    )
    parser.add_argument("--moving-mask", type=Path, metavar="MASK", help="the same on MOVING")
    parser.add_argument("--initial-transform", type=Path, metavar="T", help="places MOVING first (.h5, .tfm)")
    addEvidence(parser)
    parser.add_argument("--steer", action="store_true", help="let the landmarks steer the optimisation")
    parser.add_argument(
        "--along",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="images, segmentations, models and points of MOVING that follow by the same transform",
    )
    addGeneral(
        parser,
        "register fixed.nii.gz moving.nii.gz --output out",
        "register ct.nrrd mr.nrrd --output out --plane axial --fixed-slice 82 --preset thorough",
        "register ct.nrrd mr.nrrd --output out --slices all --labels ct.seg.nrrd --moving-labels mr.seg.nrrd",
        "register t1.nii.gz t2.nii.gz --output out --along flair.nii.gz --write transform,displacement.nii.gz",
        "register a.png b.png --output out --options former/options.json",
    )
    parser.set_defaults(run=_run)


def _slices(text: str) -> str:
    if text != "all" and re.fullmatch(r"\d+-\d+", text) is None:
        raise argparse.ArgumentTypeError(f"'{text}' is neither all nor two slices from 0, such as 10-40")
    return text


def _run(options: argparse.Namespace) -> Outcome:
    """Register the files and write the results."""
    from .. import registration_run, session

    _checkSlices(options)
    files = RegistrationFiles(
        **pairFiles(options),
        movingMask=options.moving_mask,
        initialTransform=options.initial_transform,
        along=tuple(options.along),
        movingSlice=options.moving_slice,
    )
    wanted = registration_run.Wanted(
        optionsOf(options),
        tuple(options.write),
        options.explain,
        registration_run.volumeSlices(options.slices, options.plane),
        options.steer,
        files.along,
        files.movingLabels,
    )
    names = registration_run.fileNames(wanted)

    def work(folder: OutputFolder, record: dict[str, object]) -> Outcome:
        with ProgressBar(options) as progress:
            progress("read the files", 0.0)
            inputs = session.readInputs(session.newScene(), files)
            return registration_run.registerToFolder(inputs, wanted, folder, record, progress)

    return runInFolder(options, names, _inputs(files, Path(options.model)), work)


def _checkSlices(options: argparse.Namespace) -> None:
    """Refuse what has a meaning for a single slice only.

    Raises:
        ValueError: It was given with --slices, or landmarks to steer with were not given.
    """
    single = {"--fixed-slice": options.fixed_slice is not None, "--moving-slice": options.moving_slice is not None}
    single |= {"--steer": options.steer, f"--write {TRANSFORM_2D}": TRANSFORM_2D in options.write}
    given = [name for name, isGiven in single.items() if isGiven]
    if options.slices is not None and given:
        raise ValueError(f"{given[0]} belongs to a single slice, --slices to many; leave one of them out.")
    if options.steer and (options.fixed_landmarks is None or options.preset == "fast"):
        missing = "--fixed-landmarks and --moving-landmarks" if options.fixed_landmarks is None else "--preset standard"
        raise ValueError(f"--steer needs {missing}: landmarks steer the optimisation.")


def _inputs(files: RegistrationFiles, model: Path) -> dict[str, Path | None]:
    """The files and folders that are read."""
    given = files.files | ({"model": model} if model.is_file() else {})
    return {name: path for name, path in given.items() if path != Path(FOREGROUND_MASK)}
