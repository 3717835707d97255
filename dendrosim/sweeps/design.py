"""Designs: which combinations of values are the points of a sweep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dendrosim import checks
from dendrosim.errors import DendrosimError
from dendrosim.pickling import Pickled
from dendrosim.sweeps.axes import Axis

DESIGNS = ("grid", "zip", "random", "sobol", "lhs", "saltelli", "morris")
#: Designs that draw `n` points from the ranges of the axes.
DRAWN = ("random", "sobol", "lhs", "saltelli", "morris")
MAX_POINTS = 100_000_000
#: Levels of the grid on which Morris' trajectories move.
LEVELS = 4


@dataclass(frozen=True, eq=False)
class Design(Pickled):
    """The points of a sweep.

    Attributes
    ----------
    kind
        One of `DESIGNS`.
    axes
        The axes.
    sets
        Number of different combinations of values.
    repeats
        Points per combination, which differ in their noise.
    columns
        Values of each axis, shape (sets,): numbers in SI units, or positions in its list.
    quantiles
        The drawn quantiles, shape (sets, axes), for a sensitivity analysis; None for a list.
    seed
        Seed of the draws and of the noise.
    frozen
        Whether all combinations have the same noise.
    """

    kind: str
    axes: tuple[Axis, ...]
    sets: int
    repeats: int
    columns: tuple[np.ndarray, ...]
    quantiles: np.ndarray | None
    seed: int
    frozen: bool = False

    @property
    def points(self) -> int:
        """Number of points: combinations times repeats."""
        return self.sets * self.repeats

    def values(self, points: np.ndarray) -> dict[str, np.ndarray]:
        """Return the values of some points by the name of the axis; repeats vary fastest."""
        own = np.asarray(points) // self.repeats
        return {axis.key: column[own] for axis, column in zip(self.axes, self.columns, strict=True)}

    def noise(self, points: np.ndarray) -> list[int]:
        """Return the seed of the noise of each point, which depends on its number alone.

        For frozen noise, it depends on the number of the repeat alone.
        """
        keys = (int(p) % self.repeats if self.frozen else int(p) for p in points)
        return [
            int(np.random.SeedSequence(self.seed, spawn_key=(1, key)).generate_state(1)[0])
            for key in keys
        ]


def make_design(
    axes: Sequence[Axis], kind: str = "grid", n: int | None = None, repeats: int = 1,
    seed: int = 0, frozen: bool = False,
) -> Design:  # fmt: skip
    """Choose the points of a sweep.

    Parameters
    ----------
    axes
        From `read_axes`.
    kind
        ``"grid"`` takes every combination of listed values, the first axis slowest; ``"zip"`` pairs
        the values of equally long lists; ``"random"``, ``"sobol"`` (scrambled) and ``"lhs"``
        (Latin hypercube) draw `n` points (scipy.stats.qmc).  ``"saltelli"`` draws
        ``n*(axes + 2)`` points for Sobol indices, ``"morris"`` `n` trajectories of ``axes + 1``
        points (SALib).
    n
        Number of draws; for a drawn design only.
    repeats
        Points per combination.
    seed
        Seed of the draws.
    frozen
        Whether all combinations have the same noise.

    Raises
    ------
    DendrosimError
        If the design and the axes do not fit together.
    """
    checks.one_of(kind, DESIGNS, "unknown design")
    repeats = checks.whole(repeats, "repeats", least=1)
    seed = checks.whole(seed, "seed")
    axes = tuple(axes)
    quantiles = None
    if kind in DRAWN:
        if n is None:
            raise DendrosimError(f"design = {kind!r} needs n, the number of draws")
        least = 2 if kind in ("saltelli", "morris") else 1
        n = checks.whole(n, "n", least=least, most=MAX_POINTS)
        quantiles = _drawn(kind, len(axes), n, seed)
        columns = tuple(axis.at(quantiles[:, k]) for k, axis in enumerate(axes))
    else:
        if n is not None:
            raise DendrosimError(
                f"n = {n!r} is for drawn points, but design = {kind!r} has those of its lists; "
                f"drawn designs: {', '.join(DRAWN)}"
            )
        columns = _listed(kind, axes)
    sets = len(columns[0])
    if sets * repeats > MAX_POINTS:
        raise DendrosimError(f"{sets * repeats:,} points are more than {MAX_POINTS:,}")
    return Design(kind, axes, sets, repeats, columns, quantiles, seed, frozen)


def _listed(kind: str, axes: Sequence[Axis]) -> tuple[np.ndarray, ...]:
    for axis in axes:
        if axis.bounds is not None:
            raise DendrosimError(
                f"{axis.key} is a distribution, {axis.shown}: design = {kind!r} needs a list such "
                "as linspace(1, 15, 41) mS/cm**2; to draw from it, choose design = 'sobol'"
            )
    lists = [axis.listed for axis in axes]
    if kind == "grid":
        total = 1
        for values in lists:
            total *= len(values)
        if total > MAX_POINTS:
            raise DendrosimError(f"a grid of {total:,} points has more than {MAX_POINTS:,}")
        return tuple(part.ravel() for part in np.meshgrid(*lists, indexing="ij"))
    lengths = {axis.key: len(values) for axis, values in zip(axes, lists, strict=True)}
    if len(set(lengths.values())) > 1:
        text = ", ".join(f"{key} has {length}" for key, length in lengths.items())
        raise DendrosimError(f"design = 'zip' pairs lists of one length: {text}")
    return tuple(lists)


def _drawn(kind: str, axes: int, n: int, seed: int) -> np.ndarray:
    """Return quantiles from 0 to 1, shape (draws, axes)."""
    stream = np.random.SeedSequence(seed, spawn_key=(0,))
    if kind == "random":
        return np.random.default_rng(stream).random((n, axes))
    if kind in ("saltelli", "morris"):
        return _for_sensitivity(kind, axes, n, int(stream.generate_state(1)[0]))
    from scipy.stats import qmc

    rng = np.random.default_rng(stream)
    if kind == "lhs":
        return qmc.LatinHypercube(axes, rng=rng).random(n)
    check_power_of_two(n, "a Sobol sequence is balanced only for")
    return sobol(axes, n, rng)


def sobol(axes: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """Return scrambled Sobol points from 0 to 1, shape (n, axes); `n` is a power of two."""
    from scipy.stats import qmc

    return qmc.Sobol(axes, rng=rng).random(n)


def check_power_of_two(n: int, said: str) -> None:
    """Refuse a number of draws that is no power of two.

    Raises
    ------
    DendrosimError
    """
    if n & (n - 1):
        power = 1 << (n - 1).bit_length()
        raise DendrosimError(f"n = {n}: {said} a power of two, such as {power // 2} or {power}")


def _for_sensitivity(kind: str, axes: int, n: int, seed: int) -> np.ndarray:
    if kind == "saltelli":
        check_power_of_two(n, "Sobol indices need")
    salib = salib_or_refuse(f"design = {kind!r}")
    problem = problem_of([f"x{k}" for k in range(axes)])
    if kind == "saltelli":
        return salib.sample.sobol.sample(problem, n, calc_second_order=False, seed=seed)
    return salib.sample.morris.sample(problem, n, num_levels=LEVELS, seed=seed)


def problem_of(names: Sequence[str]) -> dict:
    """Return SALib's description of axes whose quantiles go from 0 to 1."""
    return {"num_vars": len(names), "names": list(names), "bounds": [[0.0, 1.0]] * len(names)}


def salib_or_refuse(what: str) -> Any:
    """Return SALib with its parts.

    Raises
    ------
    DendrosimError
        If it is not installed.
    """
    try:
        import SALib
        import SALib.analyze.morris
        import SALib.analyze.sobol
        import SALib.sample.morris
        import SALib.sample.sobol
    except ImportError:
        raise DendrosimError(f"{what} needs SALib: pip install 'dendrosim[sensitivity]'") from None
    return SALib
