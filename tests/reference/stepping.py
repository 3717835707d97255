"""Fixed-step and adaptive integration of a neuron's ODE, spike times and bursts.

A model module supplies ``rhs(t, y, I_s, I_d, par)``. ``y`` is a tuple of floats for one neuron
(plain Python floats are fast), or an array of shape ``(n_states, N)`` for N neurons. The first
state is the somatic potential.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy.integrate import solve_ivp

SMALL = 1e-5  # below this |x / k| the series of a linoid is exact to double precision


class Run(NamedTuple):
    """What an integration returns.

    Attributes
    ----------
    spike_times : ndarray or list of ndarray
        Spike times in ms: one array for one neuron, a list of N arrays for N neurons.
    t : ndarray or None
        Sample times in ms, shape ``(samples,)``.
    y : ndarray or None
        States, shape ``(samples, n_states)`` or ``(samples, n_states, N)``.
    """

    spike_times: object
    t: object = None
    y: object = None


class Bursts(NamedTuple):
    """A spike train grouped into bursts.

    Attributes
    ----------
    onsets : ndarray
        Time of the first spike of each burst, ms.
    spikes : ndarray of int
        Number of spikes of each burst.
    period : float
        Mean interval between burst onsets, ms; NaN with fewer than two bursts.
    spikes_per_burst : float
        Mean of ``spikes`` without the last burst, which the end of the run may have cut; NaN with
        fewer than two bursts.
    min_isi : float
        Smallest interval between spikes, ms; NaN with fewer than two spikes.
    """

    onsets: np.ndarray
    spikes: np.ndarray
    period: float
    spikes_per_burst: float
    min_isi: float


class FloatOps:
    """The few functions a model needs, on Python floats."""

    exp = staticmethod(math.exp)
    minimum = staticmethod(min)

    @staticmethod
    def where(condition, a, b):
        """Return ``a`` where the condition holds, else ``b``."""
        return a if condition else b

    @staticmethod
    def linoid(x, k):
        """Return x / (exp(x / k) - 1), continued through x = 0, where it is k."""
        u = x / k
        if abs(u) < SMALL:
            return k * (1 - u / 2 + u * u / 12)  # Taylor series; the next term is u**4 / 720
        return x / math.expm1(u)


class ArrayOps:
    """The same functions on numpy arrays."""

    exp = staticmethod(np.exp)
    minimum = staticmethod(np.minimum)
    where = staticmethod(np.where)

    @staticmethod
    def linoid(x, k):
        """Return x / (exp(x / k) - 1), continued through x = 0, where it is k."""
        u = x / k
        near = np.abs(u) < SMALL
        if not near.any():
            return x / np.expm1(u)
        return np.where(near, k * (1 - u / 2 + u * u / 12), x / np.expm1(np.where(near, 1.0, u)))


def at(current, t):
    """Return a current at time t; a current is a number, an array or a function of t."""
    return current(t) if callable(current) else current


def dispatch(derivatives, t, y, I_s, I_d, par):
    """Evaluate ``derivatives(state, I_s, I_d, par, ops)`` and return it in the kind of ``y``."""
    I_s, I_d = at(I_s, t), at(I_d, t)
    if isinstance(y, tuple):
        return derivatives(y, I_s, I_d, par, FloatOps)
    if y.ndim == 1:
        return np.array(derivatives(tuple(y.tolist()), I_s, I_d, par, FloatOps))
    out = np.empty_like(y)
    for row, value in zip(out, derivatives(y, I_s, I_d, par, ArrayOps), strict=True):
        row[:] = value
    return out


def axpy(y, h, k):
    """Return y + h * k for tuples or arrays."""
    if isinstance(y, tuple):
        return tuple([a + h * b for a, b in zip(y, k, strict=True)])
    return y + h * k


def euler_step(f, t, y, dt):
    """Return y one forward Euler step later."""
    return axpy(y, dt, f(t, y))


def rk4_step(f, t, y, dt):
    """Return y one classical fourth-order Runge-Kutta step later."""
    k1 = f(t, y)
    k2 = f(t + dt / 2, axpy(y, dt / 2, k1))
    k3 = f(t + dt / 2, axpy(y, dt / 2, k2))
    k4 = f(t + dt, axpy(y, dt, k3))
    y = axpy(y, dt / 6, k1)
    y = axpy(y, dt / 3, k2)
    y = axpy(y, dt / 3, k3)
    return axpy(y, dt / 6, k4)


def own_slopes(f, t, y):
    """Return the derivative of each rate by its own state, by central differences."""
    slopes = []
    for k, scale in enumerate(np.maximum(np.abs(y), 0.1) * 1e-5):
        up, down = np.array(y), np.array(y)
        up[k] += scale
        down[k] -= scale
        slopes.append((f(t, up)[k] - f(t, down)[k]) / (2 * scale))
    return np.array(slopes)


def exponential_ralston_step(f, t, y, dt, affine, growth=0.5):
    """Return y one step of the exponential two-stage method later.

    Parameters
    ----------
    f : callable
        Rates of one neuron, ``f(t, y)``, shape (states,).
    affine : sequence of bool
        Which states occur linearly in their own rate, as gates do: for these rates and slopes of
        both stages are averaged, for the others the slopes of the second hold, and neither is
        above growth/dt.
    """

    def phi(z):
        return math.expm1(z) / z if z else 1.0

    c = 2 / 3
    f_1, a_1 = f(t, y), own_slopes(f, t, y)
    most = np.where(affine, np.inf, growth / dt)
    a_1 = np.minimum(a_1, most)
    stage = np.array(
        [x + c * dt * r * phi(c * dt * a) for x, r, a in zip(y, f_1, a_1, strict=True)]
    )
    f_2 = f(t + c * dt, stage)
    a_2 = np.minimum(own_slopes(f, t + c * dt, stage), most)
    new = []
    for k, linear in enumerate(affine):
        x, h, r_1, r_2, s_1, s_2 = y[k], stage[k], f_1[k], f_2[k], a_1[k], a_2[k]
        if linear:  # dx/dt = a x + b with the mean a and b
            a = (s_1 + 3 * s_2) / 4
            b = ((r_1 - s_1 * x) + 3 * (r_2 - s_2 * h)) / 4
            new.append(x + dt * phi(dt * a) * (a * x + b))
        else:  # dx/dt = s_2 x + what is left of the rate, which changes between the stages
            left_1, left_2 = r_1 - s_2 * x, r_2 - s_2 * h
            held = dt * phi(dt * s_2) * (s_2 * x + left_1)
            new.append(x + held + 0.75 * dt * phi(c * dt * s_2) * (left_2 - left_1))
    return np.array(new)


def march(step, f, y0, duration, dt, threshold, record_every=None):
    """Take fixed steps and note the end of every step that crosses the threshold upwards.

    Parameters
    ----------
    step : callable
        ``step(f, t, y, dt)`` gives the next state.
    f : callable
        ``f(t, y)``, the right-hand side.
    y0 : array_like
        Initial state, ``(n_states,)`` or ``(n_states, N)``.
    duration, dt : float
        ms.
    threshold : float
        mV; a spike is ``v_s > threshold`` now and not at the previous step.
    record_every : int, optional
        Keep the state every so many steps (and at t = 0). Nothing is kept by default.

    Returns
    -------
    Run
    """
    y0 = np.asarray(y0, dtype=float)
    single = y0.ndim == 1
    y = tuple(y0.tolist()) if single else y0.copy()
    spikes = [] if single else [[] for _ in range(y0.shape[1])]
    above = y[0] > threshold
    times, states = [0.0], [y]
    for k in range(round(duration / dt)):
        y = step(f, k * dt, y, dt)
        was_above, above = above, y[0] > threshold
        if single:
            if above and not was_above:
                spikes.append((k + 1) * dt)
        elif (above > was_above).any():
            for i in np.flatnonzero(above > was_above):
                spikes[i].append((k + 1) * dt)
        if record_every and (k + 1) % record_every == 0:
            times.append((k + 1) * dt)
            states.append(y)
    spikes = np.array(spikes) if single else [np.array(s) for s in spikes]
    if not record_every:
        return Run(spikes)
    return Run(spikes, np.array(times), np.array(states))


def lsoda(f, y0, duration, threshold, rtol=1e-8, atol=1e-8, t_eval=None):
    """Integrate one neuron with LSODA; the spike times are roots of ``v_s - threshold``.

    Parameters
    ----------
    f : callable
        ``f(t, y)``, the right-hand side.
    y0 : array_like
        Initial state, ``(n_states,)``.
    duration, threshold : float
        ms and mV.
    rtol, atol : float
        Tolerances of the solver.
    t_eval : array_like, optional
        Times at which to return the states, ms.

    Returns
    -------
    Run
    """

    def crossing(t, y):
        return y[0] - threshold

    crossing.direction = 1
    # A maximal step far above any spike's width: LSODA itself shortens its steps within spikes.
    solution = solve_ivp(
        f,
        (0.0, duration),
        np.asarray(y0, dtype=float),
        method="LSODA",
        rtol=rtol,
        atol=atol,
        events=crossing,
        t_eval=t_eval,
        max_step=5.0,
    )
    if not solution.success:
        raise RuntimeError(solution.message)
    keep = t_eval is not None
    return Run(solution.t_events[0], solution.t if keep else None, solution.y.T if keep else None)


def summarise(spike_times, gap=10.0, after=0.0):
    """Group spikes into bursts.

    Parameters
    ----------
    spike_times : array_like
        ms, ascending.
    gap : float
        Two spikes belong to one burst when the interval between them is below ``gap`` ms.
    after : float
        Bursts that begin before this time (ms) are left out as transient.

    Returns
    -------
    Bursts
    """
    times = np.asarray(spike_times, dtype=float)
    first = np.ones(len(times), dtype=bool)
    first[1:] = np.diff(times) >= gap
    start = np.flatnonzero(first)
    counts = np.diff(np.append(start, len(times)))
    keep = times[start] >= after
    onsets, counts = times[start][keep], counts[keep]
    isi = np.diff(times[np.searchsorted(times, onsets[0]) :]) if len(onsets) else np.array([])
    several = len(onsets) > 1
    return Bursts(
        onsets=onsets,
        spikes=counts,
        period=float(np.diff(onsets).mean()) if several else math.nan,
        spikes_per_burst=float(counts[:-1].mean()) if several else math.nan,
        min_isi=float(isi.min()) if len(isi) else math.nan,
    )
