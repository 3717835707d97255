"""What a physiologist found in an hour: numbers of recorded cells, wrong without a word."""

import numpy as np
import pytest
from abf_files import abf2, resting
from numpy.testing import assert_allclose

import dendrosim as ds
from dendrosim.cli.commands import main
from dendrosim.comparison import responses
from dendrosim.current_clamp import doubts
from dendrosim.current_clamp.recorded import ClampRecording
from dendrosim.errors import DendrosimError, DendrosimWarning
from dendrosim.reduction import reduction
from dendrosim.simulation.run import make_job

DT = 4e-5


def pulses(jump=30e-3, n=5):
    """Return a cell that fires at each of `n` pulses, and jumps up where each pulse ends."""
    t = np.arange(0, 0.1 * n, DT)
    command, v = np.zeros_like(t), np.full_like(t, -0.07)
    for k in range(n):
        on, off = 0.02 + 0.1 * k, 0.022 + 0.1 * k
        command[(t >= on) & (t < off)] = 2.5e-9
        v += np.interp(t, [on + 5e-4, on + 1e-3, on + 4e-3], [0, 0.1, 0], left=0, right=0)
        late = np.maximum(t - off, 0)  # two thirds in the first sample after the step
        v += jump * np.minimum(late / DT / 1.5, 1) * np.exp(-late / 1e-3)
    return ClampRecording("cell.abf", DT, command[:, None], v[:, None])


def test_a_jump_where_the_command_steps_is_no_spike():
    """18425108.abf of pyABF: 39 spikes were printed, and 20 are."""
    made = pulses()
    assert made.jumps == (5,)
    (train,) = made.spike_times()
    assert_allclose(train, 0.0205 + 0.1 * np.arange(5), atol=3e-4)
    told = " ".join(doubts.of_measuring(made, 0.0, 0.5, given=True))
    assert "5 jumps, in sweeps 0 of those read, are not counted as spikes" in told
    assert "5 pulses of 2500 pA" in doubts.found(made)


@pytest.mark.parametrize("lag", [0.3e-3, 0.6e-3, 2e-3])
def test_a_spike_that_rises_at_a_step_of_the_command_is_one(lag):
    """A fast spike takes 0.3 ms from its take-off at the step to its peak."""
    t = np.arange(0, 0.1, 2e-5)
    command = np.where(t >= 0.05, 1e-9, 0.0)
    v = -0.07 + np.interp(t, [0.05, 0.05 + lag, 0.053], [0, 0.1, 0], left=0, right=0)
    made = ClampRecording("cell.abf", 2e-5, command[:, None], v[:, None])
    assert (len(made.spike_times()[0]), made.jumps) == (1, (0,))


def test_steps_of_different_lengths_are_told():
    command = np.zeros((1000, 3))
    for k, last in enumerate((150, 300, 600)):
        command[100:last, k] = 5e-11
    made = ClampRecording("cell.abf", 1e-3, command, np.full(command.shape, -0.065))
    told = " ".join(doubts.of_measuring(made, *made.driven, given=False))
    assert "lasts from 50 to 500 ms" in told
    alike = ClampRecording("cell.abf", 1e-3, command[:, 2:], made.voltage[:, 2:])
    assert doubts.of_measuring(alike, *alike.driven, given=False) == []


def test_a_slow_recording_of_spikes_is_told():
    t = np.arange(0, 1, 1e-3)
    v = -0.065 + 0.08 * np.exp(-(((t - 0.5) / 2e-3) ** 2))
    made = ClampRecording("cell.abf", 1e-3, np.zeros((1000, 1)), v[:, None])
    assert "one sample every 1 ms" in " ".join(doubts.of_measuring(made, 0, 1, given=True))


@pytest.fixture
def cell(tmp_path):
    """A file with three sweeps of 50, 75 and 100 pA from 20 to 100 ms."""
    path = abf2(tmp_path / "cell.abf", resting(3), [("Vm", "mV")], [("Inj", "pA")],
                waveform=[True], epochs=[(0, 0, 1, 0.0, 0.0, 200, 0),
                                         (0, 1, 1, 50.0, 25.0, 800, 0)])  # fmt: skip
    return ds.load_protocol("recorded").with_(file=str(path))


def run(protocol):
    return ds.simulate(ds.load_model("pinsky_rinzel_1994"), protocol, dt="0.05 ms")


def test_a_window_beyond_the_recording_is_refused(cell):
    length = cell.stimuli[0].recording.duration
    window = {"start": "20 ms", "stop": f"{length + 0.01} s"}
    longer = cell.with_(duration=f"{length + 0.02} s", measure=window)
    with pytest.raises(DendrosimError, match=r"but a sweep was recorded for .* ms"):
        ds.comparison.comparison([run(longer)], longer)


def test_a_command_that_models_get_in_part_is_told(cell):
    cut = cell.with_(stop="50 ms")
    recording = run(cut)
    with pytest.warns(DendrosimWarning, match="the command from 0 to 50 ms only"):
        ds.comparison.comparison([recording], cut)


@pytest.mark.parametrize("area", ["1e-4 m**2", "1e-10 cm**2"])
def test_an_area_that_no_cell_has_is_told(cell, area):
    with pytest.warns(DendrosimWarning, match="recorded cells have 5 to 500 pF"):
        make_job(ds.load_model("pinsky_rinzel_1994"), cell.with_(area=area))


def test_the_shape_of_spikes_is_the_mean_over_all_that_were_recorded():
    protocol = ds.load_protocol("constant").with_(
        amplitude="[0.5, 1, 2] uA/cm**2", duration="300 ms"
    )
    recording = run(protocol)
    shapes = [responses.spike_shape(recording, k, 0.0, 0.3) for k in range(3)]
    counts = [len(train) for train in recording.trains]
    mean = responses.mean_spike(recording, 0.0, 0.3)
    fired = [k for k in range(3) if counts[k]]
    assert fired
    for name, value in mean.items():
        expected = np.average([shapes[k][name] for k in fired], weights=[counts[k] for k in fired])
        assert value == pytest.approx(expected)
    made = ds.comparison.comparison([recording], protocol)
    assert made.table["spike height (mV)"].iloc[0] == pytest.approx(mean["spike height (mV)"])


@pytest.mark.parametrize(
    ("model", "name", "value"),
    [("pinsky_rinzel_1994", "g_KAHP", "-1 mS/cm**2"), ("pinsky_rinzel_1994", "C_m", "-3 uF/cm**2"),
     ("kepecs_wang_2000", "g_L", "[0.1, -0.1] mS/cm**2")],
)  # fmt: skip
def test_a_conductance_below_0_is_refused(model, name, value):
    with pytest.raises(DendrosimError, match=rf"parameters\.{name} = .* below 0"):
        ds.load_model(model).with_(parameters={name: value})


def test_one_seed_does_not_replace_a_grid_of_seeds(capsys):
    seeds = ds.load_protocol("ou_noise").with_(seed=[1, 2, 3])
    with pytest.raises(DendrosimError, match=r"seed = 1 would replace the grid of seeds \[1, 2, 3"):
        ds.simulate(ds.load_model("pinsky_rinzel_1994"), seeds, seed=1, device="numpy")
    with pytest.raises(DendrosimError, match="would replace the grid of seeds"):
        ds.compare(["pinsky_rinzel_1994"], seeds, seed=1, device="numpy")
    assert main(["run", "lif", "ou_noise", "--set", "seed=[1, 2]", "--seed", "1"]) == 2


def test_what_was_found_is_printed_for_several_neurons_of_a_sweep(cell, capsys):
    path = cell.stimuli[0].options["file"]
    arguments = ["run", "pinsky_rinzel_1994", "recorded", "--recording", str(path),
                 "--dt", "0.05 ms", "--n", "2"]  # fmt: skip
    assert main(arguments) == 0
    assert "\nfound: potential 'Vm', command 'Inj'; 3 sweeps" in capsys.readouterr().out


def test_spikes_in_a_table_have_a_unit(tmp_path, capsys):
    arguments = ["run", "lif", "constant", "--set", "amplitude=0.5", "--device", "numpy",
                 "--out", str(tmp_path / "a.csv")]  # fmt: skip
    assert main(arguments) == 0
    assert (tmp_path / "a.csv").read_text().startswith("neuron,time (s)\n")


def test_two_grids_are_crossed_by_the_command_that_compares(capsys):
    arguments = ["compare", "lif", "--protocol", "constant", "--device", "numpy", "--set",
                 "amplitude=[0.4, 0.5]", "--set", "beta=[0.8, 0.9]"]  # fmt: skip
    assert main([*arguments, "--grids", "cross"]) == 0
    assert main(arguments) == 2


def test_a_reduction_is_fitted_on_a_recording(cell, capsys, monkeypatch):
    path = str(cell.stimuli[0].options["file"])
    arguments = ["reduce", "pinsky_rinzel_1994", "--fit", "recorded", "--device", "numpy"]
    assert main(arguments) == 2
    assert "--recording FILE" in capsys.readouterr().err
    given = []
    monkeypatch.setattr(reduction, "reduce", lambda *_, fit, **__: given.extend(fit) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main([*arguments, "--recording", path])
    assert given[0].stimuli[0].recording.command.shape[1] == 3
