"""``cohort``: registers every pair of a table."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from ...scene.registration_options import AUTOMATIC
from ..arguments import (
    Commands,
    addGeneral,
    addOptionsFile,
    addRegistrationOptions,
    addSeries,
    optionsOf,
    positiveNumber,
)
from ..options_file import OPTIONS_FILE, optionsText
from ..outcome import Outcome
from ..progress import ProgressBar


def addCohort(commands: Commands) -> None:
    """Add the parser of this command."""
    parser = commands.add_parser("cohort", help="register every pair of a table")
    parser.add_argument(
        "pairs",
        type=Path,
        metavar="PAIRS",
        help="CSV file with the columns fixed and moving, or a BIDS data set",
    )
    parser.add_argument("output", type=Path, metavar="OUT", help="results.csv, summary.html and a folder a pair")
    parser.add_argument("level", nargs="?", choices=("participant",), help="of a BIDS data set")
    parser.add_argument("--participant-label", nargs="+", default=[], metavar="01", help="subjects of a BIDS data set")
    addRegistrationOptions(parser)
    addSeries(parser)
    addOptionsFile(parser)
    parser.add_argument("--part", default="", metavar="i/n", help="register every n-th pair, from the i-th, only")
    parser.add_argument(
        "--scheduler", default="local", metavar="S", help="local, slurm or tcp://HOST:8786 of Dask (default: local)"
    )
    parser.add_argument("--workers", type=int, metavar="N", help="processes or jobs that share the pairs (default: 1)")
    parser.add_argument(
        "--together",
        type=positiveNumber,
        default=1,
        metavar="N",
        help="pairs of equal grid that go through the network together, in one process with a named model (default: 1)",
    )
    addGeneral(
        parser,
        "cohort pairs.csv out",
        "cohort pairs.csv out --workers 4 --threads 2",
        "cohort pairs.csv out --part 3/40",
        "cohort pairs.csv out --scheduler tcp://host:8786",
        "cohort out --options former/options.json",
        "cohort bids out participant --participant-label 01",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> Outcome:
    """Register the pairs that are not complete yet."""
    from ..cohort.bids import BIDS_PAIRS, bidsPairs, writeDerivatives
    from ..cohort.cluster import executor
    from ..cohort.cohort_run import CohortOptions, registerInTurn, runCohort
    from ..cohort.pair_table import readPairTable
    from ..cohort.result_table import replaceText
    from ..cohort.summary_page import writeSummary

    _checkTogether(options)
    isBids = options.pairs.is_dir()
    if not isBids and (options.level or options.participant_label):
        raise ValueError(f"participant belongs to a BIDS data set, and '{options.pairs}' is no folder; leave it out.")
    pairs = bidsPairs(options.pairs, options.participant_label) if isBids else readPairTable(options.pairs)
    threads = options.threads or _threads(options.scheduler, options.workers)
    folder = BIDS_PAIRS if isBids else ""
    how = CohortOptions(optionsOf(options), threads, options.part, folder, tuple(options.series))
    with ProgressBar(options) as progress, executor(options.scheduler, options.workers, threads) as execute:
        work = execute if options.together == 1 else lambda tasks: registerInTurn(tasks, options.together)
        outcome = runCohort(pairs, options.output, how, work, progress)
    replaceText(options.output / OPTIONS_FILE, optionsText(options))
    writeSummary(outcome.table, how.folder)
    if isBids:
        writeDerivatives(options.output, outcome.table.rows)
    return Outcome(outcome.sentence, notes=outcome.notes)


def _threads(scheduler: str, workers: int | None) -> int:
    """The share of the cores that each process of this machine has; 1 on other machines."""
    return max((os.cpu_count() or 1) // (workers or 1), 1) if scheduler == "local" else 1


def _checkTogether(options: argparse.Namespace) -> None:
    """Refuse pairs in batches where each pair needs something of its own.

    Raises:
        ValueError: It does.
    """
    isAlone = options.scheduler == "local" and options.workers in (None, 1)
    if options.together > 1 and not (isAlone and options.model != AUTOMATIC):
        raise ValueError(
            "--together registers pairs in one process with one model; leave --workers and --scheduler out, and give"
            " --model."
        )
