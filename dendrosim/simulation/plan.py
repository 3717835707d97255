"""A plan: a model under a protocol as Brian2 text and numbers, independent of the device.

Everything that affects compilation is text.  Everything else is a number that a compiled program
reads when it starts: parameters, initial state, amplitudes, sampled signals, time step and
duration.  `devices` executes a plan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from brian2 import Quantity

from dendrosim import checks
from dendrosim.devices import group_size, signals
from dendrosim.errors import DendrosimError, did_you_mean
from dendrosim.model.expressions import Expression
from dendrosim.model.model import Model
from dendrosim.model.quantities import parse_unit, unit_text
from dendrosim.simulation.grids import grids_of, neurons_of
from dendrosim.simulation.inputs import Inputs, inputs_of, spread_over
from dendrosim.simulation.protocol import Protocol
from dendrosim.time_grid import multiple_of

MAX_NEURONS = 10_000_000
MAX_STEPS = 10_000_000_000
MAX_RECORDED = 1_000_000_000


@dataclass(frozen=True, eq=False)
class Plan:
    """The simulation that a device executes.

    Attributes
    ----------
    equations
        Lines of the neuron group.
    update
        Statements executed once per step, for a discrete model.
    threshold, refractory, reset
        Brian2 text, or None (a refractory time is the parameter ``run_refractory``).
    method
        Integration method, or None for a discrete model.
    neurons
        Number of neurons.
    values
        Name to SI value: a float, or an array of one value per neuron.
    samples
        Name of a sampled signal to its values.
    states
        Names of the state variables.
    potentials
        Names of the state variables that are potentials in volt.
    record
        Names to record.
    record_neurons
        Neurons to record, None for all.
    dt, duration, record_dt
        Seconds.
    room
        Least capacity of the arrays of a C++ program, so that runs of fewer neurons share it.
    """

    equations: tuple[str, ...]
    update: tuple[str, ...]
    threshold: str | None
    refractory: str | None
    reset: str
    method: str | None
    neurons: int
    values: Mapping[str, float | np.ndarray]
    samples: signals.Samples
    states: tuple[str, ...]
    potentials: tuple[str, ...]
    record: tuple[str, ...]
    record_neurons: np.ndarray | None
    dt: float
    duration: float
    record_dt: float
    units: Mapping[str, str] = field(default_factory=dict)
    room: int = 0

    @property
    def capacity(self) -> int:
        """Capacity of the arrays of a C++ program."""
        return group_size.room(max(self.neurons, self.room))

    @property
    def structure(self) -> dict:
        """Every property whose change requires a new compilation, as plain values."""
        room = self.capacity
        shapes = {name: signals.room(own, room) for name, own in self.samples.items()}
        return {
            "equations": self.equations, "update": self.update, "threshold": self.threshold,
            "refractory": self.refractory, "reset": self.reset, "method": self.method,
            "room": room, "record": self.record, "samples": shapes,
            "potentials": self.potentials,
            "record_every": self.record_every,
        }  # fmt: skip

    @property
    def record_every(self) -> int:
        """Number of steps from one recorded sample to the next."""
        every = multiple_of(self.record_dt, self.dt)
        assert every is not None  # `make_plan` makes it a multiple
        return every

    @property
    def recorded(self) -> np.ndarray:
        """Indices of the recorded neurons."""
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
    room: int = 0,
) -> Plan:
    """Combine a model and a protocol into a plan.

    Parameters
    ----------
    model, protocol
        Model and protocol to simulate.
    dt
        Time step in seconds.
    method
        Integration method; None for a discrete model.
    n
        Neurons per point of the grids.
    record
        Names of the state variables or subexpressions to record.
    record_dt
        Seconds between recorded samples, a multiple of `dt`; None for every step.
    record_neurons
        Indices of the neurons to record; None for all.
    room
        Least capacity of the arrays of a C++ program.

    Raises
    ------
    DendrosimError
        If the model and the protocol do not fit together.
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
    found = inputs_of(model, protocol, neurons, duration, dt)
    names = recordable(model)
    _check_names(record, names, model)
    every = _every(record_dt, dt)
    threshold, refractory = _spikes(model)
    return Plan(
        equations=_own_equations(found, model),
        update=tuple(statement.code for statement in model.update),
        threshold=threshold,
        refractory=refractory,
        reset="\n".join(statement.code for statement in model.reset),
        method=method,
        neurons=neurons,
        values=found.values,
        samples=found.samples,
        states=model.states,
        potentials=_in_volt(model),
        record=tuple(record),
        record_neurons=chosen if record else None,
        dt=dt,
        duration=duration,
        record_dt=every * dt,
        units={name: names[name] for name in record},
        room=room,
    )


def _own_equations(found: Inputs, model: Model) -> tuple[str, ...]:
    """Return the model's equations, then those of its inputs; add the model's values to `found`."""
    parameters = {name: value for name, value in model.values().items() if _is_read(name, model)}
    if isinstance(model.refractory, Quantity):
        parameters["run_refractory"] = model.refractory
    for name, value in parameters.items():
        found.declare(name, value, value.dim)
    for name, value in model.initial.items():
        found.values[name] = spread_over(name, np.asarray(value, dtype=float), found.neurons)
    if model.kind == "continuous":
        own = [e.text for e in model.equations if e.kind != "input"]
    else:
        own = [f"{name} : 1" for name in model.states]
    return (*own, *found.lines)


def _check_names(record: Sequence[str], known: Mapping[str, str], model: Model) -> None:
    for name in record:
        if not isinstance(name, str) or name not in known:
            raise DendrosimError(
                f"{model.name}: cannot record {name!r}; {did_you_mean(name, known)}"
            )


def _every(record_dt: float | None, dt: float) -> int:
    """Return the number of steps between recorded samples."""
    every = 1 if record_dt is None else multiple_of(record_dt, dt)
    if every is None:
        raise DendrosimError(f"record_dt = {record_dt:g} s is not a multiple of dt = {dt:g} s")
    return every


def _in_volt(model: Model) -> tuple[str, ...]:
    if model.kind == "discrete":
        return ()
    volt = parse_unit("volt").dim
    return tuple(dict.fromkeys(v for v in model.potentials.values() if model.dims[v] is volt))


def _chosen(wanted: Any, neurons: int) -> np.ndarray | None:
    """Return the indices of the neurons to record, None for all."""
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
    """Refuse a simulation that would exceed any memory before it starts."""
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


def recordable(model: Model) -> dict[str, str]:
    """Return the names that can be recorded, with their SI units."""
    if model.kind == "continuous":
        return {e.name: unit_text(e.dim) for e in model.equations}
    return dict.fromkeys([*model.states, *model.inputs.values()], "1")


def _spikes(model: Model) -> tuple[str | None, str | None]:
    if model.kind == "discrete":
        return f"{model.output} > 0.5", None
    if isinstance(model.refractory, Quantity):
        return model.threshold.text if model.threshold else None, "run_refractory"
    threshold, refractory = model.threshold, model.refractory
    return threshold.text if threshold else None, refractory.text if refractory else None
