"""Engines: who computes the chunks of a sweep."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dendrosim import checks
from dendrosim.errors import DendrosimError
from dendrosim.sweeps.chunks import do_chunk
from dendrosim.sweeps.plan import SweepPlan

MAX_JOBS = 1024
Finished = Iterator[tuple[int, int, float]]


def check_engine(engine: Any) -> int | Any:
    """Return the number of processes, or a client of dask.distributed.

    Parameters
    ----------
    engine
        None for as many processes as this one may use processors, a number, or a client.

    Raises
    ------
    DendrosimError
        If it is none of these.
    """
    if engine is None:
        return len(os.sched_getaffinity(0))
    if hasattr(engine, "submit") and hasattr(engine, "scheduler_info"):
        return engine
    if isinstance(engine, int) and not isinstance(engine, bool):
        return checks.whole(engine, "engine", least=1, most=MAX_JOBS)
    raise DendrosimError(
        f"engine = {checks.short(engine)} should be None, a number of processes, or a "
        "dask.distributed.Client"
    )


def run_chunks(plan: SweepPlan, path: Path, chunks: Sequence[int], engine: int | Any) -> Finished:
    """Compute chunks, and yield each as it is finished: its number, points and seconds.

    Raises
    ------
    DendrosimError
        If a worker was killed, or the store cannot be written.  What is finished is kept.
    """
    if not isinstance(engine, int):
        return _by_dask(plan, path, chunks, engine)
    if min(engine, len(chunks)) <= 1:
        return (do_chunk(plan, path, k) for k in chunks)
    return _by_joblib(plan, path, chunks, min(engine, len(chunks)))


def _in_worker(driver: int, plan: SweepPlan, path: Path, k: int) -> tuple[int, int, float]:
    """Compute a chunk in a worker, which ends when the process that started it has ended."""
    if driver not in _watched:
        _watched.add(driver)
        threading.Thread(target=_end_with, args=(driver,), daemon=True).start()
    return do_chunk(plan, path, k)


_watched: set[int] = set()


def _end_with(driver: int) -> None:
    while os.getppid() == driver:
        time.sleep(1)
    os._exit(1)


def _by_joblib(plan: SweepPlan, path: Path, chunks: Sequence[int], jobs: int) -> Finished:
    from joblib import Parallel, delayed
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    parallel = Parallel(
        n_jobs=jobs, return_as="generator_unordered", batch_size=1, pre_dispatch="2*n_jobs"
    )
    results = parallel(delayed(_in_worker)(os.getpid(), plan, path, k) for k in chunks)
    try:
        yield from results
    except TerminatedWorkerError:
        raise DendrosimError(
            f"a worker of the sweep was killed, perhaps for lack of memory; the finished points "
            f"are in {path}, and the same command goes on with the others"
        ) from None
    finally:
        with contextlib.suppress(Exception):
            results.close()


def _by_dask(plan: SweepPlan, path: Path, chunks: Sequence[int], client: Any) -> Finished:
    from distributed import as_completed

    where = path.resolve()
    shared = client.scatter(plan, broadcast=True)
    tasks = [client.submit(do_chunk, shared, where, k, pure=False) for k in chunks]
    try:
        for task in as_completed(tasks):
            try:
                yield task.result()
            except DendrosimError:
                raise
            except Exception as error:
                raise DendrosimError(
                    f"a dask worker failed ({type(error).__name__}: {error}); the finished points "
                    f"are in {path}, and the same call goes on with the others"
                ) from error
    finally:
        client.cancel(tasks)
