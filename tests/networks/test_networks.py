"""Networks of the trained neurons: all devices, torch and an independent reference agree.

The reference is `reference.discrete`, written from the papers.  The order within a step is checked
on networks small enough to write their rasters by hand.
"""

from __future__ import annotations

import copy
import json
import pickle
import shutil
from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import circuits, discrete
from safetensors import safe_open

import dendrosim as ds
from dendrosim.errors import DendrosimError
from dendrosim.learn import TorchNetwork
from dendrosim.learn.networks.torch_cells import CellNetwork
from dendrosim.networks.inputs import as_input
from dendrosim.networks.job import NetworkJob

torch.set_num_threads(1)  # the tensors are small

CELLS = ("S_I", "S_M", "S_C", "S_O")  # in the order of one step of an LRMM
B, T, N_IN, N = 32, 332, 8, 32
FEW = settings(max_examples=40, deadline=None)


def layer_of(drawn, **changes):
    """Return a layer of the package with the numbers of a given random layer."""
    n, n_in = next(iter(drawn.w_in.values())).shape
    fields = {
        "recurrent": True, "input_weights": drawn.w_in, "recurrent_weights": drawn.w_rec,
        "bias": drawn.bias, "parameters": drawn.parameters,
    }  # fmt: skip
    return ds.Layer(changes.pop("model", drawn.rule), n_in, n, **(fields | changes))


def cells(rule):
    """Return every spiking variable of a model, in the order of one step."""
    return CELLS if rule.startswith("lrmm") else ("S",)


def in_torch(network, x, dtype=torch.float64, record=None):
    with torch.no_grad():
        return TorchNetwork(network, dtype=dtype)(torch.as_tensor(x), record=record)


def on(device, network, x, **options):
    return ds.run_network(network, x, device=device, progress=False, **options)


def rasters(out):
    return [np.asarray(s, dtype=float) for s in out.spikes]


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(rasters(a), rasters(b), strict=True))


class Case:
    """A network, its input and the reference result, made once per model.

    Three layers of one model, or all seven models in sequence ("mixed"), every layer recurrent.
    """

    made: dict = {}  # noqa: RUF012 (a cache)

    def __init__(self, rules, steps, decimals=None):
        drawn = circuits.draw(rules, N_IN, N, seed=7)
        rng = np.random.default_rng(8)
        self.x = rng.normal(size=(B, steps, N_IN))
        if decimals is not None:
            drawn = [
                layer._replace(**{
                    label: {name: v.round(decimals) for name, v in getattr(layer, label).items()}
                    for label in ("parameters", "w_in", "w_rec", "bias")
                })
                for layer in drawn
            ]  # fmt: skip
            self.x = self.x.round(decimals)
        readout = rng.normal(size=(5, N)), rng.normal(size=5)
        self.network = ds.Network([layer_of(layer) for layer in drawn], *readout)
        self.rules = rules
        self.oracle = circuits.run(drawn, self.x)

    @classmethod
    def of(cls, rule):
        if rule not in cls.made:
            mixed = rule == "mixed"
            cls.made[rule] = cls(circuits.RULES if mixed else [rule] * 3, 145 if mixed else T)
        return cls.made[rule]

    def distances(self, k):
        """Return the distance to threshold of each spiking variable of a layer."""
        layer = self.oracle.layers[k]
        if not self.rules[k].startswith("lrmm"):
            return {"S": layer.distance}
        return {cell: layer.states[f"distance_{cell[2:]}"] for cell in CELLS}

    def check(self, out):
        """Compare rasters, bin by bin, and the readout."""
        assert sum(raster.size for raster in rasters(out)) >= 1e6
        differing = [
            int((mine != theirs.spikes).sum())
            for mine, theirs in zip(rasters(out), self.oracle.layers, strict=True)
        ]
        assert differing == [0] * len(self.rules)
        spikes = self.oracle.layers[-1].spikes @ np.asarray(self.network.readout_weights).T
        expected = spikes + self.network.readout_bias
        np.testing.assert_allclose(np.asarray(out.readout), expected, rtol=1e-12, atol=1e-12)


class TestAgainstTheOracle:
    """0 differing bins in 10**6 neuron-steps per model and device."""

    @pytest.mark.parametrize("rule", circuits.RULES)
    def test_the_case_is_a_hard_one(self, rule):
        case = Case.of(rule)
        rates = [layer.spikes.mean() for layer in case.oracle.layers]
        assert all(0.05 < rate < 0.4 for rate in rates), rates
        for k in range(3):
            for distance in case.distances(k).values():
                assert 1e-9 < np.abs(distance).min() < 1e-4  # close to threshold, but no tie

    @pytest.mark.parametrize("rule", [*circuits.RULES, "mixed"])
    def test_torch(self, rule):
        case = Case.of(rule)
        case.check(in_torch(case.network, case.x))

    @pytest.mark.parametrize("rule", [*circuits.RULES, "mixed"])
    def test_numpy(self, rule):
        case = Case.of(rule)
        case.check(on("numpy", case.network, case.x))

    @pytest.mark.parametrize(
        "rule",
        ["mixed", *(pytest.param(rule, marks=pytest.mark.slow) for rule in circuits.RULES)],
    )
    def test_cpp(self, rule):
        case = Case.of(rule)
        case.check(on("cpp", case.network, case.x))

    @pytest.mark.slow
    @pytest.mark.parametrize("rule", circuits.RULES)
    def test_cython(self, rule):
        case = Case.of(rule)
        case.check(on("cython", case.network, case.x))

    @pytest.mark.parametrize("rule", circuits.RULES)
    def test_every_variable(self, rule):
        """Potentials, adaptation, gates and hidden spikes, not only the output."""
        case = Case.of(rule)
        x = case.x[:4, :60]
        record = {k: layer.model.states for k, layer in enumerate(case.network.layers)}
        mine = [
            on("numpy", case.network, x, record=record), in_torch(case.network, x, record=record)
        ]  # fmt: skip
        renamed = {"b": "a", "b_I": "a_I", "b_O": "a_O", "charge_D": "U_D", "charge_S": "U_S"}
        for out in mine:
            for k, layer in enumerate(case.oracle.layers):
                states = layer.states | {"S": layer.spikes, "S_O": layer.spikes}
                if rule == "lstm_lif_code":  # the reference has the potentials before the reset
                    out.states[k].pop("U_D"), out.states[k].pop("U_S")
                for name, values in out.states[k].items():
                    expected = states[renamed.get(name, name)][:4, :60]
                    np.testing.assert_allclose(np.asarray(values), expected, rtol=0, atol=1e-11)


class TestFloat32:
    """A spike that differs in float32 was closer to threshold than the float32 error."""

    #: Distance to threshold of a tie, in units of float32 eps times (1 + the largest distance of
    #: the layer so far).  Weights and inputs are rounded too; potentials erred by 11.1 at most.
    MULTIPLE = 16

    @pytest.mark.parametrize("rounded", [False, True], ids=["generic", "rounded"])
    @pytest.mark.parametrize("rule", circuits.RULES)
    def test_every_first_difference_is_a_tie(self, rule, rounded):
        case = Case([rule] * 3, 100, decimals=1) if rounded else Case.of(rule)
        single = in_torch(case.network, case.x, torch.float32, {k: cells(rule) for k in range(3)})
        assert all(s.dtype == torch.float32 for s in single.spikes)
        places = [(k, cell) for k in range(3) for cell in cells(rule)]  # in the order of a step
        distances = np.stack([case.distances(k)[cell] for k, cell in places])  # (place, B, T, n)
        mine = np.stack([single.states[k][cell].numpy() > 0.5 for k, cell in places])
        size = 1 + np.maximum.accumulate(np.abs(distances).max(axis=(1, 3)), axis=1)
        bound = self.MULTIPLE * np.finfo(np.float32).eps * size  # of each place and step
        near = np.abs(distances) < bound[:, None, :, None]
        assert near.mean() < 5e-3  # so a difference rarely passes by chance
        differing = mine != (distances >= 0 if rule == "lstm_lif_code" else distances > 0)
        with_difference = differing.any(axis=(0, 2, 3))
        for b in np.flatnonzero(with_difference):
            t = np.flatnonzero(differing[:, b].any(axis=(0, 2)))[0]
            place = np.flatnonzero(differing[:, b, t].any(axis=1))[0]
            assert near[place, b, t, differing[place, b, t]].all()
        if rounded and rule in ("lif", "alif", "lrmm", "lrmm_alif"):
            # numbers with one decimal can be exactly at threshold, where only rounding decides
            assert (np.abs(distances) < 1e-12).any()


def lif(n_in=1, n=1, w=1.0, rec=None, bias=None, **options):
    """Return a layer of LIF neurons with decay 0.5 and threshold 1."""
    return ds.Layer(
        "lif", n_in, n, rec is not None,
        {"I": np.full((n, n_in), w)},
        None if rec is None else {"I": np.full((n, n), rec)},
        None if bias is None else {"I": np.full(n, bias)},
        {"beta": 0.5, "V_th": 1.0}, **options,
    )  # fmt: skip


def by_hand(network, x, expected, device):
    """Compare the rasters of a single sample with strings of 0 and 1, one per layer."""
    x = np.reshape(x, (1, -1, 1)).astype(float)
    out = in_torch(network, x) if device == "torch" else on(device, network, x)
    found = ["".join(str(int(v)) for v in raster[0, :, 0]) for raster in rasters(out)]
    assert found == expected


@pytest.mark.parametrize("device", ["torch", "numpy", pytest.param("cpp", marks=pytest.mark.slow)])
class TestOrderWithinAStep:
    """Rasters by hand; all numbers are dyadic, so all potentials are exact."""

    def test_spikes_reach_the_next_layer_at_once_and_their_own_a_step_later(self, device):
        # U_0 = 1.5, 0.75 - 1 + 1.3125 = 1.0625, 0.53125 - 1 + 1.3125 = 0.84375, ...
        # U_1 = 1.125, 0.5625 - 1 + 1.125 + 0.875 = 1.5625, 0.78125 - 1 + 0.875 = 0.65625, ...
        network = ds.Network([lif(w=1.5, rec=1.3125), lif(w=1.125, rec=0.875)])
        by_hand(network, [1, 0, 0, 0, 0], ["11000", "11000"], device)

    def test_three_layers_in_one_step(self, device):
        by_hand(ds.Network([lif(w=1.5)] * 3), [0, 1, 0, 0], ["0100"] * 3, device)

    def test_bias_acts_from_the_first_step_in_every_layer(self, device):
        # U = 1.25, 0.875, 1.6875, 1.09375, 0.796875
        network = ds.Network([lif(w=0.0, bias=1.25)] * 2)
        by_hand(network, [0, 0, 0, 0, 0], ["10110", "10110"], device)

    def test_at_threshold_there_is_no_spike_unless_the_text_says_so(self, device):
        by_hand(ds.Network([lif()]), [1, 0.5, 0.75], ["001"], device)  # U = 1, 1, 1.25
        weights = {"I": [[1.0]]}
        at = ds.Network([ds.Layer("lstm_lif_code", 1, 1, input_weights=weights)])
        below = ds.Network(
            [ds.Layer("lstm_lif", 1, 1, input_weights=weights, parameters={"gamma": 0.0})]
        )
        by_hand(at, [2, 0, 0], ["101"], device)  # somata 1, 0.75, 1.3125
        by_hand(below, [2, 0, 0], ["011"], device)  # somata 1, 1.75, 1.0625

    def test_real_input_is_the_one_of_its_own_step(self, device):
        by_hand(ds.Network([lif()]), [0.5, 0.875, -1, 3, 0], ["01010"], device)


OWN = """
title = "A neuron of one's own"
kind = "discrete"
inputs = { soma = "I" }
output = "S"
update = '''
U = decay*U + I - S
S = int(U > exp(-1/2)*theta)
'''
[parameters]
decay = { value = "0.75", trainable = true, shape = "neuron" }
theta = "1.5"
[initial]
U = "0.625"
S = "1"
"""


@pytest.fixture
def own(tmp_path):
    """Return the path of a user model that starts after a spike."""
    path = tmp_path / "shelf" / "mine.toml"
    path.parent.mkdir()
    path.write_text(OWN)
    return path


class TestState:
    def test_a_sample_does_not_see_the_others(self):
        case = Case.of("mixed")
        x = case.x[:3, :40]
        together = on("numpy", case.network, x)
        two = on("numpy", case.network, x, batch=2)  # the second batch is filled up with zeros
        assert same(together, two)
        assert same(together, in_torch(case.network, x))
        for b, sample in enumerate(x):
            alone = on("numpy", case.network, sample), in_torch(case.network, sample[None])
            for out in alone:
                for mine, all_of_them in zip(rasters(out), together.spikes, strict=True):
                    assert np.array_equal(mine[0], all_of_them[b])

    def test_many_samples_take_turns_in_one_program(self, tmp_path, monkeypatch):
        monkeypatch.setenv("DENDROSIM_CACHE", str(tmp_path))
        drawn = circuits.draw(["lstm_lif", "lif"], 3, 7, seed=1)
        network = ds.Network([layer_of(layer) for layer in drawn], np.ones((2, 7)))
        x = 2 * np.random.default_rng(2).normal(size=(130, 12, 3))
        record = {0: ("U_S",), 1: ("U",)}
        out = on("cpp", network, x, batch=64, record=record)
        assert out.meta["compiled"]
        assert len([*tmp_path.glob("*/main")]) == 1
        again = on("cpp", network, x, record=record)  # 64 is the default
        assert not again.meta["compiled"]
        assert same(out, again)
        shorter = on("cpp", network, x[:, :9], record=record)  # 9 to 16 steps use the same size
        assert not shorter.meta["compiled"]
        for longer, raster in zip(out.spikes, shorter.spikes, strict=True):
            assert np.array_equal(longer[:, :9], raster)
        alone = on("cpp", network, x, batch=1, record=record)
        assert len([*tmp_path.glob("*/main")]) == 2
        oracle = circuits.run(drawn, x)
        for k in range(2):
            assert out.spikes[k].shape == (130, 12, 7)
            assert np.array_equal(out.spikes[k], alone.spikes[k])
            assert np.array_equal(out.spikes[k], oracle.layers[k].spikes)
            for name in record[k]:
                expected = oracle.layers[k].states[name]
                np.testing.assert_allclose(out.states[k][name], expected, rtol=0, atol=1e-12)
                np.testing.assert_allclose(alone.states[k][name], expected, rtol=0, atol=1e-12)
        # the program is the same for other weights, biases and parameters
        other = circuits.draw(["lstm_lif", "lif"], 3, 7, seed=5)
        out = on("cpp", ds.Network([layer_of(layer) for layer in other]), x, record=record)
        assert not out.meta["compiled"]
        oracle = circuits.run(other, x)
        assert all(np.array_equal(out.spikes[k], oracle.layers[k].spikes) for k in range(2))

    def test_two_threads_give_what_one_gives(self):
        drawn = circuits.draw(["lrmm", "lif"], 3, 7, seed=3)
        network = ds.Network([layer_of(layer) for layer in drawn])
        x = 2 * np.random.default_rng(4).normal(size=(9, 40, 3))
        out = on("cpp", network, x, threads=2)
        assert out.meta["threads"] == 2
        oracle = circuits.run(drawn, x)
        assert all(np.array_equal(out.spikes[k], oracle.layers[k].spikes) for k in range(2))

    def test_another_output_of_the_same_text_is_another_program(self, tmp_path):
        """The rasters equal the output, also with a cache of compiled programs."""
        text = OWN.replace("S = int", "R = int(U > 0.25)\nS = int")
        jobs = []
        for output in "SR":
            path = tmp_path / f"{output}.toml"
            path.write_text(text.replace('output = "S"', f'output = "{output}"'))
            network = ds.Network([ds.Layer(path, 1, 1, input_weights={"I": [[1.0]]})])
            jobs.append(json.dumps(NetworkJob(network, np.zeros((1, 4, 1)), {}).structure))
        assert jobs[0] != jobs[1]

    @pytest.mark.parametrize("batch", [1, 2, 3])
    def test_initial_state_is_that_of_the_text_in_every_sample(self, own, batch):
        # the spike before the first step is reset and, with weight 1, reaches the layer itself
        layer = ds.Layer(own, 1, 1, True, {"I": [[1.0]]}, {"I": [[1.0]]})
        x = np.zeros((3, 3, 1))
        out = on("numpy", ds.Network([layer]), x, batch=batch, record={0: "U"})
        torched = in_torch(ds.Network([layer]), x, record={0: ("U",)})
        u = 0.625 * 0.75 ** np.arange(1, 4)  # + 1 - 1 in the first step
        for states in (out.states[0]["U"], torched.states[0]["U"].numpy()):
            np.testing.assert_allclose(states[..., 0], np.tile(u, (3, 1)), rtol=1e-15)

    def test_initial_states_and_parameters_of_the_model_may_differ_by_neuron(self, own):
        starts, decays = np.array([0.5, -0.5, 2.0]), np.array([0.5, 0.25, 0.75])
        model = ds.load_model(own).with_(initial={"U": starts}, parameters={"decay": decays})
        network = ds.Network([ds.Layer(model, 1, 3, input_weights={"I": np.zeros((3, 1))})])
        x = np.zeros((2, 1, 1))
        for out in (on("numpy", network, x, record={0: ("U",)}),
                    in_torch(network, x, record={0: ("U",)})):  # fmt: skip
            found = np.asarray(out.states[0]["U"])[:, 0]
            np.testing.assert_array_equal(found, np.tile(decays * starts - 1, (2, 1)))
        for change in ({"initial": {"U": starts[:2]}}, {"parameters": {"decay": decays[:2]}}):
            said("2 values, but there are 3 neurons", ds.Layer, model.with_(**change), 1, 3)

    def test_one_sample_may_come_without_the_axis_of_samples(self):
        case = Case.of("lif")
        out = on("numpy", case.network, case.x[0, :20])
        assert out.spikes[0].shape == (1, 20, N)
        assert out.readout.shape == (1, 20, 5)


class TestCopies:
    """A network in torch behaves like any module: averaging, transfer to workers, copies."""

    def test_a_network_and_its_module_can_be_copied_and_pickled(self):
        case = Case.of("lrmm")
        module = TorchNetwork(case.network, detach_reset=True)
        x = torch.as_tensor(case.x[:2, :20])
        before = module(x).readout
        for network in (copy.deepcopy(case.network), pickle.loads(pickle.dumps(case.network))):
            assert np.array_equal(network.readout_weights, case.network.readout_weights)
            assert network.layers[0].model.hash == case.network.layers[0].model.hash
            assert not network.layers[0].input_weights["I"].flags.writeable
        averaged = torch.optim.swa_utils.AveragedModel(module)
        for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module)), averaged):
            assert torch.equal(other(x).readout, before)
        with torch.no_grad():
            copy.deepcopy(module).readout_weights.zero_()
        assert torch.equal(module(x).readout, before)  # the copies share no memory

    def test_what_is_not_trained_but_moved_is_exported(self):
        """Annealing changes buffers; the saved network must equal the validated one."""
        network = ds.Network.random([ds.Layer("lif", 3, 8)], n_out=2)
        module = TorchNetwork(network, dtype=torch.float64)
        assert module.to_network().layers[0].parameters.keys() == set()
        module.layers[0].value_V_th.fill_(0.3)
        x = np.random.default_rng(0).normal(size=(4, 50, 3))
        spikes = module(torch.tensor(x)).spikes[0].detach().numpy()
        out = on("numpy", module.to_network(), x)
        assert np.array_equal(out.spikes[0], spikes > 0.5)
        assert not np.array_equal(on("numpy", network, x).spikes[0], spikes > 0.5)


class TestRefusedInTorch:
    @pytest.mark.parametrize(
        ("x", "record", "told"),
        [
            (torch.full((1, 4, 3), torch.nan), None, "a number that is not finite"),
            (torch.full((1, 4, 3), torch.inf), None, "a number that is not finite"),
            (torch.zeros(1, 0, 3), None, "input has shape (1, 0, 3)"),
            (torch.zeros(1, 4, 3), {0: ("Q",)}, "record: layer 0 has no 'Q'"),
            (torch.zeros(1, 4, 3), {7: "U"}, "record: there is no layer 7"),
        ],
    )
    def test_what_brian2_refuses_torch_refuses_too(self, x, record, told):
        network = ds.Network.random([ds.Layer("lif", 3, 8)], n_out=2)
        said(told, TorchNetwork(network), x, record)
        said(told, ds.run_network, network, x.numpy(), device="numpy", record=record)


class TestVariants:
    """The ablations of Table 2 equal the reference without the removed parts."""

    def both(self, layer, drawn, **oracle):
        keywords = circuits.keywords(drawn) | oracle
        x = np.random.default_rng(5).normal(size=(8, 100, N_IN))
        expected = getattr(discrete, drawn.rule)(x, **keywords)
        assert 0.02 < expected.spikes.mean() < 0.6
        for out in (on("numpy", ds.Network([layer]), x), in_torch(ds.Network([layer]), x)):
            assert np.array_equal(rasters(out)[0], expected.spikes)

    @pytest.mark.parametrize("rule", ["lrmm", "lrmm_alif"])
    def test_no_feedback(self, rule):
        (drawn,) = circuits.draw([rule], N_IN, 16, seed=6)
        synapses = circuits.keywords(drawn)["synapses"] | {"NC_NM": 0.0}
        self.both(layer_of(drawn, model=f"{rule}:no_feedback"), drawn, synapses=synapses)

    def test_only_the_threshold_adapts(self):
        """N_I and N_O by eqs 6 and 9, with B instead of V_th."""
        (drawn,) = circuits.draw(["lrmm_alif"], N_IN, 16, seed=6)
        drawn = drawn._replace(parameters=drawn.parameters | {"b_0": 0.6, "kappa": 0.9})
        self.both(layer_of(drawn, model="lrmm_alif:unscaled"), drawn, scaled=False)

    @pytest.mark.parametrize("rule", ["lrmm", "lrmm_alif"])
    def test_no_recurrence(self, rule):
        (drawn,) = circuits.draw([rule], N_IN, 16, seed=6)
        model = f"{rule}:no_recurrence"
        said("has no recurrent connections", layer_of, drawn, model=model)
        layer = layer_of(drawn, model=model, recurrent=False, recurrent_weights=None)
        self.both(layer, drawn, w_rec=None)

    @pytest.mark.parametrize("rule", ["lrmm", "lrmm_alif"])
    def test_shared_gate(self, rule):
        (drawn,) = circuits.draw([rule], N_IN, 16, seed=6)
        one = {
            label: {"I": getattr(drawn, label)["I"]} for label in ("w_in", "w_rec", "bias")
        }  # fmt: skip
        layer = layer_of(drawn._replace(**one), model=f"{rule}:shared_gate")
        assert layer.model.ports == ("I",)
        self.both(layer, drawn, **{
            label: dict.fromkeys(discrete.PORTS, table["I"]) for label, table in one.items()
        })  # fmt: skip

    def test_the_released_code_is_eqs_9_to_11_with_another_dendritic_reset(self):
        drawn = circuits.draw(["lstm_lif_code"] * 2, N_IN, 16, seed=9)
        x = np.random.default_rng(10).normal(size=(8, 200, N_IN))
        code, paper, printed = [], [], []
        for layer in drawn:
            p = layer.parameters
            effective = p["gamma"] - p["V_th"] / (1 + np.exp(-p["c_1"]))
            code.append(layer_of(layer))
            paper.append(layer_of(layer, model="lstm_lif", parameters=p | {"gamma": effective}))
            printed.append(layer_of(layer, model="lstm_lif"))
        first, second, third = (
            on("numpy", ds.Network(layers), x) for layers in (code, paper, printed)
        )
        assert 0.05 < first.spikes[1].mean() < 0.4
        assert same(first, second)
        assert not same(first, third)  # with gamma as printed they are different neurons


class TestCounts:
    """Counts in the literature, REFERENCE 3a, 3e, 4a and 4b.

    The published codes have a second bias for recurrent connections, in addition to that of the
    input.  Two biases of a neuron are equivalent to one, so here there is one: the count of a
    recurrent layer is smaller by n.  For the LRMM, [input; spikes] has one matrix and one bias,
    and the counts agree.
    """

    @pytest.mark.parametrize(
        ("sizes", "recurrent", "published"),
        [
            ((2, 128, 128, 10), (), 18_186),  # Binary Adding
            ((2, 128, 128, 10), (0,), 34_698),
            ((2, 128, 128, 10), (0, 1), 51_210),
            ((1, 64, 256, 256, 10), (), 85_130),  # S-MNIST
            ((1, 64, 256, 256, 10), (0, 1), 155_082),
            ((1, 40, 200, 64, 10), (0, 1), 63_634),
            ((1, 40, 256, 128, 10), (), 44_762),
            ((1, 40, 256, 128, 10), (0, 1), 112_194),
            ((700, 128, 128, 20), (0, 1), 141_844),  # SHD
            ((700, 128, 128, 35), (), 110_755),  # SSC
            ((700, 128, 128, 35), (0, 1), 143_779),
            ((700, 128, 35), (0,), 110_755),
            ((40, 300, 300, 12), (), 106_212),  # GSC
            ((40, 300, 300, 12), (0,), 196_512),
        ],
    )
    def test_one_port(self, sizes, recurrent, published):
        second_bias = sum(sizes[k + 1] for k in recurrent)
        assert self.count("lif", sizes, recurrent) == published - second_bias

    @pytest.mark.parametrize(
        ("sizes", "published"),
        [
            ((1, 128, 128, 10), "149.9"), ((700, 128, 128, 20), "419.6"),
            ((700, 128, 128, 35), "421.5"), ((2, 128, 128, 10), "150.3"),
            ((1, 128, 10), "51.2"), ((700, 128, 20), "320.9"), ((700, 128, 35), "322.9"),
            ((2, 128, 10), "51.6"),
        ],
    )  # fmt: skip
    def test_lrmm(self, sizes, published):
        count = self.count("lrmm", sizes, range(len(sizes) - 2))
        assert f"{count / 1000:.1f}" == published

    def test_lrmm_without_recurrence(self):
        assert self.count("lrmm", (700, 128, 20), ()) == 271_764

    def count(self, rule, sizes, recurrent):
        layers = [
            ds.Layer(rule, a, b, k in recurrent) for k, (a, b) in enumerate(pairwise(sizes[:-1]))
        ]
        return ds.Network.random(layers, n_out=sizes[-1]).n_weights


class TestRandom:
    def test_laws_of_the_draw(self):
        layers = [ds.Layer("lrmm", 30, 40, recurrent=True), ds.Layer("lif", 40, 50)]
        network = ds.Network.random(layers, n_out=6, seed=3)
        for layer in network.layers:
            limit = np.sqrt(6 / (layer.n_in + layer.n))  # Glorot and Bengio 2010
            for port in layer.model.ports:
                weights = layer.input_weights[port]
                assert 0.95 * limit < np.abs(weights).max() <= limit
                assert weights.var() == pytest.approx(limit**2 / 3, rel=0.1)
                assert not layer.bias[port].any()
        for weights in network.layers[0].recurrent_weights.values():
            np.testing.assert_allclose(weights @ weights.T, np.eye(40), atol=1e-12)
        assert not network.layers[1].recurrent_weights
        assert np.abs(network.readout_weights).max() <= np.sqrt(6 / 56)
        again = ds.Network.random(layers, n_out=6, seed=3)
        other = ds.Network.random(layers, n_out=6, seed=4)
        assert equal(network, again)
        assert not equal(network, other)

    def test_what_is_given_is_kept(self):
        given_weights = {"I": np.eye(3)}
        layer = ds.Layer("lif", 3, 3, recurrent=True, input_weights=given_weights)
        (drawn,) = ds.Network.random([layer]).layers
        assert np.array_equal(drawn.input_weights["I"], np.eye(3))
        assert not drawn.bias  # weights without a bias were requested
        assert drawn.recurrent_weights


def equal(a, b):
    """Whether two networks have the same text and bit-identical numbers."""
    tables = ("input_weights", "recurrent_weights", "bias", "parameters")
    return (
        len(a.layers) == len(b.layers)
        and all(
            x.model.hash == y.model.hash
            and (x.n_in, x.n, x.recurrent) == (y.n_in, y.n, y.recurrent)
            and all(
                getattr(x, t).keys() == getattr(y, t).keys()
                and all(np.array_equal(getattr(x, t)[p], getattr(y, t)[p]) for p in getattr(x, t))
                for t in tables
            )
            for x, y in zip(a.layers, b.layers, strict=True)
        )
        and np.array_equal(a.readout_weights, b.readout_weights)
        and np.array_equal(a.readout_bias, b.readout_bias)
        and a.metadata == b.metadata
    )


class TestFiles:
    def test_every_model_comes_back(self, tmp_path):
        case = Case.of("mixed")
        network = ds.Network(
            case.network.layers, case.network.readout_weights, case.network.readout_bias,
            {"task": "none", "epochs": 3, "losses": [0.5, 0.25], "of": {"seed": None}},
        )  # fmt: skip
        network.save(tmp_path / "net.safetensors")
        loaded = ds.load_network(tmp_path / "net.safetensors")
        assert equal(network, loaded)
        assert repr(loaded) == repr(network)
        x = case.x[:2, :30]
        a, b = on("numpy", network, x), on("numpy", loaded, x)
        assert same(a, b)
        assert np.array_equal(a.readout, b.readout)

    @pytest.mark.parametrize("variant", ["no_feedback", "no_recurrence", "shared_gate"])
    def test_variants_come_back(self, tmp_path, variant):
        recurrent = variant != "no_recurrence"
        layer = ds.Layer(f"lrmm:{variant}", 3, 4, recurrent)
        network = ds.Network.random([layer], n_out=2)
        network.save(tmp_path / "net.safetensors")
        loaded = ds.load_network(tmp_path / "net.safetensors")
        assert equal(network, loaded)
        assert loaded.layers[0].model.name == f"lrmm:{variant}"
        assert loaded.layers[0].model.recurrent is recurrent

    def test_the_file_holds_the_text_of_the_model(self, own, tmp_path):
        network = ds.Network.random([ds.Layer(own, 2, 5, recurrent=True)], n_out=3, seed=1)
        x = np.random.default_rng(3).normal(size=(4, 25, 2))
        before = on("numpy", network, x)
        path = tmp_path / "net.safetensors"
        network.save(path)
        shutil.rmtree(own.parent)
        with safe_open(path, framework="numpy") as file:
            head = file.metadata()
            assert set(file.keys()) == {
                "layers.0.input_weights.I", "layers.0.recurrent_weights.I", "layers.0.bias.I",
                "readout.weights", "readout.bias",
            }  # fmt: skip
        assert "U = decay*U + I - S" in json.loads(head["layers"])[0]["model"]["update"]
        assert "same step" in head["order"]
        loaded = ds.load_network(path)
        assert equal(network, loaded)
        assert same(before, on("numpy", loaded, x))
        assert same(before, in_torch(loaded, x))
        again = TorchNetwork(loaded, dtype=torch.float64).to_network()
        assert same(before, on("numpy", again, x))

    def test_saving_over_a_file_and_without_a_readout(self, tmp_path):
        path = tmp_path / "net.safetensors"
        ds.Network.random([ds.Layer("lif", 2, 2)], n_out=3).save(path)
        ds.Network.random([ds.Layer("lif", 2, 2)]).save(path)
        assert ds.load_network(path).n_out == 0
        assert [p.name for p in tmp_path.iterdir()] == ["net.safetensors"]

    def test_what_cannot_be_kept(self, tmp_path):
        network = ds.Network([lif()], metadata={"a": np.arange(3)})
        said("metadata", network.save, tmp_path / "net.safetensors")
        said("no", ds.Network([lif()]).save, tmp_path / "no" / "such" / "folder" / "a")
        assert not [*tmp_path.iterdir()]


def said(fragment, function, *args, **kwargs):
    """Check that the call is refused with one sentence that contains `fragment`."""
    with pytest.raises(DendrosimError) as caught:
        function(*args, **kwargs)
    sentence = str(caught.value)
    assert fragment in sentence, sentence
    assert "\n" not in sentence
    assert len(sentence) < 300


class TestRefusals:
    @FEW
    @given(
        st.integers(1, 4), st.integers(1, 4),
        st.lists(st.integers(0, 5), max_size=3).map(tuple),
        st.sampled_from(["input_weights", "recurrent_weights", "bias"]),
    )  # fmt: skip
    def test_shapes_of_weights(self, n_in, n, shape, table):
        needed = {"input_weights": (n, n_in), "recurrent_weights": (n, n), "bias": (n,)}[table]
        given_weights = {table: {"I": np.zeros(shape)}, "recurrent": True}
        if shape == needed:
            assert ds.Layer("lif", n_in, n, **given_weights).n_weights == np.prod(shape)
        else:
            place = f"{table}['I'] has shape {shape}, but {needed} is needed"
            said(place, ds.Layer, "lif", n_in, n, **given_weights)

    @FEW
    @given(st.integers(1, 4), st.lists(st.integers(0, 5), max_size=3).map(tuple))
    def test_shapes_of_parameters(self, n, shape):
        given_values = {"beta": np.full(shape, 0.5)}
        if shape == (n,) or np.prod(shape) == 1:
            values = ds.Layer("lif", 1, n, parameters=given_values).values()
            assert values["beta"].shape in ((), (n,))
        else:
            said("parameters['beta'] has shape", ds.Layer, "lif", 1, n, parameters=given_values)

    @FEW
    @given(st.lists(st.integers(0, 4), max_size=4).map(tuple))
    def test_shapes_of_inputs(self, shape):
        network = ds.Network([lif(n_in=3)])
        if len(shape) in (2, 3) and shape[-1] == 3 and 0 not in shape:
            assert as_input(network, np.zeros(shape)).shape == (1, 1, *shape)[-3:]
        else:
            said(f"input has shape {shape}", on, "numpy", network, np.zeros(shape))

    @FEW
    @given(st.lists(st.integers(0, 3), max_size=3).map(tuple))
    def test_shapes_of_the_readout(self, shape):
        weights = np.zeros(shape)
        if len(shape) == 2 and shape[1] == 2:
            assert ds.Network([lif(n=2)], weights).n_out == shape[0]
        else:
            said("readout_weights has shape", ds.Network, [lif(n=2)], weights)

    @pytest.mark.parametrize(
        ("fragment", "changes"),
        [
            ("needs a discrete model", {"model": "kepecs_wang_2000"}),
            ("'lift'", {"model": "lift"}),
            ("n_in = 0 should be a whole number, 1 or larger", {"n_in": 0}),
            ("n = 2.0 should be a whole number, 1 or larger", {"n": 2.0}),
            ("n = True should be a whole number, 1 or larger", {"n": True}),
            ("recurrent is False", {"recurrent_weights": {"I": [[1.0]]}}),
            ("'J' is not a port; valid: I", {"input_weights": {"J": [[1.0]]}}),
            ("did you mean 'beta'", {"parameters": {"bta": 1.0}}),
            ("does not hold numbers", {"bias": {"I": ["a"]}}),
            ("does not hold numbers", {"input_weights": {"I": [[1.0], [1.0, 2.0]]}}),
            ("not finite", {"bias": {"I": [np.nan]}}),
            ("not finite", {"input_weights": {"I": [[np.inf]]}}),
            ("not finite", {"parameters": {"beta": np.nan}}),
        ],
    )
    def test_layers(self, fragment, changes):
        said(fragment, ds.Layer, **{"model": "lif", "n_in": 1, "n": 1} | changes)

    @pytest.mark.parametrize(
        ("fragment", "args"),
        [
            ("a network needs a layer", ([],)),
            ("'lif' is not a Layer", (["lif"],)),
            ("layer 1 takes 3 inputs, but layer 0 has 2 neurons", ([lif(n=2), lif(n_in=3)],)),
            ("readout_bias has shape (2,)", ([lif()], [[1.0]], [1.0, 2.0])),
            ("readout_weights", ([lif()], [["a"]])),
        ],
    )
    def test_networks(self, fragment, args):
        said(fragment, ds.Network, *args)

    @pytest.mark.parametrize(
        ("fragment", "options"),
        [
            ("unknown device 'gpu'", {"device": "gpu"}),
            ("threads = 2 needs device 'cpp'", {"threads": 2}),
            ("threads = 0", {"device": "cpp", "threads": 0}),
            ("unknown dtype 'float16'", {"dtype": "float16"}),
            ("batch = 0", {"batch": 0}),
            ("batch = 2.5", {"batch": 2.5}),
            ("batch = True", {"batch": True}),
            ("batch = 'all'", {"batch": "all"}),
            ("there is no layer 1", {"record": {1: ("U",)}}),
            ("layer 0 has no 'V'; valid: S, U", {"record": {0: ("V",)}}),
            ("input holds <U1, not numbers", {"x": [["a"]]}),
            ("not finite", {"x": [[np.nan]]}),
        ],
    )
    def test_runs(self, fragment, options):
        options = {"device": "numpy", "x": [[1.0]]} | options
        x = options.pop("x")
        said(fragment, ds.run_network, ds.Network([lif()]), x, **options)

    def test_a_potential_that_overflows_is_named(self, tmp_path):
        path = tmp_path / "wild.toml"
        path.write_text(OWN.replace("decay*U + I - S", "exp(decay*U) + I"))
        network = ds.Network([ds.Layer(path, 1, 2, input_weights={"I": [[1.0], [1.0]]})])
        said("layer 0: U of neuron 0 is beyond 1e+50", on, "numpy", network, np.ones((1, 50, 1)))


class TestWhatIsNoInput:
    """Invalid input of a network gives an error of one sentence."""

    NETWORK = ds.Network.random([ds.Layer("lif", 3, 5)], 2)
    X = torch.ones(2, 4, 3)

    @pytest.mark.parametrize(
        ("x", "said"),
        [
            (X.to_sparse(), "no dense array|dense one"),
            (X[:0], r"\(0, 4, 3\)"),
            (X[:, :0], r"\(2, 0, 3\)"),
            (X.to(torch.complex64), "complex64"),
        ],
    )
    def test_on_both_sides(self, x, said):
        with pytest.raises(DendrosimError, match=said):
            ds.run_network(self.NETWORK, x, device="numpy")
        with pytest.raises(DendrosimError, match=said):
            TorchNetwork(self.NETWORK)(x)
        with pytest.raises(DendrosimError, match=said):
            CellNetwork("lstm", (3, 4), 2)(x)

    @pytest.mark.parametrize(
        ("x", "said"),
        [
            (scipy.sparse.csr_matrix(np.ones((4, 3))), r"csr_matrix.*x.toarray\(\)"),
            ([[1, 2, 3], [1]], "no dense array"),
            (torch.ones(4, 3, requires_grad=True), "no dense array.*detach"),
            (None, "NoneType"),
        ],
    )
    def test_of_run_network(self, x, said):
        with pytest.raises(DendrosimError, match=said):
            ds.run_network(self.NETWORK, x, device="numpy")

    def test_arguments_that_do_not_exist(self):
        for make in (lambda **o: ds.Layer("lif", 3, 5, **o), self.NETWORK.layers[0].with_):
            with pytest.raises(DendrosimError, match=r"no argument 'dropout'; valid: bias"):
                make(dropout=0.1)
            with pytest.raises(DendrosimError, match="did you mean 'recurrent'"):
                make(recurrant=True)
        with pytest.raises(DendrosimError, match=r"TorchNetwork.*valid: numpy, cython, cpp, cuda"):
            ds.run_network(self.NETWORK, self.X, device="torch")
        with pytest.raises(DendrosimError, match="tensor of shape"):
            TorchNetwork(self.NETWORK)(np.ones((2, 4, 3)))

    @pytest.mark.parametrize(
        "call",
        [
            lambda net, x: ds.run_network("net", x),
            lambda net, x: ds.run_network(net, x, device="numpy", record=[1]),
            lambda net, x: ds.run_network(net, x, device="numpy", record={0: 3}),
            lambda net, x: TorchNetwork("net"),
            lambda net, x: ds.Network(3),
            lambda net, x: ds.Network("ab"),
            lambda net, x: ds.Network(net.layers, metadata=3),
            lambda net, x: ds.Network.random("ab"),
            lambda net, x: ds.Network.random(net.layers, n_out=-1),
            lambda net, x: ds.Network.random(net.layers, n_out="2"),
            lambda net, x: ds.Network.random(net.layers, seed="a"),
            lambda net, x: ds.Layer("lif", 3, 5, input_weights=3),
            lambda net, x: ds.Layer("lif", 3, 5, recurrent=True, recurrent_weights=x),
            lambda net, x: ds.Layer("lif", 3, 5, bias=[1]),
            lambda net, x: ds.Layer("lif", 3, 5, parameters="beta"),
            lambda net, x: ds.Layer("lif", 3, 1, bias={"I": torch.ones(1, requires_grad=True)}),
        ],
    )
    def test_arguments_of_another_type(self, call):
        with pytest.raises(DendrosimError):
            call(self.NETWORK, np.ones((4, 3)))
