"""A plan: a model under a protocol as Brian2 text and numbers, before any device is chosen.

Everything that decides what must be compiled is text here, and everything else is a number that a
compiled program reads when it starts: parameters, initial state, amplitudes, sampled signals,
time step and duration.  `devices` carries a plan out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from brian2 import Quantity
from brian2.units.fundamentalunits import DIMENSIONLESS, Dimension

from dendrosim import checks
from dendrosim.devices import group_size, signals
from dendrosim.errors import DendrosimError, did_you_mean
from dendrosim.model.expressions import Expression
from dendrosim.model.model import Model
from dendrosim.model.quantities import DENSITY, describe, parse_unit, unit_text
from dendrosim.simulation.grids import grids_of, neurons_of
from dendrosim.simulation.protocol import Protocol
from dendrosim.simulation.stimuli import SHAPES, WINDOW, Stimulus, spread
from dendrosim.simulation.stimulus_checks import check_times

_AMPERE = parse_unit("amp").dim
MAX_NEURONS = 10_000_000
MAX_STEPS = 10_000_000_000
MAX_RECORDED = 1_000_000_000


@dataclass(frozen=True, eq=False)
class Plan:
    """What a device carries out.

    Attributes
    ----------
    equations
        Lines of the neuron group.
    update
        Statements done once a step, for a discrete model.
    threshold, refractory, reset
        Brian2 text, or None (a refractory time is the parameter ``run_refractory``).
    method
        Integration method, or None for a discrete model.
    neurons
        How many.
    values
        Name to SI value, a float or an array of one value a neuron.
    samples
        Name of a sampled signal to its values, (samples,) or (samples, neurons), and time step.
    states
        Names of the state variables.
    potentials
        Those that are potentials in volt.
    record
        Names to record.
    record_neurons
        Neurons to record, None for all.
    dt, duration, record_dt
        Seconds.
    """

    equations: tuple[str, ...]
    update: tuple[str, ...]
    threshold: str | None
    refractory: str | None
    reset: str
    method: str | None
    neurons: int
    values: Mapping[str, float | np.ndarray]
    samples: Mapping[str, tuple[np.ndarray, float]]
    states: tuple[str, ...]
    potentials: tuple[str, ...]
    record: tuple[str, ...]
    record_neurons: np.ndarray | None
    dt: float
    duration: float
    record_dt: float
    units: Mapping[str, str] = field(default_factory=dict)

    @property
    def structure(self) -> dict:
        """What must be compiled anew when it changes, as plain values."""
        room = group_size.room(self.neurons)
        shapes = {name: signals.room(values, room) for name, (values, _) in self.samples.items()}
        return {
            "equations": self.equations, "update": self.update, "threshold": self.threshold,
            "refractory": self.refractory, "reset": self.reset, "method": self.method,
            "room": room, "record": self.record, "samples": shapes,
            "potentials": self.potentials,
            "record_every": round(self.record_dt / self.dt),
        }  # fmt: skip

    @property
    def recorded(self) -> np.ndarray:
        """Numbers of the neurons that are recorded."""
        return np.arange(self.neurons) if self.record_neurons is None else self.record_neurons


def make_plan(
    model: Model,
    protocol: Protocol,
    *,
    dt: float,
    method: str | None,
    n: int,
    record: Sequence[str],
    record_dt: float | None,
    record_neurons: Any = None,
) -> Plan:
    """Join a model and a protocol.

    Parameters
    ----------
    model, protocol
        What is simulated.
    dt
        Time step in seconds.
    method
        Integration method; None for a discrete model.
    n
        Neurons for each point of the grids.
    record
        Names of states or subexpressions.
    record_dt
        Seconds between recorded samples, a multiple of `dt`; None for every step.
    record_neurons
        Numbers of the neurons to record; None for all.

    Raises
    ------
    DendrosimError
        Where the two do not fit together.
    """
    n = checks.whole(n, "n", least=1)
    neurons = neurons_of(grids_of(model, protocol), n, model.name)
    duration = float(protocol.duration)
    chosen = _chosen(record_neurons, neurons)
    recorded = neurons if chosen is None else len(chosen)
    _check_size(neurons, duration, dt, record_dt, record, recorded)
    if dt > duration:
        raise DendrosimError(
            f"{protocol.name}: dt = {dt:g} s is longer than the protocol of {duration:g} s"
        )
    lines, values, samples = _inputs(model, protocol, neurons, duration, dt)
    parameters = {name: value for name, value in model.values().items() if _is_read(name, model)}
    if isinstance(model.refractory, Quantity):
        parameters["run_refractory"] = model.refractory
    for name, value in parameters.items():
        flag = "constant" if value.ndim else "shared, constant"
        lines.append(f"{name} : {unit_text(value.dim)} ({flag})")
    if model.kind == "continuous":
        lines = [e.text for e in model.equations if e.kind != "input"] + lines
    else:
        lines = [f"{name} : 1" for name in model.states] + lines
    values |= {
        name: _per_neuron(name, np.asarray(value, dtype=float), neurons)
        for name, value in {**parameters, **model.initial}.items()
    }
    names = _recordable(model)
    for name in record:
        if not isinstance(name, str) or name not in names:
            raise DendrosimError(
                f"{model.name}: cannot record {name!r}; {did_you_mean(name, names)}"
            )
    every = 1 if record_dt is None else round(record_dt / dt)
    if every < 1 or (record_dt and abs(every * dt - record_dt) > 1e-9 * record_dt):
        raise DendrosimError(f"record_dt = {record_dt:g} s is not a multiple of dt = {dt:g} s")
    threshold, refractory = _spikes(model)
    return Plan(
        equations=tuple(lines),
        update=tuple(statement.code for statement in model.update),
        threshold=threshold,
        refractory=refractory,
        reset="\n".join(statement.code for statement in model.reset),
        method=method,
        neurons=neurons,
        values=values,
        samples=samples,
        states=model.states,
        potentials=_in_volt(model),
        record=tuple(record),
        record_neurons=chosen if record else None,
        dt=dt,
        duration=duration,
        record_dt=every * dt,
        units={name: names[name] for name in record},
    )


def _in_volt(model: Model) -> tuple[str, ...]:
    if model.kind == "discrete":
        return ()
    volt = parse_unit("volt").dim
    return tuple(dict.fromkeys(v for v in model.potentials.values() if model.dims[v] is volt))


def _chosen(wanted: Any, neurons: int) -> np.ndarray | None:
    """Return the numbers of the neurons to record, None for all."""
    if wanted is None:
        return None
    array = isinstance(wanted, np.ndarray)
    plain = not array and checks.is_row(wanted) and all(np.ndim(one) == 0 for one in wanted)
    given = np.asarray(wanted if array or plain else None)
    whole = given.ndim == 1 and given.size and given.dtype.kind in "iu"
    if not whole or given.min() < 0 or given.max() >= neurons or len(set(given)) < len(given):
        raise DendrosimError(
            f"record_neurons = {checks.short(wanted)} is not a list of different neurons from 0 to "
            f"{neurons - 1}"
        )
    return given.astype(np.int32)


def _check_size(
    neurons: int, duration: float, dt: float, record_dt: float | None, record: Sequence[str],
    recorded: int,
) -> None:  # fmt: skip
    """Refuse what would fill any memory before it begins."""
    if neurons > MAX_NEURONS:
        raise DendrosimError(f"{neurons:,} neurons are more than {MAX_NEURONS:,}")
    if not duration / dt < MAX_STEPS:
        raise DendrosimError(
            f"{duration:g} s in steps of dt = {dt:g} s are more than {MAX_STEPS:,} steps"
        )
    if record_dt is not None and record_dt > duration:
        raise DendrosimError(f"record_dt = {record_dt:g} s is longer than the {duration:g} s run")
    values = duration / (record_dt or dt) * recorded * len(record)
    if values > MAX_RECORDED:
        raise DendrosimError(
            f"recording {', '.join(map(str, record))} of {recorded:,} neurons every "
            f"{record_dt or dt:g} s makes more than {MAX_RECORDED:,} values; record fewer "
            "(record_neurons), or give a longer record_dt"
        )


def _is_read(name: str, model: Model) -> bool:
    texts = [e.expression for e in model.equations if e.expression]
    texts += [s.expression for s in (*model.update, *model.reset)]
    texts += [t for t in (model.threshold, model.refractory) if isinstance(t, Expression)]
    return any(name in text.names for text in texts)


def _per_neuron(name: str, value: np.ndarray, neurons: int) -> float | np.ndarray:
    if value.size == 1:
        return float(value.reshape(()))
    result = spread(value[None], neurons)[0]
    if result.shape != (neurons,):
        raise DendrosimError(f"{name} has {value.size} values for {neurons} neurons")
    return np.ascontiguousarray(result)


def _recordable(model: Model) -> dict[str, str]:
    if model.kind == "continuous":
        return {e.name: unit_text(e.dim) for e in model.equations}
    return dict.fromkeys([*model.states, *model.inputs.values()], "1")


def _spikes(model: Model) -> tuple[str | None, str | None]:
    if model.kind == "discrete":
        return f"{model.output} > 0.5", None
    if isinstance(model.refractory, Quantity):
        return model.threshold.text if model.threshold else None, "run_refractory"
    parts = (model.threshold, model.refractory)
    return tuple(part.text if part else None for part in parts)


def _inputs(
    model: Model, protocol: Protocol, neurons: int, duration: float, dt: float
) -> tuple[list[str], dict[str, float | np.ndarray], dict[str, tuple[np.ndarray, float]]]:
    """Return equations, values and sampled signals of all that flows into a model."""
    lines: list[str] = []
    values: dict[str, float | np.ndarray] = {}
    samples: dict[str, tuple[np.ndarray, float]] = {}
    # Where currents are summed: the sites of a scaled model have physical currents, and each
    # port takes a weighted sum of them; else port and place are the same
    sites = {place: _site_dim(model, place) for place in _places(model)}
    sums: dict[str, list[str]] = {place: [] for place in sites}
    # An electrode's current is spread over the membrane that a density into its place refers to
    shares, used = model.shares(), set()
    for k, (stimulus, stream) in enumerate(zip(protocol.stimuli, protocol.streams, strict=True)):
        name = f"stimulus_{k}"
        where = f"{protocol.source or protocol.name}: stimuli.{k}"
        check_times(stimulus, duration, dt, where)
        places = {_place(model, sites, into, where) for into in stimulus.into}
        dim, *others = {sites[place] for place in places}
        if others:
            raise DendrosimError(
                f"{where}: the inputs {', '.join(sorted(places))} have different units"
            )
        if stimulus.shape == "recorded":
            _check_recorded(stimulus, model, places, dim, where)
        text = _stimulus_text(stimulus, name, neurons, duration, dim, where, lines, values)
        sampled = stimulus.samples(duration, neurons, stream)
        if sampled is not None:
            call = f"{name}_samples(t, i)" if sampled[0].ndim == 2 else f"{name}_samples(t)"
            text = text.renamed({"samples": call})
            samples[f"{name}_samples"] = sampled
        flag = "" if SHAPES[stimulus.shape].smooth else " (constant over dt)"
        lines.append(f"{name} = {text.text} : {unit_text(dim)}{flag}")
        for place in places:
            divided = stimulus.shape == "recorded" and place in shares
            sums[place].append(f"{name}/run_share_{place}" if divided else name)
            used |= {place} if divided else set()
    for place in sorted(used):
        flag = "constant" if shares[place].size > 1 else "shared, constant"
        lines.append(f"run_share_{place} : 1 ({flag})")
        values[f"run_share_{place}"] = _per_neuron(f"areas.{place}", shares[place], neurons)
    totals = {
        place: " + ".join(names) or f"0*{unit_text(sites[place])}" for place, names in sums.items()
    }
    if model.scales is None:
        for place, variable in model.inputs.items():
            lines.append(f"{variable} = {totals[place]} : {unit_text(sites[place])}")
        return lines, values, samples
    for place, total in totals.items():
        lines.append(f"run_current_{place} = {total} : {unit_text(DENSITY)}")
    for variable in model.inputs.values():
        terms = []
        for place, gain in model.scales.current.get(variable, {}).items():
            lines.append(f"run_gain_{variable}_{place} : {unit_text(gain.dim)} (shared, constant)")
            values[f"run_gain_{variable}_{place}"] = float(gain)
            terms.append(f"run_gain_{variable}_{place}*run_current_{place}")
        lines.append(f"run_bias_{variable} : 1 (shared, constant)")
        values[f"run_bias_{variable}"] = model.scales.bias.get(variable, 0.0)
        lines.append(f"{variable} = {' + '.join((*terms, f'run_bias_{variable}'))} : 1")
    return lines, values, samples


def _places(model: Model) -> list[str]:
    if model.scales is None:
        return list(model.inputs)
    return sorted({place for places in model.scales.current.values() for place in places})


def _site_dim(model: Model, place: str) -> Dimension:
    if model.scales is not None:
        return DENSITY
    if model.kind == "discrete":
        return DIMENSIONLESS
    return model.dims[model.inputs[place]]


def _place(model: Model, sites: Mapping, into: str, where: str) -> str:
    place = model.place(into, where)
    if place not in sites:
        raise DendrosimError(f"{where}: no current into {into!r} reaches {model.name}")
    return place


def _check_recorded(
    stimulus: Stimulus, model: Model, places: set[str], dim: Dimension, where: str
) -> None:
    inputs = " and ".join(sorted(model.inputs.get(place, place) for place in places))
    if dim not in (_AMPERE, DENSITY):
        raise DendrosimError(
            f"{where}: a recorded current goes into an input in amp or, by its area, in "
            f"amp/meter**2, but {inputs} of {model.name} is in {unit_text(dim)}"
        )
    if dim is DENSITY and "area" not in stimulus.values:
        raise DendrosimError(
            f"{where}: a recorded current needs the key 'area' to go into {inputs} of "
            f"{model.name}, in amp/meter**2"
        )


def _stimulus_text(
    stimulus: Stimulus, name: str, neurons: int, duration: float, dim: Dimension, where: str,
    lines: list[str], values: dict[str, float | np.ndarray],
) -> Expression:  # fmt: skip
    """Declare the values of a stimulus and return its text with their names in it."""
    shape = SHAPES[stimulus.shape]
    text, names = stimulus.expression(dim is _AMPERE), {}
    read = text.names | WINDOW.names
    given = {key: value for key, value in stimulus.values.items() if key in read}
    given.setdefault("stop", Quantity(duration, dim=parse_unit("second").dim))
    for key, value in given.items():
        wanted = shape.values.get(key, (value.dim, None))[0] or dim
        zero = value.dim is DIMENSIONLESS and not np.any(value)
        if value.dim is not wanted and not (zero and wanted is dim):
            raise DendrosimError(
                f"{where}: {key} = {describe(value)!r} goes into an input in {unit_text(wanted)}"
            )
        names[key] = f"{name}_{key}"
        flag = "constant" if value.ndim else "shared, constant"
        lines.append(f"{names[key]} : {unit_text(wanted)} ({flag})")
        values[names[key]] = _per_neuron(key, np.asarray(value, dtype=float), neurons)
    if shape.smooth:
        names["gate"] = f"{name}_gate"
        lines.append(f"{names['gate']} = {WINDOW.renamed(names).text} : 1 (constant over dt)")
    return text.renamed(names)
