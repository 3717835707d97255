"""The searches of a fit, one per seed, in one process or several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dendrosim import checks
from dendrosim.errors import DendrosimError
from dendrosim.fitting.problem import Problem
from dendrosim.fitting.search import History, search
from dendrosim.progress import progress_bar
from dendrosim.sweeps.engines import in_processes

Tell = Callable[[int], None]


def read_seeds(seed: Any) -> list[int]:
    """Return the seeds of searches, given as one number or a list.

    Raises
    ------
    DendrosimError
        If there is none, or one twice.
    """
    seeds = [checks.whole(one, "seed") for one in (seed if checks.is_row(seed) else [seed])]
    if not seeds or len(set(seeds)) < len(seeds):
        raise DendrosimError(
            f"seed = {checks.short(seed)} should have at least one seed, and none twice"
        )
    return seeds


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
        processes = min(jobs, len(seeds))
        # other processes report a whole search at a time
        told, steps = 0, 1 if processes > 1 else generations

        def count(_: int) -> None:
            nonlocal told
            told += 1
            if show is not None:
                show(min(1.0, told / (steps * len(seeds))))

        if processes == 1:
            return {seed: one(seed, count) for seed in seeds}
        problem.costs(problem.start[None])  # compile before the processes need the program
        found: dict[int, History] = {}
        calls = [(one, seed) for seed in seeds]
        told_if_killed = (
            "a process of the fit was killed, perhaps for lack of memory; with out=FOLDER, the "
            "same call goes on with the finished generations"
        )
        for seed, history in in_processes(_of_seed, calls, processes, told_if_killed):
            found[seed] = history
            count(seed)
    return {seed: found[seed] for seed in seeds}


def _of_seed(one: Callable[[int], History], seed: int) -> tuple[int, History]:
    return seed, one(seed)
