"""Features of candidates, and their differences from the target in spreads."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dendrosim.fitting.features import differences, vector
from dendrosim.fitting.problem import Problem
from dendrosim.sweeps.packing import ROOM

Array = NDArray[np.float64]

#: Units of features as they are shown, and their size.
SHOWN = {"second": ("ms", 1e3), "volt": ("mV", 1e3)}


class Scores(NamedTuple):
    """Features of candidates.

    Attributes
    ----------
    values
        In SI units, shape (candidates, features): each protocol, stimulus and feature.  An
        undefined feature is nan, and so are all of a candidate that diverged.
    z
        Candidate minus target in spreads, same shape (see `differences`); nan if it diverged.
    """

    values: Array
    z: Array

    @property
    def alive(self) -> NDArray[np.bool_]:
        """Which candidates did not diverge, shape (candidates,)."""
        return np.asarray(np.isfinite(self.z).all(axis=1))

    @property
    def misfit(self) -> Array:
        """Half the sum of squares of `z`: minus the log likelihood; infinite if it diverged."""
        return np.where(self.alive, 0.5 * np.sum(np.nan_to_num(self.z) ** 2, axis=1), np.inf)


def score(problem: Problem, x: Array, tell: Callable[[float], None] | None = None) -> Scores:
    """Run candidates and return their features.

    Parameters
    ----------
    problem
        The problem of the fit.
    x
        Positions from 0 to 1, shape (candidates, free values).
    tell
        Called with the finished fraction.
    """
    known = problem.cost.known
    width = sum(one.vectors.size for one in known)
    values, z = np.full((len(x), width), np.nan), np.full((len(x), width), np.nan)
    # potentials of all candidates at once would need gigabytes: features are kept, not responses
    most = max(1, ROOM // max(target.protocol.size for target in problem.targets))
    for first in range(0, len(x), most):
        for k, own in enumerate(problem.respond(x[first : first + most]), start=first):
            if any(responses is None for responses in own):
                continue
            rows = [
                (vector(response, one.features), wanted, spread)
                for responses, one in zip(own, known, strict=True)
                for response, wanted, spread in zip(
                    responses, one.vectors, one.spreads, strict=True
                )
            ]
            values[k] = np.concatenate([found for found, _, _ in rows])
            z[k] = np.concatenate([differences(*row) for row in rows])
        if tell is not None:
            tell(min(1.0, (first + most) / len(x)))
    return Scores(values, z)


def feature_table(problem: Problem) -> pd.DataFrame:
    """Return one row per column of `Scores`: protocol, stimulus, feature, unit, target, spread.

    Target and spread are in SI units.
    """
    rows = [
        {"protocol": target.name, "stimulus": k, "feature": name, "unit": feature.unit,
         "target": wanted, "spread": spread}
        for target, known in zip(problem.targets, problem.cost.known, strict=True)
        for k, (vectors, spreads) in enumerate(zip(known.vectors, known.spreads, strict=True))
        for (name, feature), wanted, spread in zip(
            known.features.items(), vectors, spreads, strict=True
        )
    ]  # fmt: skip
    return pd.DataFrame(rows)
