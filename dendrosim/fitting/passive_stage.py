"""The passive values of a recorded cell: fitted first, to its hyperpolarising sweeps alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from brian2 import Quantity, meter, volt

from dendrosim.errors import DendrosimError
from dendrosim.fitting import refine as least_squares
from dendrosim.fitting import report
from dendrosim.fitting.cell import hyperpolarised
from dendrosim.fitting.costs import read_cost
from dendrosim.fitting.doubts import refuse_diverged
from dendrosim.fitting.features import FEATURES
from dendrosim.fitting.free import read_free
from dendrosim.fitting.problem import Problem, values_at, with_values
from dendrosim.fitting.responses import Runs
from dendrosim.fitting.search import History, search
from dendrosim.fitting.targets import Target, recorded_stimulus
from dendrosim.model.dynamics import Dynamics
from dendrosim.model.model import Model
from dendrosim.model.quantities import UNITS, describe, with_dim
from dendrosim.simulation.value_names import full_name

#: Candidates per generation and generations of the search, before least squares.
POPULATION, GENERATIONS = 16, 20
#: A passive value without a range is searched from this part to this multiple of it.  Cells differ
#: in their leak by more than in other conductances, and the search is cheap.
WIDE = 20.0
#: A mean error of the passive stage that is larger than this (mV) is noted.
POOR = 3.0
_CAPACITANCE = (UNITS["farad"] / UNITS["meter"] ** 2).dim


@dataclass(frozen=True, eq=False)
class Stage:
    """The model and the targets with the passive values that were found.

    Attributes
    ----------
    model, targets, judged
        The targets, fitted and unseen, have the fitted values in their protocols.
    values
        One row per value, as `Fit.values`; None without a passive stage.
    notes
        Sentences on what a reader should doubt.
    """

    model: Model
    targets: list[Target]
    judged: list[Target]
    values: pd.DataFrame | None = None
    notes: tuple[str, ...] = ()


def passive_stage(
    model: Model, targets: Sequence[Target], judged: Sequence[Target], passive: Any, free: Any,
    runs: Runs,
) -> Stage:  # fmt: skip
    """Fit the passive values, with the membrane's area from the cell's capacitance as its start.

    Parameters
    ----------
    targets, judged
        Fitted and unseen targets.
    passive
        Names, or names with ranges, as of `fit`'s ``free``; empty or None for none.
    free
        Those of the fit itself, whose area starts from the capacitance as well.

    Raises
    ------
    DendrosimError
        If there is no recorded cell, or none of its fitted sweeps is hyperpolarising.
    """
    stage = _at_rest(Stage(model, list(targets), list(judged)))
    stage = _with_area(stage, [*(passive or ()), *free])
    if passive is None or (isinstance(passive, Mapping | Sequence) and not len(passive)):
        return stage
    quiet = [one for target in stage.targets for one in hyperpolarised(target)]
    if not quiet:
        raise DendrosimError(
            "passive values are fitted to sweeps below the holding current without spikes, and "
            "the fitted data have none; add such sweeps of a recorded cell, or leave passive out"
        )
    found = read_free(
        passive, stage.model, [t.protocol for t in [*quiet, *stage.judged]], "passive", WIDE
    )
    cost = read_cost("voltage", quiet, FEATURES, {})
    problem = Problem(stage.model, found, quiet, cost, runs)
    history = History(None, [one.key for one in found])
    search("cma", problem.costs, history, problem.start, population=POPULATION,
           generations=GENERATIONS, seed=0)  # fmt: skip
    x, best = history.best
    refuse_diverged(best, {0: history}, found)
    refined = least_squares.refine(problem.respond, quiet, x)
    errors = None
    if refined is not None:
        x, (errors, _) = refined.x, report.standard_errors(refined)
    notes = report.value_notes(found, x, errors)
    if errors is None:
        notes.append(
            "The passive values have no standard errors: a candidate of the least squares diverged."
        )
    left = float(problem.costs(x[None])[0])
    if left > POOR:
        notes.append(
            f"The passive values leave a mean error of {left:.2g} mV in the hyperpolarising "
            "sweeps, so that their standard errors mean nothing. Another value may shape the "
            "potential there, such as a current that is active at rest."
        )
    return replace(
        _changed(stage, values_at(found, x)), values=report.value_table(found, x, errors),
        notes=(*stage.notes, *notes),
    )  # fmt: skip


def _at_rest(stage: Stage) -> Stage:
    """Let the model begin at rest, at the resting potential of the recorded cell.

    Gates that begin elsewhere may fire the model before the step, which no cell at rest does.
    """
    target = next((t for t in stage.targets if t.clamp is not None), None)
    if target is None:
        return stage
    before = []
    for response in target.responses:
        if response.v is not None:
            before.append(response.v[response.times < response.start])
    rest = float(np.median(np.concatenate(before))) if before and before[0].size else None
    model = stage.model
    states = [v for v in model.potentials.values() if model.dims[v] is volt.dim]
    if rest is None or model.kind == "discrete":
        return stage
    initial = _gates(model, rest) | {name: with_dim(rest, volt.dim) for name in states}
    return _changed(stage, {f"initial.{name}": value for name, value in initial.items()})


def _gates(model: Model, rest: float) -> dict[str, Any]:
    """Return the steady state of a model whose soma is held at a potential; empty without one."""
    try:
        dynamics = Dynamics(model)
        state, _ = dynamics.held(rest)
    except DendrosimError:  # a grid among its values, or no steady state
        return {}
    pairs = zip(dynamics.states, state, strict=True)
    return {name: with_dim(float(value), model.dims[name]) for name, value in pairs}


def _with_area(stage: Stage, names: Sequence[str]) -> Stage:
    """Start the search of an area at the cell's capacitance by the model's specific one."""
    target = next((t for t in stage.targets if t.clamp is not None), None)
    if target is None:
        return stage
    number, own = recorded_stimulus(target.protocol)
    key = f"stimuli.{number}.area"
    if "area" not in own.values:
        return stage
    keys = [full_name(str(name), [stage.model], target.protocol, "free: ") for name in names]
    if key not in keys:
        return stage
    specific, why = specific_capacitance(stage.model), None
    if target.cell is None:
        why = "no sweep of the file has a hyperpolarising step, which gives the cell's capacitance"
    elif specific is None:
        why = f"{stage.model.name} has no single capacitance per area"
    if target.cell is None or specific is None:
        note = f"The search of area began at the protocol's {describe(own.values['area'])}: {why}."
        return replace(stage, notes=(*stage.notes, note))
    area = with_dim(target.cell.capacitance / float(specific), (meter**2).dim)
    return _changed(stage, {key: area})


def specific_capacitance(model: Model) -> Quantity | None:
    """Return the capacitance per membrane area of a model; None if it has not exactly one."""
    found = [p.value for p in model.parameters.values() if p.value.dim is _CAPACITANCE]
    return found[0] if len(found) == 1 and not found[0].ndim else None


def _changed(stage: Stage, changes: Mapping[str, Any]) -> Stage:
    """Return a stage with other values in its model and in every protocol."""

    def moved(targets: Sequence[Target]) -> list[Target]:
        _, protocols = with_values(stage.model, [t.protocol for t in targets], changes)
        return [replace(t, protocol=p) for t, p in zip(targets, protocols, strict=True)]

    model, _ = with_values(stage.model, [], changes)
    return replace(stage, model=model, targets=moved(stage.targets), judged=moved(stage.judged))
