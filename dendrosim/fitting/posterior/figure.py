"""The figure of a posterior: histograms of each value, and of each pair below."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dendrosim.figures.style import COLOURS, GREY, STYLE, literal, plain_ticks, pretty

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dendrosim.fitting.posterior.result import Posterior

BINS = 30
#: Size of a panel in inches, and of the largest figure.
PANEL, LARGEST = 1.75, 14.0
#: Quantiles of the samples that are shown, and the room beside them.
SHOWN, BESIDE = (0.005, 0.995), 0.08
#: A range above 0 has a logarithmic axis if the samples differ by this factor.
WIDE = 5.0


def posterior_figure(posterior: Posterior) -> Figure:
    """Return the figure of a posterior."""
    import matplotlib
    from matplotlib.figure import Figure

    names = list(posterior.samples.columns)
    size = min(PANEL * len(names) + 0.8, LARGEST)
    with matplotlib.rc_context(STYLE):
        width = size if len(names) > 1 else 2 * size
        figure = Figure(figsize=(width, size), layout="constrained")
        panels = np.atleast_2d(figure.subplots(len(names), len(names), sharex="col"))
        edges = [_edges(posterior, k) for k in range(len(names))]
        for row in range(len(names)):
            for column in range(len(names)):
                panel = panels[row, column]
                if column > row:
                    panel.set_axis_off()
                    continue
                if column == row:
                    _one(panel, posterior, row, edges[row])
                else:
                    _pair(panel, posterior, column, row, edges)
                if row == len(names) - 1:
                    panel.set_xlabel(_label(posterior, column))
                    panel.tick_params(axis="x", labelrotation=45)
                if column == 0 and row > 0:
                    panel.set_ylabel(_label(posterior, row))
                elif column < row:
                    panel.tick_params(labelleft=False)
        figure.align_labels()
        _legend(figure, panels)
    return figure


def _edges(posterior: Posterior, k: int) -> tuple[np.ndarray, bool]:
    """Return the bins of a value, and whether their axis is logarithmic."""
    row = posterior.table.iloc[k]
    low, high = np.quantile(posterior.samples.iloc[:, k], SHOWN)
    fitted = float(posterior._fitted.iloc[k])
    low, high = min(low, fitted), max(high, fitted)
    log = posterior._log[k] and high > WIDE * low
    scale, back = (np.log, np.exp) if log else (lambda v: v, lambda v: v)
    low, high, lowest, highest = (scale(v) for v in (low, high, row["lowest"], row["highest"]))
    room = BESIDE * (high - low)
    bounds = max(low - room, lowest), min(high + room, highest)
    return back(np.linspace(*bounds, BINS + 1)), log


def _one(panel: Any, posterior: Posterior, k: int, edges: tuple[np.ndarray, bool]) -> None:
    bins, log = edges
    panel.hist(posterior.samples.iloc[:, k], bins=bins, color=COLOURS[0], alpha=0.8,
               label="samples")  # fmt: skip
    for q in ("5 %", "95 %"):
        panel.axvline(posterior.table.iloc[k][q], color=GREY, lw=0.8, ls=":",
                      label="5 and 95 %" if q == "5 %" else None)  # fmt: skip
    panel.axvline(posterior._fitted.iloc[k], color=COLOURS[1], lw=1.2, label="fitted")
    panel.set_title(f"{posterior.table.iloc[k]['part of range']:.0%} of range")
    panel.set_yticks([])
    panel.spines["left"].set_visible(False)
    _scaled(panel, "x", bins, log)


def _pair(
    panel: Any, posterior: Posterior, column: int, row: int, edges: list[tuple[np.ndarray, bool]]
) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    shades = LinearSegmentedColormap.from_list("samples", ["white", COLOURS[0], "#001c30"])
    across, up = posterior.samples.iloc[:, column], posterior.samples.iloc[:, row]
    panel.hist2d(across, up, bins=[edges[column][0], edges[row][0]], cmap=shades)
    panel.plot(posterior._fitted.iloc[column], posterior._fitted.iloc[row], "+", color=COLOURS[1],
               ms=9, mew=1.6)  # fmt: skip
    _scaled(panel, "x", *edges[column])
    _scaled(panel, "y", *edges[row])


def _legend(figure: Figure, panels: np.ndarray) -> None:
    """Put the legend where no panel is: above the diagonal, or beside a single panel."""
    handles, names = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside right upper" if len(panels) == 1 else "upper right")


def _scaled(panel: Any, axis: str, bins: np.ndarray, log: bool) -> None:
    plain_ticks(panel, axis, bins[0], bins[-1], log=log)
    panel.set(**{f"{axis}lim": (bins[0], bins[-1])})


def _label(posterior: Posterior, k: int) -> str:
    unit = pretty(posterior.table.iloc[k]["unit"])
    name = literal(str(posterior.samples.columns[k]))
    return f"{name} ({literal(unit)})" if unit else name
