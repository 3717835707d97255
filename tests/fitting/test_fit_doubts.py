"""Fits that a reader would believe wrongly: each is refused, or has a note."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import dendrosim as ds
from dendrosim import DendrosimError
from dendrosim.cli.commands import main
from dendrosim.fitting.responses import Runs, are_samples
from dendrosim.fitting.spike_times import Threshold, crossings, spike_times, threshold_of
from dendrosim.fitting.targets import targets_of

KEPECS = ds.load_model("kepecs_wang_2000").with_(parameters={"g_c": "3 mS/cm**2"})
PROTOCOL = ds.load_protocol("step").with_(
    amplitude="4 uA/cm**2", duration="100 ms", start="20 ms", stop="90 ms",
    measure={"start": "20 ms", "stop": "90 ms"},
)  # fmt: skip
FREE = {"g_c": "1..12 mS/cm**2"}
LIF = ds.load_protocol("constant").with_(duration="100 ms", amplitude="0.5")
RUNS = Runs(device="numpy")


def fitted(data, free=FREE, **options):
    given = {"protocol": PROTOCOL, "population": 4, "generations": 1, "refine": False, **options}
    return ds.fit(KEPECS, data, free, progress=False, **given)


def lif(**options):
    given = {"protocol": LIF, "population": 4, "generations": 1, "device": "numpy", **options}
    free = given.pop("free", {"beta": "0.7..0.99"})
    target = given.pop("data", ds.load_model("lif").with_(parameters={"V_th": "0.7"}))
    return ds.fit("lif", target, free, progress=False, **given)


@pytest.fixture(scope="module")
def run():
    """A run at every step of the model."""
    return ds.simulate(KEPECS, PROTOCOL, progress=False)


def written(path, times, v):
    np.savetxt(path, np.c_[times, v], delimiter=",", header="time,v", comments="", fmt="%.9g")
    return path


# One criterion for the spikes of target and candidates


@pytest.mark.parametrize("kind", ["Recording", "nc", "csv", "thinned"])
def test_a_target_without_noise_costs_nothing_at_the_true_values(run, kind, tmp_path):
    """Law: to the nine digits of the table."""
    times, v = run.traces["time"].values, run.traces["v_s"].values[:, 0]
    if kind == "nc":
        run.save(tmp_path / "cell.nc")
    every = 3 if kind == "thinned" else 1  # a step that is no part of 0.1 ms
    table = written(tmp_path / "cell.csv", times[::every], v[::every])
    data = {"Recording": run, "nc": tmp_path / "cell.nc"}.get(kind, table)
    close = {"g_c": "2.9999999999..3.0000000001 mS/cm**2"}
    one = fitted(data, close)
    assert one.cost < (0.05 if kind == "thinned" else 1e-6)
    assert one.table["rms voltage error (mV)"][0] < 1e-6
    assert one.notes == ()
    (target,) = targets_of(data, [PROTOCOL], Runs(), "data", None, KEPECS)
    assert len(target.responses[0].train) == len(run.trains[0]) > 0
    np.testing.assert_allclose(
        target.responses[0].train, run.trains[0], atol=1e-9 if kind != "thinned" else 2.1e-5
    )


def test_a_table_of_every_step_gives_the_value_of_one_of_every_fifth(run, tmp_path):
    times, v = run.traces["time"].values, run.traces["v_s"].values[:, 0]
    free = {"g_c": "2.5..3.5 mS/cm**2"}
    for every in (1, 5):
        table = written(tmp_path / "cell.csv", times[::every], v[::every])
        found = fitted(table, free, refine=True, population=8, generations=4)
        np.testing.assert_allclose(found.values["value"]["g_c"], 3, rtol=1e-7)


def test_a_threshold_is_a_level_of_the_potential():
    assert threshold_of(KEPECS, KEPECS.dt) == Threshold(-20e-3, 2e-5)
    assert threshold_of(ds.load_model("lif"), 1e-3) is None
    own = Threshold(0.0, 1.0)
    v = np.array([-1.0, -1, 1, 1, -1, -3, 1])
    np.testing.assert_allclose(crossings(v, 1.0, 0.0, own), [2, 6])
    # between coarse samples the potential is a line, and the spike at the end of the model's step
    np.testing.assert_allclose(crossings(np.array([-3.0, 1]), 4.0, 8.0, own), [12])
    np.testing.assert_allclose(crossings(np.array([-1.0, 3]), 4.0, 8.0, own), [10])
    np.testing.assert_allclose(crossings(v, 1.0, 0.0, replace(own, pause=4.5)), [2])


def test_a_noisy_potential_has_one_spike_for_each_rise():
    """Noise crosses the level many times."""
    t = np.arange(0, 0.1, 5e-5)
    v = -65e-3 + 90e-3 * sum(np.exp(-(((t - at) / 4e-4) ** 2)) for at in (0.03, 0.06))
    noise = np.random.default_rng(0).normal(0, 0.3e-3, len(t))
    slow = np.where((t > 0.08) & (t < 0.09), 45e-3, 0)  # a plateau at the level
    own = Threshold(-20e-3, 5e-5)
    found = spike_times(v + noise + slow, 5e-5, 0.0, own)
    assert len(crossings(v + noise + slow, 5e-5, 0.0, own)) > 10
    np.testing.assert_allclose(found[:2], [0.0298, 0.0598], atol=3e-4)
    assert len(found) == 2


def test_candidates_are_sampled_as_their_target():
    assert are_samples(np.array([0, 1e-4, 2e-4]), 2e-5)
    for apart, wanted in ((1e-4, 1e-4), (2.5e-4, 2e-5), (6e-5, 6e-5), (3e-4, 1e-4)):
        times = np.arange(0, 0.01, apart)
        assert float(RUNS.of(KEPECS, times)["record_dt"]) == pytest.approx(wanted)


# Folders


def test_another_spread_is_another_fit(tmp_path):
    lif(out=tmp_path / "f")
    with pytest.raises(DendrosimError, match=r"another fit: spread: spikes is only here"):
        lif(out=tmp_path / "f", spread={"spikes": 3})


def test_candidates_without_settings_are_refused(tmp_path):
    lif(out=tmp_path / "f")
    (tmp_path / "f" / "settings.json").unlink()
    with pytest.raises(DendrosimError, match=r"candidates of a fit, but not its settings\.json"):
        lif(out=tmp_path / "f", free={"beta": "0.8..0.9"})


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "values.csv").write_text("mine")
    with pytest.raises(DendrosimError, match=r"holds values\.csv, which is not of a fit"):
        lif(out=tmp_path)
    assert [one.name for one in tmp_path.iterdir()] == ["values.csv"]


@pytest.mark.parametrize("line", ["0,0.5", "0,0.5,x", "0,nan,1.0", ""])
def test_a_damaged_history_names_its_line(tmp_path, line):
    lif(out=tmp_path / "f")
    path = tmp_path / "f" / "candidates_0.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:2], line, *lines[3:]]) + "\n")
    with pytest.raises(DendrosimError, match=r"candidates_0\.csv: line 3, .* is not 3 numbers"):
        lif(out=tmp_path / "f")


# What is compared


def test_the_table_has_the_features_and_spreads_of_the_fit():
    one = lif(features=["spikes"], spread={"spikes": 2.0})
    row = one.table.iloc[0]
    expected = min(abs(row["spikes, fit"] - row["spikes, target"]) / 2, 10)
    assert row["features (spreads)"] == pytest.approx(expected)
    assert one.cost == pytest.approx(expected)


def test_no_features_compare_nothing():
    with pytest.raises(DendrosimError, match=r"features = \[\] compares nothing"):
        lif(features=[])


def test_the_same_data_twice_are_refused(run):
    same = ds.Protocol("100 ms", LIF.stimuli, name="other")
    for options, told in (
        ({"protocol": [LIF, LIF]}, "constant is given twice with the same data"),
        ({"protocol": [LIF, same]}, "other is given twice"),
        ({"unseen": LIF}, "fitted to the same data, so it is not unseen"),
        ({"unseen_data": "lif"}, "unseen_data needs unseen"),
    ):
        with pytest.raises(DendrosimError, match=told):
            lif(**options)
    # another recording under the same protocol is another target
    noise = np.random.default_rng(0).normal(0, 1e-3, run.traces["v_s"].shape)
    again = replace(run, traces=run.traces.assign(v_s=run.traces["v_s"] + noise))
    assert len(fitted([run, again], protocol=[PROTOCOL, PROTOCOL]).table) == 2


def test_the_command_refuses_data_for_no_protocol(capsys):
    words = ["fit", "lif", "--to", "lif", "--protocol", "constant", "--free", "beta=0.7..0.9",
             "--set", "amplitude=0.5", "--unseen-to", "x.csv"]  # fmt: skip
    assert main(words) == 2
    assert "unseen_data needs unseen" in capsys.readouterr().err


# What the fit found


def test_a_value_without_effect_has_no_standard_error(run):
    one = fitted(run, {"stop": "110..900 ms", **FREE}, refine=True,
                 protocol=PROTOCOL.with_(stop="110 ms"))  # fmt: skip
    errors = one.values["standard error"]
    assert np.isnan(errors["stop"]) and errors["g_c"] > 0
    assert any("stop does not change the potential" in note for note in one.notes)


def test_when_every_candidate_diverges_there_is_no_fit(run):
    with pytest.raises(DendrosimError, match=r"all 4 candidates diverge.*another range of g_c"):
        fitted(run, {"g_c": "100..120 mS/cm**2"})


def test_a_hopeless_fit_says_so(run, tmp_path):
    times, v = run.traces["time"].values, run.traces["v_s"].values[:, 0]
    flat = fitted(written(tmp_path / "cell.csv", times, np.full(len(v), -65e-3)))
    assert any("is large: nothing in these ranges" in note for note in flat.notes)
    assert any("the target fires 0 spike(s) and the fit" in note for note in flat.notes)
    coarse = fitted(written(tmp_path / "cell.csv", times[::250], v[::250]))
    assert any("5 ms apart, so that spikes can be missed" in note for note in coarse.notes)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda v: v * 1e-3, "no potential beyond .*they should be in volt"),
        (lambda v: v * 0, "no potential beyond 0 V"),
        (lambda v: -v, "half of the potentials are above 0.06"),
    ],
)
def test_potentials_that_no_cell_has_are_refused(run, tmp_path, change, told):
    v = run.traces["v_s"].values[:, 0]
    with pytest.raises(DendrosimError, match=told):
        fitted(written(tmp_path / "cell.csv", run.traces["time"].values, change(v)))


@pytest.mark.parametrize("options", [{"cost": "fi"}, {"features": ["spikes"]}], ids=str)
def test_a_value_on_a_plateau_is_one_of_many(options):
    """The number of spikes is the same for a range of values."""
    target = ds.load_model("lif").with_(parameters={"beta": "0.9"})
    one = lif(data=target, free={"beta": "0.8999..0.9001"}, **options)
    assert any("beta is one value of many" in note for note in one.notes)
    assert one.cost == 0


def test_a_recording_with_other_spikes_for_the_model_is_told(run, tmp_path):
    """A slow wave above the threshold is a spike of the model, and no fast rise."""
    times, v = run.traces["time"].values, run.traces["v_s"].values[:, 0]
    v = v + 60e-3 * np.exp(-(((times - 0.085) / 4e-3) ** 2))
    one = fitted(written(tmp_path / "cell.csv", times, v))
    assert any("fast rise(s), and" in note for note in one.notes)
