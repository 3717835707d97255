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

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from brian2 import Quantity
from scipy.linalg import expm

from dendrosim import checks, devices, library
from dendrosim.dynamics import Dynamics
from dendrosim.errors import DendrosimError
from dendrosim.model import Model, Scales, time_step
from dendrosim.model_table import as_model, load_model, to_table
from dendrosim.pickling import Pickled
from dendrosim.protocol import Protocol, as_protocol
from dendrosim.quantities import UNITS, parse_unit, quantity
from dendrosim.text import parse_number
from dendrosim.writing import replacing

if TYPE_CHECKING:
    import pandas as pd

METHODS = ("exact", "euler", "quasi_active")
COEFFICIENTS = ("alpha_1", "beta_1", "alpha_2", "beta_2")
_VOLT = UNITS["volt"].dim
_PER_DENSITY = parse_unit("meter**2/amp").dim
PLACES = ("dendrite", "soma")
# How far below threshold a neuron without a stable rest is held, in volt
BELOW_THRESHOLD = 5e-3


@dataclass(frozen=True, eq=False)
class Reduction(Pickled):
    """A discrete two-compartment neuron and what its numbers stand for.

    Attributes
    ----------
    model
        The ``two_compartment`` model with coefficients and scales; runs under any protocol.
    coefficients
        ``alpha_1``, ``beta_1``, ``alpha_2``, ``beta_2``, ``rho``, ``gamma``, ``V_th``.
    scales
        ``voltage`` (volts per unit of potential) and, for each port, the current density that is
        one unit of input (``I`` into the dendrite, ``I_s`` into the soma).
    method
        ``"exact"``, ``"euler"`` or ``"quasi_active"``.
    threshold, held
        Volt: the somatic potential at which V_th is reached and the one that 0 stands for.
    source
        Name of the reduced model.
    report
        After a fit: a DataFrame with a row a protocol, its role (``fit`` or ``unseen``) and errors.
    notes
        What to know of a fit, a sentence each: a value that lies at a bound of its search.
    """

    model: Model
    method: str
    threshold: Quantity
    held: Quantity
    source: str
    report: pd.DataFrame | None = None
    notes: tuple[str, ...] = ()

    @property
    def coefficients(self) -> Mapping[str, float]:
        """The numbers of eqs 6-8."""
        values = self.model.values()
        return {name: float(values[name]) for name in (*COEFFICIENTS, "rho", "gamma", "V_th")}

    @property
    def scales(self) -> Mapping[str, Quantity]:
        """Volts per unit of potential, and current density per unit of each input."""
        scales = self.model.scales
        units = {"voltage": scales.voltage}
        for port, place in {"I": "dendrite", "I_s": "soma"}.items():
            units[port] = 1 / scales.current[port][place]
        return units

    def save(self, path: str | os.PathLike) -> None:
        """Write the reduced neuron as a model file that `load_model` reads."""
        table = to_table(self.model)
        table["title"] = f"Two-compartment reduction of {self.source} ({self.method})"
        for parameter in table["parameters"].values():
            parameter["source"] = f"dendrosim reduce {self.source}, {self.method}"
        with replacing(path) as temporary:
            temporary.write_text(library.toml_text(table), encoding="utf-8")


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
        Of the fit, see `dendrosim.fitting.fit_reduction`.

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
    devices.check_device(device, 1)
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
    v_th = _given_threshold(model, threshold)
    linear = _linear_part(model, method, v_th, holding)
    coefficients, gains = (_euler if method == "euler" else _exact)(linear, step, model)
    reduction = _assemble(model, method, step, v_th, linear, coefficients, gains)
    if fit is None:
        return reduction
    from dendrosim.fitting import fit_reduction

    return fit_reduction(
        reduction, model, fit, unseen, device=device, dt=fit_dt, generations=generations,
        population=population, seed=seed, progress=progress,
    )  # fmt: skip


def _potential(value: Any, name: str) -> float | None:
    """Return a potential that is one number, in volt; None where none is given."""
    if value is None:
        return None
    given = quantity(value, name, like=_VOLT)
    if given.ndim:
        raise DendrosimError(f"{name} = {checks.short(value)} is a grid; give one potential")
    return float(given)


def _protocols(value: Any, name: str) -> list[Protocol]:
    """Return protocols, loaded where names are given."""
    if not checks.is_row(value):
        raise DendrosimError(f"{name} = {checks.short(value)} should be a list of protocols")
    return [as_protocol(one) for one in value]


@dataclass(frozen=True, eq=False)
class _Linear:
    """``dV/dt = jacobian (V - held) + inputs (I - current)``, in the order dendrite, soma."""

    jacobian: np.ndarray
    inputs: np.ndarray
    held: np.ndarray
    current: np.ndarray


def _given_threshold(model: Model, threshold: Any) -> float:
    if threshold is not None:
        given = threshold
        rest = _stable_rest(model)
        if given <= rest:
            raise DendrosimError(
                f"{model.name}: threshold = {given * 1e3:g} mV is not above its rest at "
                f"{rest * 1e3:.4g} mV; give one that the neuron has to be driven to"
            )
        return given
    found = Dynamics(model).threshold()
    if not np.isfinite(found):
        raise DendrosimError(
            f"{model.name}: rest stays stable at every potential, so linear theory has no "
            "threshold; give threshold='-55 mV'"
        )
    return found


def _stable_rest(model: Model) -> float:
    """Return the somatic potential of a stable rest, -inf for a neuron that has none."""
    dynamics = Dynamics(model)
    try:
        rest = dynamics.rest()
    except DendrosimError:  # it may still be held somewhere
        return -np.inf
    soma = float(rest[dynamics.states.index(model.potentials["soma"])])
    return soma if dynamics.stable(rest, {}) else -np.inf


def _linear_part(model: Model, method: str, v_th: float, holding: Any) -> _Linear:
    if method == "quasi_active":
        source = model
    elif "passive" in model.variants:
        source = model.variant("passive").with_(
            parameters={
                name: p.value
                for name, p in model.parameters.items()
                if name not in model.variants["passive"].get("parameters", {})
            }
        )
    else:
        raise DendrosimError(
            f"{model.name} has no variant 'passive' that says which conductances are active; "
            "use method 'quasi_active'"
        )
    dynamics = Dynamics(source)
    state, current = _held(dynamics, v_th, holding)
    by_state, by_input = dynamics.linearised(state, {"soma": current})
    order = [dynamics.states.index(source.potentials[place]) for place in PLACES]
    gates = [k for k in range(len(state)) if k not in order]
    jacobian, inputs = by_state[np.ix_(order, order)], by_input[order]
    if gates:
        jacobian = jacobian - _fast_gates(by_state, order, gates)
    columns = [list(source.inputs).index(place) for place in PLACES]
    return _Linear(jacobian, inputs[:, columns], state[order], np.array([0.0, current]))


def _held(dynamics: Dynamics, v_th: float, holding: Any) -> tuple[np.ndarray, float]:
    if holding is not None:
        potential = holding
        if potential >= v_th:
            raise DendrosimError(
                f"holding = {potential * 1e3:g} mV is not below the threshold {v_th * 1e3:g} mV"
            )
        return dynamics.held(potential)
    rest = dynamics.rest()
    soma = rest[dynamics.states.index(dynamics.model.potentials["soma"])]
    if dynamics.stable(rest, {}) and soma < v_th - 0.2 * BELOW_THRESHOLD:
        return rest, 0.0
    return dynamics.held(v_th - BELOW_THRESHOLD)


def _fast_gates(by_state: np.ndarray, order: list[int], gates: list[int]) -> np.ndarray:
    """Return the part of the Jacobian that gates faster than the membrane answer with.

    A gate that relaxes faster than the slower mode of the membrane follows the potentials at
    once (its equation is solved for it); a slower one stands still.
    """
    membrane = np.abs(np.linalg.eigvals(by_state[np.ix_(order, order)]).real).min()
    fast = [k for k in gates if -by_state[k, k] > membrane]
    if not fast:
        return np.zeros((2, 2))
    among = by_state[np.ix_(fast, fast)]
    return by_state[np.ix_(order, fast)] @ np.linalg.solve(among, by_state[np.ix_(fast, order)])


def _euler(linear: _Linear, dt: float, model: Model) -> tuple[dict[str, float], np.ndarray]:
    """Supplement A, eqs 18-19 with I_link leaving the dendrite; eq. 7 reads the new dendrite."""
    (dd, ds), (sd, ss) = linear.jacobian * dt
    coefficients = {"alpha_1": 1 + dd, "beta_1": ds, "alpha_2": 1 + ss, "beta_2": sd}
    if min(1 + dd, 1 + ss) <= 0:
        raise DendrosimError(
            f"{model.name}: dt = {dt * 1e3:g} ms is too long for the Euler form "
            f"(alpha_1 = {1 + dd:.3g}, alpha_2 = {1 + ss:.3g}); use a shorter one or 'exact'"
        )
    return coefficients, linear.inputs * dt


def _exact(linear: _Linear, dt: float, model: Model) -> tuple[dict[str, float], np.ndarray]:
    """Matrix exponential of potentials and constant currents together (Van Loan 1978)."""
    block = np.zeros((4, 4))
    block[:2, :2], block[:2, 2:] = linear.jacobian, linear.inputs
    step = expm(block * dt)
    (dd, ds), (sd, ss) = step[:2, :2]
    if dd <= 0:
        raise DendrosimError(f"{model.name}: over dt = {dt * 1e3:g} ms the dendrite changes sign")
    gains = step[:2, 2:]
    beta_2 = sd / dd  # eq. 7 reads U_D after its update
    coefficients = {"alpha_1": dd, "beta_1": ds, "alpha_2": ss - beta_2 * ds, "beta_2": beta_2}
    return coefficients, np.stack([gains[0], gains[1] - beta_2 * gains[0]])


def _assemble(
    model: Model, method: str, dt: float, v_th: float, linear: _Linear,
    coefficients: dict[str, float], gains: np.ndarray,
) -> Reduction:  # fmt: skip
    unit = v_th - linear.held[1]
    per_unit = gains / unit
    ports = dict(zip(("I", "I_s"), per_unit, strict=True))
    scales = Scales(
        voltage=Quantity(unit, dim=_VOLT),
        rest=MappingProxyType(
            {
                "U_D": Quantity(linear.held[0], dim=_VOLT),
                "U_S": Quantity(linear.held[1], dim=_VOLT),
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
        threshold=Quantity(v_th, dim=_VOLT),
        held=Quantity(linear.held[1], dim=_VOLT),
        source=model.name,
    )
