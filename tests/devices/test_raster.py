"""What networks record in C++: a bit a neuron and step, the same as the states say."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

import dendrosim as ds
from dendrosim.devices.raster import unpacked


@given(st.integers(1, 40), st.integers(1, 70), st.integers(0, 2**32 - 1))
def test_bits_are_unpacked_neuron_by_neuron(steps, neurons, seed):
    fired = np.random.default_rng(seed).random((steps, neurons)) < 0.4
    rows = [np.packbits(row, bitorder="little") for row in fired]
    found = unpacked(np.concatenate(rows).view(np.int8), steps, neurons)
    assert found.dtype == bool
    assert_array_equal(found, fired)


def test_spikes_are_where_the_output_is_one():
    """Of 3 samples of 7 and of 5 neurons: no layer fills its last byte."""
    layers = [ds.Layer("lif", 4, 7, recurrent=True), ds.Layer("lstm_lif", 7, 5)]
    network = ds.Network.random(layers, n_out=2, seed=2)
    x = np.random.default_rng(3).normal(1, 2, (3, 50, 4))
    record = {0: ("S",), 1: ("S",)}
    compiled, reference = (
        ds.run_network(network, x, device=device, record=record, progress=False)
        for device in ("cpp", "numpy")
    )
    for k, spikes in enumerate(compiled.spikes):
        assert spikes.dtype == bool
        assert 0.05 < spikes.mean() < 0.95
        assert_array_equal(spikes, compiled.states[k]["S"] == 1)
        assert_array_equal(spikes, reference.spikes[k])
