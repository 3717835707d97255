"""Integration methods that dendrosim adds to Brian2: ``rush_larsen`` and ``rush_larsen2``.

Importing this module registers them; any Brian2 user can then write ``method="rush_larsen"``.

In a conductance-based model each equation is affine in its own variable if the rates and the
other variables are held constant: ``dx/dt = f = A x + B``.  Its exact solution over a step is

    x(t + dt) = x + dt f(x) phi(dt A),    phi(z) = (exp(z) - 1)/z

(Rush and Larsen 1978; Hochbruck and Ostermann 2010, exponential Rosenbrock-Euler with a diagonal
A).  In this form f is the original text of the model, evaluated once and never expanded, and
phi(0) = 1 needs no division.

``rush_larsen`` uses this formula.  A is the derivative of f by x, with named subexpressions that
are nonlinear in x held constant.  Potentials and gates stay in their ranges for any step.

``rush_larsen2`` adds a second stage at two thirds of the step (Ralston 1962) and uses the full
derivative, through every subexpression that depends on x.  With f_1, A_1 at the start of the step
and f_2, A_2 at the stage y = x + 2/3 dt f_1 phi(2/3 dt A_1),

    x(t + dt) = x + dt f_1 phi(dt A_2) + 3/4 dt phi(2/3 dt A_2) (f_2 - f_1 - A_2 (y - x))

with the error -dt^3/6 D^2 f, where D is the Jacobian without its diagonal.  The method is of third
order in the effect of a variable on itself, and of second order in the effects of other variables.
An equation that is affine in its own variable, such as that of a gate, is advanced by the exact
solution of the mean equation

    x(t + dt) = x + dt (1/4 f_1 + 3/4 (f_2 + A_2 (x - y))) phi(dt (1/4 A_1 + 3/4 A_2))

which keeps a gate between 0 and 1 for any step.
"""

from __future__ import annotations

from collections.abc import Mapping

import sympy
from brian2.equations.equations import Equations
from brian2.parsing.sympytools import sympy_to_str
from brian2.stateupdaters.base import (
    StateUpdateMethod,
    UnsupportedEquationsException,
    extract_method_options,
)

from dendrosim.integrators.slopes import EquationTrees, Slope, symbol

# The step in the type of the variables: Brian2's dt is always double, and one double in an
# expression of float32 variables makes the whole expression double
STEP = "_dt = dt"

# Position of the second stage: with these weights, quadratic rates are integrated exactly (Ralston)
NODE = 2 / 3
# Weights of the second stage and of the start of the step, for order 2
LATE, EARLY = 1 / (2 * NODE), 1 - 1 / (2 * NODE)

# The tangent of a growing variable is only valid for a short time, so the growth over a step that
# a slope may predict is limited to this value.  The order does not depend on the slope.
GROWTH = 0.5


class RushLarsen(StateUpdateMethod):
    """Exponential integrator for conditionally linear equations.

    Parameters
    ----------
    order
        1: slopes with nonlinear parts held constant; 2: full slopes.
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
            If an equation is stochastic or, at order 1, not affine in its own variable.
        """
        extract_method_options(method_options, {})
        if equations.is_stochastic:
            raise UnsupportedEquationsException("rush_larsen cannot solve stochastic equations")
        trees = EquationTrees(equations, variables)
        lines = _first_order(trees) if self.order == 1 else _second_order(trees)
        return "\n".join([STEP, *lines, *(f"{x} = _new_{x}" for x in trees.rates)])


def _first_order(trees: EquationTrees) -> list[str]:
    lines = []
    for x, rate in trees.rates.items():
        slope = trees.held_slope(x)
        if slope is None:
            raise UnsupportedEquationsException(
                f"the equation of {x} is not affine in {x}; give what is nonlinear in it "
                "a name of its own (a subexpression), so that it can be held over the step"
            )
        growth = "" if slope == 0 else f"*exprel(_dt*({sympy_to_str(slope)}))"
        lines.append(f"_new_{x} = {x} + _dt*({sympy_to_str(rate)}){growth}")
    return lines


def _second_order(trees: EquationTrees) -> list[str]:
    slopes = {x: trees.whole_slope(x) for x in trees.rates}
    first = _Stage(trees, slopes, 1, {x: x for x in trees.rates}, 0)
    stage = [
        f"_stage_{x} = {x} + {NODE}*_dt*_1_rate_{x}*exprel({NODE}*_dt*_1_slope_{x})" for x in slopes
    ]
    second = _Stage(trees, slopes, 2, {x: f"_stage_{x}" for x in trees.rates}, NODE)
    return [*first.lines, *stage, *second.lines, *(_advanced(x, slopes[x]) for x in slopes)]


def _advanced(x: str, slope: Slope) -> str:
    rate_1, rate_2, slope_1, slope_2 = (
        f"_{number}_{kind}_{x}" for kind in ("rate", "slope") for number in (1, 2)
    )
    if slope.constant:
        mean = f"{EARLY}*{rate_1} + {LATE}*({rate_2} + {slope_2}*({x} - _stage_{x}))"
        growth = f"exprel(_dt*({EARLY}*{slope_1} + {LATE}*{slope_2}))"
        return f"_new_{x} = {x} + _dt*({mean})*{growth}"
    bend = f"{rate_2} - {rate_1} - {slope_2}*(_stage_{x} - {x})"
    return (
        f"_new_{x} = {x} + _dt*({rate_1}*exprel(_dt*{slope_2})"
        f" + {LATE}*exprel({NODE}*_dt*{slope_2})*({bend}))"
    )


class _Stage:
    """Statements for the rates and slopes at one point of the step.

    Each subexpression becomes a separate statement.  The reason is that Brian2 does not recompute
    nested subexpressions after a state has changed; rates and slopes also share these statements.
    """

    def __init__(
        self, trees: EquationTrees, slopes: Mapping[str, Slope], number: int,
        states: Mapping[str, str], later: float,
    ) -> None:  # fmt: skip
        self.number = number
        self.lines: list[str] = []
        self.names = {symbol(x): symbol(name) for x, name in states.items()}
        self.names[symbol("t")] = symbol("t") + later * symbol("dt")
        for name, tree in trees.subexpressions.items():
            self._name(name, tree)
        for x, slope in slopes.items():
            for name, tree in slope.chain.items():
                self._name(name, tree)
            total = self._code(slope.total)
            believed = total if slope.constant else f"clip({total}, -inf, {GROWTH}/_dt)"
            self.lines.append(f"_{number}_slope_{x} = {believed}")
            self.lines.append(f"_{number}_rate_{x} = {self._code(trees.rates[x])}")

    def _name(self, name: str, tree: sympy.Expr) -> None:
        mine = f"_{self.number}" + (name if name.startswith("_") else f"_{name}")
        self.lines.append(f"{mine} = {self._code(tree)}")
        self.names[symbol(name)] = symbol(mine)

    def _code(self, tree: sympy.Expr) -> str:
        return sympy_to_str(tree.xreplace(self.names))


StateUpdateMethod.register("rush_larsen", RushLarsen(1))
StateUpdateMethod.register("rush_larsen2", RushLarsen(2))
