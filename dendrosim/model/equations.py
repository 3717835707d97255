"""The equations of a continuous model: Brian2's syntax, checked line by line.

A line is ``dv/dt = expression : unit``, ``I = expression : unit`` (a subexpression) or
``I_s : unit`` (an input: a value from outside).  Parameters are not declared here: the model
file defines each one with its value and unit.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from brian2.core.functions import DEFAULT_CONSTANTS, DEFAULT_FUNCTIONS
from brian2.core.variables import Variable
from brian2.parsing.expressions import parse_expression_dimensions
from brian2.units.fundamentalunits import DIMENSIONLESS, Dimension, DimensionMismatchError

from dendrosim.errors import DendrosimError, at
from dendrosim.model.expressions import Expression, check_names, join_lines, limited, parse_number
from dendrosim.model.names import is_name
from dendrosim.model.quantities import UNITS, parse_unit, unit_text, unit_words

_LINE = re.compile(
    r"(?:d(?P<state>\w+)\s*/\s*dt\s*=\s*(?P<rate>[^:]+)"
    r"|(?P<name>\w+)\s*=\s*(?P<value>[^:=]+(?:[<>=!]=[^:=]+)*)"
    r"|(?P<given>\w+))\s*:\s*(?P<unit>[^:(]+?)\s*(?:\((?P<flag>[a-z ]+)\))?"
)
_SECOND = parse_unit("second").dim
MAX_EXPANDED = 10_000
ALWAYS = {"t": _SECOND, "dt": _SECOND, "i": DIMENSIONLESS, "N": DIMENSIONLESS}


@dataclass(frozen=True)
class Equation:
    """One line of a model's equations.

    Attributes
    ----------
    kind
        ``"differential"``, ``"subexpression"`` or ``"input"``.
    name
        The variable on the left.
    expression
        The right-hand side; None for an input.
    unit
        Text of the unit of the variable.
    flag
        ``"constant over dt"`` or None.
    """

    kind: str
    name: str
    expression: Expression | None
    unit: str
    flag: str | None = None

    @property
    def right(self) -> Expression:
        """The right-hand side of a line that is not an input."""
        assert self.expression is not None  # only an input has none
        return self.expression

    @property
    def dim(self) -> Dimension:
        """Dimension of the variable; for a differential equation not of its rate."""
        return parse_unit(self.unit).dim

    @property
    def text(self) -> str:
        """The line in Brian2's syntax."""
        left = {"differential": f"d{self.name}/dt = ", "input": self.name}.get(
            self.kind, f"{self.name} = "
        )
        right = self.expression.text if self.expression else ""
        flag = f" ({self.flag})" if self.flag else ""
        return f"{left}{right} : {unit_text(self.dim)}{flag}"


def parse_equations(text: str, name: str = "equations") -> tuple[Equation, ...]:
    """Read a block of equations.

    Raises
    ------
    DendrosimError
        With the line that has none of the three forms, or the name that is defined twice.
    """
    equations: dict[str, Equation] = {}
    with at(name):
        lines = limited(_logical_lines(text))
    for line in lines:
        with at(name):
            part, variable = _parts(line, equations)
        equations[variable] = _equation(part, variable, f"{name}, {variable}")
    return tuple(equations.values())


def _parts(line: str, earlier: Collection[str]) -> tuple[dict[str, Any], str]:
    """Return the parts of a line and its variable; `earlier` holds those of the lines before it."""
    match = _LINE.fullmatch(line)
    if match is None:
        raise DendrosimError(
            f"{line!r} is not 'dv/dt = expression : unit', 'name = expression : unit' or "
            "'name : unit'"
        )
    part = match.groupdict()
    name = part["state"] or part["name"] or part["given"]
    if not is_name(name):
        raise DendrosimError(f"{name!r} cannot be the name of a variable")
    if name in earlier:
        raise DendrosimError(f"{name!r} is defined twice")
    return part, name


def _equation(part: Mapping[str, Any], variable: str, place: str) -> Equation:
    kind = "differential" if part["state"] else "subexpression" if part["name"] else "input"
    valid = (None, "constant over dt") if kind == "subexpression" else (None,)
    if part["flag"] not in valid:
        raise DendrosimError(
            f"{place}: unknown flag {part['flag']!r}; valid: constant over dt, of a line "
            "'name = expression : unit'"
        )
    parse_unit(part["unit"], place)
    right = part["rate"] or part["value"]
    expression = parse_number(right, place) if right else None
    return Equation(kind, variable, expression, part["unit"], part["flag"])


def override(equations: Iterable[Equation], changed: Iterable[Equation]) -> tuple[Equation, ...]:
    """Return the equations, each replaced by the one of the same name in `changed` if present."""
    new = {equation.name: equation for equation in changed}
    kept = [new.pop(equation.name, equation) for equation in equations]
    return (*kept, *new.values())


def check_equations(
    equations: tuple[Equation, ...], given: Mapping[str, Dimension]
) -> dict[str, Dimension]:
    """Check that every name is defined, every unit matches and no definition is circular.

    Parameters
    ----------
    equations
        All equations of the model.
    given
        Dimensions of the parameters.

    Returns
    -------
    dict
        Dimension of every name that expressions of this model may use, including units.

    Raises
    ------
    DendrosimError
        With the equation and the mismatch.
    """
    dims = {equation.name: equation.dim for equation in equations} | dict(given) | ALWAYS
    dims |= {name: unit.dim for name, unit in UNITS.items() if name not in dims}
    for equation in equations:
        if equation.expression is None:
            continue
        with at(f"equation of {equation.name}"):
            check_names(equation.expression, dims)
            found = dimension_of(equation.expression, dims)
            wanted = equation.dim / _SECOND if equation.kind == "differential" else equation.dim
            if found is not wanted:
                raise DendrosimError(
                    f"{equation.expression.text!r} has {unit_words(found)}, "
                    f"but {unit_words(wanted)} is needed"
                )
    _check_expanded(equations)
    return dims


def _check_expanded(equations: tuple[Equation, ...]) -> None:
    """Refuse subexpressions that grow exponentially when Brian2 substitutes them."""
    lengths: dict[str, int] = {}
    differential = [e for e in equations if e.kind == "differential"]
    for equation in (*in_order(equations), *differential):
        used = (n.id for n in ast.walk(equation.right.tree) if isinstance(n, ast.Name))
        lengths[equation.name] = sum(lengths.get(name, 1) for name in used) + 1
        if lengths[equation.name] > MAX_EXPANDED:
            raise DendrosimError(
                f"{equation.name}, with its subexpressions written out, has more than "
                f"{MAX_EXPANDED:,} names"
            )


def dimension_of(expression: Expression, dims: Mapping[str, Dimension]) -> Dimension:
    """Return the dimension of an expression.

    Raises
    ------
    DendrosimError
        If its units do not agree.
    """
    used = tuple((name, dims[name]) for name in sorted(expression.names & dims.keys()))
    return _dimension(expression.text, used)


# a fit checks the same equations once a generation
@lru_cache(maxsize=4096)
def _dimension(text: str, dims: tuple[tuple[str, Dimension], ...]) -> Dimension:
    variables = {name: Variable(name, dimensions=dim) for name, dim in dims}
    variables |= DEFAULT_FUNCTIONS | DEFAULT_CONSTANTS
    try:
        return parse_expression_dimensions(text, variables)
    except DimensionMismatchError as error:
        raise DendrosimError(f"{_one_line(error)}") from None
    except (TypeError, ValueError, SyntaxError, NotImplementedError) as error:
        raise DendrosimError(f"{text!r}: {_one_line(error)}") from None


def in_order(equations: Iterable[Equation]) -> list[Equation]:
    """Return the subexpressions ordered so that each one uses only earlier ones.

    Raises
    ------
    DendrosimError
        If some of them depend on each other.
    """
    waiting = {e.name: e for e in equations if e.kind == "subexpression"}
    order: list[Equation] = []
    while waiting:
        ready = [e for e in waiting.values() if not e.right.names & waiting.keys()]
        if not ready:
            raise DendrosimError(_circle(list(waiting)))
        order += ready
        for equation in ready:
            del waiting[equation.name]
    return order


def _circle(names: list[str]) -> str:
    *others, last = names
    if not others:
        return f"{last} depends on itself"
    return f"{', '.join(others)} and {last} depend on each other in a circle"


def _logical_lines(text: str) -> list[str]:
    # an equation may continue over several lines; it ends at the line with ': unit'
    lines, parts = [], []
    for line in join_lines(text):
        parts += line.split()
        if ":" in line:
            lines.append(" ".join(parts))
            parts = []
    return [*lines, " ".join(parts)] if parts else lines


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")
