"""Targets of a fit: responses of a model, of a saved run, of a recorded cell, or of a table."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dendrosim import checks
from dendrosim.current_clamp.passive import BASELINE, CellProperties, cell_properties
from dendrosim.current_clamp.recorded import ClampRecording
from dendrosim.errors import DendrosimError
from dendrosim.fitting.electrode import Electrode
from dendrosim.fitting.features import Response
from dendrosim.fitting.fitted import Fitted
from dendrosim.fitting.responses import Runs, respond
from dendrosim.fitting.spike_times import spikes_of
from dendrosim.fitting.tables import read_table
from dendrosim.model.model import Model
from dendrosim.model.toml import as_model
from dendrosim.simulation import neuron_axis
from dendrosim.simulation.protocol import Protocol
from dendrosim.simulation.recording import Recording, load_recording, volts
from dendrosim.simulation.run import TRACE_STEP
from dendrosim.simulation.run_description import describe_stimuli
from dendrosim.simulation.stimuli import Stimulus

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Target:
    """What a fit should come close to, under one protocol.

    Attributes
    ----------
    protocol
        The protocol.
    responses
        One per value of the protocol's grid.
    clamp
        The current-clamp recording that the responses are from; None for other targets.
    series_resistance
        What was subtracted from its potential, in ohm.
    cell
        Properties of the cell from all sweeps of its file; None if they cannot be estimated.
    known_spikes
        Whether a simulation tells the spikes, and not the recorded potential.
    rises
        Number of fast rises of a recorded potential, see `find_spikes`; None for a simulation.
    """

    protocol: Protocol
    responses: tuple[Response, ...]
    clamp: ClampRecording | None = None
    series_resistance: float = 0.0
    cell: CellProperties | None = None
    known_spikes: bool = False
    rises: int | None = None

    @property
    def name(self) -> str:
        """Name of the protocol."""
        return self.protocol.name

    @property
    def identity(self) -> str:
        """Text that is equal for the same data under the same stimuli."""
        told = [describe_stimuli(self.protocol), float(self.protocol.duration)]
        return f"{self.protocol.window} {told} {digest([self])}"

    @property
    def times(self) -> Array | None:
        """Times of the potential in s, at which candidates are compared; None without one."""
        return self.responses[0].times if self.responses[0].v is not None else None


def digest(targets: Sequence[Target]) -> str:
    """Return a hash of the data of targets."""
    data = hashlib.sha256()
    for target in targets:
        for r in target.responses:
            for part in (r.train, r.times, r.v if r.v is not None else np.empty(0)):
                data.update(np.ascontiguousarray(part).tobytes())
    return data.hexdigest()[:16]


def targets_of(
    data: Any, protocols: Sequence[Protocol], runs: Runs, what: str = "data",
    electrode: Electrode | None = None, model: Model | None = None, free: Collection[str] = (),
) -> list[Target]:  # fmt: skip
    """Return the targets of a fit: the data under each protocol.

    Parameters
    ----------
    data
        A model (or its name or path), whose runs are the targets; or one recording per protocol: a
        `Recording`, or a file: ``.nc`` of `Recording.save`, ``.abf`` (for a recorded protocol), or
        ``.csv`` with a column of times in s and one column of the potential in V per stimulus.

    electrode
        Corrections of a recorded cell; None for none.
    model, free
        The fitted model, whose threshold times the spikes of a recorded potential, and the full
        names of its free values; None for the times of `find_spikes`.

    Raises
    ------
    DendrosimError
        If the data do not fit the protocols.
    """
    electrode = Electrode() if electrode is None else electrode
    if is_model(data):
        _refuse_corrections(electrode, data)
        own = as_model(data)
        return [_of_model(own, protocol, runs) for protocol in protocols]
    fitted = Fitted.of(model, runs, free)
    several = checks.is_row(data) and not isinstance(data, str)
    listed = list(data) if several else [data]
    if len(listed) != len(protocols):
        raise DendrosimError(
            f"{what}: {len(listed)} recording(s) for {len(protocols)} protocol(s); give one each"
        )
    pairs = zip(listed, protocols, strict=True)
    return [_of_data(one, p, what, electrode, fitted) for one, p in pairs]


def is_model(data: Any) -> bool:
    """Whether data are a model, or the name or path of one, and not a recording."""
    if isinstance(data, str | os.PathLike):
        return Path(data).suffix.lower() in ("", ".toml") or ":" in str(data)
    return isinstance(data, Model)


def _of_model(model: Model, protocol: Protocol, runs: Runs) -> Target:
    (found,) = respond(model, protocol, {}, 1, runs)
    if found is None:
        raise DendrosimError(f"{model.name} diverges under {protocol.name}; it cannot be a target")
    return Target(protocol, tuple(found), known_spikes=True)


def _refuse_corrections(electrode: Electrode, data: Any) -> None:
    if electrode != Electrode():
        raise DendrosimError(
            "series_resistance and junction correct the potential of a recorded cell (.abf); "
            f"{checks.short(data)} is not one"
        )


def _of_data(
    data: Any, protocol: Protocol, what: str, electrode: Electrode, fitted: Fitted
) -> Target:
    if isinstance(data, str | os.PathLike) and Path(data).suffix.lower() == ".abf":
        return _of_cell(Path(data), protocol, what, electrode, fitted)
    _refuse_corrections(electrode, data)
    if isinstance(data, str | os.PathLike):
        path = Path(data)
        if path.suffix.lower() == ".csv":
            return _of_table(path, protocol, what, fitted)
        data = load_recording(path)
    if isinstance(data, Model):
        raise DendrosimError(
            f"{what} is a list, so that each entry should be a Recording or a file; for a model as "
            "the target, give the model itself"
        )
    if not isinstance(data, Recording):
        raise DendrosimError(
            f"{what} = {checks.short(data)} should be a model, a Recording or a file"
        )
    if data.n != protocol.size:
        raise DendrosimError(
            f"{what}: the recording has {data.n} neuron(s), but {protocol.name} has "
            f"{protocol.size} stimuli"
        )
    if abs(data.duration - float(protocol.duration)) > 1e-6 * data.duration:
        raise DendrosimError(
            f"{what}: the recording lasts {data.duration:g} s, but {protocol.name} "
            f"{float(protocol.duration):g} s"
        )
    v = volts(data)
    if v is not None and len(data.recorded) < data.n:
        raise DendrosimError(f"{what}: the traces of some neurons were not recorded")
    times, v = fitted.thinned(data.times, v)
    return Target(protocol, _responses(data.trains, times, v, protocol), known_spikes=True)


def _responses(
    trains: Sequence[Array], times: NDArray, v: NDArray | None, protocol: Protocol
) -> tuple[Response, ...]:
    start, stop = protocol.window
    onset = neuron_axis.onsets(protocol, len(trains))
    return tuple(
        Response(train, times, None if v is None else v[:, k], start, stop, float(onset[k]))
        for k, train in enumerate(trains)
    )


def _of_cell(
    path: Path, protocol: Protocol, what: str, electrode: Electrode, fitted: Fitted
) -> Target:
    """Return the sweeps of a current-clamp file that the protocol plays."""
    clamp = neuron_axis.clamp_recording(protocol, protocol.size)
    if clamp is None or Path(clamp.path).resolve() != path.resolve():
        raise DendrosimError(
            f"{what}: {path} needs the protocol whose current it gives: "
            f"load_protocol('recorded').with_(file={str(path)!r})"
        )
    whole = recorded_stimulus(protocol)[1].with_(sweeps=None).recording
    series, cell = electrode.series_resistance, None
    try:
        cell = cell_properties(whole)
    except DendrosimError:
        if series is None:  # nothing else tells it
            raise
    if series is None:
        assert cell is not None  # otherwise raised above
        series = cell.series_resistance
    # the time before the window holds the resting potential; a model needs time to come to rest
    start = max(0.0, protocol.window[0] - BASELINE)
    first, every = round(start / clamp.dt), max(1, round(TRACE_STEP / clamp.dt))
    times = np.arange(first, len(clamp.voltage), every) * clamp.dt
    v = clamp.voltage - series * clamp.command - electrode.junction
    trains, rises = spikes_of(v, clamp.dt, 0.0, fitted.threshold, clamp.found)
    responses = _responses(trains, times, np.array(v[first::every], np.float64), protocol)
    return Target(protocol, responses, clamp, series, cell, rises=rises)


def refuse_shared_sweeps(targets: Sequence[Target], judged: Sequence[Target]) -> None:
    """Refuse a sweep of a recorded cell that is both fitted and unseen, or that is fitted twice.

    Raises
    ------
    DendrosimError
    """
    fitted = [sweep for target in targets for sweep in _sweeps(target)]
    unseen = [sweep for target in judged for sweep in _sweeps(target)]
    for (path, sweep), count in Counter(fitted).items():
        if count > 1:
            raise DendrosimError(f"{path}: sweep {sweep} is fitted {count} times; give it once")
    if both := set(fitted) & set(unseen):
        path, sweep = min(both)
        raise DendrosimError(
            f"{path}: sweep {sweep} is fitted, so it is not unseen; choose other sweeps"
        )


def refuse_repeated(targets: Sequence[Target], judged: Sequence[Target]) -> None:
    """Refuse data that are fitted twice, or both fitted and unseen.

    Two recordings under one protocol are two targets; the same recording twice is none.

    Raises
    ------
    DendrosimError
    """
    fitted: set[str] = set()
    for target in targets:
        if target.identity in fitted:
            raise DendrosimError(
                f"protocol: {target.name} is given twice with the same data; give it once"
            )
        fitted.add(target.identity)
    for target in judged:
        if target.identity in fitted:
            raise DendrosimError(
                f"unseen: {target.name} is fitted to the same data, so it is not unseen; choose "
                "another protocol"
            )


def _sweeps(target: Target) -> list[tuple[str, int]]:
    """Return file and number of each sweep of a recorded target."""
    if target.clamp is None:
        return []
    _, own = recorded_stimulus(target.protocol)
    return [(target.clamp.path, int(sweep)) for sweep in own.sweep_numbers]


def recorded_stimulus(protocol: Protocol) -> tuple[int, Stimulus]:
    """Return number and stimulus of the recorded current."""
    return next((k, s) for k, s in enumerate(protocol.stimuli) if s.shape == "recorded")


def _of_table(path: Path, protocol: Protocol, what: str, fitted: Fitted) -> Target:
    """Return the traces of a table."""
    times, v = read_table(path, protocol, what, fitted.rest)
    dt = float(np.diff(times).mean())
    trains, rises = spikes_of(v, dt, float(times[0]), fitted.threshold)
    times, v = fitted.thinned(times, v)
    return Target(protocol, _responses(trains, times, v, protocol), rises=rises)
