"""The epochs of a commanded current: when sweeps are away from their holding value."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Pulses that are separated by pauses of at most this (s) form one train.
PAUSE = 0.1


class CommandEpoch(NamedTuple):
    """An interval in which the command of at least one sweep is away from its holding value."""

    start: float  #: s
    stop: float  #: s
    levels: Array  #: value per sweep that is furthest from holding, in the command's unit
    away: float  #: largest distance of the levels from their holding values
    shortest: float = np.inf  #: s; shortest time that any of these sweeps is away
    pulses: int = 1  #: number of pulses of one level, if it is a train

    @property
    def spread(self) -> float:
        """Range of the levels of the sweeps."""
        return float(np.ptp(self.levels))


def command_epochs(command: Array, dt: float) -> list[CommandEpoch]:
    """Return the epochs of a command, in order of time.

    The first value of a sweep is its holding value.  An interval in which each sweep takes one
    level, for any time, is one epoch, and so is a ramp or noise.  A new epoch begins when a sweep
    changes from one level to another.  Pulses of one level with pauses of at most `PAUSE` are one
    train.

    Parameters
    ----------
    command
        Shape (samples, sweeps), in any unit.
    dt
        Time between samples, in s.
    """
    holding = command[:1]
    away = command != holding
    # of each interval away from holding, the first sample and the one after the last
    edges = np.flatnonzero(np.diff(np.r_[False, away.any(axis=1), False].astype(np.int8)))
    epochs = []
    for first, last in edges.reshape(-1, 2):
        part = command[first:last]
        changed = np.flatnonzero((part[1:] != part[:-1]).any(axis=1)) + 1
        # number of runs of equal values; for a ramp or noise, it is close to the number of samples
        stepped = 0 < changed.size <= max(16, len(part) // 100)
        several = stepped and _visited(part, holding[0]) > 1
        bounds = np.r_[0, changed if several else [], len(part)].astype(int) + first
        for a, b in pairwise(bounds):
            if away[a:b].any():
                levels = furthest(command[a:b], holding[0])
                reach = float(np.abs(levels - holding[0]).max())
                lengths = away[a:b].sum(axis=0) * dt
                shortest = float(lengths[lengths > 0].min())
                epochs.append(CommandEpoch(float(a * dt), float(b * dt), levels, reach, shortest))
    return _trains(epochs)


def _trains(epochs: list[CommandEpoch]) -> list[CommandEpoch]:
    """Return the epochs, with the pulses of each train merged into one epoch."""
    result: list[CommandEpoch] = []
    for epoch in epochs:
        last = result[-1] if result else None
        alike = last is not None and np.array_equal(last.levels, epoch.levels)
        if last and alike and 0 < epoch.start - last.stop <= PAUSE * (1 + 1e-9):
            result[-1] = last._replace(stop=epoch.stop, pulses=last.pulses + 1)
        else:
            result.append(epoch)
    return result


def _visited(part: Array, holding: Array) -> int:
    """Return the largest number, over sweeps, of intervals at a level other than holding."""
    begins = np.diff(part, axis=0, prepend=holding[None]) != 0
    return int((begins & (part != holding)).sum(axis=0).max())


def furthest(command: Array, holding: Array) -> Array:
    """Return the value of each sweep that is furthest from its holding value."""
    at = np.abs(command - holding).argmax(axis=0)
    return command[at, np.arange(command.shape[1])]


def chosen_epoch(epochs: list[CommandEpoch], sweeps: int) -> CommandEpoch | None:
    """Return the epoch in which the sweeps differ most, the first if equal; None without epochs.

    If all sweeps have the same command, it is the epoch furthest from the holding value.
    """
    if not epochs:
        return None
    spread = np.array([epoch.spread for epoch in epochs])
    if sweeps == 1 or not spread.any():
        spread = np.array([epoch.away for epoch in epochs])
    return epochs[int(np.argmax(spread >= spread.max() * (1 - 1e-9)))]
