"""``demo``: registers a synthetic patient with known landmarks."""

from __future__ import annotations

import argparse

from ..arguments import Commands, addGeneral, addOutput, addRegistration, optionsOf
from ..folder_run import runInFolder
from ..outcome import Outcome
from ..output_folder import OutputFolder
from ..progress import ProgressBar


def addDemo(commands: Commands) -> None:
    """Add the parser of this command."""
    parser = commands.add_parser("demo", help="register a synthetic patient with known landmarks")
    addOutput(parser)
    addRegistration(parser)
    parser.add_argument("--phantom", choices=("head", "abdomen"), default="head", help="which patient (default: head)")
    addGeneral(
        parser,
        "demo --output out",
        "demo --output out --phantom abdomen --preset fast",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> Outcome:
    """Register the phantom and write the results."""
    from .. import session
    from ..registration_run import Wanted, fileNames, registerToFolder

    wanted = Wanted(optionsOf(options), tuple(options.write), options.explain)

    def work(folder: OutputFolder, record: dict[str, object]) -> Outcome:
        with ProgressBar(options) as progress:
            progress("create the phantom", 0.0)
            inputs = session.phantomInputs(session.newScene(), options.phantom)
            return registerToFolder(inputs, wanted, folder, record, progress)

    return runInFolder(options, fileNames(wanted), {}, work)
