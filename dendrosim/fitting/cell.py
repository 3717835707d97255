"""A recorded cell as the target of a fit: its hyperpolarising sweeps, and its own properties."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from dendrosim.current_clamp.passive import CellProperties, cell_properties
from dendrosim.current_clamp.recorded import ClampRecording
from dendrosim.errors import DendrosimError
from dendrosim.fitting.features import Response
from dendrosim.fitting.responses import Runs, respond
from dendrosim.fitting.targets import Target, recorded_stimulus
from dendrosim.model.model import Model
from dendrosim.simulation import neuron_axis

#: A step of the potential over the series resistance that is larger than this (V) is noted.
JUMP = 1e-3


def hyperpolarised(target: Target) -> list[Target]:
    """Return the target's sweeps that stay at or below the holding current, without spikes."""
    if target.clamp is None:
        return []
    clamp, protocol = target.clamp, target.protocol
    start, stop = protocol.window
    command = clamp.command[: round(stop / clamp.dt)]
    below = (command <= command[0]).all(axis=0) & (command < command[0]).any(axis=0)
    silent = [not np.any(train < stop) for train in clamp.spike_times()]
    chosen = np.flatnonzero(below & np.array(silent))
    if not chosen.size:
        return []
    number, own = recorded_stimulus(protocol)
    listed = own.sweep_numbers
    part = protocol.with_(
        stimuli={number: {"sweeps": [int(listed[k]) for k in chosen]}},
        measure={"start": f"{start!r} s", "stop": f"{stop!r} s"},
    )
    responses = tuple(target.responses[k] for k in chosen)
    some = replace(clamp, command=clamp.command[:, chosen], voltage=clamp.voltage[:, chosen])
    return [Target(part, responses, some, target.series_resistance)]


def cell_table(model: Model, targets: Sequence[Target], runs: Runs) -> pd.DataFrame | None:
    """Return passive properties of the recorded cell and of the model; None without a cell.

    Those of the model are measured in the same way, on its responses to the same steps.
    """
    quiet = [one for target in targets for one in hyperpolarised(target)]
    if not quiet:
        return None
    target = quiet[0]
    (found,) = respond(model, target.protocol, {}, 1, runs)
    rows = {}
    corrected = target.series_resistance > 0
    for name, responses in (("cell", target.responses), ("model", found)):
        try:
            compensated = corrected or name == "model"
            rows[name] = None if responses is None else _properties(target, responses, compensated)
        except DendrosimError:  # a model that fires, or whose window ends before the step does
            rows[name] = None
    if rows["cell"] is None:
        return None
    lines = {
        "resting potential (mV)": ("rest", 1e3),
        "input resistance (Mohm)": ("resistance", 1e-6),
        "input resistance after the sag (Mohm)": ("steady_resistance", 1e-6),
        "time constant (ms)": ("tau", 1e3),
        "capacitance (pF)": ("capacitance", 1e12),
        "hyperpolarising steps": ("steps", 1.0),
    }
    return pd.DataFrame(
        {
            name: [np.nan if own is None else getattr(own, key) * unit for key, unit in
                   lines.values()]
            for name, own in rows.items()
        },
        index=pd.Index(lines, name="property"),
    )  # fmt: skip


def _properties(target: Target, responses: Sequence[Response], compensated: bool) -> CellProperties:
    clamp = target.clamp
    assert clamp is not None  # only recorded targets have such sweeps
    end = min(float(target.protocol.duration), clamp.duration)
    times = np.arange(round(end / clamp.dt)) * clamp.dt
    v = np.stack([np.interp(times, r.times, r.v) for r in responses if r.v is not None], axis=1)
    own = ClampRecording(clamp.path, clamp.dt, clamp.command[: len(times)], v, clamp.rule)
    return cell_properties(own, compensated=compensated)


def cell_notes(targets: Sequence[Target], table: pd.DataFrame | None) -> list[str]:
    """Return sentences on a recorded cell: its file, its electrode, and what was not measured."""
    notes: list[str] = []
    for target in targets:
        if target.clamp is not None:
            notes += neuron_axis.clamp_doubts(target.protocol, len(target.responses))
            notes += _electrode_notes(target)
    if table is None:
        notes += _unmeasured(targets)
    elif table["model"].isna().all():
        notes.append(
            "The model has no passive properties: it fires, or diverges, during the "
            "hyperpolarising steps."
        )
    return list(dict.fromkeys(notes))


def _unmeasured(targets: Sequence[Target]) -> list[str]:
    """Return why the report has no properties of the recorded cells, and what would give them."""
    notes = []
    for target in targets:
        if target.clamp is None:
            continue
        if target.cell is None:
            notes.append(
                f"{target.clamp.path}: the report has no properties of the cell, because no sweep "
                "of the file has a step of at least 50 ms below the holding current without "
                "spikes. A recording of the cell with such steps would give them."
            )
        else:
            notes.append(
                f"{target.clamp.path}: the model's passive properties are not compared with the "
                f"cell's ({target.cell}), because no fitted sweep is one of the file's "
                "hyperpolarising steps. Fit those sweeps as well to compare them."
            )
    return notes


def _electrode_notes(target: Target) -> list[str]:
    """Return sentences on the series resistance of a recorded target."""
    assert target.clamp is not None  # the caller knows
    notes: list[str] = []
    cell = target.cell
    if target.series_resistance:
        notes.append(
            f"The voltage over a series resistance of {target.series_resistance * 1e-6:.3g} Mohm "
            "was subtracted from the recorded potential."
        )
    if cell is not None:
        notes += cell.doubts
        command = target.clamp.command
        current = float(np.abs(command - command[:1]).max())
        apart = (cell.series_resistance - target.series_resistance) * current
        if apart > JUMP:
            notes.append(
                f"{target.clamp.path}: the potential jumps by {apart * 1e3:.1f} mV at the largest "
                f"step. The series resistance, about {cell.series_resistance * 1e-6:.0f} Mohm, was "
                f"not compensated; series_resistance = 'estimate' subtracts its voltage."
            )
        elif apart < -JUMP:
            notes.append(
                f"{target.clamp.path}: the series resistance that was subtracted is larger than "
                f"that of the file's steps, about {cell.series_resistance * 1e-6:.0f} Mohm."
            )
    return notes
