"""The spike cut: its jump is measured, its text is a model, and it fires when the neuron does."""

from __future__ import annotations

import numpy as np
import pytest
from noise_trials import noise
from numpy.testing import assert_allclose
from reference import kepecs_wang, spike_cut

import dendrosim as ds
from dendrosim import DendrosimError
from dendrosim.measures import coincidence_factor
from dendrosim.reduction import spike_cut as cut_of
from dendrosim.reduction.drive import noise_around_rheobase

KEPECS = ds.load_model("kepecs_wang_2000")


@pytest.fixture(scope="module")
def kepecs():
    return cut_of(KEPECS, noise("kepecs_wang_2000", 1))


@pytest.mark.parametrize(
    ("name", "least"), [("kepecs_wang_2000", 0.90), ("pinsky_rinzel_1994", 0.75)]
)
def test_it_fires_when_the_neuron_does_under_noise_that_was_not_measured(name, least):
    """The issue's numbers, fixed before: Gamma within 4 ms, eight trials, four means.

    The ceiling, the neuron against itself with half the step, is above 0.99.
    """
    model = ds.load_model(name)
    cut = cut_of(model, noise(name, 1))
    found, ceiling = [], []
    for seed in (7, 8):
        whole, half, own = (
            ds.simulate(m, noise(name, seed), dt=dt, record=[], progress=False).trains
            for m, dt in ((model, None), (model, model.dt / 2), (cut.model, None))
        )
        for a, b, c in zip(whole, half, own, strict=True):
            ceiling.append(coincidence_factor(a, b, 4e-3, 10.0))
            found.append(coincidence_factor(a, c, 4e-3, 10.0))
    assert np.mean(ceiling) > 0.95
    assert np.mean(found) >= least


def test_a_longer_step_is_enough(kepecs):
    """0.1 ms, five times the step that the spikes need."""
    protocol = noise("kepecs_wang_2000", 7)
    whole, own = (
        ds.simulate(m, protocol, dt=dt, record=[], progress=False).trains
        for m, dt in ((KEPECS, None), (kepecs.model, "0.1 ms"))
    )
    gammas = [coincidence_factor(a, b, 4e-3, 10.0) for a, b in zip(whole, own, strict=True)]
    assert np.mean(gammas) > 0.85


@pytest.mark.parametrize("device", ["numpy", "cpp"])
def test_an_independent_loop_fires_at_the_same_steps(kepecs, device):
    """The oracle reads the numbers of the map, as the text has them."""
    scale = {"t_spike": 1e3, "v_s": 1e3, "v_d": 1e3}  # s and V to ms and mV
    jump = kepecs.jump
    rows = np.array([scale.get(name, 1.0) for name in jump.outcomes])
    columns = np.array([scale.get(name, 1.0) for name in jump.predictors])

    def rounded(values):
        return np.vectorize(lambda v: float(f"{v:.7g}"))(values)

    run = ds.simulate(
        kepecs.model,
        ds.Protocol("150 ms", [ds.Stimulus("dendrite", "constant", amplitude="1.1 uA/cm**2")]),
        device=device, record=[], progress=False,
    )  # fmt: skip
    expected = spike_cut.run(
        kepecs_wang.INITIAL, 1.1, duration=150.0, dt=0.02,
        before=rounded(jump.mean_before * columns), after=rounded(jump.mean_after * rows),
        slopes=rounded(jump.slopes * rows[:, None] / columns),
        lowest=rounded(jump.lowest * rows)[:2], highest=rounded(jump.highest * rows)[:2],
    )  # fmt: skip
    assert len(expected) > 3
    assert_allclose(run.trains[0] * 1e3, expected, atol=1e-6)


def test_a_spike_stays_within_those_that_were_measured(kepecs):
    """Far beyond the drive of the measurement a straight line gives durations below 0."""
    strong = ds.load_protocol("dendritic_step").with_(amplitude="100 uA/cm**2")
    run = ds.simulate(kepecs.model, strong, record=["t_spike"], progress=False)
    lasted = run.traces["t_spike"].values[run.traces["t_spike"].values > 0]
    shortest, longest = kepecs.jump.widths.min(), kepecs.jump.widths.max()
    assert len(lasted) and lasted.min() > 0.99 * shortest and lasted.max() < 1.01 * longest
    assert np.diff(run.trains[0]).min() >= 0.99 * shortest


def test_the_report_says_what_the_map_leaves(kepecs):
    table = kepecs.table
    assert list(table.index) == ["t_spike", "v_s", "v_d", "h", "n", "q"]
    assert (table["sd left"] <= table["sd after"] * (1 + 1e-9)).all()
    assert table["mean after"]["t_spike"] == pytest.approx(0.58, abs=0.1)  # ms
    assert kepecs.spikes > 500 and kepecs.notes == ()


def test_a_saved_cut_is_a_model_file(kepecs, tmp_path):
    kepecs.save(tmp_path / "cut.toml")
    again = ds.load_model(tmp_path / "cut.toml")
    assert again.hash == kepecs.model.hash
    assert "v_d_before = v_d" in (tmp_path / "cut.toml").read_text()


def test_without_a_drive_it_is_noise_around_the_rheobase():
    drive = noise_around_rheobase(KEPECS)
    run = ds.simulate(KEPECS, drive, record=[], progress=False)
    rates = np.array([len(train) / run.duration for train in run.trains])
    assert rates.min() < 30 and (rates > 1).sum() >= 4 and np.ptp(rates) > 5
    assert cut_of(KEPECS).spikes > 300


@pytest.mark.parametrize(
    ("model", "drive", "told"),
    [
        ("lif", None, "is discrete: it has no time course"),
        (KEPECS.with_(threshold="", refractory=""), None, "has no threshold"),
        (KEPECS.with_(reset="v_s = -60*mV"), None, "has a reset"),
        (KEPECS.with_(parameters={"g_c": "[1, 2] mS/cm**2"}), None, "g_c has several values"),
        (KEPECS.with_(parameters={"g_Na": "0 mS/cm**2"}), None, "fires under no constant current"),
        (KEPECS, [], "has no protocol"),
        (KEPECS, ds.load_protocol("constant").with_(amplitude="0 uA/cm**2"), "fires 0 spikes"),
    ],
)
def test_what_cannot_be_cut_is_told(model, drive, told):
    with pytest.raises(DendrosimError, match=told):
        cut_of(model, drive)


def test_a_cut_is_not_cut_again(kepecs):
    with pytest.raises(DendrosimError, match="has a reset"):
        cut_of(kepecs.model)


def test_a_reset_may_name_values_for_later_lines():
    """The jump needs the states as they were: a name that is no state is such a value."""
    model = KEPECS.with_(reset="before = v_s\nv_s = v_d\nv_d = before")
    run = ds.simulate(
        model, ds.load_protocol("constant").with_(amplitude="10 uA/cm**2", duration="20 ms"),
        device="numpy", record=[], progress=False,
    )  # fmt: skip
    assert len(run.spike_t)
    for text, told in (
        ("before = v_s\nv_s = v_d", "not a state, and no later line uses it"),
        ("v_s = later\nlater = v_d", "later"),
        ("g_L = 1*mV", "g_L"),
        ("before = v_s\nq = before", "another unit"),
    ):
        with pytest.raises(DendrosimError, match=told):
            KEPECS.with_(reset=text)
