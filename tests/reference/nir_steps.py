"""Oracle: NIR's CubaLIF and LIF by Euler's steps, neuron after neuron, in plain Python.

`euler_after_jump` is the step that Norse's and snnTorch's readers of NIR give.  It was found by
running both on `small_graph` (tests/reference/golden/nir_frameworks.json holds their spikes), and
agrees with what snnTorch documents of its Synaptic neuron: the current of the step is
``I[t+1] = alpha I[t] + input[t+1]``, and the potential takes ``I[t+1]``.
"""

from __future__ import annotations

import numpy as np


def euler_after_jump(node: dict, drive: np.ndarray, dt: float, subtract: bool = False):
    """Return the spikes of CubaLIF neurons whose potential sees the current after its jump.

    Parameters
    ----------
    node
        Fields of the NIR node, each of shape (n,).
    drive
        Weighted input, shape (T, n).
    dt
        The step.
    subtract
        Whether the threshold is taken off, instead of going to v_reset.
    """
    spikes = np.zeros(drive.shape, dtype=bool)
    for j in range(drive.shape[1]):
        p = {key: float(values[j]) for key, values in node.items()}
        i = v = 0.0
        for t in range(len(drive)):
            i = i + dt / p["tau_syn"] * (p["w_in"] * drive[t, j] - i)
            v = v + dt / p["tau_mem"] * (p["v_leak"] - v + p["r"] * i)
            if v > p["v_threshold"]:
                spikes[t, j] = True
                v = v - p["v_threshold"] if subtract else p["v_reset"]
    return spikes


def small_graph():
    """Return a CubaLIF's fields, the weights that lead to it, an input (T, n_in) and a step.

    One value for all neurons, as snnTorch wants it; its own step is 1e-4.
    """
    rng = np.random.default_rng(11)
    weights = rng.uniform(-0.6, 1.2, (5, 4)) * 4
    x = rng.random((60, 4))
    one = {"tau_syn": 4e-4, "tau_mem": 1e-3, "r": 10.0, "v_leak": 0.0, "v_threshold": 0.4,
           "v_reset": 0.0, "w_in": 4.0}  # fmt: skip
    return {key: np.full(5, value) for key, value in one.items()}, weights, x, 1e-4
