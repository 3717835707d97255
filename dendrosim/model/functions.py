"""The functions of model text with their derivatives: one table for all backends.

A derivative is itself model text, in the argument ``x`` and the function's ``value`` at x.
Dual numbers evaluate it with numpy; the adjoint of a fused kernel translates it to C++.  Torch
uses its own derivatives of the same functions; a test compares them with this table.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
from scipy.special import exprel

from dendrosim.model.exprel import exprel_slope


class Function:
    """A function of one variable.

    Parameters
    ----------
    numpy
        Its numpy implementation.
    slope
        Its derivative as text in ``x`` and ``value``; ``"0"`` for a step function.
    """

    def __init__(self, numpy: Callable, slope: str) -> None:
        self.numpy = numpy
        self.slope = slope

    @cached_property
    def tree(self) -> ast.expr:
        """Syntax tree of the derivative."""
        return ast.parse(self.slope, mode="eval").body


#: Name to function.  Models do not use `logistic`; ``1/(1 + exp(-x))`` is rewritten to it.
FUNCTIONS: Mapping[str, Function] = MappingProxyType({
    "exp": Function(np.exp, "value"),
    "log": Function(np.log, "1/x"),
    "log10": Function(np.log10, "1/(x*2.302585092994046)"),
    "sqrt": Function(np.sqrt, "0.5/value"),
    "sin": Function(np.sin, "cos(x)"),
    "cos": Function(np.cos, "-sin(x)"),
    "tan": Function(np.tan, "1 + value*value"),
    "sinh": Function(np.sinh, "cosh(x)"),
    "cosh": Function(np.cosh, "sinh(x)"),
    "tanh": Function(np.tanh, "1 - value*value"),
    "arcsin": Function(np.arcsin, "1/sqrt(1 - x*x)"),
    "arccos": Function(np.arccos, "-1/sqrt(1 - x*x)"),
    "arctan": Function(np.arctan, "1/(1 + x*x)"),
    "abs": Function(np.abs, "sign(x)"),
    "sign": Function(np.sign, "0"),
    "floor": Function(np.floor, "0"),
    "ceil": Function(np.ceil, "0"),
    "exprel": Function(exprel, "exprel_slope(x, value)"),
    "logistic": Function(lambda x: 1 / (1 + np.exp(-x)), "value*(1 - value)"),
})  # fmt: skip

#: Functions that derivatives may call and model text may not.
HELPERS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {"exprel_slope": lambda x, value: exprel_slope(x)}
)
