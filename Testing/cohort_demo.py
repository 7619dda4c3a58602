"""Shows that a cohort loses nothing: ``make cohort-demo``.

Forty phantom pairs, one of them broken, are registered by one process, then by a Dask scheduler with two workers on
127.0.0.1, one of which is killed half-way. All results must be equal. A second start must do nothing, and the workers
of job scripts must give the same rows.
"""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from dask_jobqueue.local import LocalCluster
from distributed import Client

from phantom_cohort import writeCohort
from UnsupervisedRegistrationLib.headless.cohort.cluster import jobCluster, registerOn
from UnsupervisedRegistrationLib.headless.cohort.cohort_run import CohortOptions, runCohort
from UnsupervisedRegistrationLib.headless.cohort.pair_table import readPairTable
from UnsupervisedRegistrationLib.scene.registration_options import RegistrationOptions

PAIRS = 40
BROKEN = 7  # Number of the pair whose file is broken.
JOBS = 4  # Pairs for the workers of job scripts.
MOST_SECONDS = 5.0  # Of a second start.
OPTIONS = ("--device", "cpu", "--threads", "1", "--preset", "fast", "--model", "any-contrast")
TIMES = ("seconds", "worker")


def main() -> None:
    """Run the demo and stop with an error where something differs."""
    out = Path(sys.argv[1] if len(sys.argv) > 1 else "out/cohort").resolve()
    table = writeCohort(out / "pairs", PAIRS)
    (out / "pairs" / f"{BROKEN:02}_moving.nrrd").write_text("broken")
    alone = start(table, out / "serial")
    print(f"One process: {alone:.1f} s.", flush=True)
    with scheduler(out) as (address, workers):
        watch = threading.Thread(target=killHalfWay, args=(out / "dask", workers[0]), daemon=True)
        watch.start()
        together = start(table, out / "dask", "--scheduler", address)
        watch.join()
    check(workers[0].returncode == -signal.SIGKILL, "one of two workers was killed half-way")
    print(f"Two workers, one of them killed half-way: {together:.1f} s.", flush=True)
    compare(out / "serial", out / "dask")
    again = start(table, out / "dask")
    check(again < MOST_SECONDS, f"a second start took {again:.1f} s and did nothing")
    whole = start(table, out / "two", "--workers", "2")
    print(f"Throughput of two workers against one process: {alone / whole:.2f}.", flush=True)
    jobs(table, out)


def start(table: Path, results: Path, *arguments: str) -> float:
    """Run the command in a process of its own; the seconds that it took."""
    begin = time.monotonic()
    program = [sys.executable, "-m", "UnsupervisedRegistrationLib.headless", "cohort"]
    subprocess.run([*program, str(table), str(results), *OPTIONS, "--quiet", *arguments], check=True)
    return time.monotonic() - begin


@contextmanager
def scheduler(out: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A Dask scheduler and two workers without a nanny, as on two machines."""
    address = "tcp://127.0.0.1:8786"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": out}
    dask = [sys.executable, "-m", "dask"]
    server = subprocess.Popen([*dask, "scheduler", "--host", "127.0.0.1", "--port", "8786", "--no-dashboard"], **quiet)
    command = [*dask, "worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard"]
    workers = [subprocess.Popen(command, **quiet) for _ in range(2)]
    try:
        with Client(address, timeout=60) as client:
            client.wait_for_workers(2)
        yield address, workers
    finally:
        for process in (*workers, server):
            process.terminate()
            process.wait()


def killHalfWay(results: Path, worker: subprocess.Popen[bytes]) -> None:
    """Kill a worker as soon as half of the pairs are in the table."""
    while len(rowsOf(results)) < PAIRS // 2:
        time.sleep(0.1)
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()


def rowsOf(results: Path) -> list[dict[str, str]]:
    """The rows so far, without times and workers."""
    path = results / "results.csv"
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as stream:
        return [{name: value for name, value in row.items() if name not in TIMES} for row in csv.DictReader(stream)]


def compare(first: Path, second: Path) -> None:
    """Check that rows, displacements and warped images are equal bit by bit, and one row is broken."""
    rows = rowsOf(first)
    check(len(rows) == PAIRS and rows == rowsOf(second), f"all columns of {len(rows)} rows are equal")
    check([row["quality_check"] for row in rows].count("failed") == 1, "the broken file is one row")
    for row in rows:
        if row["quality_check"] != "failed":
            check(fields(first / row["pair"]) == fields(second / row["pair"]), "", row["pair"])
    print(f"Equal bit by bit: the fields and warped images of {PAIRS - 1} pairs.", flush=True)


def fields(folder: Path) -> tuple[bytes, bytes]:
    """The numbers of a transform, and those of the warped image."""
    transform = sitk.ReadTransform(str(folder / "transform.h5"))
    numbers = np.array([*transform.GetParameters(), *transform.GetFixedParameters()])
    return numbers.tobytes(), sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "warped.nrrd"))).tobytes()


def jobs(table: Path, out: Path) -> None:
    """Register some pairs on a worker that a job script starts."""
    options = CohortOptions(RegistrationOptions(device="cpu", preset="fast", model="any-contrast"), 1)
    pairs = readPairTable(table)[:JOBS]
    with jobCluster(LocalCluster, 1, 1) as cluster, Client(cluster) as client:
        runCohort(pairs, out / "jobs", options, lambda tasks: registerOn(client, tasks), lambda step, share: None)
    check(rowsOf(out / "jobs") == rowsOf(out / "serial")[:JOBS], "the rows of a worker of a job script are equal")


def check(isTrue: bool, fact: str, about: str = "") -> None:
    """Say a fact, or stop if it is none."""
    if not isTrue:
        sys.exit(f"Not true: {fact or 'field and warped image are equal'} {about}")
    if fact:
        print(f"True: {fact}.", flush=True)


if __name__ == "__main__":
    main()
