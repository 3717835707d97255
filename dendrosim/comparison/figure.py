"""The figure of a comparison: traces of each model, and two panels of measures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dendrosim.comparison import responses
from dendrosim.comparison.scores import RECORDED, representative
from dendrosim.figures.style import COLOURS, GREY, REAL, STYLE, entry, literal, look, pretty, short
from dendrosim.figures.traces import (
    caption,
    draw_current,
    draw_model_trace,
    draw_trace,
    finish_traces,
    is_discrete,
    name_trace,
    page,
)
from dendrosim.simulation.neuron_axis import clamp_recording

if TYPE_CHECKING:
    from dendrosim.comparison.result import Comparison
    from dendrosim.simulation.neuron_axis import NeuronAxis


def comparison_figure(comparison: Comparison) -> Figure:
    """Draw a comparison: a trace per model above, f-I curves or other measures below.

    The traces show a representative neuron, which fires in as many models as possible and rather
    slowly.  Ticks above a trace mark spikes; grey marks the time outside the measured window.
    """
    recordings, protocol = comparison.recordings, comparison.protocol
    neuron = representative(recordings, protocol)
    clamp = clamp_recording(protocol, recordings[0].n)
    rows = len(recordings) + (clamp is not None)
    with matplotlib.rc_context(STYLE):
        what = caption(protocol, comparison.grid, neuron)
        figure, traces, current, below = page(rows, protocol.title or protocol.name, what, True)
        if clamp is not None:
            times = np.arange(len(clamp.voltage)) * clamp.dt
            train = clamp.spike_times()[neuron]
            draw_trace(traces[0], times, clamp.voltage[:, neuron] * 1e3, train, REAL)
            name_trace(traces[0], "recorded cell", REAL, train, protocol)
        axes = traces[rows - len(recordings) :]
        for k, (name, recording) in enumerate(zip(comparison.names, recordings, strict=True)):
            draw_model_trace(axes[k], recording, neuron, look(k)["color"])
            name_trace(axes[k], name, look(k)["color"], recording.spikes(neuron), protocol)
        own = [r if is_discrete(r) else None for r in recordings]
        finish_traces(traces, protocol, [None] * (rows - len(own)) + own)
        draw_current(current, protocol, recordings[0], neuron)
        draw_panels(below, comparison)
        return figure


def draw_panels(axes: Sequence[Axes], comparison: Comparison) -> None:
    """Fill two axes with impedance, rates over the grid, or intervals, as the protocol allows."""
    found = [responses.impedances(r, comparison.protocol) for r in comparison.recordings]
    if any(z is not None and z.linear.size for z in found):
        _impedance(axes, comparison, found)
    elif comparison.grid is not None:
        _over_grid(axes, comparison, comparison.grid)
    else:
        _intervals(axes[0], comparison)
        _voltage_difference(axes[1], comparison)
    for panel in axes:
        if panel.get_yscale() == "linear":
            panel.locator_params(axis="y", nbins=7, steps=[1, 2, 5, 10])


def _over_grid(axes: Sequence[Axes], comparison: Comparison, grid: NeuronAxis) -> None:
    """Plot rates over the grid, and their difference to the real cell or to the reference."""
    curves = comparison.curves
    order = np.argsort(grid.values, kind="stable")
    rates = {name: rows["rate (Hz)"].to_numpy()[order] for name, rows in curves.groupby("model")}
    x = grid.values[order]
    base = RECORDED if RECORDED in rates else comparison.names[0]
    if base == RECORDED:
        axes[0].plot(x, rates[base], "-o", color=REAL, mfc="white", ms=4.5, label="recorded cell")
    for k, name in enumerate(comparison.names):
        axes[0].plot(x, rates[name], label=entry(name), **look(k))
        if name != base:
            axes[1].plot(x, rates[name] - rates[base], **look(k))
    axes[0].set_title("Firing rate" if not grid.is_current else "f–I curve")
    axes[0].set_ylabel("rate (Hz)")
    axes[0].set_ylim(bottom=min(0, axes[0].get_ylim()[0]))
    if len(rates) == 1:
        _spikes_per_burst(axes[1], comparison, x, order)
    else:
        what = "the recorded cell" if base == RECORDED else literal(short(base))
        axes[1].set_title(f"Rate minus that of {what}")
        axes[1].set_ylabel("rate difference (Hz)")
        axes[1].axhline(0, color=REAL if base == RECORDED else COLOURS[0], lw=0.9)
        low, high = axes[1].get_ylim()
        axes[1].set_ylim(min(low, -0.5), max(high, 0.5))
    label = f"{grid.name} ({pretty(grid.unit)})" if grid.unit != "1" else grid.name
    for panel in axes:
        panel.set_xlabel(label)  # not drawn for a panel that is switched off
    axes[0].legend(loc="best", handlelength=1.6)


def _spikes_per_burst(axes: Axes, comparison: Comparison, x: np.ndarray, order: np.ndarray) -> None:
    sizes = comparison.curves["spikes per burst"].to_numpy()[order]
    if not np.isfinite(sizes).any():  # such as for a current that is not constant
        axes.set_axis_off()
        return
    axes.plot(x, sizes, **look(0))
    axes.set_title("Spikes per burst")
    axes.set_ylabel("spikes per burst")


def _intervals(axes: Axes, comparison: Comparison) -> None:
    """Plot interspike intervals over time; bursts are the dots at the bottom."""
    for k, recording in enumerate(comparison.recordings):
        train = recording.spikes(0)
        if train.size > 1:
            axes.plot(train[1:] * 1e3, np.diff(train) * 1e3, ls="", **look(k))
    if not axes.lines:
        axes.set_axis_off()
        axes.text(0, 0.5, "No model has two spikes.", color=GREY, transform=axes.transAxes)
        return
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xlim(0, comparison.recordings[0].duration * 1e3)
    axes.set_title("Time since the spike before")
    axes.set_ylabel("interval (ms)")
    axes.set_xlabel("time (ms)")


def _voltage_difference(axes: Axes, comparison: Comparison) -> None:
    """Plot the somatic potential minus that of the reference, away from the spikes of both."""
    reference, window = comparison.recordings[0], (0.0, comparison.recordings[0].duration)
    drawn = False
    for k, recording in enumerate(comparison.recordings[1:], start=1):
        apart = responses.difference(recording, reference, *window)
        if apart is not None:
            values = np.where(apart.counts[:, 0], apart.volts[:, 0] * 1e3, np.nan)
            axes.plot(apart.times * 1e3, values, color=look(k)["color"], lw=1.1)
            drawn = drawn or bool(np.isfinite(values).any())
    if not drawn:
        axes.set_axis_off()
        return
    axes.axhline(0, color=COLOURS[0], lw=0.9)
    axes.set_xlim(0, reference.duration * 1e3)
    axes.set_title(f"Potential minus that of {literal(short(comparison.names[0]))}")
    axes.set_ylabel("difference away from spikes (mV)")
    axes.set_xlabel("time (ms)")


def _impedance(axes: Sequence[Axes], comparison: Comparison, found: list) -> None:
    """Plot the impedance over frequency, and the difference to that of the reference."""
    first = found[0]
    neuron = next((int(z.linear[0]) for z in found if z is not None and z.linear.size), 0)
    silent = first is not None and neuron in first.linear
    for k, (name, one) in enumerate(zip(comparison.names, found, strict=True)):
        style = {"color": look(k)["color"], "lw": 1.5}
        if one is None or neuron not in one.linear:
            why = "no potential" if one is None else "not recorded"
            why = "it spikes" if one is not None and neuron in one.neurons else why
            axes[0].plot([], [], label=f"{entry(name)}: {why}", **style)
            continue
        f, z = one.frequencies, one.of(neuron)
        axes[0].plot(f, np.abs(z) * 10, label=entry(name), **style)
        if silent and k:
            modulus = np.interp(f, first.frequencies, np.abs(first.of(neuron)))
            axes[1].plot(f, (np.abs(z) / modulus - 1) * 100, **style)
        elif not silent or len(found) == 1:
            axes[1].plot(f, np.degrees(np.angle(z)), **style)
    axes[0].set_title("Impedance")
    axes[0].set_ylabel(f"|Z| ({pretty('kohm*cm**2')})")
    axes[0].set_ylim(bottom=0)
    axes[0].legend(loc="best")
    if silent and len(found) > 1:
        axes[1].axhline(0, color=COLOURS[0], lw=0.9)
        axes[1].set_title(f"|Z| relative to {literal(short(comparison.names[0]))}")
        axes[1].set_ylabel("difference (%)")
    else:
        axes[1].set_title("Phase of the potential")
        axes[1].set_ylabel("phase (degrees)")
    for panel in axes:
        panel.set_xlabel("frequency (Hz)")
