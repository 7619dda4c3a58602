"""``cohort``: registers every pair of a table."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..arguments import Commands, addRegistrationOptions, optionsOf
from ..outcome import Outcome
from ..progress import ProgressBar


def addCohort(commands: Commands) -> None:
    """Add the parser of this command."""
    parser = commands.add_parser("cohort", help="register every pair of a table")
    parser.add_argument("pairs", type=Path, metavar="PAIRS.csv", help="table with the columns fixed, moving and others")
    parser.add_argument("output", type=Path, metavar="OUT", help="folder for the results: a folder a pair, results.csv")
    addRegistrationOptions(parser)
    parser.add_argument("--part", default="", metavar="i/n", help="register every n-th pair, from the i-th, only")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="threads of each process (default: 1)")
    parser.add_argument(
        "--scheduler", default="local", metavar="S", help="local, slurm or tcp://HOST:8786 of Dask (default: local)"
    )
    parser.add_argument("--workers", type=int, metavar="N", help="processes or jobs that share the pairs (default: 1)")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> Outcome:
    """Register the pairs that are not complete yet."""
    from ..cohort.cluster import executor
    from ..cohort.cohort_run import CohortOptions, runCohort
    from ..cohort.pair_table import readPairTable

    if options.threads < 1:
        raise ValueError(f"--threads needs a number from 1, not {options.threads}.")
    how = CohortOptions(optionsOf(options), options.threads, options.part)
    pairs = readPairTable(options.pairs)
    with ProgressBar() as progress, executor(options.scheduler, options.workers, options.threads) as execute:
        return Outcome(runCohort(pairs, options.output, how, execute, progress).sentence)
