"""What linear theory cannot give: gain, threshold and resets, adjusted on stimulation protocols.

The gain comes first, in closed form: below threshold the potential is linear in it, so it is the
least-squares factor between the linear response and the biophysical neuron's, over all neurons
that never fire.  Threshold and resets then follow the firing rates by differential evolution
(Storn and Price 1997); a population of candidates is one group of neurons with a value each, so
that a generation is a single run of the compiled model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from dendrosim.errors import DendrosimError
from dendrosim.measures import coincidence_factor
from dendrosim.measures.trains import counts_in_window, in_window
from dendrosim.model.model import Model
from dendrosim.model.quantities import quantity
from dendrosim.progress import progress_bar
from dendrosim.reduction.reduced import Reduction
from dendrosim.simulation.protocol import Protocol
from dendrosim.simulation.protocol_files import load_protocol
from dendrosim.simulation.recording import Recording
from dendrosim.simulation.run import simulate

Array = np.ndarray

#: Range in which each is searched: threshold and somatic reset in units of linear theory's
#: threshold, the dendritic reset in units of the somatic one.  They are wide: the pause after a
#: burst of Kepecs and Wang takes resets that no potential of a cell has.
BOUNDS = {"V_th": (0.1, 10.0), "rho": (0.1, 100.0), "gamma": (0.0, 10.0)}
_IN_UNITS_OF = {"V_th": "thresholds of linear theory", "gamma": "somatic resets"}
_IN_UNITS_OF["rho"] = _IN_UNITS_OF["V_th"]
#: Spikes at most this far apart coincide in the report of a fit (s), which judges the timing of
#: whole runs; a comparison is stricter (`protocol_measures.COINCIDENCE`).
FIT_COINCIDENCE = 5e-3


@dataclass(frozen=True, eq=False)
class Target:
    """A protocol, what the biophysical neuron did under it, and the currents it was given."""

    protocol: Protocol
    recording: Recording
    currents: Mapping[str, Array]
    voltage: Array

    @property
    def window(self) -> tuple[float, float]:
        """The measured window in seconds."""
        return self.protocol.measure

    @property
    def rates(self) -> Array:
        """Firing rates in the measured window, one a neuron, in hertz."""
        start, stop = self.window
        return counts_in_window(self.recording.trains, start, stop) / (stop - start)

    @property
    def silent(self) -> Array:
        """Which neurons never fire."""
        return np.array([len(train) == 0 for train in self.recording.trains])


def fit_reduction(
    reduction: Reduction,
    model: Model,
    fit: Sequence[str | Protocol],
    unseen: Sequence[str | Protocol] = (),
    *,
    device: str = "cpp",
    dt: Any = None,
    generations: int = 30,
    population: int = 48,
    seed: int = 0,
    progress: bool | None = None,
) -> Reduction:
    """Adjust threshold, resets and gain of a reduction.

    Parameters
    ----------
    reduction, model
        The reduced neuron and the biophysical one that it should follow.
    fit, unseen
        Protocols (or names) to adjust on, and to judge on besides.
    device, dt
        For the biophysical neuron; its own time step by default.
    generations, population, seed
        Of differential evolution.
    progress
        Whether to show a progress bar; on a terminal by default.

    Returns
    -------
    Reduction
        With V_th = 1 in a new unit of potential, and a `report`.

    Raises
    ------
    DendrosimError
        If there is nothing to fit on.
    """
    if not fit:
        raise DendrosimError("fit needs at least one protocol")
    options = {"device": device, "dt": dt, "progress": progress}
    targets = [_target(reduction, model, p, options) for p in fit]
    if all(target.silent.all() for target in targets):
        names = ", ".join(target.protocol.name for target in targets)
        raise DendrosimError(
            f"{model.name} never fires under {names}, so there is no rate to fit threshold and "
            "resets on; give a protocol under which it fires, such as fi_curve"
        )
    others = [_target(reduction, model, p, options) for p in unseen]
    fitted = _with_gain(reduction, _gain(reduction, targets))
    best, notes = _search(fitted, targets, device, generations, population, seed, progress)
    fitted = _with_threshold(fitted, **best)
    return replace(fitted, report=_report(reduction, fitted, targets, others), notes=notes)


def _search(
    reduction: Reduction, targets: list[Target], device: str, generations: int, population: int,
    seed: int, progress: bool | None,
) -> tuple[dict[str, float], tuple[str, ...]]:  # fmt: skip
    """Return the threshold and resets whose firing rates are nearest, and which lie at a bound."""
    from scipy.optimize import differential_evolution

    names = list(BOUNDS)
    bounds = np.array([BOUNDS[name] for name in names])
    logarithmic = bounds[:, 0] > 0
    bounds[logarithmic] = np.log(bounds[logarithmic])

    def decode(x: Array) -> dict[str, Array]:
        values = np.where(logarithmic[:, None], np.exp(np.where(logarithmic[:, None], x, 0)), x)
        result = dict(zip(names, values, strict=True))
        result["gamma"] = result["gamma"] * result["rho"] * result["V_th"]
        return result

    def cost(x: Array) -> Array:
        candidates = decode(x.reshape(len(names), -1))
        return sum(_rate_error(reduction.model, t, candidates, device) for t in targets)

    with progress_bar(progress, f"fitting {reduction.model.name}") as tell:
        done = iter(range(1, generations + 1))
        result = differential_evolution(
            cost, bounds, maxiter=generations, popsize=max(2, population // len(names)),
            rng=np.random.default_rng(seed), polish=False, updating="deferred", vectorized=True,
            x0=np.where(logarithmic, 0.0, bounds[:, 0]), tol=1e-3,
            callback=lambda *_, **__: tell and tell(next(done, generations) / generations),
        )  # fmt: skip
    best = {name: float(v[0]) for name, v in decode(result.x[:, None]).items()}
    return best, tuple(_at_bound(names, result.x, bounds))


def _at_bound(names: Sequence[str], x: Array, bounds: Array) -> Iterator[str]:
    """Yield a sentence for each value that the search left within a hundredth of a bound."""
    near = np.abs(x[:, None] - bounds) <= 0.01 * np.ptp(bounds, axis=1)[:, None]
    for name, (low, high) in zip(names, near, strict=True):
        if low or high:
            bound = BOUNDS[name][0 if low else 1]
            yield (
                f"{name} was searched from {BOUNDS[name][0]:g} to {BOUNDS[name][1]:g} "
                f"{_IN_UNITS_OF[name]} and ended near {bound:g}: the best value may lie beyond."
            )


def _rate_error(
    model: Model, target: Target, candidates: Mapping[str, Array], device: str
) -> Array:
    """Return the relative error of the firing rates, one for each candidate."""
    number = len(next(iter(candidates.values())))
    neurons = target.recording.n
    # In a run the grid of the protocol goes slowest and the candidates fastest
    values = {name: np.tile(v, neurons) for name, v in candidates.items()}
    run = simulate(
        model.with_(parameters=values), target.protocol, n=number, grids="zip", record=[],
        device=device,
        progress=False,
    )  # fmt: skip
    start, stop = target.window
    inside = run.spike_i[in_window(run.spike_t, start, stop)]
    counts = np.bincount(inside, minlength=run.n).reshape(neurons, number)
    errors = counts / (stop - start) - target.rates[:, None]
    scale = max(float(np.sqrt(np.mean(target.rates**2))), 1.0)
    return np.sqrt(np.mean(errors**2, axis=0)) / scale


def _target(reduction: Reduction, model: Model, given: str | Protocol, options: dict) -> Target:
    protocol = given if isinstance(given, Protocol) else load_protocol(given)
    step = float(reduction.model.dt)
    own = float(quantity(options["dt"] or model.dt))
    every = max(1, round(step / own))
    if abs(every * own - step) > 1e-9 * step:
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
    """Walk a scaled discrete model in numpy, one step at a time.

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
    ports = {
        port: sum(float(g) * currents[place] for place, g in gains.items())
        + model.scales.bias.get(port, 0.0)
        for port, gains in model.scales.current.items()
    }
    state = {name: np.asarray(model.initial[name], dtype=float) for name in model.states}
    for step in range(len(next(iter(currents.values())))):
        values |= {port: signal[step] for port, signal in ports.items()}
        for statement in model.update:
            state[statement.target] = statement.expression(values | state)
        yield dict(state)


def _gain(reduction: Reduction, targets: list[Target]) -> float:
    """Return the factor on all input that brings the linear response nearest to the target's."""
    never = reduction.model.with_(parameters={"V_th": 1e9})
    product = square = 0.0
    for target in targets:
        silent = target.silent
        if not silent.any():
            continue
        quiet = {place: current[:, silent] for place, current in target.currents.items()}
        volts = np.array([state["U_S"] * np.ones(silent.sum()) for state in walk(never, quiet)])
        volts *= float(reduction.model.scales.voltage)
        wanted = target.voltage[1:, silent] - float(reduction.held)
        product += float(np.sum(volts[:-1] * wanted))
        square += float(np.sum(volts[:-1] ** 2))
    return product / square if product > 0 else 1.0


def _with_gain(reduction: Reduction, gain: float) -> Reduction:
    """Return the reduction with all that is put in multiplied by `gain`."""
    scales = reduction.model.scales
    current = {
        port: MappingProxyType({place: g * gain for place, g in gains.items()})
        for port, gains in scales.current.items()
    }
    bias = {port: value * gain for port, value in scales.bias.items()}
    changed = replace(scales, current=MappingProxyType(current), bias=MappingProxyType(bias))
    return replace(reduction, model=replace(reduction.model, scales=changed))


def _with_threshold(reduction: Reduction, V_th: float, rho: float, gamma: float) -> Reduction:
    """Return the reduction with another threshold and resets, in the unit that makes V_th 1."""
    result = _with_gain(reduction, 1 / V_th)
    voltage = reduction.model.scales.voltage * V_th
    model = replace(
        result.model.with_(parameters={"rho": rho, "gamma": gamma / V_th, "V_th": 1.0}),
        scales=replace(result.model.scales, voltage=voltage),
        name=reduction.model.name.replace(")", ", fitted)"),
    )
    return replace(result, model=model, threshold=reduction.held + voltage)


def _report(before: Reduction, after: Reduction, fit: list[Target], unseen: list[Target]) -> Any:
    import pandas as pd

    rows = []
    for role, targets in (("fit", fit), ("unseen", unseen)):
        for target in targets:
            row = {"protocol": target.protocol.name, "role": role}
            row |= {"rate (Hz)": float(target.rates.mean())}
            for label, reduction in (("linear theory", before), ("fitted", after)):
                row |= {f"{k}, {label}": v for k, v in judge(reduction, target).items()}
            rows.append(row)
    return pd.DataFrame(rows)


def judge(reduction: Reduction, target: Target) -> dict[str, float]:
    """Return the errors of a reduced neuron under one protocol.

    Returns
    -------
    dict
        ``rate error (Hz)``: root of the mean square over neurons; ``coincidence``: mean Gamma of
        neurons of which one fires; ``voltage error (mV)``: of neurons that never fire (nan if
        all do).
    """
    model = reduction.model
    step = float(model.dt)
    start, stop = target.window
    neurons = target.recording.n
    fired = np.zeros((len(next(iter(target.currents.values()))), neurons), dtype=bool)
    volts = np.zeros(fired.shape)
    for k, state in enumerate(walk(model, target.currents)):
        fired[k] = state["S"] > 0.5
        volts[k] = state["U_S"]
    volts = float(model.scales.rest["U_S"]) + float(model.scales.voltage) * volts
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
