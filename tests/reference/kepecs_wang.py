"""Oracle of the Kepecs-Wang (2000) pyramidal neuron, 5 states; m is instantaneous.

Kepecs A, Wang X-J (2000) Neurocomputing 32-33:181-187, in the form that four public ports agree on
(REFERENCE.md 1b). I_s and I_d are not divided by the area fractions, unlike in Pinsky-Rinzel.
The two slips of the equations printed in the LSTM-LIF paper (Supplement A) are variants here.
"""

from functools import partial

import numpy as np

from . import stepping

STATES = ("v_s", "v_d", "h", "n", "q")

#: Recommended reference set of REFERENCE.md 1b. mS/cm2, mV, uF/cm2; phi has no unit.
PARAMETERS = {
    "C_m": 1.0,
    "p": 0.15,
    "g_c": 1.0,
    "phi": 3.33,
    "g_L": 0.18,
    "g_Na": 55.0,
    "g_K": 20.0,
    "g_NaP": 0.12,
    "g_KS": 0.8,
    "E_L": -65.0,
    "E_Na": 55.0,
    "E_K": -90.0,
    "nap": "l3",  # or "l3h": times the somatic inactivation, as printed in the paper's Table 3
    "link": "minus",  # or "plus": sign of I_link / (1 - p) in the dendrite, as printed in eq. 19
}

INITIAL = (-65.0, -65.0, 0.9, 0.1, 0.0)

THRESHOLD = -20.0  # mV

summarise = stepping.summarise


def parameters(**changes):
    """Return a copy of PARAMETERS with changes; a value may be an array, one entry a neuron."""
    unknown = set(changes) - set(PARAMETERS)
    if unknown:
        raise KeyError(f"no such parameter: {sorted(unknown)}")
    return PARAMETERS | changes


def _soma_rates(v, ops):
    """Return m_inf and the unscaled (alpha, beta) of h and n, 1/ms."""
    exp, linoid = ops.exp, ops.linoid
    # 0.1 (V + 31) / (1 - exp(-0.1 (V + 31))) = 0.1 * linoid(-(V + 31), 10); n likewise
    alpha_m = 0.1 * linoid(-(v + 31.0), 10.0)
    beta_m = 4.0 * exp(-(v + 56.0) / 18.0)
    h = 0.07 * exp(-(v + 47.0) / 20.0), 1.0 / (1.0 + exp(-0.1 * (v + 17.0)))
    n = 0.01 * linoid(-(v + 34.0), 10.0), 0.125 * exp(-(v + 44.0) / 80.0)
    return alpha_m / (alpha_m + beta_m), h, n


def _derivatives(state, I_s, I_d, par, ops):
    """Return the five time derivatives."""
    v_s, v_d, h, n, q = state
    exp, p, C_m = ops.exp, par["p"], par["C_m"]
    m, (alpha_h, beta_h), (alpha_n, beta_n) = _soma_rates(v_s, ops)
    r_inf = 1.0 / (1.0 + exp(-(v_d + 57.7) / 7.7))  # persistent-Na activation; the paper's l
    q_inf = 1.0 / (1.0 + exp(-(v_d + 35.0) / 6.5))
    tau_q = 200.0 / (exp(-(v_d + 55.0) / 30.0) + exp((v_d + 55.0) / 30.0))
    inactivation = {"l3": 1.0, "l3h": h}[par["nap"]]
    sign = {"minus": -1.0, "plus": 1.0}[par["link"]]
    soma = (
        par["g_L"] * (v_s - par["E_L"])
        + par["g_Na"] * m * m * m * h * (v_s - par["E_Na"])
        + par["g_K"] * (n * n) * (n * n) * (v_s - par["E_K"])
    )
    dendrite = (
        par["g_L"] * (v_d - par["E_L"])
        + par["g_NaP"] * r_inf * r_inf * r_inf * inactivation * (v_d - par["E_Na"])
        + par["g_KS"] * q * (v_d - par["E_K"])
    )
    link = par["g_c"] * (v_d - v_s)
    return (
        (-soma + link / p + I_s) / C_m,  # eq. 16 of the LSTM-LIF paper
        (-dendrite + sign * link / (1.0 - p) + I_d) / C_m,  # eq. 17; "plus": eq. 19
        par["phi"] * (alpha_h * (1.0 - h) - beta_h * h),
        par["phi"] * (alpha_n * (1.0 - n) - beta_n * n),
        (q_inf - q) / tau_q,
    )


def rhs(t, y, I_s, I_d, par=PARAMETERS):
    """Return dy/dt.

    Parameters
    ----------
    t : float
        Time, ms; matters only if a current is a function of it.
    y : tuple or ndarray
        States in the order of STATES, shape (5,) or (5, N).
    I_s, I_d : float, ndarray or callable
        Injected current density, uA/cm2.
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
    dt=0.02,
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
    """Return one initial state repeated for n neurons, shape (5, n)."""
    return np.repeat(np.asarray(y0, dtype=float)[:, None], n, axis=1)
