"""The linear response of a cell: input resistance, time constant, impedance, resonance.

Pure functions on NumPy arrays in SI units.  Resistance and impedance are in ohm m^2 for a current
density in A/m^2, and in ohm for a current in A.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from brian2 import hertz, second
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import least_squares

from dendrosim import checks
from dendrosim.errors import DendrosimError
from dendrosim.measures.voltage import trace


class StepResponse(NamedTuple):
    """The response to a small step: resistance in V per unit of current, tau in s."""

    resistance: float
    tau: float


def input_resistance_and_tau(
    times: ArrayLike, voltage: ArrayLike, step_start: float, step_stop: float, amplitude: float
) -> StepResponse:
    """Fit ``V0 + R I (1 - exp(-(t - step_start) / tau))`` to the response to a current step.

    V0 is the mean over the last tenth of the trace before the step, as in eFEL.  The step must
    be small enough for a passive response and long enough for a visible curvature; a sag is not
    part of the fit.

    Parameters
    ----------
    times
        Increasing times in s, shape (n,), from before the step.
    voltage
        In V, shape (n,).
    step_start, step_stop
        Start and end of the step, in s.
    amplitude
        Amplitude of the step, in A/m^2, of either sign.

    Returns
    -------
    StepResponse
        Resistance and tau; if the voltage does not change, 0 and nan.

    Raises
    ------
    DendrosimError
        If the amplitude is 0, or the trace has no sample before the step or fewer than three
        samples during it.
    """
    what = "input_resistance_and_tau"
    step_start = checks.number(step_start, f"{what}: step_start", dim=second.dim)
    step_stop = checks.number(step_stop, f"{what}: step_stop", dim=second.dim)
    amplitude = checks.number(amplitude, f"{what}: amplitude")
    times, voltage = trace(times, voltage, names=["voltage"])
    before, during = times < step_start, (times >= step_start) & (times <= step_stop)
    if amplitude == 0 or not before.any() or during.sum() < 3:
        raise DendrosimError(
            "input_resistance_and_tau: needs an amplitude other than 0, a sample before "
            f"{step_start} s and three from there to {step_stop} s"
        )
    rest = voltage[before][-max(1, before.sum() // 10) :].mean()
    rise, t = voltage[during] - rest, times[during] - step_start
    size, length = np.abs(rise).max(), t[-1]
    if size == 0:
        return StepResponse(0.0, np.nan)

    def misfit(p: NDArray) -> NDArray:
        return p[0] * -np.expm1(-t / (length * np.exp(p[1]))) - rise / size

    guess = np.argmax(np.abs(rise) >= 0.63 * size)  # about one time constant after the start
    first = [rise[-1] / size, np.log(max(t[guess], t[1]) / length)]
    # tau between a thousandth of a sample interval and a thousand step lengths
    bounds = ([-np.inf, np.log(1e-3 * t[1] / length)], [np.inf, np.log(1e3)])
    scale, log_tau = least_squares(misfit, first, bounds=bounds, xtol=1e-12, ftol=1e-12).x
    return StepResponse(float(scale * size / amplitude), float(length * np.exp(log_tau)))


def impedance(
    times: ArrayLike,
    current: ArrayLike,
    voltage: ArrayLike,
    f_min: float,
    f_max: float,
    smoothing: float = 0.5,
) -> tuple[NDArray[np.float64], NDArray[np.complex128]]:
    """Return the impedance from a chirp (or any broadband current) and the voltage response.

    It is the cross spectrum of voltage and current divided by the power of the current.  Both
    are averaged over neighbouring frequencies to reduce voltage noise and the ripples in a
    chirp's spectrum.  No window is applied on purpose: a chirp passes through its frequencies
    one after another, so a window in time would remove frequencies.  Therefore the cell should
    be at rest at the start and at the end: record a few time constants without current after
    the chirp.

    Parameters
    ----------
    times
        Evenly spaced times in s, shape (n,).
    current
        In A/m^2, shape (n,); a constant part is ignored.
    voltage
        In V, shape (n,); a constant part is ignored.
    f_min, f_max
        The band in Hz, inclusive; it should be inside the band of the current.
    smoothing
        Full width of the running average in Hz; 0 for no smoothing.

    Returns
    -------
    frequencies : ndarray, shape (m,)
        In Hz, 1 / (n dt) apart.
    impedance : ndarray of complex, shape (m,)
        In ohm m^2; a negative angle means that the voltage lags.

    Raises
    ------
    DendrosimError
        If the times are not evenly spaced, the band is empty or contains no current,
        or `smoothing` is negative.

    References
    ----------
    Puil, Gimbarzevsky & Miura (1986), J Neurophysiol 55:995-1016.
    Hutcheon & Yarom (2000), Trends in Neurosciences 23:216-222.
    """
    f_min = checks.number(f_min, "impedance: f_min", dim=hertz.dim)
    f_max = checks.number(f_max, "impedance: f_max", dim=hertz.dim, finite=False)
    smoothing = checks.number(smoothing, "impedance: smoothing", dim=hertz.dim)
    times, current, voltage = trace(times, current, voltage, names=["current", "voltage"])
    dt = (times[-1] - times[0]) / (times.size - 1)
    if np.abs(np.diff(times) - dt).max() > 0.01 * dt:
        raise DendrosimError("impedance: the times must be evenly spaced")
    frequencies = np.fft.rfftfreq(times.size, dt)
    if smoothing < 0:
        raise DendrosimError(f"impedance: smoothing must not be negative, not {smoothing} Hz")
    band = (frequencies >= f_min) & (frequencies <= f_max) & (frequencies > 0)
    i, v = np.fft.rfft(current - current.mean()), np.fft.rfft(voltage - voltage.mean())
    if smoothing > frequencies[-1]:
        raise DendrosimError(
            f"impedance: smoothing over {smoothing:g} Hz is more than the {frequencies[-1]:g} Hz "
            "of the sampled spectrum"
        )
    width = 2 * int(smoothing / frequencies[1] / 2) + 1
    cross, power = _running_sum(v * i.conj(), width)[band], _running_sum(abs(i) ** 2, width)[band]
    if not power.size or power.min() <= 0:
        raise DendrosimError(f"impedance: no current between {f_min} and {f_max} Hz")
    return frequencies[band], cross / power


def _running_sum(x: NDArray, width: int) -> NDArray:
    return np.convolve(x, np.ones(width))[width // 2 :][: x.size]


class Resonance(NamedTuple):
    """Frequency of the largest impedance in Hz, and its ratio to that at the lowest frequency."""

    frequency: float
    q: float


def resonance(frequencies: ArrayLike, impedance: ArrayLike) -> Resonance:
    """Return the resonance frequency and the Q value of an impedance profile.

    Q is the largest modulus divided by the modulus at the lowest given frequency.  For a low-pass
    filter, Q is 1 and the "resonance" is that lowest frequency.

    Parameters
    ----------
    frequencies
        In Hz, shape (n,).
    impedance
        Complex impedance or its modulus, shape (n,).

    Raises
    ------
    DendrosimError
        If the two shapes differ, the arrays are empty or a value is not finite.

    References
    ----------
    Hutcheon & Yarom (2000), Trends in Neurosciences 23:216-222.
    """
    frequencies = checks.numbers(frequencies, "resonance: frequencies", dim=hertz.dim, finite=True)
    modulus = np.abs(checks.numbers(impedance, "resonance: impedance", kinds="iufc", finite=True))
    if frequencies.ndim != 1 or frequencies.shape != modulus.shape or not modulus.size:
        raise DendrosimError(
            f"resonance: one impedance per frequency, not {modulus.shape} for {frequencies.shape}"
        )
    peak, lowest = np.argmax(modulus), np.argmin(frequencies)
    return Resonance(float(frequencies[peak]), float(modulus[peak] / modulus[lowest]))
