"""A differentiable torch step from the equations of a continuous model.

Brian2's state updaters turn the equations into the statements of one step.  Torch evaluates the
same statements that Brian2 compiles to C++.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

import torch
from brian2.core.functions import DEFAULT_CONSTANTS, DEFAULT_FUNCTIONS
from brian2.core.variables import Constant, Variable
from brian2.equations.equations import Equations
from brian2.stateupdaters.base import StateUpdateMethod, UnsupportedEquationsException
from torch import Tensor

import dendrosim.integrators  # noqa: F401 (registers its methods with Brian2)
from dendrosim import checks
from dendrosim.errors import DendrosimError, did_you_mean
from dendrosim.learn.step.arguments import check_dtype, check_values
from dendrosim.learn.step.functions import torch_functions
from dendrosim.model.expressions import Expression
from dendrosim.model.model import Model
from dendrosim.model.quantities import UNITS


class ContinuousStep:
    """One time step of a continuous model in torch, in SI units.

    Parameters
    ----------
    model
        A continuous model.
    method
        Brian2's name of an integration method; by default that of the model.

    Raises
    ------
    DendrosimError
        If the model is discrete or the method does not support it.

    Examples
    --------
    >>> import torch, dendrosim as ds
    >>> step = ContinuousStep(ds.load_model("kepecs_wang_2000"), method="rk4")
    >>> state = step(step.initial(), {"I_d": 0.01}, step.values(), dt=2e-5)
    >>> state["v_s"].shape
    torch.Size([])
    """

    def __init__(self, model: Model, method: str | None = None) -> None:
        checks.instance(model, Model, "model")
        if model.kind != "continuous":
            raise DendrosimError(f"{model.name} is discrete; use DiscreteStep")
        self.model = model
        self.method = checks.one_of(
            model.method if method is None else method, StateUpdateMethod.stateupdaters,
            "unknown method",
        )  # fmt: skip
        self.statements = _statements(model, self.method)
        used = set().union(*(expression.names for _, expression in self.statements))
        self.needed = tuple(n for n in (*model.parameters, *model.derived) if n in used)
        self.units = {
            name: float(UNITS[name])
            for _, expression in self.statements
            for name in expression.names & UNITS.keys()
        }

    def initial(self, dtype: torch.dtype = torch.float64, **options: Any) -> dict[str, Tensor]:
        """Return the model's initial state as tensors."""
        check_dtype(dtype)
        return {
            name: torch.as_tensor(float(value) if value.ndim == 0 else value, dtype=dtype,
                                  **options)
            for name, value in self.model.initial.items()
        }  # fmt: skip

    def values(self, dtype: torch.dtype = torch.float64, **options: Any) -> dict[str, Tensor]:
        """Return the model's parameters as tensors."""
        check_dtype(dtype)
        return {
            name: torch.as_tensor(float(value) if value.ndim == 0 else value, dtype=dtype,
                                  **options)
            for name, value in self.model.values().items()
        }  # fmt: skip

    def __call__(
        self, state: Mapping[str, Tensor], inputs: Mapping[str, Any], values: Mapping[str, Any],
        dt: float | Tensor, t: float | Tensor = 0.0,
    ) -> dict[str, Tensor]:  # fmt: skip
        """Return the state after one step.

        Parameters
        ----------
        state
            State variables in SI units.
        inputs
            Currents of this step by variable (``"I_s"``); 0 where not given.
        values
            Parameters in SI units.
        dt, t
            Step and time in seconds.
        """
        check_values(state, self.model.states, "state")
        check_values(inputs, (), "inputs")
        check_values(values, self.needed, "values")
        if unknown := [name for name in inputs if name not in self.model.inputs.values()]:
            raise DendrosimError(
                f"inputs: {unknown[0]!r} is no input of {self.model.name}; "
                f"{did_you_mean(str(unknown[0]), self.model.inputs.values())}"
            )
        if not isinstance(dt, Tensor):
            dt = checks.positive(dt, "dt", dim=UNITS["second"].dim)
        if not isinstance(t, Tensor):
            t = checks.number(t, "t", dim=UNITS["second"].dim)
        names = dict.fromkeys(self.model.inputs.values(), 0.0) | dict(inputs)
        names |= self.units | dict(values) | dict(state) | {"dt": dt, "t": t}
        functions = torch_functions(next(iter(state.values())).dtype)
        for target, expression in self.statements:
            names[target] = expression(names, functions)
        return {name: names[name] for name in self.model.states}


def _statements(model: Model, method: str) -> list[tuple[str, Expression]]:
    """Return the statements of Brian2's state updater for one step."""
    equations = Equations("\n".join(e.text for e in model.equations))
    time = UNITS["second"].dim
    variables: dict[str, Any] = {
        **DEFAULT_CONSTANTS,
        **DEFAULT_FUNCTIONS,
        **{name: Constant(name, float(unit), unit.dim) for name, unit in UNITS.items()},
        **{name: Variable(name, time, scalar=True) for name in ("t", "dt")},
        **{e.name: Variable(e.name, e.dim) for e in model.equations},
        **{name: Variable(name, p.value.dim) for name, p in model.parameters.items()},
    }
    try:
        code = StateUpdateMethod.apply_stateupdater(
            equations, variables, method, group_name=model.name
        )
    except UnsupportedEquationsException as error:
        message = " ".join(str(error).split())
        raise DendrosimError(f"{model.name}: method {method!r} does not suit: {message}") from None
    statements = []
    for line in code.strip().splitlines():
        tree = ast.parse(line.strip()).body[0]
        names = {node.id for node in ast.walk(tree.value) if isinstance(node, ast.Name)}
        statements.append((tree.targets[0].id, Expression(ast.unparse(tree.value),
                                                          frozenset(names))))  # fmt: skip
    # states are assigned at the end, so subexpressions use the state at the start of the step
    needed: set[str] = set().union(*(expression.names for _, expression in statements))
    held: list[tuple[str, Expression]] = []
    for equation in reversed(model.subexpressions):
        if equation.name in needed:
            held.append((equation.name, equation.right))
            needed |= equation.right.names
    return held[::-1] + statements
