"""Measures of recorded traces: voltage errors, impedance, the shape of spikes.

These are functions of `Recording` and `Protocol`.  For a model whose potential has no physical
scale, the measures are undefined: the result is None or nan.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import NamedTuple

import numpy as np
from brian2 import second
from numpy.typing import NDArray

from dendrosim import checks
from dendrosim.comparison.protocol_measures import mean_where_defined
from dendrosim.measures.linear_response import impedance, resonance
from dendrosim.measures.spike_features import efel_features
from dendrosim.measures.voltage import exclude_spikes, voltage_error
from dendrosim.simulation.neuron_axis import chirp_stimulus, chirp_values
from dendrosim.simulation.protocol import Protocol
from dendrosim.simulation.recording import Recording, volts
from dendrosim.time_grid import in_window

Array = NDArray[np.float64]

#: Time before and after a spike in which the potential is not compared (s).
AROUND_SPIKES = (5e-3, 20e-3)

#: eFEL's name to ours; a spike of eFEL crosses -20 mV.  Half-widths are omitted: if eFEL misses an
#: onset, it measures them between two spikes, and some are below 0.
SPIKE_SHAPE = {
    "AP_amplitude": "spike height (mV)",
    "AP_width": "spike width at -20 mV (ms)",
    "AHP_depth_abs": "after-spike minimum (mV)",
}


def interpolated(recording: Recording, values: Array, times: Array) -> Array:
    """Interpolate the samples of a trace linearly at other times.

    Parameters
    ----------
    values
        Shape (samples, neurons), at the recording's own times.
    times
        In s, shape (m,), within the times of the recording.
    """
    own = recording.times
    if len(own) == len(times) and np.array_equal(own, times):
        return values
    after = np.clip(np.searchsorted(own, times), 1, len(own) - 1)
    weight = ((times - own[after - 1]) / (own[after] - own[after - 1]))[:, None]
    return values[after - 1] * (1 - weight) + values[after] * weight


class Difference(NamedTuple):
    """Difference of two potentials at one place, for the neurons recorded in both."""

    neurons: NDArray[np.int64]  #: indices: column k is of neuron ``neurons[k]``
    times: Array  #: s, shape (m,)
    volts: Array  #: model minus reference, shape (m, neurons)
    counts: NDArray[np.bool_]  #: True away from the spikes of both, shape (m, neurons)


def difference(
    recording: Recording, reference: Recording, start: float, stop: float, place: str = "soma"
) -> Difference | None:
    """Return the potential of a model minus that of the reference, at the reference's times.

    Parameters
    ----------
    start, stop
        The window in s.

    Returns
    -------
    Difference or None
        None if one of the two has no such potential, or if no neuron was recorded in both.
    """
    checks.instance(recording, Recording, "recording")
    checks.instance(reference, Recording, "reference")
    start, stop = checks.window(start, stop, "difference", dim=second.dim)
    neurons = recording.both_recorded(reference)
    if not neurons.size:
        return None
    ours, theirs = (volts(r, place, neurons) for r in (recording, reference))
    if ours is None or theirs is None or min(len(recording.times), len(reference.times)) < 2:
        return None
    stop = min(stop, recording.times[-1])
    window = (reference.times >= start) & (reference.times <= stop)
    times = reference.times[window]
    counts = [
        exclude_spikes(times, np.r_[recording.spikes(k), reference.spikes(k)], *AROUND_SPIKES)
        for k in neurons
    ]
    apart = interpolated(recording, ours, times) - theirs[window]
    return Difference(neurons, times, apart, np.stack(counts, axis=1))


def voltage_errors(
    recording: Recording, reference: Recording, start: float, stop: float
) -> dict[str, float]:
    """Return rms and largest difference of the somatic potentials, and rms of the dendritic ones.

    Only samples away from the spikes of both recordings count (`AROUND_SPIKES`).
    """
    checks.instance(recording, Recording, "recording")
    checks.instance(reference, Recording, "reference")
    start, stop = checks.window(start, stop, "voltage_errors", dim=second.dim)
    errors = dict.fromkeys(("rms voltage error (mV)", "max voltage error (mV)"), np.nan)
    soma = difference(recording, reference, start, stop)
    if soma is not None:
        found = voltage_error(soma.volts, np.zeros_like(soma.volts), soma.counts)
        errors = dict(zip(errors, (found.rms * 1e3, found.maximum * 1e3), strict=True))
    dendrite = difference(recording, reference, start, stop, "dendrite")
    if dendrite is not None:
        found = voltage_error(dendrite.volts, np.zeros_like(dendrite.volts), dendrite.counts)
        errors["rms dendritic voltage error (mV)"] = found.rms * 1e3
    return errors


# Impedance


class Impedances(NamedTuple):
    """Impedance of each recorded neuron, measured with a chirp."""

    neurons: NDArray[np.int64]  #: indices: column k is of neuron ``neurons[k]``
    frequencies: Array  #: Hz, shape (m,)
    values: NDArray  #: complex, ohm m^2, shape (m, neurons); nan for a neuron that spikes

    def of(self, neuron: int) -> NDArray | None:
        """Return the impedance of a neuron, shape (m,); None if it was not recorded."""
        (found,) = np.nonzero(self.neurons == neuron)
        return self.values[:, found[0]] if found.size else None

    @property
    def linear(self) -> NDArray[np.int64]:
        """Indices of the neurons that do not spike; their response is linear."""
        return self.neurons[np.isfinite(self.values).all(axis=0)]


def impedances(recording: Recording, protocol: Protocol) -> Impedances | None:
    """Return the impedance measured with a chirp, from its target places to the soma.

    Returns
    -------
    Impedances or None
        None if the protocol has no chirp, if the chirp differs between neurons, or if the model
        has no potential.
    """
    checks.instance(recording, Recording, "recording")
    checks.instance(protocol, Protocol, "protocol")
    chirp, v = chirp_stimulus(protocol), volts(recording)
    if chirp is None or v is None or {"start", "stop", "f_0", "f_1"} & chirp.sizes.keys():
        return None
    start, stop, f_0, f_1 = chirp_values(chirp, protocol, 0, 1)
    window = recording.times >= start
    times = recording.times[window]
    places = set(recording.meta["potentials"]) | set(chirp.into)
    current = sum(protocol.current(p, times, recording.meta["dt"]) for p in sorted(places))
    current = np.broadcast_to(current, (len(times), recording.n))
    profiles = []
    frequencies = np.empty(0)
    for neuron in recording.recorded:
        own = v[window, recording.column(neuron)]
        diverged = not np.isfinite(own).all()
        frequencies, z = impedance(
            times,
            current[:, neuron],
            np.zeros_like(own) if diverged else own,
            max(min(f_0, f_1), 1 / (stop - start)),
            max(f_0, f_1),
        )
        fires = np.any(recording.spikes(neuron) >= start)
        profiles.append(np.full_like(z, np.nan) if fires or diverged else z)
    return Impedances(recording.recorded, frequencies, np.stack(profiles, axis=1))


def impedance_measures(
    recording: Recording, protocol: Protocol, reference: Recording | None = None
) -> dict[str, float]:
    """Return impedance, resonance and Q of a chirp response, and the error against a reference.

    The error is the root mean square over the band of ``|Z - Z_ref| / |Z_ref|``, in percent.
    Every measure is the mean over the neurons that do not spike.
    """
    checks.instance(recording, Recording, "recording")
    if reference is not None:
        checks.instance(reference, Recording, "reference")
    names = ("impedance at f_0 (kohm*cm**2)", "resonance (Hz)", "Q")
    result = dict.fromkeys(names, np.nan)
    found = impedances(recording, protocol)
    if found is None:
        return result
    silent = [z for neuron in found.linear if (z := found.of(neuron)) is not None]
    peaks = [resonance(found.frequencies, z) for z in silent]
    result = dict.fromkeys(names, np.nan) | {
        names[0]: mean_where_defined([abs(z[0]) for z in silent]) * 10,  # 1 ohm m^2 = 10 kohm cm^2
        names[1]: mean_where_defined([peak.frequency for peak in peaks]),
        names[2]: mean_where_defined([peak.q for peak in peaks]),
    }
    if reference is not None:
        other = impedances(reference, protocol)
        result["impedance error (%)"] = np.nan if other is None else _error(found, other)
    return result


def _error(found: Impedances, other: Impedances) -> float:
    errors = []
    for neuron in np.intersect1d(found.linear, other.linear):
        # recordings with different sampling steps have different spacings of frequency
        ours, theirs = found.of(neuron), other.of(neuron)
        assert ours is not None and theirs is not None  # both recordings have this neuron
        reference = np.interp(found.frequencies, other.frequencies, theirs)
        errors.append(np.sqrt(np.mean(np.abs(ours / reference - 1) ** 2)) * 100)
    return mean_where_defined(errors)


# The shape of spikes


def spike_shape(recording: Recording, neuron: int, start: float, stop: float) -> dict[str, float]:
    """Return eFEL's mean spike of one neuron of a continuous model, in a window.

    The result is empty for a discrete model, whose potential contains no spikes, for a neuron
    without a recorded trace, and if eFEL is not installed.
    """
    checks.instance(recording, Recording, "recording")
    start, stop = checks.window(start, stop, "spike_shape", dim=second.dim)
    neuron = checks.whole(neuron, "neuron", most=recording.n - 1)
    continuous = recording.meta["method"] is not None
    if not (find_spec("efel") and continuous and neuron in recording.recorded):
        return {}
    v = volts(recording, neurons=[neuron])
    if v is None or not np.isfinite(v).all():
        return {}
    # A spike cut by the window, or spikes before it, make eFEL pair onsets with wrong peaks
    train = recording.spikes(neuron)
    start, stop = _between(train, start), _between(train, stop)
    if ((recording.times >= start) & (recording.times <= stop)).sum() < 2:
        return {}
    found = efel_features(
        recording.times, v[:, 0], list(SPIKE_SHAPE), start=float(start), stop=float(stop)
    )
    return {SPIKE_SHAPE[name]: value for name, value in found.items()}


def mean_spike(recording: Recording, start: float, stop: float) -> dict[str, float]:
    """Return the mean of `spike_shape` over the spikes of all neurons with recorded traces.

    Each neuron is weighted by its number of spikes in the window.
    """
    checks.instance(recording, Recording, "recording")
    weights, shapes = [], []
    for neuron in recording.recorded:
        shape = spike_shape(recording, int(neuron), start, stop)
        spikes = int(in_window(recording.spikes(int(neuron)), start, stop).sum())
        if spikes and shape and np.isfinite(list(shape.values())).all():
            weights.append(spikes)
            shapes.append(shape)
    if not shapes:
        return {}
    return {
        name: float(np.average([shape[name] for shape in shapes], weights=weights))
        for name in shapes[0]
    }


def _between(train: Array, time: float) -> float:
    """Return the middle of the interspike interval around a time, or the time itself if none."""
    after = np.searchsorted(train, time)
    return float(train[after - 1 : after + 1].mean()) if 0 < after < len(train) else time
