"""Distances between spike trains, compared with simple loops."""

import math
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dendrosim.errors import DendrosimError
from dendrosim.measures import coincidence_factor, coincidences, van_rossum, victor_purpura

pytestmark = pytest.mark.filterwarnings("error")

TRAINS = st.lists(st.integers(0, 10_000), max_size=12, unique=True).map(
    lambda k: np.sort(k) / 1e4  # multiples of 0.1 ms
)
FEW = settings(max_examples=50, deadline=None)


def poisson(rate, duration, rng):
    return np.sort(rng.uniform(0, duration, rng.poisson(rate * duration)))


def largest_matching(a, b, precision):
    """Return the size of the largest pairing: the longest path through the table of pairs."""
    table = np.zeros((len(a) + 1, len(b) + 1), dtype=int)
    for i, s in enumerate(a):
        for j, t in enumerate(b):
            near = abs(s - t) <= precision + 1e-12
            table[i + 1, j + 1] = max(table[i, j + 1], table[i + 1, j], table[i, j] + near)
    return table[-1, -1]


def victor_purpura_loop(a, b, cost):
    """Victor and Purpura's dynamic programming, cell by cell."""
    table = np.add.outer(np.arange(len(a) + 1.0), np.arange(len(b) + 1.0))
    for i, s in enumerate(a):
        for j, t in enumerate(b):
            move = table[i, j] + cost * abs(s - t)
            table[i + 1, j + 1] = min(table[i, j + 1] + 1, table[i + 1, j] + 1, move)
    return table[-1, -1]


def van_rossum_loop(a, b, tau):
    """Closed form: the overlap of the exponentials exp(-t/tau) is exp(-|s - t|/tau)."""

    def overlap(x, y):
        return sum(math.exp(-abs(s - t) / tau) for s in x for t in y)

    return math.sqrt(max(0, overlap(a, a) + overlap(b, b) - 2 * overlap(a, b)))


class TestCoincidence:
    @FEW
    @given(TRAINS, TRAINS, st.integers(0, 200))
    def test_pairing_is_the_largest_there_is(self, a, b, tenths):
        assert coincidences(a, b, tenths / 1e4) == largest_matching(a, b, tenths / 1e4)

    def test_each_spike_has_one_partner(self):
        assert coincidences([0.1], [0.099, 0.1, 0.101], 0.002) == 1
        assert coincidences([0.1, 0.101], [0.1005], 0.002) == 1

    def test_a_difference_of_the_precision_coincides(self):
        a = np.arange(1, 500) / 1e3
        assert coincidences(a[::10], a[::10] + 2e-3, 2e-3) == 50

    def test_known_number(self):
        # N_a = 4, N_b = 2, 2 coincide; nu Delta = 2 * 0.002; <N> = 2 * 0.004 * 4 = 0.032
        gamma = coincidence_factor([0.1, 0.2, 0.3, 0.4], [0.101, 0.3], 0.002, 1.0)
        assert gamma == pytest.approx((2 - 0.032) / 3 / (1 - 0.008))

    @FEW
    @given(TRAINS.filter(len))
    def test_equal_trains(self, a):
        assert coincidence_factor(a, a, 2e-3, 1) == pytest.approx(1)

    @FEW
    @given(TRAINS, TRAINS, st.integers(1, 300), st.floats(-5, 5))
    def test_at_most_one_and_the_same_for_shifted_trains(self, a, b, tenths, shift):
        precision = tenths / 1e4
        gamma = coincidence_factor(a, b, precision, 1)
        assert math.isnan(gamma) or gamma <= 1 + 1e-12
        moved = coincidence_factor(a + shift, b + shift, precision, 1)
        assert moved == pytest.approx(gamma, nan_ok=True)

    @FEW
    @given(TRAINS, TRAINS)
    def test_symmetric_for_equal_counts(self, a, b):
        n = min(a.size, b.size)
        a, b = a[:n], b[:n]
        there, back = coincidence_factor(a, b, 2e-3, 1), coincidence_factor(b, a, 2e-3, 1)
        assert there == pytest.approx(back, nan_ok=True)

    def test_chance_is_zero_and_a_jittered_copy_is_one(self):
        rng = np.random.default_rng(0)
        a, b = poisson(20, 400, rng), poisson(20, 400, rng)
        assert coincidence_factor(a, b, 2e-3, 400) == pytest.approx(0, abs=0.02)
        jittered = a + rng.uniform(-1e-3, 1e-3, a.size)
        assert coincidence_factor(a, jittered, 2e-3, 400) > 0.99

    def test_silence(self):
        assert math.isnan(coincidence_factor([], [], 2e-3, 1))
        assert coincidence_factor([0.1], [], 2e-3, 1) == coincidence_factor([], [0.1], 2e-3, 1) == 0

    def test_windows_that_cover_the_recording_say_nothing(self):
        assert math.isnan(coincidence_factor([0.5], np.arange(10) / 10, 0.05, 1))

    @pytest.mark.parametrize(("precision", "duration"), [(0, 1), (-1, 1), (1e-3, 0), (np.nan, 1)])
    def test_bad_options(self, precision, duration):
        with pytest.raises(DendrosimError, match="positive"):
            coincidence_factor([0.1], [0.1], precision, duration)


class TestDistances:
    @FEW
    @given(TRAINS, TRAINS, st.sampled_from([0, 1, 20.0, 333.0, 1e5]))
    def test_victor_purpura_against_the_loop(self, a, b, cost):
        assert victor_purpura(a, b, cost) == pytest.approx(
            victor_purpura_loop(a, b, cost), abs=1e-8
        )

    @FEW
    @given(TRAINS, TRAINS, st.sampled_from([1e-3, 0.01, 0.2, 5.0]))
    def test_van_rossum_against_the_closed_form(self, a, b, tau):
        assert van_rossum(a, b, tau) == pytest.approx(van_rossum_loop(a, b, tau), abs=1e-6)

    @pytest.mark.parametrize(
        "distance", [lambda a, b: victor_purpura(a, b, 100), lambda a, b: van_rossum(a, b, 0.01)]
    )
    @FEW
    @given(TRAINS, TRAINS, TRAINS, st.floats(-5, 5))
    def test_a_metric_that_ignores_shifts(self, distance, a, b, c, shift):
        d = distance(a, b)
        assert distance(a, a) == 0
        assert (d > 1e-4) == (not np.array_equal(a, b))
        assert distance(b, a) == pytest.approx(d, abs=1e-6)
        assert distance(a + shift, b + shift) == pytest.approx(d, abs=1e-6)
        assert d <= distance(a, c) + distance(c, b) + 1e-6

    @FEW
    @given(TRAINS, TRAINS, st.floats(0.1, 10))
    def test_time_scale_cancels(self, a, b, scale):
        assert victor_purpura(scale * a, scale * b, 50 / scale) == pytest.approx(
            victor_purpura(a, b, 50), abs=1e-8
        )
        assert van_rossum(scale * a, scale * b, scale * 0.02) == pytest.approx(
            van_rossum(a, b, 0.02), abs=1e-6
        )

    def test_known_numbers(self):
        assert van_rossum([0.1], [], 0.01) == pytest.approx(1)
        assert van_rossum([0.1], [9.0], 0.01) == pytest.approx(math.sqrt(2))
        assert van_rossum([0.1, 0.2, 0.3], [0.5], np.inf) == pytest.approx(2)
        assert victor_purpura([0.1], [0.105], 100) == pytest.approx(0.5)
        assert victor_purpura([0.1], [0.2], 100) == pytest.approx(2)
        assert victor_purpura([], [0.1, 0.2], 100) == 2
        assert victor_purpura([], [], 1) == van_rossum([], [], 1) == 0

    def test_nearly_equal_trains_do_not_warn(self):
        rng = np.random.default_rng(0)
        for _ in range(50):
            a = poisson(50, 2, rng)
            assert van_rossum(a, a + 1e-17 * rng.standard_normal(a.size), 0.01) < 1e-5

    def test_order_of_spikes_does_not_matter(self):
        assert van_rossum([0.3, 0.1], [0.2, 0.05], 0.01) == van_rossum(
            [0.1, 0.3], [0.05, 0.2], 0.01
        )
        assert victor_purpura([0.3, 0.1], [0.1, 0.3], 10) == 0

    @pytest.mark.parametrize("bad", [-1, np.nan])
    def test_bad_options(self, bad):
        with pytest.raises(DendrosimError, match="tau"):
            van_rossum([0.1], [0.2], bad)
        with pytest.raises(DendrosimError, match="cost"):
            victor_purpura([0.1], [0.2], bad)

    def test_a_missing_extra_is_named(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "elephant", None)
        with pytest.raises(DendrosimError, match=r'pip install "dendrosim\[metrics\]"'):
            van_rossum([0.1], [0.2], 0.01)
