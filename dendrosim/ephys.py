"""Recordings of real cells: the command current and the voltage of current-clamp files."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dendrosim.errors import DendrosimError
from dendrosim.library import is_file, path_text

# Factor to SI of the units that an ABF file may name
_AMPERE = {"A": 1.0, "mA": 1e-3, "uA": 1e-6, "nA": 1e-9, "pA": 1e-12}
_VOLT = {"V": 1.0, "mV": 1e-3, "uV": 1e-6}


@dataclass(frozen=True, eq=False)
class ClampRecording:
    """A current-clamp file.

    Attributes
    ----------
    path
        The file.
    dt
        Seconds between samples.
    command
        Commanded current in ampere, shape (samples, sweeps).
    voltage
        Recorded potential in volt, shape (samples, sweeps).
    """

    path: str
    dt: float
    command: np.ndarray
    voltage: np.ndarray

    @property
    def duration(self) -> float:
        """Length of a sweep in seconds."""
        return len(self.command) * self.dt

    @property
    def driven(self) -> tuple[float, float]:
        """From when until when (seconds) any sweep's command is away from its first value.

        The value that a sweep begins with is the one it is held at.  Where no command ever leaves
        it, that is the whole sweep.
        """
        away = np.flatnonzero((self.command != self.command[:1]).any(axis=1))
        return (away[0] * self.dt, (away[-1] + 1) * self.dt) if away.size else (0.0, self.duration)

    def spike_times(self, threshold: float = -0.010) -> list[np.ndarray]:
        """Return the times (seconds) of upward crossings of `threshold` (volt), one array a sweep.

        A crossing counts when the sample is above and the one before it is not.
        """
        above = self.voltage > threshold
        crossed = above[1:] & ~above[:-1]
        return [(np.flatnonzero(crossed[:, k]) + 1) * self.dt for k in range(above.shape[1])]


def read_abf(path: str | os.PathLike, sweeps: list[int] | None = None) -> ClampRecording:
    """Read the commanded current and the voltage of an ABF file (1 or 2).

    Parameters
    ----------
    path
        The file.
    sweeps
        Which sweeps, counted from 0; all by default.

    Raises
    ------
    DendrosimError
        If the file is missing, empty, not ABF, not a current clamp, or has no such sweep.
    """
    path = Path(path_text(path, "recording"))
    if not is_file(path):
        raise DendrosimError(f"{path}: there is no such recording")
    if path.stat().st_size == 0:
        raise DendrosimError(f"{path}: the recording is empty")
    try:
        import pyabf
    except ImportError:
        raise DendrosimError(
            f"{path}: reading ABF needs pyabf: pip install 'dendrosim[ephys]'"
        ) from None
    try:
        abf = pyabf.ABF(str(path))
        if abf.sweepUnitsC not in _AMPERE or abf.sweepUnitsY not in _VOLT:
            raise DendrosimError(
                f"{path}: not a current clamp: command in {abf.sweepUnitsC!r}, recording in "
                f"{abf.sweepUnitsY!r}; a current in pA and a voltage in mV are needed"
            )
        result = _read_sweeps(abf, str(path), sweeps)
    except DendrosimError:
        raise
    except Exception as error:  # pyabf raises plain Exception, struct.error, IndexError, ...
        said = str(error) or type(error).__name__
        raise DendrosimError(f"{path}: not a readable ABF file ({said})") from None
    if not result.command.size or not np.isfinite(result.command).all():
        raise DendrosimError(f"{path}: the commanded current is empty or not finite")
    return result


def _read_sweeps(abf: Any, path: str, sweeps: list[int] | None) -> ClampRecording:
    sweeps = list(range(abf.sweepCount)) if sweeps is None else sweeps
    for sweep in sweeps:
        if not 0 <= sweep < abf.sweepCount:
            raise DendrosimError(f"{path}: no sweep {sweep}; valid: 0 to {abf.sweepCount - 1}")
    command, voltage = [], []
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # pyabf warns of a command that it cannot rebuild
        for sweep in sweeps:
            abf.setSweep(sweep)
            command.append(np.array(abf.sweepC, dtype=float) * _AMPERE[abf.sweepUnitsC])
            voltage.append(np.array(abf.sweepY, dtype=float) * _VOLT[abf.sweepUnitsY])
    return ClampRecording(
        path, 1.0 / abf.dataRate, np.stack(command, axis=1), np.stack(voltage, axis=1)
    )
