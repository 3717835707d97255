"""From the update text of a discrete model to a differentiable torch step.

``int(a > b)`` in the text is the spike: exact forward, with a surrogate backward.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from dendrosim.errors import DendrosimError
from dendrosim.learn.surrogates import spike_functions
from dendrosim.model import Model
from dendrosim.text import Expression, Statement


def exprel(x: Tensor) -> Tensor:
    """Return (exp(x) - 1)/x, 1 at 0, with a gradient that is right there too."""
    small = x.abs() < 1e-5
    safe = torch.where(small, torch.ones_like(x), x)
    return torch.where(small, 1 + x / 2 + x**2 / 6, torch.expm1(safe) / safe)


def _lifted(function: Callable) -> Callable:
    # A constant in the text is a Python number; torch's functions want tensors
    return lambda x: function(torch.as_tensor(x))


def _clip(x: Any, low: Any, high: Any) -> Tensor:
    # torch.clamp passes the gradient on at the edges, which is also the slope inside
    x = torch.as_tensor(x)
    return torch.minimum(torch.maximum(x, _like(low, x)), _like(high, x))


def _like(value: Any, x: Tensor) -> Tensor:
    return torch.as_tensor(value, dtype=x.dtype, device=x.device)


def _truth(condition: Any) -> Tensor:
    condition = torch.as_tensor(condition)
    return condition.to(torch.get_default_dtype()) if condition.dtype == torch.bool else condition


#: The functions of model text in torch.
TORCH_FUNCTIONS: dict[str, Callable] = {
    name: _lifted(getattr(torch, name))
    for name in (
        "exp", "log", "log10", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh", "arcsin",
        "arccos", "arctan", "abs", "sign", "floor", "ceil",
    )
} | {"exprel": _lifted(exprel), "clip": _clip, "int": _truth}  # fmt: skip


def torch_functions(surrogate: str, width: float | None = None) -> dict[str, Callable]:
    """Return the functions of model text with the spikes of a surrogate."""
    return TORCH_FUNCTIONS | spike_functions(surrogate, width)


class _MarkSpikes(ast.NodeTransformer):
    """Write ``int(a > b)`` as ``spike_gt(a, b)``, so that both sides reach the surrogate."""

    NAMES: ClassVar = {
        ast.Gt: "spike_gt",
        ast.GtE: "spike_ge",
        ast.Lt: "spike_gt",
        ast.LtE: "spike_ge",
    }

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        match node:
            case ast.Call(
                func=ast.Name(id="int"),
                args=[ast.Compare(left=left, ops=[op], comparators=[right])],
            ) if type(op) in self.NAMES:
                sides = [right, left] if isinstance(op, ast.Lt | ast.LtE) else [left, right]
                return ast.Call(ast.Name(self.NAMES[type(op)], ast.Load()), sides, [])
        return node


def with_spikes(expression: Expression) -> Expression:
    """Return the expression with its spikes marked; its meaning stays the same."""
    tree = _MarkSpikes().visit(ast.parse(expression.text, mode="eval").body)
    return Expression(ast.unparse(tree), expression.names)


class DiscreteStep:
    """One step of a discrete model.

    Parameters
    ----------
    model
        A discrete model.
    surrogate, width
        Of every spike in the text.
    detach_reset
        Whether spikes of the step before enter without a gradient (the one through the reset);
        kept by default, as both papers have it.

    Raises
    ------
    DendrosimError
        If the model is continuous.

    Examples
    --------
    >>> import torch, dendrosim as ds
    >>> step = DiscreteStep(ds.load_model("lif"))
    >>> values = {"beta": torch.tensor(0.5), "V_th": torch.tensor(1.0)}
    >>> state = step({"U": torch.zeros(1), "S": torch.zeros(1)}, {"I": torch.ones(1) * 1.5}, values)
    >>> state["S"]
    tensor([1.])
    """

    def __init__(
        self, model: Model, surrogate: str = "triangle", width: float | None = None,
        detach_reset: bool = False,
    ) -> None:  # fmt: skip
        if model.kind != "discrete":
            raise DendrosimError(f"{model.name} is continuous; use ContinuousStep")
        self.model = model
        self.functions = torch_functions(surrogate, width)
        self.statements = [Statement(s.target, with_spikes(s.expression)) for s in model.update]
        self.carried = model.carried
        self.spikes = [
            s.target for s in self.statements if s.expression.text.startswith(("spike_gt(",
                                                                              "spike_ge("))
        ]  # fmt: skip
        self.detach_reset = detach_reset

    def __call__(
        self, state: Mapping[str, Tensor], ports: Mapping[str, Tensor], values: Mapping[str, Any]
    ) -> dict[str, Tensor]:
        """Return every variable after the step.

        Parameters
        ----------
        state
            Variables after the step before, shape (..., n); only ``carried`` ones are read.
        ports
            Input of this step by port, shape (..., n).
        values
            Parameters and derived values, scalars or shape (n,).
        """
        names = dict(values) | dict(ports)
        for name in self.carried:
            keep = self.detach_reset and name in self.spikes
            names[name] = state[name].detach() if keep else state[name]
        result = {}
        for statement in self.statements:
            result[statement.target] = statement.expression(names, self.functions)
            names[statement.target] = result[statement.target]
        return result
