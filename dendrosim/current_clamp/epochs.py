"""The steps of a commanded current: when each sweep is away from the value it is held at."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Pulses that follow each other after a pause of at most this (s) are one train.
PAUSE = 0.1


class CommandEpoch(NamedTuple):
    """A stretch of time in which the command of a sweep or more is away from its holding value."""

    start: float  #: s
    stop: float  #: s
    levels: Array  #: of each sweep, in the command's unit: the value furthest from the holding one
    away: float  #: how far from their holding values they are at most
    shortest: float = np.inf  #: s; how long the sweep is away that is so for the shortest time
    pulses: int = 1  #: how many pulses of one level it is a train of

    @property
    def spread(self) -> float:
        """How far apart the sweeps are."""
        return float(np.ptp(self.levels))


def command_epochs(command: Array, dt: float) -> list[CommandEpoch]:
    """Return the epochs of a command, in order of time.

    The value that a sweep begins with is the one it is held at.  A stretch in which each sweep
    takes one level, for as long as it likes, is one epoch, and so is a ramp or noise; where a
    sweep goes from one level to another, a new epoch begins.  Pulses of one level with pauses of
    at most `PAUSE` are one train.

    Parameters
    ----------
    command
        Shape (samples, sweeps), in any unit.
    dt
        Time between samples, in s.
    """
    holding = command[:1]
    away = command != holding
    # of each stretch that is away, the first sample and that after the last
    edges = np.flatnonzero(np.diff(np.r_[False, away.any(axis=1), False].astype(np.int8)))
    epochs = []
    for first, last in edges.reshape(-1, 2):
        part = command[first:last]
        changed = np.flatnonzero((part[1:] != part[:-1]).any(axis=1)) + 1
        # runs of one value; a ramp or noise has about as many as samples
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
    """Return the epochs with the pulses of a train taken as one."""
    result: list[CommandEpoch] = []
    for epoch in epochs:
        last = result[-1] if result else None
        alike = last is not None and np.array_equal(last.levels, epoch.levels)
        if alike and 0 < epoch.start - last.stop <= PAUSE * (1 + 1e-9):
            result[-1] = last._replace(stop=epoch.stop, pulses=last.pulses + 1)
        else:
            result.append(epoch)
    return result


def _visited(part: Array, holding: Array) -> int:
    """Return how many stretches of a level other than the holding one a sweep has at most."""
    begins = np.diff(part, axis=0, prepend=holding[None]) != 0
    return int((begins & (part != holding)).sum(axis=0).max())


def furthest(command: Array, holding: Array) -> Array:
    """Return the value of each sweep that is furthest from its holding value."""
    at = np.abs(command - holding).argmax(axis=0)
    return command[at, np.arange(command.shape[1])]


def chosen_epoch(epochs: list[CommandEpoch], sweeps: int) -> CommandEpoch | None:
    """Return the epoch that sets the sweeps apart most, the first of equals; None without any.

    Where all sweeps have the same command, it is the epoch furthest from the holding value.
    """
    if not epochs:
        return None
    spread = np.array([epoch.spread for epoch in epochs])
    if sweeps == 1 or not spread.any():
        spread = np.array([epoch.away for epoch in epochs])
    return epochs[int(np.argmax(spread >= spread.max() * (1 - 1e-9)))]
