"""Figures of a network: its gates over time, and the analysis of a trained network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dendrosim.figures.analyses import draw_curves, draw_energy, head
from dendrosim.figures.style import GREY, STYLE, literal, look

Array = np.ndarray

#: Background colours of the phases of a task.
PHASES = {"data": "#DDF0DD", "noise": "#F8DEDC", "readout": "#E9E9E9"}


def gates_figure(found: Any, title: str = "", note: str = "") -> Figure:
    """Draw gates over time, spikes of both memory neurons, and their agreement.

    Parameters
    ----------
    found
        `dendrosim.papers.gates.Dynamics`.
    title, note
        Title and small print at the top.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9.6, 6.4), dpi=100)
        (gates, match), (first, second) = figure.subplots(2, 2)
        figure.subplots_adjust(left=0.07, right=0.95, bottom=0.09, top=0.84, hspace=0.4, wspace=0.2)
        steps = np.arange(len(found.phase))
        for letter, values in found.gates.items():
            gates.plot(steps, values.mean(0), label=letter, **look(list(found.gates).index(letter)))
        _shade(gates, found.phase)
        gates.set_title("Gates, mean over neurons and samples")
        gates.set_xlabel("step")
        gates.set_ylabel("gate (0: shut, 1: open)")
        gates.legend(loc="best", ncols=3)
        for axes, (name, fired) in zip((first, second), found.spikes.items(), strict=True):
            at, neuron = np.nonzero(fired)
            axes.plot(at, neuron, "|", color="black", ms=2.2, mew=0.8)
            _shade(axes, found.phase)
            axes.set_title(f"Spikes of ${name}$, one sample")
            axes.set_xlabel("step")
            axes.set_ylabel("circuit")
        drawn = match.imshow(found.agreement, origin="lower", cmap="viridis", aspect="equal")
        match.set_title("Circuits in which $N_C$ and $N_M$ do the same")
        match.set_xlabel("step of $N_M$")
        match.set_ylabel("step of $N_C$")
        figure.colorbar(drawn, ax=match, shrink=0.9, label="share (1 less Hamming distance)")
        head(figure, title, note)
        return figure


def _shade(axes: Axes, phase: Array) -> None:
    for k, name in enumerate(phase):
        axes.axvspan(k - 0.5, k + 0.5, color=PHASES[name], lw=0, zorder=0)
    axes.set_xlim(-0.5, len(phase) - 0.5)


def analysis_figure(analysis: Any, title: str = "") -> Figure:
    """Draw the analysis of a network: rates, retention, spectral radius and energy.

    Parameters
    ----------
    analysis
        Result of `dendrosim.learn.gradients.analysis.analyse`.
    title
        Title at the top.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9.6, 7.2), dpi=100)
        (kept, radius), (rates, joules) = figure.subplots(2, 2)
        figure.subplots_adjust(left=0.08, right=0.97, bottom=0.08, top=0.86, hspace=0.42,
                               wspace=0.24)  # fmt: skip
        names = [literal(f"{k} {layer.model}") for k, layer in enumerate(analysis.layers)]
        curves = {
            name: (list(layer.retention), list(layer.retention.values()))
            for name, layer in zip(names, analysis.layers, strict=True)
        }
        draw_curves(kept, curves, log=True, line=0.0)
        if len(curves) > 1:
            kept.legend(loc="best")
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
        head(figure, literal(title), literal(note + meta["surrogate"]))
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
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.08), ncols=2)


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
