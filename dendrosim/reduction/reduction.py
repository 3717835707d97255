"""From ion channels to reduced neurons: the linear, the adaptive and the spike-cut one.

The first two are discrete and share the four coefficients of the two-compartment neuron.

The linear part of a two-compartment model is ``dV/dt = J (V - V_0) + B (I - I_0)`` for the
potentials V of dendrite and soma.  Over one step of length dt it becomes

    U_D[t] = alpha_1 U_D[t-1] + beta_1 U_S[t-1] + I[t]        (Zhang et al. 2023, eq. 6)
    U_S[t] = alpha_2 U_S[t-1] + beta_2 U_D[t] + I_s[t]        (eq. 7 without the reset)

in three ways.  ``euler``: Supplement A, with the sign of the link current that conserves charge.
``exact``: the matrix exponential, which equals the linear part at every grid point for currents
that are constant over a step.  ``quasi_active``: the matrix exponential of the full model,
linearised at the holding potential, with instantaneous fast gates and constant slow gates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
from brian2 import Quantity

from dendrosim import checks
from dendrosim.devices import execute
from dendrosim.errors import DendrosimError
from dendrosim.fitting.searches import read_seeds
from dendrosim.model.expressions import parse_number
from dendrosim.model.model import Model
from dendrosim.model.optional import dt_of
from dendrosim.model.parts import Scales, time_step
from dendrosim.model.quantities import UNITS, parse_unit, quantity
from dendrosim.model.toml import as_model, load_model
from dendrosim.reduction.adaptive import fit_adaptive
from dendrosim.reduction.drive import usual_drives
from dendrosim.reduction.fit import fit_reduction
from dendrosim.reduction.linear import (
    PLACES,
    VOLT,
    LinearPart,
    euler,
    exact,
    linear_part,
    threshold_of,
)
from dendrosim.reduction.reduced import Reduction
from dendrosim.reduction.spike_cut import SpikeCut, spike_cut
from dendrosim.reduction.timing import timing_of
from dendrosim.simulation.protocol import Protocol
from dendrosim.simulation.protocol_files import as_protocol
from dendrosim.simulation.run import simulate

METHODS = ("exact", "euler", "quasi_active")
RUNGS = ("linear", "adaptive", "spike_cut")
#: Generations and candidates of the searches, if none are given.
SIZES = {"linear": (30, 48), "adaptive": (100, 64)}
#: A part of a potential that is kept over a step, below which nothing is.
NOTHING = 1e-2
_PER_DENSITY = parse_unit("meter**2/amp").dim


def reduce(
    model: Model,
    dt: Any,
    *,
    to: str = "linear",
    method: str | None = None,
    threshold: Any = None,
    holding: Any = None,
    fit: Sequence[str | Protocol] | None = None,
    unseen: Sequence[str | Protocol] = (),
    device: str = "cpp",
    fit_dt: Any = None,
    generations: int | None = None,
    population: int | None = None,
    seed: int | Sequence[int] | None = None,
    progress: bool | None = None,
) -> Reduction | SpikeCut:
    """Reduce a biophysical two-compartment neuron.

    Parameters
    ----------
    model
        A continuous model with a soma and a dendrite, or its name or path.
    dt
        Step of the reduced model.
    to
        ``"linear"``: the discrete neuron of eqs 6-8, which follows the neuron below threshold.
        ``"adaptive"``: model ``two_compartment_adaptive``, fitted to the times of spikes.
        ``"spike_cut"``: the neuron itself without the time course of its spikes, see `spike_cut`.
    method
        How the linear coefficients are computed: ``"exact"`` (the default), ``"euler"`` or
        ``"quasi_active"``, see the module.
    threshold
        Somatic potential for the discrete threshold; by default that at which rest becomes
        unstable (`Dynamics.threshold`).
    holding
        Somatic potential for U = 0, which is also where ``quasi_active`` linearises; by default
        rest, or 5 mV below threshold if rest is not stable.
    fit
        Protocols to fit.  The linear neuron adjusts threshold, resets and gain to them, by default
        to none; the others need protocols, by default noise around the rheobase, into the soma and
        into the dendrite.
    unseen
        Further protocols to evaluate the fitted neuron; by default, for ``"adaptive"`` without
        `fit`, other noise.
    device, fit_dt
        Device and time step for the biophysical neuron in the fit; by default its own step.
    generations, population, seed, progress
        Settings of the search: by default 30 generations of 48 candidates for ``"linear"``, 100 of
        64 for ``"adaptive"``, and seed 0.  ``"adaptive"`` takes several seeds and keeps the best
        search.

    Returns
    -------
    Reduction or SpikeCut
        The latter for ``"spike_cut"``.

    Raises
    ------
    DendrosimError
        If the model has no soma and dendrite, no threshold can be determined, the step is too
        long for the method, or an argument has no effect on this reduction.
    """
    model = as_model(model)
    checks.one_of(to, RUNGS, "unknown reduction")
    if to == "spike_cut":
        return _cut(
            model, dt, fit, device, method=method, threshold=threshold, holding=holding,
            fit_dt=fit_dt, generations=generations, population=population, seed=seed,
            unseen=", ".join(one.name for one in _protocols(unseen, "unseen")) or None,
        )  # fmt: skip
    method = "exact" if method is None else method
    checks.one_of(method, METHODS, "unknown method")
    sizes = search_sizes(to, fit is not None, generations, population)
    seeds = _seeds(seed, to, fit is not None)
    fits = None if fit is None else _protocols(fit, "fit")
    others = _protocols(unseen, "unseen")
    if others and fits is None and to == "linear":
        raise DendrosimError("reduce: unseen has protocols, but fit has none, so nothing is fitted")
    execute.check_device(device, 1)
    if fit_dt is not None:
        time_step(fit_dt, "reduce: fit_dt")
    if progress is not None:
        checks.flag(progress, "reduce: progress")
    for place in PLACES:
        if place not in model.potentials or place not in model.inputs:
            raise DendrosimError(f"{model.name} has no {place}: it cannot be reduced to two parts")
    step = float(time_step(dt))
    threshold, holding = _potential(threshold, "threshold"), _potential(holding, "holding")
    v_th = threshold_of(model, threshold)
    linear = linear_part(model, method, v_th, holding)
    coefficients, gains = (euler if method == "euler" else exact)(linear, step, model)
    reduction = _assemble(model, method, step, v_th, linear, coefficients, gains)
    if fits is None and to == "linear":
        return reduction
    if fits is None:
        fits = usual_drives(model, device)
        others = others or [one.with_(seed=1) for one in fits]
    if to == "adaptive":
        targets, unseen_targets = (
            [timing_of(model, one, device, fit_dt) for one in listed] for listed in (fits, others)
        )
        return fit_adaptive(
            reduction, model.name, targets, unseen_targets, device=device, progress=progress,
            seeds=seeds, **sizes,
        )  # fmt: skip
    return fit_reduction(
        reduction, model, fits, others, device=device, dt=fit_dt, progress=progress,
        seed=seeds[0], **sizes,
    )  # fmt: skip


def _cut(model: Model, dt: Any, fit: Any, device: str, **without: Any) -> SpikeCut:
    """Return the spike cut at a step; refuse what has no effect on it."""
    for name, value in without.items():
        if value is not None:
            raise DendrosimError(
                f"reduce: {name} = {checks.short(value)} has no effect on 'spike_cut', which "
                "is measured and not searched"
            )
    step = time_step(dt)
    drives = usual_drives(model, device) if fit is None else _protocols(fit, "fit")
    cut = spike_cut(model, drives, device=device)
    changed = cut.model.with_(dt=step)
    # the cut inherits the step of the neuron, which is short enough
    for drive in drives if step > dt_of(model) else ():
        run = simulate(changed, drive, record=[], device=device, diverged="nan", progress=False)
        if run.diverged:
            raise DendrosimError(
                f"reduce: at dt = {float(step) * 1e3:g} ms the spike cut of {model.name} diverges "
                f"under {drive.name}; take a shorter dt, such as its own of "
                f"{float(dt_of(model)) * 1e3:g} ms"
            )
    return replace(cut, model=changed)


def search_sizes(
    to: str, fitted: bool, generations: int | None, population: int | None
) -> dict[str, int]:
    """Return generations and candidates of the search; refuse them without a search."""
    given = {"generations": (generations, 1), "population": (population, 4)}
    usual = dict(zip(given, SIZES[to], strict=True))
    for name, (value, least) in given.items():
        if value is not None:
            _refuse_without_search(name, value, to, fitted)
            usual[name] = checks.whole(value, f"reduce: {name}", least=least)
    return usual


def _seeds(given: Any, to: str, fitted: bool) -> list[int]:
    """Return the seeds of the searches; refuse them without a search."""
    if given is None:
        return [0]
    _refuse_without_search("seed", given, to, fitted)
    seeds = read_seeds(given)
    if to == "linear" and len(seeds) > 1:
        raise DendrosimError(
            f"reduce: seed = {checks.short(given)}: the linear neuron is searched once; give one"
        )
    return seeds


def _refuse_without_search(name: str, value: Any, to: str, fitted: bool) -> None:
    if not fitted and to == "linear":
        raise DendrosimError(
            f"reduce: {name} = {checks.short(value)} has no effect without fit, because nothing is "
            "searched"
        )


def _potential(value: Any, name: str) -> float | None:
    """Return a potential as a single number in volt; None if not given."""
    if value is None:
        return None
    given = quantity(value, name, like=VOLT)
    if given.ndim:
        raise DendrosimError(f"{name} = {checks.short(value)} is a grid; give one potential")
    return float(given)


def _protocols(value: Any, name: str) -> list[Protocol]:
    """Return protocols, loading those given by name."""
    if not checks.is_row(value):
        raise DendrosimError(f"{name} = {checks.short(value)} should be a list of protocols")
    return [as_protocol(one) for one in value]


def _assemble(
    model: Model, method: str, dt: float, v_th: float, linear: LinearPart,
    coefficients: dict[str, float], gains: np.ndarray,
) -> Reduction:  # fmt: skip
    unit = v_th - linear.held[1]
    per_unit = gains / unit
    ports = dict(zip(("I", "I_s"), per_unit, strict=True))
    scales = Scales(
        voltage=Quantity(unit, dim=VOLT),
        rest=MappingProxyType(
            {
                "U_D": Quantity(linear.held[0], dim=VOLT),
                "U_S": Quantity(linear.held[1], dim=VOLT),
            }
        ),
        current=MappingProxyType(
            {
                port: {p: Quantity(g, dim=_PER_DENSITY) for p, g in zip(PLACES, row, strict=True)}
                for port, row in ports.items()
            }
        ),
        bias=MappingProxyType({port: -float(row @ linear.current) for port, row in ports.items()}),
    )
    base = load_model("two_compartment")
    reduced = base.with_(parameters=coefficients, dt=Quantity(dt, dim=UNITS["second"].dim))
    # a current density into either neuron refers to the same membrane area
    areas = {
        place: parse_number(repr(float(share)), f"areas.{place}")
        for place, share in model.shares().items()
        if place in PLACES
    }
    name = f"{model.name} ({method})"
    reduced = replace(reduced, name=name, scales=scales, areas=MappingProxyType(areas))
    return Reduction(
        model=reduced,
        method=method,
        threshold=Quantity(v_th, dim=VOLT),
        held=Quantity(linear.held[1], dim=VOLT),
        source=model.name,
        notes=tuple(_short_memory(coefficients, dt)),
    )


def _short_memory(coefficients: dict[str, float], dt: float) -> list[str]:
    """Return a sentence for each compartment that keeps nothing from step to step."""
    return [
        f"At dt = {dt * 1e3:g} ms the {place} keeps nothing of its own potential from step to step "
        f"({name} = {coefficients[name]:.2g}); a shorter dt would."
        for place, name in (("dendrite", "alpha_1"), ("soma", "alpha_2"))
        if coefficients[name] < NOTHING
    ]
