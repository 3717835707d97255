"""Numbers with units, read from text through a whitelist and never with ``eval``.

``"2.1 mS/cm**2"``, ``"-60 mV"``, ``"0.5"`` and the grids ``"linspace(0, 2, 41) uA/cm**2"``,
``"logspace(-1, 2, 7) Hz"``, ``"[0.5, 0.75, 2.5] uA/cm**2"`` are quantities.  A unit is a product
of Brian2's unit names with integer powers.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from brian2 import DEFAULT_UNITS, Quantity, mS
from brian2.units.fundamentalunits import DIMENSIONLESS, Dimension, get_dimensions

from dendrosim.errors import DendrosimError, at, did_you_mean, not_a_bug_of_brian2

not_a_bug_of_brian2()  # this module is the first to import Brian2, so set the hook here

_NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_TEXT = re.compile(rf"({_NUMBER}|(?:linspace|logspace)\([^()]*\)|\[[^\[\]]*\]) ?\*? ?(.*)")
_GRIDS: dict[str, Callable[[float, float, int], np.ndarray]] = {
    "linspace": np.linspace,
    "logspace": np.logspace,
}
MAX_GRID = 10_000_000
MAX_UNIT = 200

#: The names of Brian2's units; no other unit is accepted.  Brian2 omits ``mS`` from its defaults
#: because it is easily confused with ``ms``; physiologists use it all the time.
UNITS: dict[str, Quantity] = {
    name: unit for name, unit in DEFAULT_UNITS.items() if isinstance(unit, Quantity)
} | {"mS": mS}


# unit symbols that are also common variable names (s, V, m, ...): units only in a value
_SYMBOLS = {"s": "second", "m": "meter", "V": "volt", "A": "amp", "S": "siemens", "F": "farad"}


def quantity(value: Any, name: str = "value", like: Any = None) -> Quantity:
    """Read a number, an array or a grid with its unit.

    Parameters
    ----------
    value
        Text such as ``"2.1 mS/cm**2"``, a Brian2 quantity, a number or a sequence of numbers
        (dimensionless).
    name
        What the value is, for the error message.
    like
        A quantity or dimension that sets the required dimension; any by default.

    Returns
    -------
    Quantity
        A scalar or a 1-D array in SI units, finite.

    Raises
    ------
    DendrosimError
        If the text is not a quantity, holds NaN, or has another dimension than `like`.
    """
    with at(name):
        result = (_from_text if isinstance(value, str) else _from_numbers)(value)
        if np.ndim(result) > 1 or np.size(result) == 0:
            raise DendrosimError(f"{value!r} has shape {np.shape(result)}, not one dimension")
        if not np.all(np.isfinite(result)):
            raise DendrosimError(f"{value!r} is not finite")
        if like is not None:
            expected = like if isinstance(like, Dimension) else get_dimensions(like)
            if result.dim is not expected:
                raise DendrosimError(
                    f"{value!r} has {unit_words(result.dim)}, but {unit_words(expected)} is needed"
                )
    return result


def _quantity(values: Any, dim: Dimension) -> Quantity:
    # without force_quantity, Brian2 returns a bare float for a dimensionless value
    return Quantity(values, dim=dim, force_quantity=True)


def _from_numbers(value: Any) -> Quantity:
    items = value if isinstance(value, list | tuple) else [value]
    try:
        dims = {get_dimensions(item) for item in items}
        numbers = np.asarray(value)
    except (TypeError, ValueError):  # not a number, or lists of different lengths
        dims, numbers = set(), np.array(None)
    if isinstance(value, bool) or numbers.dtype.kind not in "iuf" or len(dims) > 1:
        raise DendrosimError(f"{value!r} is not a number with a unit, such as '2.1 mS/cm**2'")
    return _quantity(np.array(numbers, dtype=float), next(iter(dims), DIMENSIONLESS))


def _from_text(text: str) -> Quantity:
    match = _TEXT.fullmatch(" ".join(text.split()))
    if match is None:
        raise DendrosimError(
            f"{text!r} is not a number with a unit, such as '2.1 mS/cm**2' "
            "or 'linspace(0, 2, 41) uA/cm**2'"
        )
    numbers, unit = match.groups()
    scale = _unit(unit)
    return _quantity(_numbers(numbers, text) * float(scale), scale.dim)


def _numbers(text: str, whole: str) -> np.ndarray | np.float64:
    if text[0] == "[":
        items = [item.strip() for item in text[1:-1].split(",")]
        name = None
    elif text[0] == "l":
        name, _, inside = text[:-1].partition("(")
        items = [item.strip() for item in inside.split(",")]
    else:
        return np.float64(text)
    if not all(re.fullmatch(_NUMBER, item) for item in items):
        raise DendrosimError(f"{whole!r} holds something that is not a number")
    if name is None:
        return np.array([float(item) for item in items])
    if len(items) != 3 or not re.fullmatch("[0-9]{1,18}", items[2]):
        raise DendrosimError(
            f"{whole!r} is not {name}(first, last, number) with a whole number of points"
        )
    if not 1 <= int(items[2]) <= MAX_GRID:
        raise DendrosimError(f"{whole!r} does not have from 1 to {MAX_GRID:,} points")
    with np.errstate(all="ignore"):  # the caller refuses infinity
        return _GRIDS[name](float(items[0]), float(items[1]), int(items[2]))


def parse_unit(text: str, name: str = "unit") -> Quantity:
    """Read a unit such as ``"mS/cm**2"``; an empty text or ``"1"`` is dimensionless.

    Raises
    ------
    DendrosimError
        If a name is not one of Brian2's units, or the text is not a product of powers.
    """
    with at(name):
        return _unit(text)


def _unit(text: str) -> Quantity:
    # a new quantity for each caller, because a quantity can be changed in place
    return _quantity(*_scale_and_dim(text.strip()))


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
            return _quantity(1.0, DIMENSIONLESS)
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


def with_dim(values: Any, dim: Dimension) -> Quantity:
    """Return SI values as a quantity; Brian2 would return a plain array for dimensionless ones."""
    return Quantity(values, dim=dim, force_quantity=True)


def display_unit(value: Any) -> str:
    """Return the usual unit of this field for a quantity of this dimension (``"mV"``)."""
    return _display_unit(value if isinstance(value, Dimension) else get_dimensions(value))


@lru_cache(maxsize=1024)
def _display_unit(dim: Dimension) -> str:
    return next((text for text in _DISPLAY if parse_unit(text).dim is dim), unit_text(dim))


def describe(value: Any, unit: str | None = None) -> str:
    """Return a quantity as short text in `unit`, by default the usual unit of this field.

    >>> describe(quantity("21 siemens/meter**2"))
    '2.1 mS/cm**2'
    """
    unit = display_unit(value) if unit is None else unit
    numbers = np.asarray(value, dtype=float) / float(parse_unit(unit))
    text = f"{float(numbers):.15g}" if np.ndim(numbers) == 0 else _grid_text(numbers)
    return text if unit == "1" else f"{text} {unit}"


_DISPLAY = ("mV", "ms", "uA/cm**2", "mS/cm**2", "uF/cm**2", "Hz", "pA", "nS", "pF")


def _grid_text(numbers: np.ndarray) -> str:
    rounding = 1e-12 * np.ptp(numbers) + 1e-15 * np.max(np.abs(numbers))
    if numbers.size > 4 and np.allclose(np.diff(numbers, 2), 0, atol=rounding):
        return f"linspace({numbers[0]:.15g}, {numbers[-1]:.15g}, {numbers.size})"
    return "[" + ", ".join(f"{number:.15g}" for number in numbers) + "]"
