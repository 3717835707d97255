"""The searches of a fit, one per seed, in one process or several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from dendrosim.errors import DendrosimError
from dendrosim.fitting.problem import Problem
from dendrosim.fitting.search import History, search
from dendrosim.progress import progress_bar

Tell = Callable[[int], None]


def searches(
    problem: Problem, seeds: Sequence[int], *, optimiser: str, population: int, generations: int,
    folder: Path | None, jobs: int, progress: bool | None,
) -> dict[int, History]:  # fmt: skip
    """Return the history of the search of each seed.

    Parameters
    ----------
    problem
        What is searched.
    seeds, optimiser, population, generations
        As in `fit`.
    folder
        Keeps the histories; None keeps them in memory.
    jobs
        Number of processes.
    progress
        Whether to show a bar.

    Raises
    ------
    DendrosimError
        If a history in the folder is another one, or if a process was killed.
    """

    def one(seed: int, tell: Tell | None = None) -> History:
        path = None if folder is None else folder / f"candidates_{seed}.csv"
        history = History(path, [free.key for free in problem.free])
        search(
            optimiser, problem.costs, history, problem.start, population=population,
            generations=generations, seed=seed, tell=tell,
        )  # fmt: skip
        return history

    with progress_bar(progress, f"fitting {problem.model.name}") as show:
        told, steps = 0, 1 if jobs > 1 else generations

        def count(_: int) -> None:
            nonlocal told
            told += 1
            if show is not None:
                show(min(1.0, told / (steps * len(seeds))))

        if min(jobs, len(seeds)) == 1:
            return {seed: one(seed, count) for seed in seeds}
        problem.costs(problem.start[None])  # compile before the processes need the program
        found = {}
        for seed, history in _in_processes(one, seeds, min(jobs, len(seeds))):
            found[seed] = history
            count(seed)
    return {seed: found[seed] for seed in seeds}


def _in_processes(
    one: Callable[[int], History], seeds: Sequence[int], jobs: int
) -> list[tuple[int, History]]:
    from joblib import Parallel, delayed
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    try:
        found = Parallel(n_jobs=jobs)(delayed(one)(seed) for seed in seeds)
    except TerminatedWorkerError:
        raise DendrosimError(
            "a process of the fit was killed, perhaps for lack of memory; with out=FOLDER, the "
            "same call goes on with the finished generations"
        ) from None
    return list(zip(seeds, found, strict=True))
