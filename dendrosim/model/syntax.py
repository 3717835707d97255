"""The meaning of model text: functions, constants and operators, evaluated with numpy.

This module walks syntax trees that have been checked; nothing is ever passed to ``eval``.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from dendrosim.model import functions

#: Functions that model text may call, with their numpy implementations.
FUNCTIONS: dict[str, Callable] = {
    **{name: known.numpy for name, known in functions.FUNCTIONS.items() if name != "logistic"},
    "clip": np.clip,
    "int": lambda condition: np.asarray(condition).astype(float),
}

#: Names with the same value in every text.
CONSTANTS = {"pi": np.pi, "e": np.e, "inf": np.inf}

ARITHMETIC = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.Pow: lambda a, b: a**b,
    ast.Mod: lambda a, b: a % b,
}
COMPARISONS = {
    ast.Gt: lambda a, b: a > b,
    ast.GtE: lambda a, b: a >= b,
    ast.Lt: lambda a, b: a < b,
    ast.LtE: lambda a, b: a <= b,
    ast.Eq: lambda a, b: a == b,
    ast.NotEq: lambda a, b: a != b,
}
_LOGIC = {ast.And: lambda a, b: a & b, ast.Or: lambda a, b: a | b}


def is_condition(node: ast.expr) -> bool:
    """Whether a node is a condition (true or false) and not a number."""
    match node:
        case ast.Compare() | ast.BoolOp() | ast.UnaryOp(op=ast.Not()) | ast.Constant(value=bool()):
            return True
    return False


def _arithmetic(operation: Callable, a: Any, b: Any) -> Any:
    if isinstance(a, int | float) and isinstance(b, int | float):
        # as on the devices: integers do not grow without limit, no complex numbers, 1/0 is inf
        with np.errstate(all="ignore"):
            return float(operation(np.float64(a), np.float64(b)))
    return operation(a, b)


def called_name(node: ast.Call) -> str:
    """Return the name of the called function; the whitelist allows no other call."""
    assert isinstance(node.func, ast.Name)
    return node.func.id


def evaluate(node: ast.expr, values: Mapping, functions: Mapping) -> Any:
    """Return the value of a checked node, for any array type that supports the operators."""
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            return values[name] if name in values else CONSTANTS[name]
        case ast.BinOp(left=left, op=op, right=right):
            return _arithmetic(
                ARITHMETIC[type(op)],
                evaluate(left, values, functions),
                evaluate(right, values, functions),
            )
        case ast.UnaryOp(op=op, operand=operand):
            value = evaluate(operand, values, functions)
            if isinstance(op, ast.USub):
                return -value
            return value if isinstance(op, ast.UAdd) else value == 0
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return COMPARISONS[type(op)](
                evaluate(left, values, functions), evaluate(right, values, functions)
            )
        case ast.BoolOp(op=op, values=operands):
            result = evaluate(operands[0], values, functions)
            for operand in operands[1:]:
                result = _LOGIC[type(op)](result, evaluate(operand, values, functions))
            return result
        case ast.Call(func=ast.Name(id=name), args=args):
            return functions[name](*(evaluate(arg, values, functions) for arg in args))
    raise AssertionError(f"unchecked node {ast.dump(node)}")
