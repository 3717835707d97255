"""The report of a posterior: tables of its samples and of their check, and notes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dendrosim.fitting.free import Free, with_unit
from dendrosim.fitting.posterior.scores import SHOWN, Scores, feature_table
from dendrosim.fitting.problem import Problem
from dendrosim.fitting.report import NEAR

Array = NDArray[np.float64]

#: A value is not determined if 90 % of its samples take more of its range; the prior takes 0.9.
UNDETERMINED = 0.75
#: A value is at a bound if this part of its samples is next to it, in `NEAR` of the range.
AT_BOUND = 0.05
#: Rank correlations above this are named.
TOGETHER = 0.9
#: The network's posterior is rough if less than this part of its samples is effective.
ROUGH = 0.1
#: A fitted value is outside the posterior if less than this part of the samples is beyond it.
BEYOND = 0.002
#: Most features that a note names.
NAMED = 4


def posterior_table(free: Sequence[Free], samples: pd.DataFrame, x: Array) -> pd.DataFrame:
    """Return one row per free value.

    Parameters
    ----------
    free
        The free values.
    samples
        In their usual units, one column each.
    x
        The same samples as positions from 0 to 1, shape (samples, free values).
    """
    low, high = np.quantile(x, [0.05, 0.95], axis=0)
    quantiles = samples.quantile([0.05, 0.5, 0.95])
    return pd.DataFrame(
        {
            "unit": [one.unit for one in free],
            "mean": samples.mean(),
            "sd": samples.std(),
            **{f"{round(100 * q)} %": quantiles.loc[q] for q in (0.05, 0.5, 0.95)},
            "part of range": high - low,
            "lowest": [one.shown(one.low) for one in free],
            "highest": [one.shown(one.high) for one in free],
        },
        index=pd.Index(samples.columns, name="name"),
    )


def correlation_of(samples: pd.DataFrame) -> pd.DataFrame:
    """Return the rank correlations (Spearman), which are the same on any scale."""
    return samples.corr(method="spearman")


def check_table(problem: Problem, scores: Scores) -> pd.DataFrame:
    """Return one row per feature: the target, and where the samples' simulations lie.

    A feature that neither the target nor most samples have is left out.
    """
    table = feature_table(problem)
    values = np.where(scores.alive[:, None], scores.values, np.nan)
    rows = []
    for row, own in zip(table.to_dict("records"), values.T, strict=True):
        own = own[np.isfinite(own)]
        has, have = np.isfinite(row["target"]), 2 * len(own) > len(values)
        if not has and not have:
            continue
        low, middle, high = np.quantile(own, [0.05, 0.5, 0.95]) if have else [np.nan] * 3
        spread = row.pop("spread")
        inside = has and have and low - spread <= row["target"] <= high + spread
        row["unit"], factor = SHOWN.get(row["unit"], (row["unit"], 1.0))
        numbers = {"target": row["target"], "5 %": low, "median": middle, "95 %": high,
                   "spread": spread}  # fmt: skip
        rows.append(row | {name: float(v) * factor for name, v in numbers.items()}
                    | {"inside": bool(inside)})  # fmt: skip
    return pd.DataFrame(rows)


def run_notes(
    problem: Problem, diverged: int, simulated: int, complete: bool, efficiency: float
) -> list[str]:
    """Return sentences on the candidates and on the network."""
    notes = []
    others = [name for name in problem.cost.weights if name != "features"]
    if others:
        notes.append(
            f"The cost of the fit has {' and '.join(others)}; the posterior is that of the "
            "features alone."
        )
    if diverged:
        notes.append(
            f"{diverged:,} of {simulated:,} simulations diverged ({diverged / simulated:.1%}). "
            "They count as far from the target in every feature."
        )
    if not complete:
        notes.append(
            "The candidates had not come close to the target when the last round ended, so the "
            "posterior may be wrong; a larger n or narrower ranges would help."
        )
    if efficiency < ROUGH:
        notes.append(
            f"The posterior is rough: weighted by their likelihood, {efficiency:.0%} of the "
            "samples are effective. A larger n or narrower ranges would help."
        )
    return notes


def sample_notes(names: Sequence[str], x: Array) -> list[str]:
    """Return a sentence for each value that the data do not determine, or that is at a bound."""
    notes = []
    low, high = np.quantile(x, [0.05, 0.95], axis=0)
    for k, name in enumerate(names):
        if high[k] - low[k] > UNDETERMINED:
            notes.append(
                f"The data do not determine {name}: 90 % of its samples take "
                f"{high[k] - low[k]:.0%} of its range."
            )
        for bound, near in (("lowest", x[:, k] < NEAR), ("highest", x[:, k] > 1 - NEAR)):
            if near.mean() > AT_BOUND:
                notes.append(
                    f"{near.mean():.0%} of the samples of {name} lie at the {bound} value of its "
                    "range; the best may lie beyond."
                )
    return notes


def fitted_notes(free: Sequence[Free], samples: pd.DataFrame, fitted: pd.Series) -> list[str]:
    """Return a sentence for each fitted value beyond nearly all samples, but for one at a bound."""
    notes = []
    for one, name, value in zip(free, samples.columns, fitted, strict=True):
        position = one.position(value / one.shown(1.0))
        if not NEAR < position < 1 - NEAR:
            continue
        for said, beyond in (("below", samples[name] <= value), ("above", samples[name] >= value)):
            if beyond.mean() < BEYOND:
                notes.append(
                    f"The fitted value of {name}, {with_unit(f'{value:.4g}', one.unit)}, is {said} "
                    f"{1 - beyond.mean():.1%} of its samples: the search may have ended early, "
                    "or the posterior is rough."
                )
    return notes


def correlation_notes(correlation: pd.DataFrame) -> list[str]:
    """Return a sentence for each pair of values that vary together."""
    return [
        f"{a} and {b} vary together (rank correlation {correlation.loc[a, b]:.2f}): the data "
        "determine a combination of them better than each."
        for a, b in combinations(correlation.columns, 2)
        if abs(correlation.loc[a, b]) > TOGETHER
    ]


def check_notes(check: pd.DataFrame) -> list[str]:
    """Return a sentence on the features of the target that no sample reaches."""
    outside = check[~check["inside"]]
    if outside.empty:
        return []
    named = [f"{row['feature']} ({row['protocol']}, stimulus {row['stimulus']})"
             for _, row in outside.head(NAMED).iterrows()]  # fmt: skip
    more = f" and {len(outside) - NAMED} more" if len(outside) > NAMED else ""
    return [
        f"{len(outside)} of {len(check)} features of the target lie outside what the samples give: "
        f"{', '.join(named)}{more}. Either the model cannot give them together with the others, or "
        "they are noise of a recording; the posterior depends on their spreads."
    ]
