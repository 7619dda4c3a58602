"""``python -m training``: ``fit`` a network, ``export`` it as a model file, ``evaluate`` a model, show its ``card``."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; 0 if all went well, 1 with a sentence on standard error if not."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = _parser()
    options, overrides = parser.parse_known_args(arguments)
    if overrides and options.command != "fit":
        parser.error(f"'{options.command}' does not know {' '.join(overrides)}")
    options.overrides = overrides
    try:
        options.run(options)
    except (ValueError, OSError) as error:
        print(f"training: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    fit = commands.add_parser(
        "fit", help="train, or go on where the output folder stopped; --part.name value overrides"
    )
    fit.add_argument("configuration", type=Path, metavar="CONFIG", help="YAML, see training/configurations")
    fit.add_argument("--output", type=Path, required=True, metavar="DIR")
    fit.add_argument("--devices", type=int, default=None, help="in each node (default: all)")
    fit.add_argument("--nodes", type=int, default=1, help="machines (default: 1)")
    fit.set_defaults(run=_fit)

    export = commands.add_parser("export", help="write the model file of a checkpoint")
    export.add_argument("checkpoint", type=Path)
    export.add_argument("--output", type=Path, required=True, metavar="FILE")
    export.add_argument("--half", action="store_true", help="store 16-bit weights")
    export.set_defaults(run=_export)

    evaluate = commands.add_parser("evaluate", help="Dice of a model on labelled pairs")
    evaluate.add_argument("model", type=Path)
    evaluate.add_argument("--pairs", type=Path, required=True, metavar="DIR_OR_CSV")
    evaluate.add_argument("--slices", type=int, nargs="+", default=[0], help="of volumes, along the first array axis")
    evaluate.add_argument("--device", default="auto")
    evaluate.add_argument("--write", metavar="NAME", help="write the Dice into the card of the model under this name")
    evaluate.set_defaults(run=_evaluate)

    card = commands.add_parser("card", help="what a model was made of and how good it is")
    card.add_argument("model", type=Path)
    card.set_defaults(run=_card)
    return parser


def _fit(options: argparse.Namespace) -> None:
    from training.configuration import read_run
    from training.fit import fit

    run = read_run(options.configuration, options.overrides)
    fit(run, options.output, devices=options.devices or "auto", nodes=options.nodes)


def _export(options: argparse.Namespace) -> None:
    from training.export import export

    export(options.checkpoint, options.output, options.half)


def _evaluate(options: argparse.Namespace) -> None:
    from training.evaluate import evaluate, find_pairs
    from training.export import set_scores
    from UnsupervisedRegistrationLib.core.model import load_model

    score = evaluate(load_model(options.model), find_pairs(options.pairs, options.slices), options.device)
    print(score)
    if options.write:
        set_scores(options.model, {f"{options.write}, unregistered": score.before, options.write: score.after})


def _card(options: argparse.Namespace) -> None:
    from training.export import describe
    from UnsupervisedRegistrationLib.core.model import load_model

    print(describe(load_model(options.model)))


if __name__ == "__main__":
    sys.exit(main())
