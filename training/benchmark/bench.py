"""Runs every method on the same pairs in one process and measures accuracy, folding, time and memory."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import gc
import logging
import math
import platform
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from training.benchmark.contrasts import Contrast
from training.benchmark.method import THREADS, Call, Method
from training.benchmark.results import MOVING, Measurement, Results, write
from training.data.labelled_pairs import LabelledPair
from training.evaluation.evaluate import measure
from UnsupervisedRegistrationLib.core.evaluation.metrics import sd_log_jacobian
from UnsupervisedRegistrationLib.core.spatial.folding import folded_fraction

_REPEATS, _SECONDS = 20, 0.25  # A call is repeated at most so often, and until all calls together took so long.
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Case:
    """A data set with its methods.

    Attributes:
        pairs: All in memory.
        methods: By name; the reference among them, if it can be run.
        changed: Names of the methods that also see the moving image in other contrasts.
        every: Names of slow methods, to n: they register every n-th pair only.
    """

    pairs: list[LabelledPair]
    methods: dict[str, Method]
    changed: tuple[str, ...] = ()
    every: Mapping[str, int] = field(default_factory=dict)


def bench(
    cases: dict[str, Case], contrasts: tuple[Contrast, ...], folder: Path, before: Results | None = None
) -> Results:
    """Compares the methods on every data set, some also with the moving image in other contrasts.

    Args:
        cases: By name of the data set.
        contrasts: Of the moving image.
        folder: Receives ``results.json``, written anew after each data set.
        before: Earlier results; the measurements of a data set that is measured again are replaced in place.

    Returns:
        Earlier and new measurements.
    """
    results = Results(list(before.measurements) if before else [], machine())
    for name, case in cases.items():
        results = _replaced(results, compare(name, case.pairs, case.methods, case.every))
        write(results, folder)
    for name, case in cases.items():
        methods = {method: case.methods[method] for method in case.changed}
        for contrast in contrasts if methods else ():
            changed = compare(f"{name}{MOVING}{contrast.name}", [contrast(pair) for pair in case.pairs], methods)
            results = _replaced(results, changed)
            write(results, folder)
    return results


def machine() -> dict[str, str]:
    """Processor, threads, versions and date."""
    cpu = Path("/proc/cpuinfo")
    lines = cpu.read_text().splitlines() if cpu.exists() else []
    name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")
    return {
        "processor": name or platform.processor() or platform.machine(),
        "threads": str(THREADS),
        "Python": platform.python_version(),
        "torch": torch.__version__,
        "date": datetime.datetime.now(tz=datetime.timezone.utc).date().isoformat(),
    }


def _replaced(results: Results, new: list[Measurement]) -> Results:
    """The results with the measurements of one data set replaced, or the new ones at the end."""
    earlier, dataset = results.measurements, new[0].dataset
    places = [number for number, one in enumerate(earlier) if one.dataset == dataset]
    place = places[0] if places else len(earlier)
    found = earlier[:place] + new + [one for one in earlier[place:] if one.dataset != dataset]
    return dataclasses.replace(results, measurements=found)


def compare(
    dataset: str, pairs: list[LabelledPair], methods: dict[str, Method], every: Mapping[str, int] | None = None
) -> list[Measurement]:
    """Runs every method on every pair in turn, so that a slow moment of the machine affects all of them.

    Args:
        dataset: Name of the pairs.
        pairs: All of one data set.
        methods: By name.
        every: See ``Case``.

    Raises:
        ValueError: There is no pair.
    """
    if not pairs:
        raise ValueError(f"There is no pair in '{dataset}'.")
    for method in methods.values():  # Warm-up.
        call, _ = method(pairs[0])
        call()
    gc.collect()
    gc.freeze()  # Else the collection before each call looks through all that the libraries made at import.
    found: dict[str, list[Measurement]] = {name: [] for name in methods}
    for number, pair in enumerate(pairs):
        for name, method in methods.items():
            if number % (every or {}).get(name, 1):
                continue
            found[name].append(_measured(dataset, name, number, pair, method))
        _log.info("%s: %d of %d pairs", dataset, number + 1, len(pairs))
    return [one for ones in found.values() for one in ones]


def _measured(dataset: str, name: str, number: int, pair: LabelledPair, method: Method) -> Measurement:
    call, read = method(pair)
    gc.collect()
    restart_peak()
    first, result = _timed(call)
    peak = memory("VmHWM")
    displacement = read(result)
    again: list[float] = []
    while len(again) < _REPEATS and first + sum(again) < _SECONDS:
        again.append(_timed(call)[0])
    return Measurement(
        dataset=dataset,
        method=name,
        pair=number,
        fixed_subject=pair.fixed_subject or str(number),
        moving_subject=pair.moving_subject or str(number),
        **quality(pair, displacement),
        ms=1000 * statistics.median(again or [first]),
        first_ms=1000 * first,
        peak_mib=peak,
    )


def quality(pair: LabelledPair, displacement: Tensor) -> dict[str, float]:
    """Accuracy and regularity of a displacement ``(1, 2, H, W)``, by the names of ``Measurement``."""
    found = measure(pair, displacement)
    return {
        "dice": found.get("Dice", math.nan),
        "tre_mm": found.get("TRE mm", math.nan),
        "hd95_mm": found.get("HD95 mm", math.nan),
        "folded_percent": 100 * folded_fraction(displacement),
        "sd_log_jacobian": sd_log_jacobian(displacement),
    }


def _timed(call: Call) -> tuple[float, Any]:
    """Seconds and result."""
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def restart_peak() -> None:
    """Makes the system count the peak of the memory anew; on systems other than Linux there is no such value."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def memory(name: str) -> float:
    """MiB of this process, ``VmRSS`` now or ``VmHWM`` at most; nan where the system does not say."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((float(line.split()[1]) / 1024 for line in lines if line.startswith(name)), math.nan)
