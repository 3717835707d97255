"""Gradients of the torch step: hand-derived BPTT, finite differences, surrogates in closed form."""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from reference import bptt, circuits, discrete
from scipy.integrate import quad
from scipy.stats import norm

import dendrosim as ds
from dendrosim import shelves
from dendrosim.errors import DendrosimError
from dendrosim.learn import SURROGATES, ContinuousStep, DiscreteStep, TorchNetwork
from dendrosim.learn.step.surrogates import spike_functions
from dendrosim.model import checks

torch.set_num_threads(1)  # the tensors are small

B, T, N_IN, N, N_OUT = 4, 30, 5, 12, 3
PAPER = {"lstm_lif": "triangle", "lrmm": "boxcar"}


class Case:
    """Two recurrent layers and a readout, in torch and derived by hand.

    The loss is a random sum of the readout in every step and of all spikes of both layers.
    """

    def __init__(self, rule, detach_reset=False, **parameters):
        drawn = circuits.draw([rule, rule], N_IN, N, seed=11)
        self.drawn = [
            layer._replace(parameters=layer.parameters | parameters) for layer in drawn
        ]  # fmt: skip
        rng = np.random.default_rng(12)
        self.x = rng.normal(size=(B, T, N_IN))
        self.readout = rng.normal(size=(N_OUT, N))
        self.by_readout = rng.normal(size=(B, T, N_OUT))
        self.by_spikes = [rng.normal(size=(B, T, N)) for _ in range(2)]
        layers = [
            ds.Layer(rule, n_in, N, True, *layer[2:], layer.parameters)
            for layer, n_in in zip(self.drawn, (N_IN, N), strict=True)
        ]
        self.network = TorchNetwork(
            ds.Network(layers, self.readout), PAPER[rule], detach_reset=detach_reset,
            dtype=torch.float64,
        )  # fmt: skip
        self.through_reset = not detach_reset

    def in_torch(self):
        """Return the gradients of the loss in torch: for x, and a dict per layer."""
        x = torch.tensor(self.x, requires_grad=True)
        for layer in self.network.layers:
            for buffer in layer.buffers():  # untrained values have a gradient too
                buffer.requires_grad_()
        out = self.network(x)
        loss = (out.readout * torch.tensor(self.by_readout)).sum()
        for spikes, by_spikes in zip(out.spikes, self.by_spikes, strict=True):
            loss = loss + (spikes * torch.tensor(by_spikes)).sum()
        loss.backward()
        gradients = []
        for layer in self.network.layers:
            ports = layer.layer.model.ports
            found = {}
            for label, table in (("w_in", layer.input_weights), ("w_rec", layer.recurrent_weights),
                                 ("bias", layer.bias)):  # fmt: skip
                for port in ports:
                    found[label if len(ports) == 1 else (label, port)] = table[port].grad
            found |= {name: p.grad for name, p in layer.parameters_.items()}
            found |= {k.removeprefix("value_"): b.grad for k, b in layer.named_buffers()}
            gradients.append({name: value.numpy() for name, value in found.items()})
        return x.grad.numpy(), gradients

    def by_hand(self):
        """Return the same from the reference, the upper layer first."""
        forward = circuits.run(self.drawn, self.x).layers
        below = [self.x, forward[0].spikes.astype(float)]
        g_s = self.by_readout @ self.readout + self.by_spikes[1]
        gradients = [None, None]
        for k in (1, 0):
            layer = self.drawn[k]
            keywords = circuits.keywords(layer)
            if layer.rule == "lstm_lif":
                keywords.pop("bias")
            gradients[k] = getattr(bptt, layer.rule)(
                forward[k], below[k], g_s, **keywords, through_reset=self.through_reset
            )
            g_x = gradients[k].pop("x")
            g_s = g_x + self.by_spikes[0] if k else None
        return g_x, gradients

    def check(self):
        g_x, mine = self.in_torch()
        expected_x, theirs = self.by_hand()
        close(g_x, expected_x)
        for found, expected in zip(mine, theirs, strict=True):
            assert expected.keys() <= found.keys()
            for name, value in expected.items():
                assert np.abs(value).max() > 1e-6, name  # no value is trivially correct
                close(found[name], value)
        return mine


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())


class TestByHand:
    @pytest.mark.parametrize("detach_reset", [False, True])
    def test_lstm_lif(self, detach_reset):
        gradients = Case("lstm_lif", detach_reset).check()
        assert gradients[0].keys() == {"w_in", "w_rec", "bias", "c_1", "c_2", "gamma", "V_th"}

    @pytest.mark.parametrize("detach_reset", [False, True])
    @pytest.mark.parametrize("m", [0.0, 0.4, 1.0])
    def test_lrmm(self, m, detach_reset):
        gradients = Case("lrmm", detach_reset, m=np.full(N, m)).check()
        named = {name for name in gradients[0] if isinstance(name, str)}
        synapses = {"w_I", "w_CM", "w_F", "w_IC", "w_MC", "w_CO", "w_O"}
        assert named >= synapses | {f"alpha_{cell}" for cell in discrete.CELLS}

    @pytest.mark.parametrize("rule", ["lstm_lif", "lrmm"])
    def test_the_reset_carries_gradient_unless_it_is_detached(self, rule):
        through, cut = (Case(rule, detach).in_torch()[0] for detach in (False, True))
        assert np.abs(through - cut).max() > 0.1 * np.abs(through).max()

    def test_a_shared_parameter_sums_over_the_neurons(self):
        shared = Case("lstm_lif", c_1=0.3, c_2=-0.2).in_torch()[1]
        each = Case("lstm_lif", c_1=np.full(N, 0.3), c_2=np.full(N, -0.2)).in_torch()[1]
        for one, many in zip(shared, each, strict=True):
            for name in ("c_1", "c_2"):
                assert one[name].shape == ()
                close(one[name], many[name].sum())

    def test_the_steps_of_a_long_sequence_are_all_in_the_gradient(self):
        """Without leak and spikes, the first input acts on the last potential as in eqs 9-10."""
        model = ds.load_model("lstm_lif").with_(parameters={"V_th": 1e9})
        network = ds.Network([ds.Layer(model, 1, 1, input_weights={"I": [[1.0]]})])
        x = torch.zeros(1, 200, 1, dtype=torch.float64, requires_grad=True)
        out = TorchNetwork(network, dtype=torch.float64)(x, record={0: ("U_S",)})
        (gradient,) = torch.autograd.grad(out.states[0]["U_S"][0, -1, 0], x)
        step = np.array([[1, -0.5], [0.5, 0.75]])  # of (U_D, U_S), REFERENCE 3b
        expected, vector = [], np.array([1.0, 0.5])  # an input of the same step
        for _ in range(200):
            expected.append(vector[1])
            vector = step @ vector
        np.testing.assert_allclose(gradient[0, :, 0].numpy()[::-1], expected, rtol=0, atol=1e-12)


SMOOTH = "sigmoid(4*({0} - {1}))"


def smoothed(name, folder):
    """Write an included model with every ``int(a > b)`` replaced by a smooth function of a - b."""
    text = shelves.find(name, "models").read_text()
    text, count = re.subn(r"int\((\w+) >=? (\w+)\)", lambda m: SMOOTH.format(*m.groups()), text)
    assert count
    (folder / f"{name}.toml").write_text(text)


@pytest.fixture(scope="module")
def smooth(tmp_path_factory):
    """Return a folder of the smooth models, whose outputs need not be 0 or 1."""
    folder = tmp_path_factory.mktemp("smooth")
    for name in circuits.RULES:
        smoothed(name, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checks, "_is_spike", lambda _: True)
        yield folder


class TestFiniteDifferences:
    """Smooth models: gradient along a random direction of all weights, parameters and x."""

    @settings(max_examples=25, deadline=None)
    @given(
        st.sampled_from(circuits.RULES), st.integers(0, 2**32 - 1), st.integers(1, 12),
        st.booleans(),
    )  # fmt: skip
    @example("lrmm_alif", 663, 5, False)  # a neuron at a limit of `clip`
    def test_directional_derivative(self, smooth, rule, seed, steps, recurrent):
        model = ds.load_model(smooth / f"{rule}.toml")
        layers = [
            ds.Layer(model, n_in, 4, recurrent, layer.w_in, layer.w_rec if recurrent else None,
                     layer.bias, layer.parameters)
            for n_in, layer in zip((3, 4), circuits.draw([rule] * 2, 3, 4, seed), strict=True)
        ]  # fmt: skip
        rng = np.random.default_rng(seed)
        network = TorchNetwork(ds.Network(layers, rng.normal(size=(2, 4))), dtype=torch.float64)
        x = torch.tensor(rng.normal(size=(2, steps, 3)), requires_grad=True)
        goal = torch.tensor(rng.normal(size=(2, steps, 2)))
        buffers = [b.requires_grad_() for b in network.buffers()]
        variables = [x, *network.parameters(), *buffers]
        directions = [torch.tensor(rng.normal(size=v.shape)) for v in variables]

        def loss():
            return ((network(x).readout - goal) ** 2).sum()

        gradients = torch.autograd.grad(loss(), variables, materialize_grads=True)
        slope = sum((g * d).sum() for g, d in zip(gradients, directions, strict=True)).item()
        sides, h = [], 1e-5
        centre = loss().item()
        with torch.no_grad():
            for move in (h, -2 * h):  # from the centre to one side, then to the other
                for v, d in zip(variables, directions, strict=True):
                    v += move * d
                sides.append(loss().item())
        found = (sides[0] - sides[1]) / (2 * h)
        size = sum((g * d).abs().sum() for g, d in zip(gradients, directions, strict=True)).item()
        # where a limit of `clip` lies between the two sides, the slopes differ and none is right
        forward, backward = (sides[0] - centre) / h, (centre - sides[1]) / h
        assume(abs(forward - backward) <= 1e-4 * size)
        assert found == pytest.approx(slope, rel=1e-5, abs=1e-6 * size)


class TestSurrogates:
    #: Name: closed form for a width, its default width, height at 0 and integral.
    FORMS = {  # noqa: RUF012 (a table)
        "triangle": (lambda x, w: max(0, 1 - abs(x) / w), 1.0, lambda w: 1, lambda w: w),
        "boxcar": (lambda x, w: float(abs(x) <= w / 2), 1.0, lambda w: 1, lambda w: w),
        "arctan": (
            lambda x, w: 0.5 * w / (1 + (np.pi * w * x / 2) ** 2), 2.0,
            lambda w: w / 2, lambda w: 1,
        ),
        "sigmoid": (
            lambda x, w: 1 / (4 * w * np.cosh(x / (2 * w)) ** 2), 0.25,
            lambda w: 1 / (4 * w), lambda w: 1,
        ),
        "multi_gaussian": (
            lambda x, w: 0.5 * (1.15 * norm.pdf(x, 0, w) - 0.15 * norm.pdf(x, w, 6 * w)
                                - 0.15 * norm.pdf(x, -w, 6 * w)),
            0.5,
            lambda w: 0.5 * (1.15 - 0.05 * np.exp(-1 / 72)) / (w * np.sqrt(2 * np.pi)),
            lambda w: 0.425,
        ),
    }  # fmt: skip

    def test_the_table_is_complete(self):
        assert self.FORMS.keys() == SURROGATES.keys()

    @pytest.mark.parametrize("name", SURROGATES)
    @given(st.floats(-3, 3), st.one_of(st.none(), st.floats(0.1, 3)))
    def test_slope_of_a_spike(self, name, x, width):
        closed, default, _, _ = self.FORMS[name]
        a = torch.tensor(x + 0.5, dtype=torch.float64, requires_grad=True)
        b = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
        spike = spike_functions(name, width)["spike_gt"](a, b)
        assert spike.item() == float(a.item() > 0.5)
        by_a, by_b = torch.autograd.grad(spike, (a, b))
        distance = a.item() - 0.5
        expected = closed(distance, default if width is None else width)
        assert by_a.item() == pytest.approx(expected, rel=1e-9, abs=1e-12)
        assert by_b.item() == -by_a.item()

    @pytest.mark.parametrize("name", SURROGATES)
    @given(st.one_of(st.none(), st.floats(0.2, 3)))
    def test_height_and_integral(self, name, width):
        closed, default, height, integral = self.FORMS[name]
        w = default if width is None else width
        assert closed(0.0, w) == pytest.approx(height(w))
        slope = SURROGATES[name] if width is None else lambda x: SURROGATES[name](x, width)
        edges = [0, w / 2, w, 6 * w, 40 * w]
        area = sum(
            quad(lambda x: slope(torch.tensor(x, dtype=torch.float64)).item(), low, high)[0]
            for low, high in pairwise(edges)
        )
        tail = 0.0 if name != "arctan" else 0.5 - np.arctan(np.pi * w * 40 * w / 2) / np.pi
        assert 2 * (area + tail) == pytest.approx(integral(w), rel=1e-6)

    @given(st.floats(allow_nan=False, width=32), st.floats(allow_nan=False, width=32))
    def test_forward_is_the_comparison_and_nothing_else(self, a, b):
        functions = spike_functions("triangle")
        sides = torch.tensor(a), torch.tensor(b)
        assert functions["spike_gt"](*sides).item() == float(a > b)
        assert functions["spike_ge"](*sides).item() == float(a >= b)

    @pytest.mark.parametrize("name", ["triangle", "boxcar"])
    @given(st.integers(2, 5), st.integers(1, 4))
    def test_gradients_of_sides_of_another_shape(self, name, n, samples):
        a = torch.full((samples, n), 0.25, requires_grad=True)
        threshold = torch.tensor(0.5, requires_grad=True)
        spike_functions(name)["spike_gt"](a, threshold).sum().backward()
        slope = SURROGATES[name](torch.tensor(-0.25)).item()
        assert a.grad.shape == (samples, n)
        assert threshold.grad.item() == pytest.approx(-n * samples * slope)

    def test_refusals(self):
        for name, width, fragment in (("gauss", None, "unknown surrogate 'gauss'"),
                                      ("boxcar", 0.0, "width = 0.0"), ("boxcar", -1.0, "width"),
                                      ("boxcar", float("nan"), "width")):  # fmt: skip
            with pytest.raises(DendrosimError, match=re.escape(fragment)):
                spike_functions(name, width)


def written(folder, update, parameters="", output="S"):
    """Return a discrete model with one port and the given update block."""
    path = folder / "mine.toml"
    path.write_text(
        f'title = "mine"\nkind = "discrete"\ninputs = ["I"]\noutput = "{output}"\n'
        f'update = """\n{update}\n"""\n[parameters]\n{parameters}\n'
    )
    return ds.load_model(path)


class TestText:
    """Special cases of the conversion from text to torch, in double and single precision."""

    @pytest.mark.parametrize(
        "update",
        [
            "U = exp(-1/20)*U + I - S\nS = int(U > 1)",
            "U = 0.9*U + I - S\nS = int(1 < U)",
            "U = 1/3*U + 2/3*I - 1/7*S\nS = 1 - int(1 >= U)",
            "U = 0.9*U + I - k*S\nS = int(U > 1 and U < 3)",
            "U = 0.9*U + I + k*int(U > 1 and U < 3) - S\nS = int(U > 1)",
            "U = abs(U)**0.5 + I - S\nS = int(not (U < 1))",
            "U = 0.9*U + I + clip(0.3, 0, 1) + int(k > 0.5) - S\nS = int(U > 1)",
            "U = U % 3 + I - S\nS = int(U > sqrt(2))",
            "c = 0.5\nU = 0.9*U + I*c + pi - 3*S\nS = int(U > 1)",
            "U = 0.5\nS = int(U > I)",
            "S = int(0.5 > 0.2)\nU = U + I",
            "U = 0.9*U + clip(I, -k, k) + floor(I)*sign(I)*exprel(I)\nS = int(U > 1)*int(I < 9)",
        ],
    )
    @pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
    def test_values_and_types(self, update, dtype, tmp_path):
        model = written(tmp_path, update, 'k = "0.7"')
        network = ds.Network.random([ds.Layer(model, 3, 4, recurrent=True)], n_out=2)
        x = 2 * np.random.default_rng(0).normal(size=(2, 30, 3))
        record = {0: model.states}
        expected = ds.run_network(network, x, device="numpy", record=record, progress=False)
        found = TorchNetwork(network, dtype=dtype)(torch.tensor(x), record=record)
        tolerance = 1e-13 if dtype == torch.float64 else 1e-5
        for name in model.states:
            value = found.states[0][name]
            assert value.dtype == dtype
            assert value.shape == (2, 30, 4)
            np.testing.assert_allclose(
                value.detach().numpy(), expected.states[0][name], rtol=tolerance, atol=tolerance
            )

    @pytest.mark.parametrize("m", [0.0, 0.5, 1.0])
    @pytest.mark.parametrize("current", [-1e4, -90.0, 0.0, 90.0, 1e4])
    def test_gradients_of_gates_far_from_0_are_finite(self, m, current):
        model = ds.load_model("lrmm").with_(parameters={"m": m})
        network = ds.Network.random([ds.Layer(model, 1, 3)], n_out=1)
        torched = TorchNetwork(network, "boxcar")
        x = torch.full((1, 5, 1), current, requires_grad=True)
        torched(x).readout.sum().backward()
        for gradient in (x.grad, *(p.grad for p in torched.parameters())):
            assert torch.isfinite(gradient).all()

    @pytest.mark.parametrize(
        ("reset", "cut"),
        [
            ("U = 0.5*U + I - S", True), ("U = 0.5*(U - V_th*S) + I", True),
            ("U = -V_th*S + I + 0.5*U", True), ("U = 0.5*U*(1 - S) + I", True),
            ("U = (1 - S)*(0.5*U + I) + S*V_th", True), ("U = 0.5*U + I + S*(-V_th)", True),
            ("U = 0.5*U + I - V_th*(2*S)", True), ("U = I - (-(-S)) + 0.5*U", True),
            ("U = 0.5*U + I + V_th*S", False), ("U = 0.5*U + I - V_th*(-S)", False),
        ],
    )  # fmt: skip
    def test_what_the_text_subtracts_is_the_reset(self, reset, cut, tmp_path):
        model = written(tmp_path, f"{reset}\nS = int(U > V_th)", 'V_th = "1"')
        states = {"U": torch.full((1,), 0.9), "S": torch.ones(1)}
        for detach in (False, True):
            state = {name: value.clone().requires_grad_() for name, value in states.items()}
            step = DiscreteStep(model, detach_reset=detach)
            after = step(state, {"I": torch.zeros(1)}, {"V_th": torch.tensor(1.0)})
            gradient = torch.autograd.grad(after["U"].sum(), state["S"], allow_unused=True)[0]
            assert (gradient is None) is (cut and detach)

    def test_a_reset_in_the_same_step_is_detached_too(self):
        model = ds.load_model("lstm_lif_code")
        values = {"beta_1": -0.5, "beta_2": 0.5, "gamma": 0.5, "V_th": torch.tensor(1.0)}
        slopes = []
        for detach in (False, True):
            current = torch.tensor([1.5], requires_grad=True)  # the soma reaches 0.75
            state = {"U_D": torch.zeros(1), "U_S": torch.zeros(1)}
            after = DiscreteStep(model, detach_reset=detach)(state, {"I": current}, values)
            slopes.append(torch.autograd.grad(after["U_S"].sum(), current)[0].item())
        assert slopes == [pytest.approx(0.5 - 0.75 * 0.5), pytest.approx(0.5)]

    def test_kinds_of_models_are_not_mixed_up(self):
        with pytest.raises(DendrosimError, match="use ContinuousStep"):
            DiscreteStep(ds.load_model("kepecs_wang_2000"))
        with pytest.raises(DendrosimError, match="use DiscreteStep"):
            ContinuousStep(ds.load_model("lif"))
