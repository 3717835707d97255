"""Spike detection: the only module that turns a voltage trace into a spike train.

A spike is a fast rise to a peak that is prominent on both sides.  Its time is the onset, where the
rise becomes fast.  A level crossing is not sufficient, because a noisy plateau crosses a level
many times.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from brian2 import second
from numpy.typing import ArrayLike, NDArray

from dendrosim import checks
from dendrosim.errors import DendrosimError

Array = NDArray[np.float64]

#: The slope is measured over this time (s): short relative to a rise, long relative to a sample.
SLOPE_TIME = 0.2e-3
#: Maximum time from the fastest rise to the peak (s).
RISE_TIME = 5e-3
#: Time before and after a peak within which the potential must fall by the height (s).
REACH = 50e-3


@dataclass(frozen=True)
class SpikeRule:
    """Criteria for a spike.

    Attributes
    ----------
    slope
        Minimum rate of rise, in V/s (mV/ms): the onset is where the rise first reaches it.
    peak
        Minimum potential of the peak, in V.
    height
        Minimum height of the peak, in V: above the onset, and above the lowest potential before
        and after it.  No further spike is detected until the potential has fallen by this much.

    References
    ----------
    The slope criterion is that of the Allen Institute's ipfx
    (https://github.com/AllenInstitute/ipfx).
    """

    slope: float = 20.0
    peak: float = -20e-3
    height: float = 10e-3


#: The default rule.
DEFAULT = SpikeRule()


class Found(NamedTuple):
    """The spikes and slow peaks detected in a trace."""

    onsets: NDArray[np.int64]  #: samples at which the spikes start, in order
    slow: int  #: number of peaks that are high enough but rise too slowly
    peaks: NDArray[np.int64] = np.empty(0, np.int64)  #: samples of the peaks of the spikes


def find_spikes(v: ArrayLike, dt: float, rule: SpikeRule = DEFAULT) -> Found:
    """Return the samples at which spikes start, and the number of high peaks that rise too slowly.

    Parameters
    ----------
    v
        Potential in V, shape (n,), evenly sampled.
    dt
        Time between samples in s.
    rule
        Criteria for a spike.

    Raises
    ------
    DendrosimError
        If a value is not finite, or if `dt` or a number of `rule` that must be positive is not.
    """
    v = checks.numbers(v, "v")
    dt = checks.number(dt, "dt", dim=second.dim)
    checks.instance(rule, SpikeRule, "rule")
    if v.ndim != 1 or not np.isfinite(v).all():
        raise DendrosimError(
            f"v has shape {v.shape} or values such as nan, but spike detection needs one row of "
            "finite values"
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
    """Return the samples of the peaks that are high and prominent on both sides."""
    from scipy.signal import find_peaks

    if v.size < 3:
        return np.empty(0, dtype=np.int64)
    around = 2 * max(1, round(REACH / dt)) + 1  # an odd number of samples, centred on the peak
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about long plateaus, which are not prominent
        return find_peaks(v, height=rule.peak, prominence=rule.height, wlen=around)[0]


def slopes(v: Array, dt: float) -> Array:
    """Return the slope at each sample over `SLOPE_TIME` (at least two samples), in V/s."""
    reach = max(1, round(SLOPE_TIME / 2 / dt))
    at = np.arange(v.size)
    first, last = np.maximum(at - reach, 0), np.minimum(at + reach, v.size - 1)
    return (v[last] - v[first]) / np.maximum((last - first) * dt, dt)
