"""Derivatives of a set of equations, each by one variable, a named subexpression at a time.

The trees are those of the text, never expanded: the derivative of a subexpression is a statement of
its own, in which others stand by their names.  What has no derivative everywhere (``int`` of a
condition, ``clip``, ``abs``, functions of the user) counts as held.
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
    """(exp(z) - 1)/z with a slope that divides by 0 nowhere; Brian2's own does at z = 0."""

    def fdiff(self, argindex: int = 1) -> sympy.Expr:
        z = self.args[0]
        near = sympy.Function("int_")(sympy.Abs(z) < NEAR_IN_TEXT)
        series = 0.5 + z / 3 + z**2 / 8
        return near * series + (1 - near) * (1 + (z - 1) * self) / (z + near)


class Slope(NamedTuple):
    """The whole derivative of the equation of a variable by that variable.

    Attributes
    ----------
    chain
        Derivatives of the subexpressions that it takes, by the names they have in it, each after
        those that it needs.
    total
        The derivative, in these names and those of the text.
    constant
        Whether the variable itself does not occur in it: the equation is affine.
    """

    chain: dict[str, sympy.Expr]
    total: sympy.Expr
    constant: bool


class EquationTrees:
    """The right-hand sides of a set of equations as sympy trees, as they are written.

    Attributes
    ----------
    rates
        Those of the differential equations, by variable.
    subexpressions
        Those of the subexpressions that change within a step, by name, each after those that it
        needs.
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
        """Return d(rate of x)/dx with what is nonlinear in x held; None where that is the rate.

        A subexpression that is affine in x counts with its derivative, one that is not counts as
        if x did not move it.
        """
        return self._affine(self.rates[x], symbol(x))

    def _affine(self, tree: sympy.Expr, x: sympy.Symbol) -> sympy.Expr | None:
        total, changing = partial(tree, x), {x}
        for inner in sorted(_names(tree) & self.subexpressions.keys()):
            by_x = self._affine(self.subexpressions[inner], x)
            if by_x is None or by_x == 0:  # nonlinear in x (held) or free of it
                continue
            changing.add(symbol(inner))
            total += partial(tree, symbol(inner)) * by_x
        bent = total.free_symbols & changing or any(x in held.free_symbols for held in _held(tree))
        return None if bent else total

    def whole_slope(self, x: str) -> Slope:
        """Return d(rate of x)/dx through every subexpression that x moves."""
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
    """Return the symbol by which Brian2's trees know a name."""
    return str_to_sympy(name)


def partial(tree: sympy.Expr, by: sympy.Symbol) -> sympy.Expr:
    """Return the derivative of a tree by a name in it, all other names and what is held fixed."""
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
