"""Pairs on several processes or machines, by Dask."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import tempfile
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from .cohort_run import Execute, registerInTurn
from .pair_task import PairTask, registerPair
from .result_table import CohortRow

if TYPE_CHECKING:
    from distributed import Client, Future

LOCAL, SLURM, ADDRESS = "local", "slurm", "tcp://"
_JOB_MEMORY = "4GB"  # Of a worker whose configuration names none; a pair of 1024 x 1024 pixels takes about 2 GB.
_SECONDS_TO_CONNECT = 20


@contextlib.contextmanager
def executor(scheduler: str, workers: int | None, threads: int) -> Iterator[Execute]:
    """Give what does the tasks of a cohort, and close it at the end.

    Args:
        scheduler: ``"local"`` for processes of this machine, ``"slurm"`` for jobs of a cluster, or the address
            ``tcp://HOST:PORT`` of a running scheduler.
        workers: Number of processes or jobs; ``None`` is one. A running scheduler has its own.
        threads: Of each worker.

    Raises:
        OSError: The scheduler does not answer.
        ValueError: There is no such scheduler, or the number of workers does not fit.
    """
    if workers is not None and (workers < 1 or scheduler.startswith(ADDRESS)):
        raise ValueError(
            f"--workers is a number from 1, for --scheduler local and slurm, not {workers} for '{scheduler}'; a"
            " running scheduler has its own workers."
        )
    if scheduler not in (LOCAL, SLURM) and not scheduler.startswith(ADDRESS):
        raise ValueError(f"--scheduler is local, slurm or tcp://HOST:PORT, not '{scheduler}'.")
    if scheduler == LOCAL and workers in (None, 1):
        yield registerInTurn
        return
    missing = [name for name in ("distributed", "dask_jobqueue") if importlib.util.find_spec(name) is None]
    if missing:
        raise ValueError(
            f"The Python package '{missing[0]}' is missing; install it with: pip install '.[cluster]', or share the"
            " pairs by --part, which needs no other package."
        )
    with contextlib.ExitStack() as stack:
        yield lambda tasks: registerOn(stack.enter_context(_client(stack, scheduler, workers or 1, threads)), tasks)


def _client(stack: contextlib.ExitStack, scheduler: str, workers: int, threads: int) -> Client:
    from distributed import Client, LocalCluster

    if scheduler.startswith(ADDRESS):
        return Client(scheduler, timeout=_SECONDS_TO_CONNECT)
    if scheduler == LOCAL:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        cluster: Any = LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            dashboard_address=None,
            local_directory=folder,
            silence_logs=logging.CRITICAL,
        )
    else:
        from dask_jobqueue import SLURMCluster

        cluster = jobCluster(SLURMCluster, workers, threads)
    return Client(stack.enter_context(cluster))


def jobCluster(kind: Any, workers: int, threads: int) -> Any:
    """Start workers by job scripts.

    Memory, queue, project and time come from the configuration file of Dask-Jobqueue.

    Args:
        kind: Class of ``dask_jobqueue``.
        workers: Number of jobs, each with one worker.
        threads: Cores of each job; a worker does one pair at a time with all of them.
    """
    import dask

    memory = dask.config.get(f"jobqueue.{kind.job_cls.config_name}.memory", None) or _JOB_MEMORY
    cluster = kind(
        cores=threads,
        processes=1,
        memory=memory,
        worker_extra_args=["--nthreads", "1"],
        scheduler_options={"dashboard": False},
    )
    cluster.scale(jobs=workers)
    return cluster


def registerOn(client: Client, tasks: Sequence[PairTask]) -> Iterator[CohortRow]:
    """Do the tasks on the workers of a scheduler; those of a lost worker are done again by others.

    Raises:
        OSError: The scheduler was lost.
    """
    from distributed import as_completed

    names = {f"{task.pair.name}-{task.fingerprint[:16]}": task.pair.name for task in tasks}
    futures = [client.submit(registerPair, task, key=key) for key, task in zip(names, tasks, strict=True)]
    for future in as_completed(futures):
        yield _rowOf(future, names[future.key])


def _rowOf(future: Future, name: str) -> CohortRow:
    if future.status == "finished":
        return future.result()
    if future.status != "error":
        raise OSError("The scheduler was lost; start the command again, what is finished is kept.")
    error = future.exception()
    if type(error).__name__ == "KilledWorker":
        return CohortRow(name, message="Every worker that began this pair was lost; give the workers more memory.")
    return CohortRow(name, message=" ".join(f"{type(error).__name__} on the worker: {error}".split()))
