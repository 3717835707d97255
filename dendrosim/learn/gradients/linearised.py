"""Jacobians of one step of a discrete model, computed from its text by autograd.

The state consists of the variables that one step passes to the next, without those that can be
recomputed from the others after the step, as a spike from its potential.  The input current of a
step is held constant.  A matrix therefore describes a single neuron (or a circuit of neurons, as in
LRMM); `trajectories.LayerRun.recurrent` adds the weights between neurons.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dendrosim.errors import DendrosimError, did_you_mean
from dendrosim.learn.step.discrete import DiscreteStep
from dendrosim.learn.step.functions import as_like, torch_functions
from dendrosim.model.expressions import Statement
from dendrosim.model.model import Model
from dendrosim.model.optional import output_of
from dendrosim.model.syntax import CONSTANTS
from dendrosim.model.toml import load_model

Array = np.ndarray
Values = Mapping[str, Any]


class Linearised:
    """The derivatives of one step of a model.

    Parameters
    ----------
    model
        A discrete model, or its name or path.
    surrogate, width, detach_reset
        Surrogate gradient of every spike in the text, see `DiscreteStep`.

    Attributes
    ----------
    variables
        The state variables, in the order of the text: rows and columns of every matrix.

    Examples
    --------
    Eqs 9-10 of LSTM-LIF with ``beta_1 = -0.5`` and ``beta_2 = 0.5``, far from threshold:

    >>> step = Linearised("lstm_lif")
    >>> step.variables
    ('U_D', 'U_S')
    >>> step.jacobian()
    array([[ 1.  , -0.5 ],
           [ 0.5 ,  0.75]])
    """

    def __init__(
        self, model: Model | str, surrogate: str = "triangle", width: float | None = None,
        detach_reset: bool = False,
    ) -> None:  # fmt: skip
        self.model = model if isinstance(model, Model) else load_model(model)
        self.step = DiscreteStep(self.model, surrogate, width, detach_reset)
        self.variables, self._following = _memory(self.model, self.step.statements)

    def jacobian(
        self, state: Values | None = None, inputs: Values | None = None,
        values: Values | None = None, at: Values | None = None,
    ) -> Array:  # fmt: skip
        """Return the derivatives of the next state with respect to the current state.

        Parameters
        ----------
        state
            Current values of `variables`; 0 where not given.
        inputs
            Currents of the next step by name; 0 by default.
        values
            Parameters and derived values that replace those of the model.
        at
            Values of all variables in the next step, if different from the computed ones; the
            derivatives are evaluated there.

        Returns
        -------
        array
            Shape (..., k, k): row i, column j is the derivative of variable i with respect to
            variable j.  The leading axes are those of all given values, broadcast.

        Raises
        ------
        DendrosimError
            If the model has no variable of a given name.
        """
        now, (ports,), values = self._tensors(state or {}, [inputs or {}], values or {})
        nudges = self._nudges(now)
        names = values | {v: now[v] + nudges[v] for v in self.variables}
        self._run(names, self._following)
        names |= ports
        self._run(names, self.step.statements, at=at)
        return self._matrix([names[v] for v in self.variables], nudges)

    def by_assignment(
        self, state: Values | None = None, inputs: Sequence[Values] | None = None,
        values: Values | None = None, at: Sequence[Values] | None = None,
    ) -> Array:  # fmt: skip
        """Return the effect of a change at one assignment of a variable on the next assignments.

        A change of a variable acts on later statements of the same step, and directly on each
        variable of the next step, without detours through other variables of that step.  Such
        matrices can be multiplied: this is the transpose of the operator M_t of LRMM (A.6), for any
        model.

        Parameters
        ----------
        state
            Variables before the first of two steps; 0 where not given.
        inputs
            Currents of the first and the second step.
        values
            Parameters and derived values that replace those of the model.
        at
            Values of all variables in the first and the second step, if different from the
            computed ones; the derivatives are evaluated there.
        """
        return self._two_steps(state, inputs, values, at, direct=True)

    def total(
        self, state: Values | None = None, inputs: Sequence[Values] | None = None,
        values: Values | None = None, at: Sequence[Values] | None = None,
    ) -> Array:  # fmt: skip
        """Return the effect of a change at one assignment of a variable on the next step's end.

        This is eq. 13 of Zhang et al. (2023) as printed.  In a product as in their eq. 12, these
        matrices count influences between variables within a step twice.  Parameters as in
        `by_assignment`.
        """
        return self._two_steps(state, inputs, values, at, direct=False)

    def ports(
        self, state: Values | None = None, inputs: Values | None = None,
        values: Values | None = None,
    ) -> tuple[Array, Array]:  # fmt: skip
        """Return the derivatives of the state by the currents, and of the output by the state.

        Returns
        -------
        by_port : array
            Shape (..., k, p): next state with respect to the current of each port.
        output : array
            Shape (..., k): current output with respect to the current state.
        """
        now, (ports,), values = self._tensors(state or {}, [inputs or {}], values or {})
        nudges = self._nudges(now)
        names = values | {v: now[v] + nudges[v] for v in self.variables}
        self._run(names, self._following)
        fired = names.get(output_of(self.model))
        if not isinstance(fired, Tensor):  # the output depends on no state variable
            fired = now[self.variables[0]] * 0
        output = self._matrix([fired], nudges)[..., 0, :]
        feeds = {port: ports[port].requires_grad_() for port in self.model.ports}
        names |= ports
        self._run(names, self.step.statements)
        return self._matrix([names[v] for v in self.variables], feeds), output

    def _two_steps(
        self, state: Values | None, inputs: Sequence[Values] | None, values: Values | None,
        at: Sequence[Values] | None, direct: bool,
    ) -> Array:  # fmt: skip
        first, second = at or (None, None)
        inputs = [{}, {}] if inputs is None else list(inputs)
        if len(inputs) != 2:
            raise DendrosimError(f"inputs of {len(inputs)} steps are given, but there are two")
        now, ports, values = self._tensors(state or {}, inputs, values or {})
        nudges = self._nudges(now)
        names = values | now | ports[0]
        self._run(names, self.step.statements, add=nudges, at=first)
        names |= ports[1]
        cut = self.variables if direct else ()
        reached = self._run(names, self.step.statements, cut=cut, at=second)
        after = reached if direct else names
        return self._matrix([after[v] for v in self.variables], nudges)

    def _run(
        self, names: dict[str, Any], statements: Sequence[Statement],
        add: Mapping[str, Tensor] | None = None, cut: Sequence[str] = (),
        at: Values | None = None,
    ) -> dict[str, Tensor]:  # fmt: skip
        """Execute statements in place; return the assigned values, before gradients are cut.

        A variable in `at` takes its value from there, and its gradient from the text.
        """
        like = names[self._like]
        functions = {**torch_functions(like.dtype), **self.step.spikes}
        assigned = {}
        for statement in statements:
            target = statement.target
            value = as_like(statement.expression(names, functions), like).expand(like.shape)
            if at is not None and target in at:
                value = _float(at[target]).expand(like.shape) + (value - value.detach())
            if add and target in add:
                value = value + add[target]
            assigned[target] = value
            names[target] = value.detach() if target in cut else value
        return assigned

    @property
    def _like(self) -> str:
        return self.variables[0]

    def _tensors(
        self, state: Values, inputs: Sequence[Values], values: Values
    ) -> tuple[dict[str, Tensor], list[dict[str, Tensor]], dict[str, Any]]:
        """Return state, currents of each step and values, broadcast to one shape."""
        own = self.model.values()
        known = {"state": self.model.states, "values": own}
        known |= {f"inputs[{k}]": self.model.inputs.values() for k in range(len(inputs))}
        given = {"state": state, "values": values}
        given |= {f"inputs[{k}]": one for k, one in enumerate(inputs)}
        for where, table in given.items():
            for name in table:
                if name not in known[where]:
                    hint = did_you_mean(name, known[where])
                    raise DendrosimError(f"{where}: {self.model.name} has no {name!r}; {hint}")
        numbers = {name: _float(value) for name, value in {**own, **values}.items()}
        tables = [{name: _float(value) for name, value in t.items()} for t in (state, *inputs)]
        everything = [v for table in (numbers, *tables) for v in table.values()]
        shape = torch.broadcast_shapes(*(v.shape for v in everything)) if everything else ()
        zero = torch.zeros(shape, dtype=torch.float64)
        carried = {name: tables[0].get(name, zero).expand(shape).clone()
                   for name in (*self.model.carried, *self.variables)}  # fmt: skip
        ports = [
            {name: table.get(name, zero).expand(shape).clone()
             for name in self.model.inputs.values()}
            for table in tables[1:]
        ]  # fmt: skip
        return carried, ports, numbers

    def _nudges(self, now: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {v: torch.zeros_like(now[v], requires_grad=True) for v in self.variables}

    @staticmethod
    def _matrix(after: Sequence[Tensor], before: Mapping[str, Tensor]) -> Array:
        """Return the derivatives; the points are independent, so one sum is enough for all."""
        wanted = list(before.values())
        rows = []
        for value in after:
            if value.requires_grad:
                row = torch.autograd.grad(
                    value.sum(), wanted, retain_graph=True, materialize_grads=True
                )
            else:
                row = tuple(torch.zeros_like(one) for one in wanted)
            rows.append(torch.stack(row, -1))
        return torch.stack(rows, -2).detach().numpy()


def _memory(model: Model, statements: Sequence[Statement]) -> tuple[tuple[str, ...], list]:
    """Return the state variables of a model, and the statements that recompute the others."""
    known = {*model.values(), *CONSTANTS}
    following: list[Statement] = []
    remembered: list[str] = []
    assigned: set[str] = set()
    for statement in statements:
        names = statement.expression.names - known
        after = {*remembered, *(s.target for s in following)}
        if names and names <= after & assigned:
            following.append(statement)
        elif statement.target in model.carried:
            remembered.append(statement.target)
        assigned.add(statement.target)
    return tuple(remembered), following


def _float(value: Any) -> Tensor:
    return torch.as_tensor(np.asarray(value, dtype=float))
