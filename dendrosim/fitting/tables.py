"""Tables of a recorded potential, with checks of their units."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dendrosim.errors import DendrosimError
from dendrosim.files import is_file
from dendrosim.simulation.protocol import Protocol

Array = NDArray[np.float64]
#: A table that is so many times longer than its protocol has times in another unit.
LONGER = 20.0
#: Potentials beyond the first, or all within the second, are in another unit (V).
MOST, LEAST = 0.5, 5e-3
#: A model that begins above this (V) has potentials from rest, which may be any.
NEAR_ZERO = -20e-3


def read_table(
    path: Path, protocol: Protocol, what: str, rest: float | None
) -> tuple[Array, Array]:
    """Return the times of a table in s, and its potentials in V, shape (samples, stimuli).

    Parameters
    ----------
    path
        The file: a column of times in s, then one of potentials in V per stimulus.
    protocol
        The protocol that it is of.
    what
        Name of the argument in error messages.
    rest
        Potential at which the fitted model begins in V, if it has one.

    Raises
    ------
    DendrosimError
        If the file is not such a table, or if its numbers are in another unit.
    """
    import pandas as pd

    if not is_file(path):
        raise DendrosimError(f"{path}: there is no such file")
    try:
        table = pd.read_csv(path)
        numbers = table.to_numpy(dtype=float)
    except (OSError, ValueError) as error:
        raise DendrosimError(f"{path}: is not a table of numbers ({error})") from None
    if not any(_is_word(name) for name in table.columns):
        raise DendrosimError(
            f"{path}: the first line should name the columns, such as time,v; it holds numbers"
        )
    if numbers.shape[1] < 2:
        raise DendrosimError(
            f"{path}: has {numbers.shape[1]} column(s); it needs time and potential"
        )
    times, v = numbers[:, 0], numbers[:, 1:]
    if not np.isfinite(numbers).all():
        raise DendrosimError(f"{path}: line {_bad_line(numbers)} holds a value that is not finite")
    steps = np.diff(times)
    if len(times) < 3 or not 0 <= np.ptp(steps) < 1e-3 * steps.mean():
        raise DendrosimError(f"{path}: the first column should be evenly spaced times in s")
    if v.shape[1] != protocol.size:
        raise DendrosimError(
            f"{what}: {path} has {v.shape[1]} potential(s), but {protocol.name} has "
            f"{protocol.size} stimuli"
        )
    _check_potentials(path, v, rest)
    _check_span(path, times, protocol)
    return times, v


def _check_potentials(path: Path, v: Array, rest: float | None) -> None:
    """Refuse potentials that no cell has."""
    most, middle = float(np.abs(v).max()), float(np.median(v))
    if most > MOST:
        raise DendrosimError(
            f"{path}: has potentials up to {most:g} V, which no cell has; they should be in volt"
        )
    if rest is None or rest > NEAR_ZERO:  # a model may count its potentials from rest
        return
    if most < LEAST:
        raise DendrosimError(
            f"{path}: has no potential beyond {most:g} V, which no cell has; they should be in volt"
        )
    if middle > 0:
        raise DendrosimError(
            f"{path}: half of the potentials are above {middle:g} V, which no cell has; the "
            "potential at rest should be below 0"
        )


def _bad_line(numbers: NDArray) -> int:
    """Return the first line of a file with a value that is not finite; the header is line 1."""
    return int(np.flatnonzero(~np.isfinite(numbers).all(axis=1))[0]) + 2


def _check_span(path: Path, times: NDArray, protocol: Protocol) -> None:
    """Refuse times that do not contain the measured window, or that are in another unit."""
    start, stop = protocol.window
    duration = float(protocol.duration)
    step = float(times[1] - times[0])
    shown = f"{path}: the times go from {times[0]:g} to {times[-1]:g} s"
    if times[-1] - times[0] > LONGER * duration:
        raise DendrosimError(
            f"{shown}, but {protocol.name} lasts {duration:g} s; they should be in seconds"
        )
    if times[0] > start + step or times[-1] < stop - 2 * step:
        raise DendrosimError(
            f"{shown}, but {protocol.name} is measured from {start:g} to {stop:g} s; the table "
            "should hold this window"
        )


def _is_word(name: str) -> bool:
    try:
        float(name)
    except ValueError:
        return True
    return False
