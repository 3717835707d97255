"""Figures of analyses: maps of parameters, what is kept of a gradient, loss landscapes, energy.

Made of plain values, see `dendrosim.plots` for the figures of runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LightSource, TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dendrosim.panels import COLOURS, GREY, look
from dendrosim.plots import STYLE

if TYPE_CHECKING:
    from dendrosim.conventions import Count

Array = np.ndarray

#: Where a factor that is 0, or smaller than this, is drawn.
FLOOR = 1e-30


@dataclass(frozen=True)
class Mark:
    """A point on a map: where training began, where it went, and how well it ended.

    Attributes
    ----------
    start, end
        Values of the two parameters; `end` may be None.
    text
        What stands beside it, such as an accuracy.
    """

    start: tuple[float, float]
    end: tuple[float, float] | None = None
    text: str = ""


def map_figure(
    x: Array, y: Array, panels: Mapping[str, Array], names: tuple[str, str],
    marks: Sequence[Mark] = (), title: str = "",
) -> Figure:  # fmt: skip
    """Draw maps over two parameters, with the line where they are 1.

    Parameters
    ----------
    x, y
        Values of the parameters.
    panels
        Heading to values of shape (len(y), len(x)).
    names
        Of the parameters.
    marks
        Points to draw on every map.
    title
        Above all.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(3.5 * len(panels) + 0.9, 4.0), dpi=100)
        axes = figure.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0]
        low = min(float(values.min()) for values in panels.values())
        high = max(float(values.max()) for values in panels.values())
        norm = TwoSlopeNorm(1.0, min(low, 0.9), max(high, 1.1))
        levels = np.linspace(low, high, 25)
        for panel, (heading, values) in zip(axes, panels.items(), strict=True):
            values = np.round(values, 9)  # a plain of 1 is no net of contours at 1
            filled = panel.contourf(x, y, values, levels, cmap="RdBu_r", norm=norm)
            if values.min() < 1 < values.max():
                panel.contour(x, y, values, [1.0], colors="#E6B800", linewidths=1.8)
            panel.axhline(0, color="white", lw=0.6)
            panel.axvline(0, color="white", lw=0.6)
            _marks(panel, marks)
            panel.set_title(heading)
            panel.set_xlabel(_symbol(names[0]))
            panel.set_aspect("equal")
        axes[0].set_ylabel(_symbol(names[1]))
        figure.subplots_adjust(left=0.08, right=0.9, bottom=0.13, top=0.8, wspace=0.12)
        bar = figure.colorbar(filled, cax=figure.add_axes((0.92, 0.18, 0.014, 0.57)))
        bar.set_ticks(MaxNLocator(6).tick_values(low, high)[1:-1])
        bar.ax.axhline(1.0, color="#E6B800", lw=1.8)
        _title(figure, title)
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
    curves: Mapping[str, tuple[Array, Array]], *, title: str, x: str, y: str, log: bool = False,
    line: float | None = None, note: str = "", markers: bool = True,
) -> Figure:  # fmt: skip
    """Draw lines.

    Parameters
    ----------
    curves
        Name to x and y.
    title, x, y
        Headings.
    log
        Whether y is shown as its decimal logarithm; what is below `FLOOR` is left out.
    line
        Height of a grey line to compare with.
    note
        Small print under the title.
    markers
        Whether the points are marked.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 4.2), dpi=100)
        axes = figure.add_axes((0.12, 0.13, 0.84, 0.68))
        draw_curves(axes, curves, log=log, line=line, markers=markers)
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        _title(figure, title, note)
        return figure


def draw_curves(
    axes: Axes, curves: Mapping[str, tuple[Array, Array]], log: bool = False,
    line: float | None = None, markers: bool = True,
) -> None:  # fmt: skip
    """Draw lines and their legend on axes."""
    for k, (name, (at, values)) in enumerate(curves.items()):
        values = np.asarray(values, dtype=float)
        if log:
            kept = values > FLOOR
            values = np.log10(np.where(kept, values, np.nan), where=kept, out=np.full(
                values.shape, np.nan))  # fmt: skip
        style = look(k) if markers else {"color": look(k)["color"]}
        axes.plot(at, values, label=name, **style)
    if line is not None:
        axes.axhline(line, color=GREY, lw=0.8, ls="--", zorder=0)
    if len(curves) > 1:
        axes.legend(loc="best")


def landscape_figure(landscapes: Mapping[str, Any], title: str = "") -> Figure:
    """Draw loss landscapes beside each other: surface above and contours below, or a line each.

    Parameters
    ----------
    landscapes
        Name to `Landscape`, all of one or all of two dimensions.
    title
        Above all.
    """
    with matplotlib.rc_context(STYLE):
        if next(iter(landscapes.values())).losses.ndim == 1:
            lines = {name: (found.steps, found.losses) for name, found in landscapes.items()}
            return curves_figure(
                lines, title=title, x="along a random direction (lengths of the weights)", y="loss"
            )
        n = len(landscapes)
        figure = Figure(figsize=(4.0 * n, 6.8), dpi=100)
        for k, (name, found) in enumerate(landscapes.items()):
            along, up = np.meshgrid(found.steps, found.steps)
            surface = figure.add_subplot(2, n, k + 1, projection="3d")
            light = LightSource(315, 45).shade(
                found.losses, matplotlib.colormaps["viridis"], blend_mode="soft"
            )
            surface.plot_surface(along, up, found.losses, facecolors=light, rcount=60, ccount=60,
                                 linewidth=0, antialiased=False)  # fmt: skip
            surface.set_title(f"{name}\nroughness {found.roughness:.4f}", color=look(k)["color"])
            surface.tick_params(labelsize=7, pad=-1)
            contour = figure.add_subplot(2, n, n + k + 1)
            drawn = contour.contour(along, up, found.losses, 14, cmap="viridis", linewidths=0.9)
            contour.clabel(drawn, drawn.levels[::3], fontsize=7, fmt="%.3g")
            contour.plot(0, 0, "+", color="#D55E00", ms=9, mew=1.6)
            contour.set_aspect("equal")
            contour.set_xlabel("direction 1")
            contour.set_ylabel("direction 2" if k == 0 else "")
        figure.subplots_adjust(
            left=0.09, right=0.96, bottom=0.07, top=0.86, hspace=0.12, wspace=0.22
        )
        _title(figure, title)
        return figure


def energy_figure(counts: Mapping[str, Count], title: str = "") -> Figure:
    """Draw the energy of a step as bars: accumulates below, multiply-and-accumulates above.

    Parameters
    ----------
    counts
        Name of a bar to what was counted.
    title
        Above all.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(max(4.5, 1.15 * len(counts) + 1.2), 4.0), dpi=100)
        axes = figure.add_axes((0.14, 0.2, 0.82, 0.62))
        draw_energy(axes, counts)
        _title(figure, title)
        return figure


def draw_energy(axes: Axes, counts: Mapping[str, Count]) -> None:
    """Draw the bars of `energy_figure` on axes; logarithmic where they differ tenfold."""
    totals = [count.nanojoules() for count in counts.values()]
    spread = max(totals) > 10 * max(min(totals), 1e-12)
    for k, (count, total) in enumerate(zip(counts.values(), totals, strict=True)):
        if spread:
            axes.bar(k, total, 0.6, color=COLOURS[0])
        else:
            ac = count.nanojoules(e_mac=0.0)
            axes.bar(k, ac, 0.6, color=COLOURS[0], label="" if k else "accumulates")
            axes.bar(k, total - ac, 0.6, ac, color=COLOURS[4],
                     label="" if k else "multiply-and-accumulates")  # fmt: skip
        text = f"{total:,.0f}" if total >= 1000 else f"{total:.4g}"
        axes.annotate(text, (k, total), (0, 3), textcoords="offset points", ha="center", size=8.5)
    if spread:
        axes.set_yscale("log")
    else:
        axes.legend(loc="upper left", bbox_to_anchor=(0, 1.13), ncols=2)
        axes.set_ylim(0, 1.12 * max(totals))
    axes.set_xticks(range(len(counts)), [name.replace(" ", "\n", 1) for name in counts])
    axes.tick_params(axis="x", length=0)
    axes.set_ylabel("nJ a step")


#: Colours of what a network is to do with its input.
PHASES = {"data": "#DDF0DD", "noise": "#F8DEDC", "readout": "#E9E9E9"}


def gates_figure(found: Any, title: str = "", note: str = "") -> Figure:
    """Draw gates over time, spikes of both memory neurons, and how alike they fire.

    Parameters
    ----------
    found
        `dendrosim.papers.gates.Dynamics`.
    title, note
        Above all.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9.6, 6.4), dpi=100)
        (gates, match), (first, second) = figure.subplots(2, 2)
        figure.subplots_adjust(left=0.07, right=0.95, bottom=0.09, top=0.84, hspace=0.4, wspace=0.2)
        steps = np.arange(len(found.phase))
        for letter, values in found.gates.items():
            gates.plot(steps, values, label=letter, **look(list(found.gates).index(letter)))
        _shade(gates, found.phase)
        gates.set_title("Gates, mean over neurons and samples")
        gates.set_xlabel("step")
        gates.legend(loc="best", ncols=3)
        for axes, (name, fired) in zip((first, second), found.spikes.items(), strict=True):
            at, neuron = np.nonzero(fired)
            axes.plot(at, neuron, "|", color="black", ms=2.2, mew=0.8)
            _shade(axes, found.phase)
            axes.set_title(f"Spikes of {name}, one sample")
            axes.set_xlabel("step")
            axes.set_ylabel("circuit")
        drawn = match.imshow(found.agreement, origin="lower", cmap="viridis", aspect="equal")
        match.set_title("Share of circuits in which N_C and N_M do the same")
        match.set_xlabel("step of N_M")
        match.set_ylabel("step of N_C")
        figure.colorbar(drawn, ax=match, shrink=0.9)
        _title(figure, title, note)
        return figure


def _shade(axes: Axes, phase: Array) -> None:
    for k, name in enumerate(phase):
        axes.axvspan(k - 0.5, k + 0.5, color=PHASES[name], lw=0, zorder=0)
    axes.set_xlim(-0.5, len(phase) - 0.5)


def analysis_figure(analysis: Any, title: str = "") -> Figure:
    """Draw the report of a network: rates, retention, spectral radius and energy.

    Parameters
    ----------
    analysis
        What `dendrosim.learn.analysis.analyse` found.
    title
        Above all.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9.6, 7.2), dpi=100)
        (kept, radius), (rates, joules) = figure.subplots(2, 2)
        figure.subplots_adjust(left=0.08, right=0.97, bottom=0.08, top=0.86, hspace=0.42,
                               wspace=0.24)  # fmt: skip
        names = [f"{k} {layer.model}" for k, layer in enumerate(analysis.layers)]
        curves = {
            name: (list(layer.retention), list(layer.retention.values()))
            for name, layer in zip(names, analysis.layers, strict=True)
        }
        draw_curves(kept, curves, log=True, line=0.0)
        kept.set_xscale("log")
        kept.set_title("What is kept of a gradient (median)")
        kept.set_xlabel("horizon (steps)")
        kept.set_ylabel("log10 of the retention factor")
        _radii(radius, analysis.layers, names)
        _rates(rates, analysis.layers, names)
        draw_energy(joules, analysis.counts)
        joules.set_title("Energy by convention", pad=18)
        meta = analysis.meta
        note = f"{meta['samples']} sample(s) of {meta['steps']} steps, {meta['input']}; surrogate "
        _title(figure, title, note + meta["surrogate"])
        return figure


def _radii(axes: Axes, layers: Sequence[Any], names: Sequence[str]) -> None:
    for k, layer in enumerate(layers):
        low, middle, high = layer.radius
        colour = look(k)["color"]
        axes.plot([k, k], [low, high], color=colour, lw=3, alpha=0.4, solid_capstyle="butt")
        axes.plot(k, middle, "o", color=colour, ms=6, label="" if k else "a neuron (5 to 95 %)")
        if np.isfinite(layer.whole_radius):
            axes.plot(k, layer.whole_radius, "x", color="black", ms=7, mew=1.5,
                      label="" if k else "the layer with its weights")  # fmt: skip
    axes.axhline(1.0, color=GREY, lw=0.8, ls="--", zorder=0)
    axes.set_xticks(range(len(names)), names)
    axes.set_xlim(-0.6, len(names) - 0.4)
    axes.set_title("Spectral radius of one step")
    axes.legend(loc="best")


def _rates(axes: Axes, layers: Sequence[Any], names: Sequence[str]) -> None:
    for k, layer in enumerate(layers):
        axes.bar(k, layer.rate, 0.6, color=look(k)["color"])
        told = f"{layer.rate:.3g}" + (f", {layer.silent:.0%} silent" if layer.silent else "")
        axes.annotate(told, (k, layer.rate), (0, 3), textcoords="offset points", ha="center",
                      size=8.5)  # fmt: skip
    axes.set_xticks(range(len(names)), names)
    axes.set_xlim(-0.6, len(names) - 0.4)
    axes.set_ylim(0, 1.15 * max(max(layer.rate for layer in layers), 1e-3))
    axes.set_title("Spikes a step")


def _title(figure: Figure, title: str, note: str = "") -> None:
    width, height = figure.get_size_inches()
    figure.text(0.35 / width, 1 - 0.16 / height, title, size=11, weight="bold", va="top")
    if note:
        figure.text(0.35 / width, 1 - 0.42 / height, note, size=8.5, color=GREY, va="top")


def _symbol(name: str) -> str:
    """Return ``beta_1`` as it is printed."""
    greek = {"alpha": "α", "beta": "β", "gamma": "γ", "rho": "ρ", "tau": "τ", "kappa": "κ"}
    head, _, tail = name.partition("_")
    head = greek.get(head, head)
    return f"${head}_{{{tail}}}$" if tail else head
