"""Checks of a stimulus whose values are each valid, but do not fit together.

The checks run when a file is read or a run is planned, not when a stimulus is created, because
values that are changed one after the other may contradict each other in between.
"""

from __future__ import annotations

import numpy as np
from brian2 import Quantity, second

from dendrosim import checks
from dendrosim.errors import DendrosimError
from dendrosim.simulation.shapes import WINDOW
from dendrosim.simulation.stimuli import Stimulus


def check_values(stimulus: Stimulus) -> None:
    """Refuse values that contradict each other.

    Raises
    ------
    DendrosimError
        For such values; the message names the values and what is valid.
    """
    values = stimulus.values
    if np.any(values["start"] < 0):
        raise DendrosimError(
            f"start = {checks.short(values['start'])} is before the run, which begins at 0 ms"
        )
    if "stop" in values and not np.all(values["start"] < values["stop"]):
        ends = np.broadcast_arrays(np.asarray(values["start"]), np.asarray(values["stop"]))
        # the first that is wrong: a sweep has one value for each of many neurons
        k = np.flatnonzero(np.ravel(ends[0] >= ends[1]))[0]
        start, stop = (Quantity(np.ravel(own)[k], dim=second.dim) for own in ends)
        raise DendrosimError(
            f"start = {checks.short(start)} is not before stop = {checks.short(stop)}"
        )
    if stimulus.shape == "chirp" and np.any(values["f_0"] == values["f_1"]):
        raise DendrosimError(
            f"from f_0 = {checks.short(values['f_0'])} to f_1 = {checks.short(values['f_1'])} no "
            "frequency changes; one frequency is the shape 'sine'"
        )
    if stimulus.shape == "ou" and np.any(values["sample"] > values["tau"]):
        raise DendrosimError(
            f"sample = {checks.short(values['sample'])} is longer than tau = "
            f"{checks.short(values['tau'])}, so that the noise has another time constant; give a "
            "shorter sample"
        )
    if stimulus.shape == "pulse_train" and np.any(values["width"] > values["period"]):
        raise DendrosimError(
            f"width = {checks.short(values['width'])} is longer than the period of "
            f"{checks.short(values['period'])}, so the pulses would merge"
        )


def check_times(stimulus: Stimulus, duration: float, dt: float) -> None:
    """Refuse a stimulus that has no effect on a run.

    Parameters
    ----------
    duration, dt
        Duration and time step of the run, in seconds.

    Raises
    ------
    DendrosimError
        If the stimulus is never on; the message names its values and what is valid.
    """
    check_values(stimulus)
    start = stimulus.values["start"]
    stop = stimulus.values.get("stop", Quantity(duration, dim=second.dim))
    if not np.all(np.asarray(start) < duration):
        late = Quantity(np.max(np.asarray(start)), dim=second.dim)
        raise DendrosimError(
            f"start = {checks.short(late)} is not before the end of the run at "
            f"{checks.short(Quantity(duration, dim=second.dim))}"
        )
    first, last = np.atleast_1d(start, stop)
    # the window opens at the step nearest to its start
    times = (np.floor(np.asarray(first) / dt) + np.arange(-1, 3)[:, None]) * dt
    opened = WINDOW({"t": times, "dt": dt, "start": np.asarray(first), "stop": np.asarray(last)})
    if not np.all(np.any(opened * (times < duration - 1e-9 * dt), axis=0)):
        raise DendrosimError(
            f"no step of dt = {_ms(dt)} begins from start = {checks.short(start)} to "
            f"stop = {checks.short(stop)}; give a shorter dt or a longer window"
        )
    width = stimulus.values.get("width")
    if width is not None and np.any(np.asarray(width) < dt * (1 - 1e-9)):
        raise DendrosimError(
            f"width = {checks.short(width)} is shorter than one step of dt = {_ms(dt)}; give "
            "a shorter dt or wider pulses"
        )


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:g} ms"
