"""The linear part of a two-compartment model at its holding potential, and one step of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import expm

from dendrosim.errors import DendrosimError
from dendrosim.model.dynamics import Dynamics as Dynamics
from dendrosim.model.expressions import Expression
from dendrosim.model.model import Model
from dendrosim.model.quantities import UNITS

VOLT = UNITS["volt"].dim
PLACES = ("dendrite", "soma")
# distance of the holding potential below threshold if rest is not stable, in volt
BELOW_THRESHOLD = 5e-3
# below this potential no cell rests, in volt
LOWEST = -0.1


@dataclass(frozen=True, eq=False)
class LinearPart:
    """``dV/dt = jacobian (V - held) + inputs (I - current)``, in the order dendrite, soma."""

    jacobian: np.ndarray
    inputs: np.ndarray
    held: np.ndarray
    current: np.ndarray


def threshold_of(model: Model, threshold: Any) -> float:
    """Return the somatic threshold in volt: the given one, by default that of linear theory.

    Raises
    ------
    DendrosimError
        If the given threshold is not above rest, or linear theory has none.
    """
    if threshold is not None:
        given = threshold
        _refuse_spike(model, given)
        rest = stable_rest(model)
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


def _refuse_spike(model: Model, given: float) -> None:
    """Refuse a threshold at which the neuron has long fired, or that no cell gets down to."""
    if given < LOWEST:
        raise DendrosimError(
            f"{model.name}: threshold = {given * 1e3:g} mV is below {LOWEST * 1e3:g} mV, where no "
            "cell rests"
        )
    condition, soma = model.threshold, model.potentials["soma"]
    if not isinstance(condition, Expression) or condition.names & set(model.states) != {soma}:
        return
    others = {name: np.asarray(value) for name, value in {**UNITS, **model.values()}.items()}
    if bool(condition({**others, soma: np.asarray(given)})):
        raise DendrosimError(
            f"{model.name}: at threshold = {given * 1e3:g} mV it is within a spike already "
            f"({condition.text}); give a lower potential"
        )


def stable_rest(model: Model) -> float:
    """Return the somatic potential of stable rest, -inf if there is none."""
    dynamics = Dynamics(model)
    try:
        rest = dynamics.rest()
    except DendrosimError:  # the neuron may still have a holding potential
        return -np.inf
    soma = float(rest[dynamics.states.index(model.potentials["soma"])])
    return soma if dynamics.stable(rest, {}) else -np.inf


def linear_part(model: Model, method: str, v_th: float, holding: Any) -> LinearPart:
    """Return the linear part of a model: of its passive variant, or at the holding potential.

    Raises
    ------
    DendrosimError
        If `method` needs the variant ``passive`` and the model does not have it.
    """
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
    return LinearPart(jacobian, inputs[:, columns], state[order], np.array([0.0, current]))


def _held(dynamics: Dynamics, v_th: float, holding: Any) -> tuple[np.ndarray, float]:
    if holding is not None:
        if holding >= v_th:
            raise DendrosimError(
                f"holding = {holding * 1e3:g} mV is not below the threshold {v_th * 1e3:g} mV"
            )
        if holding < LOWEST:
            raise DendrosimError(
                f"holding = {holding * 1e3:g} mV is below {LOWEST * 1e3:g} mV, where no cell rests"
            )
        return dynamics.held(holding)
    rest = dynamics.rest()
    soma = rest[dynamics.states.index(dynamics.model.potentials["soma"])]
    if dynamics.stable(rest, {}) and soma < v_th - 0.2 * BELOW_THRESHOLD:
        return rest, 0.0
    return dynamics.held(v_th - BELOW_THRESHOLD)


def _fast_gates(by_state: np.ndarray, order: list[int], gates: list[int]) -> np.ndarray:
    """Return the contribution to the Jacobian of gates that are faster than the membrane.

    A gate that relaxes faster than the slower mode of the membrane follows the potentials
    instantaneously (its equation is solved for it); a slower gate stays constant.
    """
    membrane = np.abs(np.linalg.eigvals(by_state[np.ix_(order, order)]).real).min()
    fast = [k for k in gates if -by_state[k, k] > membrane]
    if not fast:
        return np.zeros((2, 2))
    among = by_state[np.ix_(fast, fast)]
    return by_state[np.ix_(order, fast)] @ np.linalg.solve(among, by_state[np.ix_(fast, order)])


def euler(linear: LinearPart, dt: float, model: Model) -> tuple[dict[str, float], np.ndarray]:
    """Supplement A, eqs 18-19, with I_link leaving the dendrite; eq. 7 uses the new U_D."""
    (dd, ds), (sd, ss) = linear.jacobian * dt
    coefficients = {"alpha_1": 1 + dd, "beta_1": ds, "alpha_2": 1 + ss, "beta_2": sd}
    if min(1 + dd, 1 + ss) <= 0:
        raise DendrosimError(
            f"{model.name}: dt = {dt * 1e3:g} ms is too long for the Euler form "
            f"(alpha_1 = {1 + dd:.3g}, alpha_2 = {1 + ss:.3g}); use a shorter one or 'exact'"
        )
    return coefficients, linear.inputs * dt


def exact(linear: LinearPart, dt: float, model: Model) -> tuple[dict[str, float], np.ndarray]:
    """Matrix exponential of potentials and constant currents together (Van Loan 1978)."""
    block = np.zeros((4, 4))
    block[:2, :2], block[:2, 2:] = linear.jacobian, linear.inputs
    step = expm(block * dt)
    (dd, ds), (sd, ss) = step[:2, :2]
    if dd <= 0:
        raise DendrosimError(
            f"{model.name}: dt = {dt * 1e3:g} ms is too long: the dendritic potential changes its "
            "sign within a step"
        )
    gains = step[:2, 2:]
    beta_2 = sd / dd  # eq. 7 uses U_D after its update
    coefficients = {"alpha_1": dd, "beta_1": ds, "alpha_2": ss - beta_2 * ds, "beta_2": beta_2}
    return coefficients, np.stack([gains[0], gains[1] - beta_2 * gains[0]])
