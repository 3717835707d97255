"""Fits of a model to another model or to recordings."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dendrosim import checks
from dendrosim.devices import execute
from dendrosim.errors import DendrosimError
from dendrosim.files import make_folder, path_text
from dendrosim.fitting import refine as least_squares
from dendrosim.fitting import report
from dendrosim.fitting.costs import read_cost
from dendrosim.fitting.features import Response, read_features
from dendrosim.fitting.free import Free, read_free
from dendrosim.fitting.problem import Problem
from dendrosim.fitting.responses import Runs, Target, is_model, targets_of
from dendrosim.fitting.result import Fit
from dendrosim.fitting.search import OPTIMISERS, History, search
from dendrosim.fitting.settings import check_folder, settings_of
from dendrosim.model.model import Model
from dendrosim.model.parts import time_step
from dendrosim.model.toml import as_model
from dendrosim.progress import progress_bar
from dendrosim.simulation.protocol import Protocol
from dendrosim.simulation.protocol_files import as_protocol
from dendrosim.sweeps.planning import check_step_and_method

Array = NDArray[np.float64]
MOST_CANDIDATES, MOST_GENERATIONS = 100_000, 1_000_000
#: Least squares may make the cost worse by this part, and by this: noise of a recording changes
#: features such as peaks, but hardly the values with the least squares.
WORSE_PART, WORSE = 0.25, 0.1


def fit(
    model: Model | str | os.PathLike,
    data: Any,
    free: Mapping[str, Any] | Sequence[str],
    *,
    protocol: Any,
    unseen: Any = (),
    unseen_data: Any = None,
    cost: Any = "features",
    features: Sequence[str] | None = None,
    spread: Mapping[str, float] | None = None,
    optimiser: str = "cma",
    population: int = 64,
    generations: int = 60,
    seed: int | Sequence[int] = 0,
    refine: bool = True,
    out: str | os.PathLike | None = None,
    device: str = "cpp",
    method: str | None = None,
    dt: Any = None,
    dtype: str = "float64",
    threads: int = 1,
    progress: bool | None = None,
) -> Fit:
    """Find the values of a model whose responses are closest to a target's.

    A generation of candidates is one group of neurons of one compiled program.  A candidate that
    diverges has the worst rank.

    Parameters
    ----------
    model
        The `Model` to fit, or its name or path.
    data
        The target: a model, whose runs under `protocol` are the target; or a `Recording` or a file
        for each protocol, see `targets_of`.
    free
        Name to range of each value to find, such as ``{"g_NaP": "0.05..0.3 mS/cm**2"}``; None for a
        quarter to four times the value.  Names are those of ``--set``.  A range above 0 is
        searched on a logarithmic scale.
    protocol
        A protocol or a list of them, under which model and target are compared.
    unseen, unseen_data
        Protocols that only judge the fit, and their data if `data` is not a model.
    cost
        ``"features"`` (differences in units of their spread), ``"voltage"`` (away from spikes),
        ``"spikes"`` (coincidence factor), ``"fi"`` (rates), a list of them, or names with weights.
    features, spread
        Names of features (`FEATURES`, or eFEL's), all of `FEATURES` by default; and name to the
        difference that counts as 1, in SI units.
    optimiser
        ``"cma"`` or ``"de"``, see `search`.
    population, generations
        Candidates per generation, and number of generations for each seed.
    seed
        A seed, or a list: each is a search of its own, and the best is the result.
    refine
        Whether least squares on the potential follow the search, if the target has potentials.  The
        refined values are taken only if the cost does not become worse.
    out
        Folder for the files of `Fit.save` and the history.  The same call with the same folder goes
        on where it was interrupted, with the same result.
    device, method, dt, dtype, threads, progress
        As in `simulate`.

    Returns
    -------
    Fit

    Raises
    ------
    DendrosimError
        If an argument is invalid, or if `out` holds another fit.

    Examples
    --------
    >>> import dendrosim as ds
    >>> protocol = ds.load_protocol("constant").with_(duration="100 ms", amplitude="0.5")
    >>> target = ds.load_model("lif").with_(parameters={"beta": "0.9"})
    >>> f = ds.fit("lif", target, {"beta": "0.7..0.99"}, protocol=protocol, device="numpy",
    ...            population=8, generations=10)
    >>> f.table["spikes, fit"].tolist(), f.table["spikes, target"].tolist()
    ([40], [40])
    """
    execute.check_device(device, threads)
    execute.check_dtype(dtype)
    checks.one_of(optimiser, OPTIMISERS, "unknown optimiser")
    population = checks.whole(population, "population", least=4, most=MOST_CANDIDATES)
    generations = checks.whole(generations, "generations", least=1, most=MOST_GENERATIONS)
    seeds = _seeds(seed)
    model = as_model(model)
    is_target = is_model(data)
    check_step_and_method([model, as_model(data)] if is_target else [model], dt, method)
    protocols, others = _protocols(protocol, "protocol"), _protocols(unseen, "unseen")
    if not protocols:
        raise DendrosimError("fit needs at least one protocol")
    found = read_free(free, model, [*protocols, *others])
    runs = Runs(device, method, None if dt is None else time_step(dt, "dt"), dtype, threads)
    targets = targets_of(data, protocols, runs)
    judged = (
        targets_of(_unseen(data, unseen_data, others), others, runs, "unseen") if others else []
    )
    weighed = read_cost(cost, targets, read_features(features), {} if spread is None else spread)
    folder = None if out is None else make_folder(path_text(out, "fit"))
    meta = settings_of(
        model, found, targets, weighed, seeds, optimiser, population, generations, runs
    )
    if folder is not None:
        check_folder(folder, meta)
    problem = Problem(model, found, targets, weighed, runs)
    histories = {}
    with progress_bar(progress, f"fitting {model.name}") as tell:
        told = 0

        def count(_: int) -> None:
            nonlocal told
            told += 1
            if tell is not None:
                tell(min(1.0, told / (generations * len(seeds))))

        for one in seeds:
            path = None if folder is None else folder / f"candidates_{one}.csv"
            histories[one] = History(path, [f.key for f in found])
            search(
                optimiser, problem.costs, histories[one], problem.start, population=population,
                generations=generations, seed=one, tell=count,
            )  # fmt: skip
    result = _result(problem, histories, judged, checks.flag(refine, "refine"), meta)
    if folder is not None:
        result.save(folder)
    return result


def _seeds(seed: Any) -> list[int]:
    seeds = [checks.whole(one, "seed") for one in (seed if checks.is_row(seed) else [seed])]
    if not seeds or len(set(seeds)) < len(seeds):
        raise DendrosimError(
            f"seed = {checks.short(seed)} should have at least one seed, and none twice"
        )
    return seeds


def _result(
    problem: Problem, histories: Mapping[int, History], judged: Sequence[Target], refine: bool,
    meta: Mapping[str, Any],
) -> Fit:  # fmt: skip
    bests = {seed: history.best for seed, history in histories.items()}
    best = min(bests, key=lambda seed: bests[seed][1])
    x, cost = bests[best]
    notes, errors, condition = [], None, np.nan
    if refine and least_squares.can_refine(problem.targets):
        at_best = least_squares.residual(problem.respond(x[None])[0], problem.targets)
        before = np.inf if at_best is None else float(np.sqrt(np.mean(at_best**2)))
        refined = least_squares.refine(problem.respond, problem.targets, x)
        if refined is None:
            notes.append("Least squares on the potential were not possible: a step diverged.")
        else:
            after = float(problem.costs(refined.x[None])[0])
            if after <= (1 + WORSE_PART) * cost + WORSE and refined.rms <= before:
                x, cost = refined.x, after
            else:
                notes.append(
                    f"Least squares on the potential would make the cost worse ({cost:.4g} to "
                    f"{after:.4g}), so the values are those of the search."
                )
                refined = least_squares.linearised_at(problem.respond, problem.targets, x)
        if refined is not None:
            errors, condition = report.standard_errors(refined)
            if condition > 1e3:
                notes.append(
                    f"The condition number is {condition:.3g}: the data hardly determine "
                    f"{report.weakest(refined, problem.free)} (in parts of the ranges)."
                )
    notes += report.value_notes(problem.free, x, errors) + _doubts(problem, bests)
    roles = [("fit", problem.targets), ("unseen", judged)]
    shown: list[tuple[str, Target, list[Response] | None]] = []
    for role, targets in roles:
        if targets:
            shown += [(role, t, r) for t, r in
                      zip(targets, problem.respond(x[None], targets)[0], strict=True)]  # fmt: skip
    return Fit(
        problem.fitted(x), report.value_table(problem.free, x, errors),
        report.protocol_table(shown), _history(histories), _optima(problem.free, bests), cost,
        float(condition), tuple(notes), meta, tuple(shown),
    )  # fmt: skip


def _doubts(problem: Problem, bests: Mapping[int, tuple[Array, float]]) -> list[str]:
    """Return sentences about costs that are known to mislead, and about several optima."""
    notes = []
    names = set(problem.cost.weights)
    if names in ({"voltage"}, {"spikes"}):
        notes.append(
            f"The cost was {names.pop()} alone, which can be small at wrong values: on "
            "Kepecs-Wang, voltage alone ended 55 % off, and spike times alone were perfect with "
            "g_c 60 % off. "
            "Features do not have this fault."
        )
    least = min(cost for _, cost in bests.values())
    good = [x for x, cost in bests.values() if cost <= 1.05 * least + 1e-9]
    for k, one in enumerate(problem.free):
        own = np.array([x[k] for x in good])
        if np.ptp(own) > report.APART:
            values = ", ".join(f"{one.shown(float(one.value(v))):.4g}" for v in own)
            notes.append(
                f"Seeds with equal costs disagree on {one.name}: {values} {one.unit}. The data do "
                "not determine it."
            )
    return notes


def _history(histories: Mapping[int, History]) -> pd.DataFrame:
    rows = [
        {"seed": seed, "evaluations": count, "best cost": best}
        for seed, history in histories.items()
        for count, best in history.best_by_evaluations()
    ]
    return pd.DataFrame(rows)


def _optima(free: Sequence[Free], bests: Mapping[int, tuple[Array, float]]) -> pd.DataFrame:
    rows = []
    for seed, (x, cost) in bests.items():
        values = {
            f"{one.name} ({one.unit})": one.shown(float(one.value(x[k])))
            for k, one in enumerate(free)
        }
        rows.append({"seed": seed, "cost": cost, **values})
    return pd.DataFrame(rows)


def _protocols(given: Any, what: str) -> list[Protocol]:
    if isinstance(given, str | os.PathLike | Protocol):
        given = [given]
    if not checks.is_row(given):
        raise DendrosimError(f"{what} = {checks.short(given)} should be a protocol or a list")
    return [as_protocol(one) for one in given]


def _unseen(data: Any, given: Any, others: Sequence[Protocol]) -> Any:
    if given is not None:
        return given
    if not is_model(data):
        names = ", ".join(p.name for p in others)
        raise DendrosimError(f"unseen = {names} needs unseen_data, the recordings under them")
    return data
