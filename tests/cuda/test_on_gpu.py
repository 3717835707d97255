"""Numbers on a GPU (`make cuda`): the same as C++.  Not run where there is none."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("brian2cuda", reason="brian2cuda has an environment of its own: make cuda")

import dendrosim as ds
from dendrosim.devices import cuda_toolkit

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not cuda_toolkit.has_gpu(), reason="no NVIDIA GPU here"),
]


@pytest.mark.parametrize("name", ["lif", "alif", "lstm_lif", "lrmm"])
def test_network_spikes_equal_those_of_cpp(name):
    layers = [ds.Layer(name, 3, 32, recurrent=True), ds.Layer(name, 32, 16, recurrent=True)]
    network = ds.Network.random(layers, n_out=4)
    x = np.random.default_rng(0).normal(size=(8, 60, 3)) * 3
    a, b = (ds.run_network(network, x, device=device) for device in ("cpp", "cuda"))
    for spikes_a, spikes_b in zip(a.spikes, b.spikes, strict=True):
        np.testing.assert_array_equal(spikes_a, spikes_b)


@pytest.mark.parametrize("name", ["kepecs_wang_2000", "pinsky_rinzel_1994"])
def test_spike_times_of_a_biophysical_model_within_a_step(name):
    grid = ds.Protocol(
        "500 ms", [ds.Stimulus("dendrite", "constant", amplitude="linspace(0, 2, 20) uA/cm**2")]
    )
    model = ds.load_model(name)
    runs = [ds.simulate(model, grid, device=device, dt="0.02 ms") for device in ("cpp", "cuda")]
    for a, b in zip(*(run.trains for run in runs), strict=True):
        assert len(a) == len(b)
        np.testing.assert_allclose(a, b, atol=0.0201e-3)
