"""Each integration method has its theoretical order, for constant and changing inputs; and the
linear models obey superposition."""

from functools import cache

import numpy as np
import pytest
from numpy.testing import assert_allclose
from runs import states

import dendrosim as ds

ORDERS = {
    "euler": 1, "exponential_euler": 1, "rush_larsen": 1,
    "rk2": 2, "rush_larsen2": 2, "rk4": 4,
    "heun": 1,  # Brian2 uses Heun for the noise term only, and Euler for the rest
}  # fmt: skip
#: Steps in ms: each is half of the previous one, in the range where the order is visible.
STEPS = (0.025, 0.0125, 0.00625)
#: A factor of these steps for methods whose order is visible only at shorter ones.
FINER = {"rush_larsen2": 0.5}
INPUTS = ["constant", "ramp", "chirp", "alpha"]


def smooth_inputs():
    """One neuron per input: constant; and with a ramp, a chirp or an alpha function.

    All inputs start on the grid of every step; the ramp and the chirp jump at their ends.
    """
    return ds.Protocol(
        duration="2.5 ms",
        stimuli=[
            ds.Stimulus("soma", "constant", amplitude="0.2 uA/cm**2"),
            ds.Stimulus("dendrite", "constant", amplitude="-0.3 uA/cm**2"),
            ds.Stimulus(
                "soma", "ramp", offset="[0, 0.3, 0, 0] uA/cm**2",
                amplitude="[0, 1.5, 0, 0] uA/cm**2", start="0.4 ms", stop="2.5 ms",
            ),
            ds.Stimulus(
                "dendrite", "chirp", amplitude="[0, 0, 1, 0] uA/cm**2", f_0="50 Hz", f_1="200 Hz"
            ),
            ds.Stimulus(
                "dendrite", "alpha", amplitude="[0, 0, 0, 2] uA/cm**2", tau="2 ms", start="0.8 ms"
            ),
        ],
    )  # fmt: skip


@cache  # several tests compare the same runs
def state_at_the_end(method, dt):
    """Return all states at 2.4 ms, in mV and 1: shape (states, neurons)."""
    model = ds.load_model("kepecs_wang_2000").with_(initial={"v_s": "-70 mV", "n": "0.05"})
    r = states(model, smooth_inputs(), method=method, dt=f"{dt} ms", device="numpy")
    assert len(r.spike_t) == 0  # below threshold the equations are smooth
    (sample,) = np.flatnonzero(np.isclose(r.times, 2.4e-3, rtol=0, atol=1e-9))
    scale = {"volt": 1e3, "1": 1.0}
    return np.array([r.traces[n].values[sample] * scale[r.traces[n].units] for n in model.states])


@pytest.mark.parametrize("method", ORDERS)
def test_a_method_has_its_order(method):
    """Richardson: the ratio of the differences of three runs is 2**order."""
    steps = np.array(STEPS) * FINER.get(method, 1)
    coarse, middle, fine = (state_at_the_end(method, dt) for dt in steps)
    first = np.linalg.norm(coarse - middle, axis=0)
    second = np.linalg.norm(middle - fine, axis=0)
    assert np.all(second > 1e-11)  # above rounding
    measured = dict(zip(INPUTS, np.log2(first / second), strict=True))
    assert measured == pytest.approx(dict.fromkeys(INPUTS, ORDERS[method]), abs=0.15)


def test_methods_agree_in_the_limit():
    """A step is about 1/60 of the fastest time constant, and each order gains this factor."""
    exact = state_at_the_end("rk4", 0.0125)
    for method, order in ORDERS.items():
        error = np.abs(state_at_the_end(method, 0.025) - exact).max()
        assert error < 0.2 / 60 ** (order - 1), method


# --- superposition ---------------------------------------------------------------------------


def two_inputs(places, unit, dt):
    """Four neurons: without stimulus, with each of two stimuli, with both."""
    return ds.Protocol(
        duration=f"{200 * dt} ms",
        stimuli=[
            ds.Stimulus(
                places[0], "step", amplitude=f"[0, 0.2, 0, 0.2] {unit}",
                start=f"{30 * dt} ms", stop=f"{150 * dt} ms",
            ),
            ds.Stimulus(
                places[1], "chirp", amplitude=f"[0, 0, -0.3, -0.3] {unit}", f_0="5 Hz",
                f_1=f"{40 / dt} Hz",
            ),
        ],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "unit", "dt", "changes"),
    [
        ("kepecs_wang_2000:passive", "uA/cm**2", 0.05, {}),
        ("pinsky_rinzel_1994:passive", "uA/cm**2", 0.05, {}),
        ("two_compartment", "", 1.0, {"V_th": 1e9, "alpha_1": 0.95, "beta_1": -0.2}),
        ("lif", "", 1.0, {"V_th": 1e9}),
    ],
)
def test_a_linear_model_obeys_superposition(name, unit, dt, changes):
    model = ds.load_model(name).with_(parameters=changes)
    places = ("soma", "soma") if name == "lif" else ("soma", "dendrite")
    method = "rk2" if model.kind == "continuous" else None
    r = ds.simulate(
        model, two_inputs(places, unit, dt), dt=f"{dt} ms", method=method, device="numpy",
        grids="zip", progress=False,
    )  # fmt: skip
    assert len(r.spike_t) == 0
    for potential in model.potentials.values():
        rest, one, other, both = r.traces[potential].values.T
        size = np.ptp(both)
        assert np.abs(one - rest).max() > 0.01 * size < np.inf
        assert np.abs(other - rest).max() > 0.01 * size
        assert_allclose(both - rest, (one - rest) + (other - rest), rtol=0, atol=1e-9 * size)


def test_the_active_model_does_not():
    model = ds.load_model("kepecs_wang_2000")
    r = ds.simulate(
        model, two_inputs(("soma", "dendrite"), "uA/cm**2", 0.05), dt="0.05 ms", method="rk2",
        grids="zip", device="numpy", progress=False,
    )  # fmt: skip
    rest, one, other, both = r.voltage().T
    assert np.abs(both - one - other + rest).max() > 1e-6 * np.ptp(both)
