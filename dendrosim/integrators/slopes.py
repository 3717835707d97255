"""Derivatives of a set of equations by one variable, one named subexpression at a time.

The expression trees are those of the text, never expanded: the derivative of a subexpression is a
separate statement that refers to others by name.  Functions that are not differentiable everywhere
(``int`` of a condition, ``clip``, ``abs``, user functions) are treated as constants.
"""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import TopologicalSorter
from typing import NamedTuple

import sympy
from brian2.core.functions import exprel
from brian2.equations.equations import Equations
from brian2.parsing.sympytools import str_to_sympy
from sympy.core.function import AppliedUndef

from dendrosim.model.exprel import NEAR_IN_TEXT

_HELD = (AppliedUndef, sympy.Abs, sympy.sign, sympy.floor, sympy.ceiling, sympy.Mod)


class _Exprel(sympy.Function):
    """(exp(z) - 1)/z with a slope that never divides by 0; that of Brian2 does so at z = 0."""

    def fdiff(self, argindex: int = 1) -> sympy.Expr:
        z = self.args[0]
        near = sympy.Function("int_")(sympy.Abs(z) < NEAR_IN_TEXT)
        series = 0.5 + z / 3 + z**2 / 8
        return near * series + (1 - near) * (1 + (z - 1) * self) / (z + near)


class Slope(NamedTuple):
    """The full derivative of the equation of a variable with respect to that variable.

    Attributes
    ----------
    chain
        Derivatives of subexpressions used in `total`, by name, each after those that it
        depends on.
    total
        The derivative, in these names and those of the text.
    constant
        Whether `total` does not depend on the variable: the equation is affine.
    """

    chain: dict[str, sympy.Expr]
    total: sympy.Expr
    constant: bool


class EquationTrees:
    """The right-hand sides of a set of equations as sympy trees, not expanded.

    Attributes
    ----------
    rates
        Rates of the differential equations, by variable.
    subexpressions
        Subexpressions that change within a step, by name, each after those that it depends on.
    """

    def __init__(self, equations: Equations, variables: Mapping | None = None) -> None:
        self.rates: dict[str, sympy.Expr] = {}
        found: dict[str, sympy.Expr] = {}
        for name, equation in equations.items():
            if equation.type == "differential equation":
                self.rates[name] = str_to_sympy(equation.expr.code, variables)
            elif equation.type == "subexpression" and "constant over dt" not in equation.flags:
                found[name] = str_to_sympy(equation.expr.code, variables)
        order = TopologicalSorter(
            {name: _names(tree) & found.keys() for name, tree in found.items()}
        )
        self.subexpressions = {name: found[name] for name in order.static_order()}

    def held_slope(self, x: str) -> sympy.Expr | None:
        """Return d(rate of x)/dx with nonlinear parts held constant; None if it is nonlinear.

        A subexpression that is affine in x contributes its derivative; a nonlinear one is treated
        as a constant.
        """
        return self._affine(self.rates[x], symbol(x))

    def _affine(self, tree: sympy.Expr, x: sympy.Symbol) -> sympy.Expr | None:
        total, changing = partial(tree, x), {x}
        for inner in sorted(_names(tree) & self.subexpressions.keys()):
            by_x = self._affine(self.subexpressions[inner], x)
            if by_x is None or by_x == 0:  # nonlinear in x (held constant), or independent of x
                continue
            changing.add(symbol(inner))
            total += partial(tree, symbol(inner)) * by_x
        bent = total.free_symbols & changing or any(x in held.free_symbols for held in _held(tree))
        return None if bent else total

    def whole_slope(self, x: str) -> Slope:
        """Return d(rate of x)/dx through every subexpression that depends on x."""
        chain: dict[str, sympy.Expr] = {}
        by_x: dict[str, str] = {}  # subexpression: name of its derivative
        moving = {x}
        for name, tree in self.subexpressions.items():
            if not _names(tree) & moving:
                continue
            moving.add(name)
            total = _chain_rule(tree, x, by_x)
            if total != 0:
                by_x[name] = f"_d_{name}_d_{x}"
                chain[by_x[name]] = total
                if _names(total) & moving:
                    moving.add(by_x[name])
        total = _chain_rule(self.rates[x], x, by_x)
        needed = _names(total)
        for name in reversed(chain):
            if name in needed:
                needed |= _names(chain[name])
        kept = {name: tree for name, tree in chain.items() if name in needed}
        return Slope(kept, total, not _names(total) & moving)


def symbol(name: str) -> sympy.Symbol:
    """Return the symbol of a name in Brian2's trees."""
    return str_to_sympy(name)


def partial(tree: sympy.Expr, by: sympy.Symbol) -> sympy.Expr:
    """Return the derivative of a tree by a name in it, with all other parts constant."""
    held: dict[sympy.Expr, sympy.Dummy] = {}

    def smooth(node: sympy.Basic) -> sympy.Basic:
        if isinstance(node, _HELD):
            return held.setdefault(node, sympy.Dummy(real=True))
        if not node.args:
            return node
        args = [smooth(arg) for arg in node.args]
        return _Exprel(*args) if isinstance(node, exprel) else node.func(*args)

    derivative = smooth(tree).diff(by)
    return derivative.xreplace({dummy: node for node, dummy in held.items()}).replace(
        _Exprel, exprel
    )


def _chain_rule(tree: sympy.Expr, x: str, by_x: Mapping[str, str]) -> sympy.Expr:
    total = partial(tree, symbol(x))
    for name in sorted(_names(tree) & by_x.keys()):
        total += partial(tree, symbol(name)) * symbol(by_x[name])
    return total


def _held(tree: sympy.Expr) -> list[sympy.Expr]:
    return [node for node in sympy.preorder_traversal(tree) if isinstance(node, _HELD)]


def _names(tree: sympy.Expr) -> set[str]:
    return {str(free) for free in tree.free_symbols}
