"""Running a model: the same on each device, compiled once, and nothing of the caller's touched."""

import json
import re
import time
from pathlib import Path

import brian2
import numpy as np
import pytest
import xarray as xr
from brian2.devices.device import all_devices, get_device, reset_device
from numpy.testing import assert_allclose, assert_array_equal
from reference import discrete, kepecs_wang
from runs import I_D, MS, bursters, four, same_units

import dendrosim as ds
from dendrosim.errors import DendrosimError, DivergenceError
from dendrosim.model.expressions import parse_statements
from dendrosim.model.toml import model_from_table

DEVICES = ["numpy", "cython", "cpp"]


def into_soma(amplitude, duration="60 ms", **values):
    return ds.Protocol(
        duration=duration,
        stimuli=[ds.Stimulus("soma", "constant", amplitude=amplitude, **values)],
    )


def lif(protocol=None, **options):
    protocol = protocol or into_soma("[0.15, 0.33, 0.7]")
    options = {"device": "numpy", "progress": False, **options}
    return ds.simulate(ds.load_model("lif"), protocol, **options)


def same_trains(one, other):
    assert_array_equal(one.spike_i, other.spike_i)
    assert_array_equal(one.spike_t, other.spike_t)


class TestDevices:
    def test_lif_is_its_equations_on_each_device(self):
        oracle = discrete.lif(np.tile([0.15, 0.33, 0.7], (1, 60, 1)), beta=0.8)
        for device in DEVICES:
            r = lif(device=device)
            assert r.meta["device"] == device
            for neuron, train in enumerate(r.trains):
                # a spike of step k (from 0) is in the state at the end of that step
                assert_allclose(train, (np.flatnonzero(oracle.spikes[0, :, neuron]) + 1) * MS)
            assert_allclose(r.traces["U"].values[1:], oracle.states["U"][0, :-1], rtol=1e-12)
        assert len(oracle.spikes[0, :, 2].nonzero()[0]) > 10

    def test_two_compartments_are_their_equations_on_each_device(self):
        values = {"alpha_1": 0.9, "alpha_2": 0.8, "beta_1": -0.2, "beta_2": 0.3, "gamma": 0.4}
        model = ds.load_model("two_compartment").with_(parameters=values)
        x = np.array([0.2, 0.35, 0.8])
        oracle = discrete.two_compartment(np.tile(x, (1, 200, 1)), **values)
        protocol = into_soma("[0.2, 0.35, 0.8]", "200 ms").with_(into="dendrite")
        for device in DEVICES:
            r = ds.simulate(model, protocol, device=device, progress=False)
            for neuron, train in enumerate(r.trains):
                assert_allclose(train, (np.flatnonzero(oracle.spikes[0, :, neuron]) + 1) * MS)
            for name in ("U_D", "U_S"):
                expected = oracle.states[name][0, :-1]
                assert_allclose(r.traces[name].values[1:], expected, rtol=1e-9, atol=1e-12)
        assert oracle.spikes.sum() > 30

    def test_kepecs_wang_is_the_same_and_that_of_the_oracle(self):
        oracle = kepecs_wang.rk4(
            kepecs_wang.broadcast(kepecs_wang.INITIAL, 4), 0.0, np.array(I_D), duration=60.0,
            dt=0.02, record_every=1, par=kepecs_wang.parameters(g_KS=np.array([0.8] * 3 + [0.7])),
        )  # fmt: skip
        assert [len(train) for train in oracle.spike_times] == [0, 4, 5, 6]
        for device in DEVICES:
            r = four(device=device)
            for train, expected in zip(r.trains, oracle.spike_times, strict=True):
                assert_allclose(train, expected * MS, rtol=1e-12)
            error = np.abs(same_units(r, kepecs_wang.STATES) - oracle.y[:-1]).max(axis=(0, 2))
            assert np.all(error <= 1e-9 * np.array([100, 100, 1, 1, 1]))  # mV, and gates

    def test_two_threads_are_one(self):
        one, two = four(), four(threads=2)
        assert two.meta["threads"] == 2
        same_trains(one, two)
        for name in one.traces:
            assert_allclose(one.traces[name], two.traces[name], rtol=1e-9, atol=1e-12)


BATTERY = """
a_1 = I % 3 + (-I) % 3 + 7 % 4
a_2 = I**3 - I**2 - -I**2
a_3 = 2.0**-1*I + 1/2*I + 7/2*I + 10.0**-2 + (3 - 5)*(2/3)**-2
a_4 = sign(I) + 10*floor(I) + 100*ceil(-I)
a_5 = clip(I, -1, 1) + abs(I)**0.5
a_6 = int(I > 0 and I < 2) + 2*int(not I > 0 or I == -1) + 4*int(I != 0.5) + int(True)
a_7 = exprel(I) + exprel(1e-9*I) + exprel(0*I)
a_8 = sigmoid(100*I) + tanh(I) + sinh(I) + cosh(I)
a_9 = 3000000000*I + 2**40
a_10 = arctan(I) + arcsin(I/10) + arccos(I/10) + sin(I) + cos(I) + tan(I)
a_11 = log(abs(I) + 1) + log10(abs(I) + 1) + sqrt(abs(I)) + exp(I)
a_12 = 2**(-I) + pi*e*I
a_13 = -I % 0.7 + (a_1 - I)*(a_2 + I)/(1 + a_5*a_5)
S = int(I > 1)
"""


def test_an_expression_means_the_same_on_each_device():
    """numpy, C++ and our own evaluation agree on the whole language, whole numbers included."""
    statements = parse_statements(BATTERY)
    model = model_from_table(
        {"title": "x", "kind": "discrete", "inputs": {"soma": "I"}, "output": "S", "dt": "1 ms",
         "update": BATTERY}, "battery", "battery",
    )  # fmt: skip
    x = np.array([-7.5, -3.0, -1.0, -0.25, 0.0, 0.5, 1.0, 2.0, 3.0, 6.9])
    values = {"I": x, **{s.target: np.zeros(10) for s in statements}}
    with np.errstate(over="ignore"):  # the exponential in sigmoid(-750)
        for statement in statements:
            values[statement.target] = statement.expression(values)
    protocol = into_soma(list(map(float, x)), "2 ms")
    names = [s.target for s in statements]
    for device in ("numpy", "cpp"):
        r = ds.simulate(model, protocol, device=device, record=names, progress=False)
        for name in names:
            found = r.traces[name].values[1]
            assert_allclose(found, values[name], rtol=1e-12, err_msg=f"{name} on {device}")


class TestStimuli:
    STIMULI = (
        {"shape": "constant", "amplitude": "[1, 2]", "start": "1.5 ms", "stop": "9.3 ms"},
        {"shape": "step", "amplitude": "3", "start": "2.1 ms", "stop": "4.2 ms"},
        {"shape": "ramp", "amplitude": "5", "offset": "-1", "start": "3 ms", "stop": "9 ms"},
        {"shape": "chirp", "amplitude": "7", "f_0": "50 Hz", "f_1": "300 Hz"},
        {"shape": "sine", "amplitude": "2", "frequency": "90 Hz", "phase": "0.4"},
        {"shape": "pulse_train", "amplitude": "11", "start": "1.2 ms", "width": "0.6 ms",
         "period": "1.8 ms", "count": "3"},
        {"shape": "paired_pulse", "amplitude": "13", "start": "2.4 ms", "width": "0.9 ms",
         "interval": "[1.8, 3.6] ms"},
        {"shape": "alpha", "amplitude": "17", "tau": "[1, 2] ms", "start": "0.9 ms"},
        {"shape": "ou", "sigma": "[1, 2]", "mean": "19", "sample": "0.3 ms", "seed": 4},
        {"shape": "ou", "sigma": "1", "sample": "0.1 ms", "independent": True, "seed": 5},
    )  # fmt: skip

    @pytest.mark.parametrize("dt", ["0.3 ms", "0.1 ms", "0.075 ms", "0.15 ms"])
    def test_a_simulated_current_is_that_of_the_protocol(self, dt):
        stimuli = [ds.Stimulus("soma", **values) for values in self.STIMULI]
        protocol = ds.Protocol(duration="12 ms", stimuli=stimuli, grids="zip")
        r = lif(protocol, dt=dt, n=2, record=["I"])
        expected = protocol.current("soma", r.times, r.meta["dt"], n=2)
        assert expected.shape == (round(12e-3 / r.meta["dt"]), 4)
        assert_allclose(r.traces["I"].values, expected, rtol=1e-9, atol=1e-9)

    def test_a_recorded_current_too(self, monkeypatch):
        from dendrosim.current_clamp import recorded

        rng = np.random.default_rng(0)
        command = rng.normal(size=(40, 2))
        clamp = recorded.ClampRecording("x", 0.25e-3, command * 1e-10, command)
        monkeypatch.setattr(recorded, "read_abf", lambda path, sweeps=None: clamp)
        protocol = ds.load_protocol("recorded").with_(file="x")
        r = ds.simulate(
            ds.load_model("kepecs_wang_2000"), protocol, dt="0.05 ms", method="euler",
            device="numpy", record=["I_s"], progress=False,
        )  # fmt: skip
        # 1e-4 cm**2 of membrane, of which the soma is 0.15
        density = np.repeat(command, 5, axis=0) * 0.01 / 0.15
        assert_allclose(r.traces["I_s"].values, density, rtol=1e-12)
        assert r.sweep[0] == "sweep"

    def test_a_seed_overrides_that_of_the_protocol(self):
        noise = ds.Stimulus("soma", "ou", sigma="1", sample="1 ms", seed=7)
        protocol = ds.Protocol(duration="20 ms", stimuli=[noise])

        def trace(**options):
            r = lif(protocol, record=["I"], **options)
            return r.traces["I"].values[:, 0], r.meta

        assert_array_equal(trace(seed=7)[0], trace()[0])
        other, meta = trace(seed=np.int64(8))
        assert not np.allclose(other, trace()[0])
        assert (meta["seed"], meta["stimuli"][0]["seed"]) == (8, 8)
        assert_array_equal(
            other, protocol.with_(seed=8).current("soma", np.arange(20) * MS, MS)[:, 0]
        )


class TestCompiledOnce:
    def test_other_numbers_do_not_compile_again_and_change_the_result(self, tmp_path, monkeypatch):
        model = ds.load_model("lif")
        ds.simulate(model, into_soma("[0.15, 0.33, 0.7]"), progress=False)
        new = model.with_(parameters={"beta": "0.6", "V_th": "0.4"}, initial={"U": "0.1"})
        protocol = into_soma("[0.3, 0.17, 0.95]", "45.2 ms")
        began = time.perf_counter()
        second = ds.simulate(new, protocol, dt="0.4 ms", progress=False)
        assert time.perf_counter() - began < 3
        assert second.meta["compiled"] is False
        assert second.meta["compile_seconds"] == 0
        monkeypatch.setenv("DENDROSIM_CACHE", str(tmp_path / "with a space"))
        fresh = ds.simulate(new, protocol, dt="0.4 ms", progress=False)
        assert fresh.meta["compiled"] is True and fresh.meta["compile_seconds"] > 0
        same_trains(second, fresh)
        assert_array_equal(second.traces["U"].values, fresh.traces["U"].values)
        (main,) = (tmp_path / "with a space").glob("*/main")
        main.unlink()  # then it is made again
        again = ds.simulate(new, protocol, dt="0.4 ms", progress=False)
        assert again.meta["compiled"] is True
        assert list((tmp_path / "with a space").glob("*/main")) == [main]
        here = lif_of(new, protocol, dt="0.4 ms")
        same_trains(second, here)
        assert len(second.times) == 113 and len(second.spike_t) > 50

    def test_a_biophysical_model_too(self):
        four()
        model = bursters().with_(
            parameters={"g_NaP": "0.15 mS/cm**2"}, initial={"v_s": "-60 mV"}, dt="0.03 ms"
        )
        r = four("33.3 ms", (2, 1.5, 0.5, -1), model=model)
        assert r.meta["compiled"] is False
        here = four("33.3 ms", (2, 1.5, 0.5, -1), model=model, device="numpy")
        same_trains(r, here)
        assert len(r.spike_t) > 3
        assert_allclose(r.traces["v_s"].values, here.traces["v_s"].values, rtol=1e-9)

    def test_a_cache_that_cannot_be_written_is_told(self, tmp_path, monkeypatch):
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("DENDROSIM_CACHE", str(tmp_path / "file" / "cache"))
        with pytest.raises(DendrosimError, match="DENDROSIM_CACHE"):
            lif(device="cpp")

    def test_a_missing_compiler_is_told(self, monkeypatch):
        monkeypatch.setenv("CXX", "no-such-compiler")
        with pytest.raises(DendrosimError, match="needs a C\\+\\+ compiler and 'no-such-compiler'"):
            lif(device="cpp")


def lif_of(model, protocol, **options):
    return ds.simulate(model, protocol, device="numpy", progress=False, **options)


class TestTimes:
    def test_a_spike_has_the_time_of_the_state_that_crossed(self):
        r = four()
        v = r.traces["v_s"].values
        step = np.rint(r.spike_t / r.meta["dt"]).astype(int)
        assert_allclose(step * r.meta["dt"], r.spike_t, rtol=1e-15)
        assert np.all(v[step, r.spike_i] > -0.020)
        assert np.all(v[step - 1, r.spike_i] <= -0.020)
        assert np.all(np.diff(r.spike_t) >= 0)

    def test_samples_begin_with_the_initial_state(self):
        r = four()
        assert_allclose(same_units(r, kepecs_wang.STATES)[0, :, 1], kepecs_wang.INITIAL)
        assert_allclose(r.times, np.arange(3000) * 0.02e-3, rtol=1e-15)

    @pytest.mark.parametrize("device", ["numpy", "cpp"])
    def test_record_dt_takes_every_so_many_samples(self, device):
        protocol = into_soma("[0.15, 0.33, 0.7]", "41 ms")
        all_of_them = lif(protocol, device=device)
        some = lif(protocol, device=device, record_dt="3 ms")
        assert_allclose(some.times, np.arange(14) * 3e-3)
        assert_array_equal(some.traces["U"].values, all_of_them.traces["U"].values[::3])
        same_trains(some, all_of_them)

    @pytest.mark.parametrize("device", ["numpy", "cpp"])
    @pytest.mark.parametrize(
        ("duration", "dt", "steps"),
        [("60 ms", "0.3 ms", 200), ("1 ms", "0.3 ms", 4), ("0.3 ms", "0.1 ms", 3),
         ("7 ms", "7 ms", 1), ("100.1 ms", "0.1 ms", 1001)],
    )  # fmt: skip
    def test_the_last_step_reaches_the_end(self, device, duration, dt, steps):
        r = lif(into_soma("[0.15, 0.33, 0.7]", duration), device=device, dt=dt)
        assert_allclose(r.times, np.arange(steps) * r.meta["dt"], rtol=1e-15)


class TestDivergence:
    CURRENTS = (1, 1e12, 1, 1)

    @pytest.mark.parametrize("device", ["numpy", "cpp"])
    def test_is_told_with_model_variable_neuron_and_time(self, device, capfd):
        with pytest.raises(DivergenceError) as error:
            four(dendrite=self.CURRENTS, device=device)
        told = re.fullmatch(
            r"kepecs_wang_2000: (\w+) of neuron 1 is not finite at t = ([\d.]+) ms "
            r"\(method rk4, dt 0.02 ms\); try a smaller dt or another method, or "
            r"diverged='nan', with which the other neurons go on",
            str(error.value),
        )
        assert told and told[1] in kepecs_wang.STATES
        assert 0 < float(told[2]) < 3
        assert capfd.readouterr() == ("", "")

    def test_of_a_discrete_model_offers_no_method(self):
        model = ds.load_model("lif").with_(parameters={"beta": "1e300"})
        with pytest.raises(
            DivergenceError, match=r"U of neuron 0 is beyond 1e\+50 .* \(dt 1 ms\)$"
        ):
            lif_of(model, into_soma("-1"))

    def test_the_next_run_is_fine(self):
        with pytest.raises(DivergenceError):
            four(dendrite=self.CURRENTS, device="numpy")
        assert len(lif().spike_t)


class TestCaller:
    """What belongs to the caller's own Brian2 session."""

    @pytest.fixture
    def session(self, monkeypatch):
        monkeypatch.setitem(brian2.prefs, "codegen.target", "numpy")
        clock_dt = brian2.defaultclock.dt
        brian2.defaultclock.dt = 0.25 * brian2.ms
        group = brian2.NeuronGroup(1, "dv/dt = 1/ms : 1", method="euler", name="neurons")
        monitor = brian2.StateMonitor(group, "v", record=True, name="traces")
        network = brian2.Network(group, monitor)
        network.run(1 * brian2.ms, namespace={})
        yield network, monitor
        brian2.defaultclock.dt = clock_dt

    @pytest.mark.parametrize("device", ["numpy", "cpp"])
    @pytest.mark.parametrize("fails", [False, True])
    def test_is_left_as_it_was(self, session, device, fails):
        network, monitor = session
        preferences = json.dumps(dict(brian2.prefs), default=str)
        if fails:
            with pytest.raises(DivergenceError):
                four(dendrite=TestDivergence.CURRENTS, device=device)
        else:
            lif(device=device)
        assert json.dumps(dict(brian2.prefs), default=str) == preferences
        assert get_device() is all_devices["runtime"]
        assert brian2.defaultclock.dt == 0.25 * brian2.ms
        assert_allclose(np.asarray(brian2.defaultclock.t_), 1e-3)
        network.run(1 * brian2.ms, namespace={})
        assert_allclose(monitor.v[0], np.arange(8) * 0.25)

    def test_a_standalone_device_is_not_overruled(self):
        brian2.set_device("cpp_standalone", build_on_run=False)
        try:
            with pytest.raises(DendrosimError, match=r"brian2\.set_device\('runtime'\) comes"):
                lif()
        finally:
            brian2.device.reinit()
            reset_device("runtime")

    @pytest.mark.parametrize("device", ["numpy", "cpp"])
    def test_nothing_is_printed_and_no_file_is_made(self, device, capfd, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        lif(device=device, dt="0.7 ms")
        if device == "numpy":  # signals whose samples do not lie on the steps
            lif(ds.load_protocol("ou_noise").with_(mean="0", sigma="1"), dt="0.04 ms", record=[])
        assert capfd.readouterr() == ("", "")
        assert list(tmp_path.iterdir()) == []


class TestGrids:
    def test_n_repeats_each_point(self):
        r = lif(into_soma("[0.15, 0.7]"), n=3)
        assert r.n == 6 and r.meta["neurons"] == 6
        counts = [len(train) for train in r.trains]
        assert counts[:3] == counts[:1] * 3 and counts[3:] == counts[-1:] * 3
        key, values, unit = r.sweep
        assert (key, unit) == ("amplitude", "1")
        assert_array_equal(values, np.repeat([0.15, 0.7], 3))

    def test_a_parameter_may_have_a_grid(self):
        model = ds.load_model("lif").with_(parameters={"V_th": "[1, 2, 1e9]"})
        counts = [len(t) for t in lif_of(model, into_soma("0.7")).trains]
        assert counts[0] > counts[1] > counts[2] == 0

    def test_grids_of_other_lengths_are_told(self):
        model = ds.load_model("lif").with_(parameters={"V_th": "[1, 2, 3]"})
        wanted = r"differ in length: stimuli.0.amplitude has 2, parameters.V_th has 3"
        with pytest.raises(DendrosimError, match=wanted):
            lif_of(model, into_soma("[1, 2]"), grids="zip")


@pytest.fixture(scope="module")
def recording():
    """Four neurons with spikes, potentials in volt, and a grid."""
    return four(record=["v_s", "v_d", "I_NaP", "q"], device="numpy", dt="0.05 ms")


class TestRecording:
    def test_says_how_it_was_made(self, recording):
        meta = recording.meta
        assert (meta["model"], meta["text_hash"]) == ("kepecs_wang_2000", bursters().hash)
        assert (meta["method"], meta["device"], meta["threads"]) == ("rk4", "numpy", 1)
        assert (meta["dt"], meta["duration"], meta["neurons"]) == (5e-5, 0.06, 4)
        assert meta["parameters"]["g_c"] == "1 mS/cm**2"
        assert set(meta["versions"]) == {"dendrosim", "brian2", "numpy", "python"}
        assert meta["run_seconds"] > 0
        assert meta["processor_seconds"] > 0
        assert repr(recording) == (
            "<Recording of kepecs_wang_2000 under protocol: 4 neuron(s), 15 spikes>"
        )

    def test_spikes_and_traces_have_units(self, recording):
        assert [len(t) for t in recording.spike_times] == [0, 4, 5, 6]
        assert recording.spike_times[1].dim is brian2.second.dim
        assert_array_equal(recording.spikes(1), recording.trains[1])
        units = {name: a.attrs["units"] for name, a in recording.traces.items()}
        assert units == {"v_s": "volt", "v_d": "volt", "I_NaP": "amp/meter**2", "q": "1"}
        assert recording.traces["v_s"].dims == ("time", "neuron")
        assert recording.traces["time"].attrs["units"] == "second"
        assert_array_equal(recording.voltage("dendrite"), recording.traces["v_d"].values)

    def test_survives_a_file(self, recording, tmp_path):
        path = tmp_path / "a.nc"
        recording.save(path)
        again = ds.load_recording(str(path))
        assert_array_equal(again.spike_i, recording.spike_i)
        assert_array_equal(again.spike_t, recording.spike_t)
        xr.testing.assert_identical(again.traces, recording.traces)
        assert again.meta == json.loads(json.dumps(dict(recording.meta)))
        again.save(path)  # over itself
        assert_array_equal(ds.load_recording(path).spike_t, recording.spike_t)
        assert [p.name for p in tmp_path.iterdir()] == ["a.nc"]

    def test_without_spikes_and_without_traces_too(self, tmp_path):
        for name, r in {
            "silent": lif(into_soma("0")),
            "no traces": lif(record=[]),
            "neither": lif(into_soma("0"), record=[]),
        }.items():
            r.save(tmp_path / f"{name}.nc")
            again = ds.load_recording(tmp_path / f"{name}.nc")
            same_trains(again, r)
            assert list(again.traces) == list(r.traces)
            assert len(again.trains) == r.n
            assert len(again.to_dataframe()) == len(r.spike_t)
            assert len(again.to_neo().segments) == r.n

    def test_as_a_table(self, recording):
        table = recording.to_dataframe()
        assert list(table) == ["neuron", "time", "amplitude", "g_KS"]
        assert table["neuron"].tolist() == [1] * 4 + [2] * 5 + [3] * 6
        assert_array_equal(table["time"], np.concatenate(recording.trains))
        assert_allclose(table["amplitude"], [0.0025] * 4 + [0.01] * 11)

    def test_as_a_neo_block(self, recording):
        block = recording.to_neo()
        assert [s.name for s in block.segments] == [f"neuron {k}" for k in range(4)]
        segment = block.segments[1]
        (train,) = segment.spiketrains
        assert_array_equal(train.rescale("s").magnitude, recording.trains[1])
        assert float(train.t_stop.rescale("s")) >= 0.06
        signals = {signal.name: signal for signal in segment.analogsignals}
        assert set(signals) == {"v_s", "v_d", "I_NaP", "q"}
        v = signals["v_s"].rescale("mV").magnitude[:, 0]
        assert_allclose(v, recording.traces["v_s"].values[:, 1] * 1e3)
        assert float(signals["v_s"].sampling_period.rescale("ms")) == pytest.approx(0.05)

    def test_a_failing_write_leaves_what_was_there(self, recording, tmp_path, monkeypatch):
        path = tmp_path / "a.nc"
        path.write_text("before")

        def half(self, content):
            self.write_text("half of it")
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Path, "write_bytes", half)
        with pytest.raises(DendrosimError, match=r"a\.nc: cannot be written .*No space left"):
            recording.save(path)
        assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a.nc", "before")]

    @pytest.mark.parametrize("path", ["", "folder", "nowhere/a.nc", "a\0.nc", "a" * 300, 5, None])
    def test_what_cannot_be_written_is_told(self, recording, path, tmp_path, monkeypatch):
        (tmp_path / "folder").mkdir()
        monkeypatch.chdir(tmp_path)
        with pytest.raises(DendrosimError):
            recording.save(path)
        assert [p.name for p in tmp_path.rglob("*")] == ["folder"]

    def test_other_files_are_refused(self, recording, tmp_path):
        recording.save(tmp_path / "good.nc")
        good = (tmp_path / "good.nc").read_bytes()
        xr.Dataset({"x": [1.0]}).to_netcdf(tmp_path / "other.nc", engine="h5netcdf")
        data = xr.open_dataset(tmp_path / "good.nc", engine="h5netcdf").load()
        for name, meta in {"half": "{", "empty": "{}", "list": "[1]"}.items():
            changed = data.copy()
            changed.attrs = {**data.attrs, "meta": meta}
            changed.to_netcdf(tmp_path / f"{name}.nc", engine="h5netcdf")
        data.drop_vars("spike_time").to_netcdf(tmp_path / "no spikes.nc", engine="h5netcdf")
        (tmp_path / "text.nc").write_text("not netCDF")
        (tmp_path / "nothing.nc").write_bytes(b"")
        (tmp_path / "cut.nc").write_bytes(good[: len(good) // 2])
        (tmp_path / "good.nc").unlink()
        paths = [*tmp_path.iterdir(), tmp_path, tmp_path / "missing.nc", 5, None, "a\0"]
        assert len(paths) == 13
        for path in paths:
            with pytest.raises(DendrosimError):
                ds.load_recording(path)

    def test_a_potential_that_was_not_recorded_is_told(self, recording):
        with pytest.raises(DendrosimError, match="no potential of 'axon'"):
            recording.voltage("axon")
        with pytest.raises(DendrosimError, match=r"simulate with record=\['U'\]"):
            lif(record=[]).voltage()
