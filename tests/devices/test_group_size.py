"""The number of neurons is a number that a program reads: another one compiles nothing again."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import dendrosim as ds
from dendrosim.devices import group_size


@given(st.integers(1, 10**7))
def test_room_is_at_most_twice_what_is_needed(n):
    room = group_size.room(n)
    assert n <= room < max(2 * n, group_size.SMALLEST + 1)


@given(st.integers(1, 10**7))
def test_rooms_are_few(n):
    """All numbers up to ten million share 26 rooms."""
    rooms = {group_size.room(k) for k in (*range(1, 17), *(2**k for k in range(24)), n)}
    assert len(rooms) <= 17 + 10


def noisy(n, device, **options):
    """Cells of one model with their own parameter, noise and recorded traces."""
    protocol = ds.Protocol("30 ms", [
        ds.Stimulus("soma", "constant", amplitude=np.linspace(0.2, 0.9, n)),
        ds.Stimulus("soma", "ou", sigma="0.2", sample="1 ms", independent=True),
    ])  # fmt: skip
    return ds.simulate(ds.load_model("lif"), protocol, device=device, progress=False, **options)


def test_another_number_compiles_nothing_and_changes_nothing():
    made = noisy(16, "cpp")
    for n, chosen in ((3, None), (16, [7, 2]), (11, [10]), (1, None)):
        expected = noisy(n, "numpy", record_neurons=chosen)
        found = noisy(n, "cpp", record_neurons=chosen)
        assert not found.meta["compiled"]
        assert_array_equal(found.spike_i, expected.spike_i)
        assert_array_equal(found.spike_t, expected.spike_t)
        assert_allclose(found.traces["U"], expected.traces["U"], rtol=1e-12, atol=1e-14)
        assert found.traces["U"].shape == (30, n if chosen is None else len(chosen))
    assert len(made.spike_t) > 50


@pytest.mark.parametrize("threads", [1, 2])
def test_more_neurons_than_one_word_of_the_threshold(threads):
    """130 neurons: two whole words of 64 and a rest, in a room of 256."""
    expected, found = noisy(130, "numpy", record=[]), noisy(130, "cpp", record=[], threads=threads)
    assert_array_equal(found.spike_i, expected.spike_i)
    assert_array_equal(found.spike_t, expected.spike_t)
    assert found.spike_i.max() == 129


def test_samples_of_a_batch_share_a_program():
    network = ds.Network.random([ds.Layer("lif", 2, 3)], n_out=2, seed=1)
    x = np.random.default_rng(0).random((8, 20, 2)) * 3
    whole = ds.run_network(network, x, device="cpp")
    for samples in (5, 7):
        part = ds.run_network(network, x[:samples], device="cpp")
        assert not part.meta["compiled"] and part.meta["batch"] == 8
        assert_array_equal(part.spikes[0], whole.spikes[0][:samples])
    assert whole.spikes[0].sum() > 20
