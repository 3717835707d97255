"""The language of model text: expressions and statements, read through a whitelist.

The language is the part of Brian2's language that has the same meaning on every device:
arithmetic, comparisons, ``and or not``, and the functions of `FUNCTIONS`.  An expression is a
checked Python syntax tree.  It is evaluated with numpy here and with torch in `dendrosim.learn`,
or passed to Brian2 as text.  Nothing is ever passed to ``eval``.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from dendrosim.errors import DendrosimError, at, did_you_mean
from dendrosim.model.names import is_name
from dendrosim.model.quantities import UNITS
from dendrosim.model.syntax import CONSTANTS, FUNCTIONS, called_name, evaluate, is_condition
from dendrosim.model.whitelist import check

MAX_LENGTH = 10_000
MAX_LINES = 1_000


@dataclass(frozen=True)
class Expression:
    """A checked expression.

    Attributes
    ----------
    text
        The text on one line, with `sigmoid` replaced by its formula.
    names
        The identifiers that it uses, without functions.
    """

    text: str
    names: frozenset[str]

    @property
    def tree(self) -> ast.expr:
        """The checked syntax tree."""
        return _tree(self.text)

    @property
    def is_condition(self) -> bool:
        """Whether it is a condition (true or false) and not a number."""
        return is_condition(self.tree)

    def renamed(self, names: Mapping[str, str]) -> Expression:
        """Return the expression with the identifiers in `names` replaced by the mapped names."""
        tree = _Rename(names).visit(ast.parse(self.text, mode="eval").body)
        return Expression(ast.unparse(tree), frozenset(names.get(n, n) for n in self.names))

    def __call__(
        self, values: Mapping[str, Any], functions: Mapping[str, Callable] = FUNCTIONS
    ) -> Any:
        """Evaluate the expression with `values`, for any array type that supports the operators.

        Parameters
        ----------
        values
            Name to number or array.
        functions
            Implementations of the functions; numpy by default.
        """
        return evaluate(self.tree, values, functions)


@dataclass(frozen=True)
class Statement:
    """One assignment of an update block: ``target = expression``."""

    target: str
    expression: Expression

    @property
    def text(self) -> str:
        """The assignment as shown to a user."""
        return f"{self.target} = {self.expression.text}"

    @property
    def code(self) -> str:
        """The assignment as passed to Brian2.

        In Brian2's numpy code, ``a = b`` (also as the result of a simplification) does not copy:
        ``a`` and ``b`` are then the same array, and a later ``b = b + c`` changes both in place.
        The leading plus forces a copy.
        """
        may_alias = len(self.expression.names) == 1 and self.target not in self.expression.names
        return f"{self.target} = +({self.expression.text})" if may_alias else self.text


def parse_expression(text: Any, name: str = "expression") -> Expression:
    """Check one expression.

    Parameters
    ----------
    text
        Such as ``"g_L*(E_L - v_s)"``.
    name
        Name of the expression, for the error message.

    Raises
    ------
    DendrosimError
        If it is not text, does not parse, or uses syntax outside the language.
    """
    with at(name):
        flat, tree = _checked(text)
    if any(isinstance(node, ast.Name) and node.id == "sigmoid" for node in ast.walk(tree)):
        tree = _WriteOutSigmoid().visit(tree)
        flat = ast.unparse(tree)
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    names = {
        node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in called
    }
    return Expression(flat, frozenset(names))


def _checked(text: Any) -> tuple[str, ast.expr]:
    """Return an expression on one line, and its syntax tree."""
    if not isinstance(text, str):
        raise DendrosimError(f"{text!r} is not an expression written as text")
    flat = " ".join(" ".join(join_lines(text)).split())
    if len(flat) > MAX_LENGTH:
        raise DendrosimError(f"an expression of {len(flat)} characters is too long")
    if not flat.isascii():  # Python normalises some other letters to ASCII ones
        raise DendrosimError(f"{flat!r} holds a character that is not ASCII")
    try:
        tree = ast.parse(flat, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise DendrosimError(f"{flat!r} is not an expression") from None
    check(tree, flat)
    return flat, tree


def parse_statements(text: Any, name: str = "update") -> tuple[Statement, ...]:
    """Check a block of assignments, one per line; ``#`` starts a comment.

    Raises
    ------
    DendrosimError
        If a line is not an assignment of a number to a plain name, or a target appears twice.
    """
    statements: dict[str, Statement] = {}
    with at(name):
        if not isinstance(text, str):
            raise DendrosimError(f"{text!r} is not text")
        lines = limited(join_lines(text))
    for line in lines:
        with at(name):
            target, expression = _assignment(line, statements)
        statements[target] = Statement(target, parse_number(expression, f"{name}, {target}"))
    return tuple(statements.values())


def _assignment(line: str, earlier: Collection[str]) -> tuple[str, str]:
    """Return both sides of a line; `earlier` holds the targets of the lines before it."""
    target, equals, expression = line.partition("=")
    target = target.strip()
    if not equals or expression.startswith("=") or not is_name(target):
        raise DendrosimError(f"{line!r} is not an assignment 'name = expression'")
    if target in earlier:
        raise DendrosimError(
            f"{target!r} is assigned twice; a second value needs a name of its own"
        )
    return target, expression


def parse_number(text: Any, name: str = "expression") -> Expression:
    """Check one expression that must be a number, not a condition."""
    found = parse_expression(text, name)
    if found.is_condition:
        raise DendrosimError(f"{name}: {found.text!r} is a condition, not a number")
    return found


def parse_condition(text: Any, name: str = "condition") -> Expression:
    """Check one expression that must be a condition, not a number."""
    found = parse_expression(text, name)
    if not found.is_condition:
        raise DendrosimError(f"{name}: {found.text!r} is a number, not a condition")
    return found


def join_lines(text: str) -> list[str]:
    """Split into logical lines: drop comments, join lines while a parenthesis is open."""
    lines, parts, depth = [], [], 0
    for line in text.splitlines():
        code = line.partition("#")[0].strip()
        if not code:
            continue
        parts.append(code)
        depth += code.count("(") - code.count(")")
        if depth <= 0:
            lines.append(" ".join(parts))
            parts, depth = [], 0
    return [*lines, " ".join(parts)] if parts else lines


def limited(lines: list[str]) -> list[str]:
    """Return the lines; refuse more or longer lines than any real model has."""
    if len(lines) > MAX_LINES:
        raise DendrosimError(f"more than {MAX_LINES} lines")
    for line in lines:
        if len(line) > MAX_LENGTH:
            raise DendrosimError(f"a line of {len(line)} characters is too long")
    return lines


def check_names(expression: Expression, known: Any) -> None:
    """Refuse a name that is not in `known`."""
    for name in sorted(expression.names - set(known) - CONSTANTS.keys()):
        hint = did_you_mean(name, set(known) - UNITS.keys())
        raise DendrosimError(f"{name!r} in {expression.text!r} is not known; {hint}")


@lru_cache(maxsize=4096)
def _tree(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


class _Rename(ast.NodeTransformer):
    def __init__(self, names: Mapping[str, str]) -> None:
        self.names = names

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.parse(self.names.get(node.id, node.id), mode="eval").body


class _WriteOutSigmoid(ast.NodeTransformer):
    # Brian2 has no sigmoid; replacing it here gives the same number on every device
    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        if called_name(node) != "sigmoid":
            return node
        return ast.parse(f"1/(1 + exp(-({ast.unparse(node.args[0])})))", mode="eval").body
