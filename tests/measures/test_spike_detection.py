"""Spike detection in a trace: positive and negative cases, and laws for all traces."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from places import EPHYS

import dendrosim as ds
from dendrosim.current_clamp import doubts
from dendrosim.current_clamp.recorded import ClampRecording, read_abf
from dendrosim.errors import DendrosimError
from dendrosim.measures import spike_times_from_trace
from dendrosim.measures.spike_detection import SpikeRule, find_spikes

needs_data = pytest.mark.skipif(not EPHYS.is_dir(), reason="needs ../shared/data/ephys")
FEW = settings(max_examples=40, deadline=None)

#: Trains at whole milliseconds, with intervals of at least 5 ms.
TRAINS = st.lists(st.integers(5, 60), max_size=12).map(lambda gaps: np.cumsum(gaps) * 1e-3 + 0.02)


def cell(train, dt=50e-6, rest=-0.065, height=0.09, end=None, at=0.0):
    """Return a potential at `rest` with spikes: up in 0.3 ms, down with 1 ms; `at` shifts time."""
    end = (max(train, default=0.0) + 0.05) if end is None else end
    times = np.arange(round(end / dt)) * dt
    v = np.full(times.size, rest)
    for begin in np.asarray(train, dtype=float) + at:
        t = times - begin
        shape = np.where(t < 0.3e-3, t / 0.3e-3, np.exp(-(t - 0.3e-3) / 1e-3))
        v += height * np.where(t >= 0, shape, 0)
    return v


def count(v, dt=50e-6, **rule):
    return len(find_spikes(v, dt, SpikeRule(**rule)).onsets)


class TestWhatIsOne:
    @pytest.mark.parametrize("level", [-0.04, -0.0201, -0.01, 0.0, 0.02])
    @pytest.mark.parametrize("dt", [10e-6, 50e-6, 100e-6])
    def test_a_noisy_plateau_has_none(self, level, dt):
        """Issue 15, item 4: noise of 0.3 mV at a level caused thousands of crossings."""
        noise = np.random.default_rng(4).normal(0, 0.3e-3, round(1 / dt))
        v = np.where(np.arange(noise.size) < 0.1 / dt, -0.065, level) + noise
        crossings = np.sum((v[1:] > level) & (v[:-1] <= level))
        assert crossings > 1000
        assert count(v, dt) == 0

    def test_a_block_of_depolarisation_has_its_few_real_spikes(self):
        """13 spikes, then a plateau near -10 mV with noise and slow waves of 8 mV."""
        dt = 50e-6
        v = cell(0.02 + 0.02 * np.arange(13), end=1.0)
        times = np.arange(v.size) * dt
        blocked = times > 0.3
        v[blocked] = -0.010 + 4e-3 * np.sin(2 * np.pi * 12 * times[blocked])
        v += np.random.default_rng(5).normal(0, 0.3e-3, v.size)
        assert np.sum((v[1:] > -0.01) & (v[:-1] <= -0.01)) > 30
        assert count(v) == 13

    def test_a_slow_wave_and_a_passive_step_are_none(self):
        t = np.arange(0, 1, 1e-4)
        assert count(-0.03 + 0.03 * np.sin(2 * np.pi * 4 * t), 1e-4) == 0
        charging = -0.065 + 0.3 * (1 - np.exp(-t / 0.01))  # 30 mV/ms, without a fall afterwards
        assert count(charging, 1e-4) == 0

    def test_small_spikes_are_a_matter_of_the_rule(self):
        v = cell([0.02, 0.05, 0.08], rest=-0.032, height=0.015)
        assert (count(v), count(v, height=0.005), count(v, height=0.02)) == (3, 3, 0)
        assert count(v, peak=-0.01) == 0
        assert count(v, slope=100.0) == 0
        assert find_spikes(v, 50e-6, SpikeRule(slope=100.0)).slow == 3

    def test_the_time_is_where_the_rise_begins(self):
        train = np.array([0.02, 0.0405, 0.09])
        assert_allclose(find_spikes(cell(train), 50e-6).onsets * 50e-6, train, atol=1.01e-4)

    def test_until_the_potential_has_fallen_there_is_no_other(self):
        v = cell([0.02])
        v[420:440] += 5e-3 * np.sin(np.arange(20))  # ripples on the way down
        assert count(v) == 1

    def test_what_is_no_trace_is_refused(self):
        for v in (np.zeros((3, 3)), np.array([0.0, np.nan, 0.0])):
            with pytest.raises(DendrosimError, match="one row of finite values"):
                find_spikes(v, 1e-4)
        for dt, rule in (
            (0, SpikeRule()),
            (1e-4, SpikeRule(slope=0)),
            (1e-4, SpikeRule(height=-1)),
        ):
            with pytest.raises(DendrosimError, match="above 0"):
                find_spikes(np.zeros(9), dt, rule)
        assert find_spikes(np.zeros(1), 1e-4).onsets.size == 0
        with pytest.raises(DendrosimError, match="evenly spaced"):
            spike_times_from_trace([0, 1e-3, 3e-3], [0, 0, 0])


class TestLaws:
    @FEW
    @given(TRAINS)
    def test_every_spike_is_found_where_it_is(self, train):
        v = cell(train)
        found = spike_times_from_trace(np.arange(v.size) * 50e-6, v)
        assert found.size == len(train)
        assert_allclose(found, train, atol=1.01e-4)

    @FEW
    @given(TRAINS, st.integers(0, 2000))
    def test_a_later_trace_has_later_spikes(self, train, shift):
        v = cell(train)
        later = np.r_[np.full(shift, v[0]), v]
        assert_allclose(find_spikes(later, 5e-5).onsets, find_spikes(v, 5e-5).onsets + shift)

    @FEW
    @given(TRAINS)
    def test_twice_the_sampling_rate_gives_the_same_spikes(self, train):
        dt = 50e-6
        v = cell(train, dt)
        finer = np.interp(np.arange(2 * v.size - 1) / 2, np.arange(v.size), v)
        one, two = find_spikes(v, dt).onsets * dt, find_spikes(finer, dt / 2).onsets * dt / 2
        assert one.size == two.size == len(train)
        assert_allclose(one, two, atol=1.01 * dt)

    @FEW
    @given(TRAINS, st.sampled_from([10e-6, 20e-6, 25e-6, 100e-6]))
    def test_other_sampling_rates_give_the_same_count(self, train, dt):
        assert count(cell(train, dt), dt) == len(train)

    @FEW
    @given(TRAINS, st.integers(0, 2**32 - 1))
    def test_noise_adds_and_takes_none(self, train, seed):
        v = cell(train)
        assert count(v + np.random.default_rng(seed).normal(0, 0.3e-3, v.size)) == len(train)

    @FEW
    @given(TRAINS, st.floats(-5e-3, 5e-3))
    def test_a_small_offset_changes_nothing(self, train, offset):
        v = cell(train)
        assert find_spikes(v + offset, 5e-5).onsets.tolist() == find_spikes(v, 5e-5).onsets.tolist()

    @FEW
    @given(TRAINS, TRAINS)
    def test_two_traces_in_a_row_have_the_spikes_of_both(self, one, two):
        a, b = cell(one), cell(two)
        expected = np.r_[find_spikes(a, 5e-5).onsets, find_spikes(b, 5e-5).onsets + a.size]
        assert find_spikes(np.r_[a, b], 5e-5).onsets.tolist() == expected.tolist()


class TestRecordedCells:
    @needs_data
    @pytest.mark.parametrize(
        ("name", "counts"),
        [
            ("171116sh_0018", [0, 0, 0, 0, 0, 0, 2, 3, 6, 8, 10, 12, 12, 14, 16, 16, 18]),
            ("2019_07_24_0055_fsi",
             [2, 3, 2, 4, 16, 28, 37, 48, 55, 68, 76, 83, 91, 99, 105, 114, 117]),
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("height", [5e-3, 10e-3, 20e-3])
    def test_the_counts_of_the_data_come_out_whatever_the_height(self, name, counts, height):
        read = read_abf(EPHYS / f"{name}.abf", rule=SpikeRule(height=height))
        assert [len(train) for train in read.spike_times()] == counts

    @needs_data
    def test_blunted_spikes_are_told_and_found_with_a_lower_slope(self):
        protocol = ds.load_protocol("recorded").with_(file=EPHYS / "17o05028_ic_steps.abf")
        read = protocol.stimuli[0].recording
        assert [len(train) for train in read.spike_times()][-3:] == [39, 35, 27]
        (told,) = doubts.of_measuring(read, *protocol.window, given=True)
        assert "spike_slope = 20 mV/ms" in told and "not counted: 20, in sweeps 14, 15" in told
        lower = protocol.with_(spike_slope="10 mV/ms").stimuli[0].recording
        assert [len(train) for train in lower.spike_times()][-3:] == [39, 40, 42]

    def test_an_implausible_rate_is_told(self):
        train = 0.1 + 1.5e-3 * np.arange(200)
        v = cell(train, height=0.09, end=0.5)[:, None]
        command = np.zeros_like(v)
        command[2000:8000] = 1e-10
        made = ClampRecording("x", 50e-6, command, v, SpikeRule(height=5e-3, slope=5.0))
        told = doubts.of_measuring(made, 0.1, 0.4, given=True)
        assert "the cell would fire at 6" in told[0] and "spike_height" in told[0]

    @pytest.mark.parametrize(
        ("key", "value"),
        [("spike_slope", "20 mV"), ("spike_slope", "-1 mV/ms"), ("spike_height", "0 mV"),
         ("spike_peak", "1 ms"), ("spike_peak", "[1, 2] mV"), ("spike_height", 3)],
    )  # fmt: skip
    def test_a_wrong_rule_is_told(self, key, value):
        with pytest.raises(DendrosimError, match=key):
            ds.load_protocol("recorded").with_(**{key: value})
