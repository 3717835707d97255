"""Fit of gain, threshold and resets to stimulation protocols, because linear theory has none.

The gain is fitted first, in closed form.  Below threshold the potential is linear in the gain, so
it is the least-squares factor between the linear response and that of the biophysical neuron, over
all neurons that never spike.  Threshold and resets are then fitted to the firing rates by
differential evolution (Storn and Price 1997).  A population of candidates is one group of neurons
with one value per neuron, so a generation is a single run of the compiled model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from dendrosim.errors import DendrosimError
from dendrosim.model.model import Model
from dendrosim.model.optional import scales_of
from dendrosim.progress import progress_bar
from dendrosim.reduction.reduced import Reduction
from dendrosim.reduction.targets import Array, Target, judge, rate_error, target_of, walk
from dendrosim.simulation.protocol import Protocol

#: Search ranges: threshold and somatic reset in units of the threshold from linear theory, the
#: dendritic reset in units of the somatic one.  They are wide because the pause after a burst of
#: Kepecs and Wang requires resets far outside the physiological range of potentials.
BOUNDS = {"V_th": (0.1, 10.0), "rho": (0.1, 100.0), "gamma": (0.0, 10.0)}
_IN_UNITS_OF = {"V_th": "thresholds of linear theory", "gamma": "somatic resets"}
_IN_UNITS_OF["rho"] = _IN_UNITS_OF["V_th"]


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
    """Fit threshold, resets and gain of a reduction.

    Parameters
    ----------
    reduction, model
        The reduced neuron, and the biophysical neuron as the target.
    fit, unseen
        Protocols (or names) for the fit, and for the evaluation afterwards.
    device, dt
        Device and time step for the biophysical neuron; by default its own time step.
    generations, population, seed
        Settings of differential evolution.
    progress
        Whether to show a progress bar; by default only on a terminal.

    Returns
    -------
    Reduction
        With V_th = 1 in a new unit of potential, and a `report`.

    Raises
    ------
    DendrosimError
        If there is no protocol to fit.
    """
    if not fit:
        raise DendrosimError("fit needs at least one protocol")
    options = {"device": device, "dt": dt, "progress": progress}
    targets = [target_of(reduction, model, p, options) for p in fit]
    if all(target.silent.all() for target in targets):
        names = ", ".join(target.protocol.name for target in targets)
        raise DendrosimError(
            f"{model.name} never fires under {names}, so there is no rate to fit threshold and "
            "resets on; give a protocol under which it fires, such as fi_curve"
        )
    others = [target_of(reduction, model, p, options) for p in unseen]
    fitted = _with_gain(reduction, _gain(reduction, targets))
    best, notes = _search(fitted, targets, device, generations, population, seed, progress)
    fitted = _with_threshold(fitted, **best)
    return replace(fitted, report=_report(reduction, fitted, targets, others), notes=notes)


def _search(
    reduction: Reduction, targets: list[Target], device: str, generations: int, population: int,
    seed: int, progress: bool | None,
) -> tuple[dict[str, float], tuple[str, ...]]:  # fmt: skip
    """Return threshold and resets with the best firing rates, and notes on values at a bound."""
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
        errors = (rate_error(reduction.model, t, candidates, device) for t in targets)
        return sum(errors, start=np.zeros(x.shape[1:]))

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
    """Yield a sentence for each value that ended within a hundredth of a bound."""
    near = np.abs(x[:, None] - bounds) <= 0.01 * np.ptp(bounds, axis=1)[:, None]
    for name, (low, high) in zip(names, near, strict=True):
        if low or high:
            bound = BOUNDS[name][0 if low else 1]
            yield (
                f"{name} was searched from {BOUNDS[name][0]:g} to {BOUNDS[name][1]:g} "
                f"{_IN_UNITS_OF[name]} and ended near {bound:g}: the best value may lie beyond."
            )


def _gain(reduction: Reduction, targets: list[Target]) -> float:
    """Return the input factor with which the linear response is closest to the target's."""
    never = reduction.model.with_(parameters={"V_th": 1e9})
    product = square = 0.0
    for target in targets:
        silent = target.silent
        if not silent.any():
            continue
        quiet = {place: current[:, silent] for place, current in target.currents.items()}
        volts = np.array([state["U_S"] * np.ones(silent.sum()) for state in walk(never, quiet)])
        volts *= float(scales_of(reduction.model).voltage)
        wanted = target.voltage[1:, silent] - float(reduction.held)
        product += float(np.sum(volts[:-1] * wanted))
        square += float(np.sum(volts[:-1] ** 2))
    return product / square if product > 0 else 1.0


def _with_gain(reduction: Reduction, gain: float) -> Reduction:
    """Return the reduction with all inputs multiplied by `gain`."""
    scales = scales_of(reduction.model)
    current = {
        port: MappingProxyType({place: g * gain for place, g in gains.items()})
        for port, gains in scales.current.items()
    }
    bias = {port: value * gain for port, value in scales.bias.items()}
    changed = replace(scales, current=MappingProxyType(current), bias=MappingProxyType(bias))
    return replace(reduction, model=replace(reduction.model, scales=changed))


def _with_threshold(reduction: Reduction, V_th: float, rho: float, gamma: float) -> Reduction:
    """Return the reduction with new threshold and resets, in units in which V_th is 1."""
    result = _with_gain(reduction, 1 / V_th)
    voltage = scales_of(reduction.model).voltage * V_th
    model = replace(
        result.model.with_(parameters={"rho": rho, "gamma": gamma / V_th, "V_th": 1.0}),
        scales=replace(scales_of(result.model), voltage=voltage),
        name=reduction.model.name.replace(")", ", fitted)"),
    )
    return replace(result, model=model, threshold=reduction.held + voltage)


def _report(before: Reduction, after: Reduction, fit: list[Target], unseen: list[Target]) -> Any:
    import pandas as pd

    rows = []
    for role, targets in (("fit", fit), ("unseen", unseen)):
        for target in targets:
            row: dict[str, Any] = {"protocol": target.protocol.name, "role": role}
            row |= {"rate (Hz)": float(target.rates.mean())}
            for label, reduction in (("linear theory", before), ("fitted", after)):
                row |= {f"{k}, {label}": v for k, v in judge(reduction, target).items()}
            rows.append(row)
    return pd.DataFrame(rows)
