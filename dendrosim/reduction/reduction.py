"""From ion channels to the four coefficients of the generalised two-compartment neuron.

The linear part of a two-compartment model is ``dV/dt = J (V - V_0) + B (I - I_0)`` for the
potentials V of dendrite and soma.  Over one step of length dt it becomes

    U_D[t] = alpha_1 U_D[t-1] + beta_1 U_S[t-1] + I[t]        (Zhang et al. 2023, eq. 6)
    U_S[t] = alpha_2 U_S[t-1] + beta_2 U_D[t] + I_s[t]        (eq. 7 without the reset)

in three ways.  ``euler``: Supplement A, with the sign of the link current that conserves charge.
``exact``: the matrix exponential, equal to the linear part at every grid point for currents that
are constant over a step.  ``quasi_active``: the same of the full model linearised where it is held,
with its fast gates following at once and its slow gates standing still.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from brian2 import Quantity

from dendrosim import checks
from dendrosim.devices import execute
from dendrosim.errors import DendrosimError
from dendrosim.model.expressions import parse_number
from dendrosim.model.model import Model, Scales, time_step
from dendrosim.model.quantities import UNITS, parse_unit, quantity
from dendrosim.model.toml import as_model, load_model
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
from dendrosim.simulation.protocol import Protocol
from dendrosim.simulation.protocol_files import as_protocol

if TYPE_CHECKING:
    pass

METHODS = ("exact", "euler", "quasi_active")
_PER_DENSITY = parse_unit("meter**2/amp").dim


def reduce(
    model: Model,
    dt: Any,
    *,
    method: str = "exact",
    threshold: Any = None,
    holding: Any = None,
    fit: Sequence[str | Protocol] | None = None,
    unseen: Sequence[str | Protocol] = (),
    device: str = "cpp",
    fit_dt: Any = None,
    generations: int = 30,
    population: int = 48,
    seed: int = 0,
    progress: bool | None = None,
) -> Reduction:
    """Reduce a biophysical two-compartment neuron to the discrete one of eqs 6-8.

    Parameters
    ----------
    model
        A continuous model with a soma and a dendrite, or its name or path.
    dt
        Step of the discrete model.
    method
        ``"exact"``, ``"euler"`` or ``"quasi_active"`` (see the module).
    threshold
        Somatic potential that the threshold stands for; by default the one at which rest loses
        its stability (`Dynamics.threshold`).
    holding
        Somatic potential that U = 0 stands for, and around which ``quasi_active`` linearises; by
        default rest, or 5 mV below threshold where rest is not stable.
    fit
        Protocols on which threshold, resets and gain are adjusted; nothing is by default.
    unseen
        Protocols on which the fitted neuron is judged besides.
    device, fit_dt
        Of the biophysical neuron's runs that are fitted; its own time step by default.
    generations, population, seed, progress
        Of the fit, see `dendrosim.reduction.fit.fit_reduction`.

    Returns
    -------
    Reduction

    Raises
    ------
    DendrosimError
        If the model has no soma and dendrite, no threshold can be found, or the step is too long
        for the method.
    """
    model = as_model(model)
    checks.one_of(method, METHODS, "unknown method")
    if fit is not None:
        fit = _protocols(fit, "fit")
    unseen = _protocols(unseen, "unseen")
    if unseen and fit is None:
        raise DendrosimError("reduce: unseen has protocols, but fit has none, so nothing is fitted")
    execute.check_device(device, 1)
    for name, value, least in (
        ("generations", generations, 1), ("population", population, 1), ("seed", seed, 0)
    ):  # fmt: skip
        checks.whole(value, f"reduce: {name}", least=least)
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
    if fit is None:
        return reduction
    return fit_reduction(
        reduction, model, fit, unseen, device=device, dt=fit_dt, generations=generations,
        population=population, seed=seed, progress=progress,
    )  # fmt: skip


def _potential(value: Any, name: str) -> float | None:
    """Return a potential that is one number, in volt; None where none is given."""
    if value is None:
        return None
    given = quantity(value, name, like=VOLT)
    if given.ndim:
        raise DendrosimError(f"{name} = {checks.short(value)} is a grid; give one potential")
    return float(given)


def _protocols(value: Any, name: str) -> list[Protocol]:
    """Return protocols, loaded where names are given."""
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
    # a density into the reduced neuron is one into the model: it refers to the same membrane
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
    )
