"""Mappings and arrays of a layer: checked and read-only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dendrosim import checks
from dendrosim.errors import DendrosimError, did_you_mean

Array = np.ndarray


def array_of(
    value: Any, shape: tuple[int, ...], name: str, port: str | None = None,
    ports: Sequence[str] = (),
) -> Array:  # fmt: skip
    """Return a read-only copy of the given numbers.

    Raises
    ------
    DendrosimError
        If the port is unknown, or the shape or a number is wrong.
    """
    if port is not None and port not in ports:
        raise DendrosimError(f"{name}: {port!r} is not a port; {did_you_mean(port, ports)}")
    array = np.array(numbers_of(value, name))  # a copy
    if array.shape != shape:
        raise DendrosimError(f"{name} has shape {array.shape}, but {shape} is needed")
    if not np.all(np.isfinite(array)):
        raise DendrosimError(f"{name} holds a number that is not finite")
    array.flags.writeable = False
    return array


def numbers_of(value: Any, name: str) -> Array:
    """Return numbers of any shape; refuse values that numpy cannot convert."""
    try:
        return checks.numbers(value, name, kinds="biuf" if np.ndim(value) else "iuf")
    except (DendrosimError, ValueError, RuntimeError, TypeError):
        raise DendrosimError(f"{name} = {checks.short(value)} does not hold numbers") from None


def number_or_array(value: Any) -> Array:
    """Return a single number as a 0-d array, other arrays unchanged."""
    array = np.asarray(value, dtype=float)
    return array.reshape(()) if array.size == 1 else array


def table_of(value: Any, name: str) -> Mapping:
    """Return a mapping of names to values; None gives an empty one.

    Raises
    ------
    DendrosimError
        If it has another type.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise DendrosimError(f"{name} = {value!r} should map names to values")
    return value
