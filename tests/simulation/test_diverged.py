"""A neuron that diverges: an error, or frozen and named while the others finish."""

import json

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import dendrosim as ds
from dendrosim.cli.commands import main
from dendrosim.errors import DendrosimError, DivergenceError
from dendrosim.model.toml import model_from_table

DEVICES = ["numpy", "cython", "cpp"]


def growing(rates="[0, 3, 0, 60] Hz"):
    """v' = k v: neuron 3 passes 10 V at ln(1000)/60 s = 115 ms; 0 and 2 stay at 10 mV."""
    table = {
        "title": "growth", "kind": "continuous", "inputs": {"soma": "I"}, "method": "rk4",
        "potentials": {"soma": "v"}, "dt": "0.1 ms", "threshold": "v > 11*mV",
        "refractory": "v > 11*mV", "equations": "dv/dt = k*v + I : volt\nI : volt/second",
        "parameters": {"k": rates}, "initial": {"v": "10 mV"},
    }  # fmt: skip
    return model_from_table(table, "growth.toml", "growth")


def run(device, rates="[0, 3, 0, 60] Hz", **options):
    return ds.simulate(
        growing(rates), ds.Protocol("200 ms", []), device=device, progress=False, **options
    )


@pytest.mark.parametrize("device", DEVICES)
def test_the_others_finish_as_if_it_were_not_there(device):
    mixed, calm = run(device, diverged="nan"), run("numpy", "[0, 3, 0] Hz")
    (neuron,) = mixed.diverged
    assert neuron == 3
    # found at the first look after it, every 20 steps of 0.1 ms
    assert np.log(1000) / 60 <= mixed.diverged[3] <= np.log(1000) / 60 + 2e-3
    others = mixed.spike_i != 3
    assert_array_equal(mixed.spike_i[others], calm.spike_i)
    assert_array_equal(mixed.spike_t[others], calm.spike_t)
    v = mixed.traces["v"].values
    np.testing.assert_allclose(v[:, :3], calm.traces["v"].values, rtol=1e-13)
    known = mixed.times <= mixed.diverged[3] - 2e-3
    assert np.isfinite(v[known, 3]).all() and np.isnan(v[mixed.times > mixed.diverged[3], 3]).all()
    assert np.nanmax(v[:, 3]) <= 10


@pytest.mark.parametrize("device", ["numpy", "cpp"])
def test_by_default_it_ends_the_run(device):
    with pytest.raises(DivergenceError, match=r"v of neuron 3 is beyond 10 V .*diverged='nan'"):
        run(device)
    with pytest.raises(DendrosimError, match=r"unknown diverged 'ignore'; valid: nan, raise"):
        run(device, diverged="ignore")


def test_all_may_diverge_and_none(tmp_path):
    every = run("cpp", "[60, 70] Hz", diverged="nan")
    assert sorted(every.diverged) == [0, 1] and every.diverged[1] < every.diverged[0]
    assert run("cpp", "[0, 3] Hz", diverged="nan").diverged == {}
    every.save(tmp_path / "a.nc")
    assert ds.load_recording(tmp_path / "a.nc").diverged == every.diverged


def test_no_spike_is_kept_from_when_states_were_last_seen_whole():
    noisy = run("cpp", diverged="nan")
    assert np.all(noisy.spikes(3) <= noisy.diverged[3])


def test_a_program_serves_both(tmp_path):
    run("cpp", diverged="nan")
    with pytest.raises(DivergenceError):
        run("cpp")
    assert not run("cpp", "[0, 1, 2, 3] Hz").meta["compiled"]


def test_the_command_has_a_column_and_no_rate(tmp_path, capsys):
    path = tmp_path / "growth.toml"
    path.write_text(
        'title = "growth"\nkind = "continuous"\ninputs = { soma = "I" }\nmethod = "rk4"\n'
        'potentials = { soma = "v" }\ndt = "0.1 ms"\nthreshold = "v > 11*mV"\n'
        'refractory = "v > 11*mV"\nequations = "dv/dt = k*v + I : volt\\nI : volt/second"\n'
        '[parameters]\nk = "3 Hz"\n[initial]\nv = "10 mV"\n'
    )
    command = ["run", str(path), "constant", "--set", "k=[3, 60] Hz", "--set", "amplitude=0 V/s",
               "--set", "duration=200 ms", "--device", "numpy", "--diverged", "nan"]  # fmt: skip
    assert main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "1 of 2 neurons diverged: their rate is not known"
    assert lines[1].split()[-2:] == ["diverged", "(ms)"] and lines[3].split()[3:5] == ["1", "-"]
    assert main([*command, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["neurons"]
    assert rows[1]["rate_hz"] is None and rows[0]["rate_hz"] == 5.0
