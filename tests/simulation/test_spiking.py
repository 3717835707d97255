"""Which neurons spike when: thresholds, resets and refractoriness, neuron by neuron, step by step.

Every number here is a small multiple of a power of two, so devices agree to the last bit and no
comparison with a threshold is a matter of rounding.
"""

import brian2 as b2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

import dendrosim as ds
from dendrosim.model.toml import model_from_table

STEPS = 60
MS = 1e-3
#: No multiple of 8 or 64: the last neurons are not part of a whole vector.
NEURONS = 203

TABLE = {
    "title": "A counter", "kind": "continuous", "inputs": {"soma": "I"},
    "dt": "1 ms", "method": "euler",  # v counts, beyond what a potential may be: it is none here
    "equations": "dv/dt = (slope + I*volt)/dt : volt\nI : 1",
    "threshold": "v > limit", "reset": "v = v - back",
    "parameters": {name: {"value": "1 V", "doc": "x"} for name in ("slope", "limit", "back")},
    "initial": {"v": "0 V"},
}  # fmt: skip


def draw(rng, n):
    """Return slopes, thresholds, resets and initial values of n neurons, in volt."""
    return {
        "slope": rng.integers(-2, 9, n) / 4,
        "limit": rng.integers(-4, 20, n) / 2,
        "back": rng.integers(0, 12, n) / 2,
        "v": rng.integers(-12, 12, n) / 2,
    }


def expected(values, refractory):
    """Return (step, neuron) of each spike, by a loop over one neuron after the other.

    A condition is looked at when a step begins, and a time when it ends: a neuron that spiked in
    step k may do so again in step k + time.
    """
    found = []
    for neuron, (slope, limit, back, v) in enumerate(
        zip(*(values[name].tolist() for name in ("slope", "limit", "back", "v")), strict=True)
    ):
        free, last = True, -STEPS
        for step in range(STEPS):
            if refractory == "condition":
                free = free or not v > limit - 1
            else:
                free = step - last >= (refractory or 0)
            v += slope
            if v > limit and free:
                found.append((step, neuron))
                v -= back
                free, last = False, step
    return sorted(found)


def simulated(values, refractory, device, **options):
    table = dict(TABLE)
    if refractory:
        condition = refractory == "condition"
        table["refractory"] = "v > limit - 1*volt" if condition else f"{refractory} ms"
    model = model_from_table(table, "counter", "counter")
    numbers = {name: values[name] * b2.volt for name in ("slope", "limit", "back")}
    model = model.with_(parameters=numbers, initial={"v": values["v"] * b2.volt})
    protocol = ds.Protocol(
        duration=f"{STEPS} ms", stimuli=[ds.Stimulus("soma", "constant", amplitude="0")]
    )
    options = {"record": [], "grids": "zip", "progress": False, **options}
    r = ds.simulate(model, protocol, device=device, **options)
    steps = np.rint(r.spike_t / MS).astype(int) - 1
    return list(zip(steps.tolist(), r.spike_i.tolist(), strict=True))


KINDS = pytest.mark.parametrize("refractory", [None, "condition", 3])


@KINDS
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 99))
@settings(max_examples=3)
def test_spikes_are_those_of_a_loop(refractory, seed, n):
    values = draw(np.random.default_rng(seed), n)
    assert simulated(values, refractory, "numpy") == expected(values, refractory)


@KINDS
def test_refractoriness_is_that_of_brian2(refractory, monkeypatch):
    monkeypatch.setitem(b2.prefs, "codegen.target", "numpy")
    values = draw(np.random.default_rng(1), NEURONS)
    option = {None: False, "condition": "v > limit - 1*volt"}.get(refractory, 3 * b2.ms)
    clock = b2.Clock(1 * b2.ms)
    group = b2.NeuronGroup(
        NEURONS, "dv/dt = slope/ms : volt\nslope : volt\nlimit : volt\nback : volt",
        threshold="v > limit", reset="v = v - back", refractory=option, method="euler",
        clock=clock,
    )  # fmt: skip
    for name, value in values.items():
        setattr(group, name, value * b2.volt)
    spikes = b2.SpikeMonitor(group)
    b2.Network(group, spikes).run(STEPS * b2.ms)
    brian = list(zip(np.rint(spikes.t_ / MS).astype(int).tolist(), list(spikes.i), strict=True))
    assert sorted(brian) == expected(values, refractory)
    assert len(brian) > 1000


@pytest.mark.parametrize(
    ("refractory", "options"),
    [("condition", {}), ("condition", {"threads": 2}), (3, {"dtype": "float32"})],
)
def test_compiled_spikes_are_those_of_a_loop(refractory, options):
    """Eight neurons at a time, some of which spike in every step, some never, and the last few."""
    for seed in range(4):
        values = draw(np.random.default_rng(seed), NEURONS)
        if seed == 3:  # whole vectors of silence, and one neuron at each end
            values["limit"][1:-1] = 1000
            values["slope"][[0, -1]] = 2
        spikes = expected(values, refractory)
        assert simulated(values, refractory, "cpp", **options) == spikes
        assert len(spikes) > (20 if seed == 3 else 1000)


def test_a_spike_in_the_first_step():
    numbers = {"slope": [1.0, 1.0], "limit": [0.5, 2.0], "back": [0.0, 0.0], "v": [0.0, 5.0]}
    values = {name: np.array(value) for name, value in numbers.items()}
    for refractory in (None, "condition", 3):
        assert simulated(values, refractory, "numpy")[:2] == [(0, 0), (0, 1)]


def test_state_goes_back_after_a_spike_only():
    """The state that crossed is recorded, then reset: nothing else writes to it."""
    table = {**TABLE, "refractory": "v > limit - 1*volt"}
    model = model_from_table(table, "counter", "counter").with_(
        parameters={"slope": 1 * b2.volt, "limit": 4.5 * b2.volt, "back": 5 * b2.volt}
    )
    protocol = ds.Protocol(
        duration="12 ms", stimuli=[ds.Stimulus("soma", "constant", amplitude="0")]
    )
    r = ds.simulate(model, protocol, device="numpy", record=["v"], progress=False)
    assert_array_equal(r.traces["v"].values[:, 0], [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1])
