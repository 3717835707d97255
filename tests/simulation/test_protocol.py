"""Protocols: each shape against its closed form, on the time grid of any step."""

import re

import brian2
import numpy as np
import pytest
from abf_files import abf2
from numpy.testing import assert_allclose, assert_array_equal
from places import EPHYS, ROOT

import dendrosim as ds
from dendrosim import shelves
from dendrosim.comparison import protocol_measures
from dendrosim.current_clamp import recorded
from dendrosim.errors import DendrosimError
from dendrosim.figures.traces import current_unit
from dendrosim.model.quantities import quantity, unit_text
from dendrosim.model.toml import model_from_table
from dendrosim.simulation.plan import make_plan
from dendrosim.simulation.protocol_files import protocol_from_table
from dendrosim.simulation.shapes import SHAPES
from dendrosim.simulation.stimuli import Stimulus
from dendrosim.simulation.stimulus_options import OPTIONS

MS, UA = 1e-3, 1e-2  # a millisecond and a uA/cm**2 in SI
DTS = [0.1, 0.1 * 3, 0.3, 0.05, 0.025, 0.7 / 7, 1.0]  # ms; 0.1*3 is not 0.3
DURATION = 30.0  # ms


def current(shape, dt, duration=DURATION, neurons=1, **values):
    """Evaluate a shape at every step: (steps, neurons) in uA/cm**2, and the numbers of steps."""
    steps = np.arange(int(np.ceil(duration / dt - 1e-9)))
    stimulus = Stimulus("soma", shape, **values)
    return stimulus.current(steps * (dt * MS), dt * MS, duration * MS, neurons) / UA, steps


def inside(steps, dt, start, stop):
    """Steps from the one at `start` to the one before `stop`, by whole numbers."""
    return (steps >= round(start / dt)) & (steps < round(stop / dt))


def grid(time, dt):
    """The point of the time grid next to a time, in ms."""
    return round(time / dt) * dt


@pytest.mark.parametrize("dt", DTS)
class TestClosedForms:
    def test_constant(self, dt):
        found, _ = current("constant", dt, amplitude="0.75 uA/cm**2")
        assert_allclose(found, 0.75, rtol=1e-15)

    def test_step(self, dt):
        start, stop = grid(6.3, dt), grid(18.9, dt)
        found, k = current(
            "step", dt, amplitude="2 uA/cm**2", start=f"{start!r} ms", stop=f"{stop!r} ms"
        )
        assert_allclose(found[:, 0], 2 * inside(k, dt, start, stop), rtol=1e-15)

    def test_ramp(self, dt):
        start, stop = grid(6.3, dt), grid(18.9, dt)
        found, k = current(
            "ramp", dt, amplitude="2 uA/cm**2", offset="-1 uA/cm**2",
            start=f"{start!r} ms", stop=f"{stop!r} ms",
        )  # fmt: skip
        line = -1 + 3 * (k * dt - start) / (stop - start)
        assert_allclose(found[:, 0], line * inside(k, dt, start, stop), atol=1e-12)

    def test_chirp(self, dt):
        found, k = current(
            "chirp", dt, amplitude="0.5 uA/cm**2", f_0="20 Hz", f_1="100 Hz", start="3 ms"
        )
        since = k * dt - 3.0
        rate = 0.080 / (DURATION - 3.0)  # kHz per ms
        phase = 2 * np.pi * (0.020 * since + 0.5 * rate * since**2)
        assert_allclose(found[:, 0], 0.5 * np.sin(phase) * inside(k, dt, 3.0, DURATION), atol=1e-9)

    def test_sine(self, dt):
        found, k = current(
            "sine", dt, amplitude="0.5 uA/cm**2", frequency="80 Hz", phase="0.75", start="3 ms",
            stop="24 ms",
        )  # fmt: skip
        wave = 0.5 * np.sin(2 * np.pi * 0.080 * (k * dt - 3.0) + 0.75)
        assert_allclose(found[:, 0], wave * inside(k, dt, 3.0, 24.0), atol=1e-9)
        plain, _ = current("sine", dt, amplitude="0.5 uA/cm**2", frequency="80 Hz")
        assert_allclose(plain[:, 0], 0.5 * np.sin(2 * np.pi * 0.080 * k * dt), atol=1e-9)

    def test_pulse_train(self, dt):
        start, width, period = grid(3, dt), grid(2, dt), grid(6, dt)
        found, k = current(
            "pulse_train", dt, amplitude="5 uA/cm**2", start=f"{start!r} ms",
            width=f"{width!r} ms", period=f"{period!r} ms", count="3",
        )  # fmt: skip
        expected = np.zeros(len(k))
        for pulse in range(3):
            at = start + pulse * period
            expected += 5.0 * inside(k, dt, at, at + width)
        assert_allclose(found[:, 0], expected, rtol=1e-15)
        assert np.count_nonzero(np.diff(np.r_[0, found[:, 0]]) > 0) == 3

    def test_paired_pulse(self, dt):
        start, width, gap = grid(3, dt), grid(2, dt), grid(9, dt)
        found, k = current(
            "paired_pulse", dt, amplitude="5 uA/cm**2", start=f"{start!r} ms",
            width=f"{width!r} ms", interval=f"{gap!r} ms",
        )  # fmt: skip
        on = inside(k, dt, start, start + width) | inside(k, dt, start + gap, start + gap + width)
        assert_allclose(found[:, 0], 5.0 * on, rtol=1e-15)

    def test_alpha(self, dt):
        start = grid(6, dt)
        found, k = current("alpha", dt, amplitude="4 uA/cm**2", tau="5 ms", start=f"{start!r} ms")
        x = np.maximum(k * dt - start, 0) / 5
        assert_allclose(found[:, 0], 4 * x * np.exp(1 - x), atol=1e-12)


def test_every_shape_is_tested_here_and_says_what_it_is():
    tested = {"constant", "step", "ramp", "sine", "chirp", "pulse_train", "paired_pulse",
              "alpha"}  # fmt: skip
    assert tested | {"ou", "recorded"} == set(SHAPES)
    assert all(shape.doc for shape in SHAPES.values())


def test_the_guide_has_every_shape_with_its_keys():
    page = (ROOT / "docs" / "guide" / "protocols.md").read_text("utf-8")
    rows = []
    for name, shape in SHAPES.items():
        keys = []
        for key, (dimension, default) in shape.values.items():
            unit = "current" if dimension is None else unit_text(dimension).replace("1", "number")
            keys.append(f"`{key}` ({unit})" if default is None else f"`{key}` ({unit}, {default})")
        for key, default in OPTIONS.get(name, {}).items():
            keys.append(f"`{key}`" if default is None else f"`{key}` ({default})".lower())
        rows.append(f"| `{name}` | {shape.doc} | {', '.join(keys)} |")
    assert [line for line in page.splitlines() if line.startswith("| `")] == rows


def test_alpha_peaks_at_its_time_constant_and_ends():
    found, k = current("alpha", 0.1, duration=5000, amplitude="4 uA/cm**2", tau="5 ms")
    assert k[np.argmax(found)] * 0.1 == pytest.approx(5.0)
    assert found.max() == pytest.approx(4.0, rel=1e-12)
    assert 0 <= found[-1, 0] < 1e-300  # and the exponential of -1000 is no trouble


def test_a_grid_runs_slowest_and_repetitions_fastest():
    found, _ = current("constant", 1.0, neurons=6, amplitude="[1, 2, 3] uA/cm**2")
    assert_allclose(found[0], [1, 1, 2, 2, 3, 3])


def test_stimuli_add_up_in_their_places():
    protocol = ds.Protocol(
        duration="3 ms",
        stimuli=[
            Stimulus(["soma", "dendrite"], "constant", amplitude="1 uA/cm**2"),
            Stimulus("I_d", "constant", amplitude="[2, 3] uA/cm**2"),
            Stimulus("soma", "step", amplitude="4 uA/cm**2", start="1 ms", stop="2 ms"),
        ],
    )
    times = np.arange(3) * MS
    assert_allclose(protocol.current("soma", times, MS) / UA, [[1, 1], [5, 5], [1, 1]])
    assert_allclose(protocol.current("dendrite", times, MS) / UA, [[3, 4]] * 3)
    assert_allclose(protocol.current("axon", times, MS), 0)
    assert (protocol.size, protocol.sizes) == (2, {"stimuli.1.amplitude": 2})
    key, values = protocol.grid
    assert key == "amplitude"
    assert_allclose(np.asarray(values) / UA, [2, 3])


class TestNoise:
    def noise(self, dt=0.1, duration=100.0, neurons=1, **values):
        values = {"sigma": "2 uA/cm**2", "mean": "0.5 uA/cm**2", "tau": "5 ms", **values}
        return current("ou", dt, duration, neurons, **values)[0]

    def test_is_stationary_from_the_first_step(self):
        n, lag = 20_000, 20
        path = self.noise(duration=6.0, neurons=n, independent=True, seed=3)
        error = 4.5 / np.sqrt(n)  # of a mean, in standard deviations
        for k in (0, 1, 59):
            assert path[k].mean() == pytest.approx(0.5, abs=2 * error)
            assert path[k].std() == pytest.approx(2, rel=error / np.sqrt(2))
        for first in (0, 39):
            r = np.corrcoef(path[first], path[first + lag])[0, 1]
            assert r == pytest.approx(np.exp(-lag * 0.1 / 5), abs=error)
        assert abs(np.corrcoef(path[10, ::2], path[10, 1::2])[0, 1]) < 2 * error

    def test_is_an_exact_markov_chain(self):
        path = (self.noise(duration=60_000.0, seed=1)[:, 0] - 0.5) / 2
        decay = np.exp(-0.1 / 5)
        innovation = (path[1:] - decay * path[:-1]) / np.sqrt(1 - decay**2)
        n = len(innovation)
        assert innovation.std() == pytest.approx(1, rel=4.5 / np.sqrt(2 * n))
        assert abs(innovation.mean()) < 4.5 / np.sqrt(n)
        for lag in (1, 2, 50):
            assert abs(np.corrcoef(innovation[lag:], innovation[:-lag])[0, 1]) < 4.5 / np.sqrt(n)
        kurtosis = np.mean(innovation**4)
        assert kurtosis == pytest.approx(3, abs=4.5 * np.sqrt(96 / n))

    @pytest.mark.parametrize("times", [2, 4, 8])
    def test_is_the_same_path_for_any_step(self, times):
        coarse = self.noise(dt=0.1)
        assert_array_equal(self.noise(dt=0.1 / times)[::times], coarse)
        assert_array_equal(self.noise(dt=0.1 * times), coarse[::times])
        assert len(np.unique(self.noise(dt=0.1 / times))) == len(np.unique(coarse))

    def test_is_the_same_path_for_any_duration(self):
        assert_array_equal(self.noise(duration=50.0), self.noise(duration=100.0)[:500])

    def test_other_seeds_give_other_paths_and_neurons_share_one(self):
        one, other = self.noise(seed=1, duration=5000.0), self.noise(seed=2, duration=5000.0)
        assert abs(np.corrcoef(one[:, 0], other[:, 0])[0, 1]) < 0.3
        shared = self.noise(seed=1, neurons=3)
        assert_array_equal(shared, np.repeat(shared[:, :1], 3, axis=1))
        own = self.noise(seed=1, neurons=3, independent=True)
        assert len(np.unique(own[5])) == 3

    def test_a_grid_scales_one_path(self):
        path = self.noise(neurons=2, sigma="[1, 3] uA/cm**2", mean="0 uA/cm**2")
        assert_allclose(path[:, 1], 3 * path[:, 0])

    def test_more_samples_than_fit_are_refused(self):
        with pytest.raises(DendrosimError, match="take a longer sample"):
            self.noise(sample="1e-9 ms")


@pytest.fixture
def clamp(monkeypatch):
    """A current clamp of three sweeps at 0.5 ms, in place of a file."""
    command = np.outer(np.r_[np.zeros(4), np.ones(8), np.zeros(4)], [-50e-12, 0, 100e-12])
    recording = recorded.ClampRecording("cell.abf", 0.5e-3, command, np.full((16, 3), -0.07))

    def read(path, sweeps=None):
        assert path == "cell.abf"
        kept = slice(None) if sweeps is None else sweeps
        return recorded.ClampRecording(
            path, recording.dt, recording.command[:, kept], recording.voltage[:, kept]
        )

    monkeypatch.setattr(recorded, "read_abf", read)
    return recording


def never_fires(model):
    return ds.reduce(model, "0.1 ms").model.with_(parameters={"V_th": 1e9})


class TestRecorded:
    def test_picoampere_become_a_density_by_the_area(self, clamp):
        protocol = ds.load_protocol("recorded").with_(file="cell.abf", area="2e-5 cm**2")
        assert (protocol.size, float(protocol.duration)) == (3, pytest.approx(8e-3))
        times = np.arange(16) * 0.5e-3
        found = protocol.current("soma", times, 0.5e-3) / UA
        # 100 pA on 2e-5 cm**2 are 5 uA/cm**2
        assert_allclose(found, np.outer(clamp.command[:, 2], [-0.5, 0, 1]) / 1e-10 * 5)
        assert protocol.grid[0] == "sweep"
        assert_array_equal(np.asarray(protocol.grid[1]), [0, 1, 2])

    def test_picoampere_go_whole_into_an_input_in_ampere(self, clamp):
        """A capacitor: its potential is the charge so far, whatever the area."""
        model = model_from_table(
            {
                "title": "Capacitor", "kind": "continuous", "inputs": {"soma": "I"},
                "potentials": {"soma": "v"}, "method": "euler", "dt": "0.5 ms",
                "equations": "dv/dt = I/C : volt\nI : amp",
                "parameters": {"C": {"value": "100 pF"}}, "initial": {"v": "0 mV"},
            }, "capacitor", "capacitor",
        )  # fmt: skip
        shelf = ds.load_protocol("recorded").with_(file="cell.abf")
        bare = ds.Protocol(stimuli=[Stimulus("soma", "recorded", file="cell.abf")])
        for protocol in (shelf, bare):
            run = ds.simulate(model, protocol, device="numpy", record=["v", "I"], progress=False)
            assert_allclose(run.traces["I"], clamp.command, atol=1e-18)
            # 100 pA for 4 ms into 100 pF
            assert_allclose(run.traces["v"].values[-1], np.array([-2e-3, 0, 4e-3]), atol=1e-12)
        assert current_unit(shelf, in_ampere=True) == "pA"
        times = np.arange(16) * 0.5e-3
        found = shelf.current("soma", times, 0.5e-3, in_ampere=True)
        assert_allclose(found, clamp.command)

    @pytest.mark.parametrize(
        ("unit", "area", "told"),
        [
            ("1", {"area": "1 cm**2"}, "I of leak is in 1"),
            ("volt", {"area": "1 cm**2"}, "I of leak is in volt"),
            ("amp/meter**2", {}, "needs the key 'area' to go into I of leak"),
        ],
    )
    def test_an_input_that_it_cannot_go_into_is_told(self, clamp, unit, area, told):
        model = model_from_table(
            {
                "title": "Leak", "kind": "continuous", "inputs": {"soma": "I"}, "method": "euler",
                "dt": "0.5 ms", "equations": f"dx/dt = (I - x)/ms : {unit}\nI : {unit}",
                "initial": {"x": f"0 {unit}"},
            }, "leak", "leak",
        )  # fmt: skip
        protocol = ds.Protocol(stimuli=[Stimulus("soma", "recorded", file="cell.abf", **area)])
        with pytest.raises(DendrosimError, match=re.escape(told)) as error:
            ds.simulate(model, protocol, device="numpy", progress=False)
        assert "protocol: stimuli.0: a recorded current" in str(error.value)

    @pytest.mark.parametrize(
        "make", [lambda m: m.variant("passive"), never_fires], ids=["channels", "reduced"]
    )
    @pytest.mark.parametrize("name", ["kepecs_wang_2000", "pinsky_rinzel_1994"])
    def test_the_same_current_meets_the_input_resistance_of_the_whole_cell(
        self, name, make, monkeypatch
    ):
        """Law: R_in of two leaky compartments of one cell of known area, from Ohm and Kirchhoff."""
        command = np.outer(np.ones(8), [-100e-12, 100e-12])
        held = recorded.ClampRecording("cell.abf", 0.05, command, command)
        monkeypatch.setattr(recorded, "read_abf", lambda path, sweeps=None: held)
        source = ds.load_model(name)
        p, g_L, g_c = (float(source.parameters[k].value) for k in ("p", "g_L", "g_c"))
        area = 2e-8  # m**2
        conductance = area * np.array([[p * g_L + g_c, -g_c], [-g_c, (1 - p) * g_L + g_c]])
        protocol = ds.load_protocol("recorded").with_(file="cell.abf", area="2e-4 cm**2")
        model = make(source)
        run = ds.simulate(model, protocol, device="numpy", dt="0.1 ms", record_dt="1 ms",
                          record=[model.potentials["soma"]], progress=False)  # fmt: skip
        resistance = np.diff(run.voltage("soma")[-1])[0] / 200e-12
        assert resistance == pytest.approx(np.linalg.inv(conductance)[0, 0], rel=1e-3)
        assert resistance > 1 / (area * g_L)  # the leak of all of the membrane alone

    @pytest.mark.parametrize("dt", [0.5, 0.25, 0.1, 0.5 / 3])
    def test_a_sample_holds_until_the_next(self, clamp, dt):
        protocol = ds.load_protocol("recorded").with_(file="cell.abf", area="1e-4 cm**2", sweeps=2)
        assert protocol.size == 1
        steps = np.arange(int(np.ceil(8 / dt - 1e-9)))
        found = protocol.current("soma", steps * dt * MS, dt * MS)[:, 0] / UA
        assert_allclose(found, inside(steps, dt, 2.0, 6.0) * 1.0)

    def test_what_is_measured_is_where_the_command_leaves_its_holding_value(self, clamp):
        protocol = ds.load_protocol("recorded").with_(file="cell.abf")
        assert protocol.window == pytest.approx((2e-3, 6e-3))  # samples 4 to 11 of 0.5 ms
        trains = [np.array([1e-3, 3e-3, 5e-3, 7e-3])] * 3
        assert_allclose(protocol_measures.curve(trains, protocol)["rate (Hz)"], 2 / 4e-3)
        given = protocol.with_(measure={"start": "1 ms"})
        assert given.window == pytest.approx((1e-3, 6e-3))
        assert protocol.with_(sweeps=1).window == (0, pytest.approx(8e-3))  # 0 pA throughout
        assert protocol.with_(duration="4 ms").window == pytest.approx((2e-3, 4e-3))
        assert protocol.with_(duration="2 ms").window == (0, pytest.approx(2e-3))
        noise = Stimulus("soma", "ou", sigma="1 uA/cm**2")
        both = ds.Protocol(stimuli=[*protocol.stimuli, noise])
        assert both.window == (0, pytest.approx(8e-3))

    def test_sweeps_are_selected(self, clamp):
        protocol = ds.load_protocol("recorded").with_(file="cell.abf", sweeps=[2, 0])
        assert_array_equal(np.asarray(protocol.grid[1]), [2, 0])
        found = protocol.current("soma", np.array([3e-3]), 0.5e-3) / UA
        assert_allclose(found, [[1.0, -0.5]])

    def test_the_file_is_read_when_it_is_needed(self):
        protocol = ds.load_protocol("recorded")
        with pytest.raises(DendrosimError, match="needs the file of a recording"):
            _ = protocol.duration
        with pytest.raises(DendrosimError, match="there is no such recording"):
            _ = protocol.with_(file="/nowhere/cell.abf").size

    def test_read_abf_converts_units_and_selects(self, tmp_path):
        data = np.full((3, 640, 1), -0.07) - 1e-3 * np.arange(3)[:, None, None]  # mV of a channel
        file = abf2(tmp_path / "cell.abf", data * 1e6, [("Vm", "uV")], [("Inj", "nA")],
                    epochs=[(0, 0, 1, 0.01, 0.01, 100, 0)])  # fmt: skip
        read = recorded.read_abf(file, [2, 1])
        assert read.dt == 5e-5 and read.duration == pytest.approx(32e-3)
        assert_allclose(read.command[50], [30e-12, 20e-12], rtol=1e-6)
        assert_allclose(read.voltage, np.tile([-0.072, -0.071], (640, 1)), rtol=1e-6)
        with pytest.raises(DendrosimError, match="no sweep 3; valid: 0 to 2"):
            recorded.read_abf(file, [3])

    @pytest.mark.skipif(not EPHYS.is_dir(), reason="needs the recordings beside the checkout")
    def test_a_real_file(self):
        protocol = ds.load_protocol("recorded").with_(file=EPHYS / "171116sh_0018.abf")
        assert (protocol.size, float(protocol.duration)) == (17, pytest.approx(3.0))
        # 1e-4 cm**2: 100 pA are 1 uA/cm**2.  In each sweep 25 pA more
        found = protocol.current("soma", np.array([0.1, 1.2, 2.0]), 5e-5) / UA
        assert_allclose(found, [np.zeros(17), np.full(17, -1.0), np.arange(17) / 4 - 1], atol=1e-9)
        spikes = recorded.read_abf(EPHYS / "171116sh_0018.abf").spike_times()
        assert [len(train) for train in spikes[:10]] == [0] * 6 + [2, 3, 6, 8]


class TestProtocol:
    @pytest.mark.parametrize("name", shelves.names("protocols"))
    def test_each_on_the_shelf_loads_and_says_what_it_is(self, name):
        protocol = ds.load_protocol(name)
        assert protocol.title and protocol.name == name and protocol.stimuli
        if name != "recorded":
            times = np.linspace(0, float(protocol.duration), 999, endpoint=False)
            for place in protocol.stimuli[0].into:
                assert np.any(protocol.current(place, times, 1e-4))

    def test_shelf_has_each_shape_of_the_issue(self):
        shapes = {ds.load_protocol(n).stimuli[0].shape for n in shelves.names("protocols")}
        assert shapes == set(SHAPES)
        assert ds.load_protocol("fi_curve").size == 41

    def test_with_changes_a_copy(self):
        protocol = ds.load_protocol("step")
        new = protocol.with_(
            duration="2 s", amplitude="2 uA/cm**2", into="dendrite", measure={"start": "1 s"}
        )
        assert (float(new.duration), new.window) == (2.0, (1.0, 2.0))
        assert new.stimuli[0].into == ("dendrite",)
        assert float(new.stimuli[0].values["amplitude"]) == pytest.approx(0.02)
        assert float(protocol.duration) == 1.0 and protocol.stimuli[0].into == ("soma",)
        assert new.title == protocol.title

    def test_quantities_and_text_are_the_same(self):
        one = Stimulus("soma", "step", amplitude="1 uA/cm**2", start="1 ms", stop="2 ms")
        other = Stimulus(
            ("soma",), "step", amplitude=1 * brian2.uA / brian2.cm**2,
            start=1 * brian2.ms, stop=2 * brian2.ms,
        )  # fmt: skip
        assert one.into == other.into
        for key, value in one.values.items():
            assert_allclose(np.asarray(value), np.asarray(other.values[key]), rtol=1e-15)

    def test_the_measured_window(self):
        window = {"start": "1 ms", "stop": "2 ms"}
        assert ds.Protocol(duration="3 ms", measure=window).window == (1e-3, 2e-3)
        assert ds.Protocol(duration="3 ms").window == (0, 3e-3)


STEP = {"into": "soma", "shape": "step", "amplitude": "1", "start": "1 ms", "stop": "2 ms"}
ONE = {"duration": "10 ms", "stimuli": [STEP]}


def without(table, key):
    return {k: v for k, v in table.items() if k != key}


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"stimuli": [STEP]}, "'duration' is missing"),
        ({**ONE, "duration": "0 ms"}, "duration: 0 ms is not a time above 0"),
        ({**ONE, "duration": "-1 ms"}, "not a time above 0"),
        ({**ONE, "duration": "10"}, "duration: '10' has no unit"),
        ({**ONE, "duration": "nan ms"}, "duration"),
        ({**ONE, "duration": "[1, 2] ms"}, "not a time above 0"),
        ({**ONE, "duration": 10}, "duration = 10 should be text"),
        ({**ONE, "stimulus": []}, "unknown key 'stimulus'; did you mean 'stimuli'?"),
        ({**ONE, "stimuli": {}}, "stimuli = {} should be a list"),
        ({**ONE, "stimuli": [5]}, "stimuli.0 needs the keys 'into' and 'shape'"),
        ({**ONE, "stimuli": [without(STEP, "into")]}, "needs the keys"),
        ({**ONE, "stimuli": [{**STEP, "into": []}]}, "into = [] should name a place"),
        ({**ONE, "stimuli": [{**STEP, "into": 5}]}, "into = 5 should name a place"),
        ({**ONE, "stimuli": [{**STEP, "into": [5]}]}, "into = [5] should name a place"),
        ({**ONE, "stimuli": [{**STEP, "shape": "square"}]}, "unknown shape 'square'"),
        ({**ONE, "stimuli": [{**STEP, "shape": ["step"]}]}, "unknown shape ['step']"),
        ({**ONE, "stimuli": [{**STEP, "where": "x"}]}, "unknown key 'where'"),
        ({**ONE, "stimuli": [{**STEP, "self": "x"}]}, "unknown key 'self'"),
        ({**ONE, "stimuli": [{**STEP, "amp": "x"}]}, "amp is not a key of step"),
        ({**ONE, "stimuli": [{**STEP, "start": "1"}]}, "start: '1' has no unit"),
        ({**ONE, "stimuli": [{**STEP, "amplitude": "x"}]}, "amplitude: 'x'"),
        ({**ONE, "stimuli": [{**STEP, "amplitude": True}]}, "amplitude: True"),
        ({**ONE, "stimuli": [without(STEP, "stop")]}, "step needs stop"),
        ({**ONE, "measure": {"begin": "1 ms"}}, "unknown key 'begin'"),
        ({**ONE, "measure": {"start": "[1, 2] ms"}}, "measure.start cannot be a grid"),
        ({**ONE, "measure": {"start": "20 ms"}}, "does not lie in the protocol of 10 ms"),
        ({**ONE, "measure": {"start": "5 ms", "stop": "4 ms"}}, "does not lie in"),
        ({**ONE, "measure": {"start": "-1 ms"}}, "does not lie in"),
        (
            {
                **ONE,
                "stimuli": [{**STEP, "amplitude": "[1, 2]"}, {**STEP, "start": "[1, 2, 3] us"}],
            },
            "stimuli.0.amplitude has 2, stimuli.1.start has 3",
        ),
    ],
    ids=str,
)
def test_a_wrong_protocol_is_told(table, told):
    with pytest.raises(DendrosimError, match=re.escape(told)) as error:
        protocol_from_table(table, "mine.toml", "mine")
    assert str(error.value).startswith("mine.toml")


CHIRP = {"shape": "chirp", "f_0": "8 Hz", "f_1": "8 Hz"}
PULSES = {"shape": "pulse_train", "width": "1 ms", "period": "3 ms", "count": "2"}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"start": "-1 ms"}, "start = -1 ms is before the run"),
        ({"start": "[1, -1] ms"}, "is before the run"),
        ({"start": "2 ms"}, "start = 2 ms is not before stop = 2 ms"),
        (CHIRP, "no frequency changes; one frequency is the shape 'sine'"),
        ({**PULSES, "period": "0.9 ms"}, "width = 1 ms is longer than the period of 0.9 ms"),
    ],
    ids=str,
)
def test_values_that_contradict_each_other_are_told_at_load(change, told):
    table = {**STEP, **change}
    if "shape" in change:
        table = {key: value for key, value in table.items() if key not in ("start", "stop")}
    with pytest.raises(DendrosimError, match=re.escape(told)) as error:
        protocol_from_table({"duration": "10 ms", "stimuli": [table]}, "mine.toml", "mine")
    assert str(error.value).startswith("mine.toml: stimuli.0")
    stimulus = Stimulus(**table)  # and of a protocol that is written in Python when it is planned
    with pytest.raises(DendrosimError, match=re.escape(told)):
        plan(ds.Protocol("10 ms", [stimulus]), 0.1e-3)


def plan(protocol, dt):
    return make_plan(
        ds.load_model("lif"), protocol, dt=dt, method=None, n=1, record=[], record_dt=None
    )


@pytest.mark.parametrize(
    ("change", "dt", "told"),
    [
        ({"start": "12 ms", "stop": "15 ms"}, 1e-4, "start = 12 ms is not before the end of the"),
        ({"start": "10 ms", "stop": "15 ms"}, 1e-4, "before the end of the run at 10 ms"),
        ({"start": "9.96 ms", "stop": "15 ms"}, 1e-4, "no step of dt = 0.1 ms begins"),
        ({"start": "1 ms", "stop": "1.02 ms"}, 5e-5, "no step of dt = 0.05 ms begins"),
        ({**PULSES, "width": "0.02 ms"}, 5e-5, "width = 0.02 ms is shorter than one step"),
        (
            {"shape": "paired_pulse", "width": "[1, 0.04] ms", "interval": "3 ms"},
            1e-4,
            "width = [1, 0.04] ms is shorter than one step of dt = 0.1 ms",
        ),
    ],
    ids=str,
)
def test_a_stimulus_that_puts_in_nothing_is_told_when_it_is_planned(change, dt, told):
    keep = ("into", "amplitude") if "shape" in change else STEP
    stimulus = Stimulus(**{**{key: STEP[key] for key in keep}, **change})
    with pytest.raises(DendrosimError, match=re.escape(told)):
        plan(ds.Protocol("10 ms", [stimulus], name="mine"), dt)


def test_a_stimulus_that_just_fits_is_planned():
    for change in ({"start": "9.9 ms", "stop": "20 ms"}, {"start": "0 ms", "stop": "0.1 ms"}):
        assert plan(ds.Protocol("10 ms", [Stimulus(**{**STEP, **change})]), 1e-4)
    train = {key: STEP[key] for key in ("into", "amplitude")} | PULSES | {"width": "0.1 ms"}
    assert plan(ds.Protocol("10 ms", [Stimulus(**train)]), 1e-4)


@pytest.mark.parametrize(
    ("shape", "values", "told"),
    [
        ("sine", {"frequency": "0 Hz"}, "frequency = 0 Hz is not above 0"),
        ("sine", {"frequency": "1 Hz", "phase": "1 ms"}, "phase"),
        ("pulse_train", {"width": "1 ms", "period": "2 ms", "count": "2.5"}, "count = 2.5"),
        ("pulse_train", {"width": "1 ms", "period": "2 ms", "count": "0"}, "count = 0"),
        ("pulse_train", {"width": "0 ms", "period": "2 ms", "count": "2"}, "width = 0 ms"),
        ("paired_pulse", {"width": "1 ms", "interval": "-2 ms"}, "interval = -2 ms"),
        ("alpha", {"tau": "0 ms"}, "tau = 0 ms is not above 0"),
        ("alpha", {"tau": "5 mV"}, "tau: '5 mV' has the unit mV"),
    ],
)
def test_a_wrong_value_of_a_shape_is_told(shape, values, told):
    with pytest.raises(DendrosimError, match=re.escape(told)):
        Stimulus("soma", shape, amplitude="1", **values)


@pytest.mark.parametrize(
    "values",
    [{"seed": -1}, {"seed": 1.5}, {"seed": True}, {"seed": None}, {"independent": 1},
     {"tau": "[1, 2] ms"}, {"sample": "0 ms"}],
    ids=str,
)  # fmt: skip
def test_a_wrong_value_of_noise_is_told(values):
    with pytest.raises(DendrosimError, match=next(iter(values))):
        Stimulus("soma", "ou", sigma="1", **values)


@pytest.mark.parametrize("sweeps", [3.5, [], ["a"], [True], "0"])
def test_wrong_sweeps_are_told(sweeps):
    with pytest.raises(DendrosimError, match="sweeps"):
        Stimulus("soma", "recorded", area="1 cm**2", sweeps=sweeps)


@pytest.mark.parametrize(
    ("keywords", "told"),
    [
        ({"stimuli": 5}, "stimuli = 5 is not a list"),
        ({"stimuli": "soma"}, "stimuli = 'soma' is not a list"),
        ({"stimuli": [5]}, "5 is not a Stimulus"),
        ({"measure": 5}, "5 is not a table"),
        ({"measure": {"start": 5}}, "start = 5 should be"),
        ({"duration": None}, "'duration' is missing"),
        ({"duration": {"ms": 1}}, "duration"),
    ],
    ids=str,
)
def test_wrong_keywords_are_told(keywords, told):
    with pytest.raises(DendrosimError, match=re.escape(told)):
        ds.Protocol(**{"duration": "1 ms", **keywords})


@pytest.mark.parametrize("key", ["foo", "shape", "where", "self_", "file"])
def test_with_refuses_a_key_that_no_stimulus_has(key):
    with pytest.raises(DendrosimError, match=f"no stimulus has a '{key}'"):
        ds.load_protocol("constant").with_(**{key: "x"})


def test_zero_without_a_unit_goes_into_any_input():
    offset = Stimulus("soma", "ramp", amplitude="1 uA/cm**2").values["offset"]
    assert offset == quantity("0")


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"into": "", "shape": "constant", "amplitude": "1"}, "should name a place"),
        ({"into": ["soma", ""], "shape": "constant", "amplitude": "1"}, "should name a place"),
        ({"into": "soma", "shape": "ou", "sigma": "-1 nA"}, "a standard deviation below 0"),
        ({"into": "soma", "shape": "ou", "sigma": "[1, -1]"}, "a standard deviation below 0"),
    ],
)
def test_a_stimulus_that_cannot_be_is_refused(values, told):
    with pytest.raises(DendrosimError, match=told):
        Stimulus(**values)
