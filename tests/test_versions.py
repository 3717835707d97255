"""What must work on every Python and Brian2 that setup.py allows, with the base install alone.

`make test-versions` runs this file where no torch and no extra is installed; so nothing here may
need one.  The oracles are loops of `tests/reference`, so that versions are compared with the same
spikes, not with one another.
"""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from reference import discrete, kepecs_wang
from runs import I_D, MS, four

import dendrosim as ds
from dendrosim.cli.commands import main

pytestmark = pytest.mark.versions
DEVICES = ["numpy", "cython", "cpp"]


@pytest.mark.parametrize("device", DEVICES)
def test_a_biophysical_neuron_is_the_oracle(device):
    oracle = kepecs_wang.rk4(
        kepecs_wang.broadcast(kepecs_wang.INITIAL, 4), 0.0, np.array(I_D), duration=60.0, dt=0.02,
        record_every=1, par=kepecs_wang.parameters(g_KS=np.array([0.8] * 3 + [0.7])),
    )  # fmt: skip
    run = four(device=device)
    assert [len(train) for train in run.trains] == [0, 4, 5, 6]
    for train, expected in zip(run.trains, oracle.spike_times, strict=True):
        assert_allclose(train, expected * MS, rtol=1e-12)


@pytest.mark.parametrize("device", DEVICES)
def test_a_network_is_the_oracle(device):
    network = ds.Network.random([ds.Layer("lif", 2, 5)], n_out=3, seed=2)
    x = np.random.default_rng(1).random((3, 40, 2)) * 4
    out = ds.run_network(network, x, device=device)
    (layer,) = network.layers
    oracle = discrete.lif(x @ layer.input_weights["I"].T + layer.bias.get("I", 0.0), beta=0.8)
    assert_array_equal(out.spikes[0], oracle.spikes)
    assert out.spikes[0].sum() > 30


def test_a_reduction_a_comparison_and_a_file(tmp_path):
    model = ds.load_model("pinsky_rinzel_1994")
    reduction = ds.reduce(model, "0.1 ms")
    protocol = ds.load_protocol("constant").with_(duration="100 ms")
    compared = ds.compare([model, reduction.model], protocol, device="numpy", progress=False)
    assert list(compared.table.index) == [model.name, reduction.model.name]
    compared.recordings[0].save(tmp_path / "a.nc")
    again = ds.load_recording(tmp_path / "a.nc")
    assert_array_equal(again.spike_t, compared.recordings[0].spike_t)
    compared.plot(tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 10_000


def test_the_commands_that_need_no_extra(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["show", "lrmm"]) == 0
    assert main(["run", "lif", "constant", "--set", "amplitude=0.5", "--device", "numpy"]) == 0
    assert main(["reduce", "kepecs_wang_2000", "--out", "reduced.toml"]) == 0
    assert main(["citation", "lif"]) == 0
    assert main(["train", "digits_lif"]) in (0, 2)  # without torch a sentence names the extra
    capsys.readouterr()


def test_a_sweep_on_two_processes_and_a_fit(tmp_path):
    protocol = ds.load_protocol("constant").with_(duration="40 ms")
    axes = {"beta": "linspace(0.6, 0.95, 5)", "amplitude": "[0.3, 0.9]"}
    options = {"measures": ["spikes"], "chunk": 3, "device": "numpy", "progress": False}
    one = ds.sweep("lif", protocol, axes, engine=1, **options).to_xarray()
    two = ds.sweep("lif", protocol, axes, engine=2, out=tmp_path / "s.zarr", **options).to_xarray()
    assert two.drop_attrs().identical(one.drop_attrs())
    for beta in one["beta"].values:
        model = ds.load_model("lif").with_(parameters={"beta": float(beta)})
        run = ds.simulate(model, protocol.with_(amplitude="[0.3, 0.9]"), device="numpy")
        assert one["spikes"].sel(beta=beta).values.tolist() == [len(t) for t in run.trains]
    target = ds.load_model("lif").with_(parameters={"beta": "0.9"})
    found = ds.fit("lif", target, {"beta": "0.7..0.99"}, protocol=protocol.with_(amplitude="0.5"),
                   population=8, generations=5, device="numpy", progress=False)  # fmt: skip
    assert abs(found.table["spikes, fit"][0] - found.table["spikes, target"][0]) <= 1
