"""Numbers with units, read from text through a whitelist and never with ``eval``.

``"2.1 mS/cm**2"``, ``"-60 mV"``, ``"0.5"`` and the grids ``"linspace(0, 2, 41) uA/cm**2"``,
``"logspace(-1, 2, 7) Hz"``, ``"[0.5, 0.75, 2.5] uA/cm**2"`` are quantities.  A unit is a product
of Brian2's unit names with integer powers.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
from brian2 import Quantity
from brian2.units.fundamentalunits import DIMENSIONLESS, Dimension, get_dimensions

from dendrosim import checks
from dendrosim.errors import DendrosimError, at

# other modules take the units of quantities from here
from dendrosim.model.units import DENSITY as DENSITY
from dendrosim.model.units import UNITS as UNITS
from dendrosim.model.units import display_unit as display_unit
from dendrosim.model.units import near_unit, unit_of
from dendrosim.model.units import parse_unit as parse_unit
from dendrosim.model.units import unit_text as unit_text
from dendrosim.model.units import unit_words as unit_words
from dendrosim.model.units import with_dim as with_dim

_NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_TEXT = re.compile(rf"({_NUMBER}|(?:linspace|logspace)\([^()]*\)|\[[^\[\]]*\]) ?\*? ?(.*)")
_GRIDS: dict[str, Callable[[float, float, int], np.ndarray]] = {
    "linspace": np.linspace,
    "logspace": np.logspace,
}
MAX_GRID = 10_000_000


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
            raise DendrosimError(
                f"{checks.short(value)} has shape {np.shape(result)}, not one dimension"
            )
        if not np.all(np.isfinite(result)):
            raise DendrosimError(f"{checks.short(value)} is not finite")
        if like is not None:
            expected = like if isinstance(like, Dimension) else get_dimensions(like)
            if result.dim is not expected:
                raise DendrosimError(
                    f"{checks.short(value)} has {_words(near_unit(result))}, but "
                    f"{_words(display_unit(expected))} is needed"
                )
    return result


def _words(unit: str) -> str:
    """Return a unit for a sentence about a value that a user gave."""
    return "no unit" if unit == "1" else f"the unit {unit}"


def _from_numbers(value: Any) -> Quantity:
    items = value if isinstance(value, list | tuple) else [value]
    try:
        dims = {get_dimensions(item) for item in items}
        numbers = np.asarray(value)
    except (TypeError, ValueError):  # not a number, or lists of different lengths
        dims, numbers = set(), np.array(None)
    if isinstance(value, bool) or numbers.dtype.kind not in "iuf" or len(dims) > 1:
        raise DendrosimError(
            f"{checks.short(value)} is not a number with a unit, such as '2.1 mS/cm**2'"
        )
    return with_dim(np.array(numbers, dtype=float), next(iter(dims), DIMENSIONLESS))


def _from_text(text: str) -> Quantity:
    match = _TEXT.fullmatch(" ".join(text.split()))
    if match is None:
        raise DendrosimError(
            f"{text!r} is not a number with a unit, such as '2.1 mS/cm**2' "
            "or 'linspace(0, 2, 41) uA/cm**2'"
        )
    numbers, unit = match.groups()
    scale = unit_of(unit)
    return with_dim(_numbers(numbers, text) * float(scale), scale.dim)


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


def describe(value: Any, unit: str | None = None) -> str:
    """Return a quantity as short text in `unit`, by default the usual unit of this field.

    >>> describe(quantity("21 siemens/meter**2"))
    '2.1 mS/cm**2'
    """
    unit = display_unit(value) if unit is None else unit
    numbers = np.asarray(value, dtype=float) / float(parse_unit(unit))
    text = f"{float(numbers):.15g}" if np.ndim(numbers) == 0 else _grid_text(numbers)
    return text if unit == "1" else f"{text} {unit}"


def _grid_text(numbers: np.ndarray) -> str:
    rounding = 1e-12 * np.ptp(numbers) + 1e-15 * np.max(np.abs(numbers))
    if numbers.size > 4 and np.allclose(np.diff(numbers, 2), 0, atol=rounding):
        return f"linspace({numbers[0]:.15g}, {numbers[-1]:.15g}, {numbers.size})"
    return "[" + ", ".join(f"{number:.15g}" for number in numbers) + "]"
