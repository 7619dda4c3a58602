"""``find``: which slice of a volume fits a given slice best."""

from __future__ import annotations

import argparse
import typing
from pathlib import Path

from ...scene.registration_options import Orientation, RegistrationOptions
from ..arguments import Commands, addGeneral, addOutput, addRegistrationOptions, addSeries
from ..folder_run import runInFolder
from ..outcome import Outcome
from ..output_folder import OutputFolder
from ..progress import ProgressBar

_COUNTED = ("model", "prealignment", "device")


def addFind(commands: Commands) -> None:
    """Add the parser of this command."""
    parser = commands.add_parser("find", help="find the slice of VOLUME that fits SLICE best")
    parser.add_argument("slice", type=Path, metavar="SLICE", help="image, or a volume, whose middle slice is taken")
    parser.add_argument("volume", type=Path, metavar="VOLUME", help="volume file, or a folder with DICOM files")
    addSeries(parser)
    addOutput(parser)
    parser.add_argument(
        "--plane",
        choices=typing.get_args(Orientation),
        help="compare slices of this orientation, centre on centre (default: those parallel to SLICE as it lies)",
    )
    addRegistrationOptions(parser, _COUNTED)
    addGeneral(
        parser,
        "find histology.png mr.nii.gz --output out --plane coronal",
        "find slice.nrrd volume.nrrd --output out --prealignment rigid",
        "register slice.nrrd volume.nrrd --output registered --initial-transform out/plane.h5",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> Outcome:
    """Compare all slices and write the best."""
    from ...scene.registration.slice_search import findSlice
    from .. import search_files as files
    from .. import session
    from ..readers import readVolume

    chosen = RegistrationOptions(**{name: getattr(options, name) for name in _COUNTED})

    def work(folder: OutputFolder, record: dict[str, object]) -> Outcome:
        with ProgressBar(options) as progress:
            progress("read the files", 0.0)
            scene = session.newScene()
            given, volume = readVolume(scene, options.slice), readVolume(scene, options.volume)
            found = findSlice(given, volume, options.plane, chosen, lambda step, done: progress(step, 0.1 + 0.7 * done))
            progress("write the files", 0.9)
            files.writeSearch(found, given, volume, folder)
        folder.finish({**files.searchReport(found), **record})
        return Outcome("\n".join([*folder.notes, f"{files.searchSentence(found, volume)} See {folder.folder}."]))

    return runInFolder(options, files.SEARCH_FILES, {"slice": options.slice, "volume": options.volume}, work)
