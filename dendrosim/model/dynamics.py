"""The vector field of a continuous model: its rates, Jacobian, rest and threshold.

Everything is computed from the model's text; potentials are in volt, times in seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.optimize import root

from dendrosim.errors import DendrosimError
from dendrosim.model.dual import DUAL_FUNCTIONS, Dual, parts
from dendrosim.model.model import Model
from dendrosim.model.quantities import UNITS

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Dynamics:
    """The vector field of one neuron.

    Parameters
    ----------
    model
        A continuous model without per-neuron values.

    Raises
    ------
    DendrosimError
        If the model is discrete or has a grid among its values.
    """

    model: Model

    def __post_init__(self) -> None:
        """Check that the model describes a single neuron."""
        if self.model.kind != "continuous":
            raise DendrosimError(f"{self.model.name} is discrete: it has no differential equations")
        for name, value in self.model.values().items():
            if value.size > 1:
                raise DendrosimError(f"{self.model.name}: {name} has several values, not one")

    @cached_property
    def states(self) -> tuple[str, ...]:
        """Names of the state variables."""
        return self.model.states

    @cached_property
    def initial(self) -> Array:
        """The model's initial state, shape (states,)."""
        return np.array([float(self.model.initial[name]) for name in self.states])

    @cached_property
    def _constants(self) -> dict[str, float]:
        values = {name: float(value) for name, value in self.model.values().items()}
        units = {
            name: float(UNITS[name])
            for equation in self.model.equations
            if equation.expression
            for name in equation.expression.names & UNITS.keys()
        }
        return units | values | {"t": 0.0, "dt": 0.0, "i": 0.0, "N": 1.0}

    def rates(self, state: Sequence[Any] | Array, currents: Mapping[str, Any]) -> list:
        """Return d(state)/dt in SI units; `state` may hold dual numbers.

        Parameters
        ----------
        state
            Shape (states,).
        currents
            Place to current in SI units; 0 where not given.
        """
        values = dict(self._constants)
        values |= dict(zip(self.states, state, strict=True))
        values |= {
            variable: currents.get(place, 0.0) for place, variable in self.model.inputs.items()
        }
        for equation in self.model.subexpressions:
            values[equation.name] = equation.right(values, DUAL_FUNCTIONS)
        return [
            equation.right(values, DUAL_FUNCTIONS)
            for equation in self.model.equations
            if equation.kind == "differential"
        ]

    def linearised(self, state: Array, currents: Mapping[str, float]) -> tuple[Array, Array]:
        """Return the derivatives of the rates with respect to the state and the currents.

        Returns
        -------
        jacobian : ndarray
            Shape (states, states), 1/second times the units of the states.
        inputs : ndarray
            Shape (states, places), in the order of ``model.inputs``.
        """
        places = list(self.model.inputs)
        size = len(self.states) + len(places)
        unit = np.eye(size)
        duals = [Dual(float(x), unit[k]) for k, x in enumerate(state)]
        fed = {
            place: Dual(float(currents.get(place, 0.0)), unit[len(self.states) + k])
            for k, place in enumerate(places)
        }
        rows = np.array([parts(rate)[1] + np.zeros(size) for rate in self.rates(duals, fed)])
        return rows[:, : len(self.states)], rows[:, len(self.states) :]

    def rest(self) -> Array:
        """Return the resting state without current.

        If there are several, the one with the lowest somatic potential.

        Raises
        ------
        DendrosimError
            If there is none between -100 and 0 mV.
        """
        before = None
        for potential, state, current in self._path(-0.100, 0.0, 0.002):
            if before is not None and before[1] <= 0 <= current:
                low, high = before[0], potential
                while high - low > 1e-13:
                    middle = 0.5 * (low + high)
                    state, current = self.held(middle, start=state)
                    low, high = (middle, high) if current < 0 else (low, middle)
                return state
            before = potential, current
        raise DendrosimError(f"{self.model.name}: no state of rest between -100 and 0 mV")

    def _path(self, low: float, high: float, step: float) -> Iterator[tuple]:
        """Increase the somatic potential in steps: yield potential, steady state and current."""
        state = None
        for potential in map(float, np.arange(low, high, step)):
            state, current = self.held(potential, start=state)
            yield potential, state, current

    def held(self, potential: float, place: str = "soma", start: Array | None = None) -> tuple:
        """Return the steady state with one place held at a potential, and the holding current.

        Parameters
        ----------
        potential
            In volt.
        place
            Place that is held and receives the current.
        start
            Initial state of the search.

        Returns
        -------
        state : ndarray
        current : float
            In SI units of the input.

        Raises
        ------
        DendrosimError
            If no such state is found.
        """
        index = self.states.index(self.model.potentials[place])
        column = list(self.model.inputs).index(place)
        guess = np.array(self.initial if start is None else start, dtype=float)

        def unpack(z: Array) -> tuple[Array, dict]:
            state = z.copy()
            state[index] = potential
            return state, {place: z[index]}

        def residual(z: Array) -> Array:
            return np.array(self.rates(*unpack(z)), dtype=float)

        def jacobian(z: Array) -> Array:
            by_state, by_input = self.linearised(*unpack(z))
            by_state[:, index] = by_input[:, column]
            return by_state

        guess[index] = 0.0
        z = _solve(residual, jacobian, guess)
        if z is None:
            raise DendrosimError(
                f"{self.model.name}: no state of rest with the {place} at {potential * 1e3:g} mV"
            )
        state, fed = unpack(z)
        return state, float(fed[place])

    def stable(self, state: Array, currents: Mapping[str, float]) -> bool:
        """Whether the neuron returns to a steady state after a small perturbation."""
        return bool(np.linalg.eigvals(self.linearised(state, currents)[0]).real.max() < 0)

    def threshold(self, low: float = -0.080, high: float = -0.020, step: float = 0.0005) -> float:
        """Return the somatic potential at which the resting state becomes unstable.

        The soma is held at increasing potentials.  The first one at which the steady state with the
        holding current is unstable is the voltage threshold for slow inputs (the fold or Hopf point
        of the f-I curve).

        Parameters
        ----------
        low, high, step
            Searched range of somatic potentials, and the initial grid, in volt.

        Returns
        -------
        float
            In volt, to a microvolt; nan if rest stays stable, as in a passive model.
        """
        inside = None
        for potential, state, current in self._path(low, high, step):
            if not self.stable(state, {"soma": current}):
                break
            inside = potential
        else:
            return float("nan")
        if inside is None:
            return float("nan")
        outside = potential
        while outside - inside > 1e-6:
            middle = 0.5 * (inside + outside)
            state, current = self.held(middle, start=state)
            if self.stable(state, {"soma": current}):
                inside = middle
            else:
                outside = middle
        return inside


def _solve(residual: Callable, jacobian: Callable, start: Array) -> Array | None:
    # potentials, gates and currents have different magnitudes: hybr scales with the Jacobian
    for method in ("hybr", "lm"):
        with np.errstate(all="ignore"):
            found = root(residual, start, jac=jacobian, method=method, tol=1e-12)
            size = np.abs(jacobian(found.x)).sum(axis=1) * np.abs(found.x).max()
        if np.all(np.isfinite(found.x)) and np.all(np.abs(found.fun) <= 1e-7 * size + 1e-12):
            return found.x
    return None
