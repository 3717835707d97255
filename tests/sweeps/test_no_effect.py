"""Axes without an effect, values that are given twice, and measures that must not differ."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import dendrosim as ds
from dendrosim import DendrosimError
from dendrosim.cli.commands import main
from dendrosim.errors import DendrosimWarning
from dendrosim.fitting.free import read_free
from dendrosim.measures.spike_features import efel_features
from dendrosim.model.gates import gates

KEPECS = ds.load_model("kepecs_wang_2000")
STEP = ds.load_protocol("step").with_(
    amplitude="4 uA/cm**2", duration="100 ms", start="10 ms", stop="90 ms",
    measure={"start": "10 ms", "stop": "60 ms"},
)  # fmt: skip
NOISE = ds.load_protocol("ou_noise")


def swept(axes, protocol=STEP, **options):
    given = {"engine": 1, "progress": False, "measures": ["spikes"], **options}
    return ds.sweep(KEPECS, protocol, axes, **given)


def test_measures_of_the_potential_do_not_depend_on_the_step_of_kept_traces():
    pytest.importorskip("efel")
    axes = {"g_c": "[1, 3] mS/cm**2"}
    names = ["mean_potential", "AP_amplitude"]
    usual = swept(axes, measures=names).to_xarray()
    for step, samples in (("5 ms", 20), ("0.06 ms", 1667), ("0.1 ms", 1000)):
        other = swept(axes, measures=names, record_dt=step, traces=["v_s"]).to_xarray()
        for name in names:
            np.testing.assert_array_equal(other[name], usual[name])
        assert other.sizes["time"] == samples
        np.testing.assert_allclose(other["time"][1], float(step.split()[0]) * 1e-3)
    kept = swept(axes, measures=names, record_dt="5 ms", traces=["v_s"]).to_xarray()["trace_v_s"]
    run = ds.simulate(KEPECS.with_(parameters={"g_c": "3 mS/cm**2"}), STEP, record_dt="5 ms")
    np.testing.assert_allclose(kept[1], run.traces["v_s"].values[:, 0], atol=1e-12)


def test_a_function_sees_the_kept_samples():
    def samples(run):
        return len(run.times)

    found = swept({"g_c": "[1, 3] mS/cm**2"}, measures=[samples, "mean_potential"],
                  record_dt="5 ms").to_xarray()  # fmt: skip
    assert found["samples"].values.tolist() == [20, 20]


def test_the_spike_count_of_efel_is_that_of_the_window():
    pytest.importorskip("efel")
    short = STEP.with_(measure={"start": "10 ms", "stop": "35 ms"})
    run = ds.simulate(KEPECS, short, record_dt="0.1 ms", progress=False)
    found = swept({"g_c": "[1] mS/cm**2"}, short, measures=["spikes", "Spikecount"]).to_xarray()
    whole = efel_features(run.times, run.voltage()[:, 0], ["Spikecount"])["Spikecount"]
    assert found["Spikecount"].item() == found["spikes"].item() < whole


def test_a_latency_counts_from_an_onset_in_the_window():
    late = STEP.with_(measure={"start": "11 ms", "stop": "90 ms"})
    for protocol, defined in ((STEP, True), (late, False)):
        one = swept({"g_c": "[1] mS/cm**2"}, protocol, measures=["first_spike_latency"],
                    spikes=True)  # fmt: skip
        found = one.to_xarray()["first_spike_latency"].item()
        assert np.isfinite(found) == defined
        if defined:
            assert found == pytest.approx(one.spikes(0)[0][0] - 10e-3)


@pytest.mark.parametrize(
    ("axes", "options"),
    [({"stop": "[50, 400, 900] ms"}, {}),
     ({"stop": "uniform(50, 900) ms"}, {"design": "sobol", "n": 4})],
    ids=str,
)  # fmt: skip
def test_ends_after_the_run_are_one_value(axes, options):
    with pytest.raises(DendrosimError, match="goes to 900 ms, but the run ends at 100 ms"):
        swept(axes, **options)


def test_one_end_after_the_run_is_a_value():
    assert swept({"stop": "[50, 400] ms"}).counts["done"] == 2


def test_gates_go_from_0_to_1():
    assert gates(KEPECS) == ("h", "n", "q")
    assert gates(ds.load_model("pinsky_rinzel_1994")) == ("h", "n", "s", "c", "q")
    with pytest.raises(DendrosimError, match=r"initial\.h = 7 is no value of a gate"):
        swept({"initial.h": "[0, 0.5, 7]"})
    with pytest.raises(DendrosimError, match=r"initial\.q = -1 is no value of a gate"):
        read_free({"initial.q": "-1..1"}, KEPECS, [STEP])
    calcium = ds.load_model("pinsky_rinzel_1994")
    assert read_free({"initial.Ca": "0..5"}, calcium, [STEP])


@pytest.mark.parametrize(
    ("name", "told"),
    [("initial.q", r"needs a range, such as '0\.\.1'$"), ("duration", "no such value"),
     ("measure.start", "no such value")],
)  # fmt: skip
def test_names_that_cannot_be_free_are_not_offered(name, told):
    with pytest.raises(DendrosimError, match=told) as error:
        read_free([name], KEPECS, [STEP])
    assert "protocol.duration" not in str(error.value)


def test_noise_is_sampled_within_its_time_constant():
    with pytest.raises(DendrosimError, match="sample = 200 ms is longer than tau = 5 ms"):
        ds.simulate(KEPECS, NOISE.with_(sample="200 ms", tau="5 ms"), device="numpy")


def test_a_wrong_start_is_shown_as_given():
    found = swept({"start": "[10, 95] ms"}).failed()
    assert "start = 95 ms is not before stop = 90 ms" in found["error"].item()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what SALib imports
def test_noise_inflates_indices_unless_it_is_frozen():
    axes = {"g_c": "uniform(1, 3) mS/cm**2"}
    options = {"design": "morris", "n": 2, "protocol": NOISE.with_(duration="1 ms"),
               "device": "numpy"}  # fmt: skip
    with pytest.warns(DendrosimWarning, match="noise of its own, which counts as an effect"):
        swept(axes, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("error", DendrosimWarning)
        swept(axes, frozen=True, **options)


SWEEP = ["sweep", "lif", "constant", "--device", "numpy", "--jobs", "1", "--set", "amplitude=0.5"]
TWICE = [
    [*SWEEP, "--set", "beta=[0.7, 0.8]", "--set", "parameters.beta=[0.5, 0.6]", "--json"],
    [*SWEEP, "--set", "beta=0.7", "--set", "parameters.beta=[0.5, 0.6]", "--json"],
    [*SWEEP, "--set", "beta=[0.7, 0.8]", "--set", "duration=20 ms", "--set",
     "protocol.duration=[10, 20] ms", "--json"],
    ["run", "lif", "constant", "--set", "beta=0.7", "--set", "parameters.beta=0.5"],
]  # fmt: skip


@pytest.mark.parametrize("words", TWICE, ids=str)
def test_a_value_given_twice_is_refused(words, capsys):
    assert main(words) == 2
    assert "is given twice" in capsys.readouterr().err


def test_an_axis_without_effect_is_told(capsys, tmp_path):
    words = [*SWEEP, "--set", "beta=[0.7, 0.9]", "--set", "stop=[25, 30] ms", "--set",
             "duration=30 ms", "--set", "measure.stop=20 ms", "--measure", "spikes", "--out",
             str(tmp_path / "s.zarr")]  # fmt: skip
    assert main(words) == 0
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("note:")]
    assert told == ["note: no measure changes along stop; has it an effect in this protocol?"]


def test_a_sweep_without_results_fails(capsys, tmp_path):
    words = [
        "sweep",
        "kepecs_wang_2000",
        "constant",
        "--device",
        "numpy",
        "--jobs",
        "1",
        "--set",
        "amplitude=[1e7, 2e7] uA/cm**2",
        "--set",
        "duration=5 ms",
        "--measure",
        "spikes",
    ]
    for end in (["--json"], ["--out", str(tmp_path / "s.zarr")]):
        assert main([*words, *end]) == 2
        assert "none of the 2 points has a result: 2 diverged" in capsys.readouterr().err
