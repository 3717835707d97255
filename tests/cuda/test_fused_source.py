"""Fused kernels without a GPU: NVIDIA's compiler takes their source, its driver their arguments."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("cuda.bindings.nvrtc", reason="comes with torch for CUDA, and by make cuda")
import torch

import dendrosim as ds
from dendrosim import shelves
from dendrosim.errors import DendrosimError
from dendrosim.learn import TorchNetwork
from dendrosim.learn.kernels import cuda_driver, fused
from dendrosim.learn.kernels.cuda import CudaKernel

NAMES = [name for name in shelves.names("models") if ds.load_model(name).kind == "discrete"]


@pytest.fixture
def kernel_of(monkeypatch):
    """Return a function of a layer: its kernel."""
    found = []
    monkeypatch.setattr(fused, "kernel_type", lambda device: CudaKernel)
    monkeypatch.setattr(CudaKernel, "forward", lambda self, *_: found.append(self) or 1 / 0)

    def of(layer: ds.Layer, dtype: torch.dtype) -> CudaKernel:
        net = ds.Network.random([layer], n_out=2)
        with pytest.raises(ZeroDivisionError):
            TorchNetwork(net, dtype=dtype)(torch.rand(2, 7, 5, dtype=dtype))
        return found.pop()

    return of


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", NAMES)
def test_every_model_compiles_without_a_warning(name, dtype, kernel_of):
    recurrent = name != "adlif"  # which has no recurrent connections
    kernel = kernel_of(ds.Layer(name, 5, 40, recurrent=recurrent), dtype)
    _, said = cuda_driver._compile(kernel.source, "sm_90", "--ptxas-options=-v")
    assert "warning" not in said
    assert said.count("Used ") == (4 if recurrent else 2)  # a line of each kernel


def test_weights_are_read_well_ahead(kernel_of):
    """The compiler has registers for all weights of a turn, or each would be waited for."""
    kernel = kernel_of(ds.Layer("lstm_lif", 5, 40, recurrent=True), torch.float32)
    _, said = cuda_driver._compile(kernel.source, "sm_90", "--ptxas-options=-v")
    registers = {
        part.split("'")[0]: int(part.split("Used ")[1].split()[0])
        for part in said.split("entry function '")[1:]
    }
    assert registers["backward_samples"] > 64
    assert " 0 bytes spill stores" in said.split("backward_samples")[2]


def test_nothing_is_compiled_twice(kernel_of, monkeypatch, tmp_path):
    monkeypatch.setenv("DENDROSIM_CACHE", str(tmp_path))
    kernel = kernel_of(ds.Layer("lif", 5, 40), torch.float32)
    binary = cuda_driver.compiled(kernel.source, "sm_90")
    assert binary.startswith(b"\x7fELF")
    kept = {path.suffix for path in tmp_path.iterdir() if path.name != "locks"}
    assert kept == {".cubin", ".json"}  # the binary, with its size and hash
    monkeypatch.setattr(cuda_driver, "_compile", lambda *_: pytest.fail("compiled again"))
    assert cuda_driver.compiled(kernel.source, "sm_90") == binary


@pytest.mark.parametrize(
    ("source", "architecture", "told"),
    [("int f( {", "sm_90", "does not compile for sm_90"),
     ("", "sm_1", "does not compile for sm_1")],
)  # fmt: skip
def test_what_the_compiler_says_is_passed_on(source, architecture, told, monkeypatch, tmp_path):
    monkeypatch.setenv("DENDROSIM_CACHE", str(tmp_path))
    with pytest.raises(DendrosimError, match=told):
        cuda_driver.compiled(source, architecture)
    assert [path.name for path in tmp_path.iterdir()] == ["locks"]


#: A driver that writes down what it is asked.
DRIVER = Path(__file__).with_name("driver.cpp")

SOURCE = 'extern "C" __global__ void forward(double* x) { *x = 1; }'
LAUNCH = f"""
SOURCE = {SOURCE!r}
import contextlib, types
import numpy as np, torch
from dendrosim.learn.kernels import cuda_driver
torch.cuda.device = lambda device: contextlib.nullcontext()
torch.cuda.current_stream = lambda: types.SimpleNamespace(cuda_stream=0x33)
torch.cuda.get_device_capability = lambda device: (9, 0)
memory = np.zeros((), [(name, np.int64) for name in "abc"])
memory["a"], memory["b"], memory["c"] = 5, -6, 2**40
source = SOURCE
program = cuda_driver.load(source, torch.device("cuda:0"))
assert cuda_driver.load(source, torch.device("cuda:0")) is program
program.launch("forward", 7, 64, 128, memory)
memory["a"] = 8
program.launch("forward", 7, 64, 128, memory)
program.launch("absent", 1, 32, 0, memory)
"""


def test_the_driver_gets_what_a_launch_says(tmp_path, monkeypatch):
    # compiled beforehand: the compiler asks a driver more than this one knows
    monkeypatch.setenv("DENDROSIM_CACHE", str(tmp_path))
    cuda_driver.compiled(SOURCE, "sm_90")
    made = tmp_path / "libcuda.so.1"
    subprocess.run(["g++", "-shared", "-fPIC", "-o", made, DRIVER], check=True)
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LAUNCH], capture_output=True, text=True, check=False,
        env={"LD_LIBRARY_PATH": str(tmp_path), "DENDROSIM_CACHE": str(tmp_path),
             "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        cwd=Path(ds.__file__).parents[1],
    )  # fmt: skip
    assert run.stdout.splitlines() == [
        "load 7fELF 0",
        "kernel 0x11 forward",
        "launch 0x22 7 1 1 64 1 1 128 0x33 (nil): 5 -6 1099511627776",
        "launch 0x22 7 1 1 64 1 1 128 0x33 (nil): 8 -6 1099511627776",
        "kernel 0x11 absent",
    ], run.stderr
    assert run.stderr.splitlines()[-1].endswith("DendrosimError: CUDA answers CUDA_ERROR_NOT_FOUND")
