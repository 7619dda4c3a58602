"""``demo``: registers a synthetic patient with known landmarks."""

from __future__ import annotations

import argparse

from ..arguments import Commands, addRegistration, optionsOf
from ..outcome import Outcome
from ..progress import ProgressBar


def addDemo(commands: Commands) -> None:
    """Add the parser of this command."""
    parser = commands.add_parser("demo", help="register a synthetic patient with known landmarks")
    addRegistration(parser)
    parser.add_argument("--phantom", choices=("head", "abdomen"), default="head", help="which patient (default: head)")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> Outcome:
    """Register the phantom and write the results."""
    from .. import session

    with ProgressBar() as progress:
        progress("create the phantom", 0.0)
        inputs = session.phantomInputs(session.newScene(), options.phantom)
        return session.registerToFolder(inputs, optionsOf(options), options.output, progress, options.explain)
