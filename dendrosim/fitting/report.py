"""The report of a fit: values with their errors, and how good it is on each protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dendrosim.comparison.protocol_measures import mean_where_defined
from dendrosim.fitting.costs import Cost, gamma, potential_error
from dendrosim.fitting.features import (
    Feature,
    Response,
    distance,
    spreads,
    vector,
)
from dendrosim.fitting.free import Free, labels, with_unit
from dendrosim.fitting.refine import Refined
from dendrosim.fitting.targets import Target

Array = NDArray[np.float64]
#: A value within this part of its range from a bound is called near it.
NEAR = 0.01
#: A value whose standard error is above this part of its range is not identified.
LOOSE = 0.25
#: Two optima are different if a value differs by more than this part of its range.
APART = 0.05
#: A combination of values is shown as a change of the first by this part of its range, and without
#: values that have less than this share in it.
SHOWN_CHANGE, SHARE, MILLION = 0.1, 0.2, 1e6


def value_table(free: Sequence[Free], x: Array, errors: Array | None) -> pd.DataFrame:
    """Return one row per free value: unit, value, standard error, range and start."""
    rows = []
    for k, one in enumerate(free):
        value = float(one.value(x[k]))
        error = np.nan if errors is None else one.shown(abs(one.slope(x[k])) * errors[k])
        rows.append({
            "unit": one.unit, "value": one.shown(value), "standard error": error,
            "lowest": one.shown(one.low), "highest": one.shown(one.high),
            "start": one.shown(one.start),
        })  # fmt: skip
    return pd.DataFrame(rows, index=pd.Index(labels(free), name="name"))


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table as plain values for JSON; a missing value is None."""
    return table.astype(object).where(table.notna(), None).to_dict("records")


def standard_errors(refined: Refined) -> tuple[Array, float]:
    """Return standard errors of the positions, and the condition number of the Jacobian.

    Residuals of neighbouring samples depend on each other.  The effective number of samples is
    estimated from the correlation of neighbours, as for an autoregressive process of first order.
    """
    own = refined.residual
    n, p = refined.jacobian.shape
    power = float(own @ own)
    if power > 0:
        neighbours = float(own[1:] @ own[:-1]) / power
        n_effective = max(n * (1 - neighbours) / (1 + neighbours), p + 1) if neighbours > 0 else n
    else:
        n_effective = n
    variance = power / n * n_effective / max(n_effective - p, 1)
    _, singular, directions = np.linalg.svd(refined.jacobian, full_matrices=False)
    condition = float(singular[0] / singular[-1]) if singular[-1] > 0 else np.inf
    # a pseudo-inverse would leave out a direction that the data do not determine at all, and the
    # errors of its values would be small
    least = max(float(singular[0]) * np.finfo(float).eps, 1e-150)
    parts = directions / np.maximum(singular, least)[:, None]
    return np.sqrt(variance * (n / n_effective) * np.sum(parts**2, axis=0)), condition


def apart_note(refined: Refined, free: Sequence[Free], condition: float) -> str:
    """Return a sentence on the combination of values that the data do not tell apart.

    The combination is the direction in which the potential changes least.  The sentence shows it as
    a change of the values, the first by `SHOWN_CHANGE` of its range.
    """
    direction = np.linalg.svd(refined.jacobian)[2][-1]
    order = [k for k in np.argsort(-np.abs(direction)) if abs(direction[k]) > SHARE]
    first = order[0]
    # towards the middle of the range, so that the example stays inside
    sign = np.sign(direction[first]) * (1 if refined.x[first] <= 0.5 else -1)
    there = refined.x + SHOWN_CHANGE * sign * direction / abs(direction[first])
    names, moves = labels(free), []
    for k in order:
        one = free[k]
        old, new = (one.shown(float(one.value(x[k]))) for x in (refined.x, there))
        moves.append(f"{names[k]} from {old:.4g} to {with_unit(f'{new:.4g}', one.unit)}")
    listed = [names[k] for k in order]
    head = (
        f"The data hardly determine {listed[0]}"
        if len(listed) == 1
        else f"The data hardly tell {_and(listed)} apart"
    )
    times = f"{condition:,.0f}" if condition < MILLION else "more than a million"
    less = (
        f"changes the potential {times} times less than the combination of values on which it "
        "depends most (this ratio is the condition number)"
        if np.isfinite(condition)
        else "does not change the potential at all"
    )
    together = " together" if len(listed) > 1 else ""
    return f"{head}: moving {_and(moves)}{together} {less}."


def _and(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def protocol_table(
    roles: Sequence[tuple[str, Target, Sequence[Response] | None]], cost: Cost
) -> pd.DataFrame:
    """Return one row per protocol: spikes, coincidence factor, errors of potential and features.

    The ceiling of the coincidence factor is that between sweeps of a recorded cell with equal
    commands; nan without such sweeps.  The error of the features is in spreads, see `distance`:
    those of the fit, also where another cost was searched.
    """
    rows = []
    for role, target, responses in roles:
        row: dict[str, object] = {"protocol": target.name, "role": role}
        if responses is None:
            rows.append(row | {"diverged": True})
            continue
        pairs = list(zip(responses, target.responses, strict=True))
        gammas = np.array([gamma(r, t) for r, t in pairs])
        errors = np.array([potential_error(r, t) for r, t in pairs])
        row |= {
            "spikes, target": sum(len(t.inside) for _, t in pairs),
            "spikes, fit": sum(len(r.inside) for r, _ in pairs),
            "coincidence factor": mean_where_defined(gammas),
            "ceiling": _ceiling(target),
            "rms voltage error (mV)": float(np.sqrt(mean_where_defined(errors**2))) * 1e3,
            "features (spreads)": _feature_error(pairs, cost.features, cost.spread),
        }
        rows.append(row)
    table = pd.DataFrame(rows)
    if "ceiling" in table and table["ceiling"].isna().all():
        return table.drop(columns="ceiling")
    return table


def _feature_error(
    pairs: Sequence[tuple[Response, Response]], features: Mapping[str, Feature],
    spread: Mapping[str, float],
) -> float:  # fmt: skip
    found = []
    for response, target in pairs:
        wanted = vector(target, features)
        found.append(
            distance(vector(response, features), wanted, spreads(wanted, features, spread))
        )
    return float(np.sqrt(np.mean(np.square(found))))


def _ceiling(target: Target) -> float:
    """Return the mean coincidence factor between sweeps of equal commands; nan without any."""
    if target.clamp is None:
        return np.nan
    command = target.clamp.between(*target.protocol.window)
    found = [
        gamma(target.responses[a], target.responses[b])
        for a, b in combinations(range(command.shape[1]), 2)
        if np.array_equal(command[:, a], command[:, b])
    ]
    return mean_where_defined(np.array(found)) if found else np.nan


def value_notes(free: Sequence[Free], x: Array, errors: Array | None) -> list[str]:
    """Return sentences on values that began outside, at a bound, or that are not determined."""
    notes = []
    for k, one in enumerate(free):
        if not one.low <= one.own <= one.high:
            notes.append(
                f"{one.name}: the model's {one.shown(one.own):.4g} lies outside the range, so the "
                f"search began at {with_unit(f'{one.shown(one.start):.4g}', one.unit)}."
            )
        for bound, near in (("lowest", x[k] <= NEAR), ("highest", x[k] >= 1 - NEAR)):
            if near:
                notes.append(
                    f"{one.name} ended at the {bound} value of its range; the best may lie beyond."
                )
        if errors is not None and errors[k] > LOOSE:
            notes.append(
                f"{one.name} is not determined by these data: its standard error is "
                f"{min(errors[k], 99):.0%} of its range."
            )
    return notes
