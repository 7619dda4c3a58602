"""``validate``: the validation protocol of the quality report, expected beside measured."""

from __future__ import annotations

import argparse

from ..arguments import Commands, addGeneral
from ..outcome import Outcome


def addValidate(commands: Commands) -> None:
    """Add the parser of this command."""
    parser = commands.add_parser("validate", help="compare the quality report with values known beforehand")
    addGeneral(parser, "validate")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> Outcome:
    """Run the protocol.

    Raises:
        ValueError: A value is not what was expected; the table says which.
    """
    from ...scene.reporting.validation import validate, validationText

    rows = validate()
    if not all(row.passed for row in rows):
        raise ValueError(f"the quality report failed its validation; do not use it here.\n{validationText(rows)}")
    return Outcome(validationText(rows))
