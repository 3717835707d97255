"""Checks of arguments: numbers, a whole number, one of several names.

Each check returns the argument in standard form, or raises an error with the name of the argument,
its value and the valid values.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dendrosim.errors import DendrosimError, did_you_mean
from dendrosim.value_texts import short as short  # part of checks for all who import it

#: The largest whole number accepted: larger ones do not fit into 64 bits.
LARGEST = 2**63 - 1

_SHAPES = {0: "a number", 1: "one row of numbers", 2: "a table of numbers"}


def numbers(
    value: Any, name: str, *, ndim: int | None = None, dim: Any = None, kinds: str = "iuf",
    finite: bool = False,
) -> NDArray:  # fmt: skip
    """Return an argument as an array of numbers in SI units; a float64 array is not copied.

    Parameters
    ----------
    value
        Numbers, lists of them, an array or a quantity.
    name
        Name of the argument, for the error message.
    ndim
        Number of dimensions; any by default.
    dim
        Required dimension of a quantity; plain numbers are in SI units.  Any by default.
    kinds
        Accepted kinds of numpy types; with ``"c"``, complex numbers are accepted and give a
        complex result.
    finite
        Whether to refuse NaN and infinity.

    Raises
    ------
    DendrosimError
        If it does not hold numbers, for example texts, None, bools, or lists of different lengths.
    """
    wanted = "numbers" if ndim is None else _SHAPES[ndim]
    refuse_unit(value, name, dim)
    if np.ma.is_masked(value):
        raise DendrosimError(f"{name} = {short(value)} has masked values; leave them out")
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError):  # lists of different lengths; a torch gradient
        raise DendrosimError(
            f"{name} = {short(value)} cannot be made an array; {wanted} would be valid"
        ) from None
    if array.size and array.dtype.kind not in kinds:
        raise DendrosimError(f"{name} = {short(value)} should be {wanted}")
    if ndim is not None and array.ndim != ndim:
        raise DendrosimError(
            f"{name} = {short(value)} has shape {array.shape}, but {wanted} is needed"
        )
    array = array.astype(complex if array.dtype.kind == "c" else float, copy=False)
    if finite and not np.isfinite(array).all():
        raise DendrosimError(f"{name} = {short(value)} holds a value that is not finite")
    return array


def refuse_unit(value: Any, name: str, dim: Any = None) -> None:
    """Refuse a quantity with a wrong dimension, or one of another package that is not in SI units.

    For example, numpy reads the numbers of Neo's spike trains without their unit: milliseconds
    would become seconds.

    Raises
    ------
    DendrosimError
    """
    first = value[0] if isinstance(value, list | tuple) and value else value
    own: Any = getattr(first, "dim", None)
    if dim is not None and hasattr(own, "is_dimensionless") and own is not dim:
        from brian2.units.fundamentalunits import get_unit

        if not own.is_dimensionless:
            needed = "a number" if dim.is_dimensionless else repr(get_unit(dim))
            raise DendrosimError(f"{name} is in {get_unit(own)!r}, but {needed} is needed")
    units = getattr(first, "units", None)
    if hasattr(first, "rescale") and float(getattr(units, "simplified", 1.0)) != 1:
        raise DendrosimError(
            f"{name} is in {getattr(units, 'dimensionality', units)}, but plain numbers in SI "
            "units are needed: rescale(...).magnitude gives them"
        )


def number(value: Any, name: str, *, dim: Any = None, finite: bool = True) -> float:
    """Return an argument as a single number in SI units.

    Parameters
    ----------
    value
        A number, or a scalar quantity.
    name
        Name of the argument, for the error message.
    dim
        Required dimension of a quantity.
    finite
        Whether to refuse infinity; NaN is always refused.

    Raises
    ------
    DendrosimError
        If it is not a number.
    """
    result = _plain(value, name, dim)
    if math.isnan(result) or (finite and math.isinf(result)):
        raise DendrosimError(f"{name} = {short(value)} is not a finite number")
    return result


def _plain(value: Any, name: str, dim: Any) -> float:
    refuse_unit(value, name, dim)
    kind = np.asarray(value).dtype.kind if isinstance(value, np.ndarray | np.generic) else "f"
    plain = isinstance(value, int | float | np.ndarray | np.generic)
    if not plain or isinstance(value, bool) or kind not in "iuf" or np.ndim(value):
        raise DendrosimError(f"{name} = {short(value)} should be a number")
    try:
        return float(value)
    except OverflowError:
        return math.inf


def positive(
    value: Any, name: str, *, dim: Any = None, finite: bool = True, zero: bool = False
) -> float:
    """Return an argument as a positive number; with `zero`, 0 is also valid.

    Raises
    ------
    DendrosimError
        If it is not such a number.
    """
    result = _plain(value, name, dim)
    if not (result > 0 or (result == 0 and zero)) or (finite and math.isinf(result)):
        raise DendrosimError(
            f"{name} = {short(value)} must be {'0 or positive' if zero else 'positive'}"
            f"{' and finite' if finite else ''}"
        )
    return result


def whole(value: Any, name: str, least: int = 0, most: int = LARGEST) -> int:
    """Return an argument as a whole number from `least` to `most`.

    Raises
    ------
    DendrosimError
        If it is not a whole number in this range.
    """
    given = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not given or value < least:
        raise DendrosimError(f"{name} = {short(value)} should be a whole number, {least} or larger")
    if value > most:
        raise DendrosimError(f"{name} = {short(value)} is more than {most}")
    return operator.index(value)


def window(start: Any, stop: Any, name: str, *, dim: Any = None) -> tuple[float, float]:
    """Return start and end of a window; the end must be after the start.

    Raises
    ------
    DendrosimError
        If one of them is not a number, or the window is empty.
    """
    start = number(start, f"{name}: start", dim=dim)
    stop = number(stop, f"{name}: stop", dim=dim)
    if not stop > start:
        raise DendrosimError(f"{name}: stop ({stop} s) must come after start ({start} s)")
    return start, stop


def one_of(value: Any, valid: Iterable[str], said: str) -> str:
    """Return an argument that must be one of several texts.

    Parameters
    ----------
    value
        The argument.
    valid
        The valid texts.
    said
        Start of the error message: ``"unknown device"``.

    Raises
    ------
    DendrosimError
        If it is not one of them.
    """
    valid = tuple(valid)
    if not isinstance(value, str) or value not in valid:
        hint = did_you_mean(value if isinstance(value, str) else "", valid)
        raise DendrosimError(f"{said} {short(value)}; {hint}")
    return value


def text(value: Any, name: str) -> str:
    """Return an argument that must be text.

    Raises
    ------
    DendrosimError
        If it is not text.
    """
    if not isinstance(value, str):
        raise DendrosimError(f"{name} = {short(value)} should be text")
    return value


def texts(value: Any, name: str) -> list[str]:
    """Return an argument that is one or several texts, as a list.

    Raises
    ------
    DendrosimError
        If it has another type.
    """
    if isinstance(value, str):
        return [value]
    items: list[Any] = list(value) if is_row(value) else [None]
    if not all(isinstance(item, str) for item in items):
        raise DendrosimError(f"{name} = {short(value)} should be a list of texts")
    return items


def is_row(value: Any) -> bool:
    """Whether an argument is a sequence such as a list; not text, a number, a set or a table."""
    if hasattr(value, "ndim"):  # an array, a series or a tensor
        return value.ndim == 1
    return isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray)


def flag(value: Any, name: str) -> bool:
    """Return an argument that must be True or False.

    Raises
    ------
    DendrosimError
        If it is neither.
    """
    if not isinstance(value, bool | np.bool_):
        raise DendrosimError(f"{name} = {short(value)} should be True or False")
    return bool(value)


def instance(value: Any, kind: type | tuple[type, ...], name: str) -> Any:
    """Return an argument that must be an instance of a class, or of one of several classes.

    Raises
    ------
    DendrosimError
        If it has another type.
    """
    if not isinstance(value, kind):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        wanted = " or ".join(k.__name__ for k in kinds)
        raise DendrosimError(f"{name} = {short(value)} should be a {wanted}")
    return value
