"""The spike variables in the text of a discrete model.

A statement ``S = int(a > b)`` is a switch: ``a - b`` is the distance to threshold.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dendrosim.model.expressions import Expression, parse_number
from dendrosim.model.model import Model

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class Switch:
    """A spike variable of a model.

    Attributes
    ----------
    name
        The variable.
    before
        Variables that earlier statements of the same step assign.
    sides
        The two sides of the comparison; None if the output is not written as ``int(a > b)``.
    """

    name: str
    before: frozenset[str]
    sides: tuple[Expression, Expression] | None

    @property
    def reads(self) -> frozenset[str]:
        """Names used in the comparison."""
        return self.sides[0].names | self.sides[1].names if self.sides else frozenset()


def switches(model: Model) -> tuple[Switch, ...]:
    """Return the spike variables of a discrete model in the order of its text."""
    found = []
    before: set[str] = set()
    for statement in model.update:
        match statement.expression.tree:
            case ast.Call(
                func=ast.Name(id="int"), args=[ast.Compare(left=a, ops=[op], comparators=[b])]
            ) if isinstance(op, ast.Gt | ast.GtE | ast.Lt | ast.LtE):
                sides = (b, a) if isinstance(op, ast.Lt | ast.LtE) else (a, b)
                high, low = (parse_number(ast.unparse(side)) for side in sides)
                found.append(Switch(statement.target, frozenset(before), (high, low)))
            case _ if statement.target == model.output:
                found.append(Switch(statement.target, frozenset(before), None))
        before.add(statement.target)
    return tuple(found)
