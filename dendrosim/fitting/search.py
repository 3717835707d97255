"""The search of a fit: populations of candidates, and a history from which a search goes on.

The history is the state.  An optimiser with the same seed proposes the same candidates if it is
told the same costs, so a search goes on from stored costs without any other file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dendrosim import checks
from dendrosim.errors import DendrosimError
from dendrosim.files import replacing

Array = NDArray[np.float64]
#: Positions of candidates, shape (candidates, free values), to their costs.
Evaluate = Callable[[Array], Array]
OPTIMISERS = ("cma", "de")
#: First standard deviation of CMA-ES, as a part of each range.
SIGMA = 0.3
#: A search ends when its best cost is below this.
ENOUGH = 1e-9


class History:
    """All evaluated candidates of one search, kept in a file.

    Parameters
    ----------
    path
        The file, a table in CSV; None keeps it in memory.
    names
        Names of the free values.

    Raises
    ------
    DendrosimError
        If the file is not such a table.
    """

    def __init__(self, path: Path | None, names: list[str]) -> None:
        self.path, self.names = path, names
        self.blocks: list[tuple[Array, Array]] = []
        self.recalled = 0
        if path is not None and path.is_file():
            self._read(path)

    def _read(self, path: Path) -> None:
        try:
            lines = path.read_text().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise DendrosimError(f"{path} is not the history of this fit ({error})") from None
        if not lines or lines[0] != self._header():
            raise DendrosimError(
                f"{path} is not the history of this fit: its first line is not {self._header()!r}"
            )
        rows = np.array([self._numbers(k, line) for k, line in enumerate(lines[1:], start=2)])
        if rows.size == 0:
            return
        for generation in np.unique(rows[:, 0]):
            own = rows[rows[:, 0] == generation]
            self.blocks.append((own[:, 1:-1], own[:, -1]))

    def _numbers(self, k: int, line: str) -> list[float]:
        """Return the numbers of a line."""
        try:
            found = [float(part) for part in line.split(",")]
        except ValueError:
            found = []
        if len(found) != len(self.names) + 2 or not np.isfinite(found).all():
            raise DendrosimError(
                f"{self.path}: line {k}, {checks.short(line)}, is not {len(self.names) + 2} "
                "numbers; without this file, the same call computes its candidates again"
            )
        return found

    def _header(self) -> str:
        return ",".join(["generation", *self.names, "cost"])

    def evaluate(self, x: Array, evaluate: Evaluate) -> Array:
        """Return the costs of a generation: from the history if it has them, else evaluated.

        Raises
        ------
        DendrosimError
            If the history holds other candidates.
        """
        if self.recalled < len(self.blocks):
            before, costs = self.blocks[self.recalled]
            if before.shape != x.shape or not np.array_equal(before, x):
                raise DendrosimError(
                    f"{self.path}: generation {self.recalled} of the history has other candidates "
                    "than this search; it was made with other settings or another version"
                )
            self.recalled += 1
            return costs
        costs = np.asarray(evaluate(x), dtype=float)
        self.blocks.append((np.array(x), costs))
        self.recalled += 1
        self._write()
        return costs

    def _write(self) -> None:
        if self.path is None:
            return
        lines = [self._header()]
        for generation, (x, costs) in enumerate(self.blocks):
            for row, cost in zip(x.tolist(), costs.tolist(), strict=True):
                lines.append(",".join([str(generation), *map(repr, row), repr(cost)]))
        with replacing(self.path) as temporary:
            temporary.write_text("\n".join(lines) + "\n")

    @property
    def evaluations(self) -> int:
        """Number of evaluated candidates."""
        return sum(len(costs) for _, costs in self.blocks[: self.recalled])

    @property
    def candidates(self) -> tuple[Array, Array]:
        """Positions and costs of all evaluated candidates."""
        x = np.concatenate([x for x, _ in self.blocks[: self.recalled]])
        return x, np.concatenate([costs for _, costs in self.blocks[: self.recalled]])

    @property
    def best(self) -> tuple[Array, float]:
        """Position and cost of the best candidate."""
        x, costs = self.candidates
        k = int(np.argmin(costs))
        return x[k], float(costs[k])

    def best_by_evaluations(self) -> Iterator[tuple[int, float]]:
        """Yield the number of evaluations and the best cost after each generation."""
        count, best = 0, np.inf
        for _, costs in self.blocks[: self.recalled]:
            count, best = count + len(costs), min(best, float(costs.min()))
            yield count, best


def search(
    optimiser: str, evaluate: Evaluate, history: History, start: Array, *, population: int,
    generations: int, seed: int, sigma: float = SIGMA, tell: Callable[[int], None] | None = None,
) -> None:  # fmt: skip
    """Search between 0 and 1 for each value; every candidate is added to the history.

    Parameters
    ----------
    optimiser
        ``"cma"``: CMA-ES (Hansen 2016) of the library cma.  ``"de"``: differential evolution (Storn
        and Price 1997) of scipy.
    evaluate
        Returns the costs of positions.
    history
        Keeps them.
    start
        First position, shape (free values,).
    population, generations, seed
        Candidates per generation, number of generations, and seed.
    sigma
        First standard deviation of CMA-ES.
    tell
        Called after each generation with its number.
    """
    report = tell or (lambda k: None)
    if optimiser == "de":
        _de(evaluate, history, start, population, generations, seed, report)
    else:
        _cma(evaluate, history, start, population, generations, seed, sigma, report)


def _cma(
    evaluate: Evaluate, history: History, start: Array, population: int, generations: int,
    seed: int, sigma: float, tell: Callable[[int], None],
) -> None:  # fmt: skip
    import cma

    rng = np.random.default_rng(seed)
    options = {
        "popsize": population, "maxiter": generations, "verbose": -9,
        "randn": lambda *shape: rng.standard_normal(shape), "seed": np.nan, "verb_log": 0,
        "tolfun": 0, "tolfunhist": 0, "tolstagnation": 0, "tolx": 1e-9, "ftarget": ENOUGH,
    }  # fmt: skip
    es = cma.CMAEvolutionStrategy(np.clip(start, 0.02, 0.98), sigma, options)
    for generation in range(1, generations + 1):
        x = np.array(es.ask())
        # reflected at the bounds: the library's own transform fails in one dimension
        costs = history.evaluate(1 - np.abs(1 - np.mod(x, 2)), evaluate)
        es.tell(list(x), costs.tolist())
        tell(generation)
        if es.stop() or costs.min() < ENOUGH:
            break


def _de(
    evaluate: Evaluate, history: History, start: Array, population: int, generations: int,
    seed: int, tell: Callable[[int], None],
) -> None:  # fmt: skip
    from scipy.optimize import differential_evolution

    size = len(start)
    done = iter(range(1, generations + 2))
    differential_evolution(
        lambda x: history.evaluate(np.ascontiguousarray(x.reshape(size, -1).T), evaluate),
        [(0.0, 1.0)] * size, maxiter=generations, popsize=max(2, population // size),
        rng=np.random.default_rng(seed), polish=False, updating="deferred", vectorized=True,
        x0=np.clip(start, 0, 1), tol=0, callback=lambda *_, **__: tell(next(done, generations)),
    )  # fmt: skip
