"""Electrode artefacts: jumps of a recorded potential that are not spikes.

At a step of the command, the current through an uncompensated or overcompensated series resistance
shifts the recorded potential within a few samples.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dendrosim.measures.spike_detection import SLOPE_TIME, Found

#: Largest time from the step to the peak of a jump (s).  An action potential takes longer from its
#: onset to its peak, even in the fastest cells at body temperature.
SOON = 0.2e-3
#: A change of the command within one sample is a step if it is larger than this share of the
#: command's full range.
SHARE = 0.05


def at_steps(found: Found, command: NDArray[np.float64], dt: float) -> NDArray[np.bool_]:
    """Return a mask of the spikes that are jumps: they begin at a step and peak at once.

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
    # the slope at a sample includes its neighbours, so a jump seems to begin before its step
    early = max(1, round(SLOPE_TIME / 2 / dt)) + 1
    soon = found.peaks - step <= SOON / dt + 1
    return (before >= 0) & soon & (found.onsets >= step - early)
