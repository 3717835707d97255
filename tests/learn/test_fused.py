"""Fused kernels: agreement with autograd, which evaluates the same text step by step."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from eager_and_fused import N_IN, N, agree, both, network, sample

import dendrosim as ds
from dendrosim.devices import program_cache
from dendrosim.errors import DendrosimError
from dendrosim.learn import SURROGATES, TorchNetwork
from dendrosim.learn.kernels import cpp, cpp_library

torch.set_num_threads(1)

RULES = ("lif", "alif", "two_compartment", "lstm_lif", "lstm_lif_code", "lrmm", "lrmm_alif")


class TestAgreement:
    """Spikes are equal, gradients equal to rounding."""

    @pytest.mark.parametrize("rule", RULES)
    def test_in_double_precision(self, rule):
        agree(both(network(rule), sample(), dtype=torch.float64, train_all=True), 1e-12)

    @pytest.mark.parametrize("rule", ["lstm_lif", "lrmm_alif"])
    def test_in_single_precision(self, rule):
        """Errors relative to double precision; the fused sums, in double, have no larger ones."""
        net, x = network(rule), sample()
        (eager, by_eager), (fused, by_fused) = both(net, x, dtype=torch.float32)
        (exact, by_exact), _ = both(net, x, dtype=torch.float64)
        for a, b, c in zip(eager.spikes, fused.spikes, exact.spikes, strict=True):
            assert torch.equal(a, b)
            assert torch.equal(b.double(), c)  # or the errors below are not from rounding
        for name, gradient in by_exact.items():
            if gradient is None or not gradient.any():
                continue
            scale = gradient.abs().max()
            errors = [(by[name] - gradient).abs().max() / scale for by in (by_eager, by_fused)]
            assert errors[1] <= max(1e-6, 1.5 * errors[0]), (name, errors)

    def test_without_recurrent_weights(self):
        agree(both(network("lstm_lif", recurrent=False), sample(), dtype=torch.float64), 1e-12)

    @pytest.mark.parametrize("surrogate", SURROGATES)
    def test_every_surrogate(self, surrogate):
        net = network("lif")
        agree(both(net, sample(), dtype=torch.float64, surrogate=surrogate, width=0.7), 1e-12)

    def test_a_reset_without_gradient(self):
        net, x = network("lstm_lif"), sample()
        cut = both(net, x, dtype=torch.float64, detach_reset=True)
        agree(cut, 1e-12)
        through = both(net, x, dtype=torch.float64)
        assert not torch.allclose(cut[1][1]["x"], through[1][1]["x"])

    def test_threads_share_the_neurons(self):
        """One and two threads give bit-identical numbers."""
        net = network("lstm_lif", recurrent=False)
        x = sample(samples=16, steps=60)  # large enough for a second thread
        assert x.shape[0] * x.shape[1] * N > cpp.WORTHWHILE
        found = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            try:
                module = TorchNetwork(net, dtype=torch.float64)
                out = module.layers[0](torch.tensor(x))[0]
                out.cumsum(1).sum().backward()
            finally:
                torch.set_num_threads(1)
            found.append((out.detach(), module.layers[0].parameters_["c_1"].grad))
        assert torch.equal(found[0][0], found[1][0])
        assert torch.equal(found[0][1], found[1][1])
        assert found[0][1].all()


#: Every operation of the language, with a nonzero derivative and away from edges.
OPERATIONS = [
    "exp(z)", "log(1 + z*z)", "log10(2 + z*z)", "sqrt(1 + z*z)", "sin(z)", "cos(z)", "tan(0.3*z)",
    "sinh(z)", "cosh(z)", "tanh(z)", "arcsin(0.2*tanh(z))", "arccos(0.2*tanh(z))", "arctan(z)",
    "abs(z)", "exprel(z)", "clip(z, -0.5, 0.7)", "clip(z, -k, k*k)", "sigmoid(z)", "z**2",
    "(1 + z*z)**k", "z**3", "z % 0.7", "z/(2 + k)", "k/(2 + z*z)", "-z*k", "+z - k", "floor(z)*k",
    "ceil(z)*z", "sign(z)*z*z", "z*int(z > 0.2 and not (z > 1.5))", "z*int(z < 0 or z >= 1)",
    "z*int(z == 0.25) + k*int(z != 0.25)", "exp(-1/20)*z + 1/3",
]  # fmt: skip


def written(folder, update, parameters="k = { value = '0.8', trainable = true }"):
    path = folder / "mine.toml"
    path.write_text(
        'title = "mine"\nkind = "discrete"\ninputs = ["I"]\noutput = "S"\n'
        f'update = """\n{update}\n"""\n[parameters]\n{parameters}\n'
    )
    return ds.load_model(path)


class TestOperations:
    """Derivatives of the whole language compared with torch's own."""

    def test_all_operations_in_one_text(self, tmp_path):
        lines = ["z = 0.3*U + I"]
        lines += [f"f{k} = {text}" for k, text in enumerate(OPERATIONS)]
        total = " + ".join(f"{0.1 + 0.01 * k:.2f}*f{k}" for k in range(len(OPERATIONS)))
        lines += [f"U = 0.2*tanh({total}) + 0.5*z - 0.3*S", "S = int(U > 0.1)"]
        model = written(tmp_path, "\n".join(lines))
        rng = np.random.default_rng(1)
        layer = ds.Layer(model, N_IN, N, True, {"I": rng.normal(size=(N, N_IN)) * 0.3},
                         {"I": rng.normal(size=(N, N)) * 0.1})  # fmt: skip
        net = ds.Network([layer], rng.normal(size=(2, N)))
        (eager, by_eager), (fused, by_fused) = both(net, sample(), dtype=torch.float64)
        assert torch.equal(eager.spikes[0], fused.spikes[0])
        for name, gradient in by_eager.items():
            scale = gradient.abs().max()
            assert scale > 0
            assert (by_fused[name] - gradient).abs().max() <= 1e-10 * scale, name

    @pytest.mark.parametrize("text", OPERATIONS)
    def test_each_operation_alone(self, tmp_path, text):
        """The table of slopes, by symbol: each contribution is tested separately."""
        from dendrosim.learn.kernels.adjoint import Tape
        from dendrosim.learn.step.functions import with_sigmoid
        from dendrosim.model.expressions import Statement, parse_number

        statement = Statement("f", with_sigmoid(parse_number(text)))
        tape = Tape(frozenset("zk"), SURROGATES["triangle"].expression, 1.0)
        tape.read("zk")
        tape.add([statement])
        lines = tape.forward + tape.backward({"f": "1"})
        for z in (-1.3, -0.41, 0.06, 0.63, 2.2):
            values = {"z": torch.tensor(z, dtype=torch.float64, requires_grad=True),
                      "k": torch.tensor(0.8, dtype=torch.float64, requires_grad=True)}  # fmt: skip
            from dendrosim.learn.step.functions import torch_functions

            value = statement.expression(values, torch_functions(torch.float64))
            expected = torch.autograd.grad(value, list(values.values()), allow_unused=True)
            found = interpreted(lines, {"in_z": z, "in_k": 0.8})
            for name, slope in zip("zk", expected, strict=True):
                wanted = 0.0 if slope is None else slope.item()
                assert found[f"d_in_{name}"] == pytest.approx(wanted, rel=1e-9, abs=1e-12)

    def test_at_the_edges_of_a_clip_each_side_has_half(self, tmp_path):
        model = written(tmp_path, "U = clip(I, -k, k)\nS = int(U > 0.5)")
        layer = ds.Layer(model, 1, 1, input_weights={"I": [[1.0]]})
        net = ds.Network([layer], [[1.0]])
        x = np.array([0.8, -0.8, 0.79]).reshape(1, 3, 1)
        (_, by_eager), (_, by_fused) = both(net, x, dtype=torch.float64)
        assert torch.equal(by_eager["x"], by_fused["x"])


def interpreted(lines, names):
    """Run straight-line C++ in Python: declarations become assignments of arithmetic."""
    import math

    scope = {
        "T": float, "sign": lambda x: float(np.sign(x)),
        "logistic": lambda x: 1 / (1 + math.exp(-x)),
        "floored": lambda a, b: a - b * math.floor(a / b), "raised": max, "lowered": min,
        "exprel": lambda x: math.expm1(x) / x,
        "exprel_slope": lambda x, value: (math.exp(x) - value) / x, **names,
    }  # fmt: skip
    renamed = {"math::fabs": "abs", "math::": "math.", "!(": " not (", "&": " and ", "|": " or "}
    scope["math"] = math
    for line in lines:
        code = line.removeprefix("const ").removeprefix("T ").rstrip(";")
        for old, new in renamed.items():
            code = code.replace(old, new)
        exec(code, scope)
    return scope


class TestWhere:
    """When the kernels are used, and the messages when they cannot be used."""

    def test_states_that_are_carried_can_be_recorded(self):
        net, x = network("lstm_lif"), torch.tensor(sample())
        with torch.no_grad():
            found = [
                TorchNetwork(net, dtype=torch.float64, fused=fused)(x, {0: ("U_S", "U_D")})
                for fused in (False, True)
            ]
        for name, values in found[0].states[0].items():
            # the last digit of a matrix product may differ because its rows are in another order
            torch.testing.assert_close(values, found[1].states[0][name], rtol=1e-13, atol=1e-13)
        assert set(found[0].states[0]) == {"U_S", "U_D"}

    def test_without_a_compiler_autograd_does_it(self, monkeypatch):
        monkeypatch.setenv("CXX", "no-such-compiler")
        net = network("lif")
        out = TorchNetwork(net, dtype=torch.float64)(torch.tensor(sample()))
        expected = TorchNetwork(net, dtype=torch.float64, fused=False)(torch.tensor(sample()))
        assert torch.equal(out.spikes[1], expected.spikes[1])

    def test_what_the_compiler_says_is_passed_on(self, monkeypatch, tmp_path):
        monkeypatch.setenv("DENDROSIM_CACHE", str(tmp_path))
        with pytest.raises(DendrosimError, match="the fused kernel does not compile"):
            cpp_library.load("int main( {")
        assert [path.name for path in tmp_path.iterdir()] == ["locks"]

    def test_a_cache_that_cannot_be_written(self, monkeypatch, tmp_path):
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("DENDROSIM_CACHE", str(tmp_path / "file"))
        with pytest.raises(DendrosimError, match=re.escape("set DENDROSIM_CACHE")):
            program_cache.scratch_folder("a")

    def test_nothing_is_compiled_twice(self, monkeypatch):
        net, x = network("lif"), torch.tensor(sample())
        TorchNetwork(net, dtype=torch.float64)(x)
        monkeypatch.setattr(cpp_library, "_compile", lambda *_: pytest.fail("compiled again"))
        other = network("lif")
        TorchNetwork(other, dtype=torch.float64)(x[:2, :7])
