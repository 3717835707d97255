"""The job that simulates unconnected neurons: a plan as Brian2 objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import brian2 as b2
import numpy as np

from dendrosim.devices import group_size, signals
from dendrosim.devices.job import Built, Done, control_group
from dendrosim.simulation.plan import Plan
from dendrosim.time_grid import step_at

TIME = "run_refractory"  # the parameter of a plan that holds a refractory time
HELD, LAST = "run_held", "run_last"
LONG_AGO = -1e4  # initial value of the time of the last spike, in seconds


class Spiking(NamedTuple):
    """Spike generation: declarations, condition, reset, and statements before integration."""

    lines: tuple[str, ...]
    threshold: str | None
    reset: str
    before: str


def _spiking(plan: Plan) -> Spiking:
    """Return spike generation as text; refractoriness has the same meaning as in Brian2.

    A refractory neuron cannot spike, but is still integrated.  Brian2 would test this in the
    integration loop and store the result in one byte per neuron.  With such bytes in the loop,
    GCC vectorizes the loop over 64 neurons. Their doubles need more registers than a processor has.
    """
    if plan.threshold is None or plan.refractory is None:
        return Spiking((), plan.threshold, plan.reset, "")
    if plan.refractory == TIME:
        over = f"timestep(t - {LAST}, dt) >= timestep({TIME}, dt)"
        after = f"{plan.reset}\n{LAST} = t"
        return Spiking((f"{LAST} : second",), f"({plan.threshold}) and {over}", after, "")
    return Spiking(
        (f"{HELD} : boolean",),
        f"({plan.threshold}) and not {HELD}",
        f"{plan.reset}\n{HELD} = True",
        f"{HELD} = {HELD} and ({plan.refractory})",
    )


@dataclass(frozen=True, eq=False)
class Result:
    """Spikes and traces in SI units.

    Attributes
    ----------
    spike_i, spike_t
        Neuron and time of each spike, in order of time, then neuron.  The time is that of the
        state that crossed the threshold: the end of the step in which it was computed.
    trace_t, traces
        Times, shape (samples,), and name to values, shape (samples, recorded neurons).
    """

    spike_i: np.ndarray
    spike_t: np.ndarray
    trace_t: np.ndarray
    traces: Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class NeuronJob:
    """A plan for a device.

    Parameters
    ----------
    plan
        Model and protocol as text and numbers.
    dtype
        Type of every variable except time.
    exact
        Whether the arrays of a program have exactly the size of the plan, without spare room.
    """

    plan: Plan
    dtype: str = "float64"
    exact: bool = False

    @property
    def structure(self) -> Mapping[str, Any]:
        """Every property whose change requires a new compilation."""
        return self.plan.structure

    @property
    def dt(self) -> float:
        """Time step in seconds."""
        return self.plan.dt

    @property
    def duration(self) -> float:
        """Duration in seconds."""
        return self.plan.duration

    @property
    def samples(self) -> signals.Samples:
        """Sampled signals."""
        return self.plan.samples

    def for_a_project(self) -> NeuronJob:
        """Return the job for a program whose numbers users read and replace."""
        return replace(self, exact=True)

    @property
    def rooms(self) -> dict[str, int]:
        """Allocated length of the arrays of a C++ program."""
        room = self.plan.neurons if self.exact else self.plan.capacity
        return {"neurons": room, "traces": room}

    @property
    def sizes(self) -> dict[tuple[str, str], int]:
        """Number of neurons and number of recorded neurons."""
        sizes = {("neurons", group_size.NEURONS): self.plan.neurons}
        if self.plan.record:
            sizes["traces", group_size.RECORDED] = len(self.plan.recorded)
        return sizes

    @cached_property
    def values(self) -> dict[tuple[str, str], Any]:
        """Numbers by group and variable."""
        values = {("neurons", name): value for name, value in self.plan.values.items()}
        if self.plan.refractory == TIME:
            values["neurons", LAST] = LONG_AGO
        if self.plan.record:
            values["traces", "_indices"] = self.plan.recorded.astype(np.int32)
        return values

    @property
    def potentials(self) -> tuple[str, ...]:
        """State variables that are potentials in volt."""
        return self.plan.potentials

    @property
    def what(self) -> str:
        """Method and step."""
        method = f"method {self.plan.method}, " if self.plan.method else ""
        return f"{method}dt {self.dt * 1e3:g} ms"

    def build(self) -> Built:
        """Create the neurons and their monitors."""
        plan, sized = self.plan, group_size.is_available()
        clock = b2.Clock(plan.dt * b2.second, name="steps")
        sampled = signals.make(self.samples, clock, self.rooms["neurons"])
        spiking = _spiking(plan)
        neurons = b2.NeuronGroup(
            self.rooms["neurons"] if sized else plan.neurons,
            "\n".join((*plan.equations, *spiking.lines)), method=plan.method,
            threshold=spiking.threshold, reset=spiking.reset or None, clock=clock, name="neurons",
            namespace={name: s.function for name, s in sampled.items()} | {"mS": b2.mS},
            dtype={LAST: np.float64},  # a time, as Brian2's t
        )  # fmt: skip
        if spiking.before:
            neurons.run_regularly(spiking.before, when="groups", order=-1, name="neurons_release")
        control = control_group(clock)
        groups = {"neurons": neurons} | {name: s.group for name, s in sampled.items()}
        network = b2.Network(control, *groups.values())
        if plan.update:
            neurons.run_regularly("\n".join(plan.update), when="groups", name="neurons_update")
        outputs: dict[str, Any] = {}
        slower: dict[b2.Clock, int] = {}
        monitors = []
        if plan.threshold:
            spikes = b2.SpikeMonitor(neurons, name="spikes")
            outputs |= {"spike_i": spikes.variables["i"], "spike_t": spikes.variables["t"]}
            monitors.append(spikes)
        if plan.record:
            if plan.record_every > 1:
                slower[b2.Clock(plan.record_dt * b2.second, name="samples")] = plan.record_every
            of = neurons, list(plan.record)
            options = {"clock": next(iter(slower), clock), "name": "traces"}
            if sized:
                traces = group_size.Traces(*of, **options)
            else:
                chosen = plan.record_neurons
                traces = b2.StateMonitor(*of, record=True if chosen is None else chosen, **options)
                traces.variables["_indices"].read_only = False  # set with the other values
            groups["traces"] = traces
            outputs |= {f"trace.{name}": traces.variables[name] for name in plan.record}
            outputs["trace_t"] = traces.variables["t"]
            monitors.append(traces)
        network.add(monitors)
        if sized:
            group_size.let_vary(neurons)
        return Built(
            network=network, clock=clock, control=control, groups=groups,
            outputs=outputs, finite={name: neurons.variables[name] for name in plan.states},
            slower=slower, keep=(sampled, monitors),
            read_by_functions=tuple(v for s in sampled.values() for v in s.variables),
        )  # fmt: skip

    def result(self, done: Done) -> Result:
        """Return spikes and traces from a device's arrays."""
        empty = np.zeros(0)
        i, t = done.arrays.get("spike_i", empty), done.arrays.get("spike_t", empty)
        if not _in_order(i, t):  # most devices write them so; sorting 80 million takes 10 s
            order = np.lexsort((i, t))
            i, t = i[order], t[order]
        # Brian2 stores the beginning of the step, but the state crossed at the end of the step.
        # The time is the number of the step times dt, because summed steps add rounding errors.
        at = (step_at(t, self.dt) + 1) * self.dt
        trace_t = done.arrays.get("trace_t", empty)
        traces = {
            name: np.asarray(done.arrays[f"trace.{name}"]).reshape(len(trace_t), -1)
            for name in self.plan.record
        }
        i = i.astype(np.int64)
        if done.diverged and len(i):
            last = np.full(1 + max(int(i.max()), *done.diverged), np.inf)
            last[list(done.diverged)] = [within for within, _ in done.diverged.values()]
            kept = at <= last[i]
            i, at = i[kept], at[kept]
        for neuron, (within, _) in done.diverged.items() if traces else ():
            column, late = self.plan.recorded == neuron, trace_t > within
            for name, values in traces.items():
                gone = late[:, None] & column
                traces[name] = np.where(gone, np.nan, values) if gone.any() else values
        return Result(i, at, trace_t, traces)


def _in_order(i: np.ndarray, t: np.ndarray) -> bool:
    """Whether spikes are sorted by time, and those of one time by neuron."""
    later, same = t[1:] > t[:-1], t[1:] == t[:-1]
    return bool((later | (same & (i[1:] > i[:-1]))).all())
