"""A cohort from the table of pairs to the table of results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...scene.registration_options import RegistrationOptions
from .fingerprint import fingerprint, inputHashes, modelHashes
from .pair_table import CohortPair, partOf
from .pair_task import PairTask, formerRow, registerPair, registerPairs
from .result_table import FAILED, CohortRow, ResultTable

Execute = Callable[[Sequence[PairTask]], Iterable[CohortRow]]
"""Does tasks in any order and gives the row of each as soon as it is there."""


@dataclass(frozen=True)
class CohortOptions:
    """How a cohort is registered.

    Attributes:
        registration: Of each pair.
        threads: Of each process.
        part: ``i/n``, or empty for all pairs.
        folder: Of the folders of the pairs, inside the output folder.
        series: Numbers, descriptions or UIDs of the DICOM series to take.
    """

    registration: RegistrationOptions
    threads: int = 1
    part: str = ""
    folder: str = ""
    series: tuple[str, ...] = ()


@dataclass(frozen=True)
class CohortOutcome:
    """What a run has done.

    Attributes:
        table: Of the results, with the rows of earlier runs.
        new: Number of pairs that this run did.
    """

    table: ResultTable
    new: int

    @property
    def notes(self) -> tuple[str, ...]:
        """How many pairs have notes on their files."""
        count = sum(bool(row.input_notes) for row in self.table.rows)
        return (f"{count} pairs have notes on their files, in the column input_notes",) if count else ()

    @property
    def sentence(self) -> str:
        """The numbers of pairs, and where the table is."""
        rows = self.table.rows
        failed = sum(row.quality_check == FAILED for row in rows)
        refused = sum(row.quality_check == "do not use" for row in rows)
        parts = [f"{len(rows) - failed} registered"]
        parts += [f'the quality check says "do not use" for {refused} of them'] if refused else []
        parts += [f"{failed} failed"] if failed else []
        parts += [f"{len(rows) - self.new} complete before this run"] if self.new < len(rows) else []
        return f"{len(rows)} pairs: {', '.join(parts)}. The table is {self.table.path}."


def registerInTurn(tasks: Sequence[PairTask], together: int = 1) -> Iterator[CohortRow]:
    """Do the tasks in this process, one after the other or some of them together."""
    if together == 1:
        yield from map(registerPair, tasks)
        return
    for first in range(0, len(tasks), together):
        yield from registerPairs(tasks[first : first + together])


def runCohort(
    pairs: Sequence[CohortPair],
    output: Path,
    options: CohortOptions,
    execute: Execute,
    progress: Callable[[str, float], None],
) -> CohortOutcome:
    """Register the pairs that no earlier run has finished, and write the table of results.

    Args:
        pairs: With unique names.
        output: Folder of the results, with a folder for each pair.
        options: How.
        execute: Does the tasks.
        progress: Told of each pair.

    Raises:
        OSError: The output folder cannot be written.
        ValueError: There is no such part.
    """
    chosen = partOf(pairs, options.part) if options.part else list(pairs)
    output.mkdir(parents=True, exist_ok=True)
    (output / options.folder).mkdir(exist_ok=True)
    suffix = f"-{options.part.replace('/', '-of-')}" if options.part else ""
    table = ResultTable(output / f"results{suffix}.csv", [pair.name for pair in chosen])
    progress("compare the inputs", 0.0)
    tasks = _tasks(chosen, output, options)
    known = {task.pair.name: row for task in tasks if (row := formerRow(task))}
    table.add(*known.values())
    pending = [task for task in tasks if task.pair.name not in known]
    for done, row in enumerate(execute(pending) if pending else (), start=1):
        table.add(row)
        progress(f"{done} of {len(pending)} pairs", done / len(pending))
    return CohortOutcome(table, len(pending))


def _tasks(pairs: Sequence[CohortPair], output: Path, options: CohortOptions) -> list[PairTask]:
    models = modelHashes(options.registration)
    tasks = []
    for pair in pairs:
        inputs = inputHashes(pair)
        digest = fingerprint(pair, inputs, options.registration, models, options.series)
        folder = output / options.folder / pair.name
        tasks.append(PairTask(pair, folder, options.registration, options.threads, inputs, digest, options.series))
    return tasks
