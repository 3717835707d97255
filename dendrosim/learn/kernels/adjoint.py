"""C++ from statements of model text, with their adjoint: derivatives by reverse accumulation.

Each operation of the text becomes one local variable of straight-line code.  The compiler gets one
loop body without branches and without memory access between operations.  Rounding is the same as
in torch: the same operations, in the same order and precision.
"""

from __future__ import annotations

import ast
import copy
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from dendrosim.model.expressions import Expression, Statement
from dendrosim.model.functions import FUNCTIONS as TABLE
from dendrosim.model.syntax import CONSTANTS, FUNCTIONS, called_name

_NAMES = {
    **{name: f"math::{name}" for name in FUNCTIONS},
    "arcsin": "math::asin", "arccos": "math::acos", "arctan": "math::atan", "abs": "math::fabs",
    "sign": "sign", "exprel": "exprel", "logistic": "logistic",
}  # fmt: skip

_SYMBOLS = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/",
    ast.Gt: ">", ast.GtE: ">=", ast.Lt: "<", ast.LtE: "<=", ast.Eq: "==", ast.NotEq: "!=",
    ast.And: "&", ast.Or: "|",
}  # fmt: skip


@dataclass
class _Value:
    """A number in the code: its C++ name or literal, and its value if it is constant."""

    code: str
    active: bool = False
    number: float | None = None


@dataclass
class Tape:
    """Code for a block of statements, forward and backward.

    Parameters
    ----------
    active
        Names with respect to which derivatives are computed.
    surrogate
        Derivative of a spike, as an expression in ``x`` and ``width``.
    width
        Width of the surrogate.

    Attributes
    ----------
    forward
        Lines that define every variable of the block.
    names
        Name in the text to its C++ variable after the block.
    """

    active: frozenset[str]
    surrogate: Expression
    width: float
    forward: list[str] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    _values: dict[str, _Value] = field(default_factory=dict)
    _steps: list[tuple[_Value, list[tuple[_Value, str]]]] = field(default_factory=list)
    _count: int = 0

    def read(self, names: Iterable[str]) -> None:
        """Declare names that exist before the block; their C++ variables are ``in_<name>``."""
        for name in names:
            self._set(name, _Value(f"in_{name}", name in self.active))

    def add(self, statements: Iterable[Statement]) -> None:
        """Append statements."""
        for statement in statements:
            self._set(statement.target, self._walk(statement.expression.tree))

    def backward(self, seeds: Mapping[str, str]) -> list[str]:
        """Return the lines of the adjoint.

        Parameters
        ----------
        seeds
            Name in the text to the C++ expression of its derivative after the block.

        Returns
        -------
        list of str
            Code after which ``d_in_<name>`` is the derivative with respect to each active name.
        """
        lines, declared = [], {f"in_{name}" for name in self.active}
        declared |= {out.code for out, _ in self._steps}
        lines += [f"T d_{code} = 0;" for code in sorted(declared)]
        for name, seed in seeds.items():
            if self._values[name].active:
                lines.append(f"d_{self._values[name].code} += {seed};")
        for out, slopes in reversed(self._steps):
            for argument, slope in slopes:
                term = {"1": f"d_{out.code}", "-1": f"-d_{out.code}"}
                lines.append(f"d_{argument.code} += {term.get(slope, f'd_{out.code}*({slope})')};")
        return lines

    def _set(self, name: str, value: _Value) -> None:
        self._values[name] = value
        self.names[name] = value.code

    def _new(self, code: str, *slopes: tuple[_Value, str]) -> _Value:
        """Define a variable by its code and its derivative with respect to each argument."""
        self._count += 1
        wanted = [(argument, slope) for argument, slope in slopes if argument.active]
        value = _Value(f"v{self._count}", bool(wanted))
        self.forward.append(f"const T {value.code} = {code};")
        if wanted:
            self._steps.append((value, wanted))
        return value

    def _walk(self, node: ast.expr) -> _Value:
        number = _known(node)
        if number is not None:
            return _Value(_literal(number), number=number)
        match node:
            case ast.Name(id=name):
                return self._values[name]
            case ast.BinOp(left=left, op=op, right=right):
                return self._binary(op, self._walk(left), self._walk(right))
            case ast.UnaryOp(op=op, operand=operand):
                a = self._walk(operand)
                return self._new(f"-{a.code}", (a, "-1")) if isinstance(op, ast.USub) else a
            case ast.Call(func=ast.Name(id="int"), args=[condition]):
                return self._new(f"T({self._condition(condition)})")
            case ast.Call(func=ast.Name(id=name), args=arguments):
                return self._call(name, *map(self._walk, arguments))
        raise AssertionError(f"unchecked node {ast.dump(node)}")

    def _binary(self, op: ast.operator, a: _Value, b: _Value) -> _Value:
        symbol = _SYMBOLS.get(type(op))
        match op:
            case ast.Add():
                slopes = "1", "1"
            case ast.Sub():
                slopes = "1", "-1"
            case ast.Mult():
                slopes = b.code, a.code
            case ast.Div():
                slopes = f"1/{b.code}", f"-{a.code}/({b.code}*{b.code})"
            case ast.Mod():
                by_b = f"-math::floor({a.code}/{b.code})"
                return self._new(f"floored({a.code}, {b.code})", (a, "1"), (b, by_b))
            case _:
                return self._power(a, b)
        return self._new(f"{a.code} {symbol} {b.code}", (a, slopes[0]), (b, slopes[1]))

    def _power(self, a: _Value, b: _Value) -> _Value:
        if b.number == 2:
            return self._new(f"{a.code}*{a.code}", (a, f"2*{a.code}"))
        by_a = f"{b.code}*math::pow({a.code}, {b.code} - 1)"
        by_b = f"math::pow({a.code}, {b.code})*math::log({a.code})"
        return self._new(f"math::pow({a.code}, {b.code})", (a, by_a), (b, by_b))

    def _call(self, name: str, a: _Value, *rest: _Value) -> _Value:
        match name:
            case "spike_gt" | "spike_ge":
                return self._spike(">" if name == "spike_gt" else ">=", a, *rest)
            case "clip":
                return self._bounded("lowered", ">", self._bounded("raised", "<", a, rest[0]),
                                     rest[1])  # fmt: skip
            case "detached":
                return self._new(a.code)
        value = self._new(f"{_NAMES[name]}({a.code})")
        slope = TABLE[name].slope
        if a.active and slope != "0":
            value.active = True
            self._steps.append((value, [(a, _in_cpp(name, a.code, value.code))]))
        return value

    def _bounded(self, function: str, beyond: str, a: _Value, limit: _Value) -> _Value:
        # at the limit itself, each side contributes half of the slope, as in torch
        outside = f"(T({a.code} {beyond} {limit.code}) + T(0.5)*T({a.code} == {limit.code}))"
        return self._new(
            f"{function}({a.code}, {limit.code})", (a, f"1 - {outside}"), (limit, outside)
        )

    def _spike(self, symbol: str, a: _Value, b: _Value) -> _Value:
        fired = self._new(f"T({a.code} {symbol} {b.code})")
        if not (a.active or b.active):
            return fired
        distance = self._new(f"{a.code} - {b.code}")
        names, self._values = self._values, {
            "x": _Value(distance.code), "width": _Value(_literal(self.width)),
        }  # fmt: skip
        slope = self._walk(self.surrogate.tree)
        self._values = names
        fired.active = True
        sides = [(a, slope.code), (b, f"-{slope.code}")]
        self._steps.append((fired, [(side, code) for side, code in sides if side.active]))
        return fired

    def _condition(self, node: ast.expr) -> str:
        match node:
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                a, b = self._walk(left), self._walk(right)
                return f"({a.code} {_SYMBOLS[type(op)]} {b.code})"
            case ast.BoolOp(op=op, values=values):
                return f"({f' {_SYMBOLS[type(op)]} '.join(map(self._condition, values))})"
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return f"(!{self._condition(operand)})"
            case ast.Constant(value=value):
                return "true" if value else "false"
        raise AssertionError(f"unchecked condition {ast.dump(node)}")


class _Cpp(ast.NodeTransformer):
    """Replace names and numbers in the derivative of a function by those of C++."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self.names = names

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(self.names.get(node.id, node.id))

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        return ast.Name(_literal(node.value)) if isinstance(node.value, float) else node


def _in_cpp(name: str, x: str, value: str) -> str:
    """Return the derivative of a function as C++, given C++ names for ``x`` and ``value``."""
    tree = copy.deepcopy(TABLE[name].tree)
    written = ast.unparse(_Cpp({**_NAMES, "x": x, "value": value}).visit(tree))
    return written.replace(" * ", "*").replace(" / ", "/")


def _known(node: ast.expr) -> float | None:
    """Return the value of a constant expression, in double precision as in torch."""
    unknown = ("spike_gt", "spike_ge", "detached", "logistic")
    if any(isinstance(part, ast.Call) and called_name(part) in unknown for part in ast.walk(node)):
        return None
    functions = {id(part.func) for part in ast.walk(node) if isinstance(part, ast.Call)}
    names = {
        part.id
        for part in ast.walk(node)
        if isinstance(part, ast.Name) and id(part) not in functions
    }
    if names - CONSTANTS.keys():
        return None
    with np.errstate(all="ignore"):
        return float(Expression(ast.unparse(node), frozenset(names))({}))


def _literal(number: float) -> str:
    if math.isinf(number):
        return f"{'-' if number < 0 else ''}INFINITE"
    return f"T({number!r})"
