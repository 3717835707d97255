"""What model text may contain: a whitelist of nodes, and numbers that fit on every device."""

from __future__ import annotations

import ast

import numpy as np

from dendrosim.errors import DendrosimError, did_you_mean
from dendrosim.model.syntax import ARITHMETIC, COMPARISONS, FUNCTIONS, evaluate, is_condition

MAX_DEPTH = 80
MAX_INTEGER = 2**53


def check(tree: ast.expr, text: str) -> None:
    """Refuse a tree with anything outside the language.

    Raises
    ------
    DendrosimError
        With the invalid part and the valid forms.
    """
    _check(tree, text, 0)
    _check_numbers(tree, text)


def _check(node: ast.AST, text: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise DendrosimError(f"an expression is nested more than {MAX_DEPTH} deep")
    conditions = False  # whether the children have to be conditions or numbers
    match node:
        case ast.Constant(value=bool()):
            return
        case ast.Constant(value=int() | float()):
            return
        case ast.Name(id=name) if "__" not in name:
            return
        case ast.BinOp(op=op) if type(op) in ARITHMETIC:
            children = [node.left, node.right]
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() | ast.Not() as op):
            children, conditions = [node.operand], isinstance(op, ast.Not)
        case ast.BoolOp():
            children, conditions = node.values, True
        case ast.Compare(ops=[op]) if type(op) in COMPARISONS:
            children = [node.left, *node.comparators]
        case ast.Call(func=ast.Name(id=name), keywords=[]) if name in FUNCTIONS | {"sigmoid": 0}:
            wanted = 3 if name == "clip" else 1
            if len(node.args) != wanted:
                raise DendrosimError(f"{name} takes {wanted} argument(s) in {text!r}")
            children, conditions = node.args, name == "int"
        case ast.Call(func=ast.Name(id=name)):
            raise DendrosimError(
                f"{name!r} in {text!r} is not a function of model text; "
                f"{did_you_mean(name, [*FUNCTIONS, 'sigmoid'])}"
            )
        case _:
            raise DendrosimError(
                f"{text!r} holds something other than arithmetic, comparisons "
                "and the functions of model text"
            )
    for child in children:
        _check(child, text, depth + 1)
        # numpy and C++ differ in their arithmetic with true and false
        if is_condition(child) is not conditions:
            kind = "condition" if conditions else "number"
            raise DendrosimError(
                f"{ast.unparse(child)!r} in {text!r} is not a {kind}; int(...) "
                "converts a condition to a number, a comparison converts numbers to a condition"
            )


def _check_numbers(node: ast.expr, text: str) -> list[ast.Constant] | None:
    """Refuse a literal or constant subexpression that is out of range on some device.

    Brian2 evaluates constant parts with Python's integers: 9**9**9 would never finish.  Return
    the numbers in `node`, or None if it depends on a name.
    """
    if isinstance(node, ast.Name):
        return None
    numbers: list[ast.Constant] | None = [node] if isinstance(node, ast.Constant) else []
    called = node.func if isinstance(node, ast.Call) else None
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr) and child is not called:
            inside = _check_numbers(child, text)
            numbers = None if numbers is None or inside is None else numbers + inside
    if numbers is not None and not is_condition(node):
        whole = all(isinstance(number.value, int) for number in numbers)
        if whole and _is_inverse(node):  # Brian2 evaluates 10**-2 to 0
            raise DendrosimError(
                f"{ast.unparse(node)!r} in {text!r} is a whole number to a negative "
                "power; write a decimal point"
            )
        if not abs(_number(node)) <= (MAX_INTEGER if whole else np.finfo(float).max):
            raise DendrosimError(f"{text!r} holds a number that is out of range")
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div | ast.Mod):
        divisor = _check_numbers(node.right, text)
        if divisor is not None and _number(node.right) == 0:
            raise DendrosimError(f"{text!r} divides by 0")
    return numbers


def _is_inverse(node: ast.expr) -> bool:
    """Whether a node is a negative power of integers without a division."""
    match node:
        case ast.BinOp(left=base, op=ast.Pow(), right=exponent):
            divided = any(isinstance(part, ast.Div) for part in ast.walk(base))
            return not divided and _number(exponent) < 0
    return False


def _number(node: ast.expr) -> float:
    try:
        with np.errstate(all="ignore"):
            return float(evaluate(node, {}, FUNCTIONS | {"sigmoid": np.tanh}))
    except OverflowError:  # an integer above the float range
        return np.inf
