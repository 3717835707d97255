"""Generated CUDA projects, run without a GPU: compiled by g++ with CUDA's functions on the host.

Every kernel, copy and array of a project is the one that a GPU would have; only the threads come
one after the other.  So what is tested is that the whole program is right, not that it is fast.
Memory that nobody has set holds nonsense, and a write past an array ends the program.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("brian2cuda", reason="brian2cuda has an environment of its own: make cuda")

import dendrosim as ds
from dendrosim.devices import cuda_toolkit
from dendrosim.devices.job import Done
from dendrosim.devices.project import generate_project
from dendrosim.networks.job import NetworkJob
from dendrosim.simulation.run import make_job

HEADERS = (
    "cuda.h", "curand.h", "curand_kernel.h", "cuda_profiler_api.h", "thrust/copy.h",
    "thrust/count.h", "thrust/device_vector.h", "thrust/execution_policy.h",
    "thrust/host_vector.h", "thrust/system_error.h",
)  # fmt: skip
LAUNCH = re.compile(r"(\w+)\s*<<<\s*(.*?),\s*(.*?)\s*>>>\s*\(", re.DOTALL)

pytestmark = [
    pytest.mark.skipif(shutil.which("g++") is None, reason="no g++ here"),
    pytest.mark.skipif(cuda_toolkit.find_toolkit() is None, reason="no nvcc here"),
]


def emulate(job, folder: Path) -> dict[str, np.ndarray]:
    """Write the CUDA project of a job, run it on the host, and return its output."""
    generate_project(job, folder)
    shim = folder / "host"
    for name in HEADERS:
        (shim / name).parent.mkdir(parents=True, exist_ok=True)
        (shim / name).write_text('#include "emulated.h"\n')
    shutil.copy(Path(__file__).with_name("emulated.h"), shim)
    sources = [*folder.glob("*.cu"), *folder.glob("code_objects/*.cu")]
    for path in sources:
        path.write_text(LAUNCH.sub(r"launch(\1, \2, \3)(", path.read_text()))
    flags = ["-std=c++17", "-w", "-fsanitize=address", f"-I{folder}", f"-I{shim}"]
    what = ["-include", "emulated.h", "-x", "c++", *sources]
    command = ["g++", *flags, "-o", folder / "main", *what]
    subprocess.run(command, check=True)
    run = subprocess.run(
        ["sh", folder / "run.sh"], capture_output=True, text=True, check=False,
        env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-2000:]
    manifest = json.loads((folder / "manifest.json").read_text())
    return {
        name: np.fromfile(folder / "results" / file, dtype)
        for name, (file, dtype) in manifest.items()
    }


def done(job, folder: Path, *more):
    """Return what the job makes of the output of its emulated project."""
    arrays = emulate(job, folder / "project")
    timeless = Done(arrays, compile_seconds=0, run_seconds=0, processor_seconds=0, compiled=True)
    return job.result(timeless, *more)


@pytest.mark.parametrize(
    ("name", "method"), [("kepecs_wang_2000", "rk4"), ("pinsky_rinzel_1994", "rush_larsen2")]
)
def test_biophysical_neurons_are_those_of_numpy(name, method, tmp_path):
    """Spikes, traces every tenth step, and two noises, one of them of each neuron's own."""
    grid = ds.Stimulus("dendrite", "constant", amplitude="linspace(0, 2, 12) uA/cm**2")
    noise = ds.Stimulus("soma", "ou", sigma="0.5 uA/cm**2")
    protocol = ds.Protocol("60 ms", [grid, noise, noise.with_(independent=True)])
    options = {"dt": "0.05 ms", "record": ["v_s"], "record_dt": "0.5 ms", "method": method}
    model = ds.load_model(name)
    found = done(make_job(model, protocol, **options), tmp_path)
    expected = ds.simulate(model, protocol, device="numpy", progress=False, **options)
    assert len(expected.spike_t) > 10
    np.testing.assert_array_equal(found.spike_i, expected.spike_i)
    np.testing.assert_allclose(found.spike_t, expected.spike_t, rtol=1e-12)
    traces = expected.traces["v_s"].values
    np.testing.assert_allclose(found.traces["v_s"], traces, rtol=0, atol=1e-10)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_networks_spike_as_on_numpy(dtype, tmp_path):
    layers = [
        ds.Layer("lstm_lif", 3, 16, recurrent=True),
        ds.Layer("lrmm", 16, 12, recurrent=True),
        ds.Layer("alif", 12, 8),
    ]
    network = ds.Network.random(layers, n_out=4, seed=3)
    x = 2 * np.random.default_rng(0).normal(size=(5, 60, 3))
    options = {"record": {1: ("U_C",)}, "dtype": dtype}
    job = NetworkJob(network, x, **options)
    spikes, states = done(job, tmp_path, len(x))
    expected = ds.run_network(network, x, device="numpy", progress=False, **options)
    for found, wanted in zip(spikes, expected.spikes, strict=True):
        assert wanted.sum() > 100
        np.testing.assert_array_equal(found, wanted)
    close = {"rtol": 0, "atol": 1e-11 if dtype == "float64" else 1e-4}
    np.testing.assert_allclose(states[1]["U_C"], expected.states[1]["U_C"], **close)
