"""Operations of one step of a discrete model, counted in its text.

The rules are those of the energy tables of both papers; for the text of ``lif`` and ``lstm_lif``
they reproduce these tables term by term:

- a product of two variables is one multiply-and-accumulate (MAC), as is a product with a
  parameter;
- a product with a spike is not a product but one accumulate (AC) in the steps with a spike;
- adding a product or a spike to a sum is part of that operation; any other additional summand is
  one AC; the input of a port was already accumulated by the synapses;
- a comparison, ``clip``, ``abs``, ``sign`` and rounding cost nothing; any other function, a
  division and a power are one MAC each, which is a low estimate;
- expressions of parameters are computed once, and products with 0 or 1 are not computed.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dendrosim.errors import DendrosimError
from dendrosim.model.expressions import parse_number
from dendrosim.model.model import Model
from dendrosim.model.switches import switches
from dendrosim.model.syntax import CONSTANTS, called_name

#: Picojoules per operation in 45 nm CMOS, 32-bit floating point (Horowitz 2014).
E_AC, E_MAC = 0.9, 4.6

_FREE = {"clip", "abs", "sign", "floor", "ceil"}


@dataclass(frozen=True)
class Operations:
    """Numbers of operations (averages).

    Attributes
    ----------
    ac
        Accumulates: additions caused by spikes.
    mac
        Multiply-and-accumulates.
    """

    ac: float = 0.0
    mac: float = 0.0

    def __add__(self, other: Operations) -> Operations:
        return Operations(self.ac + other.ac, self.mac + other.mac)

    def __mul__(self, factor: float) -> Operations:
        return Operations(self.ac * factor, self.mac * factor)

    def nanojoules(self, e_ac: float = E_AC, e_mac: float = E_MAC) -> float:
        """Return the energy; ``e_ac`` and ``e_mac`` are picojoules per operation."""
        return (self.ac * e_ac + self.mac * e_mac) * 1e-3


def spikes(model: Model) -> tuple[str, ...]:
    """Return the 0-or-1 variables of a discrete model, in the order of the text."""
    return tuple(switch.name for switch in switches(model))


def step_operations(
    model: Model, values: Mapping[str, Any], rates: Mapping[str, float]
) -> Operations:
    """Count the operations of one neuron per step, without synapses.

    Parameters
    ----------
    model
        A discrete model.
    values
        All parameters and derived values: numbers, or arrays with one value per neuron.
    rates
        Spikes per step of each of `spikes`.

    Raises
    ------
    DendrosimError
        If a rate is missing.
    """
    if missing := sorted(set(spikes(model)) - rates.keys()):
        raise DendrosimError(f"{model.name}: the rate of {', '.join(missing)} is missing")
    count = _Count(values, rates, set(model.inputs.values()))
    total = Operations()
    for statement in model.update:
        total += count(statement.expression.tree).done
    return total


@dataclass(frozen=True)
class _Term:
    """A part of an expression.

    ``kind`` is "constant", "spike" or "number"; ``value`` is the value of a constant or the rate
    of a spike; ``loose`` is the number of summands that no operation has accumulated yet.
    """

    kind: str
    operations: Operations = Operations()
    value: Any = None
    loose: int = 0

    @property
    def done(self) -> Operations:
        """The operations of the term, including the sum of its loose summands."""
        return self.operations + Operations(ac=max(0, self.loose - 1))


class _Count:
    """Counts the operations of an expression recursively."""

    def __init__(self, values: Mapping, rates: Mapping, ports: set[str]) -> None:
        self.values, self.rates, self.ports = values, rates, ports

    def __call__(self, node: ast.expr) -> _Term:
        if self._is_constant(node):
            value = parse_number(ast.unparse(node))(self.values)
            return _Term("constant", value=value, loose=int(np.any(value)))
        match node:
            case ast.Name(id=name) if name in self.rates:
                return _Term("spike", value=self.rates[name])
            case ast.Name(id=name):
                return _Term("number", loose=int(name not in self.ports))
            case ast.UnaryOp(operand=operand):
                return self(operand)
            case ast.BinOp(left=left, op=ast.Add() | ast.Sub(), right=right):
                return self._sum(self(left), self(right))
            case ast.BinOp(left=left, op=ast.Mult(), right=right):
                return self._product(self(left), self(right))
            case ast.BinOp(left=left, op=ast.Div(), right=right):
                a, b = self(left), self(right)
                if b.kind != "constant":
                    return self._mac(a, b)
                with np.errstate(divide="ignore"):  # the inverse is computed only once
                    return self._product(a, _Term("constant", value=1 / np.asarray(b.value)))
            case ast.BinOp(left=left, right=right):
                return self._mac(self(left), self(right))
            case ast.Call(func=ast.Name(id="int"), args=[condition]):
                sides = [self(side).done for side in _sides(condition) if not _is_truth(side)]
                return _Term("spike", sum(sides, Operations()), 1.0)
            case ast.Call(func=ast.Name(id=name), args=args):
                inner = [self(arg) for arg in args]
                if name in _FREE:
                    done = sum((term.done for term in inner), Operations())
                    return _Term("number", done, loose=1)
                return self._mac(*inner)
        raise DendrosimError(f"{ast.unparse(node)!r} cannot be counted")  # pragma: no cover

    def _is_constant(self, node: ast.expr) -> bool:
        names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
        functions = {called_name(n) for n in ast.walk(node) if isinstance(n, ast.Call)}
        return names - functions <= {*self.values, *CONSTANTS}

    @staticmethod
    def _sum(a: _Term, b: _Term) -> _Term:
        operations = a.operations + b.operations
        for term in (a, b):
            if term.kind == "spike":
                operations += Operations(ac=term.value)
        return _Term("number", operations, loose=a.loose + b.loose)

    def _product(self, a: _Term, b: _Term) -> _Term:
        for one, other in ((a, b), (b, a)):
            if one.kind == "constant" and not np.any(one.value):
                return one
            if one.kind == "constant" and np.all(np.abs(one.value) == 1):
                return other
        for one, other in ((a, b), (b, a)):
            if one.kind == "spike":
                gated = Operations(ac=one.value)
                return _Term("number", one.operations + other.done + gated)
        return self._mac(a, b)

    @staticmethod
    def _mac(*terms: _Term) -> _Term:
        done = sum((term.done for term in terms), Operations())
        return _Term("number", done + Operations(mac=1))


def _sides(condition: ast.expr) -> list[ast.expr]:
    """Return the numbers compared in a condition."""
    match condition:
        case ast.Compare(left=left, comparators=[right]):
            return [left, right]
        case ast.BoolOp(values=parts):
            return [side for part in parts for side in _sides(part)]
        case ast.UnaryOp(operand=part):
            return _sides(part)
    return [condition]


def _is_truth(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, bool)
