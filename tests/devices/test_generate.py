"""Projects that are written, moved, built and run with arguments, without dendrosim."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import dendrosim as ds
from dendrosim.cli.commands import main
from dendrosim.devices.job import Done
from dendrosim.devices.project import generate_project, step_order
from dendrosim.networks.job import NetworkJob
from dendrosim.simulation.run import make_job

NOISE = """
title = "Noise"
duration = "40 ms"

[[stimuli]]
into = "soma"
shape = "ou"
mean = "0.4"
sigma = "0.3"
sample = "0.5 ms"
"""


def generate(*words):
    assert main(["generate", *map(str, words)]) == 0


def run(folder, *arguments, results="results"):
    """Run a project; return its output by name, or what it said."""
    done = subprocess.run(
        ["sh", folder / "run.sh", *arguments], capture_output=True, text=True, cwd="/",
        env={"PATH": "/usr/bin:/bin", "RESULTS": results}, check=False,
    )  # fmt: skip
    if done.returncode:
        return done.returncode, done.stderr
    manifest = json.loads((folder / "manifest.json").read_text())
    return {
        name: np.fromfile(folder / results / file, dtype)
        for name, (file, dtype) in manifest.items()
    }


@pytest.fixture(scope="module")
def neurons(tmp_path_factory):
    """Return a project of four noisy neurons, built and then moved."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "noise.toml").write_text(NOISE)
    generate("lif", folder / "noise.toml", "--n", 4, "--device", "cpp", "--dir",
             folder / "written", "--build", "--check")  # fmt: skip
    shutil.move(folder / "written", folder / "moved elsewhere")
    return folder / "moved elsewhere"


def simulated(duration="40 ms", dt=None, sample="0.5 ms", **changes):
    stimulus = ds.Stimulus("soma", "ou", mean="0.4", sigma="0.3", sample=sample)
    model = ds.load_model("lif").with_(**changes)
    return ds.simulate(
        model, ds.Protocol(duration, [stimulus]), n=4, dt=dt, device="numpy", progress=False
    )


class TestArguments:
    def test_without_any_it_is_the_run_that_was_written(self, neurons):
        found, expected = run(neurons), simulated()
        assert_array_equal(found["spike_i"], expected.spike_i)
        assert_allclose(found["spike_t"] + 1e-3, expected.spike_t)
        assert len(expected.spike_t) > 10
        traces = found["trace.U"].reshape(-1, 4)
        assert_allclose(traces, expected.traces["U"].values, rtol=1e-12)

    def test_numbers_files_and_signals(self, neurons):
        """A parameter, an initial state of each neuron, other noise, another step and duration."""
        start = np.array([0.1, 0.2, 0.3, 0.4])
        start.tofile(neurons / "start.bin")
        expected = simulated(
            "25 ms", "0.25 ms", "0.4 ms", parameters={"beta": "0.7"}, initial={"U": list(start)}
        )
        job = make_job(
            ds.load_model("lif"),
            ds.Protocol("25 ms", [ds.Stimulus("soma", "ou", mean="0.4", sigma="0.3",
                                              sample="0.4 ms")]),
        )  # fmt: skip
        values = job.samples["stimulus_0_samples"].values
        other = np.zeros(128)
        other[: len(values)] = values
        other.tofile(neurons / "other.bin")
        found = run(
            neurons, "neurons.beta=.7", "neurons.U=start.bin", "control.run_duration=0.025",
            "control.run_dt=+0.25e-3", "stimulus_0_samples.values=other.bin",
            "stimulus_0_samples.sample_dt=0.0004", results="others",
        )  # fmt: skip
        assert_array_equal(found["spike_i"], expected.spike_i)
        assert_allclose(found["spike_t"] + 0.25e-3, expected.spike_t)
        assert_allclose(
            found["trace.U"].reshape(-1, 4), expected.traces["U"].values, rtol=1e-12, atol=1e-15
        )
        assert (neurons / "results").is_dir()  # of the run before

    @pytest.mark.parametrize(
        ("argument", "told"),
        [
            ("neurons.gamma=1", "no such value"),
            ("neurons.beta", "neither a number nor a file"),
            ("neurons.beta=nan", "neither a number nor a file"),
            ("neurons.beta=0.7x", "neither a number nor a file"),
            ("neurons.U=absent.bin", "neither a number nor a file"),
            ("neurons.U=README.md", "bytes, but 4 values of 8 bytes are needed"),
            ("stimulus_0_samples.values=arguments", "are needed"),
        ],
    )
    def test_a_wrong_one_is_told(self, neurons, argument, told):
        """Brian2's own program goes on with zeros."""
        status, said = run(neurons, argument)
        assert status == 2 and said.startswith(argument) and told in said
        assert said.count("\n") == 1

    def test_the_readme_says_what_may_be_given(self, neurons):
        text = (neurons / "README.md").read_text()
        assert "- `stimulus_0_samples.values`: 128 float64" in text
        assert "trace.U, float64" in text
        assert (neurons / "arguments").is_dir()


def test_a_network_is_built_elsewhere_and_given_another_input(tmp_path):
    layers = [ds.Layer("lstm_lif", 3, 8, recurrent=True), ds.Layer("lif", 8, 5)]
    network = ds.Network.random(layers, n_out=2, seed=1)
    network.save(tmp_path / "net.safetensors")
    x, other = (2 * np.random.default_rng(k).normal(size=(2, 30, 3)) for k in range(2))
    np.save(tmp_path / "x.npy", x)
    folder = tmp_path / "there"
    generate(tmp_path / "net.safetensors", "--input", tmp_path / "x.npy", "--device", "cpp",
             "--dir", tmp_path / "written", "--dtype", "float32")  # fmt: skip
    shutil.move(tmp_path / "written", folder)
    subprocess.run(["make", "-j2"], cwd=folder, check=True, capture_output=True)
    padded = np.zeros((32, 2, 3))
    padded[:30] = other.transpose(1, 0, 2)
    padded.tofile(folder / "other.bin")
    for values, arguments in ((x, []), (other, ["run_input.values=other.bin"])):
        found = run(folder, *arguments)
        expected = ds.run_network(network, values, device="numpy", dtype="float32")
        assert expected.spikes[1].sum() > 10
        job = NetworkJob(network, values, {}, "float32")
        spikes, _ = job.result(Done(found, 0.0, 0.0, 0.0, False), len(values))
        assert all(map(np.array_equal, spikes, expected.spikes))


def test_order_of_a_step_is_read_from_the_source(tmp_path):
    job = make_job(
        ds.load_model("lif"),
        ds.Protocol("5 ms", [ds.Stimulus("soma", "constant", amplitude="0.5")]),
    )
    folder = generate_project(job, tmp_path / "project", device="cpp")
    order = step_order((folder / "main.cpp").read_text())
    names = [name.removesuffix("_codeobject") for name in order]
    assert names.index("neurons_update") < names.index("neurons_spike_thresholder")
    assert Path(folder / "run.sh").stat().st_size > 100
