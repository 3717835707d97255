"""Oracle of the gradients: back-propagation through time derived by hand, in float64 numpy.

One function is the backward pass of one recurrent layer.  It is given what the forward pass of
`discrete` did and dL/dS of its output spikes, of shape (B, T, n), and returns dL/d(name) by name.
``"x"`` of one layer is dL/dS of the layer below.  Gradients of parameters are one a neuron; sum
them where a layer shares one.

g_X[t] stands for dL/dX[t].  With ``through_reset=False`` the spike that a potential loses its
threshold by counts as a constant, and every connection still carries its gradient.
"""

import numpy as np

from . import discrete


def triangle(distance):
    """Return max(0, 1 - |U - V_th|), the surrogate of the LSTM-LIF supplement."""
    return np.maximum(0.0, 1.0 - np.abs(distance))


def boxcar(distance):
    """Return 1/(2 H_w) where |U - V_th| <= H_w, else 0, with H_w = 1/2: seed 002 eq. 25."""
    return np.where(np.abs(distance) <= 0.5, 1.0, 0.0)


def _before(values):
    """Return the values of the step before; 0 before the first step."""
    return np.concatenate([np.zeros_like(values[:, :1]), values[:, :-1]], axis=1)


def _weights(g_current, x, output, w_in):
    """Return the gradients of a current W x[t] + V S[t-1] + b."""
    return {
        "w_in": np.einsum("btn,bti->ni", g_current, x),
        "w_rec": np.einsum("btn,btm->nm", g_current, _before(output)),
        "bias": g_current.sum(axis=(0, 1)),
        "x": g_current @ w_in,
    }


def lstm_lif(layer, x, g_s, w_in, w_rec, *, c_1, c_2, gamma, v_th, through_reset=True):
    """Backward pass of seed 000 eqs 9-11 with the triangle surrogate.

    The step is D' = D + b1 U + I - gamma S, U' = U + b2 D' - V_th S, S' = [U' > V_th], so that

        g_S[t] = dL/dS[t] + V^T g_D[t+1] - gamma g_D[t+1] - V_th g_U[t+1]
        g_U[t] = slope[t] g_S[t] + g_U[t+1] + b1 g_D[t+1]
        g_D[t] = b2 g_U[t] + g_D[t+1]
    """
    d, u, s = layer.states["U_D"], layer.states["U_S"], layer.spikes.astype(float)
    beta_1, beta_2 = -discrete.sigmoid(c_1), discrete.sigmoid(c_2)
    slope = triangle(layer.distance)
    g_d, g_u, g_spike = (np.zeros_like(u) for _ in range(3))
    next_d = next_u = np.zeros_like(u[:, 0])
    for t in reversed(range(u.shape[1])):
        g_spike[:, t] = g_s[:, t] + next_d @ w_rec
        if through_reset:
            g_spike[:, t] -= gamma * next_d + v_th * next_u
        g_u[:, t] = slope[:, t] * g_spike[:, t] + next_u + beta_1 * next_d
        g_d[:, t] = beta_2 * g_u[:, t] + next_d
        next_d, next_u = g_d[:, t], g_u[:, t]
    over = (0, 1)
    return _weights(g_d, x, s, w_in) | {
        "c_1": (g_d * _before(u)).sum(over) * beta_1 * (1 + beta_1),  # d(-sigmoid) = -s (1 - s)
        "c_2": (g_u * d).sum(over) * beta_2 * (1 - beta_2),
        "gamma": -(g_d * _before(s)).sum(over),
        "V_th": -(slope * g_spike).sum(over) - (g_u * _before(s)).sum(over),
    }


def lrmm(layer, x, g_s, w_in, w_rec, bias, *, synapses, alpha, v_th, m, a, through_reset=True):
    """Backward pass of an LRMM layer: seed 002 eqs 14-16 and 26-29 with the boxcar surrogate.

    With A_X[t] = alpha_X (1 - V_th slope_X[t]), eq. 10,

        g_I[t] = A_I[t] g_I[t+1] + slope_I[t] w_IC g_C[t]                                    (26)
        g_M[t] = A_M[t] g_M[t+1] + slope_M[t] w_MC g_C[t]                                    (27)
        g_C[t] = A_C[t] g_C[t+1] + slope_C[t] (w_CO g_O[t] + w_CM g_M[t+1])                  (28)
        g_O[t] = A_O[t] g_O[t+1] + slope_O[t] (dL/dS_O[t] + sum_j V_j^T g_zj[t+1])           (29)

    where g_X is of the potential of N_X, and g_zj = Phi'(z_j) w_j g_Nj is of the current before its
    modulation: c_j of eq. 29 is Phi'(z_j) with the matrix V_j.
    """
    w, states = synapses, layer.states
    u = {cell: states[f"U_{cell}"] for cell in discrete.CELLS}
    s = {cell: states[f"S_{cell}"] for cell in discrete.CELLS}
    slope = {cell: boxcar(states[f"distance_{cell}"]) for cell in discrete.CELLS}
    reset = 1.0 if through_reset else 0.0
    gain = {cell: alpha[cell] * (1 - reset * v_th * slope[cell]) for cell in discrete.CELLS}
    # the modulated current of each port, the neuron that it drives and the synapse to it
    drives = {"I": ("I", w["I_NI"]), "F": ("M", w["F_NM"]), "O": ("O", w["O_NO"])}
    z = {j: x @ w_in[j].T + _before(s["O"]) @ w_rec[j].T + bias[j] for j in discrete.PORTS}
    by_z = {j: _modulation_slope(z[j], m, a) for j in discrete.PORTS}
    g = {cell: np.zeros_like(u["O"]) for cell in discrete.CELLS}
    later = {cell: np.zeros_like(u["O"][:, 0]) for cell in discrete.CELLS}  # at t + 1
    from_ports = np.zeros_like(later["O"])  # sum_j V_j^T g_zj[t+1]
    for t in reversed(range(x.shape[1])):
        by_spike = {"O": g_s[:, t] + from_ports}
        g["O"][:, t] = gain["O"][:, t] * later["O"] + slope["O"][:, t] * by_spike["O"]
        by_spike["C"] = w["NC_NO"] * g["O"][:, t] + w["NC_NM"] * later["M"]
        g["C"][:, t] = gain["C"][:, t] * later["C"] + slope["C"][:, t] * by_spike["C"]
        for cell, synapse in (("M", w["NM_NC"]), ("I", w["NI_NC"])):
            by_spike[cell] = synapse * g["C"][:, t]
            g[cell][:, t] = gain[cell][:, t] * later[cell] + slope[cell][:, t] * by_spike[cell]
        later = {cell: g[cell][:, t] for cell in discrete.CELLS}
        from_ports = sum(
            (by_z[j][:, t] * synapse * later[cell]) @ w_rec[j]
            for j, (cell, synapse) in drives.items()
        )
    over = (0, 1)
    result = {"x": 0.0}
    for j, (cell, synapse) in drives.items():
        ports = _weights(by_z[j] * synapse * g[cell], x, s["O"], w_in[j])
        result["x"] = result["x"] + ports.pop("x")
        result |= {(name, j): value for name, value in ports.items()}
        result[f"w_{j}"] = (g[cell] * states[f"I_{j}"]).sum(over)
    result |= {
        "w_CM": (g["M"] * _before(s["C"])).sum(over),
        "w_IC": (g["C"] * s["I"]).sum(over),
        "w_MC": (g["C"] * s["M"]).sum(over),
        "w_CO": (g["O"] * s["C"]).sum(over),
    }
    for cell in discrete.CELLS:
        left = _before(u[cell]) - v_th * _before(s[cell])
        result[f"alpha_{cell}"] = (g[cell] * left).sum(over)
    return result


def _modulation_slope(z, m, a):
    """Return the slope of Phi, seed 002 eqs 4 and 5."""
    s = discrete.sigmoid(z)
    return (1 - m) * s * (1 - s) + m * np.where(np.abs(z) < a, 0.5 / a, 0.0)
