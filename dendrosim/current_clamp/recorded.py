"""Recordings of real cells: command current and potential from current-clamp files."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from dendrosim.current_clamp import doubts
from dendrosim.current_clamp.abf_command import commanded
from dendrosim.current_clamp.abf_header import read_header
from dendrosim.current_clamp.abf_parts import Header
from dendrosim.current_clamp.artefacts import at_steps
from dendrosim.current_clamp.channels import AMPERE, VOLT, choose
from dendrosim.current_clamp.epochs import CommandEpoch, chosen_epoch, command_epochs
from dendrosim.errors import DendrosimError, DendrosimWarning
from dendrosim.files import is_file, path_text
from dendrosim.measures.spike_detection import DEFAULT, Found, SpikeRule, find_spikes


@dataclass(frozen=True, eq=False)
class ClampRecording:
    """A current-clamp file.

    Attributes
    ----------
    path
        Path of the file.
    dt
        Seconds between samples.
    command
        Commanded current in ampere, shape (samples, sweeps).
    voltage
        Recorded potential in volt, shape (samples, sweeps).
    rule
        Definition of a spike of the cell.
    source
        Text that names the channel of the potential and the output of the command.
    """

    path: str
    dt: float
    command: np.ndarray
    voltage: np.ndarray
    rule: SpikeRule = DEFAULT
    source: str = ""

    @property
    def duration(self) -> float:
        """Length of a sweep in seconds."""
        return len(self.command) * self.dt

    @cached_property
    def epochs(self) -> list[CommandEpoch]:
        """Epochs in which the command is away from its holding value, see `command_epochs`."""
        return command_epochs(self.command, self.dt)

    @property
    def driven(self) -> tuple[float, float]:
        """Start and stop (seconds) of the epoch in which the sweeps differ most.

        It is the first of equal epochs, or the whole sweep if no command leaves its holding value.
        """
        chosen = chosen_epoch(self.epochs, self.command.shape[1])
        return (0.0, self.duration) if chosen is None else (chosen.start, chosen.stop)

    def between(self, start: float, stop: float) -> np.ndarray:
        """Return the command from `start` to `stop` (seconds), shape (samples, sweeps).

        The result has at least one sample: the one that contains `start`.
        """
        first = min(max(round(start / self.dt), 0), len(self.command) - 1)
        return self.command[first : max(round(stop / self.dt), first + 1)]

    @cached_property
    def found(self) -> tuple[Found, ...]:
        """Detected events of each sweep: spikes, and peaks too slow for spikes.

        A jump of the potential at a step of the command is not a spike, see `artefacts.at_steps`.
        """
        sweeps = zip(self._all_found, self._artefacts, strict=True)
        return tuple(
            Found(found.onsets[~jump], found.slow, found.peaks[~jump]) for found, jump in sweeps
        )

    @cached_property
    def jumps(self) -> tuple[int, ...]:
        """Number of spike-like jumps of the potential at steps of the command, per sweep."""
        return tuple(int(jump.sum()) for jump in self._artefacts)

    @cached_property
    def _all_found(self) -> tuple[Found, ...]:
        return tuple(find_spikes(v, self.dt, self.rule) for v in self.voltage.T)

    @cached_property
    def _artefacts(self) -> list[np.ndarray]:
        sweeps = zip(self._all_found, self.command.T, strict=True)
        return [at_steps(found, command, self.dt) for found, command in sweeps]

    def spike_times(self) -> list[np.ndarray]:
        """Return the onsets of the spikes (seconds), one array per sweep.

        See `spike_detection`; `rule` defines a spike.
        """
        return [found.onsets * self.dt for found in self.found]


def read_abf(
    path: str | os.PathLike,
    sweeps: Sequence[int] | None = None,
    channel: int | str | None = None,
    command_channel: int | str | None = None,
    rule: SpikeRule = DEFAULT,
) -> ClampRecording:
    """Read the commanded current and the potential of an ABF file (1.8 or 2).

    The command is that of the table of epochs, with the user lists of Clampex applied.  Doubts
    are issued as a `DendrosimWarning`: a command that never changes, a recorded current that
    differs from the command, an implausible potential.

    Parameters
    ----------
    path
        Path of the file.
    sweeps
        Indices of the sweeps, counted from 0; all by default.
    channel, command_channel
        Name, or number from 0, of the recorded potential and of the output that commands the
        current; by default the matching pair, see `channels.choose`.
    rule
        Definition of a spike.

    Raises
    ------
    DendrosimError
        If the file is missing, empty, truncated, not ABF or not a current clamp; if its command
        is unknown; if it has no such sweep or channel.
    """
    path = Path(path_text(path, "recording"))
    if not is_file(path):
        raise DendrosimError(f"{path}: there is no such recording")
    try:
        if path.stat().st_size == 0:
            raise DendrosimError(f"{path}: the recording is empty")
        header = read_header(str(path))
        at, output = choose(str(path), header, channel, command_channel)
        sweeps = _sweeps(str(path), header, sweeps)
        samples = np.fromfile(
            path, header.sample, header.sweeps * header.points * len(header.channels),
            offset=header.start,
        )  # fmt: skip
    except OSError as error:
        raise DendrosimError(f"{path}: cannot be read ({error.strerror})") from None
    samples = samples.reshape(header.sweeps, header.points, len(header.channels))[sweeps]
    command = commanded(str(path), header, output, sweeps) * AMPERE[output.unit]
    source = header.channels[at]
    voltage = _physical(samples, header, at) * VOLT[source.unit]
    if not np.isfinite(voltage).all():
        raise DendrosimError(f"{path}: channel {source.name!r} holds values that are not finite")
    words = f"potential {source.name!r}, command {output.name!r}"
    result = ClampRecording(str(path), header.dt, command, voltage, rule, words)
    currents = {
        c.name: _physical(samples, header, k) * AMPERE[c.unit]
        for k, c in enumerate(header.channels)
        if c.unit in AMPERE
    }
    for doubt in doubts.of_reading(result, currents):
        warnings.warn(doubt, DendrosimWarning, stacklevel=2)
    return result


def _sweeps(path: str, header: Header, sweeps: Sequence[int] | None) -> list[int]:
    sweeps = list(range(header.sweeps)) if sweeps is None else list(sweeps)
    for sweep in sweeps:
        if not 0 <= sweep < header.sweeps:
            raise DendrosimError(f"{path}: no sweep {sweep}; valid: 0 to {header.sweeps - 1}")
    return sweeps


def _physical(samples: np.ndarray, header: Header, channel: int) -> Any:
    """Return a channel in its unit, shape (samples, sweeps)."""
    with np.errstate(invalid="ignore"):  # a damaged sample becomes nan and is refused later
        values = samples[:, :, channel].T.astype(float)
    if header.sample.kind == "f":
        return values
    return values * header.channels[channel].gain + header.channels[channel].offset
