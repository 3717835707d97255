"""Sampled signals: the samples of Brian2's TimedArray, in programs that stay as they are."""

import os

import brian2 as b2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import dendrosim as ds
from dendrosim.devices import signals
from dendrosim.devices.program_cache import cache_folder
from dendrosim.time_grid import sample_at


def noise(sample="0.5 ms", seed=3, **values):
    return ds.Stimulus("soma", "ou", sigma="0.3", mean="0.4", sample=sample, seed=seed, **values)


def run(stimuli, duration="20 ms", **options):
    options = {"device": "numpy", "record": ["I"], "progress": False, **options}
    return ds.simulate(ds.load_model("lif"), ds.Protocol(duration, stimuli), **options)


@given(st.integers(1, 10**6))
def test_room_is_the_next_power_of_two(n):
    def sampled(*shape, **options):
        return signals.Sampled(np.broadcast_to(0.0, shape), 1e-3, **options)

    size, columns = signals.room(sampled(n))
    assert size.bit_count() == 1 and n <= size < 2 * n and not columns
    assert signals.room(sampled(n, 7)) == (size * 7, True)
    assert signals.room(sampled(n, 7), 16) == (size * 16, True)
    # columns that neurons share do not grow with the neurons
    assert signals.room(sampled(n, 7, of_neurons=False), 1024) == (size * 8, True)
    assert signals.room(sampled(n, 17, of_neurons=False), 1024) == (size * 32, True)


@given(
    st.integers(1, 400), st.integers(1, 400), st.sampled_from([1e-6, 2.5e-5, 1e-4, 0.0007]),
    st.integers(0, 10**6),
)  # fmt: skip
def test_a_step_takes_the_sample_that_it_begins_in(a, b, unit, first):
    """Oracle: whole numbers, for steps of a and samples of b units; rounding moves no edge.

    Up to 4e8 samples: beyond 1e9 the rounding of a time is no longer below `time_grid.EARLY`.
    """
    steps = first + np.arange(100)
    found = sample_at(steps * (a * unit), b * unit, n=10**12)
    assert_array_equal(found, steps * a // b)


@given(st.integers(1, 30), st.integers(0, 4), st.integers(0, 10**4))
def test_that_is_the_sample_of_brians_timed_array(a, halvings, first):
    """Where steps divide samples, or samples steps."""
    for dt, sample_dt in ((a * 1e-5, a * 1e-5 * 2**halvings), (a * 1e-5 * 2**halvings, a * 1e-5)):
        times = (first % 100 + np.arange(50)) * dt
        array = b2.TimedArray(np.arange(200.0), dt=sample_dt * b2.second)
        before, b2.defaultclock.dt = b2.defaultclock.dt, dt * b2.second
        try:
            expected = np.asarray(array(times * b2.second))
        finally:
            b2.defaultclock.dt = before
        assert_array_equal(sample_at(times, sample_dt, 200), expected)


class TestStreams:
    """Two noises of one seed are not the same noise."""

    def test_each_has_its_own(self):
        protocol = ds.Protocol("20000 ms", [noise(), noise(seed=4)])
        same = ds.Protocol("20000 ms", [noise(), noise()])
        both = [
            [s.samples(20.0, 1, k)[0] for s, k in zip(p.stimuli, p.streams, strict=True)]
            for p in (protocol, same)
        ]
        assert_array_equal(both[0][0], both[1][0])
        for one, other in both:
            assert abs(np.corrcoef(one, other)[0, 1]) < 0.1  # 4,000 samples of 5 ms
        assert not np.array_equal(both[0][1], both[1][1])

    def test_the_first_is_what_it_is_alone_whatever_stands_around_it(self):
        step = ds.Stimulus("soma", "constant", amplitude="0.1")
        alone = run([noise()]).traces["I"].values
        assert_allclose(run([step, noise()]).traces["I"].values, alone + 0.1)
        assert ds.Protocol("1 ms", [step, noise(), step, noise()]).streams == (0, 0, 1, 1)

    def test_simulated_and_evaluated_noise_are_the_same(self):
        stimuli = [noise(), noise(), noise(independent=True)]
        r = run(stimuli, n=3)
        expected = ds.Protocol("20 ms", stimuli).current("soma", r.times, r.meta["dt"], n=3)
        assert_allclose(r.traces["I"].values, expected, rtol=1e-12)
        second = expected - run(stimuli[::2], n=3).traces["I"].values
        assert np.abs(np.diff(second[:, 0])).max() > 0.05  # it is there

    def test_a_seed_for_all_leaves_them_different(self):
        protocol = ds.Protocol("20 ms", [noise(), noise()]).seeded(9)
        one, other = (s.samples(0.02, 1, k)[0] for k, s in enumerate(protocol.stimuli))
        assert not np.array_equal(one, other)


class TestCompiledOnce:
    def test_another_duration_step_or_sampling_is_the_same_program(self, tmp_path, monkeypatch):
        monkeypatch.setenv("DENDROSIM_CACHE", str(tmp_path))
        settings = [
            {}, {"duration": "31 ms"}, {"dt": "0.7 ms"}, {"duration": "17.3 ms", "dt": "0.05 ms"},
            {"sample": "0.35 ms"}, {"sample": "2 ms"},
        ]  # fmt: skip
        for k, changes in enumerate(settings):
            sample = changes.pop("sample", "0.5 ms")
            stimuli = [noise(sample), noise(sample, independent=True)]
            # room for 64 samples; for 16 in the last
            r = run(stimuli, device="cpp", n=2, **changes)
            assert r.meta["compiled"] is (k in (0, 5))
            here = run(stimuli, n=2, **changes)
            assert_allclose(r.traces["I"].values, here.traces["I"].values, rtol=1e-12)
            assert_array_equal(r.spike_t, here.spike_t)
        assert len([*tmp_path.glob("*/main")]) == 2

    def test_cython_tells_whether_it_compiled(self):
        """Brian2 keeps modules; whether one was made is seen in its date."""
        run([noise()], device="cython")
        again = run([noise()], "18 ms", device="cython", dt="0.5 ms")
        assert again.meta["compiled"] is False
        modules = [*(cache_folder() / "cython").rglob("*.so")]
        dates = {path: path.stat().st_mtime for path in modules}
        try:
            for path, date in dates.items():
                os.utime(path, (date, date + 10**6))  # as if it had been made just now
            assert run([noise()], device="cython").meta["compiled"] is True
        finally:
            for path, date in dates.items():
                os.utime(path, (date, date))

    def test_numpy_compiles_nothing(self):
        assert run([noise()]).meta["compiled"] is False
