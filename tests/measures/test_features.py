"""Rates, intervals, the f-I curve, bursts and their phase: laws, references and known numbers."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from dendrosim import measures
from dendrosim.errors import DendrosimError
from dendrosim.time_grid import in_window

pytestmark = pytest.mark.filterwarnings("error")

# multiples of 0.1 ms, as in a simulation
TRAINS = st.lists(st.integers(0, 20_000), max_size=25, unique=True).map(lambda k: np.array(k) / 1e4)
FEW = settings(max_examples=60, deadline=None)


def burster(cycles, intervals=(3.68e-3, 2.30e-3, 3.9e-3), period=0.495, first=0.434):
    """Return Pinsky and Rinzel's Fig 2A: four spikes at these intervals, every 495.0 ms."""
    within = np.r_[0, np.cumsum(intervals)]
    return (first + period * np.arange(cycles)[:, None] + within).ravel()


def poisson(rate, duration, seed):
    rng = np.random.default_rng(seed)
    return np.sort(rng.uniform(0, duration, rng.poisson(rate * duration)))


class TestTrain:
    def test_counts_the_steps_that_end_in_the_window(self):
        # one step ends at 0.1, the start of the window, and one at its end
        assert measures.firing_rate([0.0, 0.1, 0.2, 0.3, 0.5], 0.1, 0.5) == pytest.approx(3 / 0.4)
        assert measures.firing_rate([0.1, 0.2], 0.1, 0.5) == pytest.approx(1 / 0.4)

    @pytest.mark.parametrize("dt", [1e-3, 1e-4, 2e-5, 5e-5 / 3])
    def test_a_time_at_an_edge_is_there_whatever_its_rounding(self, dt):
        for step in (1, 3, 7, 1000, 30_001):
            edges = np.array([step * dt, np.nextafter(step * dt, 0), np.nextafter(step * dt, 1e9)])
            assert in_window(edges, 0.0, step * dt).all()
            assert not in_window(edges, step * dt, 2 * step * dt).any()
            assert in_window((step + 1) * dt, step * dt, 2 * step * dt)

        assert measures.firing_rate([], 0, 1) == 0

    def test_latency_counts_from_the_stimulus(self):
        assert measures.first_spike_latency([0.3, 0.05], start=0.1) == pytest.approx(0.2)
        assert math.isnan(measures.first_spike_latency([0.05], start=0.1))

    @pytest.mark.parametrize("train", [[], [0.3], [0.1, 0.3]])
    def test_short_trains_have_no_variation(self, train):
        assert measures.isi(train).size == max(0, len(train) - 1)
        assert math.isnan(measures.cv_isi(train))
        assert math.isnan(measures.adaptation_index(train))

    def test_coincident_spikes_are_not_a_division_by_zero(self):
        assert math.isnan(measures.cv_isi([0.1, 0.1, 0.1]))
        assert math.isnan(measures.adaptation_index([0.1, 0.1, 0.1]))

    def test_variation_of_a_clock_and_of_a_poisson_process(self):
        assert measures.cv_isi(np.arange(9) / 8) == 0
        assert measures.cv_isi(poisson(20, 500, seed=1)) == pytest.approx(1, abs=0.03)

    @FEW
    @given(TRAINS, st.floats(0.1, 10), st.floats(-5, 5))
    def test_shape_of_a_train_survives_scale_and_shift(self, train, scale, shift):
        for feature in (measures.cv_isi, measures.adaptation_index):
            assert_allclose(feature(scale * train + shift), feature(train), atol=1e-7)

    @FEW
    @given(TRAINS)
    def test_adaptation_is_bounded_and_changes_sign_backwards_in_time(self, train):
        forward = measures.adaptation_index(train)
        assert math.isnan(forward) or -1 <= forward <= 1
        assert_allclose(measures.adaptation_index(-train), -forward, atol=1e-12)

    @pytest.mark.parametrize("bad", [[[0.1]], [0.1, np.nan], [np.inf], 0.3])
    def test_a_train_is_one_row_of_finite_times(self, bad):
        with pytest.raises(DendrosimError, match="spike train"):
            measures.isi(bad)

    def test_an_empty_window_is_refused(self):
        with pytest.raises(DendrosimError, match="stop"):
            measures.firing_rate([0.1], 1, 1)


class TestFrequencyCurrentCurve:
    def test_rheobase_is_the_first_amplitude_on_the_grid_that_fires(self):
        assert measures.rheobase([0.3, 0.1, 0.2], [5, 0, 1]) == 0.2
        assert math.isnan(measures.rheobase([0.1, 0.2], [0, 0]))
        assert math.isnan(measures.rheobase([], []))

    @FEW
    @given(st.floats(-10, 10), st.floats(-5, 5))
    def test_gain_is_the_slope_above_rheobase(self, slope, threshold):
        amplitudes = threshold + np.linspace(-1, 1, 9)
        rates = np.where(amplitudes > threshold + 0.1, 100 + slope * (amplitudes - threshold), 0)
        assert measures.gain(amplitudes, rates) == pytest.approx(slope, abs=1e-6)

    def test_gain_equals_polyfit(self):
        x = np.linspace(0, 2, 20)
        y = np.random.default_rng(0).uniform(1, 50, 20)
        assert measures.gain(x, y) == pytest.approx(np.polyfit(x, y, 1)[0])

    @pytest.mark.parametrize("rates", [[0, 0, 0], [0, 0, 3]])
    def test_gain_needs_two_points(self, rates):
        assert math.isnan(measures.gain([1, 2, 3], rates))

    def test_curves_must_fit(self):
        with pytest.raises(DendrosimError, match="per amplitude"):
            measures.rheobase([1, 2], [0])


class TestBursts:
    @pytest.mark.parametrize("cycles", [2, 3, 20])
    def test_pinsky_rinzel(self, cycles):
        found = measures.bursts(burster(cycles), start=0.1)
        assert_allclose(found.onsets, 0.434 + 0.495 * np.arange(cycles))
        assert found.sizes.tolist() == [4] * cycles
        assert found.period == pytest.approx(0.4950)
        assert found.spikes_per_burst == 4
        assert found.onset_latency == pytest.approx(0.334)
        assert found.intra_isi == pytest.approx((3.68e-3 + 2.30e-3 + 3.9e-3) / 3)

    def test_the_last_burst_may_be_cut_off_by_the_end_of_the_recording(self):
        found = measures.bursts(burster(3)[:-2])
        assert found.sizes.tolist() == [4, 4, 2]
        assert found.period == pytest.approx(0.495)

    def test_one_burst_alone_needs_a_fixed_interval(self):
        assert measures.bursts(burster(1)).spikes_per_burst == 1
        found = measures.bursts(burster(1), max_isi=5e-3)
        assert found.spikes_per_burst == 4 and math.isnan(found.period)

    def test_tonic(self):
        for jitter in (0, 0.1):
            rng = np.random.default_rng(0)
            train = np.cumsum(0.1006 * (1 + jitter * rng.standard_normal(40)))
            found = measures.bursts(train)
            assert found.spikes_per_burst == 1 and math.isnan(found.intra_isi)
            assert found.period == pytest.approx(measures.isi(train).mean())

    def test_adapting_and_skipping_cells_are_tonic(self):
        assert measures.bursts(np.cumsum(0.02 * 1.2 ** np.arange(15))).spikes_per_burst == 1
        assert measures.bursts(np.delete(np.arange(20) * 0.02, [4, 9])).spikes_per_burst == 1

    def test_bursts_that_slow_down_stay_whole(self):
        train = burster(4, intervals=[0.002, 0.003, 0.005, 0.009, 0.015, 0.025])
        assert measures.bursts(train).sizes.tolist() == [7] * 4

    def test_noisy_bursts_are_found_and_poisson_trains_do_not_burst(self):
        rng = np.random.default_rng(0)
        inside, pause = (
            rng.lognormal(np.log(5e-3), 0.4, (50, 3)),
            rng.lognormal(np.log(0.2), 0.4, 50),
        )
        found = measures.bursts(np.cumsum(np.c_[pause, inside]))
        assert found.spikes_per_burst == pytest.approx(4, abs=0.1)
        seem_to_burst = [
            not math.isnan(measures.burst_threshold(poisson(20, 5, seed))) for seed in range(40)
        ]
        assert not any(seem_to_burst)

    @pytest.mark.parametrize(("ratio", "burst"), [(1, False), (4.75, False), (6.5, True)])
    def test_how_much_longer_a_pause_must_be(self, ratio, burst):
        limit = measures.burst_threshold(np.cumsum(np.tile([1, 1, 1, ratio], 5)))
        assert limit == pytest.approx(math.sqrt(ratio) if burst else np.nan, nan_ok=True)

    def test_an_interval_of_max_isi_is_inside(self):
        assert measures.bursts([0, 1, 5, 6], max_isi=1).sizes.tolist() == [2, 2]

    def test_single_spikes_between_bursts_are_left_out(self):
        train = np.r_[0.1, 0.104, 0.3, 0.5, 0.504, 0.7, 0.9, 0.904]
        found = measures.bursts(train)
        assert_allclose(found.onsets, [0.1, 0.5, 0.9])
        assert measures.bursts(train, min_spikes=3).spikes_per_burst == 1  # no run is long enough

    def test_empty_and_single(self):
        none, one = measures.bursts([]), measures.bursts([0.3], start=0.1)
        assert none.onsets.size == none.sizes.size == 0
        assert np.isnan([none.period, none.spikes_per_burst, none.onset_latency]).all()
        assert none.sizes.dtype == one.sizes.dtype == np.int64
        assert one.sizes.tolist() == [1] and one.onset_latency == pytest.approx(0.2)
        assert math.isnan(one.period) and math.isnan(one.intra_isi)

    def test_spikes_at_the_same_time_are_one_burst(self):
        assert measures.bursts([0.1, 0.1, 0.5, 0.5], max_isi=0.01).sizes.tolist() == [2, 2]
        assert measures.bursts([0.1] * 6).spikes_per_burst == 1

    @FEW
    @given(TRAINS, st.floats(1e-3, 1))
    def test_every_short_interval_lies_in_a_burst(self, train, max_isi):
        found = measures.bursts(train, max_isi=max_isi)
        gaps = measures.isi(train)
        if (gaps <= max_isi).any():
            assert (found.sizes >= 2).all()
            assert (found.sizes - 1).sum() == (gaps <= max_isi).sum()
        else:
            assert_allclose(found.onsets, np.sort(train))

    @FEW
    @given(TRAINS, st.integers(1, 2))
    def test_default_rule_never_fails_and_lies_between_intervals(self, train, repeats):
        train = np.repeat(train, repeats)
        limit = measures.burst_threshold(train)
        if not math.isnan(limit):
            assert measures.isi(train).min() < limit < measures.isi(train).max()

    @FEW
    @given(st.integers(2, 8), st.floats(1e-3, 1e3), st.floats(-1, 1))
    def test_bursts_have_no_time_scale(self, cycles, scale, shift):
        found = measures.bursts(scale * (burster(cycles) + shift))
        assert found.sizes.tolist() == [4] * cycles
        assert found.period == pytest.approx(scale * 0.495)

    @pytest.mark.parametrize("options", [{"max_isi": 0}, {"max_isi": np.nan}, {"min_spikes": 1}])
    def test_bad_options(self, options):
        with pytest.raises(DendrosimError, match=next(iter(options))):
            measures.bursts([0.1, 0.2], **options)


class TestPhase:
    def test_crests_and_troughs(self):
        crests = 0.2 + (np.arange(10) + 0.25) / 8
        found = measures.burst_phase(crests, frequency=8, start=0.2)
        assert found.mean == pytest.approx(np.pi / 2)
        assert found.vector_strength == pytest.approx(1)
        assert_allclose(found.phases, np.pi / 2)

    def test_uniform_phases_cancel(self):
        found = measures.burst_phase(np.arange(8) / 8 / 5, frequency=5)
        assert found.vector_strength == pytest.approx(0, abs=1e-12)

    def test_von_mises(self):
        phases = np.random.default_rng(0).vonmises(2.0, 3.0, 4000)
        found = measures.burst_phase(
            (phases + 2 * np.pi * np.arange(4000)) / 2 / np.pi, frequency=1
        )
        assert found.mean == pytest.approx(2.0, abs=0.03)
        assert found.vector_strength == pytest.approx(0.8100, abs=0.01)  # I1(3) / I0(3)

    def test_chirp_cycles(self):
        cycles = np.sqrt(np.arange(20.0))  # phase t^2
        events = np.sqrt(np.arange(3, 17) + 0.5)
        found = measures.burst_phase(np.r_[-1, events, cycles[-1], 99], cycles=cycles)
        assert found.phases.size == events.size
        assert found.mean == pytest.approx(np.pi, abs=0.1)
        assert found.vector_strength > 0.999

    def test_cycles_of_a_sinusoid_say_the_same_as_its_frequency(self):
        events = poisson(5, 1.9, seed=3)
        one = measures.burst_phase(events, frequency=4)
        other = measures.burst_phase(events, cycles=np.arange(9) / 4)
        assert_allclose(one.phases, other.phases, atol=1e-9)

    @FEW
    @given(TRAINS, st.floats(0.5, 50), st.floats(-3, 3))
    def test_phases_are_in_one_turn_and_strength_survives_a_shift(self, train, frequency, shift):
        found = measures.burst_phase(train, frequency=frequency)
        moved = measures.burst_phase(train + shift, frequency=frequency)
        assert ((found.phases >= 0) & (found.phases < 2 * np.pi)).all()
        assert_allclose(moved.vector_strength, found.vector_strength, atol=1e-9)
        if train.size:
            assert 0 <= found.mean < 2 * np.pi and found.vector_strength <= 1 + 1e-12

    def test_just_before_a_cycle_and_nothing_at_all(self):
        assert measures.burst_phase([-1e-20], frequency=1).phases.tolist() == [0]
        found = measures.burst_phase([], frequency=1)
        assert (
            found.phases.size == 0 and math.isnan(found.mean) and math.isnan(found.vector_strength)
        )

    @pytest.mark.parametrize(
        "options", [{}, {"frequency": 0}, {"cycles": [1]}, {"frequency": 1, "cycles": [1, 2]}]
    )
    def test_bad_options(self, options):
        with pytest.raises(DendrosimError, match="burst_phase"):
            measures.burst_phase([0.1], **options)


def test_the_adaptation_index_is_efels_without_the_first_interval():
    times = np.arange(0, 0.6, 1e-4)
    spikes = 0.1 + np.cumsum(0.02 * 1.15 ** np.arange(9))
    v = -0.065 + 0.09 * np.exp(-(((times[:, None] - spikes) / 6e-4) ** 2)).sum(axis=1)
    values = measures.efel_features(times, v, ["adaptation_index2"])
    expected = measures.adaptation_index(spikes[1:])
    assert values["adaptation_index2"] == pytest.approx(expected, abs=3e-3)
