"""The baseline models: each file against an independent loop, on every device, and known values."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from reference import baselines
from reference.baselines import BASELINES

import dendrosim as ds
from dendrosim.errors import DendrosimError
from dendrosim.learn import TorchNetwork

torch.set_num_threads(1)  # the tensors are small

B, T, N_IN, N = 8, 120, 8, 24
NAMES = tuple(BASELINES)


def layer_of(drawn, model=None):
    """Return a layer of the package with the numbers of a given random layer."""
    n, n_in = next(iter(drawn.w_in.values())).shape
    return ds.Layer(
        model or drawn.rule, n_in, n, bool(drawn.w_rec), drawn.w_in, drawn.w_rec, drawn.bias,
        drawn.parameters,
    )  # fmt: skip


class Case:
    """A network with two layers of each rule, its input and the reference result; made once."""

    made: dict = {}  # noqa: RUF012 (a cache)

    def __init__(self, rules, seed=7):
        self.drawn = baselines.draw(rules, N_IN, N, seed)
        rng = np.random.default_rng(8)
        self.x = rng.normal(size=(B, T, N_IN))
        readout = rng.normal(size=(3, N))
        self.network = ds.Network([layer_of(layer) for layer in self.drawn], readout)
        self.oracle = baselines.run(self.drawn, self.x)

    @classmethod
    def of(cls, rule):
        if rule not in cls.made:
            cls.made[rule] = cls(NAMES if rule == "mixed" else [rule, rule])
        return cls.made[rule]

    def check(self, spikes):
        for mine, theirs in zip(spikes, self.oracle, strict=True):
            assert int((np.asarray(mine) != theirs.spikes).sum()) == 0


def run(network, x, **options):
    return ds.run_network(network, x, device="numpy", progress=False, **options)


class TestAgainstTheOracle:
    """0 differing bins in 46,000 per model; "mixed" has one layer of each model in sequence."""

    @pytest.mark.parametrize("rule", [*NAMES, "mixed"])
    def test_the_case_is_a_hard_one(self, rule):
        oracle = Case.of(rule).oracle
        rates = [float(layer.spikes.mean()) for layer in oracle]
        assert all(0.02 < rate < 0.6 for rate in rates), f"spikes per step, by layer: {rates}"
        nearest = [float(np.abs(layer.distance).min()) for layer in oracle]
        # close to threshold, but no tie
        assert all(1e-9 < distance < 1e-2 for distance in nearest), f"least distances: {nearest}"

    @pytest.mark.parametrize("rule", [*NAMES, "mixed"])
    def test_numpy(self, rule):
        case = Case.of(rule)
        case.check(run(case.network, case.x).spikes)

    @pytest.mark.parametrize("rule", [*NAMES, "mixed"])
    def test_torch(self, rule):
        case = Case.of(rule)
        with torch.no_grad():
            out = TorchNetwork(case.network, dtype=torch.float64, fused=False)(torch.tensor(case.x))
        case.check(out.spikes)

    @pytest.mark.parametrize("rule", NAMES)
    def test_fused_kernels(self, rule):
        case = Case.of(rule)
        eager, fused = (gradients(case, fused) for fused in (False, True))
        case.check(fused.pop("spikes"))
        case.check(eager.pop("spikes"))
        for name, gradient in eager.items():
            size = gradient.abs().max().item()
            torch.testing.assert_close(fused[name], gradient, rtol=1e-9, atol=1e-9 * size)

    @pytest.mark.slow
    def test_cpp(self):
        case = Case.of("mixed")
        case.check(ds.run_network(case.network, case.x, device="cpp", progress=False).spikes)

    def test_the_authors_code_of_dh_lif(self):
        drawn = [
            layer._replace(parameters=layer.parameters | {"V_th": 0.5 * layer.parameters["V_th"]})
            for layer in Case.of("dh_lif").drawn
        ]
        marked = [
            layer._replace(parameters=layer.parameters | {"authors_code": True}) for layer in drawn
        ]
        x = Case.of("dh_lif").x
        network = ds.Network([layer_of(layer, "dh_lif:authors_code") for layer in drawn])
        theirs, sums = baselines.run(marked, x), baselines.run(drawn, x)
        for k, mine in enumerate(run(network, x).spikes):
            assert 0.02 < mine.mean() < 0.6
            assert np.array_equal(mine, theirs[k].spikes)
            assert not np.array_equal(mine, sums[k].spikes)

    @pytest.mark.parametrize("rule", ["plif", "radlif", "clif", "lm_h"])
    def test_the_benchmarks_variant(self, rule):
        """Our neuron, not the published one: both references get the same input."""
        drawn, x = Case.of(rule).drawn, Case.of(rule).x
        marked = [
            layer._replace(parameters=layer.parameters | {"benchmark": True}) for layer in drawn
        ]
        network = ds.Network([layer_of(layer, f"{rule}:benchmark") for layer in drawn])
        theirs, published = baselines.run(marked, x), baselines.run(drawn, x)
        for k, mine in enumerate(run(network, x).spikes):
            assert 0.02 < mine.mean() < 0.75
            assert np.array_equal(mine, theirs[k].spikes)
            assert not np.array_equal(mine, published[k].spikes)


def gradients(case, fused, detach_reset=False):
    """Return the gradient of each weight and parameter for a random objective, and the spikes."""
    module = TorchNetwork(
        case.network, detach_reset=detach_reset, dtype=torch.float64, fused=fused
    )  # fmt: skip
    out = module(torch.tensor(case.x))
    goal = torch.tensor(np.random.default_rng(9).normal(size=out.readout.shape))
    (out.readout * goal).sum().backward()
    found = {name: parameter.grad for name, parameter in module.named_parameters()}
    return found | {"spikes": [s.detach() for s in out.spikes]}


class TestGradients:
    @pytest.mark.parametrize("detach_reset", [False, True])
    @pytest.mark.parametrize("rule", NAMES)
    def test_each_weight_and_parameter_has_one(self, rule, detach_reset):
        found = gradients(Case.of(rule), False, detach_reset)
        del found["spikes"]
        trained = [n for n, p in ds.load_model(rule).parameters.items() if p.trainable]
        assert {f"layers.1.parameters_.{name}" for name in trained} <= found.keys()
        for name, gradient in found.items():
            assert torch.isfinite(gradient).all(), name
            assert gradient.abs().max() > 1e-6, name

    @pytest.mark.parametrize("rule", NAMES)
    def test_one_value_a_neuron_where_the_rule_has_it(self, rule):
        """One value per neuron for all except PLIF and LM-H (one per layer) and CLIF (none)."""
        parameters = ds.load_model(rule).parameters.values()
        shapes = {p.shape for p in parameters if p.trainable}
        published = {
            "plif": {"layer"}, "lm_h": {"layer"}, "clif": set(), "lif_hard_reset": set(),
        }  # fmt: skip
        assert shapes == published.get(rule, {"neuron"})


class TestFiles:
    def test_radlif_is_adlif_with_recurrent_connections(self):
        adlif, radlif = ds.load_model("adlif"), ds.load_model("radlif")
        assert adlif.text == radlif.text
        assert adlif.hash == radlif.hash
        assert (adlif.recurrent, radlif.recurrent) == (False, True)
        with pytest.raises(DendrosimError, match="adlif: this model has no recurrent connections"):
            ds.Layer("adlif", 2, 3, recurrent=True)


def one(model, current, parameters=None, record=(), **ports):
    """Run a neuron on a given current and return its spikes and recorded variables, shape (T,).

    If parameters are arrays, there is one neuron per value, and the shape is (T, n).
    """
    model = ds.load_model(model) if isinstance(model, str) else model
    n = max(np.size(value) for value in (0, *(parameters or {}).values()))
    weights = {model.ports[0]: np.ones((n, 1))}
    bias = {port: np.full(n, value) for port, value in ports.items()}
    layer = ds.Layer(model, 1, n, False, weights, None, bias, parameters)
    x = np.reshape(np.asarray(current, dtype=float), (1, -1, 1))
    out = run(ds.Network([layer]), x, record={0: tuple(record)})
    found = out.spikes[0][0], *(out.states[0][name][0] for name in record)
    return [values[:, 0] if n == 1 else values for values in found]


NOISE = np.random.default_rng(10).normal(0.3, 0.8, 400)


class TestKnownValues:
    @given(st.floats(1.01, 100))
    def test_plif_learns_the_time_constant(self, tau):
        model = ds.load_model("plif").with_(parameters={"w": -np.log(tau - 1)})
        assert float(model.values()["k"]) == pytest.approx(1 / tau)
        assert float(ds.load_model("plif").values()["k"]) == 0.5  # tau_0 = 2

    def test_plif_starts_anew_after_a_spike(self):
        fired, h, v = one("plif", 4 * NOISE, {"w": -1.4, "V_r": -0.3}, ("H", "V"))
        assert 0.02 < fired.mean() < 0.6
        assert np.array_equal(fired, h >= 1)
        assert np.array_equal(v, np.where(fired, -0.3, h))

    def test_glif_with_gates_at_their_ends_is_lif(self):
        ends = {"c_alpha": 40, "c_beta": -40, "c_gamma": -40, "c_tau": np.log(4), "c_re": 0.0}
        lif = ds.load_model("lif").with_(parameters={"beta": 0.8, "V_th": 0.5})
        fired, u = one("glif", NOISE, ends, ("U",))
        expected, potential = one(lif, NOISE, None, ("U",))
        assert 0.02 < fired.mean() < 0.6
        assert np.array_equal(fired, expected)
        np.testing.assert_allclose(u, potential, rtol=0, atol=1e-12)

    def test_glif_with_gates_at_their_other_ends(self):
        """Linear leak, scaled input, hard reset."""
        ends = {"c_alpha": -40, "c_beta": 40, "c_gamma": 40, "c_leak": np.log(1 / 9), "c_g": 0.0}
        fired, u = one("glif", [0.8, 0.4, 0.2, 0.6, 0.4], ends, ("U",))
        np.testing.assert_allclose(u, [0.3, 0.4, 0.4, 0.6, 0.1], rtol=0, atol=1e-12)
        assert fired.tolist() == [False, False, False, True, False]  # the 0.6 is lost at the reset

    @given(*[st.floats(-5, 5)] * 4)
    def test_adlif_keeps_its_parameters_in_the_published_ranges(self, c_alpha, c_beta, c_a, c_b):
        raw = {"c_alpha": c_alpha, "c_beta": c_beta, "c_a": c_a, "c_b": c_b}
        values = ds.load_model("radlif").with_(parameters=raw).values()
        ranges = {  # time constants of 5 to 25 and of 30 to 120 steps
            "alpha": (0.8187307530779818, 0.9607894391523232),
            "beta": (0.9672161004820059, 0.9917012926388759), "a": (-1, 1), "b": (0, 2),
        }  # fmt: skip
        for name, (low, high) in ranges.items():
            assert float(values[name]) == pytest.approx(
                min(max(raw[f"c_{name}"], low), high), 1e-15
            )

    def test_adlif_adapts(self):
        """Intervals at constant input grow; without b, w is 0 and they stay constant."""
        fired, w = one("adlif", np.full(300, 9.0), {"c_b": np.array([0, 0.5])}, ("w",))
        plain, adapted = (np.diff(np.flatnonzero(spikes)) for spikes in fired.T)
        assert np.ptp(plain[1:]) <= 1
        assert adapted[-5:].mean() > 2 * adapted[:5].mean()
        assert not w[:, 0].any()
        assert (w[:, 1] >= 0).all()
        assert w[-1, 1] > 1

    def test_clif_resets_by_more_than_the_threshold(self):
        fired, h, u = one("clif", 3 * NOISE, None, ("H", "U"))
        depth = (h - u)[fired]
        assert 0.02 < fired.mean() < 0.6
        assert (h - u)[~fired].max() == 0
        assert depth.min() >= 1 + 1 / (1 + np.exp(-1)) - 1e-12  # m is 1 after the first spike
        assert depth.max() < 2
        assert depth.std() > 0.01  # it depends on the history

    def test_clif_that_does_not_fire_is_lif(self):
        lif = ds.load_model("lif").with_(parameters={"beta": 0.75, "V_th": 1e3})
        u = one("clif", NOISE, {"tau": 4, "V_th": 1e3}, ("U",))[1]
        np.testing.assert_array_equal(u, one(lif, NOISE, None, ("U",))[1])

    def test_branches_of_equal_timing_are_one_branch(self):
        (drawn, _) = Case.of("dh_lif").drawn
        equal = drawn.parameters | {f"c_{k}": drawn.parameters["c_1"] for k in (2, 3, 4)}
        several = layer_of(drawn._replace(parameters=equal))
        alone = several.with_(**{
            label: {"I_1": sum(getattr(several, label).values())}
            for label in ("input_weights", "recurrent_weights", "bias")
        })  # fmt: skip
        outs = [run(ds.Network([layer]), Case.of("dh_lif").x) for layer in (several, alone)]
        assert 0.02 < outs[0].spikes[0].mean() < 0.6
        assert np.array_equal(outs[0].spikes[0], outs[1].spikes[0])

    def test_lm_h_as_it_starts_is_a_pure_integrator(self):
        lif = ds.load_model("lif").with_(parameters={"beta": 1}, initial={"U": 0.5})
        fired, charge = one("lm_h", NOISE, None, ("H",))
        expected, potential = one(lif, NOISE, None, ("U",))
        assert 0.02 < fired.mean() < 0.6
        assert np.array_equal(fired, expected)
        np.testing.assert_allclose(charge, potential, rtol=0, atol=1e-12)

    @pytest.mark.parametrize("threshold", [0.5, 1.6])
    def test_lm_h_starts_at_half_of_its_threshold(self, threshold, tmp_path):
        layer = ds.Layer("lm_h", 1, 3, input_weights={"I": np.full((3, 1), 0.3)},
                         parameters={"V_th": threshold})  # fmt: skip
        network = ds.Network([layer])
        assert layer.initial()["U_S"] == threshold / 2
        x = np.random.default_rng(5).random((2, 40, 1))
        state, expected = np.full((2, 3), threshold / 2), []
        dendrite = np.zeros((2, 3))  # raw values of 0: couplings 0 and 1, decays 0 and 1
        for t in range(40):
            dendrite = 0.0 * dendrite + 0.3 * x[:, t]
            charge = state + dendrite
            expected.append(charge >= threshold)
            state = charge - threshold * expected[-1]
        network.save(tmp_path / "net.safetensors")
        for other in (network, ds.load_network(tmp_path / "net.safetensors")):
            out = ds.run_network(other, x, device="numpy", progress=False)
            assert np.array_equal(out.spikes[0], np.stack(expected, 1))
            assert ds.verify(other, x, ("torch", "numpy"), progress=False).equal

    def test_a_start_follows_parameters_that_training_leaves_alone(self):
        model = ds.load_model("lm_h")
        each = model.with_(parameters={"V_th": [0.2, 0.4]}).initial["U_S"]
        assert np.array_equal(each, [0.1, 0.2])
        assert model.with_(initial={"U_S": 0.3}).with_(parameters={"V_th": 9}).initial["U_S"] == 0.3
        module = TorchNetwork(ds.Network.random([ds.Layer("lm_h", 1, 2)]), dtype=torch.float64)
        module.layers[0].value_V_th.fill_(0.3)  # as for an annealed parameter
        assert float(module.layers[0].initial((1, 2), torch.zeros(1).double())["U_S"][0, 0]) == 0.15
        with pytest.raises(DendrosimError, match=r"initial.U_S.*a_1 changes in training"):
            model.with_(initial={"U_S": "0.5 + a_1"})
        with pytest.raises(DendrosimError, match=r"initial.U_S: 'H'.*not known"):
            model.with_(initial={"U_S": "V_th*H"})

    @given(st.floats(0.5, 99))
    def test_brf_on_the_divergence_boundary_neither_grows_nor_decays(self, omega):
        p = float(ds.load_model("brf").with_(parameters={"omega": omega}).values()["p"])
        assert abs(1 + 0.01 * complex(p, omega)) == pytest.approx(1, rel=1e-12)
        assert p <= 0

    def test_brf_rings_as_long_as_the_boundary_says(self):
        omega = np.repeat([5.0, 50.0, 95.0], 3)
        b_c = np.tile([0.0, 0.5, -0.5], 3)  # its sign has no effect
        kick = np.eye(1, 400)[0] * 100  # z = 1 after the first step
        _, u, v = one("brf", kick, {"omega": omega, "b_c": b_c, "theta": 10}, ("U", "V"))
        boundary = (np.sqrt(1 - (0.01 * omega) ** 2) - 1) / 0.01
        factor = np.abs(1 + 0.01 * (boundary - np.abs(b_c) + 1j * omega))
        np.testing.assert_allclose(factor[::3], 1, rtol=1e-12)
        assert (factor[b_c != 0] < 1).all()
        size = factor ** np.arange(400)[:, None]
        np.testing.assert_allclose(np.hypot(u, v), size, rtol=1e-9)
        assert (u.min(axis=0) < -0.03).all()  # it oscillates

    def test_brf_after_a_spike(self):
        """No reset: the threshold increases by 1 and then decays by a tenth per step."""
        values = {"omega": 5.0, "b_c": 0.1}
        fired, u, q = one("brf", np.eye(1, 60)[0] * 150, values, ("U", "q"))
        assert np.flatnonzero(fired).tolist() == [0]
        assert u[1] > 1  # above the resting threshold, below the raised one
        np.testing.assert_allclose(q, 0.9 ** np.arange(60), rtol=1e-12)

    def test_the_gate_of_spikgru(self):
        """A closed gate holds the potential; with an open gate it equals the current."""
        values = {"c_alpha": np.full(2, 0.5)}
        fired, u, current = one("spikgru", NOISE, values, ("U", "I_syn"), Z=[40.0, -40.0])
        assert np.abs(u[:, 0]).max() < 1e-13
        assert 0.02 < fired[:, 1].mean() < 0.6
        before = np.concatenate([[0], fired[:-1, 1]])
        np.testing.assert_allclose(u[:, 1], current[:, 1] - before, rtol=0, atol=1e-12)

    @pytest.mark.parametrize(("c_alpha", "alpha"), [(-1, 0), (0.3, 0.3), (2, 1)])
    def test_the_current_of_spikgru_neither_grows_nor_swings(self, c_alpha, alpha):
        values = ds.load_model("spikgru").with_(parameters={"c_alpha": c_alpha}).values()
        assert float(values["alpha"]) == alpha


COPY = """
title = "A variable that another was set to goes on changing"
kind = "discrete"
inputs = ["I"]
output = "S"
update = '''
before = U
same = 1*U + 0
U = U + I
S = int(U > before)
'''
"""


@pytest.mark.parametrize("device", ["numpy", pytest.param("cpp", marks=pytest.mark.slow)])
def test_a_copy_of_a_variable_stays_as_it_was(device, tmp_path):
    """Brian2's numpy code must not add in place to the array of a copied variable.

    The resonator showed this error: both of its variables use the previous value of the other.
    """
    path = tmp_path / "copy.toml"
    path.write_text(COPY)
    network = ds.Network([ds.Layer(path, 1, 3, input_weights={"I": [[1.0], [2.0], [-1.0]]})])
    record = {0: ("before", "same", "U")}
    out = ds.run_network(network, np.ones((2, 5, 1)), device=device, record=record, progress=False)
    after = np.outer(np.arange(1, 6), [1, 2, -1])
    states = out.states[0]
    for sample in range(2):
        assert np.array_equal(states["U"][sample], after)
        assert np.array_equal(states["before"][sample], after - [1, 2, -1])
        assert np.array_equal(states["same"][sample], after - [1, 2, -1])
        assert np.array_equal(out.spikes[0][sample], after > after - [1, 2, -1])
