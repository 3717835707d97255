"""The linear response, compared with circuits with a known response."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.signal import chirp, lfilter, lsim

from dendrosim.errors import DendrosimError
from dendrosim.measures import impedance, input_resistance_and_tau, resonance

pytestmark = pytest.mark.filterwarnings("error")

R, C = 1.0, 0.02  # ohm m^2 and F/m^2: a membrane with tau = 20 ms
DT = 1e-4


def zap(f_min=0.5, f_max=60.0, duration=20.0, silence=1.0, method="linear"):
    """Return times and a chirp between silent periods, in A/m^2."""
    times = np.arange(0, duration + 2 * silence, DT)
    t = times - silence
    current = 1e-3 * chirp(t, f_min, duration, f_max, method=method, phi=-90)
    return times, np.where((t >= 0) & (t <= duration), current, 0)


def rc(current, rest=-0.07):
    """Exact response of an RC circuit to a current that is linear between samples."""
    tau, a = R * C, math.exp(-DT / (R * C))
    slope = tau / DT * (1 - a)
    return rest + lfilter([R * (1 - slope), R * (slope - a)], [1, -a], current)


class TestImpedance:
    @pytest.mark.parametrize("method", ["linear", "logarithmic"])
    @pytest.mark.parametrize("smoothing", [0, 0.5])
    def test_rc_circuit(self, method, smoothing):
        times, current = zap(method=method)
        f, z = impedance(times, current, rc(current), 1, 50, smoothing)
        exact = R / (1 + 2j * np.pi * f * R * C)
        assert_allclose(abs(z), abs(exact), rtol=0.02)
        assert np.abs(np.angle(z / exact)).max() < 0.02
        assert f[0] >= 1 and f[-1] <= 50

    def test_a_chirp_that_fills_the_recording(self):
        times, current = zap(silence=0)
        f, z = impedance(times, current, rc(current), 1, 50)
        assert_allclose(z, R / (1 + 2j * np.pi * f * R * C), rtol=0.02)

    def test_noise_in_the_voltage_is_averaged_out(self):
        times, current = zap()
        noise = 1e-4 * np.random.default_rng(0).standard_normal(times.size)
        f, z = impedance(times, current, rc(current) + noise, 1, 20)
        assert_allclose(z, R / (1 + 2j * np.pi * f * R * C), rtol=0.06)

    @settings(max_examples=10, deadline=None)
    @given(st.floats(0.01, 100), st.floats(-1, 1), st.floats(-1, 1))
    def test_linear_and_blind_to_constants(self, scale, bias, offset):
        times, current = zap(duration=2.0, silence=0.2)
        v = rc(current)
        _, z = impedance(times, current, v, 5, 40)
        _, again = impedance(times, current + bias, scale * v + offset, 5, 40)
        assert_allclose(again, scale * z, rtol=1e-6)

    def test_constants_do_not_leak_into_the_lowest_frequencies(self):
        times, current = zap(f_min=0.1)
        f, z = impedance(times, current + 0.1, rc(current), 0, 5)
        assert f[0] == pytest.approx(1 / times.size / DT)
        assert_allclose(z, R / (1 + 2j * np.pi * f * R * C), rtol=0.02)

    def test_resonant_circuit(self):
        # R_L and L in parallel to the membrane act like a slow potassium current
        r_l, inductance = 0.2, 0.01
        system = ([inductance, r_l], [inductance * C, r_l * C + inductance / R, r_l / R + 1])
        times, current = zap(f_max=40)
        _, v, _ = lsim(system, current, times)
        f, z = impedance(times, current, v, 0.5, 30)
        s = 2j * np.pi * f
        exact = 1 / (1 / R + s * C + 1 / (r_l + s * inductance))
        assert_allclose(z, exact, rtol=0.02)
        found, expected = resonance(f, z), resonance(f, exact)
        assert found.frequency == pytest.approx(expected.frequency, abs=0.2)
        assert 5 < expected.frequency < 20 and expected.q > 2
        assert found.q == pytest.approx(expected.q, rel=0.02)

    def test_refusals(self):
        times, current = zap(duration=1, silence=0)
        with pytest.raises(DendrosimError, match="no current between 100000"):
            impedance(times, current, current, 1e5, 1e6)
        with pytest.raises(DendrosimError, match="no current"):
            impedance(times, 0 * current, current, 1, 10)
        with pytest.raises(DendrosimError, match="evenly"):
            impedance(times**2 + times, current, current, 1, 10)
        with pytest.raises(DendrosimError, match="smoothing"):
            impedance(times, current, current, 1, 10, smoothing=-1)
        with pytest.raises(DendrosimError, match="trace"):
            impedance(times, current[1:], current, 1, 10)


class TestResonance:
    def test_low_pass_has_none(self):
        f = np.linspace(0.5, 50, 100)
        assert resonance(f, R / (1 + 2j * np.pi * f * R * C)) == (0.5, 1.0)

    def test_known_profile(self):
        assert resonance([3, 1, 2], [1.5, 1j, -3]) == (2, 3)

    def test_refusals(self):
        for f, z in [([1, 2], [1]), ([], [])]:
            with pytest.raises(DendrosimError, match="per frequency"):
                resonance(f, z)


class TestStep:
    @settings(max_examples=40, deadline=None)
    @given(
        st.floats(1e-3, 10),
        st.floats(2e-3, 0.1),
        st.sampled_from([-1e-3, 2e-3]),
        st.floats(-0.1, 0.1),
    )
    def test_exponential(self, resistance, tau, amplitude, rest):
        times = np.arange(0, 0.7, 5e-4)
        t = np.clip(times - 0.1, 0, 0.5)
        v = rest + resistance * amplitude * (1 - np.exp(-t / tau))
        found = input_resistance_and_tau(times, v, 0.1, 0.6, amplitude)
        assert found.resistance == pytest.approx(resistance, rel=1e-5)
        assert found.tau == pytest.approx(tau, rel=1e-5)

    def test_rc_circuit_with_noise(self):
        times = np.arange(0, 0.5, DT)
        current = np.where((times >= 0.1) & (times < 0.4), -1e-3, 0)
        noise = 2e-5 * np.random.default_rng(0).standard_normal(times.size)
        found = input_resistance_and_tau(times, rc(current) + noise, 0.1, 0.3999, -1e-3)
        assert found.resistance == pytest.approx(R, rel=0.01)
        assert found.tau == pytest.approx(R * C, rel=0.02)

    def test_a_step_too_short_to_settle(self):
        times = np.arange(0, 0.2, DT)
        v = 1e-3 * (1 - np.exp(-np.clip(times - 0.1, 0, None) / 0.05))
        found = input_resistance_and_tau(times, v, 0.1, 0.13, 1e-3)
        assert found == pytest.approx((1, 0.05), rel=1e-4)

    def test_rest_is_what_was_just_before_the_step(self):
        times = np.arange(0, 1, DT)
        v = 1e-3 * (1 - np.exp(-np.clip(times - 0.5, 0, None) / 0.02)) + 0.01 * (times < 0.4)
        assert input_resistance_and_tau(times, v, 0.5, 0.9, 1e-3) == pytest.approx((1, 0.02))

    def test_no_answer(self):
        found = input_resistance_and_tau([0, 1, 2, 3], [5, 5, 5, 5], 1, 3, 1.0)
        assert found.resistance == 0 and math.isnan(found.tau)

    @pytest.mark.parametrize(("start", "stop", "amplitude"), [(1, 3, 0), (0, 3, 1), (2.5, 3, 1)])
    def test_refusals(self, start, stop, amplitude):
        with pytest.raises(DendrosimError, match="needs an amplitude"):
            input_resistance_and_tau([0, 1, 2, 3], [0, 0, 1, 1], start, stop, amplitude)
