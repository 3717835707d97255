"""The time grid: which step a time belongs to, and how many steps a length of time takes.

Times are floats in seconds.  A time that is meant to be a multiple of the step is off by rounding;
here it is decided, once for the package, which step it means.  Windows of stimuli are text of the
models' language, see `dendrosim.simulation.shapes.WINDOW`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: Two times are the same where they differ by less than this share of the larger.
SAME = 1e-9

#: Fraction of a sample by which a time may be early: rounding puts some before the sample they
#: begin; after 10**9 samples by less than half of this.
EARLY = 2.0**-20

#: `steps_in` as C++, of texts for the two times: a compiled program counts its own steps.
STEPS_CPP = "(int64_t)ceil({duration}/{dt}*(1 - 1e-12) - 1e-9)"


def steps_in(duration: float, dt: float) -> int:
    """Return how many steps cover a length of time; the last one may reach beyond it."""
    return int(np.ceil(duration / dt * (1 - 1e-12) - 1e-9))


def samples_over(duration: float, dt: float) -> int:
    """Return how many samples reach from 0 to the end of a run, both ends included."""
    return int(np.ceil(duration / dt - SAME)) + 1


def multiple_of(time: float, dt: float) -> int | None:
    """Return how many steps a time is, None where it is no whole number from 1."""
    steps = round(time / dt)
    return steps if steps >= 1 and abs(steps * dt - time) <= SAME * time else None


def step_at(times: ArrayLike, dt: float) -> NDArray[np.int64]:
    """Return the step that each time is nearest to."""
    return np.rint(np.asarray(times, dtype=float) / dt).astype(np.int64)


def sample_at(times: NDArray, sample_dt: float, n: int) -> NDArray[np.int64]:
    """Return the number of the sample that each time takes, of `n`; the last one lasts."""
    return np.clip(np.floor(times / sample_dt + EARLY).astype(int), 0, n - 1)


def in_window(times: ArrayLike, start: float, stop: float) -> NDArray[np.bool_]:
    """Return which times lie in a window, ``start < t <= stop``.

    A spike has the time of the end of its step, so one at exactly `stop` is of the last step in
    the window, and one at exactly `start` of the step before it.

    Parameters
    ----------
    times
        In s, of any shape.
    start, stop
        The window in s.
    """
    times, rounding = np.asarray(times, dtype=float), SAME * max(abs(start), abs(stop))
    return (times > start + rounding) & (times <= stop + rounding)
