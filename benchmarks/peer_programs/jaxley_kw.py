"""Kepecs-Wang in Jaxley: two compartments a cell, own channels, jax's jit and vmap over cells.

python jaxley_kw.py OUT.npz NEURONS DURATION_MS DT_MS ROUNDS float64|float32

Jaxley's gates take the exact step of their linear equation, then the voltage an implicit one.  It
finds a current's slope by a finite difference; m and l, which follow the voltage at once, are
therefore states that `update_states` sets: so the slope is the conductance, as in NEURON.
"""

import os
import sys
import time

# No fast-math: it gains nothing here, and in float32 it spoils the difference of two currents
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
import jax
import jax.numpy as jnp
import numpy as np

out, n, duration, dt, rounds, dtype = sys.argv[1:]
n, duration, dt, rounds = int(n), float(duration), float(dt), int(rounds)
jax.config.update("jax_enable_x64", dtype == "float64")
jax.config.update("jax_platforms", "cpu")
import jaxley as jx  # noqa: E402 - the precision is set first
from jaxley.channels import Channel  # noqa: E402
from jaxley.integrate import build_init_and_step_fn  # noqa: E402
from jaxley.solver_gate import solve_gate_exponential  # noqa: E402

P, G_C = 0.15, 1e-3  # S/cm2 of the whole cell
AREA = 1e-5  # cm2 of the whole cell
exp = jnp.exp


def linoid(x):
    return jnp.where(jnp.abs(x) < (1e-6 if dtype == "float64" else 1e-3), 1 - x / 2,
                     x / (exp(x) - 1))  # fmt: skip


def m_inf(v):
    alpha, beta = linoid(-0.1 * (v + 31)), 4 * exp(-(v + 56) / 18)
    return alpha / (alpha + beta)


def l_inf(v):
    return 1 / (1 + exp(-(v + 57.7) / 7.7))


class Soma(Channel):
    """Leak, fast sodium and delayed rectifier."""

    def __init__(self, name=None):
        self.current_is_in_mA_per_cm2 = True
        super().__init__(name)
        self.channel_params = {}
        self.channel_states = {"m": m_inf(-65.0), "h": 0.9, "n": 0.1}
        self.current_name = "i_soma"

    def update_states(self, states, dt, v, params):
        phi = 3.33
        h = phi * 0.07 * exp(-(v + 47) / 20), phi / (1 + exp(-0.1 * (v + 17)))
        n = phi * 0.1 * linoid(-0.1 * (v + 34)), phi * 0.125 * exp(-(v + 44) / 80)
        return {
            "m": m_inf(v),
            "h": solve_gate_exponential(states["h"], dt, *h),
            "n": solve_gate_exponential(states["n"], dt, *n),
        }

    def compute_current(self, states, v, params):
        m, h, n = states["m"], states["h"], states["n"]
        na, k = 55e-3 * m * m * m * h, 20e-3 * (n * n) * (n * n)
        return na * (v - 55) + k * (v + 90) + 0.18e-3 * (v + 65)


class Dendrite(Channel):
    """Leak, persistent sodium, slow potassium and the drive."""

    def __init__(self, name=None):
        self.current_is_in_mA_per_cm2 = True
        super().__init__(name)
        self.channel_params = {"drive": 0.0}
        self.channel_states = {"l": l_inf(-65.0), "q": 0.0}
        self.current_name = "i_dendrite"

    def update_states(self, states, dt, v, params):
        q_inf = 1 / (1 + exp(-(v + 35) / 6.5))
        e = exp((v + 55) / 30)
        rate = (e + 1 / e) / 200
        return {
            "l": l_inf(v),
            "q": solve_gate_exponential(states["q"], dt, q_inf * rate, (1 - q_inf) * rate),
        }

    def compute_current(self, states, v, params):
        gate, q = states["l"], states["q"]
        p, k = 0.12e-3 * gate * gate * gate, 0.8e-3 * q
        return p * (v - 55) + k * (v + 90) + 0.18e-3 * (v + 65) - 1e-3 * params["drive"]


cell = jx.Cell(jx.Branch(jx.Compartment(), ncomp=2), parents=[-1])
sizes = [np.sqrt(AREA * share / np.pi) * 1e4 for share in (P, 1 - P)]  # um, length and diameter
# half of each compartment's resistance in series: the resistivity that gives G_C*AREA
halves = sum(2 * s * 1e-4 / (np.pi * (s * 1e-4) ** 2) for s in sizes)
for k, (size, channel) in enumerate(zip(sizes, (Soma(), Dendrite()), strict=True)):
    part = cell.branch(0).comp(k)
    part.set("radius", size / 2)
    part.set("length", size)
    part.set("axial_resistivity", 1 / (G_C * AREA) / halves)
    part.insert(channel)
cell.set("v", -65.0)
cell.to_jax()
begin, step = build_init_and_step_fn(cell)


def start(drive):
    """Return the states and parameters of one cell."""
    amplitude = cell.branch(0).comp(1).data_set("drive", drive, None)
    return begin([], param_state=amplitude, delta_t=dt)


@jax.jit
def run(drive):
    """Return whether each cell crossed the threshold, step by step: no voltage is kept."""
    states, params = jax.vmap(start)(drive)

    def advance(states, _):
        before = states["v"][:, 0]
        states = jax.vmap(lambda s, p: step(s, p, {}, {}, delta_t=dt))(states, params)
        return states, (states["v"][:, 0] > -20) & (before <= -20)

    return jax.lax.scan(advance, states, None, length=round(duration / dt))[1]


drive = jnp.linspace(0, 2, n)
run(drive).block_until_ready()
seconds = []
for _ in range(rounds):
    began = time.process_time()
    fired = run(drive).block_until_ready()
    seconds.append(time.process_time() - began)
at, i = np.nonzero(np.asarray(fired))
np.savez(out, seconds=seconds, version=f"Jaxley {jx.__version__}", i=i, t=(at + 1) * dt)
