"""Sweeps: every point is what a run of its own gives, whatever the chunk and the engine."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr
from brian2 import Quantity
from hypothesis import given, settings
from hypothesis import strategies as st

import dendrosim as ds
from dendrosim.sweeps.axes import read_axes
from dendrosim.sweeps.design import make_design
from dendrosim.sweeps.packing import pack, run_pack

KEPECS = ds.load_model("kepecs_wang_2000")
SHORT = ds.load_protocol("constant").with_(duration="60 ms")
AXES = {"g_c": "uniform(5, 15) mS/cm**2", "g_NaP": "uniform(0.1, 0.3) mS/cm**2"}


def swept(axes=AXES, protocol=SHORT, model=KEPECS, **options):
    options.setdefault("engine", 1)
    return ds.sweep(model, protocol, axes, progress=False, **options)


def same(one, other):
    return one.to_xarray().drop_attrs().identical(other.to_xarray().drop_attrs())


# Oracle: one run per point


def test_a_point_is_what_a_run_of_its_own_gives():
    s = swept(design="sobol", n=8, spikes=True, traces=["v_s"])
    found = s.to_xarray()
    for k in range(8):
        own = {name: f"{float(found[name][k])!r} siemens/meter**2" for name in ("g_c", "g_NaP")}
        r = ds.simulate(KEPECS.with_(parameters=own), SHORT, record_dt="0.1 ms")
        np.testing.assert_allclose(s.spikes(k)[0], r.trains[0], atol=1e-12)
        assert found["spikes"][k] == len(r.trains[0])
        np.testing.assert_allclose(found["rate"][k], len(r.trains[0]) / 0.06)
        np.testing.assert_allclose(found["trace_v_s"][k], r.traces["v_s"].values[:, 0], atol=1e-9)
    np.testing.assert_array_equal(found["time"], r.traces["time"])


def test_the_grid_of_the_protocol_is_a_dimension_of_each_point():
    protocol = SHORT.with_(amplitude="[0.5, 2, 4] uA/cm**2")
    s = swept({"g_c": "[5, 10] mS/cm**2"}, protocol, measures=["spikes", "rheobase"])
    found = s.to_xarray()
    assert found["spikes"].dims == ("g_c", "amplitude")
    np.testing.assert_allclose(found["amplitude"], [5e-3, 2e-2, 4e-2])
    for g_c, row in zip(("5", "10"), found["spikes"].values, strict=True):
        r = ds.simulate(KEPECS.with_(parameters={"g_c": f"{g_c} mS/cm**2"}), protocol)
        assert row.tolist() == [len(train) for train in r.trains]
    assert found["rheobase"].dims == ("g_c",)


def test_a_swept_stimulus_beside_a_grid_of_the_protocol():
    protocol = SHORT.with_(amplitude="[0.5, 2] uA/cm**2")
    s = swept({"start": "[0, 20] ms"}, protocol, measures=["first_spike_latency"])
    found = s.to_xarray()["first_spike_latency"]
    for start, row in zip((0, 20), found.values, strict=True):
        r = ds.simulate(KEPECS, protocol.with_(start=f"{start} ms"))
        wanted = [train[0] - start * 1e-3 if len(train) else np.nan for train in r.trains]
        np.testing.assert_allclose(row, wanted, atol=1e-9)


def test_noise_of_a_point_depends_on_its_number_alone():
    noise = ds.load_protocol("ou_noise").with_(duration="60 ms")
    axes = {"g_c": "[5, 10, 15] mS/cm**2"}
    s = swept(axes, noise, repeats=2, spikes=True, measures=["spikes"])
    found = s.to_xarray(unstack=False)
    assert len(set(found["seed"].values.tolist())) == 6
    for k in (0, 3, 5):
        model = KEPECS.with_(parameters={"g_c": f"{5 * (k // 2 + 1)} mS/cm**2"})
        r = ds.simulate(model, noise, seed=int(found["seed"][k]))
        np.testing.assert_allclose(s.spikes(k)[0], r.trains[0], atol=1e-12)


OWN = ds.Protocol(
    "200 ms",
    [ds.Stimulus("soma", "ou", mean="[0.4, 0.9]", sigma="0.5", tau="5 ms", sample="1 ms", seed=3,
                 independent=True)],
)  # fmt: skip


@pytest.mark.parametrize("stimulus", [False, True])
def test_points_of_a_pack_have_the_independent_noise_of_a_run_of_their_own(stimulus):
    """Also where a value of the stimulus varies from point to point."""
    model, sigmas = ds.load_model("lif"), [0.5, 0.8, 1.1]
    values = {"stimuli.0.sigma" if stimulus else "parameters.V_th": Quantity(sigmas)}
    packed = pack(model, OWN, values, points=3)
    run = run_pack(packed, device="numpy", threads=1, method=None, dt=None, dtype="float64",
                   record=[], record_dt=None)  # fmt: skip
    for point, value in enumerate(sigmas):
        protocol = OWN.with_(sigma=str(value)) if stimulus else OWN
        own = model if stimulus else model.with_(parameters={"V_th": str(value)})
        alone = ds.simulate(own, protocol, device="numpy").trains
        assert min(len(train) for train in alone) > 3 and len(alone) == 2
        for neuron, train in zip(packed.neurons_of(point), alone, strict=True):
            np.testing.assert_allclose(run.trains[neuron], train, atol=1e-12)


def test_independent_noise_of_a_point_is_that_of_its_seed():
    s = swept({"parameters.V_th": "[0.5, 1]"}, OWN, "lif", device="numpy", repeats=2, spikes=True,
              measures=["spikes"])  # fmt: skip
    seeds = s.to_xarray(unstack=False)["seed"].values
    for k in range(4):
        model = ds.load_model("lif").with_(parameters={"V_th": ["0.5", "1"][k // 2]})
        alone = ds.simulate(model, OWN, seed=int(seeds[k]), device="numpy").trains
        for found, train in zip(s.spikes(k), alone, strict=True):
            np.testing.assert_allclose(found, train, atol=1e-12)


def test_words_models_and_durations_are_axes():
    model, strong = ds.load_model("two_compartment"), SHORT.with_(amplitude="0.7")
    s = swept({"into": ["soma", "dendrite"], "protocol.duration": "[10, 20] ms"},
              strong, model, measures=["spikes"], device="numpy")  # fmt: skip
    found = s.to_xarray()["spikes"]
    assert len(np.unique(found.values)) > 2
    for into in ("soma", "dendrite"):
        for ms in (10, 20):
            protocol = strong.with_(into=into, duration=f"{ms} ms")
            wanted = len(ds.simulate(model, protocol, device="numpy").trains[0])
            assert found.sel(into=into, duration=ms * 1e-3) == wanted
    lif = ds.load_protocol("constant").with_(duration="100 ms")
    axes = {"model": ["lif", "plif"], "amplitude": "[0.1, 0.9]"}
    own = swept(axes, lif, "lif", device="numpy", measures=["spikes"]).to_xarray()["spikes"]
    for name in ("lif", "plif"):
        r = ds.simulate(name, lif.with_(amplitude="[0.1, 0.9]"), device="numpy")
        assert own.sel(model=name).values.tolist() == [len(train) for train in r.trains]


# Law: the result does not depend on how the sweep was computed


def test_results_are_equal_bit_for_bit_for_any_chunk_and_engine(tmp_path):
    options = {"design": "sobol", "n": 128, "spikes": True, "traces": ["v_d"]}
    whole = swept(**options)
    small = swept(**options, chunk=37, out=tmp_path / "small.zarr")
    two = swept(**options, chunk=50, engine=2, out=tmp_path / "two.zarr")
    assert same(whole, small)
    assert same(whole, two)
    for k in (0, 36, 37, 127):
        assert np.array_equal(whole.spikes(k)[0], small.spikes(k)[0])
        assert np.array_equal(whole.spikes(k)[0], two.spikes(k)[0])


def test_the_tasks_of_a_job_array_share_a_store(tmp_path):
    options = {"design": "random", "n": 40, "chunk": 7, "out": tmp_path / "s.zarr"}
    for k in (3, 1, 2):
        s = swept(**options, task=(k, 3))
    assert s.counts["done"] == 40
    assert same(s, swept(design="random", n=40))


def test_a_finished_chunk_is_not_computed_again(tmp_path, monkeypatch):
    from dendrosim.sweeps import chunks

    options = {"design": "random", "n": 20, "chunk": 8, "out": tmp_path / "s.zarr"}
    swept(**options, task=(1, 3))
    computed, own = [], chunks.compute

    def watched(plan, points):
        computed.append(points.tolist())
        return own(plan, points)

    monkeypatch.setattr(chunks, "compute", watched)
    s = swept(**options)
    assert computed == [list(range(8, 16)), list(range(16, 20))]
    assert s.counts["done"] == 20
    swept(**options)
    assert len(computed) == 2


def test_xarray_opens_the_store(tmp_path):
    swept({"g_c": "[5, 10] mS/cm**2"}, out=tmp_path / "s.zarr")
    found = xr.open_zarr(tmp_path / "s.zarr")
    assert found["status"].values.tolist() == [1, 1]
    assert found["g_c"].attrs["units"] == "siemens/meter**2"
    assert found["rate"].attrs["units"] == "hertz"
    np.testing.assert_allclose(found["g_c"], [50, 100])


# What goes wrong


def test_a_diverging_point_is_marked_and_the_others_go_on():
    s = swept({"amplitude": "[0.5, 1, 1e5] uA/cm**2"}, measures=["spikes"])
    assert s.counts == {"to_do": 0, "done": 2, "diverged": 1, "failed": 0}
    assert s.failed()["status"].to_dict() == {2: "diverged"}
    found = s.to_xarray()["spikes"].values
    assert np.isnan(found[2]) and np.isfinite(found[:2]).all()


def test_a_failing_point_is_marked_with_its_error_and_the_others_go_on(tmp_path):
    def spikes_or_error(run):
        if len(run.trains[0]) > 1:
            raise ds.DendrosimError("too many spikes")
        return len(run.trains[0])

    axes = {"amplitude": "[0, 0.1, 3, 0.05] uA/cm**2"}
    s = swept(axes, measures=["spikes", spikes_or_error])
    alone = swept(axes, measures=["spikes"]).to_xarray()["spikes"].values
    lost = s.failed()
    assert lost.index.tolist() == np.flatnonzero(alone > 1).tolist()
    assert len(lost) and set(lost["error"]) == {"too many spikes"}
    kept = s.to_xarray()["spikes"].values
    assert np.array_equal(kept[alone <= 1], alone[alone <= 1])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"seed": 1}, "seed is 0 there and 1 here"),
        ({"n": 16}, "points is 8 there and 16 here"),
        ({"measures": ["rate"]}, "measures"),
        ({"dt": "0.01 ms"}, "dt is null there"),
        ({"protocol": SHORT.with_(amplitude="1 uA/cm**2")}, "protocols"),
        ({"model": KEPECS.with_(parameters={"g_Na": "46 mS/cm**2"})}, "models"),
        ({"axes": {"g_c": "uniform(5, 16) mS/cm**2"}}, "axes"),
    ],
    ids=str,
)
def test_a_store_of_another_sweep_is_refused(tmp_path, change, told):
    own = {"axes": {"g_c": "uniform(5, 15) mS/cm**2"}, "design": "sobol", "n": 8,
           "out": tmp_path / "s.zarr"}  # fmt: skip
    swept(**own)
    with pytest.raises(ds.DendrosimError, match="another sweep") as error:
        swept(**own | change)
    assert told in str(error.value)


WRONG = [
    ({"axes": {"gc": "[1, 2]"}}, "did you mean 'g_c'"),
    ({"axes": {"g_c": "[1, 2]"}}, "has no unit"),
    ({"axes": {"g_c": "[1, -2] mS/cm**2"}}, "below 0"),
    ({"axes": {"g_c": "[1, 1] mS/cm**2"}}, "a value twice"),
    ({"axes": {"g_c": "uniform(2, 1) mS/cm**2"}, "design": "random", "n": 2}, "lower to a higher"),
    ({"axes": {"g_c": "loguniform(0, 1) mS/cm**2"}, "design": "random", "n": 2}, "above 0"),
    ({"axes": {"g_c": "uniform(1, 2) mS/cm**2"}}, "choose design = 'sobol'"),
    ({"axes": {"protocol.duration": "uniform(9, 10) ms"}, "design": "random", "n": 2},
     "give a list"),
    ({"axes": {}}, "should map names to values"),
    ({"axes": ["g_c"]}, "should map names to values"),
    ({"axes": {"model": "lif"}}, "a list of names"),
    ({"design": "sobol", "n": 10}, "power of two, such as 8 or 16"),
    ({"design": "sobol"}, "needs n"),
    ({"axes": {"g_c": "[1, 2] mS/cm**2"}, "n": 3}, "n = 3 is for drawn points"),
    ({"axes": {"g_c": "[1, 2] mS/cm**2"}, "repeats": 3}, "all repeats would be equal"),
    ({"axes": {"g_c": "[1, 2] mS/cm**2", "g_Na": "[45, 46, 47] mS/cm**2"}, "design": "zip"},
     "parameters.g_c has 2"),
    ({"axes": {"g_c": "[1, 2] mS/cm**2"}, "measures": ["rat"]}, "did you mean 'rate'"),
    ({"axes": {"g_c": "[1, 2] mS/cm**2"}, "measures": "rate"}, "should be a list"),
    ({"axes": {"g_c": "[1, 2] mS/cm**2"}, "measures": ["rheobase"]}, "grid of constant currents"),
    ({"axes": {"g_c": "[1, 2] mS/cm**2"}, "traces": ["v"]}, "no variable 'v'"),
    ({"axes": {"g_c": "[1, 2] mS/cm**2"}, "engine": "two"}, "engine = 'two'"),
    ({"axes": {"g_c": "[1, 2] mS/cm**2"}, "task": (1, 2)}, "task needs out"),
    ({"axes": {"g_c": "[1, 2] mS/cm**2"}, "design": "all"}, "unknown design"),
    ({"axes": {"g_c": "[1, 2] mS/cm**2"}, "chunk": 0}, "chunk"),
    ({"axes": {"model": ["lif", "kepecs_wang_2000"], "g_c": "[1, 2] mS/cm**2"}}, "in lif"),
    ({"axes": {"amplitude": "[1, 2] mS"}}, "goes into an input"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "told"), WRONG, ids=str)
def test_wrong_arguments_are_told_before_anything_is_written(arguments, told, tmp_path):
    out = tmp_path / "s.zarr"
    arguments = {"out": out, **arguments}
    if "task" in arguments:
        del arguments["out"]
    with pytest.raises(ds.DendrosimError) as error:
        swept(**arguments)
    assert told in str(error.value)
    assert not list(tmp_path.iterdir())


def test_something_else_is_not_a_store(tmp_path):
    (tmp_path / "file").write_text("text")
    (tmp_path / "folder").mkdir()
    for name in ("file", "folder"):
        with pytest.raises(ds.DendrosimError, match="is not the store of a sweep"):
            swept({"g_c": "[5, 10] mS/cm**2"}, out=tmp_path / name)
    with pytest.raises(ds.DendrosimError, match="is not the store of a sweep"):
        ds.load_sweep(tmp_path / "nothing")


# Designs


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(["random", "sobol", "lhs"]), st.integers(0, 5), st.integers(0, 1000))
def test_draws_fill_their_ranges(kind, power, seed):
    axes = read_axes({"g_c": "uniform(1, 3) mS/cm**2", "g_NaP": "loguniform(0.01, 1) mS/cm**2"},
                     KEPECS, SHORT)  # fmt: skip
    design = make_design(axes, kind, 2**power, seed=seed)
    linear, log = design.columns
    assert ((linear >= 10) & (linear <= 30)).all()
    assert ((log >= 0.1) & (log <= 10)).all()
    again = make_design(axes, kind, 2**power, seed=seed)
    assert all(np.array_equal(a, b) for a, b in zip(design.columns, again.columns, strict=True))
    if kind != "random":  # one draw in each stratum
        strata = np.floor((linear - 10) / 20 * 2**power * (1 - 1e-12)).astype(int)
        assert sorted(strata) == list(range(2**power))


def test_sobol_indices_of_a_known_function():
    """Law: of a sum a*x + b*y of uniform x and y, the indices are a^2 and b^2 over their sum."""

    def linear(run):
        return 1.0

    pytest.importorskip("SALib")
    axes = {"beta": "uniform(0.5, 0.9)", "amplitude": "uniform(0, 1)"}
    s = swept(axes, ds.load_protocol("constant").with_(duration="2 ms"), "lif", design="saltelli",
              n=256, device="numpy", measures=[linear])  # fmt: skip
    found = s.to_xarray()
    s._store.group["linear"][:] = 3 * (found["beta"].values / 0.4) + found["amplitude"].values
    table = s.sensitivity("linear")
    np.testing.assert_allclose(table["first order"], [0.9, 0.1], atol=0.02)
    np.testing.assert_allclose(table["total"], [0.9, 0.1], atol=0.02)


def test_morris_effects_of_a_known_function():
    def linear(run):
        return 1.0

    pytest.importorskip("SALib")
    axes = {"beta": "uniform(0.5, 0.9)", "amplitude": "uniform(0, 1)"}
    s = swept(axes, ds.load_protocol("constant").with_(duration="2 ms"), "lif", design="morris",
              n=10, device="numpy", measures=[linear])  # fmt: skip
    found = s.to_xarray()
    s._store.group["linear"][:] = 3 * (found["beta"].values / 0.4) - found["amplitude"].values
    table = s.sensitivity("linear")
    np.testing.assert_allclose(table["mean effect"], [3, -1], atol=1e-9)
    np.testing.assert_allclose(table["standard deviation"], [0, 0], atol=1e-9)


def test_the_manifest_is_plain():
    s = swept({"g_c": "[5, 10] mS/cm**2"})
    assert json.loads(json.dumps(s.manifest)) == s.manifest


def test_a_dask_client_is_an_engine(tmp_path):
    distributed = pytest.importorskip("distributed")
    options = {"design": "random", "n": 40, "chunk": 7}
    with distributed.Client(processes=False, n_workers=1, threads_per_worker=2,
                            dashboard_address=None) as client:  # fmt: skip
        s = swept(**options, engine=client, out=tmp_path / "s.zarr")
    assert same(s, swept(**options))


# The list of measures: what joins it is tested


PLAIN = {
    "spikes": lambda t, start, stop: len(t),
    "rate": lambda t, start, stop: len(t) / (stop - start),
    "first_spike_latency": lambda t, start, stop: t[0] - start,
    "burst_period": None,  # from tests/measures
    "spikes_per_burst": None,
    "cv_isi": lambda t, start, stop: np.std(np.diff(t)) / np.mean(np.diff(t)),
    "adaptation_index": None,
    "mean_potential": None,  # below
    "rheobase": None,  # of an f-I curve, below
    "gain": None,
    "highest_rate": None,
}


def test_each_measure_is_that_of_its_definition():
    """Oracle: one line of numpy, or the function of `measures` on the run of one neuron."""
    from dendrosim import measures
    from dendrosim.comparison.protocol_measures import burst_shape
    from dendrosim.sweeps import MEASURES

    assert MEASURES.keys() == PLAIN.keys()
    protocol = ds.Protocol("300 ms", [ds.Stimulus("dendrite", "step", start="50 ms", stop="250 ms",
                                                  amplitude="1 uA/cm**2")],
                           measure={"start": "50 ms", "stop": "250 ms"})  # fmt: skip
    names = [name for name, one in MEASURES.items() if not one.of_curve]
    found = swept({"g_c": "[1, 8] mS/cm**2"}, protocol, measures=names).to_xarray()
    for k, g_c in enumerate(("1", "8")):
        model = KEPECS.with_(parameters={"g_c": f"{g_c} mS/cm**2"})
        r = ds.simulate(model, protocol, record_dt="0.1 ms")
        t = r.trains[0]
        inside = t[(t >= 0.05) & (t < 0.25)]
        period, size = burst_shape(t, 0.05, 0.25, 0.3, True)
        v = r.traces["v_s"].sel(time=slice(0.05, 0.25)).values
        own = {"burst_period": period, "spikes_per_burst": size, "mean_potential": v.mean(),
               "adaptation_index": measures.adaptation_index(inside)}  # fmt: skip
        for name in names:
            wanted = own[name] if name in own else PLAIN[name](inside, 0.05, 0.25)
            np.testing.assert_allclose(found[name][k], wanted, rtol=1e-6, err_msg=name)
    curve = SHORT.with_(amplitude="[0, 1, 2, 4] uA/cm**2", duration="200 ms")
    names = [name for name, one in MEASURES.items() if one.of_curve]
    found = swept({"g_c": "[1, 2] mS/cm**2"}, curve, measures=names).to_xarray()
    r = ds.simulate(KEPECS, curve)
    rates = np.array([len(train) for train in r.trains]) / 0.2
    amplitudes = np.array([0, 1, 2, 4]) * 1e-2
    assert rates.any()
    np.testing.assert_allclose(found["highest_rate"][0], rates.max())
    np.testing.assert_allclose(found["rheobase"][0], measures.rheobase(amplitudes, rates))
    np.testing.assert_allclose(found["gain"][0], measures.gain(amplitudes, rates))


def test_the_guide_names_every_measure():
    from places import ROOT

    from dendrosim.fitting import FEATURES
    from dendrosim.sweeps import MEASURES

    text = (ROOT / "docs" / "guide" / "sweeps.md").read_text()
    assert [name for name in MEASURES if f"`{name}`" not in text] == []
    text = (ROOT / "docs" / "guide" / "fits.md").read_text()
    assert [name for name in FEATURES if f"`{name}`" not in text] == []
