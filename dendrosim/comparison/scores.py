"""The two tables of a comparison: one row per neuron, and one row per model.

They are computed from recordings of one protocol; the first recording is the reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
import pandas as pd

from dendrosim.comparison import protocol_measures, responses
from dendrosim.measures.trains import counts_in_window
from dendrosim.simulation import neuron_axis
from dendrosim.simulation.protocol import Protocol
from dendrosim.simulation.recording import Recording

#: Name of the rows of a real cell in the tables.
RECORDED = "recorded"


def model_table(
    recordings: Sequence[Recording], protocol: Protocol, names: Sequence[str], curves: pd.DataFrame
) -> pd.DataFrame:
    """Return one row per model, with the measures that are meaningful for the protocol.

    A measure that no model has is left out.  Rates and rheobase are always kept, because their
    absence is informative.

    Parameters
    ----------
    names
        Label of each recording.
    curves
        Result of `curve_table`.
    """
    groups: tuple[list[dict], list[dict], list[dict]] = [], [], []
    for k, (name, recording) in enumerate(zip(names, recordings, strict=True)):
        rates, shape, errors = groups
        rates.append(_rates(curves[curves["model"] == name], recording, protocol))
        shape.append(responses.mean_spike(recording, *protocol.window))
        errors.append(_errors(recording, recordings[0] if k else None, protocol))
    order = list(dict.fromkeys(key for group in groups for row in group for key in row))
    rows = [rates | shape | errors for rates, shape, errors in zip(*groups, strict=True)]
    table = pd.DataFrame(rows, index=pd.Index(names, name="model"), columns=order)
    always = {"spikes", "rate (Hz)"} | {key for key in order if key.startswith("rheobase")}
    return table[[key for key in order if key in always or table[key].notna().any()]]


def curve_table(
    recordings: Sequence[Recording], protocol: Protocol, names: Sequence[str]
) -> pd.DataFrame:
    """Return one row per model and neuron, and one per sweep of a real cell.

    Columns are ``model``, ``neuron``, the value of the grid with its unit (for a recorded
    protocol ``sweep`` and ``command (pA)``), the value of each other grid, and those of
    `protocol_measures.curve`.
    """
    neurons = recordings[0].n
    points, clamp = (
        neuron_axis.grid(protocol, neurons),
        neuron_axis.clamp_recording(protocol, neurons),
    )
    trains = {name: r.trains for name, r in zip(names, recordings, strict=True)}
    if clamp is not None:
        trains = {RECORDED: clamp.spike_times()} | trains
    key: dict[str, Any] = {} if points is None else {points.label: points.values}
    if clamp is not None:
        shape = next(s for s in protocol.stimuli if s.recording is clamp)
        key = {"sweep": shape.options["sweeps"] or np.arange(neurons)} | key
    own = {
        name: neuron_axis.other_grids(r, protocol)
        for name, r in zip(names, recordings, strict=True)
    }
    parts = [
        {"model": name, "neuron": np.arange(neurons), **key, **own.get(name, {}),
         **protocol_measures.curve(train, protocol)}
        for name, train in trains.items()
    ]  # fmt: skip
    return pd.concat([pd.DataFrame(part) for part in parts], ignore_index=True)


def representative(recordings: Sequence[Recording], protocol: Protocol) -> int:
    """Return the neuron for the figure: most models fire, and rates are low enough to read.

    If possible, it is a neuron whose traces all recordings contain.
    """
    start, stop = protocol.window
    known = reduce(np.intersect1d, [r.recorded for r in recordings])
    known = known if known.size else np.arange(recordings[0].n)
    counts = np.array([counts_in_window(r.trains, start, stop) for r in recordings])[:, known]
    firing = (counts > 0).sum(axis=0)
    best = np.flatnonzero(firing == firing.max())
    if not firing.max():
        return int(known[best[len(best) // 2]])
    quiet_first = best[np.argsort(counts[:, best].max(axis=0), kind="stable")]
    return int(known[quiet_first[len(quiet_first) // 4]])


def _rates(rows: pd.DataFrame, recording: Recording, protocol: Protocol) -> dict[str, Any]:
    row: dict[str, Any] = {
        "spikes": int(rows["spikes"].sum()),
        "rate (Hz)": protocol_measures.mean_where_defined(rows["rate (Hz)"]),
    }
    points = neuron_axis.grid(protocol, recording.n)
    alone = not neuron_axis.other_grids(recording, protocol)
    if points is not None and points.is_current and alone:
        row |= protocol_measures.fi_measures(points, rows["rate (Hz)"].to_numpy())
    per_neuron = ["spikes per burst"]
    if recording.n == 1:
        per_neuron += ["burst period (ms)", "first spike latency (ms)"]
    row |= {name: protocol_measures.mean_where_defined(rows[name]) for name in per_neuron}
    if neuron_axis.chirp_stimulus(protocol) is not None:
        row |= protocol_measures.chirp_phase(recording.trains, protocol)
    return row


def _errors(
    recording: Recording, reference: Recording | None, protocol: Protocol
) -> dict[str, float]:
    window = protocol.window
    errors: dict[str, float] = {}
    if reference is not None:
        errors |= protocol_measures.train_errors(recording.trains, reference.trains, *window)
        errors |= responses.voltage_errors(recording, reference, *window)
    if neuron_axis.chirp_stimulus(protocol) is not None:
        errors |= responses.impedance_measures(recording, protocol, reference)
    clamp = neuron_axis.clamp_recording(protocol, recording.n)
    if clamp is not None:
        real = protocol_measures.train_errors(recording.trains, clamp.spike_times(), *window)
        for name in ("rate error (Hz)", "coincidence factor"):
            errors[f"{name} to the recorded cell"] = real[name]
    return errors
