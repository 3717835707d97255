"""Figures of analyses: maps of parameters, gradient retention, loss landscapes, energy.

They are drawn from plain values; for figures of runs see `dendrosim.figures.traces`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dendrosim.figures.style import COLOURS, GREY, STYLE, look

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from dendrosim.energy.conventions import Count

Array = np.ndarray

#: Smaller factors, and 0, are drawn at this value.
FLOOR = 1e-30


@dataclass(frozen=True)
class Mark:
    """A point on a map: start and end of a training, and its result.

    Attributes
    ----------
    start, end
        Values of the two parameters; `end` may be None.
    text
        Text next to it, such as an accuracy.
    """

    start: tuple[float, float]
    end: tuple[float, float] | None = None
    text: str = ""


def map_figure(
    x: Array, y: Array, panels: Mapping[str, Array], names: tuple[str, str],
    marks: Mapping[str, Sequence[Mark]] | None = None, title: str = "", note: str = "",
) -> Figure:  # fmt: skip
    """Draw maps over two parameters, with a contour line at 1.

    Parameters
    ----------
    x, y
        Values of the parameters.
    panels
        Heading to values of shape (len(y), len(x)).
    names
        Names of the parameters.
    marks
        Heading to points that are drawn on that map.
    title, note
        Title and small print at the top.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(3.5 * len(panels) + 0.9, 4.0), dpi=100)
        axes = figure.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0]
        low = min(float(values.min()) for values in panels.values())
        high = max(float(values.max()) for values in panels.values())
        norm = TwoSlopeNorm(1.0, min(low, 0.9), max(high, 1.1))
        levels = np.linspace(low, high, 25)
        for panel, (heading, values) in zip(axes, panels.items(), strict=True):
            values = np.round(values, 9)  # rounding avoids spurious contours where all values are 1
            filled = panel.contourf(x, y, values, levels, cmap="RdBu_r", norm=norm)
            if values.min() < 1 < values.max():
                panel.contour(x, y, values, [1.0], colors="#E6B800", linewidths=1.8)
            panel.axhline(0, color="white", lw=0.6)
            panel.axvline(0, color="white", lw=0.6)
            _marks(panel, (marks or {}).get(heading, ()))
            panel.set_title(heading)
            panel.set_xlabel(_symbol(names[0]))
            panel.set_aspect("equal")
        axes[0].set_ylabel(_symbol(names[1]))
        figure.subplots_adjust(left=0.08, right=0.9, bottom=0.13, top=0.77, wspace=0.12)
        bar = figure.colorbar(filled, cax=figure.add_axes((0.92, 0.18, 0.014, 0.57)))
        bar.set_ticks(MaxNLocator(6).tick_values(low, high)[1:-1])
        bar.ax.axhline(1.0, color="#E6B800", lw=1.8)
        head(figure, title, note)
        return figure


def _marks(panel: Axes, marks: Sequence[Mark]) -> None:
    for mark in marks:
        panel.plot(*mark.start, "o", ms=6, mfc="white", mec="black", mew=1.0, zorder=3)
        if mark.end is not None:
            panel.plot(*zip(mark.start, mark.end, strict=True), color="black", lw=1.0, zorder=4)
            panel.plot(*mark.end, "o", ms=3.5, color="black", zorder=4)
        if mark.text:
            panel.annotate(mark.text, mark.start, (5, 4), textcoords="offset points", size=8)


def curves_figure(
    curves: Mapping[str, tuple[ArrayLike, ArrayLike]], *, title: str, x: str, y: str,
    log: bool = False, line: float | None = None, note: str = "", markers: bool = True,
) -> Figure:  # fmt: skip
    """Draw lines.

    Parameters
    ----------
    curves
        Name to x and y.
    title, x, y
        Headings.
    log
        Whether y is shown as its decimal logarithm; values below `FLOOR` are not drawn.
    line
        Height of a grey reference line.
    note
        Small print under the title.
    markers
        Whether to draw markers at the points.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 4.2), dpi=100)
        axes = figure.add_axes((0.12, 0.13, 0.84, 0.62))
        draw_curves(axes, curves, log=log, line=line, markers=markers)
        if len(curves) > 1:  # above the axes, where it hides no line
            wide = sum(map(len, curves)) > 45
            axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2 if wide else len(curves))
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        head(figure, title, note)
        return figure


def draw_curves(
    axes: Axes, curves: Mapping[str, tuple[ArrayLike, ArrayLike]], log: bool = False,
    line: float | None = None, markers: bool = True,
) -> None:  # fmt: skip
    """Draw lines on axes; the caller adds the legend."""
    for k, (name, (at, given)) in enumerate(curves.items()):
        values = np.asarray(given, dtype=float)
        if log:
            kept = values > FLOOR
            values = np.log10(np.where(kept, values, np.nan), where=kept, out=np.full(
                values.shape, np.nan))  # fmt: skip
        style = look(k) if markers else {"color": look(k)["color"]}
        axes.plot(at, values, label=name, **style)
    if line is not None:
        axes.axhline(line, color=GREY, lw=0.8, ls="--", zorder=0)


def landscape_figure(landscapes: Mapping[str, Any], title: str = "", note: str = "") -> Figure:
    """Draw loss landscapes side by side: surface above contours, or one line each.

    Parameters
    ----------
    landscapes
        Name to `Landscape`, all with the same number of dimensions.
    title, note
        Title and small print at the top.
    """
    with matplotlib.rc_context(STYLE):
        if next(iter(landscapes.values())).losses.ndim == 1:
            lines = {name: (found.steps, found.losses) for name, found in landscapes.items()}
            return curves_figure(
                lines, title=title, x="along a random direction (lengths of the weights)", y="loss",
                note=note,
            )  # fmt: skip
        n = len(landscapes)
        figure = Figure(figsize=(4.0 * n, 6.8), dpi=100)
        for k, (name, found) in enumerate(landscapes.items()):
            along, up = np.meshgrid(found.steps, found.steps)
            surface = figure.add_subplot(2, n, k + 1, projection="3d")
            surface.plot_surface(along, up, found.losses, cmap="viridis", rcount=60, ccount=60,
                                 linewidth=0.2, edgecolor="white")  # fmt: skip
            surface.set_title(f"{name}\nroughness {found.roughness:.4f}", color=look(k)["color"])
            surface.tick_params(labelsize=7, pad=-1)
            surface.set_xlabel("direction 1", size=8, labelpad=-4)
            surface.set_ylabel("direction 2", size=8, labelpad=-4)
            surface.set_zlabel("loss", size=8, labelpad=-4)
            contour = figure.add_subplot(2, n, n + k + 1)
            drawn = contour.contour(along, up, found.losses, 14, cmap="viridis", linewidths=0.9)
            contour.clabel(drawn, list(drawn.levels)[::3], fontsize=7, fmt="%.3g")
            contour.plot(0, 0, "+", color="#D55E00", ms=9, mew=1.6)
            contour.set_aspect("equal")
            contour.set_xlabel("direction 1")
            contour.set_ylabel("direction 2" if k == 0 else "")
        figure.subplots_adjust(
            left=0.09, right=0.96, bottom=0.07, top=0.84, hspace=0.12, wspace=0.22
        )
        head(figure, title, note)
        return figure


def energy_figure(
    counts: Mapping[str, Count], title: str = "", note: str = "",
    printed: Mapping[str, float] | None = None,
) -> Figure:  # fmt: skip
    """Draw the energy per step: accumulates below, multiply-and-accumulates above.

    Parameters
    ----------
    counts
        Name to the counted operations.
    title, note
        Title and small print at the top.
    printed
        Name to the nanojoules printed in a paper, drawn next to the counted ones.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(max(4.5, 1.15 * len(counts) + 1.2), 4.0), dpi=100)
        axes = figure.add_axes((0.14, 0.2, 0.82, 0.6))
        draw_energy(axes, counts, printed)
        head(figure, title, note)
        return figure


def draw_energy(
    axes: Axes, counts: Mapping[str, Count], printed: Mapping[str, float] | None = None
) -> None:
    """Draw `energy_figure` on axes: bars, or points if the totals differ more than tenfold."""
    totals = [count.nanojoules() for count in counts.values()]
    spread = max(totals) > 10 * max(min(totals), 1e-12)
    (_points if spread else _bars)(axes, counts.values())
    for k, total in enumerate(totals):
        axes.annotate(_joules(total), (k, total), (0, 5), textcoords="offset points", ha="center",
                      size=8.5)  # fmt: skip
    told = {k: (printed or {}).get(name) for k, name in enumerate(counts)}
    for k, value in told.items():
        if value is not None:
            axes.plot([k - 0.36, k + 0.36], [value, value], color=COLOURS[1], lw=1.6)
            axes.annotate(f"printed {value:,g}", (k, value), (0, -12), ha="center",
                          textcoords="offset points", size=8, color=COLOURS[1])  # fmt: skip
    axes.set_xticks(range(len(counts)), [name.replace(" ", "\n", 1) for name in counts])
    axes.set_xlim(-0.6, len(counts) - 0.4)
    axes.tick_params(axis="x", length=0)
    axes.set_ylabel("nJ per step")


def _bars(axes: Axes, counts: Collection[Count]) -> None:
    for k, count in enumerate(counts):
        total, ac = count.nanojoules(), count.nanojoules(e_mac=0.0)
        axes.bar(k, ac, 0.6, color=COLOURS[0], label="" if k else "accumulates")
        axes.bar(k, total - ac, 0.6, ac, color=COLOURS[4],
                 label="" if k else "multiply-and-accumulates")  # fmt: skip
    axes.legend(loc="upper left", bbox_to_anchor=(0, 1.13), ncols=2)
    axes.set_ylim(0, 1.12 * max(count.nanojoules() for count in counts))


def _points(axes: Axes, counts: Collection[Count]) -> None:
    """Draw points on a logarithmic axis, because it has no zero for bars."""
    totals = [count.nanojoules() for count in counts]
    axes.plot(range(len(totals)), totals, "o", ms=8, color=COLOURS[0])
    axes.set_yscale("log")
    axes.set_ylim(min(totals) / 2, max(totals) * 2)


def _joules(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def head(figure: Figure, title: str, note: str = "") -> None:
    """Write a title over a figure, and small print under it."""
    width, height = figure.get_size_inches()
    figure.text(0.35 / width, 1 - 0.16 / height, title, size=11, weight="bold", va="top")
    if note:
        figure.text(0.35 / width, 1 - 0.42 / height, note, size=8.5, color=GREY, va="top")


def _symbol(name: str) -> str:
    """Return ``beta_1`` in mathematical notation."""
    greek = {"alpha": "α", "beta": "β", "gamma": "γ", "rho": "ρ", "tau": "τ", "kappa": "κ"}
    head, _, tail = name.partition("_")
    head = greek.get(head, head)
    return f"${head}_{{{tail}}}$" if tail else head
