"""``python -m training``: ``fit`` a network, ``export`` it as a model file, ``evaluate`` a model."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from training.export import export
from training.fit import FitConfiguration, fit
from UnsupervisedRegistrationLib.core.model import load_model


def main() -> int:
    """Runs the command; 0 if all went well, 1 with a sentence on standard error if not."""
    options = _parser().parse_args()
    try:
        options.run(options)
    except (ValueError, OSError) as error:
        print(f"training: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    one = commands.add_parser("fit", help="train on synthesised pairs; goes on where a checkpoint exists")
    one.add_argument("--output", type=Path, required=True, metavar="CHECKPOINT")
    one.add_argument("--steps", type=int, default=FitConfiguration.steps)
    one.add_argument("--batch", type=int, default=FitConfiguration.batch, help="pairs a step, a multiple of 4")
    one.add_argument("--seed", type=int, default=FitConfiguration.seed)
    one.add_argument("--threads", type=int, default=2)
    one.set_defaults(run=_fit)

    two = commands.add_parser("export", help="write the model file of a checkpoint")
    two.add_argument("checkpoint", type=Path)
    two.add_argument("--output", type=Path, required=True, metavar="FILE")
    two.set_defaults(run=lambda options: export(options.checkpoint, options.output))

    three = commands.add_parser("evaluate", help="Dice of a model on a folder of labelled pairs")
    three.add_argument("model", type=Path)
    three.add_argument("--pairs", type=Path, required=True, metavar="DIR")
    three.add_argument("--slices", type=int, nargs="+", default=[0], help="of volumes, along the first array axis")
    three.add_argument("--device", default="auto")
    three.set_defaults(run=_evaluate)
    return parser


def _fit(options: argparse.Namespace) -> None:
    configuration = FitConfiguration(steps=options.steps, batch=options.batch, seed=options.seed)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    fit(configuration, options.output, options.threads)


def _evaluate(options: argparse.Namespace) -> None:
    from training.evaluate import evaluate, find_pairs

    print(evaluate(load_model(options.model), find_pairs(options.pairs, options.slices), options.device))


if __name__ == "__main__":
    sys.exit(main())
