"""Targets of a fit: a biophysical neuron under a protocol, compared with a reduced neuron."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dendrosim.errors import DendrosimError
from dendrosim.measures import coincidence_factor
from dendrosim.measures.trains import counts_in_window
from dendrosim.model.model import Model
from dendrosim.model.optional import dt_of, scales_of
from dendrosim.model.quantities import quantity
from dendrosim.reduction.reduced import Reduction
from dendrosim.reduction.timing import run_candidates
from dendrosim.simulation.protocol import Protocol
from dendrosim.simulation.protocol_files import load_protocol
from dendrosim.simulation.recording import Recording
from dendrosim.simulation.run import simulate
from dendrosim.time_grid import in_window, multiple_of

Array = np.ndarray


#: Largest distance of coinciding spikes in the report of a fit (s).  It applies to the timing of
#: whole runs; a comparison is stricter (`protocol_measures.COINCIDENCE`).
FIT_COINCIDENCE = 5e-3


@dataclass(frozen=True, eq=False)
class Target:
    """A protocol, the recording of the biophysical neuron, and the currents."""

    protocol: Protocol
    recording: Recording
    currents: Mapping[str, Array]
    voltage: Array

    @property
    def window(self) -> tuple[float, float]:
        """The measured window in seconds."""
        return self.protocol.window

    @property
    def rates(self) -> Array:
        """Firing rates in the measured window, one per neuron, in hertz."""
        start, stop = self.window
        return counts_in_window(self.recording.trains, start, stop) / (stop - start)

    @property
    def silent(self) -> Array:
        """Mask of the neurons that never spike."""
        return np.array([len(train) == 0 for train in self.recording.trains])


def rate_error(model: Model, target: Target, candidates: Mapping[str, Array], device: str) -> Array:
    """Return the relative error of the firing rates, one per candidate."""
    packed, run = run_candidates(model, target.protocol, candidates, device)
    start, stop = target.window
    inside = run.spike_i[in_window(run.spike_t, start, stop)]
    counts = packed.by_point(np.bincount(inside, minlength=run.n))
    errors = counts / (stop - start) - target.rates
    scale = max(float(np.sqrt(np.mean(target.rates**2))), 1.0)
    return np.sqrt(np.mean(errors**2, axis=1)) / scale


def target_of(reduction: Reduction, model: Model, given: str | Protocol, options: dict) -> Target:
    """Run the biophysical neuron under a protocol, sampled at the steps of the reduction.

    Raises
    ------
    DendrosimError
        If its time step is not a divisor of that of the reduction.
    """
    protocol = given if isinstance(given, Protocol) else load_protocol(given)
    step = float(dt_of(reduction.model))
    own = float(quantity(options["dt"] or model.dt))
    if multiple_of(step, own) is None:
        raise DendrosimError(
            f"{model.name}: its time step {own * 1e3:g} ms does not divide the reduction's "
            f"{step * 1e3:g} ms; give dt"
        )
    soma = model.potentials["soma"]
    recording = simulate(
        model, protocol, record=[soma], record_dt=reduction.model.dt,
        device=options["device"], dt=options["dt"], progress=options["progress"],
    )  # fmt: skip
    times = np.arange(round(float(protocol.duration) / step)) * step
    shares = model.shares()
    currents = {
        place: protocol.current(place, times, step, share=float(shares.get(place, 1.0)))
        for place in reduction.model.potentials
    }
    return Target(protocol, recording, currents, recording.voltage("soma"))


def walk(model: Model, currents: Mapping[str, Array]) -> Iterator[dict[str, Array]]:
    """Run a scaled discrete model in numpy, one step at a time.

    Parameters
    ----------
    model
        A discrete model with scales.
    currents
        Place to current density in SI units, shape (steps, neurons).

    Yields
    ------
    dict
        State after each step: name to array of shape (neurons,).
    """
    values = {name: np.asarray(v) for name, v in model.values().items()}
    scales = scales_of(model)
    ports: dict[str, Any] = {
        port: sum(float(g) * currents[place] for place, g in gains.items())
        + scales.bias.get(port, 0.0)
        for port, gains in scales.current.items()
    }
    state = {name: np.asarray(model.initial[name], dtype=float) for name in model.states}
    for step in range(len(next(iter(currents.values())))):
        values |= {port: signal[step] for port, signal in ports.items()}
        for statement in model.update:
            state[statement.target] = statement.expression(values | state)
        yield dict(state)


def judge(reduction: Reduction, target: Target) -> dict[str, float]:
    """Return the errors of a reduced neuron under one protocol.

    Returns
    -------
    dict
        ``rate error (Hz)``: root mean square over neurons; ``coincidence``: mean Gamma over
        neurons where at least one of both spikes; ``voltage error (mV)``: over neurons that
        never spike (nan if there are none).
    """
    model = reduction.model
    step, scales = float(dt_of(model)), scales_of(model)
    start, stop = target.window
    neurons = target.recording.n
    fired = np.zeros((len(next(iter(target.currents.values()))), neurons), dtype=bool)
    volts = np.zeros(fired.shape)
    for k, state in enumerate(walk(model, target.currents)):
        fired[k] = state["S"] > 0.5
        volts[k] = state["U_S"]
    volts = float(scales.rest["U_S"]) + float(scales.voltage) * volts
    times = (np.arange(len(fired)) + 1) * step
    rates = fired[in_window(times, start, stop)].sum(axis=0) / (stop - start)
    trains = [times[fired[:, k]] for k in range(neurons)]
    gammas = [
        coincidence_factor(reference, train, FIT_COINCIDENCE, target.recording.duration)
        for reference, train in zip(target.recording.trains, trains, strict=True)
        if len(reference) or len(train)
    ]
    gammas = [g for g in gammas if np.isfinite(g)]
    error = volts[:-1] - target.voltage[1:]
    silent = target.silent
    return {
        "rate error (Hz)": float(np.sqrt(np.mean((rates - target.rates) ** 2))),
        "coincidence": float(np.mean(gammas)) if gammas else float("nan"),
        "voltage error (mV)": (
            1e3 * float(np.sqrt(np.mean(error[:, silent] ** 2))) if silent.any() else float("nan")
        ),
    }
