"""The time grid: which step a time belongs to, and how many steps a duration contains.

Times are floats in seconds, so a multiple of the step has a rounding error.  This module alone
decides for the whole package which step is meant.  Windows of stimuli are text of the model
language, see `dendrosim.simulation.shapes.WINDOW`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: Two times are equal if their difference is below this share of the larger one.
SAME = 1e-9

#: Tolerance in samples for a time before the start of its sample.  Rounding makes some times early;
#: after 10**9 samples by less than half of this value.
EARLY = 2.0**-20

#: `steps_in` as C++, with texts for the two times: a compiled program counts its own steps.
STEPS_CPP = "(int64_t)ceil({duration}/{dt}*(1 - 1e-12) - 1e-9)"


def steps_in(duration: float, dt: float) -> int:
    """Return the number of steps that cover a duration; the last one may end after it."""
    return int(np.ceil(duration / dt * (1 - 1e-12) - 1e-9))


def samples_over(duration: float, dt: float) -> int:
    """Return the number of samples from 0 to the end of a run, including both."""
    return int(np.ceil(duration / dt - SAME)) + 1


def multiple_of(time: float, dt: float) -> int | None:
    """Return a time as a number of steps; None if it is not a positive multiple of the step."""
    steps = round(time / dt)
    return steps if steps >= 1 and abs(steps * dt - time) <= SAME * time else None


def step_at(times: ArrayLike, dt: float) -> NDArray[np.int64]:
    """Return the nearest step for each time."""
    return np.rint(np.asarray(times, dtype=float) / dt).astype(np.int64)


def sample_at(times: NDArray, sample_dt: float, n: int) -> NDArray[np.int64]:
    """Return the sample of each time among `n` samples; the last sample continues to the end."""
    return np.clip(np.floor(times / sample_dt + EARLY).astype(int), 0, n - 1)


def in_window(times: ArrayLike, start: float, stop: float) -> NDArray[np.bool_]:
    """Return a mask of the times in a window, ``start < t <= stop``.

    The time of a spike is the end of its step.  A spike exactly at `stop` therefore belongs to the
    last step in the window, and a spike exactly at `start` to the step before the window.

    Parameters
    ----------
    times
        Times in s, any shape.
    start, stop
        The window in s.
    """
    times, rounding = np.asarray(times, dtype=float), SAME * max(abs(start), abs(stop))
    return (times > start + rounding) & (times <= stop + rounding)
