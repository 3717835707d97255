"""Random layers of the trained neurons, as plain numbers, and the oracle's run of them.

Every parameter differs from neuron to neuron, and weights are such that the output neurons fire in
5 to 40 % of the steps.  Parameters have the names of the papers.
"""

from typing import NamedTuple

import numpy as np

from . import discrete

RULES = ("lif", "alif", "two_compartment", "lstm_lif", "lstm_lif_code", "lrmm", "lrmm_alif")

#: Synapse within an LRMM unit by the paper's name, and by the name in `discrete`.
SYNAPSES = {
    "w_I": "I_NI", "w_F": "F_NM", "w_O": "O_NO", "w_CM": "NC_NM", "w_IC": "NI_NC",
    "w_MC": "NM_NC", "w_CO": "NC_NO",
}  # fmt: skip

_CODE = {"c_1": (-1.5, 1.5), "c_2": (-1.5, 1.5), "gamma": (0.4, 1.2), "V_th": (0.7, 1.3)}
_LRMM = {
    "w_I": (0.4, 0.9), "w_F": (0.2, 0.6), "w_O": (0.1, 0.5), "w_CM": (0.3, 0.9),
    "w_IC": (0.5, 1.1), "w_MC": (0.4, 1.0), "w_CO": (0.4, 1.0),
    "alpha_I": (0.5, 0.95), "alpha_M": (0.5, 0.95), "alpha_C": (0.5, 0.95),
    "alpha_O": (0.5, 0.95), "V_th": (0.8, 1.3), "a": (0.5, 2.0), "m": (0.2, 1.0),
}  # fmt: skip
_ALIF = {"b_0": (0.01, 0.1), "kappa": (1.5, 2.0)}

#: Ends of the uniform distribution of each parameter.
RANGES = {
    "lif": {"beta": (0.5, 0.95), "V_th": (0.7, 1.3)},
    "alif": {"tau_m": (3.0, 20.0), "tau_adp": (20.0, 150.0), **_ALIF},
    "two_compartment": {
        "alpha_1": (0.5, 0.95), "alpha_2": (0.5, 0.9), "beta_1": (-0.4, -0.1),
        "beta_2": (0.3, 0.8), "gamma": (0.0, 0.6), "V_th": (0.7, 1.3),
    },
    "lstm_lif": _CODE | {"gamma": (0.2, 0.8)},
    "lstm_lif_code": _CODE,
    "lrmm": _LRMM,
    "lrmm_alif": _LRMM | _ALIF | {"rho_I": (0.95, 0.99), "rho_O": (0.95, 0.99)},
}  # fmt: skip

#: Scale of the input weights of a first layer and of a later one, which sees spikes.
GAINS = {
    "lif": (1.2, 2.5), "alif": (2.5, 4.0), "two_compartment": (1.0, 2.0), "lstm_lif": (0.6, 1.2),
    "lstm_lif_code": (0.6, 1.2), "lrmm": (2.0, 4.0), "lrmm_alif": (2.0, 4.0),
}  # fmt: skip


class Drawn(NamedTuple):
    """One layer: its model, its parameters, and weights by port."""

    rule: str
    parameters: dict
    w_in: dict
    w_rec: dict
    bias: dict


def draw(rules, n_in, n, seed=0):
    """Return a network of random layers, the first of which sees a signal of variance 1."""
    rng = np.random.default_rng(seed)
    layers = []
    for k, rule in enumerate(rules):
        ports = discrete.PORTS if rule.startswith("lrmm") else ("I",)
        sources = n if k else n_in
        gain = GAINS[rule][bool(k)] / np.sqrt(sources)
        layers.append(
            Drawn(
                rule,
                {name: rng.uniform(*ends, n) for name, ends in RANGES[rule].items()},
                {port: rng.normal(0, gain, (n, sources)) for port in ports},
                {port: rng.normal(0, 0.5 / np.sqrt(n), (n, n)) for port in ports},
                {port: rng.uniform(-0.2, 0.3, n) for port in ports},
            )
        )
    return layers


def keywords(layer):
    """Return the oracle's keyword arguments for a layer."""
    p = dict(layer.parameters)
    weights = {"w_in": layer.w_in, "w_rec": layer.w_rec, "bias": layer.bias}
    if not layer.rule.startswith("lrmm"):
        weights = {name: table.get("I") for name, table in weights.items()}
    if "V_th" in p:
        p["v_th"] = p.pop("V_th")
    if layer.rule == "alif":
        p["alpha"], p["rho"] = np.exp(-1 / p.pop("tau_m")), np.exp(-1 / p.pop("tau_adp"))
    if layer.rule.startswith("lrmm"):
        p["synapses"] = {theirs: p.pop(ours) for ours, theirs in SYNAPSES.items()}
        p["alpha"] = {cell: p.pop(f"alpha_{cell}") for cell in discrete.CELLS}
    if layer.rule == "lrmm_alif":
        p["alif_alpha"] = p["alpha"]
        p["alif_rho"] = {cell: p.pop(f"rho_{cell}") for cell in "IO"}
    return weights | p


def run(layers, x):
    """Return what the oracle gives for a network of drawn layers."""
    return discrete.network(
        [(getattr(discrete, layer.rule), keywords(layer)) for layer in layers], x
    )
