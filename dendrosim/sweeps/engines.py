"""Engines: who computes the chunks of a sweep."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
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
    told = (
        f"a worker of the sweep was killed, perhaps for lack of memory; the finished points are in "
        f"{path}, and the same command goes on with the others"
    )
    calls = [(plan, path, k) for k in chunks]
    return in_processes(do_chunk, calls, min(engine, len(chunks)), told)


def in_processes(
    function: Callable[..., Any], calls: Sequence[tuple], jobs: int, killed: str
) -> Iterator[Any]:
    """Yield the results of calls in several processes, each as it is finished.

    The processes end with the one that started them.

    Parameters
    ----------
    function
        Called with the arguments of each call.
    calls
        Arguments of each call.
    jobs
        Number of processes.
    killed
        Message if a process was killed.

    Raises
    ------
    DendrosimError
        If a process was killed.
    """
    from joblib import Parallel, delayed
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    parallel = Parallel(
        n_jobs=jobs, return_as="generator_unordered", batch_size=1, pre_dispatch="2*n_jobs"
    )
    results = parallel(delayed(_in_worker)(os.getpid(), function, own) for own in calls)
    try:
        yield from results
    except TerminatedWorkerError:
        raise DendrosimError(killed) from None
    finally:
        with contextlib.suppress(Exception):
            results.close()


def _in_worker(driver: int, function: Callable[..., Any], arguments: tuple) -> Any:
    """Call a function in a worker, which ends when the process that started it has ended."""
    if driver not in _watched:
        _watched.add(driver)
        threading.Thread(target=_end_with, args=(driver,), daemon=True).start()
    return function(*arguments)


_watched: set[int] = set()


def _end_with(driver: int) -> None:
    while os.getppid() == driver:
        time.sleep(1)
    os._exit(1)


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
