"""Integration methods that dendrosim adds to Brian2: ``rush_larsen`` and ``rush_larsen2``.

Importing this module registers them; any Brian2 user can then write ``method="rush_larsen"``.

In a conductance-based model each equation is affine in its own variable once the rates and the
other variables are held: ``dx/dt = f = A x + B``.  Its exact solution over a step is

    x(t + dt) = x + dt f(x) phi(dt A),    phi(z) = (exp(z) - 1)/z

(Rush and Larsen 1978; Hochbruck and Ostermann 2010, exponential Rosenbrock-Euler with a diagonal
A).  In this form f is the model's own text, evaluated once and never expanded, and phi(0) = 1
needs no division.  A is the derivative of f by x in which a named subexpression that is nonlinear
in x counts as held.  Gates stay between 0 and 1 for any step.
"""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import TopologicalSorter

import sympy
from brian2.equations.equations import Equations
from brian2.parsing.sympytools import str_to_sympy, sympy_to_str
from brian2.stateupdaters.base import (
    StateUpdateMethod,
    UnsupportedEquationsException,
    extract_method_options,
)

# The step in the type of the variables: Brian2's dt is always double, and one double among
# float32 makes all arithmetic around it double
STEP = "_dt = dt"


class _Text:
    """The right-hand sides of a set of equations as sympy trees, never expanded."""

    def __init__(self, equations: Equations, variables: Mapping | None) -> None:
        self.rates: dict[str, sympy.Expr] = {}
        self.subexpressions: dict[str, sympy.Expr] = {}
        for name, equation in equations.items():
            if equation.type == "differential equation":
                self.rates[name] = str_to_sympy(equation.expr.code, variables)
            elif equation.type == "subexpression" and "constant over dt" not in equation.flags:
                self.subexpressions[name] = str_to_sympy(equation.expr.code, variables)
        if equations.is_stochastic:
            raise UnsupportedEquationsException("rush_larsen cannot solve stochastic equations")

    def slope(self, expression: sympy.Expr, x: sympy.Symbol, seen: tuple = ()) -> sympy.Expr | None:
        """Return d(expression)/dx where it is affine in x, None where it is not."""
        total = expression.diff(x)
        changing = {x}
        for symbol in sorted(expression.free_symbols, key=str):
            inner = self.subexpressions.get(str(symbol))
            if inner is None or symbol in seen:
                continue
            by_x = self.slope(inner, x, (*seen, symbol))
            if by_x is None or by_x == 0:  # nonlinear in x (held) or free of it
                continue
            changing.add(symbol)
            total = total + expression.diff(symbol) * by_x
        return None if total.free_symbols & changing or total.has(sympy.Derivative) else total

    def order(self) -> list[str]:
        """Names of the subexpressions, each after those that it needs."""
        needs = {
            name: {str(symbol) for symbol in expression.free_symbols} & self.subexpressions.keys()
            for name, expression in self.subexpressions.items()
        }
        return list(TopologicalSorter(needs).static_order())


class RushLarsen(StateUpdateMethod):
    """Exponential integrator of conditionally linear equations.

    Parameters
    ----------
    order
        1: coefficients of the beginning of the step.  2: those of its middle, reached by half a
        step of order 1 (Sundnes et al. 2009).
    """

    def __init__(self, order: int) -> None:
        self.order = order

    def __call__(
        self, equations: Equations, variables: Mapping | None = None,
        method_options: Mapping | None = None,
    ) -> str:  # fmt: skip
        """Return the abstract code of one step.

        Raises
        ------
        UnsupportedEquationsException
            If an equation is stochastic or not affine in its own variable.
        """
        extract_method_options(method_options, {})
        text = _Text(equations, variables)
        slopes = {}
        for name, rate in text.rates.items():
            slopes[name] = text.slope(rate, str_to_sympy(name, variables))
            if slopes[name] is None:
                raise UnsupportedEquationsException(
                    f"the equation of {name} is not affine in {name}; give what is nonlinear in it "
                    "a name of its own (a subexpression), so that it can be held over the step"
                )
        if self.order == 1:
            return "\n".join([
                STEP,
                *(_line(f"_new_{n}", n, rate, slopes[n], "_dt") for n, rate in text.rates.items()),
                *(f"{n} = _new_{n}" for n in text.rates),
            ])  # fmt: skip
        return "\n".join(self._second_order(text, slopes))

    @staticmethod
    def _second_order(text: _Text, slopes: Mapping[str, sympy.Expr]) -> list[str]:
        """Half a step, then a whole one with the coefficients found there.

        The subexpressions of the middle are written as statements of their own: Brian2 does not
        compute a subexpression of subexpressions again when a state has changed.
        """
        names = list(text.rates)
        lines = [STEP]
        lines += [_line(f"_half_{n}", n, text.rates[n], slopes[n], "0.5*_dt") for n in names]
        middle = {n: sympy.Symbol(f"_half_{n}", real=True) for n in names}

        def later(expression: sympy.Expr) -> sympy.Expr:
            moved = {
                symbol: middle[str(symbol)]
                for symbol in expression.free_symbols
                if str(symbol) in middle
            }
            for symbol in expression.free_symbols:
                if str(symbol) == "t":
                    moved[symbol] = symbol + sympy.Symbol("dt", real=True) / 2
            return expression.xreplace(moved)

        for name in text.order():
            moved = later(text.subexpressions[name])
            if moved != text.subexpressions[name]:
                middle[name] = sympy.Symbol(f"_middle_{name}", real=True)
                lines.append(f"_middle_{name} = {sympy_to_str(moved)}")
        for n in names:
            # the line through the middle, at the old value
            lines.append(f"_slope_{n} = {sympy_to_str(later(slopes[n]))}")
            rate = sympy_to_str(later(text.rates[n]))
            lines.append(
                f"_new_{n} = {n} + _dt*(({rate}) + _slope_{n}*({n} - _half_{n}))"
                f"*exprel(_dt*_slope_{n})"
            )
        return [*lines, *(f"{n} = _new_{n}" for n in names)]


def _line(target: str, x: str, rate: sympy.Expr, slope: sympy.Expr, step: str) -> str:
    grown = "" if slope == 0 else f"*exprel({step}*({sympy_to_str(slope)}))"
    return f"{target} = {x} + {step}*({sympy_to_str(rate)}){grown}"


StateUpdateMethod.register("rush_larsen", RushLarsen(1))
StateUpdateMethod.register("rush_larsen2", RushLarsen(2))
