"""Oracle of the adaptive two-compartment neuron: one neuron, a plain loop."""

import math

import numpy as np


def run(into_dendrite, into_soma, par):
    """Return spikes (bool) and potentials U_D, U_S, shape (T,) each.

    Parameters
    ----------
    into_dendrite, into_soma
        Inputs, shape (T,).
    par
        All parameters of the model file by name.
    """
    p = par
    dendrite = soma = slow = raised = fired = 0.0
    spikes, dendrites, somata = [], [], []
    for x, y in zip(into_dendrite, into_soma, strict=True):
        slow = p["alpha_w"] * slow + p["a"] * dendrite + p["b"] * (1 - p["c"] * slow) * fired
        raised = p["alpha_theta"] * raised + p["b_theta"] * fired
        inward = p["r"] / (1 + math.exp(-(dendrite - p["U_r"]) / p["k_r"]))
        reset = (p["kick"] - p["pull"] * dendrite) * fired
        dendrite = (
            p["alpha_1"] * dendrite + p["beta_1"] * soma + x
            + inward - slow * (1 + p["drive"] * dendrite) + reset
        )  # fmt: skip
        soma = p["alpha_2"] * soma + p["beta_2"] * dendrite + y - p["rho"] * p["V_th"] * fired
        fired = float(soma > p["V_th"] + raised)
        spikes.append(bool(fired))
        dendrites.append(dendrite)
        somata.append(soma)
    return np.array(spikes), np.array(dendrites), np.array(somata)
