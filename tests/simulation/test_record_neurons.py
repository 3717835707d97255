"""Traces of some neurons: those of all, chosen; other neurons compile nothing again."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import dendrosim as ds
from dendrosim.errors import DendrosimError
from dendrosim.figures.traces import recording_figure

PROTOCOL = ds.Protocol(
    duration="60 ms",
    stimuli=[ds.Stimulus("soma", "constant", amplitude="linspace(0.1, 0.9, 7)")],
)


def lif(device="numpy", **options):
    return ds.simulate(ds.load_model("lif"), PROTOCOL, device=device, progress=False, **options)


@pytest.mark.parametrize("device", ["numpy", "cpp"])
@pytest.mark.parametrize("record_dt", [None, "3 ms"])
def test_they_are_those_of_all_neurons(device, record_dt):
    everything = lif(record_dt=record_dt)
    for chosen in ([5, 1, 2], [0, 6, 3]):
        some = lif(device, record_neurons=chosen, record_dt=record_dt)
        assert_array_equal(some.recorded, chosen)
        assert_allclose(
            some.traces["U"], everything.traces["U"].sel(neuron=chosen), rtol=1e-12, atol=1e-14
        )
        assert_array_equal(some.spike_i, everything.spike_i)
        assert len(some.spike_i) > 50
    assert not (device == "cpp" and some.meta["compiled"])


def test_a_file_a_figure_and_neo_know_which(tmp_path):
    some = lif(record_neurons=np.array([4, 2]))
    some.save(tmp_path / "a.nc")
    again = ds.load_recording(tmp_path / "a.nc")
    assert_array_equal(again.recorded, [4, 2])
    assert len(recording_figure(again, PROTOCOL).axes) == 3  # two traces, the current
    segments = again.to_neo().segments
    assert [len(s.analogsignals) for s in segments] == [0, 0, 1, 0, 1, 0, 0]
    own = again.traces["U"].sel(neuron=4).values
    assert_array_equal(np.asarray(segments[4].analogsignals[0])[:, 0], own)


@pytest.mark.parametrize("wrong", [[], [7], [-1], [1, 1], [0.5], 3, "all", [[1]], [True]])
def test_what_is_not_a_list_of_neurons_is_told(wrong):
    with pytest.raises(DendrosimError, match=r"record_neurons = .* different neurons from 0 to 6"):
        lif(record_neurons=wrong)


def test_a_hundred_thousand_neurons_with_ten_traces_are_not_too_many():
    protocol = ds.Protocol(duration="1000 s", stimuli=PROTOCOL.stimuli)
    with pytest.raises(DendrosimError, match="record_neurons"):
        ds.simulate(ds.load_model("lif"), protocol, n=14_000, progress=False)
    from dendrosim.simulation.run import make_job

    job = make_job(ds.load_model("lif"), protocol, n=14_000, record_neurons=range(10))
    assert job.plan.neurons == 98_000 and len(job.plan.recorded) == 10
