"""A cohort on the workers of Dask."""

from __future__ import annotations

import contextlib
import importlib.util
import io
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from dask_jobqueue import SLURMCluster
from distributed import Client, LocalCluster
from distributed.scheduler import KilledWorker

from UnsupervisedRegistrationLib.headless.__main__ import main
from UnsupervisedRegistrationLib.headless.cohort import cluster
from UnsupervisedRegistrationLib.headless.cohort.cohort_run import registerInTurn
from UnsupervisedRegistrationLib.headless.cohort.pair_table import CohortPair
from UnsupervisedRegistrationLib.headless.cohort.pair_task import PairTask
from UnsupervisedRegistrationLib.scene.registration_options import RegistrationOptions


def tasks(folder: Path, count: int) -> list[PairTask]:
    """Pairs that fail at once, so that a worker need not load the network."""
    pairs = [
        CohortPair(name=f"pair{n}", fixed=Path("f"), moving=Path("m"), problem=f"Row {n} is broken.")
        for n in range(count)
    ]
    hashes = {"fixed": "", "moving": ""}
    return [PairTask(pair, folder / pair.name, RegistrationOptions(), 1, hashes, f"{pair.name:0>20}") for pair in pairs]


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    folder = str(tmp_path_factory.mktemp("dask"))
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, local_directory=folder) as started:
        yield started


def test_every_task_gives_its_row(scheduler: LocalCluster, tmp_path: Path) -> None:
    with Client(scheduler) as client:
        rows = {row.pair: row.message for row in cluster.registerOn(client, tasks(tmp_path, 6))}
    assert rows == {f"pair{n}": f"Row {n} is broken." for n in range(6)}


def test_the_workers_are_other_processes(scheduler: LocalCluster, tmp_path: Path) -> None:
    (here,) = (row.worker for row in registerInTurn(tasks(tmp_path, 1)))
    with Client(scheduler) as client:
        assert here not in {row.worker for row in cluster.registerOn(client, tasks(tmp_path, 4))}


def test_the_command_uses_a_running_scheduler(scheduler: LocalCluster, tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text("fixed,moving\n,b\na,\n")
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        code = main(
            ["cohort", str(tmp_path / "pairs.csv"), str(tmp_path / "out"), "--scheduler", scheduler.scheduler_address]
        )
    assert code == 0
    assert out.getvalue().startswith("2 pairs: 0 registered, 2 failed.")


@pytest.mark.parametrize(
    ("future", "words"),
    [
        (
            SimpleNamespace(status="error", exception=lambda: KilledWorker("p", SimpleNamespace(address="w"), 3)),
            "Every worker that began this pair was lost",
        ),
        (
            SimpleNamespace(status="error", exception=lambda: ImportError("No module x")),
            "ImportError on the worker: No module x",
        ),
    ],
)
def test_a_pair_that_no_worker_finishes_is_a_row_with_a_sentence(future: SimpleNamespace, words: str) -> None:
    assert words in cluster._rowOf(future, "pair").message


def test_a_lost_scheduler_ends_the_run_with_a_sentence() -> None:
    with pytest.raises(OSError, match="what is finished is kept"):
        cluster._rowOf(SimpleNamespace(status="cancelled"), "pair")


def test_one_local_worker_needs_no_scheduler() -> None:
    with cluster.executor("local", 1, 1) as execute:
        assert execute is registerInTurn


@pytest.mark.parametrize(
    ("scheduler", "workers", "words"),
    [
        ("cloud", None, "--scheduler is local, slurm or tcp://HOST:PORT"),
        ("local", 0, "--workers is a number from 1"),
        ("tcp://127.0.0.1:8786", 2, "has its own workers"),
    ],
)
def test_what_cannot_be_started_is_refused(scheduler: str, workers: int | None, words: str) -> None:
    with pytest.raises(ValueError, match=words), cluster.executor(scheduler, workers, 1):
        pass


def test_without_dask_the_command_names_the_extra_and_the_other_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"\.\[cluster\].*--part"), cluster.executor("local", 2, 1):
        pass


def test_a_job_has_the_cores_of_one_worker_that_does_one_pair_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SLURMCluster, "scale", lambda self, jobs: None)
    with cluster.jobCluster(SLURMCluster, 3, 4) as jobs:
        script = jobs.job_script()
    assert "--cpus-per-task=4" in script
    assert script.rstrip().rpartition("--nthreads ")[2].startswith("1")
