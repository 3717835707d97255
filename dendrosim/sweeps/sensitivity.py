"""Sensitivity of a measure to the axes of a sweep, by SALib."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dendrosim.errors import DendrosimError
from dendrosim.sweeps.design import LEVELS, problem_of, salib_or_refuse

if TYPE_CHECKING:
    import pandas as pd

    from dendrosim.sweeps.result import Sweep


def indices(sweep: Sweep, measure: str) -> pd.DataFrame:
    """Return the indices of a measure, see `Sweep.sensitivity`."""
    import pandas as pd

    design = sweep.manifest["design"]
    if design not in ("saltelli", "morris"):
        raise DendrosimError(
            f"sensitivity needs design = 'saltelli' or 'morris', but this sweep has {design!r}"
        )
    salib = salib_or_refuse("sensitivity")
    waiting = sweep.counts["to_do"]
    if waiting:
        raise DendrosimError(f"sensitivity: {waiting} points are still to do")
    found = sweep.to_xarray()
    values = found[measure].values
    if values.ndim > 1:
        raise DendrosimError(
            f"sensitivity: {measure} has one value per {found[measure].dims[1]}, but one per point "
            "is needed"
        )
    values = values.reshape(-1, sweep.manifest["repeats"]).mean(axis=1)
    missing = int(np.sum(~np.isfinite(values)))
    if missing:
        raise DendrosimError(
            f"sensitivity: {measure} is undefined at {missing} of {len(values)} points; narrow the "
            "ranges, or take a measure such as rate that is always defined"
        )
    problem = problem_of(sweep.axes)
    seed = sweep.manifest["seed"]
    if design == "saltelli":
        result = salib.analyze.sobol.analyze(problem, values, calc_second_order=False, seed=seed)
        columns = {
            "first order": "S1",
            "+- (first)": "S1_conf",
            "total": "ST",
            "+- (total)": "ST_conf",
        }
    else:
        quantiles = np.array(sweep.quantiles())
        result = salib.analyze.morris.analyze(
            problem, quantiles, values, num_levels=LEVELS, seed=seed
        )
        columns = {
            "mean effect": "mu",
            "mean absolute effect": "mu_star",
            "standard deviation": "sigma",
        }
    table = {column: np.asarray(result[key], dtype=float) for column, key in columns.items()}
    return pd.DataFrame(table, index=pd.Index(sweep.axes, name="axis"))
