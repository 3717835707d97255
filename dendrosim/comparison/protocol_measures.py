"""Measures of spike trains under a protocol, for the table and the curves of a comparison.

These are functions of plain spike trains (seconds, one array per neuron) and a `Protocol`, so that
the same code measures the spikes of a real cell and of a model.  The name of each measure states
its unit.  An undefined measure is nan, never 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

import numpy as np
from brian2 import second
from numpy.typing import ArrayLike, NDArray

from dendrosim import checks
from dendrosim.errors import DendrosimError
from dendrosim.measures.burst_detection import burst_phase, burst_threshold, bursts
from dendrosim.measures.spike_distance import coincidence_factor, van_rossum, victor_purpura
from dendrosim.measures.trains import (
    counts_in_window,
    first_spike_latency,
    gain,
    rheobase,
    sorted_train,
)
from dendrosim.simulation.neuron_axis import (
    NeuronAxis,
    chirp_stimulus,
    chirp_values,
    is_steady,
    onsets,
)
from dendrosim.simulation.protocol import Protocol
from dendrosim.time_grid import in_window

Array = NDArray[np.float64]
Trains = Sequence[Array]

#: Spikes at most this far apart coincide; time scale of the two distances (s).
COINCIDENCE, TIMESCALE = 2e-3, 10e-3


# One row per neuron


def curve(trains: Trains, protocol: Protocol) -> dict[str, NDArray]:
    """Return the measures of each neuron's train in the measured window of a protocol.

    Parameters
    ----------
    trains
        Spike times in s, one array per neuron.
    protocol
        Bursts have a period only if the current is constant, and they are not measured under a
        recorded command, which may step up and down.  A latency is from the onset of the stimulus
        to the first spike, if both lie in the window.

    Returns
    -------
    dict
        Column name to array of one value per neuron.
    """
    checks.instance(protocol, Protocol, "protocol")
    trains = _trains(trains, "trains")
    start, stop = protocol.window
    counts = counts_in_window(trains, start, stop)
    pairs = zip(trains, onsets(protocol, len(trains)), strict=True)
    latency = [
        first_spike_latency(t[in_window(t, start, stop)], at, stop)
        if start - 1e-9 <= at < stop
        else np.nan
        for t, at in pairs
    ]
    steady = is_steady(protocol)
    recorded = any(s.shape == "recorded" for s in protocol.stimuli)
    found = np.full((len(trains), 2), np.nan)
    for k, train in enumerate(trains):
        if not recorded:
            found[k] = burst_shape(train, start, stop, float(protocol.duration), steady)
    return {
        "spikes": counts,
        "rate (Hz)": counts / (stop - start),
        "burst period (ms)": found[:, 0] * 1e3 if steady else np.full(len(trains), np.nan),
        "spikes per burst": found[:, 1],
        "first spike latency (ms)": np.array(latency, dtype=float) * 1e3,
    }


def burst_shape(
    train: Array, start: float, stop: float, end: float, steady: bool = True
) -> tuple[float, float]:
    """Return the period (s) of the bursts that begin in a window, and the spikes per burst.

    A burst may end after the window.  A burst that may be cut by the end of the run is left out
    if there are others.  A tonic train has one spike per burst.

    Parameters
    ----------
    train
        Spike times in s, shape (n,).
    start, stop, end
        Start and stop of the window and end of the run in s.
    steady
        Whether the current is constant.  Then a tonic train is never silent for longer than its
        longest interval, so a longer silence indicates a single burst.  Otherwise, two or more
        spikes without a pause may be a burst or tonic firing, and both numbers are nan.
    """
    start, stop = checks.window(start, stop, "burst_shape", dim=second.dim)
    end = checks.number(end, "burst_shape: end", dim=second.dim)
    checks.flag(steady, "burst_shape: steady")
    train = sorted_train(train)
    inside = train[in_window(train, start, stop)]
    longest = burst_threshold(inside)
    if np.isnan(longest) and steady and inside.size > 1:
        interval = np.diff(inside).max()
        silence = max(inside[0] - start, stop - inside[-1])
        if silence > 6 * interval > 0:
            longest = np.sqrt(silence * interval)
    if np.isnan(longest):
        if inside.size < 2:
            return np.nan, 1.0 if inside.size else np.nan
        return (float(np.diff(inside).mean()), 1.0) if steady else (np.nan, np.nan)
    found = bursts(train, float(longest))
    last = train[np.searchsorted(train, found.onsets) + found.sizes - 1]
    begun = in_window(found.onsets, start, stop)
    whole = begun & (last + longest <= end)
    sizes = found.sizes[whole if whole.any() else begun]
    periods = np.diff(found.onsets[begun])
    return (
        float(periods.mean()) if periods.size else np.nan,
        float(sizes.mean()) if sizes.size else np.nan,
    )


# One row per model


def fi_measures(points: NeuronAxis, rates: Array) -> dict[str, float]:
    """Return rheobase, gain and highest rate of an f-I curve.

    For a recorded command, only sweeps that do not hyperpolarise count.  A neuron that is silent
    at the largest current is blocked; its gain is then measured up to its highest rate.
    """
    keep = points.values >= 0 if points.name == "command" else np.ones(rates.shape, dtype=bool)
    order = np.argsort(points.values[keep], kind="stable")
    x, y = points.values[keep][order], rates[keep][order]
    rising = slice(None, np.argmax(y) + 1) if y.size and y[-1] == 0 else slice(None)
    unit = "" if points.unit == "1" else f" ({points.unit})"
    return {
        f"rheobase{unit}": rheobase(x, y),
        f"gain (Hz per {points.unit})": gain(x[rising], y[rising]),
        "highest rate (Hz)": float(y.max()) if y.any() else np.nan,
    }


def chirp_phase(trains: Trains, protocol: Protocol) -> dict[str, float]:
    """Return phase and locking of burst onsets in a chirp; phase 0 is the upward zero crossing."""
    checks.instance(protocol, Protocol, "protocol")
    trains = _trains(trains, "trains")
    chirp = chirp_stimulus(protocol)
    if chirp is None:
        raise DendrosimError(f"chirp_phase: the protocol {protocol.name!r} has no chirp")
    turns = [np.empty(0)]
    for k, train in enumerate(trains):
        start, stop, f_0, f_1 = chirp_values(chirp, protocol, k, len(trains))
        begin = bursts(train[in_window(train, start, stop)]).onsets - start
        turns.append(f_0 * begin + 0.5 * (f_1 - f_0) * begin**2 / (stop - start))
    # burst_phase takes times; at 1 Hz, a time in seconds equals a number of turns
    phase = burst_phase(np.concatenate(turns), 1.0)
    return {
        "burst onset phase (deg)": float(np.degrees(phase.mean)),
        "burst phase locking": phase.vector_strength,
    }


def train_errors(trains: Trains, reference: Trains, start: float, stop: float) -> dict[str, float]:
    """Return the errors of the trains of a model against those of a reference in a window.

    Returns
    -------
    dict
        ``rate error (Hz)``, the root mean square over neurons; the mean over neurons of the
        coincidence factor (if one of the two fires) and, if Elephant is installed, of the
        van Rossum and Victor-Purpura distances.
    """
    start, stop = checks.window(start, stop, "train_errors", dim=second.dim)
    trains, reference = _trains(trains, "trains"), _trains(reference, "reference")
    if len(trains) != len(reference):
        raise DendrosimError(
            f"train_errors: {len(trains)} trains, but {len(reference)} of the reference"
        )
    pairs = [
        (a[in_window(a, start, stop)], b[in_window(b, start, stop)])
        for a, b in zip(reference, trains, strict=True)
    ]
    length = stop - start
    gamma = np.array([coincidence_factor(a, b, COINCIDENCE, length) for a, b in pairs])
    defined = gamma[np.isfinite(gamma)]
    difference = np.array([len(b) - len(a) for a, b in pairs]) / length
    errors = {
        "rate error (Hz)": float(np.sqrt(np.mean(difference**2))),
        "coincidence factor": float(defined.mean()) if defined.size else np.nan,
    }
    if find_spec("elephant"):
        rossum = [van_rossum(*pair, TIMESCALE) for pair in pairs]
        purpura = [victor_purpura(*pair, 1 / TIMESCALE) for pair in pairs]
        errors["van Rossum distance"] = float(np.mean(rossum))
        errors["Victor-Purpura distance"] = float(np.mean(purpura))
    return errors


def mean_where_defined(values: ArrayLike) -> float:
    """Return the mean of the values that are not nan; if all are nan, nan without a warning."""
    found = np.asarray(checks.numbers(values, "values"), dtype=float)
    found = found[np.isfinite(found)]
    return float(found.mean()) if found.size else np.nan


def _trains(trains: Trains | np.ndarray, name: str) -> Trains:
    """Return the checked trains; refuse a single train instead of a list."""
    if np.ndim(trains) != 2 if isinstance(trains, np.ndarray) else not checks.is_row(trains):
        raise DendrosimError(f"{name} = {checks.short(trains)} should be a list of spike trains")
    return [sorted_train(train, f"{name}[{k}]") for k, train in enumerate(trains)]
