"""The figure of a sweep: a measure over one axis or two."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from dendrosim.figures.style import STYLE, pretty, save_figure
from dendrosim.model.quantities import display_unit, parse_unit

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dendrosim.sweeps.result import Sweep


def sweep_figure(
    sweep: Sweep, x: str, y: str | None, measure: str, path: str | os.PathLike | None
) -> Figure:
    """Return the figure of `Sweep.plot`."""
    import matplotlib
    from matplotlib.figure import Figure

    found = sweep.to_xarray()
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.0, 3.8), layout="constrained")
        axes = figure.subplots()
        draw = _of_grid if sweep.manifest["design"] == "grid" else _of_points
        draw(axes, found, x, y, measure)
    if path is not None:
        save_figure(figure, path)
    return figure


def _of_grid(axes: Any, found: Any, x: str, y: str | None, measure: str) -> None:
    array = found[measure]
    others = [name for name in array.dims if name not in (x, y)]
    with np.errstate(all="ignore"):
        array = array.mean(others, skipna=True) if others else array
    across, name_x = _scaled(found, x)
    if y is None:
        values, unit = _shown(array.values, found[measure])
        axes.plot(across, values, marker=".")
        axes.set(xlabel=name_x, ylabel=unit)
        return
    up, name_y = _scaled(found, y)
    values, unit = _shown(array.transpose(y, x).values, found[measure])
    drawn = axes.pcolormesh(across, up, values, shading="nearest")
    axes.figure.colorbar(drawn, ax=axes, label=unit)
    axes.set(xlabel=name_x, ylabel=name_y)


def _of_points(axes: Any, found: Any, x: str, y: str | None, measure: str) -> None:
    array = found[measure]
    others = [name for name in array.dims if name != "point"]
    values, unit = _shown((array.mean(others) if others else array).values, array)
    across, name_x = _scaled(found, x)
    if y is None:
        axes.plot(across, values, ".", markersize=3)
        axes.set(xlabel=name_x, ylabel=unit)
        return
    up, name_y = _scaled(found, y)
    known = np.isfinite(values)
    axes.plot(across[~known], up[~known], "x", color="0.75", markersize=3, zorder=0)
    drawn = axes.scatter(across[known], up[known], c=values[known], s=8)
    axes.figure.colorbar(drawn, ax=axes, label=unit)
    axes.set(xlabel=name_x, ylabel=name_y)


def _scaled(found: Any, name: str) -> tuple[np.ndarray, str]:
    """Return the values of an axis in their usual unit, and the label."""
    array = found[name]
    if array.dtype.kind not in "fiu":
        return array.values, name
    return _shown(array.values, array)


def _shown(values: np.ndarray, array: Any) -> tuple[np.ndarray, str]:
    unit = array.attrs.get("units", "1")
    label = str(array.name)
    if unit in ("", "1"):
        return values, label
    usual = display_unit(parse_unit(unit).dim) if "(" not in unit else unit
    scale = float(parse_unit(unit)) / float(parse_unit(usual)) if usual != unit else 1.0
    return values * scale, f"{label} ({pretty(usual)})"
