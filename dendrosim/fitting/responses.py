"""Responses of candidates: potential and spikes under each stimulus of a protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from brian2 import Quantity

from dendrosim.fitting.features import Response
from dendrosim.model.model import Model
from dendrosim.model.parts import time_step
from dendrosim.simulation import neuron_axis
from dendrosim.simulation.protocol import Protocol
from dendrosim.simulation.recording import Recording, volts
from dendrosim.simulation.run import trace_step
from dendrosim.sweeps.packing import ROOM, Pack, neurons_at_once, pack, run_pack


@dataclass(frozen=True, eq=False)
class Runs:
    """How candidates are run.

    Attributes
    ----------
    device, method, dt, dtype, threads
        As in `simulate`.
    """

    device: str = "cpp"
    method: str | None = None
    dt: Any = None
    dtype: str = "float64"
    threads: int = 1

    def of(self, model: Model) -> dict[str, Any]:
        """Return the settings of the runs of a model."""
        discrete = model.kind == "discrete"
        given = None if discrete else self.dt
        step = model.dt if given is None else time_step(given, "dt")
        soma = model.potentials.get("soma")
        return {
            "method": None if discrete else self.method, "dt": given, "dtype": self.dtype,
            "record": [soma] if soma else [], "record_dt": trace_step(step) if soma else None,
        }  # fmt: skip


def respond(
    model: Model, protocol: Protocol, values: Mapping[str, Quantity], points: int, runs: Runs
) -> list[list[Response] | None]:
    """Run candidates and return the responses of each, or None for one that diverged.

    Parameters
    ----------
    values
        Full name to one value per candidate.
    points
        Number of candidates.
    """
    most = max(1, neurons_at_once(protocol, ROOM) // protocol.size)
    found: list[list[Response] | None] = []
    for first in range(0, points, most):
        part = slice(first, min(first + most, points))
        own = {key: value[part] for key, value in values.items()}
        packed = pack(model, protocol, own, points=part.stop - part.start)
        settings = runs.of(model) | {"room": min(ROOM, neurons_at_once(protocol, ROOM))}
        recording = run_pack(packed, device=runs.device, threads=runs.threads, **settings)
        found += _split(recording, packed)
    return found


def _split(recording: Recording, packed: Pack) -> list[list[Response] | None]:
    trains, v = recording.trains, volts(recording)
    onset = neuron_axis.onsets(packed.protocol, packed.neurons)
    lost = set(recording.diverged)
    start, stop = packed.protocol.window
    result: list[list[Response] | None] = []
    for point in range(packed.points):
        neurons = packed.neurons_of(point)
        if lost.intersection(neurons.tolist()):
            result.append(None)
            continue
        result.append([
            Response(trains[n], recording.times, None if v is None else v[:, n], start, stop,
                     float(onset[n]))
            for n in neurons
        ])  # fmt: skip
    return result
