"""Fits recover known values, continue after a kill with the same result, and report doubts."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dendrosim as ds
from dendrosim.fitting.costs import read_cost
from dendrosim.fitting.features import FEATURES, distance, read_features, spreads
from dendrosim.fitting.free import read_free
from dendrosim.fitting.problem import Problem
from dendrosim.fitting.refine import Refined, refine
from dendrosim.fitting.report import standard_errors, value_notes
from dendrosim.fitting.responses import Runs
from dendrosim.fitting.targets import targets_of

KEPECS = ds.load_model("kepecs_wang_2000")
TRUTH = {"g_c": 1.0, "g_NaP": 0.12, "g_KS": 0.8, "g_Na": 55.0}  # mS/cm^2, of the model file
FREE = {"g_c": "0.25..4 mS/cm**2", "g_NaP": "0.05..0.5 mS/cm**2", "g_KS": "0.2..2.5 mS/cm**2",
        "g_Na": "15..150 mS/cm**2"}  # fmt: skip
ELSEWHERE = KEPECS.with_(
    parameters={
        "g_c": "1.7 mS/cm**2", "g_NaP": "0.2 mS/cm**2", "g_KS": "1.2 mS/cm**2",
        "g_Na": "40 mS/cm**2",
    }
)  # fmt: skip
LIF = ds.load_protocol("constant").with_(duration="100 ms", amplitude="[0.3, 0.5, 0.8]")


def step(amplitude, place="dendrite", name="step"):
    return ds.Protocol(
        "500 ms",
        [ds.Stimulus(place, "step", amplitude=amplitude, start="50 ms", stop="450 ms")],
        name=name,
    )


def fitted(model, data, free, protocol, **options):
    return ds.fit(model, data, free, protocol=protocol, progress=False, **options)


def lif(**options):
    given = {"population": 8, "generations": 6, **options}
    target = ds.load_model("lif").with_(parameters={"beta": "0.9"})
    return fitted("lif", given.pop("data", target), given.pop("free", {"beta": "0.7..0.99"}),
                  given.pop("protocol", LIF), **given)  # fmt: skip


def test_four_conductances_are_found_again_from_one_step():
    """The issue's number: within 1 %; least squares make it exact."""
    f = fitted(ELSEWHERE, KEPECS, FREE, step("1 uA/cm**2"), generations=25, population=48,
               unseen="dendritic_step")  # fmt: skip
    for name, value in TRUTH.items():
        assert abs(f.values["value"][name] / value - 1) < 1e-6
    np.testing.assert_allclose(f.table["coincidence factor"], 1)
    assert f.notes == ()
    np.testing.assert_allclose(
        float(f.model.parameters["g_c"].value), 10 * f.values["value"]["g_c"]
    )


def noisy(protocol, seed):
    """Return a recording with 1 mV of noise."""
    r = ds.simulate(KEPECS, protocol, record_dt="0.1 ms", progress=False)
    v = r.traces["v_s"]
    noise = np.random.default_rng(seed).normal(0, 1e-3, v.shape)
    return replace(r, traces=r.traces.assign(v_s=v.copy(data=v.values + noise)))


@pytest.mark.slow
def test_with_noise_two_protocols_give_the_values_and_the_spikes_of_a_third():
    """The issue's numbers, fixed before: within 15 %, coincidence above 0.8 where unseen."""
    protocols = [step("1 uA/cm**2", name="one"), step("[0.5, 2] uA/cm**2", "soma", "two")]
    held = ds.load_protocol("ou_noise").with_(duration="1 s", sigma="3 uA/cm**2")
    f = fitted(
        ELSEWHERE, [noisy(p, k) for k, p in enumerate(protocols)], FREE, protocols, unseen=held,
        unseen_data=noisy(held, 7), generations=40, population=48,
    )  # fmt: skip
    for name, value in TRUTH.items():
        assert abs(f.values["value"][name] / value - 1) < 0.15
    assert f.table.set_index("protocol")["coincidence factor"]["ou_noise"] > 0.8
    errors = f.values["standard error"]
    assert (errors > 0).all()


def test_a_fit_goes_on_where_it_was_killed_with_the_same_result(tmp_path):
    other = ds.load_model("lif").with_(parameters={"V_th": "0.7"})  # which no beta equals
    options = {"data": other, "seed": [3, 4], "generations": 3}
    whole = lif(out=tmp_path / "whole", **options)
    for kept in (1, 9):  # lines of the first seed's history that a kill has left
        folder = tmp_path / f"killed_{kept}"
        folder.mkdir()
        shutil.copy(tmp_path / "whole" / "settings.json", folder)
        lines = (tmp_path / "whole" / "candidates_3.csv").read_text().splitlines(keepends=True)
        # a generation is written as a whole
        end = 1 + 8 * ((kept - 1) // 8)
        (folder / "candidates_3.csv").write_text("".join(lines[:end]))
        again = lif(out=folder, **options)
        for name in ("candidates_3.csv", "candidates_4.csv", "fitted.toml", "values.csv"):
            assert (folder / name).read_text() == (tmp_path / "whole" / name).read_text()
        assert again.history.equals(whole.history)


def test_searches_in_two_processes_are_those_of_one():
    other = ds.load_model("lif").with_(parameters={"V_th": "0.7"})  # which no beta equals
    options = {"data": other, "seed": [3, 4], "generations": 2}
    one, two = lif(**options), lif(jobs=2, **options)
    assert one.history.equals(two.history) and one.optima.equals(two.optima)


def test_finished_generations_are_not_computed_again(tmp_path, monkeypatch):
    other = ds.load_model("lif").with_(parameters={"V_th": "0.7"})  # which no beta equals
    lif(data=other, out=tmp_path / "f", generations=2)
    count = []
    own = Problem.costs
    monkeypatch.setattr(Problem, "costs", lambda self, x: count.append(len(x)) or own(self, x))
    lif(data=other, out=tmp_path / "f", generations=3)
    assert count == [8]


@pytest.mark.parametrize(
    ("change", "told"),
    [({"free": {"beta": "0.6..0.99"}}, "free"), ({"cost": "spikes"}, "cost"),
     ({"population": 9}, "population"), ({"data": "lif"}, "data"),
     ({"optimiser": "de"}, "optimiser")],
    ids=str,
)  # fmt: skip
def test_a_folder_of_another_fit_is_refused(tmp_path, change, told):
    lif(out=tmp_path / "f", generations=1)
    with pytest.raises(ds.DendrosimError, match=f"another fit: {told}"):
        lif(out=tmp_path / "f", **change)


@pytest.mark.parametrize("optimiser", ["cma", "de"])
def test_both_optimisers_find_a_rate(optimiser):
    f = lif(optimiser=optimiser, population=16, generations=12, cost=["features", "fi"])
    assert abs(f.table["spikes, fit"][0] - f.table["spikes, target"][0]) <= 2
    assert abs(f.values["value"]["beta"] - 0.9) < 0.02


def test_a_diverging_candidate_has_the_worst_rank_and_the_fit_ends():
    wide = {"amplitude": "0.5..1e6 uA/cm**2"}
    f = fitted(KEPECS, KEPECS, wide, step("1 uA/cm**2").with_(duration="80 ms", stop="70 ms"),
               population=16, generations=4)  # fmt: skip
    assert np.isfinite(f.cost)
    assert abs(np.log(f.values["value"]["amplitude"])) < 1.5


def test_recordings_and_tables_are_targets(tmp_path):
    protocol = step("1 uA/cm**2").with_(duration="150 ms", stop="140 ms")
    r = ds.simulate(KEPECS, protocol, record_dt="0.1 ms", progress=False)
    r.save(tmp_path / "cell.nc")
    table = np.c_[r.traces["time"], r.traces["v_s"].values]
    np.savetxt(tmp_path / "cell.csv", table, delimiter=",", header="time,v", comments="")
    runs = Runs()
    own, saved, text = (
        targets_of(data, [protocol], runs)[0].responses[0]
        for data in (r, tmp_path / "cell.nc", tmp_path / "cell.csv")
    )
    assert np.array_equal(own.v, saved.v) and np.array_equal(own.train, saved.train)
    np.testing.assert_allclose(text.v, own.v, atol=1e-12)
    assert len(text.train) == len(own.train)
    np.testing.assert_allclose(text.train, own.train, atol=1e-3)


def test_doubts_are_told():
    alone = lif(cost="spikes", generations=2)
    assert any("spikes alone" in note for note in alone.notes)
    bound = lif(free={"beta": "0.7..0.75"}, generations=6)
    assert any("beta ended at the highest value" in note for note in bound.notes)


def test_a_value_that_the_data_do_not_determine_is_named():
    free = read_free(FREE, KEPECS, [step("1 uA/cm**2")])
    notes = value_notes(free, np.array([0.5, 0.5, 0.5, 0.999]), np.array([0.01, 0.6, 0.1, 0.1]))
    assert [note.split()[0] for note in notes] == ["g_NaP", "g_Na"]
    assert "60% of its range" in notes[0] and "highest value of its range" in notes[1]


@pytest.mark.parametrize("correlation", [0.0, 0.8])
def test_standard_errors_are_the_scatter_of_repeated_fits(correlation):
    """Law: of a linear model with noise of known correlation (least squares, Monte Carlo)."""
    rng = np.random.default_rng(0)
    t = np.linspace(0, 1, 2000)
    jacobian = np.stack([np.sin(7 * t), t], axis=1)
    found, told = [], []
    for _ in range(300):
        noise = rng.normal(0, 1, len(t))
        for k in range(1, len(t)):
            noise[k] += correlation * (noise[k - 1] - 0)
        x, *_ = np.linalg.lstsq(jacobian, noise, rcond=None)
        found.append(x)
        told.append(standard_errors(Refined(x, jacobian, noise - jacobian @ x, 0))[0])
    np.testing.assert_allclose(np.mean(told, axis=0), np.std(found, axis=0), rtol=0.25)


def test_least_squares_are_exact_from_nearby():
    protocol = step("1 uA/cm**2")
    free = read_free(FREE, KEPECS, [protocol])
    runs = Runs()
    targets = targets_of(KEPECS, [protocol], runs)
    cost = read_cost("features", targets, read_features(None), {})
    problem = Problem(KEPECS, free, targets, cost, runs)
    found = refine(problem.respond, targets, problem.start + 0.003 * np.array([1, -1, 1, -1]))
    np.testing.assert_allclose(found.x, problem.start, atol=1e-8)
    assert found.rms < 1e-9


WRONG = [
    ({"free": {"bet": None}}, "did you mean 'beta'"),
    ({"free": {"beta": "0.7"}}, "should be a range"),
    ({"free": {"beta": "0.9..0.7"}}, "lower to a higher"),
    ({"free": {"beta": "0.7..0.9 mV"}}, "beta"),
    ({"free": {}}, "should map names to ranges"),
    ({"free": "beta"}, "should map names to ranges"),
    ({"free": {"initial.U": None}}, "is 0, so it needs a range"),
    ({"cost": "rmse"}, "unknown cost"),
    ({"cost": {"fi": -1}}, "above 0"),
    ({"optimiser": "adam"}, "unknown optimiser"),
    ({"features": ["spike"]}, "did you mean 'spikes'"),
    ({"spread": {"spike": 1}}, "not a feature"),
    ({"population": 1}, "population"),
    ({"seed": [1, 1]}, "none twice"),
    ({"protocol": []}, "at least one protocol"),
    ({"data": 3}, "should be a model, a Recording or a file"),
    ({"data": ["lif", "lif"]}, "2 recording(s) for 1 protocol(s)"),
    ({"cost": "fi", "protocol": LIF.with_(amplitude="0")}, "never fires"),
]


@pytest.mark.parametrize(("change", "told"), WRONG, ids=str)
def test_wrong_arguments_are_told(change, told, tmp_path):
    with pytest.raises(ds.DendrosimError) as error:
        lif(**change, out=tmp_path / "f")
    assert told in str(error.value)


def test_a_recording_of_another_protocol_is_refused(tmp_path):
    r = ds.simulate("lif", LIF, device="numpy")
    with pytest.raises(ds.DendrosimError, match="has 3 neuron"):
        lif(data=r, protocol=LIF.with_(amplitude="0.5"))
    with pytest.raises(ds.DendrosimError, match=r"lasts 0\.1 s"):
        lif(data=r, protocol=LIF.with_(duration="50 ms"))
    (tmp_path / "mv.csv").write_text("time,v\n0,-65\n0.001,-64\n0.002,-65\n0.003,-65\n")
    with pytest.raises(ds.DendrosimError, match="they should be in volt"):
        lif(data=tmp_path / "mv.csv", protocol=LIF.with_(amplitude="0.5"))


# Laws of the features


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1e3, 1e3) | st.just(np.nan), min_size=len(FEATURES),
                max_size=len(FEATURES)))  # fmt: skip
def test_equal_features_cost_nothing_and_others_something(values):
    own = np.array(values)
    spread = spreads(own, FEATURES, {})
    assert (spread > 0).all()
    assert distance(own, own, spread) == 0
    moved = own.copy()
    known = np.isfinite(own)
    if known.any():
        moved[known] += spread[known]
        np.testing.assert_allclose(distance(moved, own, spread), 1, rtol=1e-6)
        gone = np.full(len(own), np.nan)
        np.testing.assert_allclose(distance(gone, own, spread), 10)
