"""Bursts of a spike train: detection, regularity and phase relative to a stimulus.

Pure functions on 1-D arrays of spike times in seconds, sorted or not.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from brian2 import hertz, second
from numpy.typing import ArrayLike, NDArray

from dendrosim import checks
from dendrosim.errors import DendrosimError
from dendrosim.measures.trains import first_spike_latency, isi, sorted_train

Array = NDArray[np.float64]
TWO_PI = 2 * np.pi


class Bursts(NamedTuple):
    """The bursts of one train; times in s, nan for undefined values."""

    onsets: Array  #: time of the first spike of each burst, shape (b,)
    sizes: NDArray[np.int64]  #: spikes in each burst, shape (b,)
    period: float  #: mean time from one onset to the next
    spikes_per_burst: float  #: mean of `sizes`
    onset_latency: float  #: from `start` to the first onset at or after it
    intra_isi: float  #: mean interval inside bursts


def bursts(
    spikes: ArrayLike, max_isi: float | None = None, min_spikes: int = 2, start: float = 0.0
) -> Bursts:
    """Split a train into bursts: runs of spikes at most `max_isi` apart.

    Runs of fewer than `min_spikes` spikes are ignored.  If no run is long enough, the train is
    tonic and every spike is counted alone: `period` is the mean interval, `spikes_per_burst`
    is 1 and `intra_isi` is nan.

    Parameters
    ----------
    spikes
        Spike times in s, shape (n,).
    max_isi
        Longest interval inside a burst, in s; computed with `burst_threshold` by default.
    min_spikes
        Minimum number of spikes per burst, at least 2.
    start
        Start of the stimulus in s; only `onset_latency` depends on it.

    Raises
    ------
    DendrosimError
        If `max_isi` is not positive or `min_spikes` is below 2.
    """
    start = checks.number(start, "bursts: start", dim=second.dim)
    if max_isi is None:
        max_isi = burst_threshold(spikes)
    else:
        max_isi = checks.positive(max_isi, "bursts: max_isi", dim=second.dim, finite=False)
    min_spikes = checks.whole(min_spikes, "bursts: min_spikes", least=2)
    train = sorted_train(spikes)
    intervals = np.diff(train)
    runs = np.split(train, np.flatnonzero(~(intervals <= max_isi)) + 1)
    found = [run for run in runs if run.size >= min_spikes] or list(train[:, np.newaxis])
    onsets = np.array([run[0] for run in found], dtype=float)
    sizes = np.array([run.size for run in found], dtype=np.int64)
    inside = np.concatenate([np.diff(run) for run in found]) if found else np.empty(0)
    return Bursts(
        onsets=onsets,
        sizes=sizes,
        period=_mean(np.diff(onsets)),
        spikes_per_burst=_mean(sizes),
        onset_latency=first_spike_latency(onsets, start),
        intra_isi=_mean(inside),
    )


#: For `burst_threshold`: kernel width and bin width in units of ln(ISI), minimum depth of the
#: valley, and minimum share of intervals below it.
KERNEL, BIN, VOID, SHARE = 0.4, 0.05, 0.7, 0.2


def burst_threshold(spikes: ArrayLike) -> float:
    """Return the interval that separates bursts from pauses, in s; nan without a clear valley.

    The density of ln(ISI) is a histogram smoothed with a Gaussian kernel of width 0.4.  Its
    deepest valley counts if the density there is at least 70 % below the lower of the two
    neighbouring peaks, and if at least a fifth of the intervals lie below the valley (a rare
    short interval is not a burst).  The result is the geometric mean of the two intervals around
    the valley.

    The rule has no fixed time scale: rescaling a train in time does not change its bursts.  Two
    single intervals must differ five- to sixfold to be separated.  Short trains are unreliable:
    of Poisson trains, 12 % with 10 intervals, 2 % with 20 and 0 of 1,000 with 50 are classified
    as bursting.  A recording of a single burst has no pause for comparison, and fewer than three
    intervals have no density; both give nan, so pass `max_isi` to `bursts` in these cases.

    Parameters
    ----------
    spikes
        Spike times in s, shape (n,).

    References
    ----------
    Selinger et al. (2007), J Neurosci Methods 162:64-71: valley of the log-ISI histogram.
    Pasquale, Martinoia & Chiappalone (2010), J Comput Neurosci 29:213-229: the void
    parameter 0.7; relative to the geometric mean of the peaks there, to the lower peak here.
    """
    intervals = isi(spikes)
    x = np.sort(np.log(intervals[intervals > 0]))
    if x.size < 3:
        return np.nan
    counts, _ = np.histogram(x, np.arange(x[0] - BIN, x[-1] + 2 * BIN, BIN))
    reach = round(36 * KERNEL / BIN)  # beyond this distance, exp underflows to 0
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * BIN / KERNEL) ** 2)
    density = np.convolve(counts, kernel)[reach:-reach]
    left, right = np.maximum.accumulate(density), np.maximum.accumulate(density[::-1])[::-1]
    depth = density / np.minimum(left, right)
    below = np.cumsum(counts)
    depth[below < SHARE * x.size] = np.inf
    valley = np.argmin(depth)
    if depth[valley] > 1 - VOID:
        return np.nan
    return float(np.exp(x[below[valley] - 1 : below[valley] + 1].mean()))


def _mean(values: NDArray) -> float:
    return float(np.mean(values)) if values.size else np.nan


class Phase(NamedTuple):
    """Phases of events within a cycle, in radians; nan without events."""

    phases: Array  #: phase of each event in [0, 2 pi), shape (b,)
    mean: float  #: circular mean in [0, 2 pi)
    vector_strength: float  #: length of the mean resultant: 1 if phase-locked, near 0 if not


def burst_phase(
    onsets: ArrayLike,
    frequency: float | None = None,
    *,
    cycles: ArrayLike | None = None,
    start: float = 0.0,
) -> Phase:
    """Return the phase of burst onsets relative to a sinusoid or to given cycle starts.

    Phase 0 is the start of a cycle: for ``sin(2 pi f (t - start))`` the upward zero crossing,
    so the maximum is at pi/2.

    Parameters
    ----------
    onsets
        Times of events in s, shape (n,): `Bursts.onsets` or spikes.
    frequency
        Frequency of the sinusoid, in Hz.
    cycles
        Instead of `frequency`: start of each cycle in s, shape (c,), for example the upward
        zero crossings of a chirp.  Phase is interpolated linearly within a cycle; onsets before
        the first or after the last cycle start are ignored.
    start
        Start of the sinusoid, in s.

    Raises
    ------
    DendrosimError
        Unless exactly one of a positive `frequency` and increasing `cycles` is given.

    References
    ----------
    Goldberg & Brown (1969), J Neurophysiol 32:613-636: vector strength.
    """
    start = checks.number(start, "burst_phase: start", dim=second.dim)
    if frequency is not None:
        frequency = checks.number(frequency, "burst_phase: frequency", dim=hertz.dim)
    if (frequency is None) == (cycles is None) or (frequency is not None and not frequency > 0):
        raise DendrosimError("burst_phase: give either a positive frequency in Hz or cycles in s")
    events = sorted_train(onsets, "onsets")
    if cycles is None:
        assert frequency is not None  # one of the two is given
        turns = (events - start) * frequency
    else:
        starts = sorted_train(cycles, "cycles")
        if starts.size < 2 or not np.diff(starts).all():
            raise DendrosimError("burst_phase: cycles needs two or more different times")
        events = events[(events >= starts[0]) & (events < starts[-1])]
        turns = np.interp(events, starts, np.arange(starts.size))
    phases = _wrap(TWO_PI * (turns - np.floor(turns)))
    if not phases.size:
        return Phase(phases, np.nan, np.nan)
    resultant = np.mean(np.exp(1j * phases))
    return Phase(phases, float(_wrap(np.angle(resultant) % TWO_PI)), float(abs(resultant)))


def _wrap(phase: NDArray) -> NDArray:
    # a value slightly below 0 rounds to 2 pi
    return np.where(phase >= TWO_PI, 0.0, phase)
