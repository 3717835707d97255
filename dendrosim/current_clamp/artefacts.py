"""Jumps of a recorded potential that the electrode makes, and no spike.

Where the command steps, current through a series resistance that was not compensated, or through
one that was compensated too much, moves the recorded potential within a few samples.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dendrosim.measures.spike_detection import SLOPE_TIME, Found

#: A jump peaks at most this long after the step (s).  From its take-off to its peak an action
#: potential takes longer, also in the fastest cells at body temperature.
SOON = 0.2e-3
#: A change of the command within one sample is a step where it is at least this share of all that
#: the command does.
SHARE = 0.05


def at_steps(found: Found, command: NDArray[np.float64], dt: float) -> NDArray[np.bool_]:
    """Return which spikes begin at a step of the command and peak at once: they are jumps.

    Parameters
    ----------
    found
        Spikes of a sweep.
    command
        Commanded current of that sweep, shape (samples,).
    dt
        Seconds between samples.
    """
    change = np.abs(np.diff(command))
    steps = np.flatnonzero(change > SHARE * max(np.ptp(command), 1e-15)) + 1
    if not steps.size or not found.onsets.size:
        return np.zeros(len(found.onsets), dtype=bool)
    before = np.searchsorted(steps, found.peaks, side="right") - 1
    step = steps[np.maximum(before, 0)]
    # the slope of a sample is measured over some around it, so a jump seems to begin before it
    early = max(1, round(SLOPE_TIME / 2 / dt)) + 1
    soon = found.peaks - step <= SOON / dt + 1
    return (before >= 0) & soon & (found.onsets >= step - early)
