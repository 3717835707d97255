"""Oracle of a Kepecs-Wang neuron whose spikes are a jump: one neuron, Runge-Kutta, a plain loop."""

import numpy as np

from . import kepecs_wang, stepping


def run(y0, I_d, *, duration, dt, before, after, slopes, lowest, highest,
        par=kepecs_wang.PARAMETERS):  # fmt: skip
    """Return the spike times in ms.

    Parameters
    ----------
    y0
        v_s, v_d, h, n, q in mV and 1.
    I_d
        Current density into the dendrite in uA/cm2: constant.
    duration, dt
        ms.
    before
        Means of v_d, h, n, q at the threshold, shape (4,).
    after
        Means of duration (ms), v_s, v_d, h, n, q after a spike, shape (6,).
    slopes
        Shape (6, 4).
    lowest, highest
        Bounds of duration (ms) and v_s, shape (2,).
    """

    def f(t, y):
        return kepecs_wang.rhs(t, y, 0.0, I_d, par)

    y, spikes = tuple(map(float, y0)), []
    since, hold = np.inf, 0.0
    for step in range(round(duration / dt)):
        if since > hold - 0.5 * dt:
            y = tuple(stepping.rk4_step(f, step * dt, y, dt))
        since += dt
        if y[0] > kepecs_wang.THRESHOLD:
            spikes.append((step + 1) * dt)
            hold, *y = after + slopes @ (np.array(y[1:]) - before)
            hold, y[0] = np.clip([hold, y[0]], lowest, highest)
            y, since = tuple(map(float, y)), 0.0
    return np.array(spikes)
