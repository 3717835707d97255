"""Targets of a fit: responses of a model, of a saved run, of a recorded cell, or of a table."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dendrosim import checks
from dendrosim.current_clamp.passive import BASELINE, CellProperties, cell_properties
from dendrosim.current_clamp.recorded import ClampRecording
from dendrosim.errors import DendrosimError
from dendrosim.files import is_file
from dendrosim.fitting.electrode import Electrode
from dendrosim.fitting.features import Response
from dendrosim.fitting.responses import Runs, respond
from dendrosim.model.model import Model
from dendrosim.model.toml import as_model
from dendrosim.simulation import neuron_axis
from dendrosim.simulation.protocol import Protocol
from dendrosim.simulation.recording import Recording, load_recording, volts
from dendrosim.simulation.run import TRACE_STEP
from dendrosim.simulation.stimuli import Stimulus

Array = NDArray[np.float64]
#: A table that is so many times longer than its protocol has times in another unit.
LONGER = 20.0


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
    """

    protocol: Protocol
    responses: tuple[Response, ...]
    clamp: ClampRecording | None = None
    series_resistance: float = 0.0
    cell: CellProperties | None = None

    @property
    def name(self) -> str:
        """Name of the protocol."""
        return self.protocol.name


def targets_of(
    data: Any, protocols: Sequence[Protocol], runs: Runs, what: str = "data",
    electrode: Electrode | None = None,
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

    Raises
    ------
    DendrosimError
        If the data do not fit the protocols.
    """
    electrode = Electrode() if electrode is None else electrode
    if is_model(data):
        _refuse_corrections(electrode, data)
        model = as_model(data)
        return [_of_model(model, protocol, runs) for protocol in protocols]
    several = checks.is_row(data) and not isinstance(data, str)
    listed = list(data) if several else [data]
    if len(listed) != len(protocols):
        raise DendrosimError(
            f"{what}: {len(listed)} recording(s) for {len(protocols)} protocol(s); give one each"
        )
    pairs = zip(listed, protocols, strict=True)
    return [_of_data(one, p, what, electrode) for one, p in pairs]


def is_model(data: Any) -> bool:
    """Whether data are a model, or the name or path of one, and not a recording."""
    if isinstance(data, str | os.PathLike):
        return Path(data).suffix.lower() in ("", ".toml") or ":" in str(data)
    return isinstance(data, Model)


def _of_model(model: Model, protocol: Protocol, runs: Runs) -> Target:
    (found,) = respond(model, protocol, {}, 1, runs)
    if found is None:
        raise DendrosimError(f"{model.name} diverges under {protocol.name}; it cannot be a target")
    return Target(protocol, tuple(found))


def _refuse_corrections(electrode: Electrode, data: Any) -> None:
    if electrode != Electrode():
        raise DendrosimError(
            "series_resistance and junction correct the potential of a recorded cell (.abf); "
            f"{checks.short(data)} is not one"
        )


def _of_data(data: Any, protocol: Protocol, what: str, electrode: Electrode) -> Target:
    if isinstance(data, str | os.PathLike) and Path(data).suffix.lower() == ".abf":
        return _of_cell(Path(data), protocol, what, electrode)
    _refuse_corrections(electrode, data)
    if isinstance(data, str | os.PathLike):
        path = Path(data)
        if path.suffix.lower() == ".csv":
            return _of_table(path, protocol, what)
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
    return Target(protocol, _responses(data.trains, data.times, v, protocol))


def _responses(
    trains: Sequence[Array], times: NDArray, v: NDArray | None, protocol: Protocol
) -> tuple[Response, ...]:
    start, stop = protocol.window
    onset = neuron_axis.onsets(protocol, len(trains))
    return tuple(
        Response(train, times, None if v is None else v[:, k], start, stop, float(onset[k]))
        for k, train in enumerate(trains)
    )


def _of_cell(path: Path, protocol: Protocol, what: str, electrode: Electrode) -> Target:
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
    trains = [np.asarray(train, float) for train in clamp.spike_times()]
    responses = _responses(trains, times, np.array(v[first::every], np.float64), protocol)
    return Target(protocol, responses, clamp, series, cell)


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


def _sweeps(target: Target) -> list[tuple[str, int]]:
    """Return file and number of each sweep of a recorded target."""
    if target.clamp is None:
        return []
    _, own = recorded_stimulus(target.protocol)
    return [(target.clamp.path, int(sweep)) for sweep in own.sweep_numbers]


def recorded_stimulus(protocol: Protocol) -> tuple[int, Stimulus]:
    """Return number and stimulus of the recorded current."""
    return next((k, s) for k, s in enumerate(protocol.stimuli) if s.shape == "recorded")


def _of_table(path: Path, protocol: Protocol, what: str) -> Target:
    """Return the traces of a table: time in s, then one potential in V per stimulus."""
    import pandas as pd

    from dendrosim.measures.spike_detection import find_spikes

    if not is_file(path):
        raise DendrosimError(f"{path}: there is no such file")
    try:
        table = pd.read_csv(path)
        numbers = table.to_numpy(dtype=float)
    except (OSError, ValueError) as error:
        raise DendrosimError(f"{path}: is not a table of numbers ({error})") from None
    if not any(_is_word(name) for name in table.columns):
        raise DendrosimError(
            f"{path}: the first line should name the columns, such as time,v; it holds numbers"
        )
    if numbers.shape[1] < 2:
        raise DendrosimError(
            f"{path}: has {numbers.shape[1]} column(s); it needs time and potential"
        )
    times, v = numbers[:, 0], numbers[:, 1:]
    if not np.isfinite(numbers).all():
        raise DendrosimError(f"{path}: line {_bad_line(numbers)} holds a value that is not finite")
    steps = np.diff(times)
    if len(times) < 3 or not 0 <= np.ptp(steps) < 1e-3 * steps.mean():
        raise DendrosimError(f"{path}: the first column should be evenly spaced times in s")
    if v.shape[1] != protocol.size:
        raise DendrosimError(
            f"{what}: {path} has {v.shape[1]} potential(s), but {protocol.name} has "
            f"{protocol.size} stimuli"
        )
    if np.abs(v).max() > 0.5:
        raise DendrosimError(
            f"{path}: has potentials up to {np.abs(v).max():g} V, which no cell has; they should "
            "be in volt"
        )
    _check_span(path, times, protocol)
    dt = float(steps.mean())
    trains = [times[0] + find_spikes(trace, dt).onsets * dt for trace in v.T]
    return Target(protocol, _responses(trains, times, v, protocol))


def _bad_line(numbers: NDArray) -> int:
    """Return the first line of a file with a value that is not finite; the header is line 1."""
    return int(np.flatnonzero(~np.isfinite(numbers).all(axis=1))[0]) + 2


def _check_span(path: Path, times: NDArray, protocol: Protocol) -> None:
    """Refuse times that do not contain the measured window, or that are in another unit."""
    start, stop = protocol.window
    duration = float(protocol.duration)
    step = float(times[1] - times[0])
    shown = f"{path}: the times go from {times[0]:g} to {times[-1]:g} s"
    if times[-1] - times[0] > LONGER * duration:
        raise DendrosimError(
            f"{shown}, but {protocol.name} lasts {duration:g} s; they should be in seconds"
        )
    if times[0] > start + step or times[-1] < stop - 2 * step:
        raise DendrosimError(
            f"{shown}, but {protocol.name} is measured from {start:g} to {stop:g} s; the table "
            "should hold this window"
        )


def _is_word(name: str) -> bool:
    try:
        float(name)
    except ValueError:
        return True
    return False
