"""Passive properties of a recorded cell, from its responses to hyperpolarising steps."""

from __future__ import annotations

import os
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from dendrosim import checks
from dendrosim.current_clamp.artefacts import SOON
from dendrosim.current_clamp.recorded import ClampRecording, read_abf
from dendrosim.errors import DendrosimError
from dendrosim.time_grid import in_window

Array = NDArray[np.float64]

#: Time before a step over which its baseline is taken (s).
BASELINE = 0.05
#: Shortest step that is used (s), and shortest time at the holding current before it.
SHORTEST, RECOVERY = 0.05, 0.1
#: A step is used if there is no spike from so long before it (s) to its end.
UNDISTURBED = 0.2
#: So few steps, a larger spread of their resistance, or a jump against the current that is a larger
#: part of the resistance is doubtful.
FEW, SPREAD, AGAINST = 2, 0.25, 0.01
#: Part of a step, at its end, over which the steady response is taken.
LAST = 0.1
#: The jump at a step is extrapolated from the response until this time after it (s).
JUMP = 3e-3
#: A running mean of this length (s) finds the time of the extreme potential.
SMOOTH = 5e-3


class CellProperties(NamedTuple):
    """Passive properties of a cell; `str` is one line in the usual units.

    Attributes
    ----------
    rest
        Potential before the steps, in V.
    resistance, steady_resistance
        Input resistance at the extreme of the response and at its end, in ohm, without the series
        resistance.  They differ by the sag.
    tau
        Membrane time constant in s: the slower of two exponentials.
    capacitance
        ``tau / resistance`` in F: the capacitance of an isopotential cell with this response.
    series_resistance
        Resistance of the electrode that the amplifier did not compensate, in ohm: the jump of the
        potential at a step, per current.  0 for a jump against the current.
    steps
        Number of steps that were averaged.
    spread
        Standard deviation of the input resistance over the steps, by its mean; nan for one step.
    jump
        The jump itself per current, in ohm, of either sign.
    """

    rest: float
    resistance: float
    steady_resistance: float
    tau: float
    capacitance: float
    series_resistance: float
    steps: int
    spread: float = np.nan
    jump: float = 0.0

    @property
    def doubts(self) -> list[str]:
        """Sentences on what a reader should doubt."""
        told = []
        if self.steps <= FEW:
            told.append(
                f"The cell's properties are from {self.steps} hyperpolarising step"
                f"{'s' if self.steps != 1 else ''} alone."
            )
        if self.spread > SPREAD:
            told.append(
                f"The input resistance of the cell differs by {self.spread:.0%} between steps: it "
                "is active at rest, or not linear."
            )
        if self.jump < -AGAINST * self.resistance:
            told.append(
                f"The potential jumps against the steps, by {self.jump * -1e-6:.0f} Mohm: noise, "
                "the filter, or too much compensation. The series resistance is taken as 0."
            )
        return told

    def __str__(self) -> str:
        return (
            f"rest {self.rest * 1e3:.1f} mV, input resistance {self.resistance * 1e-6:.0f} Mohm "
            f"({self.steady_resistance * 1e-6:.0f} Mohm after the sag), time constant "
            f"{self.tau * 1e3:.1f} ms, capacitance {self.capacitance * 1e12:.0f} pF, "
            f"uncompensated series resistance {self.series_resistance * 1e-6:.1f} Mohm, from "
            f"{self.steps} hyperpolarising step{'s' if self.steps != 1 else ''}"
            + "".join(f". {doubt}" for doubt in self.doubts).rstrip(".")
        )


def cell_properties(
    recording: ClampRecording | str | os.PathLike, *, compensated: bool = False
) -> CellProperties:
    """Estimate the passive properties of a recorded cell.

    The responses to all hyperpolarising steps from the holding current, without spikes shortly
    before or during them, are averaged in proportion to the current.  The jump at the step,
    extrapolated from 0.2 to 3 ms after it, is that of the series resistance.  Two exponentials that
    end at the extreme potential are fitted to the rise.

    Parameters
    ----------
    recording
        A `ClampRecording`, or the path of an ABF file.
    compensated
        Whether the potential is that of the membrane, such as that of a model: then a jump is the
        charging of a small compartment, and no series resistance.

    Raises
    ------
    DendrosimError
        If the file cannot be read, or has no such step.

    Notes
    -----
    The junction potential is the same constant in every sample, so no recording can tell it.  A
    part of the cell that charges within 0.2 ms counts as series resistance.
    """
    if not isinstance(recording, ClampRecording):
        recording = read_abf(recording)
    checks.flag(compensated, "compensated")
    response, rest, each = _average(recording)
    dt = recording.dt
    width = max(1, round(SMOOTH / dt))
    smooth = np.convolve(response, np.ones(width) / width, mode="valid")
    peak = int(smooth.argmax()) + width // 2
    first = round(SOON / dt) + 1
    times = np.arange(len(response), dtype=np.float64) * dt
    jump = _jump(times, response, first)
    series = 0.0 if compensated else max(jump, 0.0)
    resistance = float(smooth.max()) - series
    rise = slice(first, peak + 1)
    tau = _slower(times[rise], (response[rise] - series) / resistance)
    last = response[-max(1, round(LAST * len(response))) :]
    return CellProperties(
        rest, resistance, float(last.mean()) - series, tau, tau / resistance, series, len(each),
        float(each.std(ddof=1) / abs(each.mean())) if len(each) > 1 else np.nan,
        0.0 if compensated else jump,
    )  # fmt: skip


def _average(recording: ClampRecording) -> tuple[Array, float, Array]:
    """Return the mean response in ohm, the potential before, and the resistance of each step.

    Shapes (samples,), () and (steps,).
    """
    dt, command, voltage = recording.dt, recording.command, recording.voltage
    trains = recording.spike_times()
    found: list[tuple[Array, float, float]] = []
    for epoch in recording.epochs:
        first, stop = round(epoch.start / dt), round(epoch.stop / dt)
        before = first - round(RECOVERY / dt)
        if epoch.pulses > 1 or epoch.stop - epoch.start < SHORTEST or before < 0:
            continue
        early = epoch.start - UNDISTURBED
        for k, train in enumerate(trains):
            level = command[first, k] - command[0, k]
            steady = np.ptp(command[first:stop, k]) == 0 and np.ptp(command[before:first, k]) == 0
            held = command[before, k] == command[0, k]
            if level < 0 and steady and held and not in_window(train, early, epoch.stop).any():
                base = float(voltage[first - round(BASELINE / dt) : first, k].mean())
                found.append((voltage[first:stop, k] - base, float(level), base))
    if not found:
        raise DendrosimError(
            f"{recording.path}: no sweep has a step of at least {SHORTEST * 1e3:g} ms below its "
            "holding current without spikes from 200 ms before it to its end, from which passive "
            "properties could be estimated; noise alone cannot give them, so record such steps"
        )
    length = min(len(v) for v, _, _ in found)
    weight = sum(level**2 for _, level, _ in found)
    mean = sum((v[:length] * level for v, level, _ in found), np.zeros(length)) / weight
    end = max(1, round(LAST * length))
    each = np.array([v[length - end : length].mean() / level for v, level, _ in found])
    return mean, float(np.mean([base for _, _, base in found])), each


def _jump(times: Array, response: Array, first: int) -> float:
    """Return the response at the time of the step, extrapolated from the first milliseconds."""
    stop = max(int(np.searchsorted(times, JUMP)), first + 4)
    return float(np.polyfit(times[first:stop], response[first:stop], 2)[-1])


def _slower(times: Array, response: Array) -> float:
    """Return the slower time constant of a response that rises from 0 to 1."""

    def curve(p: Array) -> Array:
        share, tau, ratio = p
        return 1 - share * np.exp(-times / tau) - (1 - share) * np.exp(-times / (ratio * tau))

    span = float(times[-1])
    early = float(times[int(np.argmax(response > 1 - np.exp(-1)))])
    bounds = ([0.5, span * 1e-3, 1e-3], [1.0, 3 * span, 0.5])
    start = np.clip([0.9, early, 0.1], *bounds)
    fit = least_squares(lambda p: curve(p) - response, start, bounds=bounds, x_scale=start)
    return float(fit.x[1])
