"""Gates: states of a continuous model that are parts, from 0 to 1.

A gate obeys ``alpha*(1 - x) - beta*x``, or goes to a part such as ``1/(1 + exp(...))`` with a time
constant.  Below 0 or above 1 it means nothing, but an integrator would go on.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

import numpy as np

from dendrosim.errors import DendrosimError
from dendrosim.model.model import Model


def gates(model: Model) -> tuple[str, ...]:
    """Return the states of a continuous model that are parts, from 0 to 1."""
    if model.kind == "discrete":
        return ()
    trees = {e.name: e.right.tree for e in model.equations if e.expression is not None}
    states = [e.name for e in model.equations if e.kind == "differential"]
    return tuple(name for name in states if _is_gate(trees[name], name, trees))


def check_gate(model: Model, name: str, value: Any) -> None:
    """Refuse an initial value of a gate that is no part.

    Raises
    ------
    DendrosimError
    """
    numbers = np.atleast_1d(np.asarray(value, dtype=float))
    wrong = numbers[(numbers < 0) | (numbers > 1)]
    if wrong.size and name in gates(model):
        raise DendrosimError(
            f"initial.{name} = {wrong[0]:g} is no value of a gate, which goes from 0 to 1"
        )


def _is_gate(node: ast.expr, name: str, trees: Mapping[str, ast.expr]) -> bool:
    """Whether the right-hand side of a state is that of a gate."""
    match node:
        case ast.BinOp(left=left, op=ast.Div(), right=right) if not _uses(right, name):
            return _is_gate(left, name, trees)
        case ast.BinOp(left=left, op=ast.Mult(), right=right) if not _uses(left, name):
            return _is_gate(right, name, trees)
        case ast.BinOp(left=left, op=ast.Mult(), right=right) if not _uses(right, name):
            return _is_gate(left, name, trees)
        case ast.BinOp(left=left, op=ast.Sub(), right=ast.Name(id=id)) if id == name:
            return _is_part(left, name, trees)
        case ast.BinOp(left=left, op=ast.Sub(), right=right):
            return _has_factor(left, name, _is_rest) and _has_factor(right, name, _is_name)
    return False


def _uses(node: ast.expr, name: str) -> bool:
    return any(isinstance(one, ast.Name) and one.id == name for one in ast.walk(node))


def _has_factor(node: ast.expr, name: str, wanted: Any) -> bool:
    """Whether a product has one factor with the state, and this factor is the wanted one."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        sides = [side for side in (node.left, node.right) if _uses(side, name)]
        return len(sides) == 1 and _has_factor(sides[0], name, wanted)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and not _uses(node.right, name):
        return _has_factor(node.left, name, wanted)
    return bool(wanted(node, name))


def _is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _is_rest(node: ast.expr, name: str) -> bool:
    """Whether an expression is ``1 - x``."""
    match node:
        case ast.BinOp(left=ast.Constant(value=1), op=ast.Sub(), right=ast.Name(id=id)):
            return id == name
    return False


def _is_part(node: ast.expr, name: str, trees: Mapping[str, ast.expr]) -> bool:
    """Whether an expression without the state is ``1/(1 + exp(...))`` or ``a/(a + b)``."""
    if isinstance(node, ast.Name) and node.id in trees:
        node = trees[node.id]
    if _uses(node, name):
        return False
    match node:
        case ast.BinOp(
            left=ast.Constant(value=1), op=ast.Div(),
            right=ast.BinOp(left=ast.Constant(value=1), op=ast.Add(), right=ast.Call(
                func=ast.Name(id="exp"))),
        ):  # fmt: skip
            return True
        case ast.BinOp(left=a, op=ast.Div(), right=ast.BinOp(left=b, op=ast.Add())):
            return isinstance(a, ast.Name) and ast.dump(a) == ast.dump(b)
    return False
