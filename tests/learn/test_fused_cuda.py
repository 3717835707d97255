"""The fused GPU kernels, run without a GPU: the threads of a block are threads of the host.

The source is exactly that for a GPU.  Agreement with autograd tests the arithmetic and the memory
layout.  The sanitizers test that no thread reads a value before another writes it, and that no
access is outside an array.  tests/cuda tests the compilation.
"""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from eager_and_fused import N_IN, N, agree, both, network, sample
from torch.utils._python_dispatch import TorchDispatchMode

import dendrosim as ds
from dendrosim.learn import SURROGATES
from dendrosim.learn.kernels import cuda, cuda_driver, fused
from dendrosim.learn.kernels.cuda import CudaKernel
from dendrosim.learn.kernels.cuda_source import members

HEADER = Path(__file__).with_name("threads_of_a_block.h")
FLAGS = ("-std=c++20", "-O1", "-w", "-pthread", "-ffp-contract=off")


def on_the_host(source: str) -> str:
    """Return the source as C++ for the host, with a function that launches a kernel by name."""
    launches = "".join(
        f'if (!strcmp(name, "{name}")) return run_blocks({name}, blocks, threads, *m);\n'
        for name in ("forward", "backward", "forward_samples", "backward_samples")
        if f" {name}(const Memory m)" in source
    )
    return (
        f'#include <string.h>\n#include "{HEADER}"\n'
        + source.replace("extern __shared__", "extern")
        + ("Four rows[1 << 12];\n" if "Four" in source else "")
        + 'extern "C" void launch(const char* name, long blocks, long threads, const Memory* m)\n'
        f"{{\n{launches}abort();\n}}\n"
    )


class HostProgram:
    """The equivalent of `cuda_driver.Program` on the host."""

    def __init__(self, source: str, folder: Path) -> None:
        self.launched = []
        (folder / "kernel.cpp").write_text(on_the_host(source))
        made = folder / "kernel.so"
        subprocess.run(
            ["g++", *FLAGS, "-shared", "-fPIC", "-o", made, folder / "kernel.cpp"], check=True
        )
        self._launch = ctypes.CDLL(str(made)).launch

    def launch(self, name, blocks, threads, shared, memory):
        assert shared <= 48 << 10  # the default limit for a block
        assert threads % 32 == 0
        self.launched.append(name)
        self._launch(
            name.encode(), ctypes.c_long(int(blocks)), ctypes.c_long(threads),
            ctypes.c_void_p(memory.ctypes.data),
        )  # fmt: skip


@pytest.fixture
def programs(monkeypatch, tmp_path):
    """Run layers on the GPU kernels; return the programs that they load."""
    made = {}

    def load(source, device):
        if source not in made:
            folder = tmp_path / str(len(made))
            folder.mkdir()
            made[source] = HostProgram(source, folder)
        return made[source]

    monkeypatch.setattr(fused, "kernel_type", lambda device: CudaKernel)
    monkeypatch.setattr(fused.spike_products, "is_sparse", lambda x: False)  # as on a GPU
    monkeypatch.setattr(cuda.cuda_driver, "load", load)
    return made


def launched(programs):
    return {name for program in programs.values() for name in program.launched}


class TestAgreement:
    """Spikes are equal, gradients equal to rounding."""

    @pytest.mark.parametrize("rule", ["lif", "alif", "lstm_lif", "lrmm", "lrmm_alif"])
    def test_in_double_precision(self, rule, programs):
        agree(both(network(rule), sample(), dtype=torch.float64, train_all=True), 1e-12)
        assert launched(programs) == {"forward_samples", "backward_samples"}

    def test_in_single_precision(self, programs):
        agree(both(network("lrmm"), sample(), dtype=torch.float32), 2e-5)

    def test_without_recurrent_weights(self, programs):
        net = network("lstm_lif", recurrent=False)
        agree(both(net, sample(), dtype=torch.float64, train_all=True), 1e-12)
        assert launched(programs) == {"forward", "backward"}

    def test_with_more_weights_than_a_block_should_read(self, programs, monkeypatch):
        monkeypatch.setattr(cuda, "RESIDENT", N * N - 1)
        agree(both(network("lstm_lif"), sample(), dtype=torch.float64, train_all=True), 1e-12)
        assert launched(programs) == {"forward", "backward"}
        # one launch per step, for both layers, forward and backward
        assert sum(len(program.launched) for program in programs.values()) == 40 * 2 * 2

    @pytest.mark.parametrize("n", [1, 32, 33, 70])
    def test_blocks_of_one_warp_and_of_several(self, n, programs):
        layer = ds.Layer("lstm_lif", N_IN, n, recurrent=True)
        net = ds.Network.random([layer], n_out=2, seed=n)
        x = 3 * sample(steps=15, samples=2)
        (eager, by_eager), (kernels, by_kernels) = both(net, x, dtype=torch.float64)
        assert torch.equal(eager.spikes[0], kernels.spikes[0])
        assert eager.spikes[0].any()
        for name, gradient in by_eager.items():
            torch.testing.assert_close(by_kernels[name], gradient, rtol=1e-11, atol=1e-11)

    @pytest.mark.parametrize("surrogate", SURROGATES)
    def test_every_surrogate(self, surrogate, programs):
        net = network("lif")
        agree(both(net, sample(), dtype=torch.float64, surrogate=surrogate, width=0.7), 1e-12)

    def test_without_gradients_the_states_of_one_step_are_enough(self, programs):
        from dendrosim.learn import TorchNetwork

        net, x = network("lstm_lif"), torch.tensor(sample())
        found = []
        for way in (False, True):
            with torch.no_grad():
                module = TorchNetwork(net, dtype=torch.float64, fused=way)
                found += [module(x), module(x, {0: ("U_S", "U_D"), 1: ("U_S",)})]
        assert launched(programs) == {"forward_samples"}
        for k in range(2):
            for out in found[1:]:
                assert torch.equal(out.spikes[k], found[0].spikes[k])
        for name in ("U_S", "U_D"):
            torch.testing.assert_close(found[1].states[0][name], found[3].states[0][name],
                                       rtol=1e-13, atol=1e-13)  # fmt: skip


class Counter(TorchDispatchMode):
    """Counts the torch operations."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += 1
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("recurrent", [True, False])
def test_a_gpu_is_asked_for_no_more_when_there_are_more_steps(recurrent, programs):
    """Launching a kernel takes longer than running it: 70,000 launches are a training step."""
    from dendrosim.learn import TorchNetwork

    module = TorchNetwork(network("lrmm", recurrent))
    counts = []
    for steps in (20, 40):
        x = torch.tensor(sample(steps=steps), dtype=torch.float32)
        with Counter() as counter:
            module(x).readout.square().sum().backward()
        counts.append(counter.count)
    assert counts[0] == counts[1] < 320
    launches = [name for program in programs.values() for name in program.launched]
    assert len(launches) == 2 * 2 * 2  # lengths, layers, directions


def test_without_a_compiler_torch_does_it_and_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    cuda_driver.available.cache_clear()
    with pytest.warns(UserWarning, match="pip install cuda-bindings"):
        assert fused.kernel_type("cuda") is None
    assert fused.kernel_type("cuda") is None  # warned only once
    cuda_driver.available.cache_clear()


#: A program that runs a recurrent layer forward and backward on arrays of exact size.
MAIN = """
#include <random>
int main()
{
    const long T_ = 5, B = 3, n = 37, P = %(ports)d, A = %(active)d;
    std::mt19937 draw(0);
    std::normal_distribution<double> normal(0.3, 1);
    std::vector<std::vector<double>> kept;
    auto array = [&](long size) {
        auto& one = kept.emplace_back(size);
        for (double& x : one) x = normal(draw);
        return one.data();
    };
    Memory m = {0, T_, B, n, B*n};
%(arrays)s
    launch("forward_samples", B, 64, &m);
    launch("backward_samples", B, 64, &m);
    double sum = 0;
    for (long k = 0; k < T_*B*n; k++) sum += m.spikes[k];
    return sum > 20 ? 0 : 1;
}
"""


def standing_alone(kernel: CudaKernel) -> str:
    code = kernel.code
    sizes = {"ports": "T_*B*P*n", "currents": "B*P*n", "weights": "P*n*n", "before": "B*n",
             "spikes": "T_*B*n", "by_spikes": "T_*B*n", "by_before": "B*n",
             "by_ports": "T_*B*P*n", "totals": "A*B*n"}  # fmt: skip
    sizes |= {f"value_{name}": "n" if each else "1" for name, each in code.values}
    sizes |= {f"state_{name}": "(T_ + 1)*B*n" for name in code.carried}
    sizes |= {f"by_state_{name}": "B*n" for name in code.carried}
    assert [name for _, name in members(kernel.code)][5:] == list(sizes)
    arrays = "\n".join(f"    m.{name} = array({size});" for name, size in sizes.items())
    return on_the_host(kernel.source) + MAIN % {
        "ports": len(code.ports), "active": len(code.active), "arrays": arrays,
    }  # fmt: skip


@pytest.fixture
def kernel(programs, monkeypatch):
    """The kernel of a recurrent layer with trained parameters."""
    found = []
    monkeypatch.setattr(CudaKernel, "forward", lambda self, *_: found.append(self) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        both(network("lstm_lif"), sample(), dtype=torch.float64, train_all=True)
    return found[0]


def sanitized(source: str, what: str, folder: Path) -> subprocess.CompletedProcess:
    (folder / "main.cpp").write_text(source)
    command = ["g++", *FLAGS, "-g", f"-fsanitize={what}", "-o", folder / "main"]
    subprocess.run([*command, folder / "main.cpp"], check=True)
    return subprocess.run(
        [folder / "main"], capture_output=True, text=True, check=False, timeout=120
    )


@pytest.mark.parametrize("what", ["thread", "address"])
def test_sanitizers_find_nothing(what, kernel, tmp_path):
    run = sanitized(standing_alone(kernel), what, tmp_path)
    assert run.returncode == 0, run.stderr[-3000:]


@pytest.mark.parametrize("barrier", range(3))
def test_every_barrier_is_needed(barrier, kernel, tmp_path):
    wait = "        __syncthreads();\n"
    parts = standing_alone(kernel).split(wait)
    assert len(parts) == 4
    source = wait.join(parts[: barrier + 1]) + wait.join(parts[barrier + 1 :])
    run = sanitized(source, "thread", tmp_path)
    assert "data race" in run.stderr
