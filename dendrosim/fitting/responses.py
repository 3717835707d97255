"""Responses of candidates: potential and spikes under each stimulus of a protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from brian2 import Quantity
from numpy.typing import NDArray

from dendrosim.fitting.features import Response
from dendrosim.model.model import Model
from dendrosim.model.parts import time_step
from dendrosim.simulation import neuron_axis
from dendrosim.simulation.protocol import Protocol
from dendrosim.simulation.recording import Recording, volts
from dendrosim.simulation.run import trace_step
from dendrosim.sweeps.packing import ROOM, Pack, neurons_at_once, pack, run_pack
from dendrosim.time_grid import step_at

Array = NDArray[np.float64]
#: A sample is at a time if both differ by less than this part of a step: text has few digits.
SAME = 1e-4


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

    def step_of(self, model: Model) -> Any:
        """Return the time step of the runs of a model; None if it has none."""
        given = None if model.kind == "discrete" else self.dt
        return model.dt if given is None else time_step(given, "dt")

    def of(self, model: Model, times: Array | None = None) -> dict[str, Any]:
        """Return the settings of the runs of a model whose potential is compared at `times`."""
        discrete = model.kind == "discrete"
        step, soma = self.step_of(model), model.potentials.get("soma")
        return {
            "method": None if discrete else self.method, "dt": None if discrete else self.dt,
            "dtype": self.dtype, "record": [soma] if soma else [],
            "record_dt": _record_step(step, times) if soma and step is not None else None,
        }  # fmt: skip


def _record_step(step: Any, times: Array | None) -> Any:
    """Return the largest multiple of a step, about `TRACE_STEP`, that has samples at `times`.

    The step itself if there is none: then the potential is interpolated between its samples.
    """
    usual = trace_step(step)
    if times is None or len(times) < 2:
        return usual
    apart = trace_step(step, float(times[-1] - times[0]) / (len(times) - 1))
    return next((one for one in (usual, apart) if are_samples(times, float(one))), step)


def are_samples(times: Array, step: float) -> bool:
    """Whether all times are multiples of a step."""
    return bool((np.abs(times - step_at(times, step) * step) <= SAME * step).all())


def respond(
    model: Model, protocol: Protocol, values: Mapping[str, Quantity], points: int, runs: Runs,
    times: Array | None = None,
) -> list[list[Response] | None]:  # fmt: skip
    """Run candidates and return the responses of each, or None for one that diverged.

    Parameters
    ----------
    values
        Full name to one value per candidate.
    points
        Number of candidates.
    times
        Where the potentials are needed in s: at the samples of a target, because the peak of a
        spike depends on them.  About every `TRACE_STEP` by default.
    """
    own_settings = runs.of(model, times)
    finer = 1.0  # a finer record needs more memory
    if own_settings["record_dt"] is not None:
        finer = max(1.0, float(trace_step(runs.step_of(model)) / own_settings["record_dt"]))
    most = max(1, int(neurons_at_once(protocol, ROOM) / finer) // protocol.size)
    found: list[list[Response] | None] = []
    for first in range(0, points, most):
        part = slice(first, min(first + most, points))
        own = {key: value[part] for key, value in values.items()}
        packed = pack(model, protocol, own, points=part.stop - part.start)
        settings = own_settings | {"room": min(ROOM, neurons_at_once(protocol, ROOM))}
        recording = run_pack(packed, device=runs.device, threads=runs.threads, **settings)
        found += _split(recording, packed, times)
    return found


def _split(recording: Recording, packed: Pack, times: Array | None) -> list[list[Response] | None]:
    trains, v = recording.trains, volts(recording)
    at = recording.times
    if v is not None and times is not None:
        at, v = _at(times, at, v)
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
            Response(trains[n], at, None if v is None else v[:, n], start, stop,
                     float(onset[n]))
            for n in neurons
        ])  # fmt: skip
    return result


def _at(times: Array, own: Array, v: Array) -> tuple[Array, Array]:
    """Return those of the times that a run covers, and its potentials there."""
    step = float(own[1] - own[0]) if len(own) > 1 else 1.0
    times = times[(times >= own[0] - SAME * step) & (times <= own[-1] + SAME * step)]
    if are_samples(times, step):
        return times, v[step_at(times, step)]
    at = np.clip(np.searchsorted(own, times), 1, len(own) - 1)
    part = ((times - own[at - 1]) / step)[:, None]
    return times, v[at - 1] * (1 - part) + v[at] * part
