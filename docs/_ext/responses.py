"""What a model does: its answer to a step, its f-I curve, a chirp and pulses.

The neurons of a run stand side by side, each under one of the protocols, so that a model is built
(and for C++ compiled) once.  The size of a step is found for each model: the lowest of a series
under which it fires several spikes.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import replace

import matplotlib
import numpy as np
from brian2 import Quantity
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import dendrosim as ds
from dendrosim.figures.style import COLOURS, GREY, STYLE
from dendrosim.measures import impedance
from dendrosim.reduction import Dynamics

#: Of the shelf, for models with units.
SHELF = ("step", "fi_curve", "chirp", "paired_pulse")
#: Current that holds the soma of a neuron without a stable rest (Pinsky and Rinzel 1994, p. 59).
HOLDING = "-0.5 uA/cm**2"
#: Steps into the soma that are tried, in uA/cm**2, and spikes that are several.
STEPS, SEVERAL = (0.5, 1, 1.5, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100), 6
#: Inputs of a discrete model that are tried, and spikes that are several.
INPUTS, SEVERAL_DISCRETE = tuple(m * 10.0**k for k in range(-2, 3) for m in (1, 2, 5)), 4
#: Models without a threshold.
SILENT = {"nir_li"}
#: Four spikes, 15 steps apart.
PULSES = {"width": "1 ms", "period": "15 ms", "count": "4", "start": "10 ms"}
#: Input at which the gates of a discrete model are shut; at 0 they are half open, and it fires.
SHUT = {"lrmm": -2.0, "lrmm_alif": -2.0}


def is_held(model: ds.Model) -> bool:
    """Whether a model with units has no stable rest, so that its soma is held at `HOLDING`."""
    dynamics = Dynamics(model)
    return not dynamics.stable(dynamics.rest(), {})


def figure(model: ds.Model) -> Figure:
    """Return four panels: step, f-I curve, chirp, pulses."""
    with matplotlib.rc_context(STYLE):
        page = Figure(figsize=(9.6, 5.6), dpi=110, layout="constrained")
        panels = page.subplots(2, 2).ravel()
        draw = _continuous if model.kind == "continuous" else _discrete
        if model.kind == "discrete" and model.scales is not None:
            # a fitted neuron, drawn like the others: per step and in its own units
            model = replace(model, scales=None, areas={}).with_(dt="1 ms")
        draw(model, dict(zip(("step", "rate", "chirp", "pulses"), panels, strict=True)))
        return page


def side_by_side(
    protocols: Mapping[str, ds.Protocol], duration: str
) -> tuple[ds.Protocol, dict[str, slice]]:
    """Return one protocol in which each neuron is under one of several, and who is under which."""
    sizes = [protocol.size for protocol in protocols.values()]
    ends = np.cumsum(sizes)
    places = [slice(int(end) - size, int(end)) for end, size in zip(ends, sizes, strict=True)]
    stimuli = []
    for protocol, place in zip(protocols.values(), places, strict=True):
        for stimulus in protocol.stimuli:
            grids = {key: _padded(value, place, int(ends[-1]), key == "amplitude")
                     for key, value in stimulus.values.items()
                     if value.ndim or key == "amplitude"}  # fmt: skip
            stimuli.append(stimulus.with_(**grids))
    return ds.Protocol(duration, stimuli), dict(zip(protocols, places, strict=True))


def _padded(value: Quantity, place: slice, total: int, silent: bool) -> Quantity:
    """Return a grid over all neurons: its values at its place, elsewhere 0 or the first of them."""
    numbers = np.full(total, 0.0 if silent else float(np.ravel(value)[0]))
    numbers[place] = np.asarray(value)
    return Quantity(numbers, dim=value.dim)


def protocols_for(model: ds.Model) -> dict[str, ds.Protocol]:
    """Return the protocols of `SHELF` less stimuli into a place that the model lacks.

    A protocol without any stimulus left is left out: a model with only a soma has no `paired_pulse`
    into the dendrite.
    """
    protocols = {}
    for name in SHELF:
        own = ds.load_protocol(name)
        stimuli = [s for s in own.stimuli if {*s.into} <= model.inputs.keys()]
        if stimuli:
            protocols[name] = ds.Protocol(own.given_duration, stimuli)
    return protocols


def _continuous(model: ds.Model, panels: Mapping[str, Axes]) -> None:
    protocols = protocols_for(model)
    if is_held(model):
        hold = ds.Stimulus("soma", "constant", amplitude=HOLDING)
        for name in protocols.keys() - {"fi_curve"}:
            own = protocols[name]
            protocols[name] = ds.Protocol(own.given_duration, [*own.stimuli, hold])
    own = protocols["step"]
    first, *others = own.stimuli
    tried = first.with_(amplitude=f"{list(STEPS)} uA/cm**2")
    protocols["step"] = ds.Protocol(own.given_duration, [tried, *others])
    whole, places = side_by_side(protocols, "6500 ms")
    run = ds.simulate(model, whole, device="cpp", grids="zip", record=[model.potentials["soma"]],
                      record_dt="0.1 ms", progress=False)  # fmt: skip
    t, v = run.times * 1e3, run.voltage("soma") * 1e3
    size, neuron = _lowest(model, run, places["step"], STEPS, (0.2, 0.8), SEVERAL)
    until = t < float(own.duration) * 1e3
    panels["step"].plot(t[until], v[until, neuron], color=COLOURS[0], lw=0.8)
    panels["step"].set(title=f"Step of {size:g} µA/cm² into the soma", xlabel="time (ms)",
                       ylabel="mV")  # fmt: skip
    _window(panels["step"], 200, 800)
    _rates(panels["rate"], run, places["fi_curve"], protocols["fi_curve"], 0.5)
    panels["rate"].set_xlabel("somatic current (µA/cm²)")
    _impedance(panels["chirp"], whole, run, places["chirp"].start)
    if "paired_pulse" not in protocols:
        panels["pulses"].set_axis_off()
        return
    pulses = protocols["paired_pulse"]
    intervals = np.asarray(pulses.stimuli[0].values["interval"]) * 1e3
    _stacked(panels["pulses"], run, places["paired_pulse"], (190, 480),
             [f"{interval:g} ms" for interval in intervals], v)  # fmt: skip
    panels["pulses"].set_title("Two pulses into the dendrite, so far apart")


def _lowest(
    model: ds.Model, run: ds.Recording, place: slice, sizes: Sequence[float],
    window: tuple[float, float], several: int,
) -> tuple[float, int]:  # fmt: skip
    """Return the lowest size under which the model fires several spikes, and its neuron.

    Raises
    ------
    ValueError
        If there is none: a page would show a spiking model that is silent.
    """
    for k, size in enumerate(sizes):
        train = run.trains[place.start + k]
        if np.sum((train >= window[0]) & (train < window[1])) >= several:
            return size, place.start + k
    raise ValueError(f"{model.name}: no step of {list(sizes)} makes {several} spikes")


def _discrete(model: ds.Model, panels: Mapping[str, Axes]) -> None:
    shut = SHUT.get(model.name, 0.0)
    step, weight = _sizes(model, shut)
    run, protocols, places = _run_discrete(model, shut, step, weight)
    potential = potential_of(model)
    v = run.traces[potential].values
    above = f" above {shut:g}".replace("-", "\N{MINUS SIGN}") if shut else ""
    for name, size in (("step", step), ("pulses", weight)):
        words = [f"{size * factor:g}" for factor in (0.5, 1, 2)]
        _stacked(panels[name], run, places[name], (0, 110), words, v)
        panels[name].set_xlabel("step")
    panels["step"].set_title(f"{potential} under a step of the input{above}, 20 to 80")
    panels["pulses"].set_title(f"{potential} under four spikes of this weight")
    _rates(panels["rate"], run, places["rate"], protocols["rate"], 0.1, per_step=True)
    panels["rate"].set_xlabel(f"input{above}")
    panels["chirp"].plot(run.times / 0.3 * 0.25, v[:, places["chirp"].start], color=COLOURS[0],
                         lw=0.8)  # fmt: skip
    panels["chirp"].set(title=f"{potential} under a chirp of {0.05 * step:g}",
                        xlabel="cycles per step", ylabel=potential)  # fmt: skip


def _sizes(model: ds.Model, shut: float) -> tuple[float, float]:
    """Return the step, and the weight of four spikes, that make a discrete model fire."""
    if model.name in SILENT:
        return 1.0, 1.0
    grid = str(list(INPUTS))
    shapes = {
        "step": ("step", {"amplitude": grid, "start": "20 ms", "stop": "80 ms"}),
        "pulses": ("pulse_train", {"amplitude": grid, **PULSES}),
    }
    run, _, places = _side_by_side_discrete(model, shut, shapes)
    several = {"step": SEVERAL_DISCRETE, "pulses": 1}
    return tuple(
        _lowest(model, run, places[name], INPUTS, (0.0, 0.08), least)[0]
        for name, least in several.items()
    )


def _run_discrete(
    model: ds.Model, shut: float, step: float, weight: float
) -> tuple[ds.Recording, dict[str, ds.Protocol], dict[str, slice]]:
    steps, weights = (str([0.5 * size, size, 2 * size]) for size in (step, weight))
    shapes = {
        "step": ("step", {"amplitude": steps, "start": "20 ms", "stop": "80 ms"}),
        "rate": ("constant", {"amplitude": f"linspace(0, {4 * step}, 41)"}),
        "chirp": ("chirp", {"amplitude": f"{0.05 * step}", "f_1": "250 Hz"}),
        "pulses": ("pulse_train", {"amplitude": weights, **PULSES}),
    }
    return _side_by_side_discrete(model, shut, shapes)


def _side_by_side_discrete(
    model: ds.Model, shut: float, shapes: Mapping[str, tuple[str, dict[str, str]]]
) -> tuple[ds.Recording, dict[str, ds.Protocol], dict[str, slice]]:
    into = list(model.inputs)
    rest = ds.Stimulus(into, "constant", amplitude=str(shut))
    protocols = {
        name: ds.Protocol("300 ms", [ds.Stimulus(into, shape, **values), rest])
        for name, (shape, values) in shapes.items()
    }
    whole, places = side_by_side(protocols, "300 ms")
    run = ds.simulate(model, whole, device="numpy", grids="zip", dt=None if model.dt else "1 ms",
                      record=[potential_of(model)], progress=False)  # fmt: skip
    return run, protocols, places


def potential_of(model: ds.Model) -> str:
    """Return the variable of a discrete model that its output compares with a threshold."""
    (spike,) = [s for s in model.update if s.target == model.output]
    read = [node.id for node in ast.walk(spike.expression.tree) if isinstance(node, ast.Name)]
    return next((name for name in read if name in model.states), model.states[0])


def _rates(
    axes: Axes, run: ds.Recording, place: slice, protocol: ds.Protocol, start: float,
    per_step: bool = False,
) -> None:  # fmt: skip
    trains = run.trains[place]
    rates = np.array([np.sum(train >= start) for train in trains]) / (run.duration - start)
    amplitudes = np.asarray(protocol.stimuli[0].values["amplitude"])
    unit = 1.0 if per_step else 0.01  # uA/cm**2 in A/m**2
    axes.plot(amplitudes / unit, rates * (run.meta["dt"] if per_step else 1), "-o", ms=3,
              color=COLOURS[0])  # fmt: skip
    axes.set_title("Firing rate over constant current")
    axes.set_ylabel("spikes per step" if per_step else "rate (Hz)")
    axes.set_ylim(bottom=-0.03 * axes.get_ylim()[1])


def _impedance(axes: Axes, protocol: ds.Protocol, run: ds.Recording, neuron: int) -> None:
    window = (run.times >= 1.0) & (run.times < 6.0)
    times = run.times[window]
    current = protocol.current("soma", times, run.meta["dt"])[:, neuron]
    found, z = impedance(times, current - current.mean(), run.voltage("soma")[window, neuron],
                         0.5, 40.0)  # fmt: skip
    if np.any(run.spikes(neuron) > 1.0):
        raise ValueError(f"{run.meta['model']} fires under the chirp: it has no impedance")
    axes.plot(found, np.abs(z) * 10, color=COLOURS[0])
    axes.set(title="Impedance of the soma, from a chirp", xlabel="frequency (Hz)",
             ylabel="|Z| (kΩ cm²)", ylim=(0, None))  # fmt: skip


def _stacked(
    axes: Axes, run: ds.Recording, place: slice, window: tuple[float, float],
    names: Sequence[str], v: np.ndarray,
) -> None:  # fmt: skip
    """Draw traces under each other, each on the same scale, with its spikes above it."""
    low, high = (np.searchsorted(run.times * 1e3, edge - 1e-6) for edge in window)
    neurons = range(place.start, place.stop)
    height = 1.25 * max(float(np.ptp(v[low:high, place])), 1e-12)
    for k, (neuron, name) in enumerate(zip(neurons, names, strict=True)):
        base = -k * height
        trace = v[low:high, neuron]
        axes.plot(run.times[low:high] * 1e3, base + trace - v[low:high, place].min(),
                  color=COLOURS[k % len(COLOURS)], lw=0.9)  # fmt: skip
        train = run.spikes(neuron) * 1e3
        train = train[(train >= window[0]) & (train <= window[1])]
        axes.plot(train, np.full(train.size, base + 0.9 * height), "|", ms=4,
                  color=COLOURS[k % len(COLOURS)])  # fmt: skip
        axes.annotate(name, (1, base + 0.25 * height), xycoords=("axes fraction", "data"),
                      xytext=(3, 0), textcoords="offset points", size=8, color=GREY)  # fmt: skip
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set(xlim=window, xlabel="time (ms)")


def _window(axes: Axes, start: float, stop: float) -> None:
    axes.axvspan(start, stop, color="#f1f1f1", lw=0, zorder=0)
