"""Oracle of the Pinsky-Rinzel (1994) CA3 neuron, 8 states, with the 1995 erratum.

Pinsky PF, Rinzel J (1994) J Comput Neurosci 1:39-60, Appendix; erratum 2:275 (1995).
Potentials are absolute: the paper's (relative to rest) minus 60 mV.
"""

from functools import partial

import numpy as np

from . import stepping

STATES = ("v_s", "v_d", "h", "n", "s", "c", "q", "Ca")

#: Standard parameters, p. 59 of the paper. Conductances mS/cm2, potentials mV, C_m uF/cm2.
PARAMETERS = {
    "C_m": 3.0,
    "p": 0.5,
    "g_c": 2.1,
    "g_L": 0.1,
    "g_Na": 30.0,
    "g_KDR": 15.0,
    "g_Ca": 10.0,
    "g_KAHP": 0.8,
    "g_KC": 15.0,
    "E_L": -60.0,
    "E_Na": 60.0,
    "E_K": -75.0,
    "E_Ca": 80.0,
    "alpha_c": "erratum",  # or "printed": the formula of the 1994 Appendix
}

#: Initial state of the paper: (-4.6, -4.5) mV from rest.
INITIAL = (-64.6, -64.5, 0.999, 0.001, 0.009, 0.007, 0.010, 0.2)

#: Initial state of the OpenSourceBrain regression test: at -60 mV, gates and calcium 0.
ZERO_GATES = (-60.0, -60.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)

THRESHOLD = -25.0  # mV, of the OpenSourceBrain regression test

summarise = stepping.summarise


def parameters(**changes):
    """Return a copy of PARAMETERS with changes; a value may be an array, one entry a neuron."""
    unknown = set(changes) - set(PARAMETERS)
    if unknown:
        raise KeyError(f"no such parameter: {sorted(unknown)}")
    return PARAMETERS | changes


def _gates(v_s, v_d, ops, variant):
    """Return m_inf and {gate: (alpha, beta)} in 1/ms for h, n, s and c (Appendix, p. 59)."""
    exp, linoid = ops.exp, ops.linoid
    # alpha_m = 0.32 (13.1 - v) / (exp((13.1 - v) / 4) - 1), v from rest; others likewise
    alpha_m = 0.32 * linoid(-46.9 - v_s, 4.0)
    beta_m = 0.28 * linoid(v_s + 19.9, 5.0)
    return alpha_m / (alpha_m + beta_m), {
        "h": (0.128 * exp((-43.0 - v_s) / 18.0), 4.0 / (1.0 + exp((-20.0 - v_s) / 5.0))),
        "n": (0.016 * linoid(-24.9 - v_s, 5.0), 0.25 * exp(-1.0 - 0.025 * v_s)),
        "s": (1.6 / (1.0 + exp(-0.072 * (v_d - 5.0))), 0.02 * linoid(v_d + 8.9, 5.0)),
        "c": _c_rates(v_d, ops, variant),
    }


def _c_rates(v_d, ops, variant):
    """Return alpha_c and beta_c, 1/ms."""
    exp = ops.exp
    total = 2.0 * exp((-53.5 - v_d) / 27.0)
    if variant == "erratum":  # one exponential of the difference (erratum 1995)
        low = exp((v_d + 50.0) / 11.0 - (v_d + 53.5) / 27.0) / 18.975
    elif variant == "printed":  # a difference of two exponentials (1994 Appendix)
        low = (exp((v_d + 50.0) / 11.0) - exp((v_d + 53.5) / 27.0)) / 18.975
    else:
        raise ValueError(f"alpha_c is 'erratum' or 'printed', not {variant!r}")
    alpha = ops.where(v_d <= -10.0, low, total)
    return alpha, total - alpha  # above -10 mV beta_c = 0


def _derivatives(state, I_s, I_d, par, ops):
    """Return the eight time derivatives."""
    v_s, v_d, h, n, s, c, q, Ca = state
    p, C_m = par["p"], par["C_m"]
    m, rates = _gates(v_s, v_d, ops, par["alpha_c"])
    chi = ops.minimum(Ca / 250.0, 1.0)
    I_Ca = par["g_Ca"] * s * s * (v_d - par["E_Ca"])
    soma = (
        par["g_L"] * (v_s - par["E_L"])
        + par["g_Na"] * m * m * h * (v_s - par["E_Na"])
        + par["g_KDR"] * n * (v_s - par["E_K"])
    )
    dendrite = (
        par["g_L"] * (v_d - par["E_L"])
        + I_Ca
        + par["g_KAHP"] * q * (v_d - par["E_K"])
        + par["g_KC"] * c * chi * (v_d - par["E_K"])
    )
    link = par["g_c"] * (v_d - v_s)
    alpha_q, beta_q = ops.minimum(2e-5 * Ca, 0.01), 0.001
    gates = [
        alpha * (1.0 - y) - beta * y
        for y, (alpha, beta) in zip((h, n, s, c), rates.values(), strict=True)
    ]
    return (
        (-soma + link / p + I_s / p) / C_m,
        (-dendrite - link / (1.0 - p) + I_d / (1.0 - p)) / C_m,
        *gates,
        alpha_q * (1.0 - q) - beta_q * q,
        -0.13 * I_Ca - 0.075 * Ca,
    )


def rhs(t, y, I_s, I_d, par=PARAMETERS):
    """Return dy/dt.

    Parameters
    ----------
    t : float
        Time, ms; matters only if a current is a function of it.
    y : tuple or ndarray
        States in the order of STATES, shape (8,) or (8, N).
    I_s, I_d : float, ndarray or callable
        Injected current density, uA/cm2, before the division by p or 1 - p.
    par : dict
        See ``parameters``.
    """
    return stepping.dispatch(_derivatives, t, y, I_s, I_d, par)


def _fixed(step, y0, I_s, I_d, duration, dt, par, threshold, record_every):
    """Integrate with a fixed step."""
    f = partial(rhs, I_s=I_s, I_d=I_d, par=par)
    return stepping.march(step, f, y0, duration, dt, threshold, record_every)


def euler(
    y0,
    I_s=0.0,
    I_d=0.0,
    *,
    duration,
    dt=0.005,
    par=PARAMETERS,
    threshold=THRESHOLD,
    record_every=None,
):
    """Integrate with forward Euler; see ``stepping.march``."""
    return _fixed(stepping.euler_step, y0, I_s, I_d, duration, dt, par, threshold, record_every)


def rk4(
    y0,
    I_s=0.0,
    I_d=0.0,
    *,
    duration,
    dt=0.025,
    par=PARAMETERS,
    threshold=THRESHOLD,
    record_every=None,
):
    """Integrate with the classical Runge-Kutta method; see ``stepping.march``."""
    return _fixed(stepping.rk4_step, y0, I_s, I_d, duration, dt, par, threshold, record_every)


def lsoda(
    y0,
    I_s=0.0,
    I_d=0.0,
    *,
    duration,
    par=PARAMETERS,
    threshold=THRESHOLD,
    rtol=1e-8,
    atol=1e-8,
    t_eval=None,
):
    """Integrate one neuron with LSODA; see ``stepping.lsoda``."""
    f = partial(rhs, I_s=I_s, I_d=I_d, par=par)
    return stepping.lsoda(f, y0, duration, threshold, rtol, atol, t_eval)


def broadcast(y0, n):
    """Return one initial state repeated for n neurons, shape (8, n)."""
    return np.repeat(np.asarray(y0, dtype=float)[:, None], n, axis=1)
