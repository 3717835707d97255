"""The plan of a sweep: what every process that takes part in it has to know."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from typing import Any, NamedTuple

import numpy as np

from dendrosim.model.model import Model
from dendrosim.model.parts import time_step
from dendrosim.model.quantities import describe
from dendrosim.pickling import Pickled
from dendrosim.simulation.protocol import Protocol
from dendrosim.simulation.run import trace_step
from dendrosim.simulation.run_description import describe_stimuli
from dendrosim.sweeps.axes import set_value
from dendrosim.sweeps.design import Design
from dendrosim.sweeps.measures import Measure
from dendrosim.sweeps.packing import Pack, pack


class Samples(NamedTuple):
    """Which steps of a run are recorded."""

    every: int  #: steps from one recorded sample to the next
    measured: int  #: of the recorded samples, every so many are measured
    kept: int  #: of the recorded samples, every so many belong to the kept traces


@dataclass(frozen=True, eq=False)
class SweepPlan(Pickled):
    """A sweep, as a value that other processes get.

    Attributes
    ----------
    model, protocol
        What all points share.
    design
        The points.
    measures
        What is kept of each point.
    traces
        Recorded names whose traces are kept, too.
    spikes
        Whether the spike times are kept, too.
    chunk
        Points per run.
    room
        Capacity of the compiled program, in neurons.
    noisy
        Whether each point has its own noise.
    settings
        ``device``, ``method``, ``dt``, ``dtype``, ``threads`` of the runs.
    record_dt
        Step of the recorded traces in s; None for the default.
    """

    model: Model
    protocol: Protocol
    design: Design
    measures: tuple[Measure, ...]
    traces: tuple[str, ...]
    spikes: bool
    chunk: int
    room: int
    noisy: bool
    settings: dict[str, Any]
    record_dt: float | None

    @property
    def chunks(self) -> int:
        """Number of chunks; the last may be shorter."""
        return -(-self.design.points // self.chunk)

    def points_of(self, k: int) -> np.ndarray:
        """Return the points of a chunk."""
        return np.arange(k * self.chunk, min((k + 1) * self.chunk, self.design.points))

    def packs(self, points: np.ndarray) -> Iterator[tuple[np.ndarray, Pack]]:
        """Split points into groups that can run together; yield each group and its pack."""
        values = self.design.values(points)
        axes = {axis.key: axis for axis in self.design.axes}
        split = [values[key] for key, axis in axes.items() if not axis.of_neurons]
        groups = np.unique(np.stack(split), axis=1, return_inverse=True)[1].ravel() if split else (
            np.zeros(len(points), dtype=int)
        )  # fmt: skip
        for group in range(groups.max() + 1):
            (where,) = np.nonzero(groups == group)
            model, protocol = self.model, self.protocol
            for key in sorted(axes, key=lambda key: key not in ("model", "protocol")):
                axis = axes[key]
                if not axis.of_neurons:
                    value = axis.given(values[key][where[:1]])[0]
                    if key == "model":
                        model = value
                    elif key == "protocol":
                        protocol = value
                    else:
                        model, protocol = set_value(model, protocol, key, value)
            varied = {k: axes[k].given(v[where]) for k, v in values.items() if axes[k].of_neurons}
            noise = self.design.noise(points[where]) if self.noisy else None
            yield points[where], pack(model, protocol, varied, noise, len(where))

    def run_settings(self, model: Model) -> dict[str, Any]:
        """Return method, steps, type and recorded names of the runs of a model."""
        discrete = model.kind == "discrete"
        potential = any(measure.potential for measure in self.measures)
        soma = model.potentials.get("soma")
        record = list(dict.fromkeys([*([soma] if potential and soma else []), *self.traces]))
        return {
            "method": None if discrete else self.settings["method"],
            "dt": None if discrete else self.settings["dt"],
            "dtype": self.settings["dtype"],
            "record": record,
            "record_dt": self._step(model) * self.samples(model).every if record else None,
            "room": self.room,
        }

    def _step(self, model: Model) -> Any:
        given = None if model.kind == "discrete" else self.settings["dt"]
        return model.dt if given is None else time_step(given)

    def samples(self, model: Model) -> Samples:
        """Return which steps of a run are recorded, measured and kept.

        The measures of the potential do not depend on the step of the kept traces.
        """
        step = self._step(model)
        if step is None:
            return Samples(1, 1, 1)
        kept = round(float(trace_step(step, self.record_dt) / step))
        usual = round(float(trace_step(step) / step))
        if not any(measure.potential and not measure.identity for measure in self.measures):
            usual = kept
        every = math.gcd(kept, usual)
        return Samples(every, usual // every, kept // every)

    def trace_step(self, model: Model, every: int | None = None) -> float:
        """Return the time between every so many recorded samples in s; None for the kept ones."""
        step, own = self._step(model), self.samples(model)
        if step is None:
            return 0.0
        return float(own.every * (own.kept if every is None else every) * step)

    @cached_property
    def each(self) -> int:
        """Neurons per point: the length of the protocol's own grid."""
        return next(self.packs(np.arange(1)))[1].each

    @property
    def manifest(self) -> dict[str, Any]:
        """Everything that affects a result, as plain values."""
        models, protocols = self.wholes()
        return {
            "models": [_model_text(model) for model in models],
            "protocols": [protocol_text(protocol) for protocol in protocols],
            "design": self.design.kind,
            "axes": {axis.key: axis.text for axis in self.design.axes},
            "points": self.design.points,
            "repeats": self.design.repeats,
            "seed": self.design.seed,
            "frozen": self.design.frozen,
            "measures": {m.name: m.identity for m in self.measures},
            "traces": list(self.traces),
            "spikes": self.spikes,
            "record_dt": self.record_dt,
            "method": self.settings["method"],
            "dt": None if self.settings["dt"] is None else describe(self.settings["dt"]),
            "dtype": self.settings["dtype"],
            "device": self.settings["device"],
            "versions": {name: version(name) for name in ("dendrosim", "brian2", "numpy")},
        }

    def wholes(self) -> tuple[Sequence[Model], Sequence[Protocol]]:
        """Return the models and the protocols of the sweep."""
        axes = {axis.key: axis.source for axis in self.design.axes}
        return axes.get("model", (self.model,)), axes.get("protocol", (self.protocol,))


def _model_text(model: Model) -> dict[str, Any]:
    return {
        "name": model.name,
        "text and values": model.hash[:16],
        "method": model.method,
        "dt": None if model.dt is None else describe(model.dt),
    }


def protocol_text(protocol: Protocol) -> dict[str, Any]:
    """Return everything that a protocol is, as plain values."""
    stimuli = describe_stimuli(protocol)
    for stimulus, own in zip(protocol.stimuli, stimuli, strict=True):
        if stimulus.shape == "recorded":  # the file may have changed
            own["command"] = hashlib.sha256(stimulus.played.command.tobytes()).hexdigest()[:16]
    return {
        "name": protocol.name,
        "duration": describe(protocol.duration),
        "measure": list(protocol.window),
        "stimuli": stimuli,
    }
