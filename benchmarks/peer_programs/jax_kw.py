"""Kepecs-Wang by exponential Euler in jax: jit of a scan over time, written by hand.

python jax_kw.py OUT.npz NEURONS DURATION_MS DT_MS ROUNDS float64|float32
"""

import os
import sys
import time

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false "
                      "--xla_cpu_enable_fast_math=true")  # fmt: skip
import jax
import jax.numpy as jnp
import numpy as np

out, n, duration, dt, rounds, dtype = sys.argv[1:]
n, duration, dt, rounds = int(n), float(duration), float(dt), int(rounds)
jax.config.update("jax_enable_x64", dtype == "float64")
exp = jnp.exp


def linoid(x):
    return jnp.where(jnp.abs(x) < (1e-6 if dtype == "float64" else 1e-3), 1 - x / 2,
                     x / (exp(x) - 1))  # fmt: skip


def relaxed(x, goal, rate):
    return goal + (x - goal) * exp(-rate * dt)


def step(state, _):
    s, d, h, n_, q = state
    am, bm = linoid(-0.1 * (s + 31)), 4 * exp(-(s + 56) / 18)
    ah, bh = 0.07 * exp(-(s + 47) / 20), 1 / (1 + exp(-0.1 * (s + 17)))
    an, bn = 0.1 * linoid(-0.1 * (s + 34)), 0.125 * exp(-(s + 44) / 80)
    m = am / (am + bm)
    l_inf, q_inf = 1 / (1 + exp(-(d + 57.7) / 7.7)), 1 / (1 + exp(-(d + 35) / 6.5))
    e = exp((d + 55) / 30)
    na, k, nap, ks = 55 * m * m * m * h, 20 * (n_ * n_) * (n_ * n_), 0.12 * l_inf**3, 0.8 * q
    to_s, to_d = 1 / 0.15, 1 / 0.85
    g_s, g_d = 0.18 + na + k + to_s, 0.18 + nap + ks + to_d
    s1 = relaxed(s, (-0.18 * 65 + na * 55 - k * 90 + to_s * d) / g_s, g_s)
    d1 = relaxed(d, (-0.18 * 65 + nap * 55 - ks * 90 + to_d * s + drive) / g_d, g_d)
    h = relaxed(h, ah / (ah + bh), 3.33 * (ah + bh))
    n_ = relaxed(n_, an / (an + bn), 3.33 * (an + bn))
    new = s1, d1, h, n_, relaxed(q, q_inf, (e + 1 / e) / 200)
    return new, (s1 > -20) & (s <= -20)


drive = jnp.linspace(0, 2, n, dtype=dtype)
start = tuple(jnp.full(n, x, dtype=dtype) for x in (-65, -65, 0.9, 0.1, 0))
run = jax.jit(lambda state: jax.lax.scan(step, state, None, length=round(duration / dt)))
run(start)[1].block_until_ready()
seconds = []
for _ in range(rounds):
    began = time.process_time()
    fired = run(start)[1].block_until_ready()
    seconds.append(time.process_time() - began)
at, i = np.nonzero(np.asarray(fired))
np.savez(out, seconds=seconds, version=f"jax {jax.__version__}", i=i, t=(at + 1) * dt)
