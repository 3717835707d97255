"""From the searches of a fit to its result: least squares, errors, tables and doubts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dendrosim.fitting import doubts, report
from dendrosim.fitting import refine as least_squares
from dendrosim.fitting.cell import cell_notes, cell_table
from dendrosim.fitting.features import Response
from dendrosim.fitting.free import Free, with_unit
from dendrosim.fitting.passive_stage import Stage
from dendrosim.fitting.problem import Problem
from dendrosim.fitting.result import Fit
from dendrosim.fitting.search import History
from dendrosim.fitting.targets import Target

Array = NDArray[np.float64]
#: Least squares may make the cost worse by this part, and by this: noise of a recording changes
#: features such as peaks, but hardly the values with the least squares.
WORSE_PART, WORSE = 0.25, 0.1
#: A condition number above this is doubtful: the data hardly determine a combination of values.
DOUBTFUL = 1e3


def conclude(
    problem: Problem, histories: Mapping[int, History], stage: Stage, refine: bool,
    meta: Mapping[str, Any],
) -> Fit:  # fmt: skip
    """Return the result of a fit from the histories of its searches."""
    bests = {seed: history.best for seed, history in histories.items()}
    x, cost = min(bests.values(), key=lambda best: best[1])
    doubts.refuse_diverged(cost, histories, problem.free)
    notes: list[str] = []
    searched = x
    x, cost, refined, errors_note = _refined(problem, x, cost, refine)
    errors, condition = None, np.nan
    if refined is not None:
        errors, condition = report.standard_errors(refined)
        silent = doubts.without_effect(refined.jacobian)
        errors = np.where(silent, np.nan, errors)
        notes += doubts.effect_notes(problem.free, silent)
        if condition > DOUBTFUL:
            notes.append(report.apart_note(refined, problem.free, condition))
    notes += report.value_notes(problem.free, x, errors) + _doubts(problem, bests)
    if x is searched:  # otherwise the potential has decided
        notes += doubts.plateau_notes(problem, x, cost, histories)
    notes += doubts.cost_notes(cost, problem.cost)
    roles = [("fit", problem.targets), ("unseen", stage.judged)]
    shown: list[tuple[str, Target, list[Response] | None]] = []
    for role, targets in roles:
        if targets:
            shown += [(role, t, r) for t, r in
                      zip(targets, problem.respond(x[None], targets)[0], strict=True)]  # fmt: skip
    notes += doubts.spike_notes(shown) + doubts.sample_notes(problem.targets)
    notes += doubts.criterion_notes(problem.targets)
    model, protocols = problem.fitted(x)
    own = [replace(t, protocol=p) for t, p in zip(problem.targets, protocols, strict=True)]
    cell = cell_table(model, own, problem.runs)
    notes += [*stage.notes, *cell_notes(problem.targets, cell)]
    return Fit(
        model, report.value_table(problem.free, x, errors),
        report.protocol_table(shown, problem.cost), _history(histories),
        _optima(problem.free, bests), cost, float(condition), tuple(notes), meta,
        tuple(protocols), stage.values, cell, errors_note, tuple(shown), problem,
    )  # fmt: skip


def _refined(
    problem: Problem, x: Array, cost: float, refine: bool
) -> tuple[Array, float, least_squares.Refined | None, str]:
    """Return position and cost after least squares, if they are no worse.

    The last two are what the standard errors are computed from, None for no errors, and a sentence
    on them: "" if they belong to the refined values.
    """
    none = "There are no standard errors"
    if not refine:
        return (
            x,
            cost,
            None,
            f"{none}: they come from least squares, which refine = False left out.",
        )
    if not least_squares.can_refine(problem.targets):
        return x, cost, None, (
            f"{none}: they come from least squares on the potential, and the target has no "
            "potential in volt."
        )  # fmt: skip
    at_best = least_squares.residual(problem.respond(x[None])[0], problem.targets)
    before = np.inf if at_best is None else float(np.sqrt(np.mean(at_best**2)))
    refined = least_squares.refine(problem.respond, problem.targets, x)
    if refined is None:
        return x, cost, None, (
            f"{none}: least squares on the potential were not possible, because a candidate "
            "diverged. The values are those of the search."
        )  # fmt: skip
    after = float(problem.costs(refined.x[None])[0])
    if after <= (1 + WORSE_PART) * cost + WORSE and refined.rms <= before:
        return refined.x, after, refined, ""
    if refined.rms <= before:
        why = f"the cost worse ({cost:.4g} to {after:.4g})"
    else:
        why = (
            f"the error of the potential larger ({before * 1e3:.3g} to {refined.rms * 1e3:.3g} mV)"
        )
    searched = least_squares.linearised_at(problem.respond, problem.targets, x)
    said = f"Least squares on the potential would make {why}, so the values are those of the search"
    if searched is None:
        return x, cost, None, f"{none}. {said}, and a candidate beside them diverged."
    return x, cost, searched, (
        f"{said}. The standard errors belong to these values as well. They are rough, because the "
        "potential would fit better elsewhere."
        if refined.rms <= before
        else f"{said}. The standard errors belong to these values as well, and are rough."
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
                f"Seeds with equal costs disagree on {one.name}: {with_unit(values, one.unit)}. "
                "The data do not determine it."
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
            (one.name if one.unit == "1" else f"{one.name} ({one.unit})"): one.shown(
                float(one.value(x[k]))
            )
            for k, one in enumerate(free)
        }
        rows.append({"seed": seed, "cost": cost, **values})
    return pd.DataFrame(rows)
