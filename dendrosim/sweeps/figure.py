"""The figure of a sweep: a measure over one axis or two."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from dendrosim.figures.style import STYLE, pretty, save_figure
from dendrosim.sweeps.units import in_usual_unit

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
    array = _averaged(axes, found[measure], (x, y))
    for name in (x, y):
        if name is not None and found[name].dtype.kind in "fiu":
            array = array.sortby(name)
    across, name_x = _scaled(array, x)
    if y is None:
        values, label = _shown(array.values, found[measure])
        axes.plot(across, values, marker=".")
        axes.set(xlabel=name_x, ylabel=label)
        _scale(axes.set_xscale, across)
        return
    up, name_y = _scaled(array, y)
    values, label = _shown(array.transpose(y, x).values, found[measure])
    axes.set_facecolor("0.85")  # where the measure is undefined
    drawn = axes.pcolormesh(across, up, values, shading="nearest")
    axes.figure.colorbar(drawn, ax=axes, label=label)
    axes.set(xlabel=name_x, ylabel=name_y)
    _scale(axes.set_xscale, across)
    _scale(axes.set_yscale, up)


def _of_points(axes: Any, found: Any, x: str, y: str | None, measure: str) -> None:
    array = found[measure]
    if x in array.dims or y in array.dims:  # the protocol's own grid: one curve for each point
        curve = array.transpose(..., x) if y is None else array
        across, name_x = _scaled(found, x)
        values, label = _shown(curve.values, array)
        axes.plot(across, values.T, color="0.4", lw=0.6, alpha=0.6)
        axes.set(xlabel=name_x, ylabel=label)
        return
    values, label = _shown(_averaged(axes, array, ("point",)).values, array)
    across, name_x = _scaled(found, x)
    if y is None:
        axes.plot(across, values, ".", markersize=3)
        axes.set(xlabel=name_x, ylabel=label)
        return
    up, name_y = _scaled(found, y)
    known = np.isfinite(values)
    axes.plot(across[~known], up[~known], "x", color="0.75", markersize=3, zorder=0)
    drawn = axes.scatter(across[known], up[known], c=values[known], s=8)
    axes.figure.colorbar(drawn, ax=axes, label=label)
    axes.set(xlabel=name_x, ylabel=name_y)


def _averaged(axes: Any, array: Any, kept: tuple[str | None, ...]) -> Any:
    """Return the mean over all other dimensions, and say so above the panel."""
    others = [str(name) for name in array.dims if name not in kept]
    if not others:
        return array
    axes.set_title(f"mean over {', '.join(others)}")
    with warnings.catch_warnings():  # of nan alone, the mean is nan
        warnings.simplefilter("ignore", RuntimeWarning)
        return array.mean(others, skipna=True, keep_attrs=True)


def _scale(set_scale: Any, values: np.ndarray) -> None:
    """Draw values that are evenly spaced in their logarithm on a logarithmic scale."""
    if values.dtype.kind != "f" or len(values) < 4 or not (values > 0).all():
        return
    ratios = values[1:] / values[:-1]
    if np.allclose(ratios, ratios[0], rtol=1e-6) and abs(ratios[0] - 1) > 1e-3:
        set_scale("log")


def _scaled(found: Any, name: str) -> tuple[np.ndarray, str]:
    """Return the values of an axis in their usual unit, and the label."""
    array = found[name]
    return (array.values, name) if array.dtype.kind not in "fiu" else _shown(array.values, array)


def _shown(values: np.ndarray, array: Any) -> tuple[np.ndarray, str]:
    """Return values in the usual unit, and name and unit."""
    unit = array.attrs.get("units", "1")
    if unit in ("", "1"):
        return values, str(array.name)
    values, usual = in_usual_unit(values, unit)
    return values, f"{array.name} ({pretty(usual)})"
