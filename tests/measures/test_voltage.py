"""Spikes, errors and eFEL's features of a voltage trace."""

import math
import sys

import numpy as np
import pytest
from brian2 import amp, second, volt
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from dendrosim.errors import DendrosimError
from dendrosim.measures import (
    efel_features,
    exclude_spikes,
    level_crossings,
    spike_times_from_trace,
    voltage_error,
)

pytestmark = pytest.mark.filterwarnings("error")

TIMES = np.arange(0, 0.5, 1e-4)
SPIKES = 0.1 + 0.03 * np.arange(10)
FEW = settings(max_examples=60, deadline=None)


def spiking(peak=0.025, spikes=SPIKES):
    """Gaussian spikes of 1 ms at half height from -65 mV."""
    shape = np.exp(-(((TIMES[:, None] - spikes) / 6e-4) ** 2)).sum(axis=1)
    return -0.065 + (peak + 0.065) * shape


class TestCrossings:
    def test_sinusoid_crosses_where_its_arcsine_is(self):
        times = np.linspace(0, 1, 10_001)
        found = level_crossings(times, np.sin(2 * np.pi * 5 * times - 0.3), 0.5)
        expected = (np.arcsin(0.5) + 0.3 + 2 * np.pi * np.arange(5)) / (2 * np.pi * 5)
        assert_allclose(found, expected, atol=1e-7)

    def test_without_interpolation_it_is_the_first_sample_above(self):
        found = level_crossings([0, 1, 2, 3, 4], [0, 1, 2, 0, 5], 1.0, interpolate=False)
        assert found.tolist() == [2, 4]

    def test_at_the_level_is_not_above_it(self):
        assert level_crossings([0, 1, 2], [0, 1, 1], 1.0).size == 0
        assert level_crossings([0, 1, 2], [0, 1, 2], 1.0).tolist() == [1]

    def test_a_trace_that_begins_above_has_not_crossed(self):
        assert level_crossings([0, 1, 2], [5, 5, 0], 1.0).size == 0

    @FEW
    @given(st.lists(st.floats(-0.1, 0.1), min_size=2, max_size=30), st.floats(-0.1, 0.1))
    def test_crossings_lie_before_their_sample(self, v, level):
        times = np.arange(len(v)) * 1e-3
        found = level_crossings(times, v, level)
        later = level_crossings(times, v, level, interpolate=False)
        assert found.size == later.size
        assert ((found <= later) & (found >= later - 1.001e-3)).all()

    @pytest.mark.parametrize(
        ("times", "v"), [([0, 1], [0]), ([0], [0]), ([0, 0], [0, 1]), ([1, 0], [0, 1])]
    )
    def test_bad_traces(self, times, v):
        with pytest.raises(DendrosimError, match="trace"):
            level_crossings(times, v, 0)


class TestError:
    def test_known_numbers(self):
        error = voltage_error([0.0, 0.003, -0.004], [0, 0, 0])
        assert error.rms == pytest.approx(math.sqrt(25e-6 / 3))
        assert error.maximum == pytest.approx(0.004)
        assert voltage_error([0, 1, 9], [0, 0, 0], [True, True, False]).maximum == 1

    def test_no_sample_no_error(self):
        assert np.isnan(voltage_error([1, 2], [1, 2], [False, False])).all()
        assert np.isnan(voltage_error([], [])).all()

    @FEW
    @given(
        st.lists(st.integers(-1000, 1000), min_size=1, max_size=20),
        st.floats(-1, 1),
        st.floats(0.01, 5),
    )
    def test_a_norm(self, millivolts, offset, scale):
        v = np.array(millivolts) / 1e3
        assert voltage_error(v, v) == (0, 0)
        assert_allclose(voltage_error(v + offset, v), abs(offset), atol=1e-12)
        assert_allclose(voltage_error(scale * v, 0 * v), scale * np.array(voltage_error(v, 0 * v)))
        assert voltage_error(v, 0 * v).rms <= voltage_error(v, 0 * v).maximum * (1 + 1e-12)

    def test_shapes(self):
        with pytest.raises(DendrosimError, match="one shape"):
            voltage_error([1, 2], [1])

    @FEW
    @given(
        st.lists(st.integers(0, 100), max_size=5),
        st.integers(0, 10).map(lambda k: k + 0.5),
        st.integers(0, 10).map(lambda k: k + 0.5),
    )
    def test_exclusion_against_a_loop(self, spikes, before, after):
        times = np.arange(100.0)
        expected = [all(t < s - before or t > s + after for s in spikes) for t in times]
        assert exclude_spikes(times, spikes, before, after).tolist() == expected

    def test_both_ends_of_the_window_are_excluded(self):
        assert exclude_spikes([0, 1, 2, 3, 4], [2], 1, 1).tolist() == [1, 0, 0, 0, 1]

    def test_excluding_spikes_leaves_the_subthreshold_error(self):
        v, reference = spiking(), spiking(spikes=SPIKES + 5e-4) - 1e-3
        assert voltage_error(v, reference).maximum > 0.03
        mask = exclude_spikes(TIMES, np.r_[SPIKES, SPIKES + 5e-4], 4e-3, 4e-3)
        assert_allclose(voltage_error(v, reference, mask), 1e-3, rtol=1e-6)

    def test_windows_reach_forwards(self):
        with pytest.raises(DendrosimError, match="before"):
            exclude_spikes([0], [0], -1, 0)


class TestEfel:
    def test_units_and_values(self):
        found = efel_features(
            TIMES,
            spiking(),
            ["spike_count", "peak_voltage", "ISIs", "AP_width", "time_to_first_spike"],
        )
        assert found["spike_count"] == 10
        assert found["peak_voltage"] == pytest.approx(25, abs=0.5)
        assert found["ISIs"] == pytest.approx(30, abs=0.2)
        assert found["time_to_first_spike"] == pytest.approx(100, abs=0.2)

    def test_no_spike_is_nan_and_not_zero(self):
        names = ["spike_count", "mean_frequency", "peak_voltage"]
        for v in (np.full(TIMES.size, -0.065), spiking(peak=-0.030)):
            found = efel_features(TIMES, v, names)
            assert list(found) == names and np.isnan(list(found.values())).all()

    def test_a_low_threshold_finds_small_spikes(self):
        found = efel_features(TIMES, spiking(peak=-0.030), ["spike_count"], threshold=-0.040)
        assert found["spike_count"] == 10

    def test_what_efel_cannot_say_is_nan(self):
        assert math.isnan(efel_features(TIMES, spiking(spikes=SPIKES[:1]), ["ISI_CV"])["ISI_CV"])

    def test_settings_of_efel_are_left_alone(self):
        import efel

        efel.set_setting("Threshold", -33.0)
        try:
            efel_features(TIMES, spiking(), ["spike_count"], threshold=-0.010)
            assert efel.get_settings().Threshold == -33.0
        finally:
            efel.reset()

    def test_deprecated_names_do_not_warn(self):
        assert efel_features(TIMES, spiking(), ["Spikecount"])["Spikecount"] == 10

    @pytest.mark.parametrize("edge", [0.0, 1e-3])
    def test_a_window_is_all_that_is_seen(self, edge):
        """Four of the ten spikes are inside, at 160, 190, 220 and 250 ms."""
        names = ["spike_count", "time_to_first_spike", "time_to_last_spike", "peak_voltage"]
        v = spiking()
        v[TIMES < 0.14] += 0.01  # higher spikes before the window
        found = efel_features(TIMES, v, names, start=0.15 + edge, stop=0.26)
        assert found["spike_count"] == 4
        assert found["time_to_first_spike"] == pytest.approx(10 - edge * 1e3, abs=0.2)
        assert found["time_to_last_spike"] == pytest.approx(100 - edge * 1e3, abs=0.2)
        assert found["peak_voltage"] == pytest.approx(25, abs=0.5)

    @pytest.mark.parametrize("wrong", [math.nan, math.inf])
    def test_a_value_that_is_not_finite_is_told(self, wrong):
        v = spiking()
        v[17] = wrong
        with pytest.raises(DendrosimError, match=f"sample 17 of a trace is {wrong}"):
            efel_features(TIMES, v, ["AP_amplitude"])
        with pytest.raises(DendrosimError, match="sample 17"):
            spike_times_from_trace(TIMES, v)

    @pytest.mark.parametrize(
        ("times", "v", "told"),
        [
            (TIMES * 1e3, spiking(), "a step of 0.1 s"),
            (TIMES, spiking() * 1e3, "v reaches 65 V"),
            (TIMES * 1e3, spiking() * 1e3, "v reaches 65 V"),
            (TIMES * volt, spiking(), "times is in the unit volt"),
            (TIMES * second, spiking() * amp, "v is in the unit amp"),
        ],
    )
    def test_other_units_are_refused(self, times, v, told):
        for measure in (lambda: efel_features(times, v, ["AP_amplitude"]),
                        lambda: spike_times_from_trace(times, v)):  # fmt: skip
            with pytest.raises(DendrosimError, match=told):
                measure()

    def test_quantities_are_what_they_say(self):
        names = ["AP_amplitude"]
        expected = efel_features(TIMES, spiking(), names)
        assert efel_features(TIMES * second, spiking() * volt, names) == expected

    def test_refusals(self, monkeypatch):
        with pytest.raises(DendrosimError, match="did you mean 'AP_width'"):
            efel_features(TIMES, spiking(), ["AP_widht"])
        with pytest.raises(DendrosimError, match="stop"):
            efel_features(TIMES, spiking(), ["AP_width"], start=0.3, stop=0.2)
        with pytest.raises(DendrosimError, match="fewer than two samples"):
            efel_features(TIMES, spiking(), ["AP_width"], start=300, stop=400)
        monkeypatch.setitem(sys.modules, "efel", None)
        with pytest.raises(DendrosimError, match=r'pip install "dendrosim\[efel\]"'):
            efel_features(TIMES, spiking(), ["AP_width"])
