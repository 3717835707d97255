"""What strangers found in sweeps: results that were wrong without a word, and lost work."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

import dendrosim as ds
from dendrosim.cli.commands import main
from dendrosim.sweeps.function_identity import identity

KEPECS = ds.load_model("kepecs_wang_2000")
LIF = ds.load_protocol("constant").with_(duration="20 ms")
AXES = {"amplitude": "[0.3, 0.5, 0.7, 0.9]"}


def lif(axes=AXES, protocol=LIF, **options):
    given = {"device": "numpy", "measures": ["spikes"], "engine": 1, "progress": False, **options}
    return ds.sweep(given.pop("model", "lif"), protocol, axes, **given)


def spikes(beta="0.8", **protocol):
    model = ds.load_model("lif").with_(parameters={"beta": beta})
    return len(ds.simulate(model, LIF.with_(**protocol), device="numpy").trains[0])


# Values that had no effect


def test_a_fixed_value_holds_on_an_axis_of_models(capsys):
    words = ["sweep", "lif", "constant", "--set", "model=[lif, lif_hard_reset]", "--set",
             "beta=0.9", "--set", "amplitude=0.5", "--set", "duration=20 ms", "--device", "numpy",
             "--measure", "spikes", "--json"]  # fmt: skip
    assert main(words) == 0
    assert f'"spikes": {spikes("0.9", amplitude="0.5")}.0' in capsys.readouterr().out


def test_a_fixed_value_holds_on_an_axis_of_protocols(capsys):
    words = ["sweep", "lif", "constant", "--set", "protocol=[constant, step]", "--set",
             "amplitude=0.9", "--set", "start=0 ms", "--set", "stop=20 ms", "--set",
             "duration=20 ms", "--set", "measure.start=0 ms", "--set", "measure.stop=20 ms",
             "--device", "numpy", "--measure", "spikes", "--json"]  # fmt: skip
    assert main(words) == 0
    out = capsys.readouterr().out
    assert out.count(f'"spikes": {spikes(amplitude="0.9")}.0') == 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--set", "amplitude=[1, 2]", "--set", "amplitude=3"], "given twice"),
        (["--set", "amplitude"], "is not NAME=VALUES"),
        (["--set", "beta=normal(1, 2)"], "normal is not known; valid: linspace"),
        (["--set", "model=[plif, alif]"], "lif is not one of the axis"),
        (["--set", "beta=[0.8, 0.9]", "--jobs", "0"], "--jobs 0 should be 1 or more"),
        (["--set", "beta=[0.8, 0.9]", "--plot", "bet", "--figure", "a.png"], "no axis 'bet'"),
        (["--set", "beta=[0.8, 0.9]", "--plot", "beta", "--figure", "a.bmp"], "--figure a.bmp"),
        (["--set", "beta=[0.8, 0.9]", "--measure", "rate,spikes"], "valid: spikes, rate"),
        (["--set", "beta=[0.8, 0.9]", "--task", "3"], "should be K/N"),
    ],
    ids=str,
)
def test_wrong_words_are_told(words, told, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["sweep", "lif", "constant", "--out", "s.zarr", *words]) == 2
    assert told in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--set", "bet=[0.8, 0.9]"], "did you mean 'beta'"),
        (["--set", "beta=[0.8, 0.9] mV"], "has the unit mV, but no unit is needed"),
        (["--set", "amplitude=[1, 2] mS"], "amplitude = 1 mS goes into an input without a unit"),
        (["--set", "beta=[0.8, 0.9]", "--measure", "rat"], "did you mean 'rate'"),
        (["--set", "beta=[0.8, 0.9]", "--trace", "u"], "no variable 'u'"),
        (["--set", "beta=[0.8, 0.9]", "--task", "3"], "should be K/N"),
        (["--set", "beta=[0.8, 0.9]", "--set", "amplitude=0.5"], "give --out FOLDER"),
    ],
    ids=str,
)
def test_what_is_wrong_with_a_sweep_is_told_before_its_output_is_missing(words, told, capsys):
    assert main(["sweep", "lif", "constant", "--device", "numpy", *words]) == 2
    assert told in capsys.readouterr().err


def test_a_model_beside_its_axis_is_refused():
    other = ds.load_model("lif").with_(parameters={"beta": "0.5"})
    with pytest.raises(ds.DendrosimError, match="would be ignored"):
        lif({"model": ["lif", "plif"]}, model=other)


def test_frozen_noise_is_the_same_for_all_values():
    noise = ds.load_protocol("ou_noise").with_(duration="60 ms")
    options = {"engine": 1, "repeats": 2, "measures": ["mean_potential"], "progress": False}
    axes = {"g_c": "[5, 5.000001] mS/cm**2"}
    frozen = ds.sweep(KEPECS, noise, axes, frozen=True, **options).to_xarray()
    apart = ds.sweep(KEPECS, noise, axes, **options).to_xarray()
    assert (frozen["seed"].values[0] == frozen["seed"].values[1]).all()
    v = frozen["mean_potential"].values
    assert np.abs(v[0] - v[1]).max() < 1e-6 < np.abs(v[:, 0] - v[:, 1]).min()
    assert np.abs(np.subtract(*apart["mean_potential"].values)).min() > 1e-6


# A measure of one's own


def test_another_function_is_another_identity():
    def of(text, **names):
        made = dict(names)
        exec(text, made)
        return made["f"]

    assert identity(of("def f(r): return min(r)")) == identity(of("def f(r): return min(r)"))
    texts = ["def f(r): return max(r)", "def f(r): return min(r) + 1",
             "def f(r, k=2): return min(r)",
             "def f(r): return [x for x in r]", "def f(r): return [-x for x in r]"]  # fmt: skip
    assert len({identity(of(text)) for text in [*texts, "def f(r): return min(r)"]}) == 6
    inner = "def f(r): return (lambda x: x + 1)(r)"
    assert identity(of(inner)) == identity(of(inner))

    def closed(level):
        return lambda run: run > level

    assert identity(closed(1)) == identity(closed(1)) != identity(closed(2))
    assert identity(of("def f(r): return c", c=1)) != identity(of("def f(r): return c", c=2))


def test_a_store_of_another_function_is_refused(tmp_path):
    def first(run):
        return len(run.trains[0])

    lif(measures=[first], out=tmp_path / "s.zarr")

    def first(run):
        return -len(run.trains[0])

    with pytest.raises(ds.DendrosimError, match="measures: first is another function"):
        lif(measures=[first], out=tmp_path / "s.zarr")


def test_an_error_of_a_function_makes_its_point_fail():
    def first(run):
        return run.trains[0][0]

    s = lif({"amplitude": "[0, 0.9]"}, measures=[first])
    assert s.counts["failed"] == 1 and s.counts["done"] == 1
    assert s.failed()["error"].tolist()[0].startswith("measures: first raised IndexError")


def test_names_of_other_arrays_are_no_measures():
    def status(run):
        return 1

    for function in (status, lambda run: 1):
        with pytest.raises(ds.DendrosimError, match="written with def"):
            lif(measures=[function])


# Stores


def test_traces_of_different_lengths_are_refused():
    with pytest.raises(ds.DendrosimError, match="different lengths"):
        lif({"protocol.duration": "[10, 20] ms"}, traces=["U"])


@pytest.mark.parametrize("lost", ["spikes/1", "spike_times/time_1/0", "diverged_at/1", "status/1"])
def test_a_lost_file_is_noticed_and_computed_again(tmp_path, lost):
    options = {"spikes": True, "chunk": 2, "out": tmp_path / "s.zarr"}
    whole = lif(**options)
    wanted, times = whole.to_xarray(), whole.spikes(3)
    (tmp_path / "s.zarr" / lost).unlink()
    damaged = ds.load_sweep(tmp_path / "s.zarr")
    if lost != "status/1":
        for read in (damaged.to_xarray, lambda: damaged.spikes(3)):
            with pytest.raises(ds.DendrosimError, match="lacks the file of points 2 to 3"):
                read()
    again = lif(**options)
    assert again.to_xarray().identical(wanted)
    assert np.array_equal(again.spikes(3)[0], times[0])


def test_a_damaged_file_is_a_sentence(tmp_path):
    s = lif(out=tmp_path / "s.zarr", chunk=2)
    (tmp_path / "s.zarr" / "spikes" / "0").write_bytes(b"damaged")
    with pytest.raises(ds.DendrosimError, match="spikes has a damaged file, spikes/0"):
        s.to_xarray()
    shutil.rmtree(tmp_path / "s.zarr" / "spikes")
    with pytest.raises(ds.DendrosimError, match="the array spikes of this sweep is missing"):
        lif(out=tmp_path / "s.zarr", chunk=2)


def test_a_store_goes_on_with_its_own_chunks(tmp_path):
    whole = lif(out=tmp_path / "s.zarr", chunk=2, task=(1, 2))
    assert whole.counts["to_do"] == 2
    again = lif(out=tmp_path / "s.zarr", chunk=3)
    assert again.counts["done"] == 4 and again.manifest["chunk"] == 2


def test_a_failed_sweep_leaves_no_folder(tmp_path, monkeypatch):
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(ds.DendrosimError):
        lif({"amplitude": "[1, 2] mV"})
    assert not list(tmp_path.iterdir())


def test_a_task_without_a_chunk_is_told(tmp_path):
    with pytest.warns(ds.errors.DendrosimWarning, match="nothing to do"):
        lif(out=tmp_path / "s.zarr", task=(9, 9))


# What is shown


def test_tables_name_the_usual_units():
    protocol = ds.load_protocol("constant").with_(duration="10 ms")
    s = ds.sweep(KEPECS, protocol, {"g_c": "[5, 10] mS/cm**2"}, engine=1, progress=False)
    table = s.to_dataframe()
    assert table["g_c (mS/cm**2)"].tolist() == [5, 10]
    assert "first_spike_latency (ms)" in table


def test_a_map_of_unsorted_values_is_sorted():
    s = lif({"amplitude": "[0.9, 0.1, 0.5]", "beta": "[0.9, 0.7, 0.8]"})
    figure = s.plot("amplitude", "beta")
    mesh = figure.axes[0].collections[0]
    drawn = mesh.get_array().reshape(3, 3)
    found = s.to_xarray()["spikes"].sortby("amplitude").sortby("beta")
    assert np.array_equal(drawn, found.transpose("beta", "amplitude").values)
    line = s.plot("amplitude").axes[0]
    assert line.lines[0].get_xdata().tolist() == [0.1, 0.5, 0.9]
    assert line.get_title(loc="left") == "mean over beta"


def test_the_protocol_own_grid_can_be_drawn():
    s = lif({"beta": "[0.7, 0.9]"}, LIF.with_(amplitude="[0.1, 0.5, 0.9]"))
    assert s.plot("amplitude").axes[0].get_xlabel() == "amplitude"
    with pytest.raises(ds.DendrosimError, match="both beta"):
        s.plot("beta", "beta")


def test_features_of_a_silent_trace_are_those_of_efel():
    efel = pytest.importorskip("efel")
    protocol = ds.Protocol("400 ms", [ds.Stimulus("soma", "step", start="150 ms", stop="350 ms",
                                                  amplitude="-1 uA/cm**2")],
                           measure={"start": "150 ms", "stop": "350 ms"})  # fmt: skip
    names = ["voltage_base", "voltage_deflection", "sag_amplitude"]
    s = ds.sweep(KEPECS, protocol, {"g_c": "[5, 10] mS/cm**2"}, measures=names, engine=1,
                 progress=False)  # fmt: skip
    model = KEPECS.with_(parameters={"g_c": "5 mS/cm**2"})
    r = ds.simulate(model, protocol, record_dt="0.1 ms")
    trace = {"T": r.times * 1e3, "V": r.voltage()[:, 0] * 1e3, "stim_start": [150],
             "stim_end": [350]}  # fmt: skip
    [wanted] = efel.get_feature_values([trace], names)
    found = s.to_xarray()
    for name in names:
        np.testing.assert_allclose(found[name][0], np.mean(wanted[name]), rtol=1e-6)
