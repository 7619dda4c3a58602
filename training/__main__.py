"""Train models, evaluate them, compare them with other methods, and write model files."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

_Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
_PAIRS = (
    "folder with images named X_ED and X_ES, or X_fixed and X_moving, or any two, and X_labels or X_landmarks.csv"
    " beside each; or a CSV file with the columns fixed, moving, fixed_labels, moving_labels (or fixed_landmarks,"
    " moving_landmarks), and optionally fixed_mask, moving_mask, slice, fixed_subject, moving_subject"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return 0 on success, 1 with a sentence on standard error otherwise."""
    _log_to_standard_error()
    parser = _parser()
    options, overrides = parser.parse_known_args(arguments)
    if overrides and options.command not in ("fit", "profile"):
        parser.error(f"'{options.command}' does not know {' '.join(overrides)}")
    options.overrides = overrides
    try:
        options.run(options)
    except (ValueError, OSError) as error:
        print(f"training: {error}", file=sys.stderr)
        return 1
    return 0


def _log_to_standard_error() -> None:
    """Send the messages of this package to standard error; Lightning has a log of its own."""
    log = logging.getLogger("training")
    log.handlers, log.propagate = [logging.StreamHandler()], False
    log.setLevel(logging.INFO)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_training_commands(commands)
    _add_scoring_commands(commands)
    _add_benchmark_commands(commands)
    _add_model_commands(commands)
    return parser


def _add_training_commands(commands: _Commands) -> None:
    """Add the commands that train."""
    fit = commands.add_parser(
        "fit", help="train, or continue the run in the output folder; --part.name value overrides"
    )
    fit.add_argument("configuration", type=Path, metavar="CONFIG", help="YAML, see training/configurations")
    fit.add_argument("--output", type=Path, metavar="DIR", help="(default: out/train/ and the name of CONFIG)")
    fit.add_argument("--devices", type=int, default=None, help="number on each machine, from 1 (default: all)")
    fit.add_argument("--nodes", type=int, default=1, help="number of machines (default: 1)")
    fit.set_defaults(run=_fit)

    profile = commands.add_parser(
        "profile", help="shares of time, speed and memory of a run; --part.name value overrides"
    )
    profile.add_argument("configuration", type=Path, metavar="CONFIG")
    profile.add_argument("--steps", type=int, default=100)
    profile.set_defaults(run=_profile)


def _add_scoring_commands(commands: _Commands) -> None:
    """Add the commands that measure models."""
    evaluate = commands.add_parser("evaluate", help="Dice, surface distance and TRE of a model on labelled pairs")
    evaluate.add_argument("model", type=Path, metavar="MODEL", help="file made by export")
    _add_pairs(evaluate)
    evaluate.add_argument("--write", metavar="NAME", help="write the scores to the card of the model under this name")
    evaluate.set_defaults(run=_evaluate)

    table = commands.add_parser(
        "table", help="scores of models named SETTING-SEED.pt, mean and standard deviation over the seeds"
    )
    table.add_argument("models", type=Path, nargs="+", metavar="MODEL", help="files made by export")
    _add_pairs(table)
    table.set_defaults(run=_table)

    calibrate = commands.add_parser(
        "calibrate", help="fit the uncertainty on synthetic pairs, and measure how well it predicts the error"
    )
    calibrate.add_argument("model", type=Path)
    calibrate.set_defaults(run=_calibrate)


def _add_benchmark_commands(commands: _Commands) -> None:
    """Add the commands of the benchmark."""
    pairs = commands.add_parser("pairs", help="write the lists of evaluation pairs that the benchmark reads")
    pairs.add_argument("--data", type=Path, default=Path("../shared/data"), metavar="DIR")
    pairs.add_argument("--output", type=Path, default=Path("training/benchmark/pairs"), metavar="DIR")
    pairs.set_defaults(run=_pairs)

    bench = commands.add_parser("bench", help="compare our methods with those of others; write results and report")
    bench.add_argument("--models", type=Path, default=Path("UnsupervisedRegistration/Resources/Models"), metavar="DIR")
    bench.add_argument(
        "--networks", type=Path, default=Path("out/models"), metavar="DIR", help="of voxelmorph-*.pt and fcn-*.pt"
    )
    bench.add_argument("--data", type=Path, default=Path("../shared/data"), metavar="DIR")
    bench.add_argument("--output", type=Path, default=Path("out/bench"), metavar="DIR")
    bench.add_argument(
        "--document", type=Path, metavar="DIR", help="write benchmark.md and its picture to this folder too"
    )
    bench.add_argument("--pairs", type=int, default=0, help="largest number of pairs of each data set (default: all)")
    bench.add_argument(
        "--only", nargs="+", default=[], metavar="NAME", help="data sets to measure; keep the others from --output"
    )
    bench.set_defaults(run=_bench)

    ablate = commands.add_parser("ablate", help="switch off one rule of the plan at a time, and print what it loses")
    ablate.add_argument("--models", type=Path, default=Path("UnsupervisedRegistration/Resources/Models"), metavar="DIR")
    ablate.add_argument("--data", type=Path, default=Path("../shared/data"), metavar="DIR")
    ablate.add_argument("--pairs", type=int, default=0, help="largest number of pairs of each data set (default: all)")
    ablate.add_argument("--preset", default="standard", help="fast, standard (default) or thorough")
    ablate.add_argument("--only", nargs="+", default=[], metavar="NAME", help="data sets to measure (default: all)")
    ablate.set_defaults(run=_ablate)


def _add_model_commands(commands: _Commands) -> None:
    """Add the commands about model files."""
    export = commands.add_parser("export", help="write the model file of a checkpoint, or of the mean of several")
    export.add_argument(
        "checkpoints",
        type=Path,
        nargs="+",
        metavar="CHECKPOINT",
        help="last.ckpt or best.ckpt of fit; several must have started from the same weights",
    )
    export.add_argument("--output", type=Path, required=True, metavar="FILE")
    export.add_argument("--half", action="store_true", help="store float16 weights")
    export.set_defaults(run=_export)

    convert = commands.add_parser("convert", help="convert a model file of the former format")
    convert.add_argument("former", type=Path, metavar="OLD.pt")
    convert.add_argument("output", type=Path, metavar="NEW.pt")
    convert.add_argument("--configuration", type=Path, metavar="YAML", help="run whose card replaces that of the file")
    convert.add_argument("--half", action="store_true", help="store the weights in half precision")
    convert.set_defaults(run=_convert)

    card = commands.add_parser("card", help="show data, licence, scores and settings of a model")
    card.add_argument("model", type=Path)
    card.set_defaults(run=_card)


def _add_pairs(command: argparse.ArgumentParser) -> None:
    command.add_argument("--pairs", type=Path, required=True, metavar="DIR_OR_CSV", help=_PAIRS)
    command.add_argument(
        "--data", type=Path, metavar="DIR", help="folder that the paths in the CSV file are relative to"
    )
    command.add_argument(
        "--slices",
        type=int,
        nargs="+",
        default=[0],
        help="numbers of the slices of volumes, along the first array axis",
    )
    command.add_argument(
        "--pixel", type=float, default=0.0, metavar="MM", help="pixel size of 2-D files that do not state it"
    )
    command.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:1, mps")


def _fit(options: argparse.Namespace) -> None:
    from training.benchmark.voxelmorph import build_network
    from training.configuration import read_run
    from training.fit.trainer import fit

    run = read_run(options.configuration, options.overrides)
    if options.devices is not None and options.devices < 1:
        raise ValueError(f"--devices is 1 or more, not {options.devices}; without it all are used.")
    output = options.output or Path("out/train") / options.configuration.stem
    fit(run, output, devices=options.devices or "auto", nodes=options.nodes, build=build_network)


def _export(options: argparse.Namespace) -> None:
    from training.benchmark.voxelmorph import build_network
    from training.export import export

    export(options.checkpoints, options.output, options.half, build_network)


def _evaluate(options: argparse.Namespace) -> None:
    from training.benchmark.voxelmorph import build_network
    from training.data.labelled_pairs import find_pairs
    from training.evaluation.evaluate import evaluate
    from training.export import set_scores
    from UnsupervisedRegistrationLib.core.models.model_file import load_model

    pairs = find_pairs(options.pairs, options.slices, options.pixel, options.data)
    score = evaluate(load_model(options.model, build_network), pairs, options.device)
    print(score)
    if options.write:
        for name, value in score.after.items():
            title = options.write if name == "Dice" else f"{options.write}, {name}"
            scores = {f"{title}, unregistered": score.before[name], title: value}
            set_scores(options.model, scores, build_network)


def _table(options: argparse.Namespace) -> None:
    from training.benchmark.voxelmorph import build_network
    from training.data.labelled_pairs import find_pairs
    from training.evaluation.table import table

    pairs = find_pairs(options.pairs, options.slices, options.pixel, options.data)
    print(table(options.models, list(pairs), options.device, build_network))


def _profile(options: argparse.Namespace) -> None:
    from training.benchmark.voxelmorph import build_network
    from training.configuration import read_run
    from training.fit.profiling import profile

    print(profile(read_run(options.configuration, options.overrides), options.steps, build_network))


def _calibrate(options: argparse.Namespace) -> None:
    from training.benchmark.voxelmorph import build_network
    from training.evaluation.calibrate import calibrate
    from UnsupervisedRegistrationLib.core.models.model_file import load_model

    print(calibrate(load_model(options.model, build_network)))


def _pairs(options: argparse.Namespace) -> None:
    from training.benchmark.pair_lists import write_lists

    for name, count in write_lists(options.data, options.output).items():
        print(f"{name}: {count} pairs")


def _bench(options: argparse.Namespace) -> None:
    import dataclasses

    from training.benchmark.bench import bench
    from training.benchmark.cases import cases, limit_threads
    from training.benchmark.contrasts import CONTRASTS
    from training.benchmark.report import document, write_report
    from training.benchmark.results import read, write
    from training.benchmark.summary import statements

    limit_threads()
    chosen = cases(options.data, options.models, options.networks, options.pairs, tuple(options.only))
    results = bench(chosen, CONTRASTS, options.output, read(options.output) if options.only else None)
    found = statements({name: case.pairs for name, case in chosen.items()}, options.models)
    results = dataclasses.replace(results, statements=found)
    write(results, options.output)
    for folder in (options.output, options.document):
        if folder is not None:
            write_report(results, folder)
    print(document(results))


def _convert(options: argparse.Namespace) -> None:
    from training.convert import convert

    model = convert(options.former, options.output, options.configuration, options.half)
    print(f"'{options.output}' holds the model {model.name} in the present format.")


def _ablate(options: argparse.Namespace) -> None:
    from training.benchmark.ablation import report, run_ablation
    from training.benchmark.cases import limit_threads
    from training.benchmark.our_methods import load_models
    from UnsupervisedRegistrationLib.core.registration.options import RegistrationOptions

    limit_threads()
    settings = RegistrationOptions(preset=options.preset, device="cpu")
    print(report(run_ablation(options.data, load_models(options.models), settings, options.pairs, options.only)))


def _card(options: argparse.Namespace) -> None:
    from training.benchmark.voxelmorph import build_network
    from training.export import describe
    from UnsupervisedRegistrationLib.core.models.model_file import load_model

    print(describe(load_model(options.model, build_network)))


if __name__ == "__main__":
    sys.exit(main())
