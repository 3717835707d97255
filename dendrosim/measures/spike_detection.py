"""Spikes of a potential: the one place where a trace becomes a train.

A spike is a fast rise to a peak that stands out on both sides.  Its time is its onset, where the
rise becomes fast.  A crossing of a level is no spike: a noisy plateau crosses one a thousand
times.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dendrosim import checks
from dendrosim.errors import DendrosimError

Array = NDArray[np.float64]

#: The slope is that over this time (s): short beside a rise, long beside a sample of noise.
SLOPE_TIME = 0.2e-3
#: A peak comes at most this long after the fastest rise (s).
RISE_TIME = 5e-3
#: How far before and after a peak the potential has to be lower by the height (s).
REACH = 50e-3


@dataclass(frozen=True)
class SpikeRule:
    """What counts as a spike.

    Attributes
    ----------
    slope
        Least rate of rise, in V/s (mV/ms): the onset is where the rise first has it.
    peak
        The peak lies above this potential, in V.
    height
        Least height of the peak, in V: above the onset, and above the lowest potential before
        and after it.  Until the potential has fallen by this much there is no other spike.

    References
    ----------
    The slope is that of the Allen Institute's ipfx (https://github.com/AllenInstitute/ipfx).
    """

    slope: float = 20.0
    peak: float = -20e-3
    height: float = 10e-3


#: The rule where no other is given.
DEFAULT = SpikeRule()


class Found(NamedTuple):
    """What a trace holds."""

    onsets: NDArray[np.int64]  #: samples at which the spikes begin, in order
    slow: int  #: peaks that are high enough, and rise too slowly to be spikes
    peaks: NDArray[np.int64] = np.empty(0, np.int64)  #: samples of the peaks of the spikes


def find_spikes(v: ArrayLike, dt: float, rule: SpikeRule = DEFAULT) -> Found:
    """Return the samples at which spikes begin, and how many high peaks were too slow for one.

    Parameters
    ----------
    v
        Potential in V, shape (n,), evenly sampled.
    dt
        Time between samples in s.
    rule
        What counts as a spike.

    Raises
    ------
    DendrosimError
        If a value is not finite, or `dt` or a number of `rule` is not above 0 where it has to be.
    """
    v = checks.numbers(v, "v")
    if v.ndim != 1 or not np.isfinite(v).all():
        raise DendrosimError(
            "a potential whose spikes are sought is one row of finite values, not an array of "
            f"shape {v.shape} with values such as nan"
        )
    if not (dt > 0 and rule.slope > 0 and rule.height > 0 and np.isfinite(rule.peak)):
        raise DendrosimError(
            f"spikes need dt, slope and height above 0 and a finite peak, not dt = {dt} s and "
            f"{rule}"
        )
    steepness, found, tops, slow, previous = slopes(v, dt), [], [], 0, 0
    rise = max(1, round(RISE_TIME / dt))
    for peak in _peaks(v, dt, rule):
        begin = max(previous, peak - rise)
        if v[peak] - v[begin:peak].min() >= rule.height:
            part = steepness[begin:peak]
            fastest = int(np.argmax(part))
            gentle = np.flatnonzero(part[:fastest] < rule.slope)
            onset = begin + (int(gentle[-1]) + 1 if gentle.size else 0)
            if part[fastest] < rule.slope or v[peak] - v[onset] < rule.height:
                slow += 1
            else:
                found.append(onset)
                tops.append(int(peak))
        previous = int(peak)
    return Found(np.array(found, dtype=np.int64), slow, np.array(tops, dtype=np.int64))


def _peaks(v: Array, dt: float, rule: SpikeRule) -> NDArray[np.int64]:
    """Return the samples of the peaks that are high and stand out on both sides."""
    from scipy.signal import find_peaks

    if v.size < 3:
        return np.empty(0, dtype=np.int64)
    around = 2 * max(1, round(REACH / dt)) + 1  # an odd number of samples, the peak in the middle
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a plateau longer than that, which does not stand out
        return find_peaks(v, height=rule.peak, prominence=rule.height, wlen=around)[0]


def slopes(v: Array, dt: float) -> Array:
    """Return the slope around each sample over `SLOPE_TIME`, or two samples, in V/s."""
    reach = max(1, round(SLOPE_TIME / 2 / dt))
    at = np.arange(v.size)
    first, last = np.maximum(at - reach, 0), np.minimum(at + reach, v.size - 1)
    return (v[last] - v[first]) / np.maximum((last - first) * dt, dt)
