"""The comparison of devices: differences it must report, and which of them are ties."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import dendrosim as ds
from dendrosim.cli import networks
from dendrosim.cli.commands import main
from dendrosim.errors import DendrosimError
from dendrosim.learn.networks.run import run_torch
from dendrosim.model.switches import switches
from dendrosim.networks.run import NetworkOutput
from dendrosim.verification import verification
from dendrosim.verification.differences import decisive_states
from dendrosim.verification.distance import Place, distance, magnitude
from dendrosim.verification.verification import compare_runs, verify

torch.set_num_threads(1)  # the tensors are small

OWN = """
title = "Threshold that moves with the input and with the spike before"
kind = "discrete"
inputs = ["I"]
output = "S"
update = '''
U = 0.9*U + I - Q
S = int(U + 0.5*I > V_th + P)
Q = 0.3*S
P = 0.2*P + 0.1*S
'''
[parameters]
V_th = "1"
"""
STRANGE = """
title = "An output that no single comparison makes"
kind = "discrete"
inputs = ["I"]
output = "S"
update = '''
U = 0.9*U + I
S = int(U > 1 and U < 90)
'''
"""


def random_network(*models, n=12, n_in=5, seed=0, recurrent=True):
    """Return a network that fires in every layer."""
    sizes = [n_in, *[n] * len(models)]
    layers = [ds.Layer(model, sizes[k], n, recurrent=recurrent) for k, model in enumerate(models)]
    network = ds.Network.random(layers, 3, seed)
    layers = [
        layer.with_(input_weights={p: 3 * w for p, w in layer.input_weights.items()},
                    recurrent_weights={p: 0.3 * w for p, w in layer.recurrent_weights.items()},
                    bias={p: b + 0.2 for p, b in layer.bias.items()})
        for layer in network.layers
    ]  # fmt: skip
    return ds.Network(layers, network.readout_weights, network.readout_bias)


def changed(network, k, table, port, index, by):
    """Return the network with one changed weight."""
    weights = {p: np.array(w) for p, w in getattr(network.layers[k], table).items()}
    weights[port][index] += by
    layers = list(network.layers)
    layers[k] = layers[k].with_(**{table: weights})
    return ds.Network(layers, network.readout_weights, network.readout_bias)


def ran(network, x, every=False, **options):
    """Run on numpy and record the states for the comparison."""
    record = decisive_states(network, every)
    return ds.run_network(network, x, device="numpy", record=record, progress=False, **options)


def first_by_hand(a, b, k):
    """Return {sample: (step, neurons)} of the first differences in layer k, with plain loops."""
    found = {}
    for sample in range(len(a.spikes[k])):
        for step in range(a.spikes[k].shape[1]):
            neurons = [
                j for j in range(a.spikes[k].shape[2])
                if a.spikes[k][sample, step, j] != b.spikes[k][sample, step, j]
            ]  # fmt: skip
            if neurons:
                found[sample] = (step, neurons)
                break
    return found


# What is found


def test_a_planted_weight_is_found_where_it_first_shows(rng):
    network = random_network("lstm_lif", "lstm_lif")
    x = rng.random((24, 250, 5))
    source, busy = (s.mean((0, 1)).argmax() for s in ran(network, x).spikes)  # neurons that spike
    other = changed(network, 1, "input_weights", "I", (busy, source), 1e-3)
    runs = {"a": ran(network, x), "b": ran(other, x)}
    result = compare_runs(network, x, runs)
    expected = first_by_hand(runs["a"], runs["b"], 1)
    assert len(expected) > 1  # there are differences
    got = {row.sample: (row.step, row.layer, row.neuron) for row in result.first.itertuples()}
    assert got == {s: (step, 1, busy) for s, (step, neurons) in expected.items()}
    assert all(neurons == [busy] for _, neurons in expected.values())
    for row in result.first.itertuples():
        u = [run.states[1]["U_S"][row.sample, row.step, busy] for run in runs.values()]
        assert (row.distance_a, row.distance_b) == (u[0] - 1, u[1] - 1)
        assert (row.distance_a > 0) == (row.fires_on == "a")
        assert (row.distance_a > 0) != (row.distance_b > 0)
        assert row.variable == "S" and not row.tie
    assert not result.equal and not result.explained
    assert "NO tie" in result.text() and "NOT equal" in result.text()
    table = result.pairs.set_index("layer")
    assert table.differing[0] == 0
    assert table.differing[1] == np.sum(runs["a"].spikes[1] != runs["b"].spikes[1])
    assert table.samples[1] == len(expected)
    assert table.spikes[1] == runs["a"].spikes[1].sum()
    assert table.bins[1] == 24 * 250 * 12


def test_equal_runs_are_equal(rng):
    network = random_network("lif", "lrmm")
    x = rng.random((2, 20, 5))
    result = compare_runs(network, x, {"a": ran(network, x), "b": ran(network, x)})
    assert result.equal and result.explained and len(result.first) == 0
    assert "equal in every bin" in result.text()


@pytest.mark.parametrize(
    ("table", "port", "variable"), [("input_weights", "I", "S_I"), ("input_weights", "O", "S_O")]
)
def test_the_first_spike_inside_a_unit_is_the_cause(table, port, variable, rng):
    network = random_network("lrmm")
    x = rng.random((3, 60, 5))
    other = changed(network, 0, table, port, (4, slice(None)), 0.05)
    result = compare_runs(network, x, {"a": ran(network, x), "b": ran(other, x)})
    assert len(result.first) and set(result.first.variable) == {variable}
    assert set(result.first.neuron) == {4}
    assert not result.first.tie.any()


def test_a_spike_inside_a_unit_counts_where_the_output_agrees(rng):
    network = random_network("lrmm")
    x = rng.random((1, 5, 5))
    a = ran(network, x)
    states = [{name: np.array(values) for name, values in a.states[0].items()}]
    states[0]["S_C"][0, 3, 2] = 1 - states[0]["S_C"][0, 3, 2]
    result = compare_runs(network, x, {"a": a, "b": NetworkOutput(a.spikes, None, states, a.meta)})
    assert list(result.pairs.differing) == [0] and list(result.pairs.inner) == [1]
    (row,) = result.first.itertuples()
    assert (row.sample, row.step, row.neuron, row.variable) == (0, 3, 2, "S_C")
    assert not result.equal


def test_consequences_are_not_first_differences(rng):
    network = random_network("lif", "lif", "lif", recurrent=False)
    x = rng.random((1, 10, 5))
    a = ran(network, x)
    spikes = [np.array(s) for s in a.spikes]
    for layer, step, neuron in ((0, 6, 1), (1, 4, 2), (1, 4, 5), (1, 7, 0), (2, 4, 3), (2, 9, 3)):
        spikes[layer][0, step, neuron] ^= True
    b = NetworkOutput(spikes, None, a.states, a.meta)
    result = compare_runs(network, x, {"a": a, "b": b})
    # layer 1 differs before layer 0; layer 2 in the same step as layer 1
    places = [(row.layer, row.step, row.neuron) for row in result.first.itertuples()]
    assert places == [(0, 6, 1), (1, 4, 2), (1, 4, 5)]
    assert list(result.pairs.differing) == [1, 3, 2]


# Ties


def on_the_edge(above=0.0):
    """Return a neuron that spikes above 0.5 with a single input of at most 0.5; and its input.

    Each sum has one term, so rounding is the same on every processor.  The neuron spikes if its
    weight of 1 is increased by one unit in the last place.
    """
    layer = ds.Layer("lif", 1, 1, input_weights={"I": [[1 + above]]},
                     parameters={"beta": 0.0, "V_th": 0.5})  # fmt: skip
    x = np.random.default_rng(2).choice([0.0, 0.25, 0.5], (64, 16, 1))
    return ds.Network([layer]), x


def test_one_unit_in_the_last_place_is_a_tie():
    (a, x), (b, _) = on_the_edge(), on_the_edge(np.finfo(float).eps)
    result = compare_runs(a, x, {"a": ran(a, x), "b": ran(b, x)})
    assert not result.equal and result.explained
    assert result.first.tie.all() and (result.first[["distance_a", "distance_b"]].abs() < 1e-9).all(
        axis=None
    )
    assert "equal but for ties" in result.text()


def test_a_planted_tie_is_a_tie_and_a_millionth_is_none():
    def run(bias):
        layer = ds.Layer("lif", 1, 2, input_weights={"I": np.ones((2, 1))},
                         bias={"I": [0, bias]}, parameters={"beta": 0.0})  # fmt: skip
        network = ds.Network([layer])
        return network, ran(network, np.ones((1, 3, 1)))

    network, exact = run(0.0)  # at the threshold: not above it
    _, above = run(2.0**-52)
    _, far = run(1e-6)
    result = compare_runs(network, np.ones((1, 3, 1)), {"a": exact, "b": above, "c": far})
    rows = {(row.a, row.b): row for row in result.first.itertuples()}
    assert rows["a", "b"].tie and rows["a", "b"].distance_a == 0
    assert (rows["a", "b"].step, rows["a", "b"].neuron) == (0, 1)
    assert not rows["a", "c"].tie and ("b", "c") not in rows
    assert not result.explained


def test_float32_ties_are_told_from_differences(rng):
    network, x = on_the_edge(2.0**-30)  # more than 1 in float64, 1 in float32
    kinds = ("float32", "float64")
    result = verify(network, x, ("torch", "numpy"), dtype=kinds, progress=False)
    assert not result.equal and result.explained
    assert result.first.tolerance.max() < 1e-5
    assert "torch in float32, numpy in float64" in result.text()
    assert result.meta["dtypes"] == dict(zip(("torch", "numpy"), kinds, strict=True))
    deep = random_network("lstm_lif", "alif")
    x = rng.random((24, 250, 5))
    other = changed(deep, 0, "input_weights", "I", (3, slice(None)), 1e-3)
    every = decisive_states(deep, every=True)
    runs = {"b": run_torch(other, x, dtype="float32", record=every), "a": ran(deep, x, every=True)}
    result = compare_runs(deep, x, runs)
    planted = (result.first.layer == 0) & (result.first.neuron == 3)
    assert planted.sum() > 1 and not result.first.tie[planted].any()
    others = result.first[~planted]  # float32 may have ties elsewhere before this difference
    assert others.tie.all() and (others.distance_b.abs() < 1e-5).all()


@pytest.mark.parametrize(
    "device",
    [*("numpy", "cpp"), pytest.param("cython", marks=pytest.mark.slow)],
)
def test_devices_in_float32_are_equal_but_for_ties(device, rng):
    network = random_network("lstm_lif", "lrmm", "alif", n=20)
    x = rng.random((4, 300, 5))
    result = verify(network, x, ("torch", device), dtype="float32", progress=False)
    assert result.explained and result.meta["dtypes"][device] == "float32"
    assert result.pairs.differing.sum() < 0.01 * result.pairs.spikes.sum()
    record = {k: layer.model.states for k, layer in enumerate(network.layers)}
    single, double = (
        ds.run_network(network, x[:1], device="numpy", dtype=dtype, record=record, progress=False)
        for dtype in ("float32", "float64")
    )
    assert {values.dtype.name for kept in single.states for values in kept.values()} == {"float32"}
    moved = np.abs(single.states[0]["U_S"] - double.states[0]["U_S"])[0, :20]
    assert 0 < moved.max() < 1e-4  # the other precision was used


def test_ties_of_two_devices_in_float32():
    """Each device has its own rounding error, so the bound is the sum."""
    network, x = on_the_edge()
    raised, _ = on_the_edge(float(np.finfo(np.float32).eps))
    record = decisive_states(network, every=True)
    runs = {
        "torch": run_torch(raised, x, dtype="float32", record=record),
        "numpy": ran(network, x, every=True, dtype="float32"),
    }
    result = compare_runs(network, x, runs)
    assert not result.equal and result.explained
    assert "float32: a tie" in result.text()
    for row in result.first.itertuples():
        place = Place(network, x, 0, row.sample, row.step, row.neuron)
        seen = sum(magnitude(place, run) for run in runs.values())
        assert row.tolerance == pytest.approx((row.step + 4) * 2.0**-23 * seen)
    heavier = changed(network, 0, "input_weights", "I", (0, 0), 1e-3)
    runs = {"a": runs["numpy"], "b": ran(heavier, x, every=True, dtype="float32")}
    result = compare_runs(network, x, runs)
    assert len(result.first) and not result.first.tie.all()


@pytest.mark.parametrize("model", ["lif", "alif", "lstm_lif", "lrmm"])
def test_rounding_of_float32_stays_within_the_tolerance(model, rng):
    network = random_network(model, n=20)
    x = rng.random((4, 300, 5))
    record = decisive_states(network, every=True)
    single = run_torch(network, x, dtype="float32", record=record)
    double = run_torch(network, x, record=record)
    output, table = switches(network.layers[0].model)[-1], network.layers[0].values()
    parts = []
    for sample in range(4):
        differ = (single.spikes[0] != double.spikes[0])[sample].any(1)
        last = int(differ.argmax()) if differ.any() else 300
        for step in range(0, last, 23):
            for neuron in range(0, 20, 5):
                place = Place(network, x, 0, sample, step, neuron, table)
                parted = abs(distance(place, output, single) - distance(place, output, double))
                parts.append(parted / (magnitude(place, double) * 2.0**-23 * (step + 4)))
    assert max(parts) < 0.5


# Distances


def test_the_distance_is_that_of_the_text(tmp_path, rng):
    (tmp_path / "own.toml").write_text(OWN)
    network = random_network(str(tmp_path / "own.toml"))
    x = rng.random((2, 30, 5))
    assert decisive_states(network) == {0: ("U", "P")}
    out = ran(network, x, every=True)
    (switch,) = switches(network.layers[0].model)
    layer, kept = network.layers[0], out.states[0]
    for sample, step, neuron in ((0, 0, 0), (1, 7, 3), (0, 29, 11)):
        back = out.spikes[0][sample, step - 1] if step else np.zeros(12)
        current = (
            layer.input_weights["I"][neuron] @ x[sample, step]
            + layer.recurrent_weights["I"][neuron] @ back + layer.bias["I"][neuron]
        )  # fmt: skip
        before = kept["P"][sample, step - 1, neuron] if step else 0.0
        expected = kept["U"][sample, step, neuron] + 0.5 * current - (1 + before)
        place = Place(network, x, 0, sample, step, neuron)
        assert distance(place, switch, out) == pytest.approx(expected, abs=1e-12)
        assert (expected > 0) == out.spikes[0][sample, step, neuron]


def test_an_output_of_two_comparisons_is_never_a_tie(tmp_path, rng):
    (tmp_path / "strange.toml").write_text(STRANGE)
    network = random_network(str(tmp_path / "strange.toml"), recurrent=False)
    x = rng.random((1, 20, 5))
    other = changed(network, 0, "input_weights", "I", (2, slice(None)), 0.1)
    result = compare_runs(network, x, {"a": ran(network, x), "b": ran(other, x)})
    (row,) = result.first.itertuples()
    assert row.neuron == 2 and np.isnan(row.distance_a) and not row.tie
    json.dumps(result.to_json())


# Running


def test_samples_keep_their_numbers_in_parts(monkeypatch, rng):
    network = random_network("lif")
    x = rng.random((7, 40, 5))
    other = changed(network, 0, "input_weights", "I", (slice(None), 0), 0.1)
    run = verification.run_network
    monkeypatch.setattr(verification, "run_network", lambda _, *a, **k: run(other, *a, **k))
    whole = verify(network, x, ("torch", "numpy"), progress=False)
    parts = verify(network, x, ("torch", "numpy"), batch=3, progress=False)
    assert len(whole.first) > 1 and whole.pairs.equals(parts.pairs)
    columns = ["sample", "step", "layer", "neuron", "fires_on"]
    assert whole.first[columns].equals(parts.first[columns])


@pytest.mark.parametrize("runtime", ["numpy", pytest.param("cython", marks=pytest.mark.slow)])
def test_every_device_and_the_command(tmp_path, capsys, rng, runtime):
    network = random_network("lstm_lif", "lif", n=8)
    network.save(tmp_path / "net.safetensors")
    np.save(tmp_path / "x.npy", rng.random((3, 50, 5)))
    arguments = ["verify", str(tmp_path / "net.safetensors"), "--input", str(tmp_path / "x.npy")]
    assert main([*arguments, "--device", "torch", runtime, "cpp", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["equal"] and found["first"] == []
    assert found["meta"]["devices"] == ["torch", runtime, "cpp"]
    assert [row["differing"] for row in found["pairs"]] == [0] * 6
    assert all(row["spikes"] > 0 for row in found["pairs"])
    for devices in (["--device", "torch,numpy"], ["--device", "torch", "--device", "numpy"]):
        assert main([*arguments, *devices]) == 0
        assert "torch, numpy: equal in every bin" in capsys.readouterr().out
    for kinds, told in (("float32", "float32: a tie"), ("float32,float64", "torch in float32")):
        assert main([*arguments, *devices, "--dtype", kinds]) == 0
        assert told in capsys.readouterr().out


def test_the_command_fails_on_a_difference(tmp_path, capsys, monkeypatch, rng):
    network = random_network("lif")
    network.save(tmp_path / "net.safetensors")
    np.save(tmp_path / "x.npy", rng.random((2, 40, 5)))
    other = changed(network, 0, "input_weights", "I", (slice(None), 0), 0.1)
    run = verification.run_network
    monkeypatch.setattr(verification, "run_network", lambda _, *a, **k: run(other, *a, **k))
    arguments = ["verify", str(tmp_path / "net.safetensors"), "--input", str(tmp_path / "x.npy"),
                 "--device", "torch", "numpy"]  # fmt: skip
    assert main(arguments) == 1
    told = capsys.readouterr()
    assert "NOT equal" in told.out and told.err == ""
    assert main([*arguments, "--json"]) == 1
    assert not json.loads(capsys.readouterr().out)["explained"]


@pytest.mark.parametrize(
    ("devices", "said"),
    [
        (("torch", "cyton"), "did you mean 'cython'"),
        (("torch",), "two devices"),
        ("numpy", "two devices"),
        (("numpy", "numpy"), "twice"),
    ],
)
def test_devices_that_cannot_be_compared(devices, said):
    network = random_network("lif")
    with pytest.raises(DendrosimError, match=said):
        verify(network, np.ones((1, 2, 5)), devices)


def test_the_command_knows_every_device():
    assert networks.DEVICES == verification.PLACES


def test_what_does_not_fit_is_told(rng):
    network = random_network("lif")
    x = np.ones((1, 2, 5))
    with pytest.raises(DendrosimError, match="dtype"):
        verify(network, x, ("torch", "numpy"), dtype="float16")
    with pytest.raises(DendrosimError, match="2 types for 3 devices"):
        verify(network, x, ("torch", "cython", "numpy"), dtype=("float32", "float64"))
    with pytest.raises(DendrosimError, match="batch"):
        verify(network, x, ("torch", "numpy"), batch=0)
    with pytest.raises(DendrosimError, match="shape"):
        verify(network, np.ones((2, 3)), ("torch", "numpy"))
    with pytest.raises(DendrosimError, match="lacks U"):
        bare = ds.run_network(network, x, device="numpy")
        compare_runs(network, x, {"a": bare, "b": bare})
    with pytest.raises(DendrosimError, match="more than"):
        huge = ds.Network([ds.Layer("lif", 5, 10**6, input_weights={})])
        verify(huge, np.ones((1, 2000, 5)), ("torch", "numpy"))


@pytest.fixture
def rng():
    return np.random.default_rng(1)


UNSTABLE = """
title = "A neuron that grows by half per step between spikes"
kind = "discrete"
inputs = ["I"]
output = "S"
update = '''
U = 1.5*U + I - w
w = 0.2*w + S
S = int(U > 1)
'''
"""


@pytest.mark.parametrize(("steps", "explained"), [(90, True), (12, False)])
def test_a_neuron_that_amplifies_roundings_is_recognised(tmp_path, steps, explained):
    """After 90 steps a last bit has become 1.5**89 * 2**-54 = 0.26; after 12 steps, nothing."""
    (tmp_path / "unstable.toml").write_text(UNSTABLE)
    layer = ds.Layer(
        ds.load_model(tmp_path / "unstable.toml"), 2, 1,
        input_weights={"I": np.array([[1.0, 1.0]])}, bias={"I": np.zeros(1)},
    )  # fmt: skip
    network = ds.Network([layer], np.zeros((1, 1)))
    x = np.zeros((1, steps, 2))
    x[0, 0] = 0.3, -0.3  # cancel, if the weights are equal
    x[0, -1] = 1.0, 0.0  # exactly at threshold if the difference is 0
    bit = 2.0**-52 if explained else 1e-3
    other = changed(network, 0, "input_weights", "I", (0, 0), bit)
    result = compare_runs(network, x, {"a": ran(network, x), "b": ran(other, x)})
    assert not result.equal
    assert result.first["amplified"].tolist() == [explained]
    assert result.explained is explained
