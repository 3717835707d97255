"""Fits of a model to another model or to recordings."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dendrosim import checks
from dendrosim.devices import execute
from dendrosim.errors import DendrosimError
from dendrosim.files import make_folder, path_text
from dendrosim.fitting.conclusion import conclude
from dendrosim.fitting.costs import read_cost
from dendrosim.fitting.electrode import Electrode, read_electrode
from dendrosim.fitting.features import read_features
from dendrosim.fitting.free import read_free
from dendrosim.fitting.passive_stage import Stage, passive_stage
from dendrosim.fitting.problem import Problem
from dendrosim.fitting.responses import Runs
from dendrosim.fitting.result import Fit
from dendrosim.fitting.search import OPTIMISERS
from dendrosim.fitting.searches import read_seeds, searches
from dendrosim.fitting.settings import check_folder, settings_of
from dendrosim.fitting.targets import (
    Target,
    is_model,
    refuse_repeated,
    refuse_shared_sweeps,
    targets_of,
)
from dendrosim.model.model import Model
from dendrosim.model.parts import time_step
from dendrosim.model.toml import as_model
from dendrosim.simulation.protocol import Protocol
from dendrosim.simulation.protocol_files import as_protocol
from dendrosim.sweeps.engines import MAX_JOBS
from dendrosim.sweeps.planning import check_step_and_method

Array = NDArray[np.float64]
MOST_CANDIDATES, MOST_GENERATIONS = 100_000, 1_000_000


def fit(
    model: Model | str | os.PathLike,
    data: Any,
    free: Mapping[str, Any] | Sequence[str],
    *,
    protocol: Any,
    unseen: Any = (),
    unseen_data: Any = None,
    passive: Mapping[str, Any] | Sequence[str] | None = None,
    series_resistance: Any = None,
    junction: Any = None,
    cost: Any = "features",
    features: Sequence[str] | None = None,
    spread: Mapping[str, float] | None = None,
    optimiser: str = "cma",
    population: int = 64,
    generations: int = 60,
    seed: int | Sequence[int] = 0,
    refine: bool = True,
    jobs: int = 1,
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
        quarter to four times the value, for a potential 20 mV around it.  Names are those of
        ``--set``.  A range above 0 is searched on a logarithmic scale.
    protocol
        A protocol or a list of them, under which model and target are compared.
    unseen, unseen_data
        Protocols that only judge the fit, and their data if `data` is not a model.
    passive
        Values that are found first, from the hyperpolarising sweeps of a recorded cell alone, by
        the potential; names and ranges as in `free`: ``["g_L", "E_L", "area"]``; without a range,
        from a twentieth to twenty times.  A value in both is searched again from there.  The area
        of the membrane begins at the capacitance of `cell_properties` by the model's specific
        capacitance, and the model's potentials at the cell's resting potential.
    series_resistance
        Series resistance of the electrode that the amplifier did not compensate, ``"12 Mohm"``, or
        ``"estimate"`` for that of `cell_properties`.  Its voltage is subtracted from the recorded
        potential.
    junction
        Liquid junction potential, ``"10 mV"``, subtracted from the recorded potential.
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
    jobs
        Number of processes; each runs the search of one seed at a time.
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
    seeds, jobs = read_seeds(seed), checks.whole(jobs, "jobs", least=1, most=MAX_JOBS)
    refine = checks.flag(refine, "refine")
    runs = Runs(device, method, None if dt is None else time_step(dt, "dt"), dtype, threads)
    electrode = read_electrode(series_resistance, junction)
    stage = _stage(as_model(model), data, free, protocol, unseen, unseen_data, passive, electrode,
                   runs)  # fmt: skip
    found = read_free(free, stage.model, [t.protocol for t in [*stage.targets, *stage.judged]])
    weighed = read_cost(
        cost, stage.targets, read_features(features), {} if spread is None else spread
    )
    folder = None if out is None else make_folder(path_text(out, "fit"))
    meta = settings_of(
        stage.model, found, stage.targets, weighed, seeds, optimiser, population, generations, runs
    )
    if folder is not None:
        check_folder(folder, meta)
    problem = Problem(stage.model, found, stage.targets, weighed, runs)
    histories = searches(
        problem, seeds, optimiser=optimiser, population=population, generations=generations,
        folder=folder, jobs=jobs, progress=progress,
    )  # fmt: skip
    result = conclude(problem, histories, stage, refine, meta)
    if folder is not None:
        result.save(folder)
    return result


def _stage(
    model: Model, data: Any, free: Any, protocol: Any, unseen: Any, unseen_data: Any, passive: Any,
    electrode: Electrode, runs: Runs,
) -> Stage:  # fmt: skip
    """Return the targets, and the model with its passive values."""
    check_step_and_method(
        [model, as_model(data)] if is_model(data) else [model], runs.dt, runs.method
    )
    protocols, others = _protocols(protocol, "protocol"), _protocols(unseen, "unseen")
    if not protocols:
        raise DendrosimError("fit needs at least one protocol")
    names = read_free(free, model, [*protocols, *others])
    if passive is not None:
        names += read_free(passive, model, [*protocols, *others], "passive")
    keys = [one.key for one in names]
    targets = targets_of(data, protocols, runs, "data", electrode, model, keys)
    judged: list[Target] = []
    if unseen_data is not None and not others:
        raise DendrosimError("unseen_data needs unseen, the protocols that the data are of")
    if others:
        own = _unseen(data, unseen_data, others)
        judged = targets_of(own, others, runs, "unseen", electrode, model, keys)
    refuse_shared_sweeps(targets, judged)
    refuse_repeated(targets, judged)
    return passive_stage(model, targets, judged, passive, keys, runs)


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
