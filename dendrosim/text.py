"""The language of model text: expressions and statements, read through a whitelist.

The language is the part of Brian2's that has the same meaning on every device: arithmetic,
comparisons, ``and or not``, and the functions of `FUNCTIONS`.  An expression is a Python syntax
tree whose nodes have been checked, so it can be walked with numpy here, with torch in
`dendrosim.learn`, or be handed to Brian2 as text.  Nothing is ever passed to ``eval``.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.special import exprel

from dendrosim.errors import DendrosimError, did_you_mean
from dendrosim.names import is_name
from dendrosim.quantities import UNITS

#: Functions that model text may call, with their numpy meaning.
FUNCTIONS: dict[str, Callable] = {
    "exp": np.exp, "log": np.log, "log10": np.log10, "sqrt": np.sqrt,
    "sin": np.sin, "cos": np.cos, "tan": np.tan,
    "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh,
    "arcsin": np.arcsin, "arccos": np.arccos, "arctan": np.arctan,
    "abs": np.abs, "sign": np.sign, "floor": np.floor, "ceil": np.ceil,
    "clip": np.clip, "exprel": exprel,
    "int": lambda condition: np.asarray(condition).astype(float),
}  # fmt: skip

#: Names that mean the same in every text.
CONSTANTS = {"pi": np.pi, "e": np.e, "inf": np.inf}

_ARITHMETIC = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.Pow: lambda a, b: a**b,
    ast.Mod: lambda a, b: a % b,
}
_COMPARISONS = {
    ast.Gt: lambda a, b: a > b,
    ast.GtE: lambda a, b: a >= b,
    ast.Lt: lambda a, b: a < b,
    ast.LtE: lambda a, b: a <= b,
    ast.Eq: lambda a, b: a == b,
    ast.NotEq: lambda a, b: a != b,
}
_LOGIC = {ast.And: lambda a, b: a & b, ast.Or: lambda a, b: a | b}
MAX_LENGTH = 10_000
MAX_LINES = 1_000
MAX_DEPTH = 80
MAX_INTEGER = 2**53


@dataclass(frozen=True)
class Expression:
    """A checked expression.

    Attributes
    ----------
    text
        What was written, on one line, with `sigmoid` written out.
    names
        The identifiers that it reads, functions left out.
    """

    text: str
    names: frozenset[str]

    @property
    def tree(self) -> ast.expr:
        """The checked syntax tree."""
        return _tree(self.text)

    @property
    def is_condition(self) -> bool:
        """Whether it is true or false rather than a number."""
        return _is_condition(self.tree)

    def renamed(self, names: Mapping[str, str]) -> Expression:
        """Return the expression with the identifiers of `names` written as their values."""
        tree = _Rename(names).visit(ast.parse(self.text, mode="eval").body)
        return Expression(ast.unparse(tree), frozenset(names.get(n, n) for n in self.names))

    def __call__(
        self, values: Mapping[str, Any], functions: Mapping[str, Callable] = FUNCTIONS
    ) -> Any:
        """Evaluate with `values` for the names, any array type for which operators work.

        Parameters
        ----------
        values
            Name to number or array.
        functions
            What the function names mean; numpy's by default.
        """
        return _evaluate(self.tree, values, functions)


@dataclass(frozen=True)
class Statement:
    """One assignment of an update block: ``target = expression``."""

    target: str
    expression: Expression

    @property
    def text(self) -> str:
        """The assignment as it is shown."""
        return f"{self.target} = {self.expression.text}"

    @property
    def code(self) -> str:
        """The assignment as Brian2 is to read it.

        Its numpy code makes ``a = b``, and what it simplifies to that, a second name of the array
        of ``b``, into which a later ``b = b + c`` adds in place.  A plus in front makes a copy.
        """
        may_alias = len(self.expression.names) == 1 and self.target not in self.expression.names
        return f"{self.target} = +({self.expression.text})" if may_alias else self.text


def parse_expression(text: Any, where: str = "expression") -> Expression:
    """Check one expression.

    Parameters
    ----------
    text
        Such as ``"g_L*(E_L - v_s)"``.
    where
        File and key, for the error.

    Raises
    ------
    DendrosimError
        If it is not text, does not parse, or holds anything outside the language.
    """
    if not isinstance(text, str):
        raise DendrosimError(f"{where}: {text!r} is not an expression written as text")
    flat = " ".join(" ".join(join_lines(text)).split())
    if len(flat) > MAX_LENGTH:
        raise DendrosimError(f"{where}: an expression of {len(flat)} characters is too long")
    if not flat.isascii():  # Python reads some other letters as if they were these
        raise DendrosimError(f"{where}: {flat!r} holds a character that is not ASCII")
    try:
        tree = ast.parse(flat, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise DendrosimError(f"{where}: {flat!r} is not an expression") from None
    _check(tree, flat, where, 0)
    _check_numbers(tree, flat, where)
    if any(isinstance(node, ast.Name) and node.id == "sigmoid" for node in ast.walk(tree)):
        tree = _WriteOutSigmoid().visit(tree)
        flat = ast.unparse(tree)
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    names = {
        node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in called
    }
    return Expression(flat, frozenset(names))


def parse_statements(text: Any, where: str = "update") -> tuple[Statement, ...]:
    """Check a block of assignments, one a line; ``#`` starts a comment.

    Raises
    ------
    DendrosimError
        If a line is not an assignment of a number to a plain name or a target stands twice.
    """
    if not isinstance(text, str):
        raise DendrosimError(f"{where}: {text!r} is not text")
    statements: list[Statement] = []
    for line in limited(join_lines(text), where):
        target, equals, expression = line.partition("=")
        target = target.strip()
        if not equals or expression.startswith("=") or not is_name(target):
            raise DendrosimError(f"{where}: {line!r} is not an assignment 'name = expression'")
        if any(statement.target == target for statement in statements):
            raise DendrosimError(f"{where}: {target!r} is assigned twice")
        statements.append(Statement(target, parse_number(expression, f"{where}, {target}")))
    return tuple(statements)


def parse_number(text: Any, where: str = "expression") -> Expression:
    """Check one expression that is a number, not a condition."""
    return _of_kind(parse_expression(text, where), False, where)


def parse_condition(text: Any, where: str = "condition") -> Expression:
    """Check one expression that is a condition, not a number."""
    return _of_kind(parse_expression(text, where), True, where)


def _of_kind(expression: Expression, condition: bool, where: str) -> Expression:
    if expression.is_condition is condition:
        return expression
    what = "a number, not a condition" if condition else "a condition, not a number"
    raise DendrosimError(f"{where}: {expression.text!r} is {what}")


def join_lines(text: str) -> list[str]:
    """Split into logical lines: comments dropped, lines joined while a parenthesis is open."""
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


def limited(lines: list[str], where: str) -> list[str]:
    """Return the lines, refusing more of them or longer ones than any model has."""
    if len(lines) > MAX_LINES:
        raise DendrosimError(f"{where}: more than {MAX_LINES} lines")
    for line in lines:
        if len(line) > MAX_LENGTH:
            raise DendrosimError(f"{where}: a line of {len(line)} characters is too long")
    return lines


def check_names(expression: Expression, known: Any, where: str) -> None:
    """Refuse a name that is not in `known`."""
    for name in sorted(expression.names - set(known) - CONSTANTS.keys()):
        hint = did_you_mean(name, set(known) - UNITS.keys())
        raise DendrosimError(f"{where}: {name!r} in {expression.text!r} is not known; {hint}")


@lru_cache(maxsize=4096)
def _tree(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


def _check(node: ast.AST, text: str, where: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise DendrosimError(f"{where}: an expression is nested more than {MAX_DEPTH} deep")
    conditions = False  # whether the children are to be conditions; numbers otherwise
    match node:
        case ast.Constant(value=bool()):
            return
        case ast.Constant(value=int() | float()):
            return
        case ast.Name(id=name) if "__" not in name:
            return
        case ast.BinOp(op=op) if type(op) in _ARITHMETIC:
            children = [node.left, node.right]
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() | ast.Not() as op):
            children, conditions = [node.operand], isinstance(op, ast.Not)
        case ast.BoolOp():
            children, conditions = node.values, True
        case ast.Compare(ops=[op]) if type(op) in _COMPARISONS:
            children = [node.left, *node.comparators]
        case ast.Call(func=ast.Name(id=name), keywords=[]) if name in FUNCTIONS | {"sigmoid": 0}:
            wanted = 3 if name == "clip" else 1
            if len(node.args) != wanted:
                raise DendrosimError(f"{where}: {name} takes {wanted} argument(s) in {text!r}")
            children, conditions = node.args, name == "int"
        case ast.Call(func=ast.Name(id=name)):
            raise DendrosimError(
                f"{where}: {name!r} in {text!r} is not a function of model text; "
                f"{did_you_mean(name, [*FUNCTIONS, 'sigmoid'])}"
            )
        case _:
            raise DendrosimError(
                f"{where}: {text!r} holds something other than arithmetic, comparisons "
                "and the functions of model text"
            )
    for child in children:
        _check(child, text, where, depth + 1)
        # numpy and C++ do not agree on what arithmetic with true and false is
        if _is_condition(child) is not conditions:
            kind = "condition" if conditions else "number"
            raise DendrosimError(
                f"{where}: {ast.unparse(child)!r} in {text!r} is not a {kind}; int(...) makes a "
                "number of a condition, and a comparison makes a condition of numbers"
            )


def _check_numbers(node: ast.expr, text: str, where: str) -> list[ast.Constant] | None:
    """Refuse a number, written or computed from numbers alone, that no device could hold.

    Brian2 computes such parts with Python's numbers: 9**9**9 would take forever.  Return the
    numbers that `node` is made of, None where it depends on a name.
    """
    if isinstance(node, ast.Name):
        return None
    numbers: list[ast.Constant] | None = [node] if isinstance(node, ast.Constant) else []
    called = node.func if isinstance(node, ast.Call) else None
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr) and child is not called:
            inside = _check_numbers(child, text, where)
            numbers = None if numbers is None or inside is None else numbers + inside
    if numbers is not None and not _is_condition(node):
        whole = all(isinstance(number.value, int) for number in numbers)
        if whole and _is_inverse(node):  # Brian2 makes 0 of 10**-2
            raise DendrosimError(
                f"{where}: {ast.unparse(node)!r} in {text!r} is a whole number to a negative "
                "power; write a decimal point"
            )
        if not abs(_number(node)) <= (MAX_INTEGER if whole else np.finfo(float).max):
            raise DendrosimError(f"{where}: {text!r} holds a number that is out of range")
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div | ast.Mod):
        divisor = _check_numbers(node.right, text, where)
        if divisor is not None and _number(node.right) == 0:
            raise DendrosimError(f"{where}: {text!r} divides by 0")
    return numbers


def _is_inverse(node: ast.expr) -> bool:
    """Whether a node is a power, below 0, of whole numbers that are not divided."""
    match node:
        case ast.BinOp(left=base, op=ast.Pow(), right=exponent):
            divided = any(isinstance(part, ast.Div) for part in ast.walk(base))
            return not divided and _number(exponent) < 0
    return False


def _number(node: ast.expr) -> float:
    try:
        with np.errstate(all="ignore"):
            return float(_evaluate(node, {}, FUNCTIONS | {"sigmoid": np.tanh}))
    except OverflowError:  # an integer beyond every float
        return np.inf


def _is_condition(node: ast.expr) -> bool:
    match node:
        case ast.Compare() | ast.BoolOp() | ast.UnaryOp(op=ast.Not()) | ast.Constant(value=bool()):
            return True
    return False


class _Rename(ast.NodeTransformer):
    def __init__(self, names: Mapping[str, str]) -> None:
        self.names = names

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.parse(self.names.get(node.id, node.id), mode="eval").body


class _WriteOutSigmoid(ast.NodeTransformer):
    # Brian2 has no sigmoid; written out once here it is the same number on every device
    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        if node.func.id != "sigmoid":
            return node
        return ast.parse(f"1/(1 + exp(-({ast.unparse(node.args[0])})))", mode="eval").body


def _arithmetic(operation: Callable, a: Any, b: Any) -> Any:
    if isinstance(a, int | float) and isinstance(b, int | float):
        # as on the devices: no endless integers, no complex numbers, 1/0 is infinite
        with np.errstate(all="ignore"):
            return float(operation(np.float64(a), np.float64(b)))
    return operation(a, b)


def _evaluate(node: ast.expr, values: Mapping, functions: Mapping) -> Any:
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            return values[name] if name in values else CONSTANTS[name]
        case ast.BinOp(left=left, op=op, right=right):
            return _arithmetic(
                _ARITHMETIC[type(op)],
                _evaluate(left, values, functions),
                _evaluate(right, values, functions),
            )
        case ast.UnaryOp(op=op, operand=operand):
            value = _evaluate(operand, values, functions)
            if isinstance(op, ast.USub):
                return -value
            return value if isinstance(op, ast.UAdd) else value == 0
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return _COMPARISONS[type(op)](
                _evaluate(left, values, functions), _evaluate(right, values, functions)
            )
        case ast.BoolOp(op=op, values=operands):
            result = _evaluate(operands[0], values, functions)
            for operand in operands[1:]:
                result = _LOGIC[type(op)](result, _evaluate(operand, values, functions))
            return result
        case ast.Call(func=ast.Name(id=name), args=args):
            return functions[name](*(_evaluate(arg, values, functions) for arg in args))
    raise AssertionError(f"unchecked node {ast.dump(node)}")
