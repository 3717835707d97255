"""Whether the axes of a sweep have an effect on its measures, and whether it has results."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dendrosim.errors import DendrosimError

if TYPE_CHECKING:
    import xarray as xr

    from dendrosim.sweeps.result import Sweep


def without_effect(sweep: Sweep) -> list[str]:
    """Return the axes of a finished grid along which no measure changes."""
    if sweep.manifest["design"] != "grid" or sweep.counts["to_do"]:
        return []
    found = sweep.to_xarray()
    return [
        name
        for name in sweep.axes
        if found.sizes[name] > 1 and all(_is_equal(found[m], name) for m in sweep.measures)
    ]


def _is_equal(values: xr.DataArray, name: str) -> bool:
    """Whether values are the same along a dimension; nan is the same as nan."""
    first = values.isel({name: slice(0, 1)}).values
    every = values.values
    return bool(np.all((every == first) | (np.isnan(every) & np.isnan(first))))


def refuse_without_results(sweep: Sweep) -> None:
    """Refuse a finished sweep of which no point has a result.

    Raises
    ------
    DendrosimError
    """
    counts = sweep.counts
    if not counts["done"] and not counts["to_do"]:
        raise DendrosimError(
            f"none of the {sum(counts.values()):,} points has a result: {counts['diverged']:,} "
            f"diverged and {counts['failed']:,} failed; another range or a smaller dt would help"
        )
