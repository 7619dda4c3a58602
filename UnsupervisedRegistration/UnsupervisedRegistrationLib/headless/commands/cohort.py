"""``cohort``: registers every pair of a table."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from ..arguments import Commands, addGeneral, addOptionsFile, addRegistrationOptions, addSeries, optionsOf
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
    from ..cohort.cohort_run import CohortOptions, runCohort
    from ..cohort.pair_table import readPairTable
    from ..cohort.result_table import replaceText
    from ..cohort.summary_page import writeSummary

    isBids = options.pairs.is_dir()
    if not isBids and (options.level or options.participant_label):
        raise ValueError(f"participant belongs to a BIDS data set, and '{options.pairs}' is no folder; leave it out.")
    pairs = bidsPairs(options.pairs, options.participant_label) if isBids else readPairTable(options.pairs)
    threads = options.threads or _threads(options.scheduler, options.workers)
    folder = BIDS_PAIRS if isBids else ""
    how = CohortOptions(optionsOf(options), threads, options.part, folder, tuple(options.series))
    with ProgressBar(options) as progress, executor(options.scheduler, options.workers, threads) as execute:
        outcome = runCohort(pairs, options.output, how, execute, progress)
    replaceText(options.output / OPTIONS_FILE, optionsText(options))
    writeSummary(outcome.table, how.folder)
    if isBids:
        writeDerivatives(options.output, outcome.table.rows)
    return Outcome(outcome.sentence, notes=outcome.notes)


def _threads(scheduler: str, workers: int | None) -> int:
    """The share of the cores that each process of this machine has; 1 on other machines."""
    return max((os.cpu_count() or 1) // (workers or 1), 1) if scheduler == "local" else 1
