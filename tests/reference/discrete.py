"""Oracle of the one-step rules of the trained neurons and circuits, in float64 numpy loops.

One function is one layer. Conventions, the same for all:

- ``x`` has shape (B, T, n_in); spikes and states have shape (B, T, n).
- Weights are (targets, sources). ``w_in=None`` feeds ``x`` straight in as the current (n_in = n).
- Recurrent weights act one step later; every state is 0 before the first step.
- A neuron fires when its distance to threshold is ``> 0`` (``lstm_lif_code``: ``>= 0``).
- ``states["U"]`` and the like are values before the reset that this step's spike causes.

"Seed 000" is Zhang et al. (2023), LSTM-LIF; "seed 002" is the LRMM paper.
"""

from typing import NamedTuple

import numpy as np

PORTS = ("I", "F", "O")  # modulatory currents of the LRMM, seed 002 eq. 3
CELLS = ("I", "M", "C", "O")  # its four neurons N_I, N_M, N_C, N_O in the order of one step


class Layer(NamedTuple):
    """What one layer did.

    Attributes
    ----------
    spikes : ndarray of bool, shape (B, T, n)
        Output spikes.
    distance : ndarray, shape (B, T, n)
        Distance of the output neuron to its threshold; a value near 0 is a tie.
    states : dict of str to ndarray, shape (B, T, n)
        Every state; for the LRMM also spikes ``S_X`` and distances ``distance_X`` of each neuron.
    """

    spikes: np.ndarray
    distance: np.ndarray
    states: dict


class Output(NamedTuple):
    """What a network did: its layers, and the readout (B, T, n_out) or None."""

    layers: list
    readout: np.ndarray


def sigmoid(z):
    """Return 1 / (1 + exp(-z))."""
    return 0.5 * (1.0 + np.tanh(0.5 * z))  # the same function, free of overflow


def _current(x_t, s_prev, w_in, w_rec, bias):
    """Return I[t] = W x[t] + V S[t-1] + b (seed 000 eq. 2; input of the same step, as in 3a)."""
    current = x_t if w_in is None else x_t @ np.asarray(w_in, dtype=float).T
    if w_rec is not None:
        current = current + s_prev @ np.asarray(w_rec, dtype=float).T
    return current if bias is None else current + bias


def _width(x, w_in):
    """Return the number of neurons of a layer."""
    return x.shape[2] if w_in is None else np.shape(w_in)[0]


def _run(rule, state, x, n, output="S"):
    """Apply ``rule(state, x_t) -> (state, record)`` at every step and stack the records."""
    x = np.asarray(x, dtype=float)
    zeros = np.zeros((x.shape[0], n))
    state = {name: zeros for name in state}
    records = []
    for t in range(x.shape[1]):
        state, record = rule(state, x[:, t])
        records.append(record)
    stacked = {name: np.stack([r[name] for r in records], axis=1) for name in records[0]}
    return Layer(stacked.pop(output) > 0.5, stacked.pop("distance"), stacked)


def lif(x, w_in=None, w_rec=None, bias=None, *, beta, v_th=1.0):
    """Leaky integrate-and-fire with soft reset, seed 000 eqs 1-3.

    Parameters
    ----------
    x : ndarray, shape (B, T, n_in)
    w_in, w_rec, bias : ndarray or None
        Shapes (n, n_in), (n, n), (n,).
    beta, v_th : float or ndarray (n,)
        Decay of the potential per step, threshold.

    Returns
    -------
    Layer
        States: ``U``.
    """

    def rule(old, x_t):
        current = _current(x_t, old["S"], w_in, w_rec, bias)
        u = beta * old["U"] - v_th * old["S"] + current  # eq. 1
        s = (u - v_th > 0).astype(float)  # eq. 3
        return {"U": u, "S": s}, {"U": u, "S": s, "distance": u - v_th}

    return _run(rule, ("U", "S"), x, _width(x, w_in))


def two_compartment(
    x, w_in=None, w_rec=None, bias=None, *, alpha_1, alpha_2, beta_1, beta_2, v_th=1.0, gamma=0.0
):
    """Generalised two-compartment neuron, seed 000 eqs 6-8.

    Parameters
    ----------
    x, w_in, w_rec, bias
        As in ``lif``.
    alpha_1, alpha_2, beta_1, beta_2, v_th : float or ndarray (n,)
        Decay of dendrite and soma, soma to dendrite, dendrite to soma, threshold.
    gamma : float
        Dendritic reset; eq. 6 has none (0), eq. 9 has.

    Returns
    -------
    Layer
        States: ``U_D``, ``U_S``.
    """

    def rule(old, x_t):
        current = _current(x_t, old["S"], w_in, w_rec, bias)
        u_d = alpha_1 * old["U_D"] + beta_1 * old["U_S"] + current - gamma * old["S"]  # eq. 6
        u_s = alpha_2 * old["U_S"] + beta_2 * u_d - v_th * old["S"]  # eq. 7
        s = (u_s - v_th > 0).astype(float)  # eq. 8
        new = {"U_D": u_d, "U_S": u_s, "S": s}
        return new, new | {"distance": u_s - v_th}

    return _run(rule, ("U_D", "U_S", "S"), x, _width(x, w_in))


def lstm_lif(x, w_in=None, w_rec=None, bias=None, *, c_1=0.0, c_2=0.0, gamma=0.5, v_th=1.0):
    """LSTM-LIF as printed, seed 000 eqs 9-11: eq. 9 sees the soma before its reset.

    Parameters
    ----------
    x, w_in, w_rec, bias
        As in ``lif``.
    c_1, c_2 : float or ndarray (n,)
        Raw couplings: beta_1 = -sigmoid(c_1), beta_2 = sigmoid(c_2) (below eq. 11).
    gamma, v_th : float or ndarray (n,)
        Dendritic reset, threshold.

    Returns
    -------
    Layer
        States: ``U_D``, ``U_S``.
    """
    beta_1, beta_2 = -sigmoid(c_1), sigmoid(c_2)

    def rule(old, x_t):
        current = _current(x_t, old["S"], w_in, w_rec, bias)
        u_d = old["U_D"] + beta_1 * old["U_S"] + current - gamma * old["S"]  # eq. 9
        u_s = old["U_S"] + beta_2 * u_d - v_th * old["S"]  # eq. 10
        s = (u_s - v_th > 0).astype(float)  # eq. 11
        new = {"U_D": u_d, "U_S": u_s, "S": s}
        return new, new | {"distance": u_s - v_th}

    return _run(rule, ("U_D", "U_S", "S"), x, _width(x, w_in))


def lstm_lif_code(x, w_in=None, w_rec=None, bias=None, *, c_1=0.0, c_2=0.0, gamma=0.5, v_th=1.0):
    """LSTM-LIF as its authors' code runs it (REFERENCE 3a): charge, fire at >=, reset at once.

    Parameters as in ``lstm_lif``. The dendrite sees the soma after its reset; this equals
    ``lstm_lif`` with gamma_eff = gamma - sigmoid(c_1) * v_th, ties aside.

    Returns
    -------
    Layer
        States: ``U_D``, ``U_S``, both before the reset.
    """
    beta_1, beta_2 = -sigmoid(c_1), sigmoid(c_2)

    def rule(old, x_t):
        current = _current(x_t, old["S"], w_in, w_rec, bias)
        v_1 = old["V_1"] + beta_1 * old["V_2"] + current  # charge the dendrite,
        v_2 = old["V_2"] + beta_2 * v_1  # then the soma;
        s = (v_2 - v_th >= 0).astype(float)  # fire;
        new = {"V_1": v_1 - gamma * s, "V_2": v_2 - v_th * s, "S": s}  # reset both
        return new, {"U_D": v_1, "U_S": v_2, "S": s, "distance": v_2 - v_th}

    return _run(rule, ("V_1", "V_2", "S"), x, _width(x, w_in))


def _alif_cell(u, a, s, current, alpha, rho, b_0=0.01, kappa=1.8, scaled=True):
    """Return u, a and the threshold one step later; a is the adaptation (REFERENCE 3d, YIN)."""
    a = rho * a + (1.0 - rho) * s  # b <- rho b + (1 - rho) s_prev
    threshold = b_0 + kappa * a  # B = .01 + 1.8 b
    if scaled:
        u = alpha * u + (1.0 - alpha) * current - threshold * s  # soft reset by the new threshold
    else:
        u = alpha * (u - threshold * s) + current
    return u, a, threshold


def alif(x, w_in=None, w_rec=None, bias=None, *, alpha, rho, b_0=0.01, kappa=1.8):
    """Adaptive LIF of Yin et al. (2021), REFERENCE 3d.

    Parameters
    ----------
    x, w_in, w_rec, bias
        As in ``lif``.
    alpha, rho : float or ndarray (n,)
        exp(-1 / tau_m) and exp(-1 / tau_adp), per step.
    b_0, kappa : float
        Resting threshold and strength of the adaptation.

    Returns
    -------
    Layer
        States: ``U``, the adaptation ``a``, the moving threshold ``B``.
    """

    def rule(old, x_t):
        current = _current(x_t, old["S"], w_in, w_rec, bias)
        u, a, b = _alif_cell(old["U"], old["a"], old["S"], current, alpha, rho, b_0, kappa)
        s = (u - b > 0).astype(float)
        return {"U": u, "a": a, "S": s}, {"U": u, "a": a, "B": b, "S": s, "distance": u - b}

    return _run(rule, ("U", "a", "S"), x, _width(x, w_in))


def hard_sigmoid(z, a=2.0):
    """Return PL(z) = clip(0.5 + z / (2 a), 0, 1), seed 002 eq. 5; a = 2 is our choice."""
    return np.clip(0.5 + z / (2.0 * a), 0.0, 1.0)


def modulation(z, m=1.0, a=2.0):
    """Return Phi(z) = (1 - m) sigmoid(z) + m PL(z), seed 002 eq. 4; at inference m = 1."""
    return (1.0 - m) * sigmoid(z) + m * hard_sigmoid(z, a)


def _lrmm_currents(old, x_t, w_in, w_rec, bias, m, a):
    """Return {"I": I_I, "F": I_F, "O": I_O}, seed 002 eq. 3."""
    return {
        j: modulation(
            _current(x_t, old["S_O"], w_in[j], (w_rec or {}).get(j), (bias or {}).get(j)), m, a
        )
        for j in PORTS
    }


def lrmm(x, w_in, w_rec=None, bias=None, *, synapses, alpha=0.95, v_th=1.0, m=1.0, a=2.0):
    """LRMM layer of four LIF neurons per unit, seed 002 eqs 3-9 with the soft reset of eq. 22.

    Where eqs 31-33 contradict eqs 6-9, eqs 6-9 are followed (REFERENCE 4b).

    Parameters
    ----------
    x : ndarray, shape (B, T, n_in)
    w_in, w_rec, bias : dict of str to ndarray
        Per port "I", "F", "O": shapes (n, n_in), (n, n), (n,). ``w_rec`` and ``bias`` may be None.
    synapses : dict of str to float or ndarray (n,)
        Weights within a unit, source to target: "I_NI", "F_NM", "O_NO" (from the modulatory
        currents), "NC_NM", "NI_NC", "NM_NC", "NC_NO" (between neurons).
    alpha, v_th : float, ndarray (n,), or dict of these by neuron "I", "M", "C", "O"
        Leak factor and threshold (0.95 and 1: seed 002 A.4).
    m, a : float
        Annealing of the modulation (eq. 4) and width of its hard sigmoid (eq. 5).

    Returns
    -------
    Layer
        Output and distance of N_O. States: ``U_X``, ``S_X``, ``distance_X`` for X in I, M, C, O and
        the modulatory currents ``I_I``, ``I_F``, ``I_O``.
    """
    return _lrmm(x, w_in, w_rec, bias, synapses, alpha, v_th, m, a, {})


def lrmm_alif(
    x,
    w_in,
    w_rec=None,
    bias=None,
    *,
    synapses,
    alif_alpha,
    alif_rho,
    alpha=0.95,
    v_th=1.0,
    m=1.0,
    a=2.0,
    b_0=0.01,
    kappa=1.8,
    alif_cells=("I", "O"),
    scaled=True,
):
    """LRMM-ALIF layer: N_I and N_O are ALIF, N_M and N_C stay LIF (seed 002, caption of Table 1).

    Its section 4.2 says "the readout neuron N_C", a slip for N_O: it also says that N_C stays LIF.
    The paper does not state the ALIF rule; the one of ``alif`` is used, so that a replaced neuron
    takes (1 - alpha) times its current and has the threshold b_0 + kappa a in place of v_th.

    Parameters
    ----------
    x, w_in, w_rec, bias, synapses, alpha, v_th, m, a
        As in ``lrmm``; ``alpha`` and ``v_th`` concern the LIF neurons.
    alif_alpha, alif_rho : float, ndarray (n,), or dict of these by neuron
        exp(-1 / tau_m) and exp(-1 / tau_adp) of the ALIF neurons.
    b_0, kappa : float
        As in ``alif``.
    alif_cells : sequence of str
        Which of "I", "M", "C", "O" are ALIF.
    scaled : bool
        Whether these take (1 - alpha) of their current; else eq. 22 with the moving threshold.

    Returns
    -------
    Layer
        As ``lrmm``, with ``a_X`` and ``B_X`` for every ALIF neuron X.
    """
    adaptive = {
        cell: {
            "alpha": _of(alif_alpha, cell),
            "rho": _of(alif_rho, cell),
            "b_0": b_0,
            "kappa": kappa,
            "scaled": scaled,
        }
        for cell in alif_cells
    }
    return _lrmm(x, w_in, w_rec, bias, synapses, alpha, v_th, m, a, adaptive)


def _of(value, cell):
    """Return the value that concerns one neuron."""
    return value[cell] if isinstance(value, dict) else value


def _lrmm(x, w_in, w_rec, bias, synapses, alpha, v_th, m, a, adaptive):
    """Run an LRMM layer; ``adaptive`` holds the parameters of its ALIF neurons."""
    w = synapses

    def rule(old, x_t):
        new, record = {}, {}

        def fire(cell, current):
            """Advance one neuron, note what it did and return its spikes."""
            u, s = old[f"U_{cell}"], old[f"S_{cell}"]
            if cell in adaptive:
                u, new[f"a_{cell}"], threshold = _alif_cell(
                    u, old[f"a_{cell}"], s, current, **adaptive[cell]
                )
                record[f"B_{cell}"] = threshold
            else:
                threshold = _of(v_th, cell)
                u = _of(alpha, cell) * (u - threshold * s) + current  # eq. 22
            record[f"distance_{cell}"] = u - threshold
            new[f"U_{cell}"], new[f"S_{cell}"] = u, (u - threshold > 0).astype(float)  # eq. 2
            return new[f"S_{cell}"]

        gate = _lrmm_currents(old, x_t, w_in, w_rec, bias, m, a)
        s_i = fire("I", w["I_NI"] * gate["I"])  # eq. 6
        s_m = fire("M", w["NC_NM"] * old["S_C"] + w["F_NM"] * gate["F"])  # eq. 7: N_C of t - 1
        s_c = fire("C", w["NI_NC"] * s_i + w["NM_NC"] * s_m)  # eq. 8
        s_o = fire("O", w["NC_NO"] * s_c + w["O_NO"] * gate["O"])  # eq. 9
        record |= new | {f"I_{j}": gate[j] for j in PORTS}
        return new, record | {"output": s_o, "distance": record["distance_O"]}

    names = [f"{kind}_{cell}" for kind in ("U", "S") for cell in CELLS]
    names += [f"a_{cell}" for cell in adaptive]
    return _run(rule, names, x, np.shape(w_in["I"])[0], output="output")


def network(layers, x, readout_weights=None, readout_bias=None):
    """Chain layers: layer k + 1 sees the spikes of layer k of the same step.

    No layer depends on a later one, so running each over the whole sequence in turn is the same as
    running all of them step by step.

    Parameters
    ----------
    layers : sequence of (callable, dict)
        A function of this module and its keyword arguments, weights among them.
    x : ndarray, shape (B, T, n_in)
    readout_weights : ndarray (n_out, n), optional
        Linear readout of the last layer's spikes of the same step.
    readout_bias : ndarray (n_out,), optional

    Returns
    -------
    Output
    """
    results = []
    for layer, kwargs in layers:
        results.append(layer(x, **kwargs))
        x = results[-1].spikes.astype(float)
    if readout_weights is None:
        return Output(results, None)
    return Output(results, _current(x, None, readout_weights, None, readout_bias))
