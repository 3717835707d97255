"""Fit of gain, threshold and resets to stimulation protocols, because linear theory has none.

The gain is fitted first, in closed form.  Below threshold the potential is linear in the gain, so
it is the least-squares factor between the linear response and that of the biophysical neuron, over
all neurons that never spike.  Threshold and resets are then fitted to the firing rates by
differential evolution (Storn and Price 1997).  A population of candidates is one group of neurons
with one value per neuron, so a generation is a single run of the compiled model.

The resets are bounded: a spike at the threshold ends between -100 and 0 mV, as in a cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from dendrosim.errors import DendrosimError
from dendrosim.fitting.search import History, search
from dendrosim.model.model import Model
from dendrosim.model.optional import scales_of
from dendrosim.progress import progress_bar
from dendrosim.reduction.linear import LOWEST
from dendrosim.reduction.reduced import Reduction
from dendrosim.reduction.targets import Array, Target, judge, rate_error, target_of, walk
from dendrosim.simulation.protocol import Protocol

#: Search ranges: the threshold in units of that of linear theory; the somatic potential after a
#: spike, as a part of the way from the lowest one to the threshold; and the drop of the dendrite,
#: as a part of the same way.
BOUNDS = {"V_th": (0.1, 10.0), "reset": (0.0, 0.99), "gamma": (0.0, 1.0)}
#: Highest potential of a threshold and after a spike (V).
HIGHEST = 0.0
#: A value so near a bound, as a part of its range, is reported.
NEAR = 0.01


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
    report = _report(reduction, fitted, targets, others)
    return replace(fitted, report=report, notes=(*reduction.notes, *notes))


def _search(
    reduction: Reduction, targets: list[Target], device: str, generations: int, population: int,
    seed: int, progress: bool | None,
) -> tuple[dict[str, float], tuple[str, ...]]:  # fmt: skip
    """Return threshold and resets with the best firing rates, and notes on values at a bound."""
    space = _Space(reduction)

    def costs(x: Array) -> Array:
        candidates = space.values(x)
        errors = (rate_error(reduction.model, t, candidates, device) for t in targets)
        return sum(errors, start=np.zeros(len(x)))

    history = History(None, list(BOUNDS))
    with progress_bar(progress, f"fitting {reduction.model.name}") as tell:
        search(
            "de", costs, history, space.start, population=population, generations=generations,
            seed=seed, tell=lambda k: tell and tell(min(1.0, k / generations)),
        )  # fmt: skip
    x = history.best[0]
    return {name: float(v[0]) for name, v in space.values(x[None]).items()}, space.at_bound(x)


class _Space:
    """The values that are searched, at positions from 0 to 1."""

    def __init__(self, reduction: Reduction) -> None:
        scales = scales_of(reduction.model)
        self.unit = float(scales.voltage)
        self.soma, self.dendrite = (float(scales.rest[name]) for name in ("U_S", "U_D"))
        self.coefficients = reduction.coefficients
        # in units of the threshold of linear theory
        low, high = BOUNDS["V_th"]
        self.thresholds = low, max(1.0, min(high, (HIGHEST - self.soma) / self.unit))

    @property
    def start(self) -> Array:
        """The position of the threshold of linear theory, and a reset of the soma to U = 0."""
        low, high = self.thresholds
        reset = (self.soma - LOWEST) / (self.soma + self.unit - LOWEST)
        return np.array([np.log(1 / low) / np.log(high / low), reset / BOUNDS["reset"][1], 0.0])

    def values(self, x: Array) -> dict[str, Array]:
        """Return V_th, rho and gamma at positions, shape (candidates, 3)."""
        low, high = self.thresholds
        v_th = low * (high / low) ** x[:, 0]
        # where a spike at the threshold would leave both without a reset
        dendrite = (self.coefficients["alpha_1"] + self.coefficients["beta_1"]) * v_th
        soma = self.coefficients["alpha_2"] * v_th + self.coefficients["beta_2"] * dendrite
        gamma = _between("gamma", x[:, 2]) * (dendrite + (self.dendrite - LOWEST) / self.unit)
        lowest, highest = ((v - self.soma) / self.unit for v in (LOWEST, HIGHEST))
        after = np.minimum(lowest + _between("reset", x[:, 1]) * (soma - lowest), highest)
        # the soma also feels the reset of the dendrite; eq. 7 has rho in units of the threshold
        drop = np.maximum(soma - after - self.coefficients["beta_2"] * gamma, 0)
        return {"V_th": v_th, "rho": drop / v_th, "gamma": gamma}

    def at_bound(self, x: Array) -> tuple[str, ...]:
        """Return a sentence for each value that ended at a bound of its range."""
        v_th, reset, gamma = x
        low, high = (f"{(self.soma + self.unit * v) * 1e3:.3g} mV" for v in self.thresholds)
        ended = "ended near the bound of its range, {}: the best value may lie beyond."
        lowest = f"{LOWEST * 1e3:g} mV: a better fit to the rates may need resets that no cell has."
        told = {
            f"The threshold {ended.format(low)}": v_th,
            f"The threshold {ended.format(high)}": 1 - v_th,
            f"The soma is reset from the threshold to {lowest}": reset,
            "The somatic reset ended near 0, so the spike leaves the soma at the threshold.": 1
            - reset,
            f"The dendrite is reset by as much as from the threshold to {lowest}": 1 - gamma,
        }
        return tuple(text for text, distance in told.items() if distance <= NEAR)


def _between(name: str, position: Array) -> Array:
    low, high = BOUNDS[name]
    return low + position * (high - low)


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
