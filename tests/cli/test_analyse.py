"""The report of a network and the commands energy, analyse and citation."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import dendrosim as ds
from dendrosim import energy
from dendrosim.cli.analyse import analyse as analyse_command
from dendrosim.cli.analyse import citation as citation_command
from dendrosim.cli.analyse import energy as energy_command
from dendrosim.errors import DendrosimError
from dendrosim.learn.gradients import propagation as pr
from dendrosim.learn.gradients.analysis import analyse, standard_input
from dendrosim.learn.gradients.trajectories import follow

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def network():
    parameters = {"w_CM": -0.5, "w_MC": 1.3, "w_I": 0.6, "w_F": 0.5, "w_O": 0.3}
    layers = [ds.Layer("lstm_lif", 3, 6, True), ds.Layer("lrmm", 6, 4, True, parameters=parameters)]
    return ds.Network.random(layers, n_out=2, seed=3)


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).normal(size=(3, 21, 3)) * 3


class TestAnalysis:
    def test_it_is_what_its_parts_say(self, network, x):
        found = analyse(network, x, horizons=[1, 6], surrogate="boxcar", width=1.0)
        runs, output = follow(network, x)
        for run, spikes, layer in zip(runs, output.spikes, found.layers, strict=True):
            matrices = run.matrices(surrogate="boxcar", width=1.0)
            assert layer.rate == spikes.mean()
            assert layer.radius[1] == pytest.approx(np.median(pr.spectral_radius(matrices)))
            kept = pr.absolute_retention(matrices, [1, 6])
            assert list(layer.retention.values()) == pytest.approx(kept.tolist())
            assert layer.radius[0] <= layer.radius[1] <= layer.radius[2]
        assert found.layers[0].variables == ("U_D", "U_S")
        assert found.layers[0].relative is None
        whole, apart = runs[1].loop(surrogate="boxcar", width=1.0)
        assert list(found.layers[1].relative.values()) == pytest.approx(
            pr.relative_retention(whole, apart, [1, 6]).tolist(), nan_ok=True
        )
        assert found.counts["text"] == energy.count(network, output, x, readout=True)
        assert list(found.counts) == ["text", "printed", "corrected"]

    def test_eigenvalues_of_the_layer_with_its_weights(self, network, x):
        found = analyse(network, x)
        (run, _), _ = follow(network, x)
        radii = [
            np.abs(np.linalg.eigvals(run.recurrent(k % 3, t))).max()
            for k, t in enumerate((0, 5, 10, 14, 19))
        ]
        assert found.layers[0].whole_radius == pytest.approx(np.median(radii))
        plain = analyse(ds.Network.random([ds.Layer("lif", 2, 3)]))
        assert np.isnan(plain.layers[0].whole_radius)

    def test_a_gradient_that_is_lost(self):
        """With the boxcar a LIF neuron near a threshold of beta hands on nothing."""
        layer = ds.Layer(
            "lif", 1, 2, input_weights={"I": [[0.14], [0.0]]}, parameters={"V_th": 0.8}
        )
        network = ds.Network([layer])
        found = analyse(network, np.ones((1, 60, 1)), horizons=[1, 40], surrogate="boxcar").layers[
            0
        ]
        assert found.silent == 1.0
        assert 0.4 < found.lost[1] < 0.5
        assert found.lost[40] == 0.5

    def test_standard_input(self):
        found = analyse(ds.Network.random([ds.Layer("alif", 5, 4)]))
        assert (found.meta["samples"], found.meta["steps"]) == (4, 100)
        assert "random spikes" in found.meta["input"]
        assert list(found.layers[0].retention) == [1, 4, 16, 99]
        np.testing.assert_array_equal(standard_input(5), standard_input(5))
        assert standard_input(500).mean() == pytest.approx(0.1, abs=0.005)

    def test_refusals(self, network, x):
        for call, said in (
            (lambda: analyse(network, x[:, :1]), "an input of one step"),
            (lambda: analyse(network, x, horizons=[21]), "horizon = 21 is not a whole number of"),
            (lambda: analyse(network, x, surrogate="tri"), "unknown surrogate 'tri'"),
            (lambda: analyse(network, x[..., :2]), "input has shape (3, 21, 2)"),
        ):
            with pytest.raises(DendrosimError, match=re.escape(said)):
                call()


@pytest.fixture(scope="module")
def files(network, x, tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    network.save(folder / "net.safetensors")
    np.save(folder / "x.npy", x)
    return str(folder / "net.safetensors"), str(folder / "x.npy"), folder


def run(command, *arguments):
    """Run a command as `dendrosim` does and return what it prints."""
    result = CliRunner().invoke(command, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


class TestCommands:
    def test_energy(self, files, network, x):
        net, source, _ = files
        table = run(energy_command, net, "--input", source)
        assert "3 sample(s) of 21 steps" in table and "nJ (corrected)" in table
        told = json.loads(run(energy_command, net, "--input", source, "--json"))
        by_torch = json.loads(
            run(energy_command, net, "--input", source, "--json", "--device", "torch")
        )
        assert told["conventions"] == by_torch["conventions"]
        output = ds.run_network(network, x, device="numpy", record=energy.inner_spikes(network))
        expected = energy.count(network, output, x, readout=True).nanojoules()
        assert told["conventions"]["text"]["nanojoules"] == pytest.approx(expected)
        assert told["rates"] == pytest.approx([s.mean() for s in output.spikes])

    def test_energy_at_other_prices(self, files):
        net, source, _ = files
        free = run(energy_command, net, "--input", source, "--json", "--e-ac", 0, "--e-mac", 1)
        part = json.loads(free)["conventions"]["text"]["parts"]["layer 0"]
        assert part["nanojoules"] == pytest.approx(part["mac"] * 1e-3)

    def test_analyse(self, files):
        net, source, folder = files
        out = folder / "report" / "here"
        text = run(analyse_command, net, "--input", source, "--out", out, "--horizon", 5)
        assert "kept over 5" in text and "energy of a step" in text
        assert sorted(path.name for path in out.iterdir()) == [
            "analysis.json", "analysis.png", "analysis.txt",
        ]  # fmt: skip
        assert (out / "analysis.txt").read_text().strip() in text
        told = json.loads((out / "analysis.json").read_text())
        assert told["layers"][1]["retention"].keys() == {"5"}
        plain = json.loads(run(analyse_command, net, "--json"))
        assert plain["meta"]["steps"] == 100

    def test_citation(self, files):
        net, _, _ = files
        text = run(citation_command, net, "shd")
        assert re.findall(r"@\w+\{(\w+),", text) == [
            "zhang2023long", "anonymous2025unlocking", "cramer2022heidelberg",
        ]  # fmt: skip
        assert json.loads(run(citation_command, "lif", "--json"))["bibtex"] == ds.citation("lif")
        assert "rush_larsen" in run(citation_command, "list").split()

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (("--device", "gpu"), "--device 'gpu'; valid: cpp, cython, numpy, torch"),
            (("--e-ac", "-1"), "--e-ac = -1.0 is not a price from 0"),
        ],
    )
    def test_refusals(self, files, arguments, said):
        net, source, _ = files
        with pytest.raises(DendrosimError, match=re.escape(said)):
            run(energy_command, net, "--input", source, *arguments)

    def test_a_folder_that_cannot_be_one(self, files):
        net, source, _ = files
        with pytest.raises(DendrosimError, match="cannot be a folder"):
            run(analyse_command, net, "--input", source, "--out", f"{source}/out")
