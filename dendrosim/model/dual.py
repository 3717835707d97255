"""Dual numbers: values with exact derivatives, propagated through model text.

Evaluating an expression with dual numbers (forward-mode differentiation, Wengert 1964) gives the
Jacobian of a model to rounding, without a step size and without a second text.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dendrosim.model.functions import FUNCTIONS as TABLE
from dendrosim.model.functions import HELPERS, Function
from dendrosim.model.syntax import FUNCTIONS, evaluate


class Dual:
    """A number and its gradient.

    Parameters
    ----------
    value
        The number.
    gradient
        Its derivatives, shape (directions,).
    """

    __slots__ = ("gradient", "value")
    __array_ufunc__ = None  # makes numpy numbers use the operators below

    def __init__(self, value: float, gradient: np.ndarray) -> None:
        self.value = value
        self.gradient = gradient

    def __add__(self, other: Any) -> Dual:
        value, gradient = parts(other)
        return Dual(self.value + value, self.gradient + gradient)

    def __mul__(self, other: Any) -> Dual:
        value, gradient = parts(other)
        return Dual(self.value * value, self.gradient * value + self.value * gradient)

    def __truediv__(self, other: Any) -> Dual:
        value, gradient = parts(other)
        quotient = self.value / value
        return Dual(quotient, (self.gradient - quotient * gradient) / value)

    def __pow__(self, other: Any) -> Dual:
        value, gradient = parts(other)
        power = self.value**value
        result = value * self.value ** (value - 1) * self.gradient if value else 0.0
        if np.any(gradient):
            result = result + power * np.log(self.value) * gradient
        return Dual(power, result + 0.0 * self.gradient)

    def __mod__(self, other: Any) -> Dual:
        value, gradient = parts(other)
        return Dual(self.value % value, self.gradient - np.floor(self.value / value) * gradient)

    def __neg__(self) -> Dual:
        return Dual(-self.value, -self.gradient)

    def __sub__(self, other: Any) -> Dual:
        return self + (-other)

    def __rsub__(self, other: Any) -> Dual:
        return (-self) + other

    def __rtruediv__(self, other: Any) -> Dual:
        return Dual(other, 0.0 * self.gradient) / self

    def __rpow__(self, other: Any) -> Dual:
        return Dual(other, 0.0 * self.gradient) ** self

    def __rmod__(self, other: Any) -> Dual:
        return Dual(other, 0.0 * self.gradient) % self

    __radd__ = __add__
    __rmul__ = __mul__

    def __gt__(self, other: Any) -> bool:
        return self.value > parts(other)[0]

    def __ge__(self, other: Any) -> bool:
        return self.value >= parts(other)[0]

    def __lt__(self, other: Any) -> bool:
        return self.value < parts(other)[0]

    def __le__(self, other: Any) -> bool:
        return self.value <= parts(other)[0]


def parts(number: Any) -> tuple[float, np.ndarray | float]:
    """Return value and gradient of a dual or a plain number."""
    return (number.value, number.gradient) if isinstance(number, Dual) else (number, 0.0)


def _lift(function: Function) -> Callable:
    called = {**FUNCTIONS, **HELPERS}

    def lifted(x: Any) -> Any:
        value = function.numpy(x.value if isinstance(x, Dual) else x)
        if not isinstance(x, Dual):
            return value
        slope = evaluate(function.tree, {"x": x.value, "value": value}, called)
        return Dual(value, slope * x.gradient)

    return lifted


def _clip(x: Any, low: Any, high: Any) -> Any:
    if x <= low:
        return low
    return high if x >= high else x


#: The functions of model text, for dual numbers.
DUAL_FUNCTIONS: dict[str, Callable] = {name: _lift(f) for name, f in TABLE.items()} | {
    "clip": _clip,
    "int": lambda condition: float(condition),
}
