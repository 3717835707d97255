"""Stimulation per neuron of a protocol: grid values, onsets, chirps."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dendrosim import checks
from dendrosim.current_clamp import doubts
from dendrosim.current_clamp.epochs import furthest
from dendrosim.current_clamp.recorded import ClampRecording
from dendrosim.model.quantities import display_unit, parse_unit
from dendrosim.simulation.protocol import Protocol
from dendrosim.simulation.recording import Recording
from dendrosim.simulation.shapes import spread
from dendrosim.simulation.stimuli import Stimulus

Array = NDArray[np.float64]


class NeuronAxis(NamedTuple):
    """What the neurons of a protocol are shown over: the x axis of an f-I curve."""

    name: str  #: ``"amplitude"``, ``"command"``, ``"interval"``
    unit: str  #: the usual unit in neuroscience: ``"uA/cm**2"``
    values: Array  #: one value per neuron, in that unit
    is_current: bool  #: whether the rate over it is an f-I curve

    @property
    def label(self) -> str:
        """Name and unit, for the header of a column."""
        return self.name if self.unit == "1" else f"{self.name} ({self.unit})"


def grid(protocol: Protocol, neurons: int) -> NeuronAxis | None:
    """Return the first grid of a protocol with one value per neuron, or None without a grid.

    For a recorded protocol, the grid is the current of each sweep in the measured window.
    """
    checks.instance(protocol, Protocol, "protocol")
    checks.whole(neurons, "neurons", least=1)
    clamp = clamp_recording(protocol, neurons)
    if clamp is not None:
        part = clamp.between(*protocol.window)
        levels = furthest(part, clamp.command[0]) * 1e12
        return NeuronAxis("command", "pA", np.round(levels, 9), bool((part == part[:1]).all()))
    if protocol.grid is None or neurons % protocol.size:
        return None
    key, values = protocol.grid
    unit = display_unit(values)
    numbers = spread(np.asarray(values)[None] / float(parse_unit(unit)), neurons)[0]
    owner = next(s for s in protocol.stimuli if s.sizes.get("sweeps" if key == "sweep" else key))
    # Rheobase and gain are defined for a constant current, not for a pulse, a ramp or noise
    alone = len(protocol.sizes) == 1
    is_current = owner.shape in ("constant", "step") and key == "amplitude" and alone
    return NeuronAxis(key, unit, np.round(numbers, 12), is_current)


def other_grids(recording: Recording, protocol: Protocol) -> dict[str, Array]:
    """Return the other grids than that of `grid`, as column name to one value per neuron."""
    checks.instance(recording, Recording, "recording")
    checks.instance(protocol, Protocol, "protocol")
    shown = protocol.grid and protocol.grid[0]
    found = {}
    for name, values in recording.grids.items():
        if name not in (shown, "sweep"):
            unit = display_unit(values)
            label = name if unit == "1" else f"{name} ({unit})"
            found[label] = np.round(np.asarray(values) / float(parse_unit(unit)), 12)
    return found


def clamp_recording(protocol: Protocol, neurons: int) -> ClampRecording | None:
    """Return the current-clamp recording of a recorded stimulus, one sweep per neuron, or None."""
    checks.instance(protocol, Protocol, "protocol")
    played = [s for s in protocol.stimuli if s.shape == "recorded" and len(s.columns) == neurons]
    return played[0].recording if played else None


def clamp_doubts(protocol: Protocol, neurons: int) -> list[str]:
    """Return the doubts about the current-clamp recording of a protocol; [] without one.

    See `dendrosim.current_clamp.doubts`.
    """
    clamp = clamp_recording(protocol, neurons)
    if clamp is None:
        return []
    found = doubts.of_measuring(clamp, *protocol.window, bool(protocol.given_measure))
    end = float(protocol.duration)
    for stimulus in protocol.stimuli:
        if stimulus.recording is clamp:
            start = float(np.max(stimulus.values["start"]))
            stop = float(np.min(stimulus.values.get("stop", end)))
            found += doubts.of_playing(clamp, start, stop, protocol.window)
    return found


def onsets(protocol: Protocol, neurons: int) -> Array:
    """Return the onset of the first stimulus of each neuron in s; nan without a stimulus.

    The onset of a recorded command is its first change from its holding value in the measured
    window.
    """
    checks.instance(protocol, Protocol, "protocol")
    checks.whole(neurons, "neurons", least=1)
    first = np.full(neurons, np.nan)
    window = protocol.window
    for stimulus in protocol.stimuli:
        start = spread(np.atleast_2d(np.asarray(stimulus.values["start"])), neurons)[0]
        if stimulus.shape == "recorded":
            clamp = stimulus.played
            away = clamp.between(*window) != clamp.command[:1]
            at = np.where(away.any(0), window[0] + away.argmax(0) * clamp.dt, np.nan)
            start = np.maximum(start, spread(at[stimulus.columns][None], neurons)[0])
        first = np.fmin(first, start)
    return first


def is_steady(protocol: Protocol) -> bool:
    """Whether all currents are constant in the measured window."""
    checks.instance(protocol, Protocol, "protocol")
    start, stop = protocol.window
    return all(
        s.shape in ("constant", "step")
        and np.asarray(s.values["start"]).max() <= start + 1e-9
        and np.asarray(s.values.get("stop", np.inf)).min() >= stop - 1e-9
        for s in protocol.stimuli
    )


def chirp_stimulus(protocol: Protocol) -> Stimulus | None:
    """Return the first chirp of a protocol, or None."""
    checks.instance(protocol, Protocol, "protocol")
    return next((s for s in protocol.stimuli if s.shape == "chirp"), None)


def chirp_values(chirp: Stimulus, protocol: Protocol, neuron: int, neurons: int) -> list[float]:
    """Return start and stop (s) and both frequencies (Hz) of the chirp of one neuron."""
    values = {"stop": protocol.duration, **chirp.values}
    keys = ("start", "stop", "f_0", "f_1")
    at = (spread(np.atleast_2d(np.asarray(values[key])), neurons)[0] for key in keys)
    return [float(v[neuron if len(v) > 1 else 0]) for v in at]
