"""The functions of model text in torch."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from dendrosim.model.exprel import NEAR, SMALLEST, coefficients
from dendrosim.model.expressions import Expression
from dendrosim.model.syntax import FUNCTIONS


class _Exprel(torch.autograd.Function):
    """exprel with the derivative of `exprel_slope`; autograd's derivative is inaccurate near 0."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        small = x.abs() < SMALLEST
        safe = torch.where(small, torch.ones_like(x), x)
        return torch.where(small, torch.ones_like(x), torch.expm1(safe) / safe)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, by_value: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return by_value * exprel_slope(x)


def exprel(x: Tensor) -> Tensor:
    """Return (exp(x) - 1)/x, and 1 at 0, with an accurate gradient everywhere."""
    return _Exprel.apply(x) if x.is_floating_point() else _Exprel.apply(x.to(torch.float64))


def exprel_slope(x: Tensor) -> Tensor:
    """Return the derivative of `exprel`, differentiable; see `dendrosim.model.exprel`."""
    near = x.abs() < NEAR
    inside = torch.where(near, x, torch.zeros_like(x))
    series = torch.zeros_like(x)
    for factor in reversed(coefficients(8 if x.dtype == torch.float64 else 4)):
        series = series * inside + factor
    far = torch.where(near, torch.ones_like(x), x)
    value = exprel(far)
    above = value * (1 - 1 / far) + 1 / far
    # exp overflows for large x, and the gradient would be NaN
    below = (torch.exp(torch.where(far > 0, -torch.ones_like(x), far)) - value) / far
    return torch.where(near, series, torch.where(far > 0, above, below))


def _lifted(name: str, function: Callable) -> Callable:
    # constant parts of the text stay Python numbers: always double precision
    return lambda x: function(x) if isinstance(x, Tensor) else float(FUNCTIONS[name](x))


def _clip(x: Any, low: Any, high: Any) -> Any:
    # at the limits, torch.clamp would give the full slope; minimum and maximum give half of it
    like = next((value for value in (x, low, high) if isinstance(value, Tensor)), None)
    if like is None:
        return float(FUNCTIONS["clip"](x, low, high))
    return torch.minimum(torch.maximum(as_like(x, like), as_like(low, like)), as_like(high, like))


def as_like(value: Any, like: Tensor) -> Tensor:
    """Return a tensor with the type and device of another tensor."""
    return torch.as_tensor(value, dtype=like.dtype, device=like.device)


_PLAIN = {
    name: _lifted(name, getattr(torch, name))
    for name in (
        "exp", "log", "log10", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh", "arcsin",
        "arccos", "arctan", "abs", "sign", "floor", "ceil",
    )
} | {"exprel": _lifted("exprel", exprel), "clip": _clip, "logistic": torch.sigmoid}  # fmt: skip


@lru_cache
def torch_functions(dtype: torch.dtype) -> Mapping[str, Callable]:
    """Return the functions of model text in torch; ``int`` returns numbers of this type."""

    def truth(condition: Any) -> Any:
        return condition.to(dtype) if isinstance(condition, Tensor) else float(condition)

    return MappingProxyType(_PLAIN | {"int": truth})


class _MarkSigmoid(ast.NodeTransformer):
    """Replace ``1/(1 + exp(-x))`` by ``logistic(x)``, whose gradient is finite for every x."""

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        match node:
            case ast.BinOp(
                left=ast.Constant(value=1), op=ast.Div(),
                right=ast.BinOp(
                    left=ast.Constant(value=1), op=ast.Add(),
                    right=ast.Call(func=ast.Name(id="exp"),
                                   args=[ast.UnaryOp(op=ast.USub(), operand=x)]),
                ),
            ) if not isinstance(x, ast.Constant):  # fmt: skip
                return ast.Call(ast.Name("logistic", ast.Load()), [x], [])
        return node


def with_sigmoid(expression: Expression) -> Expression:
    """Return the expression with marked sigmoids; its value does not change."""
    return changed(expression, _MarkSigmoid().visit)


def changed(expression: Expression, change: Callable[[ast.expr], ast.expr]) -> Expression:
    """Return the expression with a rewritten tree."""
    tree = change(ast.parse(expression.text, mode="eval").body)
    return Expression(ast.unparse(tree), expression.names)
