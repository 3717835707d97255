"""Traces with the current below them: the figure of a recording, and parts of other figures.

Only `matplotlib.figure.Figure` objects are used: no pyplot, no window, no global state.
"""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence

import matplotlib
import numpy as np
from brian2 import Quantity
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dendrosim.errors import DendrosimError
from dendrosim.figures.style import COLOURS, GREY, STYLE, literal, pretty, short
from dendrosim.model.model import USUAL_INPUTS
from dendrosim.model.quantities import display_unit, parse_unit
from dendrosim.simulation.neuron_axis import NeuronAxis, grid
from dendrosim.simulation.protocol import Protocol
from dendrosim.simulation.recording import Recording, volts
from dendrosim.simulation.shapes import SHAPES
from dendrosim.time_grid import in_window

#: A trace with a larger range than this (mV) contains action potentials.
ACTION_POTENTIAL = 40.0

#: Maximum number of panels per page: with several variables, fewer neurons are drawn.
MOST_PANELS = 12


def recording_figure(recording: Recording, protocol: Protocol, most: int = 6) -> Figure:
    """Draw the recorded variables of at most `most` neurons, evenly spaced over the grid.

    The figure states the number of neurons.  Each variable has its own panel.  If the somatic
    potential was recorded, the other potentials are not drawn.

    Raises
    ------
    DendrosimError
        If the recording is empty.
    """
    if not len(recording.times) or not recording.traces.data_vars:
        raise DendrosimError(f"{recording.meta['model']}: nothing was recorded")
    known, variables = recording.recorded, _drawn(recording)
    most = min(most, max(1, MOST_PANELS // len(variables)))
    evenly = np.linspace(0, len(known) - 1, min(most, len(known)))
    neurons = known[np.unique(evenly.round().astype(int))]
    points = grid(protocol, recording.n)
    panels = [(neuron, variable) for neuron in neurons for variable in variables]
    with matplotlib.rc_context(STYLE):
        title = f"{recording.meta['model']}: {protocol.title or protocol.name}"
        soma = recording.meta["potentials"].get("soma")
        shown = ["Somatic potential" if name == soma else name for name in variables]
        what = caption(protocol, points, subject=", ".join(shown))
        if len(neurons) < recording.n:
            what += f"; {len(neurons)} of {recording.n} neurons shown"
        figure, traces, current, _ = page(len(panels), title, what, False)
        for axes, (neuron, variable) in zip(traces, panels, strict=True):
            _variable_trace(axes, recording, variable, neuron, COLOURS[0])
            name = recording.meta["model"] if points is None else _at(points, neuron)
            name += f": {variable}" if len(variables) > 1 else ""
            name_trace(axes, name, COLOURS[0], recording.spikes(neuron), protocol)
        own = recording if is_discrete(recording) else None
        finish_traces(traces, protocol, [own] * len(traces))
        for neuron in neurons:
            draw_current(current, protocol, recording, neuron)
        return figure


# The page


def page(rows: int, title: str, what: str, below: bool) -> tuple[Figure, list[Axes], Axes, list]:
    """Return a figure with axes for traces, the current, and two panels below."""
    lines = textwrap.wrap(title, 88)[:3]
    row, stimulus, lower = 0.95 if rows < 5 else 0.7, 0.6, 2.5 if below else 0.0
    top, middle, bottom = 0.58 + 0.2 * len(lines), 0.85 if below else 0.0, 0.55
    height = top + rows * (row + 0.28) + stimulus + 0.16 + middle + lower + bottom
    figure = Figure(figsize=(10, height), dpi=100)

    def place(left: float, down: float, width: float, tall: float) -> Axes:
        return figure.add_axes((left, 1 - (down + tall) / height, width, tall / height))

    figure.text(
        0.075, 1 - 0.2 / height, literal("\n".join(lines)), size=12, weight="bold", va="top"
    )
    figure.text(
        0.075, 1 - (0.22 + 0.2 * len(lines)) / height, literal(what), size=9, color=GREY, va="top"
    )
    traces = [place(0.075, top + 0.14 + k * (row + 0.28), 0.9, row) for k in range(rows)]
    down = top + rows * (row + 0.28) + 0.16
    current = place(0.075, down, 0.9, stimulus)
    down += stimulus + middle
    panels = [place(x, down, 0.4, lower) for x in (0.075, 0.575)] if below else []
    for axes in traces:
        axes.sharex(current)
        axes.tick_params(bottom=False, labelbottom=False)
        axes.spines["bottom"].set_visible(False)
    return figure, traces, current, panels


def _drawn(recording: Recording) -> list[str]:
    """Return the variables to draw for a recording, the somatic potential first."""
    names, potentials = list(map(str, recording.traces.data_vars)), recording.meta["potentials"]
    soma = potentials.get("soma")
    if soma not in names:
        return names
    others = set(potentials.values())
    return [soma, *(name for name in names if name not in others)]


def caption(
    protocol: Protocol, points: NeuronAxis | None, neuron: int | None = None,
    subject: str = "Somatic potential",
) -> str:  # fmt: skip
    """Return the line under the title, which describes the traces."""
    start, stop = protocol.window
    parts = [subject]
    if points is not None and neuron is not None:
        parts.append(f"at {_at(points, neuron)}")
    files = [s.options["file"] for s in protocol.stimuli if s.shape == "recorded"]
    parts += [f"in {os.path.basename(file)}" for file in files[:1]]  # noqa: PTH119 (a str)
    grey = start > 0 or stop < float(protocol.duration)
    return " ".join(parts) + ("; what is grey is not measured" if grey else "")


def _at(points: NeuronAxis, neuron: int) -> str:
    value = f"{points.values[neuron]:.4g}".replace("-", "\N{MINUS SIGN}")
    return f"{points.name} {value} {pretty(points.unit)}".strip()


def name_trace(axes: Axes, name: str, colour: str, train: np.ndarray, protocol: Protocol) -> None:
    """Write the name of a trace above it, and how many of its spikes are measured."""
    axes.set_title(literal(short(name, 60)), color=colour, weight="bold", size=9, pad=3)
    inside = int(in_window(train, *protocol.window).sum())
    count = f"{inside} spike{'s' if inside != 1 else ''}"
    if inside < len(train):
        count = f"{inside} of {len(train)} spikes are measured"
    axes.set_title(count, loc="right", color=GREY, size=8.5, pad=3)


def draw_trace(
    axes: Axes, times: np.ndarray, values: np.ndarray, train: np.ndarray, colour: str,
    label: str = "mV",
) -> None:  # fmt: skip
    """Draw one trace (times in s) with its spikes as ticks above it."""
    axes.plot(times * 1e3, values, color=colour, lw=0.9)
    at = axes.get_xaxis_transform()
    axes.plot(train * 1e3, np.full(len(train), 0.93), "|", color=colour, ms=5, mew=0.9,
              transform=at, clip_on=False)  # fmt: skip
    axes.set_ylabel(literal(label))


def is_discrete(recording: Recording) -> bool:
    """Whether a recording is of a discrete model."""
    return recording.meta["method"] is None


def draw_model_trace(axes: Axes, recording: Recording, neuron: int, colour: str) -> None:
    """Draw the somatic potential of a neuron, or the first recorded potential."""
    v = volts(recording, neurons=[neuron])
    if v is not None:
        draw_trace(axes, recording.times, v[:, 0] * 1e3, recording.spikes(neuron), colour)
        return
    potentials = recording.meta["potentials"]
    name = potentials.get("soma", next(iter(potentials.values()), None))
    values = np.full(len(recording.times), np.nan)
    if name in recording.traces:
        values = recording.traces[name].values[:, recording.column(neuron)]
    draw_trace(axes, recording.times, values, recording.spikes(neuron), colour, name or "")


def _variable_trace(
    axes: Axes, recording: Recording, variable: str, neuron: int, colour: str
) -> None:
    """Draw any recorded variable, in a unit suitable for its values."""
    if variable == recording.meta["potentials"].get("soma"):
        draw_model_trace(axes, recording, neuron, colour)
        return
    trace = recording.traces[variable]
    values = trace.values[:, recording.column(neuron)]
    unit = display_unit(Quantity(values, dim=parse_unit(trace.attrs["units"]).dim))
    label = pretty(unit) or variable
    spikes = recording.spikes(neuron)
    draw_trace(axes, recording.times, values / float(parse_unit(unit)), spikes, colour, label)


def finish_traces(
    traces: Sequence[Axes], protocol: Protocol, own: Sequence[Recording | None]
) -> None:
    """Give similar traces one scale, and draw a grey background outside the measured window.

    Traces with action potentials share one scale, and those without share another: on a common
    scale, a subthreshold potential would be a flat line.  Traces with the resets of a discrete
    model (`own`, None for the others) have a separate scale.
    """

    def kind(k: int) -> tuple:
        real = own[k] is None and np.ptp(traces[k].dataLim.intervaly) > ACTION_POTENTIAL
        return traces[k].get_ylabel(), id(own[k]), bool(real)

    start, stop = (t * 1e3 for t in protocol.window)
    kinds = [kind(k) for k in range(len(traces))]
    for k, axes in enumerate(traces):
        like = [other for other, its in zip(traces, kinds, strict=True) if its == kinds[k]]
        reach = [other.dataLim.intervaly for other in like]
        low, high = np.min(reach), np.max(reach)
        if np.isfinite([low, high]).all():
            room = max(high - low, 0.02 * max(abs(low), abs(high)), 1e-9)
            axes.set_ylim(low - 0.08 * room, high + 0.3 * room)
        axes.yaxis.set_major_locator(MaxNLocator(3, min_n_ticks=2, steps=[1, 2, 5, 10]))
        axes.yaxis.set_label_coords(-0.056, 0.5)
        for left, right in ((0, start), (stop, float(protocol.duration) * 1e3)):
            if right - left > 1e-6:
                axes.axvspan(left, right, color="#f1f1f1", lw=0, zorder=0)


def draw_current(axes: Axes, protocol: Protocol, recording: Recording, neuron: int) -> None:
    """Draw the current into each place with an input."""
    places = list(dict.fromkeys(USUAL_INPUTS.get(i, i) for s in protocol.stimuli for i in s.into))
    dt = recording.meta["dt"]
    times = np.arange(0, recording.duration, max(dt, recording.duration / 20000))
    # missing in older files
    in_ampere = "amp" in recording.meta.get("input_units", {}).values()
    unit = current_unit(protocol, in_ampere)
    for k, place in enumerate(places):
        values = protocol.current(place, times, dt, in_ampere=in_ampere)
        column = values[:, neuron * values.shape[1] // recording.n] / float(parse_unit(unit))
        style = ("-", "--", ":")[k % 3]
        axes.plot(times * 1e3, column, color="#404040", ls=style, lw=1.0, label=literal(place))
    if len(places) > 1 and axes.get_legend() is None:
        axes.legend(loc="upper right", ncols=len(places))
    low, high = axes.dataLim.intervaly
    low, high = min(low, 0.0), max(high, 0.0)
    room = (high - low) or 1.0
    axes.set_ylim(low - 0.1 * room, high + 0.1 * room)
    axes.yaxis.set_major_locator(MaxNLocator(2, steps=[1, 2, 5, 10]))
    axes.set_xlim(0, recording.duration * 1e3)
    axes.set_xlabel("time (ms)")
    where = literal(" and ".join(places))
    axes.set_title(f"current into {where} ({pretty(unit)})".removesuffix(" ()"), color=GREY,
                   size=8.5, pad=3)  # fmt: skip


def current_unit(protocol: Protocol, in_ampere: bool = False) -> str:
    """Return the display unit for the currents of a protocol into a model."""
    for stimulus in protocol.stimuli:
        if stimulus.shape == "recorded":
            return "pA" if in_ampere else "uA/cm**2"
        for key, (dimension, _) in SHAPES[stimulus.shape].values.items():
            value = stimulus.values.get(key)
            if dimension is None and value is not None and np.any(np.asarray(value)):
                return display_unit(value)
    return "1"
