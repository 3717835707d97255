"""Kepecs-Wang in BrainPy: ``exp_auto`` on a JointEq, a jitted for_loop over time.

python brainpy_kw.py OUT.npz NEURONS DURATION_MS DT_MS ROUNDS float64|float32

``exp_auto`` is exponential Euler with each equation's whole derivative, which automatic
differentiation finds: the slopes of m and l are in it, where jax_kw.py has conductances alone.
"""

import os
import sys
import time

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false "
                      "--xla_cpu_enable_fast_math=true")  # fmt: skip
import brainpy as bp
import brainpy.math as bm
import numpy as np

out, n, duration, dt, rounds, dtype = sys.argv[1:]
n, duration, dt, rounds = int(n), float(duration), float(dt), int(rounds)
bm.set_platform("cpu")
if dtype == "float64":
    bm.enable_x64()
bm.set_float(getattr(bm, dtype))
bm.set_dt(dt)
P, G_C = 0.15, 1.0  # mS/cm2
START = {"v_s": -65.0, "v_d": -65.0, "h": 0.9, "n": 0.1, "q": 0.0}
exp = bm.exp


def linoid(x):
    """Return x/(exp(x) - 1), and a derivative at 0 that is no 0/0."""
    near = bm.abs(x) < (1e-6 if dtype == "float64" else 1e-3)
    away = bm.where(near, 1, x)
    return bm.where(near, 1 - x / 2, away / (exp(away) - 1))


class KepecsWang(bp.dyn.NeuDyn):
    def __init__(self, size, drive):
        super().__init__(size=size)
        self.drive = bm.asarray(drive)
        for name in START:
            setattr(self, name, bm.Variable(bm.zeros(size)))
        equations = [self.dv_s, self.dv_d, self.dh, self.dn, self.dq]
        self.integral = bp.odeint(bp.JointEq(equations), method="exp_auto")

    def start(self):
        for name, value in START.items():
            getattr(self, name).value = bm.ones(self.num) * value

    def dv_s(self, v_s, t, v_d, h, n):
        alpha, beta = linoid(-0.1 * (v_s + 31)), 4 * exp(-(v_s + 56) / 18)
        m = alpha / (alpha + beta)
        na, k = 55 * m * m * m * h * (55 - v_s), 20 * (n * n) * (n * n) * (-90 - v_s)
        return 0.18 * (-65 - v_s) + na + k + G_C / P * (v_d - v_s)

    def dv_d(self, v_d, t, v_s, q):
        gate = 1 / (1 + exp(-(v_d + 57.7) / 7.7))
        nap, ks = 0.12 * gate * gate * gate * (55 - v_d), 0.8 * q * (-90 - v_d)
        return 0.18 * (-65 - v_d) + nap + ks + G_C / (1 - P) * (v_s - v_d) + self.drive

    def dh(self, h, t, v_s):
        alpha, beta = 0.07 * exp(-(v_s + 47) / 20), 1 / (1 + exp(-0.1 * (v_s + 17)))
        return 3.33 * (alpha * (1 - h) - beta * h)

    def dn(self, n, t, v_s):
        alpha, beta = 0.1 * linoid(-0.1 * (v_s + 34)), 0.125 * exp(-(v_s + 44) / 80)
        return 3.33 * (alpha * (1 - n) - beta * n)

    def dq(self, q, t, v_d):
        e = exp((v_d + 55) / 30)
        return (1 / (1 + exp(-(v_d + 35) / 6.5)) - q) * (e + 1 / e) / 200

    def update(self):
        now = self.v_s.value, self.v_d.value, self.h.value, self.n.value, self.q.value
        new = self.integral(*now, bp.share["t"], dt=bp.share["dt"])
        fired = (new[0] > -20) & (now[0] <= -20)
        self.v_s.value, self.v_d.value, self.h.value, self.n.value, self.q.value = new
        return fired


neurons = KepecsWang(n, np.linspace(0, 2, n))
steps = np.arange(round(duration / dt))
run = bm.jit(lambda: bm.for_loop(neurons.step_run, steps))
seconds = []
for k in range(rounds + 1):
    neurons.start()
    began = time.process_time()
    fired = run().block_until_ready()
    if k:  # the first compiles
        seconds.append(time.process_time() - began)
at, i = np.nonzero(np.asarray(fired))
np.savez(out, seconds=seconds, version=f"BrainPy {bp.__version__}", i=i, t=(at + 1) * dt)
