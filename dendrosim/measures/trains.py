"""Features of spike trains: rates, intervals and the f-I curve.

Pure functions on NumPy arrays in SI units.  A spike train is a 1-D array of spike times in
seconds; it may be empty and need not be sorted.  An undefined feature (such as the interval of a
single spike) is ``nan``, never 0, and gives no warning.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from brian2 import second
from numpy.typing import ArrayLike, NDArray

from dendrosim import checks
from dendrosim.errors import DendrosimError
from dendrosim.time_grid import SAME, in_window

Array = NDArray[np.float64]


def sorted_train(spikes: ArrayLike, name: str = "spikes") -> Array:
    """Return a spike train as a sorted float array; refuse invalid input.

    Parameters
    ----------
    spikes
        Spike times in s, shape (n,); a list is allowed.
    name
        Name of the train in error messages.

    Returns
    -------
    ndarray, shape (n,)
        A sorted copy.

    Raises
    ------
    DendrosimError
        If the train does not hold numbers, is not one-dimensional or holds a value that is not
        finite.
    """
    train = checks.numbers(spikes, name, dim=second.dim)
    if train.ndim != 1 or not np.isfinite(train).all():
        raise DendrosimError(
            f"{name}: a spike train is one row of finite times in seconds, "
            f"not an array of shape {train.shape} with values such as nan"
        )
    return np.sort(train)


# Rates and intervals


def counts_in_window(trains: Sequence[ArrayLike], start: float, stop: float) -> NDArray[np.int64]:
    """Return the number of spikes of each train in a window; see `in_window`."""
    return np.array([np.sum(in_window(t, start, stop)) for t in trains], dtype=np.int64)


def firing_rate(spikes: ArrayLike, start: float, stop: float) -> float:
    """Return the number of spikes in ``start < t <= stop`` divided by its length, in Hz.

    Parameters
    ----------
    spikes
        Spike times in s, shape (n,).
    start, stop
        The window in s.

    Raises
    ------
    DendrosimError
        If the window is empty.
    """
    start, stop = checks.window(start, stop, "firing_rate", dim=second.dim)
    train = sorted_train(spikes)
    return float(np.sum(in_window(train, start, stop)) / (stop - start))


def first_spike_latency(spikes: ArrayLike, start: float = 0.0, stop: float = np.inf) -> float:
    """Return the time from `start` to the first spike at or after it, in s; nan without a spike.

    Parameters
    ----------
    spikes
        Spike times in s, shape (n,).
    start
        Start of the stimulus, in s.
    stop
        Spikes after this time (s) are ignored; see `in_window`.

    Raises
    ------
    DendrosimError
        If `stop` is before `start`.
    """
    train = sorted_train(spikes)
    start = checks.number(start, "first_spike_latency: start", dim=second.dim)
    stop = checks.number(stop, "first_spike_latency: stop", dim=second.dim, finite=False)
    if stop < start:
        raise DendrosimError(
            f"first_spike_latency: stop ({stop} s) must not come before start ({start} s)"
        )
    last = stop if np.isinf(stop) else stop + SAME * abs(stop)
    train = train[(train >= start) & (train <= last)]
    return float(train[0] - start) if train.size else np.nan


def isi(spikes: ArrayLike) -> Array:
    """Return the interspike intervals in s, shape (n - 1,); empty for fewer than two spikes."""
    return np.diff(sorted_train(spikes))


def cv_isi(spikes: ArrayLike) -> float:
    """Return the coefficient of variation of the intervals; nan for fewer than two intervals.

    The standard deviation is that of the population (``ddof=0``), as in Elephant; eFEL's
    ``ISI_CV`` divides by n - 1 instead.  0 for a regular train, about 1 for a Poisson process.
    """
    intervals = isi(spikes)
    if intervals.size < 2 or not intervals.any():
        return np.nan
    return float(intervals.std() / intervals.mean())


def adaptation_index(spikes: ArrayLike) -> float:
    """Return the mean relative change between successive intervals; nan for fewer than two.

    The mean of ``(ISI[k+1] - ISI[k]) / (ISI[k+1] + ISI[k])``.  It lies between -1 and 1, is
    positive if the cell slows down, and does not change if time is rescaled.  It equals eFEL's
    ``adaptation_index2``, except that eFEL starts at the second interval.

    References
    ----------
    Druckmann et al. (2007), Frontiers in Neuroscience 1:7-18.
    """
    intervals = isi(spikes)
    change, total = np.diff(intervals), intervals[1:] + intervals[:-1]
    if not total.any():
        return np.nan
    return float(np.mean(change[total > 0] / total[total > 0]))


# The f-I curve


def rheobase(amplitudes: ArrayLike, counts: ArrayLike) -> float:
    """Return the smallest amplitude on the grid with a spike; nan if there is none.

    Parameters
    ----------
    amplitudes
        Current amplitudes, shape (n,), in any order and unit (A/m^2 here).
    counts
        Spike counts or rates at those amplitudes, shape (n,).

    Raises
    ------
    DendrosimError
        If the two shapes differ, or a value is not finite.
    """
    amplitudes, counts = _curve("rheobase", amplitudes, counts, "counts")
    firing = amplitudes[counts > 0]
    return float(firing.min()) if firing.size else np.nan


def gain(amplitudes: ArrayLike, rates: ArrayLike) -> float:
    """Return the least-squares slope of the f-I curve at and above the rheobase.

    All amplitudes from the rheobase on count, so end the grid before depolarisation block.

    Parameters
    ----------
    amplitudes
        Current amplitudes, shape (n,), in A/m^2.
    rates
        Firing rates in Hz, shape (n,).

    Returns
    -------
    float
        Hz per unit of amplitude; nan with fewer than two amplitudes in that range.

    Raises
    ------
    DendrosimError
        If the two shapes differ, or a value is not finite.
    """
    amplitudes, rates = _curve("gain", amplitudes, rates, "rates")
    above = amplitudes >= rheobase(amplitudes, rates)
    if np.unique(amplitudes[above]).size < 2:
        return np.nan
    x = amplitudes[above] - amplitudes[above].mean()
    return float(x @ rates[above] / (x @ x))


def _curve(name: str, x: ArrayLike, y: ArrayLike, of: str) -> tuple[Array, Array]:
    x = checks.numbers(x, f"{name}: amplitudes", finite=True)
    y = checks.numbers(y, f"{name}: {of}", finite=True)
    if x.ndim != 1 or x.shape != y.shape:
        raise DendrosimError(f"{name}: one value per amplitude, not {y.shape} for {x.shape}")
    return x, y
