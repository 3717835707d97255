"""Jacobians of one step of a discrete model, by autograd from its text.

The state is what a model remembers: the variables that one step hands to the next, less those that
follow from the others once the step is done, as a spike does from its potential.  The current of a
step is taken as given, so a matrix tells how a neuron (or a circuit of neurons, as LRMM's) hands on
a gradient by itself; the weights between neurons come in with `trajectories.LayerRun.recurrent`.
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
        Of every spike in the text, see `DiscreteStep`.

    Attributes
    ----------
    variables
        What the model remembers, in the order of its text: rows and columns of every matrix.

    Examples
    --------
    Eqs 9-10 of LSTM-LIF with ``beta_1 = -0.5`` and ``beta_2 = 0.5``, far from threshold.

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
        """Return the derivatives of the state after the next step by the state now.

        Parameters
        ----------
        state
            `variables` now; those that are left out are 0.
        inputs
            Currents of the next step by name; 0 by default.
        values
            Parameters and derived values instead of the model's own.
        at
            Values of all variables in the next step, where they are not those that follow: the
            derivatives are taken there.

        Returns
        -------
        array
            Shape (..., k, k): row i, column j is that of variable i by variable j.  The leading
            axes are those of all numbers given, broadcast.

        Raises
        ------
        DendrosimError
            If a name is not one of the model's.
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
        """Return how a change made where a variable is assigned reaches the next assignments.

        A change of a variable acts on what the text computes after it in the same step too, and
        in the next step on each variable directly, not through others of that step.  Such matrices
        may be multiplied: this is the transpose of the operator M_t of LRMM (A.6), for any model.

        Parameters
        ----------
        state
            Variables before the first of two steps; those that are left out are 0.
        inputs
            Currents of the first step and of the second.
        values
            Parameters and derived values instead of the model's own.
        at
            Values of all variables in the first step and in the second, where they are not those
            that follow: the derivatives are taken there.
        """
        return self._two_steps(state, inputs, values, at, direct=True)

    def total(
        self, state: Values | None = None, inputs: Sequence[Values] | None = None,
        values: Values | None = None, at: Sequence[Values] | None = None,
    ) -> Array:  # fmt: skip
        """Return how a change made where a variable is assigned reaches the end of the next step.

        This is what Zhang et al. (2023) print as eq. 13.  Multiplied as in their eq. 12 these
        matrices count twice what goes from one variable to the other within a step.  Parameters
        as in `by_assignment`.
        """
        return self._two_steps(state, inputs, values, at, direct=False)

    def ports(
        self, state: Values | None = None, inputs: Values | None = None,
        values: Values | None = None,
    ) -> tuple[Array, Array]:  # fmt: skip
        """Return how currents reach the state, and how the state reaches the output.

        Returns
        -------
        by_port : array
            Shape (..., k, p): state after the next step by the current of each of the ports.
        output : array
            Shape (..., k): output now by the state now.
        """
        now, (ports,), values = self._tensors(state or {}, [inputs or {}], values or {})
        nudges = self._nudges(now)
        names = values | {v: now[v] + nudges[v] for v in self.variables}
        self._run(names, self._following)
        fired = names.get(self.model.output)
        if not isinstance(fired, Tensor):  # the output follows from nothing that is remembered
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
        """Do statements in place; return what each assigned, before the gradient was cut there.

        What is assigned has the value that it has in `at`, and the gradient that the text gives it.
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
        """Return state, currents of each step and values, all of one shape."""
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
        """Return the derivatives; each point is by itself, so one sum serves for all."""
        wanted = list(before.values())
        rows = []
        for value in after:
            if value.requires_grad:
                row = torch.autograd.grad(
                    value.sum(), wanted, retain_graph=True, materialize_grads=True
                )
            else:
                row = [torch.zeros_like(one) for one in wanted]
            rows.append(torch.stack(row, -1))
        return torch.stack(rows, -2).detach().numpy()


def _memory(model: Model, statements: Sequence[Statement]) -> tuple[tuple[str, ...], list]:
    """Return what a model remembers, and the statements that follow from it after a step."""
    known = {*model.values(), *CONSTANTS}
    following, remembered, assigned = [], [], set()
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
