"""The registration of one pair of a cohort, in whatever process it runs."""

from __future__ import annotations

import contextlib
import json
import math
import os
import platform
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ...scene.registration_options import RegistrationOptions
from ..output_folder import REPORT, Hashes, OutputFolder, completeFiles
from ..reading import readingInputs
from ..run_record import failurePath, removeFailure, writeFailure
from .pair_table import CohortPair
from .result_table import CohortRow

if TYPE_CHECKING:
    from ...scene.registration.slice_batch import RegistrationResult

TRANSFORM, WARPED, BEFORE_AFTER = "transform.h5", "warped.nrrd", "before-after.png"
_PAIR_FILES = (TRANSFORM, WARPED, BEFORE_AFTER)
_ONE_AT_A_TIME = threading.Lock()  # A process has one current scene.


@dataclass(frozen=True)
class PairTask:
    """What is done with a pair; can be sent to another process.

    Attributes:
        pair: With its files.
        folder: Where the results go.
        options: Of the registration.
        threads: That torch and SimpleITK use.
        inputs: Hashes of the files.
        fingerprint: Of all that decides the result.
        series: Numbers, descriptions or UIDs of the DICOM series to take.
    """

    pair: CohortPair
    folder: Path
    options: RegistrationOptions
    threads: int
    inputs: Hashes
    fingerprint: str
    series: tuple[str, ...] = ()


def formerRow(task: PairTask) -> CohortRow | None:
    """Return the row of a pair that an earlier run finished with equal inputs and options, if there is one."""
    isComplete = set(completeFiles(task.folder)) == {*_PAIR_FILES, REPORT}
    for path in [*([task.folder / REPORT] if isComplete else []), failurePath(task.folder)]:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            cohort = json.loads(path.read_text(encoding="utf-8"))["cohort"]
            if cohort["fingerprint"] == task.fingerprint:
                return CohortRow(**cohort["row"])
    return None


def registerPair(task: PairTask) -> CohortRow:
    """Register a pair and write its folder; whatever fails becomes the message of its row.

    A pair that cannot be registered is noted beside its folder, so that only new inputs or options try it again. What
    is no fault of the inputs, such as a full disk, is not noted.
    """
    with _ONE_AT_A_TIME:
        return _registerOrExplain(task, time.monotonic())


def registerPairs(tasks: Sequence[PairTask]) -> Iterator[CohortRow]:
    """Register pairs of equal options, those of equal grids together, and write their folders."""
    from ...scene.registration.devices import limitThreads
    from .pair_results import registerBatch

    with _ONE_AT_A_TIME:
        start = time.monotonic()
        limitThreads(tasks[0].threads)
        with readingInputs(
            {}, tasks[0].series
        ):  # What is noted here is noted again when a pair is read for its folder.
            known = registerBatch([task.pair for task in tasks if not task.pair.problem], tasks[0].options)
        share = (time.monotonic() - start) / len(tasks)
        for task in tasks:
            yield _registerOrExplain(task, time.monotonic() - share, known.get(task.pair.name))


def _registerOrExplain(task: PairTask, start: float, known: RegistrationResult | None = None) -> CohortRow:
    try:
        return _register(task, start, known)
    except (ValueError, FileNotFoundError, FileExistsError) as error:
        row = _finished(CohortRow(task.pair.name, message=_line(error)), start)
        if not isinstance(error, FileExistsError):
            writeFailure(task.folder, _record(task, row), row.message)
        return row
    except (OSError, RuntimeError, MemoryError) as error:
        return _finished(CohortRow(task.pair.name, message=_line(error)), start)


def _register(task: PairTask, start: float, known: RegistrationResult | None) -> CohortRow:
    if task.pair.problem:
        raise ValueError(task.pair.problem)
    from ...scene.registration.devices import limitThreads
    from . import pair_results
    from .pair_inputs import readPairInputs

    limitThreads(task.threads)
    pair = task.pair
    with (
        readingInputs(pair.files, task.series) as reading,
        OutputFolder(task.folder, _PAIR_FILES, list(pair.files.values()), overwrite=True) as folder,
    ):
        inputs = readPairInputs(pair)
        result = pair_results.register(inputs, task.options, known)
        pair_results.writeFiles(result, *(folder.path(name) for name in _PAIR_FILES))
        row, figures = pair_results.measure(pair, inputs, result)
        row = _finished(replace(row, input_notes=" ".join(f"{note}." for note in reading.sentences)), start)
        folder.finish({**figures, "input_notes": reading.notes, "options": asdict(task.options), **_record(task, row)})
    removeFailure(task.folder)
    return row


def _record(task: PairTask, row: CohortRow) -> dict[str, object]:
    files = {name: {"path": str(path), "sha256": task.inputs[name]} for name, path in task.pair.files.items()}
    return {"inputs": files, "cohort": {"fingerprint": task.fingerprint, "row": asdict(row)}}


def _finished(row: CohortRow, start: float) -> CohortRow:
    """The row with time and worker; numbers that are not finite are not measured."""
    known = {name: None for name, value in vars(row).items() if isinstance(value, float) and not math.isfinite(value)}
    seconds = round(time.monotonic() - start, 3)
    return replace(row, **known, seconds=seconds, worker=f"{platform.node()}:{os.getpid()}")  # type: ignore[arg-type]


def _line(error: BaseException) -> str:
    """What an error says, in one line."""
    return " ".join(str(error).split()) or type(error).__name__
