"""Oracle of the one-step rules of the baselines, REFERENCE 3d, in float64 numpy loops.

One function is one step of one rule: the state before, the input current by port and the
parameters give the state after, with the spikes ``s`` and the distance to threshold.  Parameters
have the names of the model files; everything else has the letters of REFERENCE.  As in `discrete`,
weights are (targets, sources), recurrent weights act one step later and layer k + 1 sees layer k at
once.
"""

from typing import NamedTuple

import numpy as np

from .discrete import sigmoid


def lif_hard_reset(old, x, p):
    """v <- decay v (1 - s) + x; s = [v > Vth]."""
    v = p["beta"] * old["v"] * (1 - old["s"]) + x["I"]
    return {"v": v, "s": v - p["V_th"] > 0, "distance": v - p["V_th"]}


def plif(old, x, p):
    """v <- v + (x - (v - v_r)) sig(w), hard reset; in the benchmark sig(w) v + x."""
    v = old["v"] + (x["I"] - (old["v"] - p["V_r"])) * sigmoid(p["w"])
    if "benchmark" in p:
        v = sigmoid(p["w"]) * old["v"] + x["I"]
    s = v - p["V_th"] >= 0
    return {"v": np.where(s, p["V_r"], v), "s": s, "distance": v - p["V_th"]}


def glif(old, x, p):
    """Gates al, be, ga between two leaks, inputs and resets; one conductance for all steps."""
    al, be, ga = (sigmoid(p[f"c_{gate}"]) for gate in ("alpha", "beta", "gamma"))
    tau, leak, cond = (sigmoid(p[f"c_{name}"]) for name in ("tau", "leak", "g"))
    re_v_th, v_th = sigmoid(p["c_re"]), sigmoid(p["c_th"])
    s = old["s"]
    u = (1 - al * (1 - tau)) * old["u"] * (1 - ga * s) - (1 - al) * leak
    u = u + x["I"] * (1 - be * (1 - cond)) - (1 - ga) * re_v_th * s
    return {"u": u, "s": u - v_th > 0, "distance": u - v_th}


def adlif(old, x, p):
    """w <- beta w + a u + b s; u <- alpha (u - s) + (1 - alpha) (x - w), all ranges clamped."""
    alpha = np.clip(p["c_alpha"], np.exp(-1 / 5), np.exp(-1 / 25))
    beta = np.clip(p["c_beta"], np.exp(-1 / 30), np.exp(-1 / 120))
    a, b = np.clip(p["c_a"], -1, 1), np.clip(p["c_b"], 0, 2)
    w = beta * old["w"] + a * old["u"] + b * old["s"]
    size = 1.0 if "benchmark" in p else p["V_th"]
    u = alpha * (old["u"] - size * old["s"]) + (1 - alpha) * (x["I"] - w)
    return {"w": w, "u": u, "s": u - p["V_th"] > 0, "distance": u - p["V_th"]}


def clif(old, x, p):
    """u <- g u + x; s = [u >= Vth]; m <- m sig((1 - g) u) + s; u <- u - s (Vth + sig(m))."""
    g = 1 - 1 / p["tau"]
    u = g * old["u"] + x["I"]
    s = u - p["V_th"] >= 0
    m = old["m"] * sigmoid((1 - g) * u) + s
    depth = sigmoid(m)
    m = depth if "benchmark" in p else m  # there sigmoid_ writes into m
    return {"m": m, "u": u - s * (p["V_th"] + depth), "s": s, "distance": u - p["V_th"]}


def dh_lif(old, x, p):
    """d_k <- sig(tn_k) d_k + (1 - sig(tn_k)) x_k; v <- sig(tm) v + sum_k d_k - Vth s_prev."""
    gain = 1 - sigmoid(p["c_m"]) if "authors_code" in p else 1.0
    new = {"v": sigmoid(p["c_m"]) * old["v"] - p["V_th"] * old["s"]}
    for k in (1, 2, 3, 4):
        tn = sigmoid(p[f"c_{k}"])
        new[f"d_{k}"] = tn * old[f"d_{k}"] + (1 - tn) * x[f"I_{k}"]
        new["v"] = new["v"] + gain * new[f"d_{k}"]
    return new | {"s": new["v"] - p["V_th"] > 0, "distance": new["v"] - p["V_th"]}


def lm_h(old, x, p):
    """Dendrite and soma with learned leaks and couplings; vs(0) = Vth/2."""
    vd = (sigmoid(p["a_1"]) - 0.5) * old["vd"] + (sigmoid(p["b_1"]) - 0.5) * old["vs"] + x["I"]
    least, size = (0.0, 1.0) if "benchmark" in p else (0.5, p["V_th"])
    vs = (sigmoid(p["a_2"]) + least) * old["vs"] + (sigmoid(p["b_2"]) + 0.5) * vd
    s = vs - p["V_th"] >= 0
    return {"vd": vd, "vs": vs - s * size, "s": s, "distance": vs - p["V_th"]}


def brf(old, x, p):
    """z' = z + dt ((b + i omega) z + x); s = [u' > 1 + q]; q <- .9 q + s."""
    dt, omega = p["delta"], p["omega"]
    boundary = (-1 + np.sqrt(1 - (dt * omega) ** 2)) / dt
    b = boundary - np.abs(p["b_c"]) - old["q"]
    z = old["z"] + dt * ((b + 1j * omega) * old["z"] + x["I"])
    threshold = p["theta"] + old["q"]
    s = z.real - threshold > 0
    return {"z": z, "q": p["decay"] * old["q"] + s, "s": s, "distance": z.real - threshold}


def spikgru(old, x, p):
    """i <- alpha i + x_i; z = sig(x_z); v <- z v + (1 - z) i - Vth s_prev."""
    i = np.clip(p["c_alpha"], 0, 1) * old["i"] + x["I"]
    z = sigmoid(x["Z"])
    v = z * old["v"] + (1 - z) * i - p["V_th"] * old["s"]
    return {"i": i, "v": v, "s": v - p["V_th"] > 0, "distance": v - p["V_th"]}


class Baseline(NamedTuple):
    """A rule, and random layers of it that fire in 2 to 60 % of the steps.

    Attributes
    ----------
    step : callable
        A function above.
    ranges : dict
        Parameter to the ends of its uniform distribution.
    gains : tuple of float
        Scale of the input weights of a first layer, and of a later one, which sees spikes.
    ports : tuple of str
        Where current enters.
    states : dict
        Name to the value before the first step, or to a function of the parameters.
    """

    step: object
    ranges: dict
    gains: tuple
    ports: tuple = ("I",)
    states: dict = {}  # noqa: RUF012 (never changed)


_RAW = (-1.5, 1.5)
_ADLIF = {
    "c_alpha": (0.7, 1.0), "c_beta": (0.95, 1.0), "c_a": (-0.01, 0.3), "c_b": (-0.2, 0.5),
    "V_th": (0.8, 1.2),
}  # fmt: skip
BASELINES = {
    "lif_hard_reset": Baseline(
        lif_hard_reset, {"beta": (0.3, 0.98), "V_th": (0.4, 0.7)}, (0.5, 1.0), states={"v": 0}
    ),
    "plif": Baseline(
        plif, {"w": _RAW, "V_th": (0.7, 1.3), "V_r": (-0.1, 0.1)}, (3.0, 6.0), states={"v": 0}
    ),
    "glif": Baseline(
        glif,
        {f"c_{name}": _RAW for name in ("alpha", "beta", "gamma", "tau", "leak", "g", "re", "th")},
        (2.5, 5.0), states={"u": 0},
    ),
    "adlif": Baseline(adlif, _ADLIF, (12.0, 30.0), states={"w": 0, "u": 0}),
    "radlif": Baseline(adlif, _ADLIF, (12.0, 30.0), states={"w": 0, "u": 0}),
    "clif": Baseline(
        clif, {"tau": (1.3, 4.0), "V_th": (0.7, 1.3)}, (2.0, 4.0), states={"m": 0, "u": 0}
    ),
    "dh_lif": Baseline(
        dh_lif, {f"c_{k}": (-2.0, 2.0) for k in (1, 2, 3, 4, "m")} | {"V_th": (0.4, 0.8)},
        (2.5, 5.0), ports=("I_1", "I_2", "I_3", "I_4"),
        states={"v": 0, "d_1": 0, "d_2": 0, "d_3": 0, "d_4": 0},
    ),
    "lm_h": Baseline(
        lm_h,
        {"a_1": _RAW, "b_1": (-1.0, 0.1), "a_2": (-0.8, -0.1), "b_2": _RAW, "V_th": (0.7, 1.3)},
        (2.0, 4.0), states={"vd": 0, "vs": lambda p: p["V_th"] / 2},
    ),
    "brf": Baseline(
        brf,
        {"omega": (5.0, 85.0), "b_c": (-1.0, 1.0), "delta": (0.009, 0.011), "theta": (0.5, 1.0),
         "decay": (0.8, 0.95)},
        (60.0, 120.0), states={"z": 0, "q": 0},
    ),
    "spikgru": Baseline(
        spikgru, {"c_alpha": (0.3, 1.1), "V_th": (0.7, 1.3)}, (2.0, 4.0), ports=("I", "Z"),
        states={"i": 0, "v": 0},
    ),
}  # fmt: skip


class Drawn(NamedTuple):
    """One layer: its rule, its parameters, and weights by port."""

    rule: str
    parameters: dict
    w_in: dict
    w_rec: dict
    bias: dict


def draw(rules, n_in, n, seed=0):
    """Return random layers, the first of which sees a signal of variance 1.

    All but ``adlif`` are recurrent.  A source reaches one branch of a ``dh_lif`` neuron, and no
    ``radlif`` neuron itself.
    """
    rng = np.random.default_rng(seed)
    layers = []
    for k, rule in enumerate(rules):
        baseline = BASELINES[rule]
        sources = n if k else n_in
        gain = baseline.gains[bool(k)]
        w_in = {p: rng.normal(0, gain / np.sqrt(sources), (n, sources)) for p in baseline.ports}
        w_rec = {p: rng.normal(0, 0.3 * gain / np.sqrt(n), (n, n)) for p in baseline.ports}
        if rule == "dh_lif":
            branch = rng.permuted(np.tile(np.arange(sources + n) % 4, (n, 1)), axis=1)
            for j, p in enumerate(baseline.ports):
                w_in[p] = np.where(branch[:, :sources] == j, w_in[p], 0.0)
                w_rec[p] = np.where(branch[:, sources:] == j, w_rec[p], 0.0)
        if rule == "radlif":
            np.fill_diagonal(w_rec["I"], 0.0)
        layers.append(
            Drawn(
                rule,
                {name: rng.uniform(*ends, n) for name, ends in baseline.ranges.items()},
                w_in,
                {} if rule == "adlif" else w_rec,
                {p: rng.uniform(-0.1, 0.1, n) * gain for p in baseline.ports},
            )
        )
    return layers


class Run(NamedTuple):
    """What a layer did: spikes (B, T, n) of bool, and distances to threshold."""

    spikes: np.ndarray
    distance: np.ndarray


def run_layer(layer, x):
    """Run one layer over x (B, T, n_in), step by step."""
    baseline = BASELINES[layer.rule]
    shape = len(x), len(next(iter(layer.w_in.values())))
    start = {"s": 0, **baseline.states}
    start = {
        name: value(layer.parameters) if callable(value) else value for name, value in start.items()
    }
    state = {name: np.full(shape, value, dtype=float) for name, value in start.items()}
    spikes, distances = [], []
    for t in range(x.shape[1]):
        current = {
            port: x[:, t] @ layer.w_in[port].T + layer.bias[port]
            + (state["s"] @ layer.w_rec[port].T if layer.w_rec else 0.0)
            for port in baseline.ports
        }  # fmt: skip
        state = baseline.step(state, current, layer.parameters)
        state["s"] = state["s"].astype(float)
        spikes.append(state["s"] > 0.5)
        distances.append(state.pop("distance"))
    return Run(np.stack(spikes, 1), np.stack(distances, 1))


def run(layers, x):
    """Run layers in a row; each sees the spikes of the one below of the same step."""
    runs = []
    for layer in layers:
        runs.append(run_layer(layer, x))
        x = runs[-1].spikes.astype(float)
    return runs
