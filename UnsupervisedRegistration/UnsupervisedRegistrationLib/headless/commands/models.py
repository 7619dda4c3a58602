"""``models``: lists the models that ``--model`` knows by name."""

from __future__ import annotations

import argparse
import textwrap

from ..arguments import Commands, addGeneral
from ..outcome import Outcome


def addModels(commands: Commands) -> None:
    """Add the parser of this command."""
    parser = commands.add_parser("models", help="list the models that --model knows by name")
    addGeneral(
        parser,
        "models",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> Outcome:
    """List name, description, data and licence of each model."""
    from ...scene.registration.candidate_models import modelCards
    from ...scene.registration.model_folders import modelFolders

    cards = modelCards()
    if not cards:
        raise ValueError(f"There is no model in {', '.join(map(str, modelFolders())) or 'any known folder'}.")
    described = {
        name: (("what", card.description), ("data", card.data), ("licence", card.licence))
        for name, card in cards.items()
    }
    blocks = [
        "\n".join([name, *(_wrapped(f"{what}: {text}") for what, text in lines if text)])
        for name, lines in described.items()
    ]
    return Outcome("\n\n".join(blocks), isCodeNamed=False)


def _wrapped(text: str) -> str:
    return textwrap.fill(text, 100, initial_indent="  ", subsequent_indent="    ")
