"""Fits of a model to another model or to recordings."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dendrosim import checks
from dendrosim.devices import execute
from dendrosim.errors import DendrosimError
from dendrosim.files import make_folder, replacing
from dendrosim.fitting import refine as least_squares
from dendrosim.fitting import report
from dendrosim.fitting.costs import Cost, read_cost
from dendrosim.fitting.features import Response, read_features
from dendrosim.fitting.free import Free, read_free
from dendrosim.fitting.responses import Runs, Target, respond, targets_of
from dendrosim.fitting.result import Fit
from dendrosim.fitting.search import OPTIMISERS, History, search
from dendrosim.model.model import Model, time_step
from dendrosim.model.quantities import describe, with_dim
from dendrosim.model.toml import as_model
from dendrosim.progress import progress_bar
from dendrosim.simulation.protocol import Protocol
from dendrosim.simulation.protocol_files import as_protocol
from dendrosim.sweeps.axes import set_value

Array = NDArray[np.float64]
FORMAT = 1


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
    population = checks.whole(population, "population", least=4)
    generations = checks.whole(generations, "generations", least=1)
    seeds = [checks.whole(one, "seed") for one in (seed if checks.is_row(seed) else [seed])]
    if not seeds or len(set(seeds)) < len(seeds):
        raise DendrosimError(f"seed = {checks.short(seed)} should be different whole numbers")
    model = as_model(model)
    protocols, others = _protocols(protocol, "protocol"), _protocols(unseen, "unseen")
    if not protocols:
        raise DendrosimError("fit needs at least one protocol")
    found = read_free(free, model, [*protocols, *others])
    runs = Runs(device, method, None if dt is None else time_step(dt, "dt"), dtype, threads)
    targets = targets_of(data, protocols, runs)
    judged = (
        targets_of(_unseen(data, unseen_data, others), others, runs, "unseen") if others else []
    )
    weighed = read_cost(cost, targets, read_features(features), dict(spread or {}))
    folder = None if out is None else make_folder(out)
    meta = _meta(model, found, targets, weighed, seeds, optimiser, population, generations, runs)
    if folder is not None:
        _check_folder(folder, meta)
    problem = _Problem(model, found, targets, weighed, runs)
    histories = {}
    with progress_bar(progress, f"fitting {model.name}") as tell:
        for k, one in enumerate(seeds):
            path = None if folder is None else folder / f"candidates_{one}.csv"
            histories[one] = History(path, [f.name for f in found])
            search(
                optimiser, problem.costs, histories[one], problem.start, population=population,
                generations=generations, seed=one,
                tell=lambda g, k=k: tell and tell(min(1.0, (k + g / generations) / len(seeds))),
            )  # fmt: skip
    result = _result(problem, histories, judged, checks.flag(refine, "refine"), meta)
    if folder is not None:
        result.save(folder)
    return result


class _Problem:
    """A model with free values, and its targets."""

    def __init__(
        self, model: Model, free: Sequence[Free], targets: Sequence[Target], cost: Cost, runs: Runs
    ) -> None:
        self.model, self.free, self.targets, self.cost, self.runs = model, free, targets, cost, runs
        self.start = np.array([one.position(one.start) for one in free])

    def respond(self, x: Array, targets: Sequence[Target] | None = None) -> list[list]:
        """Return the responses of each candidate under each target's protocol."""
        values = {one.key: with_dim(one.value(x[:, k]), one.dim) for k, one in enumerate(self.free)}
        every = [
            respond(self.model, target.protocol, values, len(x), self.runs)
            for target in (self.targets if targets is None else targets)
        ]
        return [list(own) for own in zip(*every, strict=True)]

    def costs(self, x: Array) -> Array:
        """Return the cost of each candidate."""
        return np.array([self.cost.of(self.targets, own) for own in self.respond(x)])

    def fitted(self, x: Array) -> Model:
        """Return the model at a position."""
        model, protocol = self.model, self.targets[0].protocol
        for k, one in enumerate(self.free):
            value = with_dim(float(one.value(x[k])), one.dim)
            model, protocol = set_value(model, protocol, one.key, value)
        return model


def _result(
    problem: _Problem, histories: Mapping[int, History], judged: Sequence[Target], refine: bool,
    meta: Mapping[str, Any],
) -> Fit:  # fmt: skip
    bests = {seed: history.best for seed, history in histories.items()}
    best = min(bests, key=lambda seed: bests[seed][1])
    x, cost = bests[best]
    notes, errors, condition = [], None, np.nan
    if refine and least_squares.can_refine(problem.targets):
        refined = least_squares.refine(problem.respond, problem.targets, x)
        if refined is None:
            notes.append("Least squares on the potential were not possible: a step diverged.")
        else:
            after = float(problem.costs(refined.x[None])[0])
            if after <= cost:
                x, cost = refined.x, after
            else:
                notes.append(
                    f"Least squares on the potential would make the cost worse ({cost:.4g} to "
                    f"{after:.4g}), so the values are those of the search."
                )
                refined = least_squares.refine(problem.respond, problem.targets, x, iterations=0)
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


def _doubts(problem: _Problem, bests: Mapping[int, tuple[Array, float]]) -> list[str]:
    """Return sentences about costs that were measured to mislead, and about several optima."""
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
    is_model = isinstance(data, Model) or (
        isinstance(data, str) and Path(data).suffix in ("", ".toml")
    )
    if not is_model:
        names = ", ".join(p.name for p in others)
        raise DendrosimError(f"unseen = {names} needs unseen_data, the recordings under them")
    return data


def _meta(
    model: Model, free: Sequence[Free], targets: Sequence[Target], cost: Cost,
    seeds: Sequence[int], optimiser: str, population: int, generations: int, runs: Runs,
) -> dict[str, Any]:  # fmt: skip
    """Return everything that affects the search, as plain values."""
    import hashlib

    data = hashlib.sha256()
    for target in targets:
        for r in target.responses:
            for part in (r.train, r.times, r.v if r.v is not None else np.empty(0)):
                data.update(np.ascontiguousarray(part).tobytes())
    return {
        "format": FORMAT, "model": model.name, "model values": model.hash[:16],
        "data": data.hexdigest()[:16], "protocols": [t.name for t in targets],
        "windows": [list(t.protocol.window) for t in targets],
        "free": {one.key: one.text for one in free}, "cost": dict(cost.weights),
        "features": list(cost.features), "optimiser": optimiser, "population": population,
        "generations": generations, "seeds": list(seeds), "device": runs.device,
        "method": runs.method, "dt": None if runs.dt is None else describe(runs.dt),
        "dtype": runs.dtype,
        "versions": {name: version(name) for name in ("dendrosim", "brian2", "numpy", "cma")},
    }  # fmt: skip


def _check_folder(folder: Path, meta: Mapping[str, Any]) -> None:
    """Write the settings of a new fit, or refuse a folder with those of another one."""
    path = folder / "settings.json"
    wanted = json.loads(json.dumps(meta))
    if not path.is_file():
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(wanted, indent=2) + "\n")
        return
    try:
        there = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise DendrosimError(f"{path} is not the settings of a fit ({error})") from None
    # more generations or seeds go on with the same candidates
    free = ("generations", "seeds")
    different = [key for key in wanted if key not in free and there.get(key) != wanted[key]]
    if different:
        key = different[0]
        raise DendrosimError(
            f"{folder} holds another fit: {key} is {checks.short(there.get(key))} there and "
            f"{checks.short(wanted[key])} here. Give another folder"
        )
