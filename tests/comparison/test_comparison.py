"""Comparisons: laws, hand-computed cases, published numbers, a real cell, tables and figures."""

import json
import math
from dataclasses import replace

import matplotlib
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from brian2 import amp, meter, ms, mV
from by_hand import protocol, recording
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from places import EPHYS

import dendrosim as ds
from dendrosim import tables
from dendrosim.comparison import protocol_measures
from dendrosim.comparison.result import compare, comparison
from dendrosim.comparison.scores import representative
from dendrosim.errors import DendrosimError, DendrosimWarning
from dendrosim.figures.style import save_figure
from dendrosim.figures.traces import recording_figure
from dendrosim.model.model import Scales
from dendrosim.simulation import neuron_axis
from dendrosim.simulation.recording import volts

DATA = EPHYS
REGULAR = DATA / "171116sh_0018.abf"
needs_data = pytest.mark.skipif(not REGULAR.is_file(), reason=f"{REGULAR} is not there")


def scaled_lif(tau="20 ms", dt=0.1 * ms, capacitance=1e-2, rest=-65 * mV):
    """Return the lif as the exact discretisation of a leaky membrane of 1 uF/cm**2."""
    beta = math.exp(-float(dt / ms) / float(tau.split()[0]))
    gain = (1 - beta) * float(tau.split()[0]) * 1e-3 / capacitance / 10e-3  # per A/m**2
    scales = Scales(10 * mV, {"U": rest}, {"I": {"soma": gain * meter**2 / amp}})
    return replace(ds.load_model("lif").with_(parameters={"beta": beta}), scales=scales, dt=dt)


@pytest.fixture(scope="module")
def neurons():
    return [ds.load_model("kepecs_wang_2000"), ds.load_model("pinsky_rinzel_1994")]


# Laws


def test_the_table_agrees_with_the_recordings(neurons):
    biophysical = compare(neurons, ds.load_protocol("fi_curve"))
    table, curves = biophysical.table, biophysical.curves
    for name, one in zip(biophysical.names, biophysical.recordings, strict=True):
        counts = np.array([np.sum((t > 0.5 + 1e-9) & (t < 1.5 + 1e-9)) for t in one.trains])
        rows = curves[curves["model"] == name]
        assert (rows["spikes"] == counts).all()
        assert table.loc[name, "spikes"] == counts.sum()
        assert_allclose(rows["rate (Hz)"], counts / 1.0)
        firing = rows["amplitude (uA/cm**2)"][counts > 0]
        assert table.loc[name, "rheobase (uA/cm**2)"] == pytest.approx(firing.min())
    assert len(one.times) == 15_000  # 0.1 ms, not the step of integration
    assert table["spike height (mV)"].between(40, 90).all()
    widths = table["spike width at -20 mV (ms)"]
    assert widths.between(0.4, 1).all()
    assert np.isfinite(table.loc["pinsky_rinzel_1994", "rms voltage error (mV)"])


#: Two trains of whole milliseconds, either of which may be empty.
TRAINS = st.lists(
    st.lists(st.integers(1, 999), max_size=12, unique=True).map(lambda k: np.sort(k) / 1e3),
    min_size=2,
    max_size=2,
)
FEW = settings(max_examples=40, deadline=None)


def at_rest(trains):
    return recording(trains, np.full((1000, len(trains)), -0.07))


@FEW
@given(TRAINS)
def test_a_model_is_at_no_distance_from_itself(trains):
    made = comparison([at_rest(trains)] * 2, protocol())
    assert made.names == ["m", "m (2)"]
    table, errors = made.table, [name for name in made.table if "error" in name]
    errors += [name for name in table if "distance" in name]
    assert "rate error (Hz)" in errors
    assert (table[errors].iloc[1] == 0).all()
    if any(map(len, trains)):
        assert table["coincidence factor"].iloc[1] == pytest.approx(1, abs=1e-12)
        errors.append("coincidence factor")
    assert table[errors].iloc[0].isna().all()


@FEW
@given(TRAINS)
def test_any_train_makes_a_table_without_a_warning(trains):
    made = comparison([at_rest(trains), at_rest([[], []])], protocol())
    row = made.table.iloc[1]
    assert row["spikes"] == 0
    assert math.isnan(row["rheobase (uA/cm**2)"])
    assert json.loads(json.dumps(made.to_json(), allow_nan=False))["models"][1]["spikes"] == 0
    assert max(map(len, made.text().splitlines())) <= 100


# By hand


def test_a_case_small_enough_for_paper():
    # reference: silent, then 4 spikes; model: 1 spike, then 2, one of which coincides
    flat = np.full((1000, 2), -0.070)
    apart = flat + np.array([0.003, -0.001])
    a = recording([[], [0.2, 0.4, 0.6, 0.8]], flat, name="a")
    b = recording([[0.5], [0.2, 0.5]], apart, name="b")
    made = comparison([a, b], protocol("[1, 3] uA/cm**2"))
    a_row, b_row = made.table.loc["a"], made.table.loc["b"]
    assert a_row["rheobase (uA/cm**2)"] == pytest.approx(3)
    assert math.isnan(a_row["gain (Hz per uA/cm**2)"])  # one amplitude fires
    assert b_row["gain (Hz per uA/cm**2)"] == pytest.approx((2 - 1) / (3 - 1))
    assert b_row["rate (Hz)"] == pytest.approx(1.5)
    assert b_row["rate error (Hz)"] == pytest.approx(math.sqrt((1**2 + 2**2) / 2))
    # one of 4 and 2 spikes within 2 ms; by chance 2 * 2 Hz * 2 ms * 4 = 0.032
    gamma = (1 - 0.032) / 3 / (1 - 2 * 2 * 0.002)
    assert b_row["coincidence factor"] == pytest.approx((0 + gamma) / 2)
    # samples within 5 ms before and 20 ms after any spike of the two do not count
    kept = 1000 - 26, 1000 - 5 * 26
    rms = math.sqrt((9 * kept[0] + 1 * kept[1]) / sum(kept))
    assert b_row["rms voltage error (mV)"] == pytest.approx(rms)
    assert b_row["max voltage error (mV)"] == pytest.approx(3)
    latency = made.curves["first spike latency (ms)"]
    assert_allclose(latency, [np.nan, 200, 500, 200])


def test_a_discrete_model_meets_a_continuous_one_at_the_same_time(tmp_path):
    """A leaky membrane and its exact discretisation: one step off would be 0.05 mV off."""
    text = """
    title = "A leaky membrane"
    kind = "continuous"
    inputs = { soma = "I" }
    potentials = { soma = "v" }
    threshold = "v > 0*mV"
    method = "rk4"
    dt = "0.02 ms"
    equations = '''
    dv/dt = (-65*mV - v)/(20*ms) + I/C : volt
    I : amp/meter**2
    '''
    parameters = { C = "1 uF/cm**2" }
    initial = { v = "-65 mV" }
    """
    (tmp_path / "leak.toml").write_text("\n".join(line.strip() for line in text.splitlines()))
    step = ds.load_protocol("step").with_(
        amplitude="0.2 uA/cm**2", start="20 ms", stop="70 ms", duration="100 ms",
        measure={"start": "0 ms"},
    )  # fmt: skip
    made = compare([tmp_path / "leak.toml", scaled_lif()], step, device="numpy")
    assert made.table["rms voltage error (mV)"].iloc[1] < 1e-6
    assert np.ptp(volts(made.recordings[1])) > 3e-3
    assert [r.meta["record_dt"] for r in made.recordings] == pytest.approx([1e-4, 1e-4])


def test_a_model_without_a_scale_has_no_voltage_error():
    models = [ds.load_model("lif"), ds.load_model("two_compartment")]
    made = compare(models, protocol("[0, 0.5]", "100 ms"), device="numpy")
    assert not [name for name in made.table if "mV" in name]
    assert list(made.curves.columns[:3]) == ["model", "neuron", "amplitude"]
    assert "rheobase" in made.table
    assert made.recordings[0].meta["record_dt"] == 1e-3  # the step of the model, not 0.1 ms


class TestBurstShape:
    PERIOD, SPIKES = 0.2, np.array([0, 3e-3, 7e-3, 12e-3])

    def train(self, bursts, first=0.05):
        return (first + self.PERIOD * np.arange(bursts)[:, None] + self.SPIKES).ravel()

    def test_bursts_cut_by_the_window_or_the_end_do_not_count(self):
        train = self.train(8)  # the third begins at 0.45
        assert_allclose(protocol_measures.burst_shape(train, 0.453, 1.458, 2.0), (0.2, 4))
        # the run ends within the last burst
        assert_allclose(protocol_measures.burst_shape(train[:-2], 0.4, 1.455, 1.455), (0.2, 4))

    def test_a_burst_that_begins_at_an_edge_is_of_the_step_that_ends_there(self):
        train = np.delete(self.train(8), [10, 11])  # the third, at 0.45, has two spikes
        assert_allclose(protocol_measures.burst_shape(train, 0.45, 1.25, 2.0), (0.2, 4))
        assert_allclose(protocol_measures.burst_shape(train, 0.05, 0.45, 2.0), (0.2, 3))

    def test_one_burst_alone_has_no_period(self):
        period, size = protocol_measures.burst_shape(self.train(1), 0.0, 1.0, 1.0)
        assert math.isnan(period)
        assert size == 4

    @pytest.mark.parametrize("rate", [1.7, 10, 83])
    def test_a_clock_is_tonic_wherever_the_window_lies(self, rate):
        train = np.arange(0.01, 3, 1 / rate)
        assert_allclose(protocol_measures.burst_shape(train, 0.5, 2.5, 3.0), (1 / rate, 1))

    def test_where_the_current_changes_a_run_of_spikes_can_be_either(self):
        assert np.isnan(protocol_measures.burst_shape(self.train(1), 0, 1, 1, steady=False)).all()
        assert_allclose(protocol_measures.burst_shape(self.train(5), 0, 1, 1, steady=False)[1], 4)

    @pytest.mark.parametrize(("train", "size"), [([], math.nan), ([0.3], 1)])
    def test_silence_and_one_spike(self, train, size):
        period, found = protocol_measures.burst_shape(np.array(train), 0, 1, 1)
        assert math.isnan(period)
        assert found == size or math.isnan(size)


def test_a_blocked_neuron_ends_its_gain_at_its_highest_rate():
    points = neuron_axis.NeuronAxis("amplitude", "uA/cm**2", np.arange(5.0), True)
    found = protocol_measures.fi_measures(points, np.array([0, 10, 20, 30, 0.0]))
    assert found["gain (Hz per uA/cm**2)"] == pytest.approx(10)
    assert found["rheobase (uA/cm**2)"] == 1


@pytest.mark.parametrize(
    ("shape", "key", "values", "steady"),
    [
        ("constant", "amplitude", {}, True),
        ("step", "amplitude", {"start": "100 ms", "stop": "900 ms"}, True),
        ("constant", "start", {"amplitude": "1 uA/cm**2"}, False),
        ("ou", "sigma", {}, False),
        ("ou", "mean", {"sigma": "1 uA/cm**2"}, False),
        ("alpha", "amplitude", {"tau": "5 ms"}, False),
        ("ramp", "amplitude", {}, False),
        ("sine", "amplitude", {"frequency": "5 Hz"}, False),
    ],
)
def test_only_a_current_that_stands_still_has_an_f_i_curve(shape, key, values, steady):
    grid = "[0, 100] ms" if key == "start" else "[0, 1] uA/cm**2"
    swept = ds.Protocol("1 s", [ds.Stimulus("soma", shape, **values, **{key: grid})])
    made = comparison([recording([[], [0.5]])], swept)
    assert made.grid.name == key
    assert any(name.startswith("rheobase") for name in made.table) is steady
    figure = made.plot()
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert ("f–I curve" in titles, "Firing rate" in titles) == (steady, not steady)


def test_a_panel_without_a_value_is_left_out():
    swept = ds.Protocol(
        "1 s", [ds.Stimulus("soma", "alpha", amplitude="[0, 1] uA/cm**2", tau="5 ms")]
    )
    made = comparison([recording([[], [0.2, 0.4]])], swept)
    assert made.curves["spikes per burst"].isna().all()
    assert not made.plot().axes[-1].axison


def with_variables(neurons, variables):
    """Return a recording of variables: name to unit."""
    made = recording([[0.5]] * neurons)
    shape = (len(made.times), neurons)
    for k, (name, unit) in enumerate(variables.items()):
        made.traces[name] = (("time", "neuron"), np.full(shape, k + 1.0), {"units": unit})
    return made


def labels(figure):
    return [axes.get_ylabel() for axes in figure.axes[:-1]]  # the last is the current


def test_each_recorded_variable_has_a_panel_with_its_unit():
    one = protocol("1 uA/cm**2")
    currents = with_variables(1, {"I_Na": "amp/meter**2", "h": "1"})
    figure = recording_figure(currents, one)
    assert labels(figure) == ["µA/cm²", "h"]
    assert figure.axes[0].lines[0].get_ydata()[0] == pytest.approx(100)  # 1 A/m**2
    assert all(axes.lines[0].get_xdata().size for axes in figure.axes)
    heads = [text.get_text() for text in figure.texts]
    assert any(head.startswith("I_Na, h") for head in heads)
    assert not any("omatic potential" in head for head in heads)
    both = with_variables(1, {"v": "volt", "I_Na": "amp/meter**2"})
    assert labels(recording_figure(both, one)) == ["mV", "µA/cm²"]


@pytest.mark.parametrize(("neurons", "shown"), [(6, 6), (9, 6)])
def test_a_figure_says_how_many_neurons_it_shows(neurons, shown):
    swept = protocol(f"linspace(0, 1, {neurons}) uA/cm**2")
    figure = recording_figure(with_variables(neurons, {"v": "volt"}), swept)
    assert len(labels(figure)) == shown
    told = any(f"{shown} of {neurons} neurons shown" in text.get_text() for text in figure.texts)
    assert told is (shown < neurons)
    three = with_variables(neurons, {"v": "volt", "h": "1", "n": "1"})
    assert len(labels(recording_figure(three, swept))) == 12  # of four neurons


@pytest.mark.parametrize(("f_0", "f_1"), [(2, 2.0001), (0, 10), (10, 1)])
def test_a_burst_at_each_crest_of_a_chirp_has_phase_90(f_0, f_1):
    chirp = ds.load_protocol("chirp").with_(f_0=f"{f_0} Hz", f_1=f"{f_1} Hz")
    time = np.linspace(0, 5, 500_001)
    turns = f_0 * time + 0.5 * (f_1 - f_0) * time**2 / 5
    crests = 1 + np.interp(np.arange(1, int(turns.max()) - 1) + 0.25, turns, time)
    found = protocol_measures.chirp_phase([crests], chirp)
    assert found["burst onset phase (deg)"] == pytest.approx(90, abs=0.01)
    assert found["burst phase locking"] == pytest.approx(1, abs=1e-4)


def test_a_chirp_phase_needs_a_chirp():
    with pytest.raises(DendrosimError, match="the protocol 'fi_curve' has no chirp"):
        protocol_measures.chirp_phase([[0.1]], ds.load_protocol("fi_curve"))


def test_the_impedance_of_a_leaky_membrane():
    """The first-order low pass R / (1 + i 2 pi f tau), through protocol, recording and table."""
    chirp, dt, tau, resistance = ds.load_protocol("chirp"), 1e-4, 0.02, 2.0
    current = chirp.current("soma", np.arange(65_000) * dt, dt)[:, 0]
    from scipy.signal import lfilter

    beta = math.exp(-dt / tau)
    v = -0.065 + resistance * lfilter([0, 1 - beta], [1, -beta], current)
    made = [
        recording([[]], (gain * (v + 0.065) - 0.065)[:, None], end=6.5, dt=dt, name=f"{gain}")
        for gain in (1, 1.1)
    ]
    spiking = recording([[2.0]], v[:, None], end=6.5, dt=dt, name="spiking")
    table = comparison([*made, spiking], chirp).table
    expected = 10 * resistance / math.hypot(1, 2 * math.pi * 0.5454 * tau)
    assert table["impedance at f_0 (kohm*cm**2)"].iloc[0] == pytest.approx(expected, rel=0.01)
    assert table["Q"].iloc[0] == pytest.approx(1, abs=0.01)
    assert table["impedance error (%)"].iloc[1] == pytest.approx(10, rel=1e-6)
    assert table.loc["spiking", ["Q", "resonance (Hz)"]].isna().all()
    told = comparison([spiking, *made], chirp)  # errors against a reference that has no impedance
    assert "impedance error (%)" not in told.table
    assert "No impedance of spiking: it fires during the chirp" in told.text()
    assert "No impedance" not in comparison(made, chirp).text()


# Published numbers, and a real cell


def test_period_and_spikes_of_kepecs_and_wang(neurons):
    """REFERENCE 2b: bursts of 4 spikes every 198.6 ms at I_d = 1 uA/cm**2."""
    drive = ds.load_protocol("constant").with_(
        into="dendrite", amplitude="1 uA/cm**2", duration="2500 ms", measure={"start": "700 ms"}
    )
    row = compare(neurons[:1], drive).table.iloc[0]
    assert row["burst period (ms)"] == pytest.approx(198.6, rel=0.01)
    assert row["spikes per burst"] == 4


@needs_data
@pytest.mark.filterwarnings("ignore::dendrosim.errors.DendrosimWarning")
def test_a_real_cell_beside_the_models(neurons, tmp_path):
    real = ds.load_protocol("recorded").with_(file=str(REGULAR))
    one = compare(neurons[:1], real).recordings[0]
    silent = recording([[]] * 17, np.full((3000, 17), -0.065), end=3.0)
    with pytest.warns(DendrosimWarning, match=r"measured is the one from 146\.85 to 646"):
        made = comparison([one, silent], real, ["neuron", "silent"])
    # two steps of 0.5 s in a sweep of 3 s, the first of which is measured: 146.85 to 646.85 ms
    assert real.window == pytest.approx((0.14685, 0.64685))
    clamp, sweeps = made.clamp, made.sweeps
    whole = [0, 0, 0, 0, 0, 0, 2, 3, 6, 8, 10, 12, 12, 14, 16, 16, 18]  # data/README.md
    assert [len(train) for train in clamp.spike_times()] == whole
    counted = [sum((t > 0.14685) & (t < 0.64685)) for t in clamp.spike_times()]
    assert sweeps["recorded"].tolist() == counted
    # crossings of -10 mV in the window, as pyabf reads the file
    assert counted == [0, 0, 0, 0, 0, 0, 1, 1, 3, 4, 5, 6, 6, 7, 8, 8, 9]
    assert sweeps["command (pA)"].tolist() == pytest.approx(list(range(-100, 301, 25)))
    inside = [np.sum((t > 0.14685) & (t < 0.64685)) for t in made.recordings[0].trains]
    assert sweeps["neuron"].tolist() == inside
    cell = made.curves[made.curves["model"] == "recorded"]
    assert_allclose(cell["rate (Hz)"], np.array(counted) / 0.5)
    assert cell["spikes per burst"].isna().all()  # a command that steps makes no bursts
    # a silent sweep has no latency, whatever fires after the window
    assert (cell["first spike latency (ms)"].notna() == (cell["spikes"] > 0)).all()
    assert cell["first spike latency (ms)"].max() <= 500
    assert cell["first spike latency (ms)"].iloc[-1] == pytest.approx(17.0, abs=0.5)
    lines = made.text().splitlines()
    assert any(line.split()[:3] == ["16", "300", str(counted[-1])] for line in lines)
    assert "Spikes in each sweep from 146.85 to 646.85 ms" in lines
    assert any("1646.85 to 2146.85 ms" in line for line in lines)
    assert max(map(len, lines)) <= 100
    assert "rate error (Hz) to the recorded cell" in made.table
    made.plot(tmp_path / "x.png")


# Tables and files


@pytest.fixture
def small():
    models = [ds.load_model("lif"), ds.load_model("lif").with_(parameters={"beta": "0.9"})]
    return compare(models, protocol("[0, 0.15, 0.5]", "200 ms"), device="numpy")


def test_everything_that_is_saved_reads_back(small, tmp_path):
    files = small.save(tmp_path / "new" / "folder")
    assert {file.name for file in files} == {file.name for file in files[0].parent.iterdir()}
    table = pd.read_csv(files[0], index_col="model")
    pd.testing.assert_frame_equal(table, small.table)
    assert len(pd.read_csv(files[1])) == 6
    assert json.loads(files[2].read_text()) == small.to_json()
    assert ds.load_recording(files[-1]).meta == small.recordings[1].meta
    assert files[-1].name == "lif_2_.nc"
    small.save(files[0].parent)  # again, over the old files


def test_a_folder_that_cannot_be_made_is_refused(small, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DendrosimError, match="cannot be made"):
        small.save(tmp_path / "file" / "under")
    with pytest.raises(DendrosimError, match="'jpog' is not the ending of a figure"):
        small.plot(tmp_path / "x.jpog")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_order_of_models_decides_the_reference(small):
    assert small.names == ["lif", "lif (2)"]
    assert "errors against lif," in small.text()
    assert small.table["coincidence factor"].isna().tolist() == [True, False]


def test_what_cannot_be_compared_is_refused():
    lif = ds.load_model("lif")
    three = lif.with_(parameters={"beta": [0.1, 0.5, 0.9]})
    short = protocol("0.5", "20 ms")
    with pytest.raises(DendrosimError, match="no model"):
        compare([], short)
    with pytest.raises(DendrosimError, match="2 models need as many different names"):
        compare([lif, lif], short, names=["a", "a"])
    with pytest.raises(DendrosimError, match="has 3 neurons under by_hand and lif has 1"):
        compare([lif, three], short, device="numpy")


def test_tables_are_continued_below_where_they_are_too_wide():
    columns = {"": ["one", "two"]} | {f"a_model_with_a_long_name_{k}": [k, 2.5] for k in range(9)}
    lines = tables.aligned(columns, width=60)
    assert max(map(len, lines)) <= 60
    assert sum(line.startswith("one") for line in lines) > 1
    narrow = tables.aligned({"": ["x"], "kepecs_wang_2000 (exact)": [1.0]}, width=100)
    assert narrow[0].strip() == "kepecs_wang_2000 (exact)"


# Figures


def test_the_figure_shows_a_neuron_that_fires_but_not_the_fastest():
    quiet = recording([[], [0.6], list(np.arange(0.01, 1, 0.01))])
    other = recording([[], [0.7, 0.8], list(np.arange(0.01, 1, 0.005))])
    assert representative([quiet, other], protocol("[0, 1, 2] uA/cm**2")) == 1


@pytest.mark.parametrize("name", ["step", "chirp", "paired_pulse", "ou_noise"])
@pytest.mark.parametrize("models", [1, 2])
def test_each_kind_of_protocol_has_a_figure(name, models, tmp_path):
    before = dict(matplotlib.rcParams)
    shown = ds.load_protocol(name).with_(into="soma")
    if name == "chirp":
        shown = shown.with_(start="50 ms", stop="1050 ms", duration="1100 ms", measure={})
    made = compare([scaled_lif(), scaled_lif("10 ms")][:models], shown, device="numpy")
    figure = made.plot(tmp_path / "x.png")
    assert (tmp_path / "x.png").stat().st_size > 20_000
    assert figure.get_figwidth() == 10
    save_figure(recording_figure(made.recordings[0], shown), tmp_path / "y.svg")
    assert dict(matplotlib.rcParams) == before


def test_long_names_and_many_models_fit(tmp_path):
    shown = protocol("[0, 1] uA/cm**2", title="A title that is far too long for one line " * 5)
    made = comparison(
        [
            recording(
                [[], [0.1]], np.full((1000, 2), -0.07), name=f"{'pinsky_rinzel_1994 ' * 6}{k}"
            )
            for k in "abcdefg"
        ],
        shown,
    )
    figure = made.plot(tmp_path / "long.png")
    figure.draw_without_rendering()
    width = figure.bbox.width
    for axes in figure.axes:
        for text in (axes.title, axes._left_title, *axes.texts):
            assert text.get_window_extent().x1 <= width


def test_a_recording_without_potentials_has_no_figure():
    with pytest.raises(DendrosimError, match="nothing was recorded"):
        recording_figure(ds.Recording(
            np.zeros(0, int), np.zeros(0), xr.Dataset(coords={"time": [], "neuron": [0]}),
            recording([[]]).meta,
        ), protocol("0 uA/cm**2"))  # fmt: skip
