"""Units as text: read through a whitelist, and written in SI or in the usual units of this field.

A unit is a product of Brian2's unit names with integer powers: ``"mS/cm**2"``.
"""

from __future__ import annotations

import ast
from functools import lru_cache
from typing import Any

import numpy as np
from brian2 import DEFAULT_UNITS, Quantity, mS
from brian2.units.fundamentalunits import DIMENSIONLESS, Dimension, get_dimensions

from dendrosim import checks
from dendrosim.errors import DendrosimError, at, did_you_mean, not_a_bug_of_brian2
from dendrosim.value_texts import LONGEST, short_row

not_a_bug_of_brian2()  # this module is the first to import Brian2, so set the hook here

MAX_UNIT = 200

#: The names of Brian2's units; no other unit is accepted.  Brian2 omits ``mS`` from its defaults
#: because it is easily confused with ``ms``; physiologists use it all the time.
UNITS: dict[str, Quantity] = {
    name: unit for name, unit in DEFAULT_UNITS.items() if isinstance(unit, Quantity)
} | {"mS": mS}


# unit symbols that are also common variable names (s, V, m, ...): units only in a value
_SYMBOLS = {"s": "second", "m": "meter", "V": "volt", "A": "amp", "S": "siemens", "F": "farad"}


def with_dim(values: Any, dim: Dimension) -> Quantity:
    """Return SI values as a quantity; Brian2 would return a plain array for dimensionless ones."""
    return Quantity(values, dim=dim, force_quantity=True)


def parse_unit(text: str, name: str = "unit") -> Quantity:
    """Read a unit such as ``"mS/cm**2"``; an empty text or ``"1"`` is dimensionless.

    Raises
    ------
    DendrosimError
        If a name is not one of Brian2's units, or the text is not a product of powers.
    """
    with at(name):
        return unit_of(text)


def unit_of(text: str) -> Quantity:
    """Read a unit as `parse_unit` does; the error does not name the value."""
    # a new quantity for each caller, because a quantity can be changed in place
    return with_dim(*_scale_and_dim(text.strip()))


@lru_cache(maxsize=1024)
def _scale_and_dim(text: str) -> tuple[float, Dimension]:
    if text in ("", "1"):
        return 1.0, DIMENSIONLESS
    if len(text) > MAX_UNIT:
        raise DendrosimError(f"{text!r} is too long for a unit")
    try:
        tree = ast.parse(f"1{text}" if text[0] == "/" else text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise DendrosimError(f"{text!r} is not a unit") from None
    try:
        unit = _unit_node(tree, text)
        scale = float(unit)
    except OverflowError:
        scale = np.inf
    if not 0 < scale < np.inf:
        raise DendrosimError(f"the unit {text!r} is out of range")
    return scale, get_dimensions(unit)


#: Dimension of a current density.
DENSITY = (UNITS["amp"] / UNITS["meter"] ** 2).dim


def _unit_node(node: ast.AST, text: str) -> Quantity:
    match node:
        case ast.Name(id=name) if name in UNITS:
            return UNITS[name]
        case ast.Name(id=name) if name in _SYMBOLS:
            return UNITS[_SYMBOLS[name]]
        case ast.Name(id=name):
            raise DendrosimError(f"{name!r} in {text!r} is not a unit{_near_unit(name)}")
        case ast.Constant(value=1):
            return with_dim(1.0, DIMENSIONLESS)
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return _unit_node(left, text) * _unit_node(right, text)
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            return _unit_node(left, text) / _unit_node(right, text)
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return _unit_node(left, text) ** _power(right, text)
    raise DendrosimError(f"{text!r} is not a unit")


def _near_unit(name: str) -> str:
    other_case = [unit for unit in UNITS if unit.lower() == name.lower()]
    hint = did_you_mean(other_case[0] if other_case else name, UNITS)
    return f"; {hint}" if hint.startswith("did") else ""


def _power(node: ast.AST, text: str) -> int:
    match node:
        case ast.Constant(value=int(power)) if not isinstance(power, bool) and abs(power) <= 9:
            return power
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int(power))) if power <= 9:
            return -power
    raise DendrosimError(f"a power in {text!r} is not a whole number from -9 to 9")


def unit_text(dimension: Any) -> str:
    """Return a unit of this dimension as text that `parse_unit` and Brian2 can read.

    >>> unit_text(quantity("2.1 mS/cm**2").dim)
    'siemens/meter**2'
    """
    return _unit_text(dimension if isinstance(dimension, Dimension) else get_dimensions(dimension))


@lru_cache(maxsize=1024)
def _unit_text(dim: Dimension) -> str:
    if dim is DIMENSIONLESS:
        return "1"
    for text in _NAMED_UNITS:
        if parse_unit(text).dim is dim:
            return text
    bases = ("meter", "kilogram", "second", "amp", "kelvin", "mole", "candle")
    powers = [dim.get_dimension(name) for name in ("m", "kg", "s", "A", "K", "mol", "cd")]
    return "*".join(
        base if power == 1 else f"{base}**{power:g}"
        for base, power in zip(bases, powers, strict=True)
        if power
    )


def unit_words(dim: Dimension) -> str:
    """Return the unit of a dimension for use in a sentence."""
    return "no unit" if dim is DIMENSIONLESS else f"the unit {unit_text(dim)}"


# units that are common in this field; all others are written in SI base units
_NAMED_UNITS = (
    "volt", "amp", "second", "hertz", "siemens", "farad", "ohm", "meter", "siemens/meter**2",
    "amp/meter**2", "farad/meter**2", "ohm*meter**2", "volt/second", "meter**2", "coulomb",
)  # fmt: skip


def display_unit(value: Any) -> str:
    """Return the usual unit of this field for a quantity of this dimension (``"mV"``)."""
    return _display_unit(value if isinstance(value, Dimension) else get_dimensions(value))


@lru_cache(maxsize=1024)
def _display_unit(dim: Dimension) -> str:
    return next((text for text in _DISPLAY if parse_unit(text).dim is dim), unit_text(dim))


#: The usual units; a dimension that is not among them is written in SI units.
_DISPLAY = (
    "mV", "ms", "uA/cm**2", "mS/cm**2", "uF/cm**2", "Hz", "pA", "nS", "pF", "Mohm", "um**2", "um",
    "kohm*cm**2",
)  # fmt: skip

#: Larger units, for a message about a value that has many digits in its usual unit.
_LARGER = {
    "mV": ("volt",), "pA": ("nA", "uA", "mA"), "nS": ("uS", "mS", "siemens"),
    "pF": ("nF", "uF", "mF"), "Mohm": ("Gohm",),
}  # fmt: skip
MANY = 1e3


def near_unit(value: Quantity) -> str:
    """Return the unit in which a user would write a value: ``"mS"`` for 1e6 nS."""
    largest, usual = float(np.max(np.abs(np.asarray(value)), initial=0.0)), display_unit(value)
    units = (usual, *_LARGER.get(usual, ()))
    return next((unit for unit in units if largest < MANY * float(parse_unit(unit))), units[-1])


@checks.short.register
def _(value: Quantity) -> str:
    unit = near_unit(value)
    if value.ndim > 1 or not value.size:
        text = " ".join(repr(value).split())
        return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
    numbers = np.asarray(value, dtype=float) / float(parse_unit(unit))
    own = "" if unit == "1" else unit
    return short_row(numbers, own) if value.ndim else f"{float(numbers):.15g} {own}".rstrip()
