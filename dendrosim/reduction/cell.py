"""Reduction of a recorded cell: the adaptive neuron, fitted to the times of the cell's spikes.

An electrode tells nothing of the dendrite.  So a biophysical model gives the two compartments, with
leak, resting potential and membrane area of the cell, and the linear theory of this model is where
the search begins.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from brian2 import Quantity

from dendrosim import checks
from dendrosim.errors import DendrosimError
from dendrosim.files import path_text
from dendrosim.fitting.cell import hyperpolarised
from dendrosim.fitting.electrode import read_electrode
from dendrosim.fitting.passive_stage import Stage, passive_stage, specific_capacitance
from dendrosim.fitting.responses import Runs
from dendrosim.fitting.searches import read_seeds
from dendrosim.fitting.targets import Target, recorded_stimulus, refuse_shared_sweeps, targets_of
from dendrosim.model.model import Model
from dendrosim.model.optional import scales_of
from dendrosim.model.quantities import describe
from dendrosim.model.toml import as_model
from dendrosim.reduction.adaptive import fit_adaptive
from dendrosim.reduction.reduced import Reduction
from dendrosim.reduction.reduction import reduce, search_sizes
from dendrosim.reduction.timing import Timing
from dendrosim.simulation import neuron_axis
from dendrosim.simulation.protocol import Protocol
from dendrosim.simulation.protocol_files import load_protocol
from dendrosim.simulation.run import simulate

#: Values that the hyperpolarising sweeps tell, if the model has them.  A persistent sodium current
#: shapes the potential at rest as well.
PASSIVE = ("g_L", "E_L", "area", "g_NaP")
#: A note warns if the fitted capacitance differs from the cell's by more than this factor.
APART = 1.5
#: The runs end at the first multiple of this after the measured window (s).
ROUND = 10e-3


def reduce_cell(
    recording: str | os.PathLike, model: Model | str | os.PathLike = "kepecs_wang_2000",
    dt: Any = "0.5 ms", *, sweeps: Sequence[int] | None = None,
    unseen_sweeps: Sequence[int] | None = None,
    passive: Mapping[str, Any] | Sequence[str] | None = None, series_resistance: Any = None,
    junction: Any = None, measure: Mapping[str, Any] | None = None, device: str = "cpp",
    generations: int | None = None, population: int | None = None,
    seed: int | Sequence[int] = 0, progress: bool | None = None,
) -> Reduction:  # fmt: skip
    """Fit the adaptive neuron to a recorded cell.

    Parameters
    ----------
    recording
        Current-clamp file (.abf).
    model
        Biophysical model whose two compartments the reduction begins with.
    dt
        Step of the reduced neuron.
    sweeps, unseen_sweeps
        Numbers of the sweeps to fit, and of those that judge the fit; by default every second one,
        and the others.
    passive
        Values of the model that are found first, from the hyperpolarising sweeps, see `fit`; by
        default those of `PASSIVE` that the model has.
    series_resistance, junction
        Corrections of the recorded potential, see `fit`.
    measure
        ``start`` and ``stop`` of the window whose spikes count, see `Protocol`; by default the
        epoch of the command that sets the sweeps apart most.
    device, progress
        As in `simulate`.
    generations, population, seed
        Settings of the search, see `reduce`.

    Returns
    -------
    Reduction
        Its `report` has the rows ``fit`` and ``unseen``.  A current in ampere, as of protocol
        ``recorded`` with its own ``area``, has the effect that it had on the cell.

    Raises
    ------
    DendrosimError
        If the file is no current-clamp recording, none of its fitted sweeps is hyperpolarising or
        has spikes, a sweep is both fitted and unseen, or the model cannot be reduced.
    """
    neuron, file = as_model(model), path_text(recording, "recording")
    name = Path(file).name
    sizes, seeds = search_sizes("adaptive", True, generations, population), read_seeds(seed)
    fits, others = _protocols(file, sweeps, unseen_sweeps, measure)
    electrode, runs = read_electrode(series_resistance, junction), Runs(device)
    targets, unseen = (
        targets_of([file] * len(listed), listed, runs, "recording", electrode, neuron)
        for listed in (fits, others)
    )
    refuse_shared_sweeps(targets, unseen)
    _refuse_useless(targets[0], fits[0], name)
    if passive is None:
        passive = [key for key in PASSIVE if key == "area" or key in neuron.parameters]
    stage = passive_stage(neuron, targets, unseen, passive, [], runs)
    linear = reduce(stage.model, dt)
    assert isinstance(linear, Reduction)  # the linear one
    linear, area = _per_usual_area(replace(linear, source=name), stage.targets[0].protocol)
    trained, judged = (
        [_timing(t, area) for t in listed] for listed in (stage.targets, stage.judged)
    )
    found = fit_adaptive(
        linear, name, trained, judged, device=device, progress=progress, seeds=seeds, **sizes
    )
    notes = [*_of_cell(stage, targets[0], area), _potential_error(found, stage.targets[0], area)]
    return replace(found, notes=(*notes, *stage.notes, *found.notes))


def _refuse_useless(target: Target, protocol: Protocol, name: str) -> None:
    """Refuse sweeps that do not tell the leak, or the spikes.

    Raises
    ------
    DendrosimError
    """
    listed = ", ".join(map(str, recorded_stimulus(protocol)[1].sweep_numbers))
    if not hyperpolarised(target):
        raise DendrosimError(
            f"{name}: none of the fitted sweeps ({listed}) stays below the holding current without "
            "spikes, so nothing tells leak and membrane area; add such a sweep"
        )
    if not any(len(response.inside) for response in target.responses):
        start, stop = (t * 1e3 for t in protocol.window)
        raise DendrosimError(
            f"{name}: none of the fitted sweeps ({listed}) has a spike from {start:g} to {stop:g} "
            "ms; add sweeps that have, or choose another window with measure"
        )


def _per_usual_area(linear: Reduction, protocol: Protocol) -> tuple[Reduction, Quantity]:
    """Return the reduction per membrane area of protocol ``recorded``, and this area.

    A model file has no place for the cell's area, and a user who plays a current into the model
    should not have to know it.
    """
    usual = load_protocol("recorded").stimuli[0].values["area"]
    factor = float(usual / recorded_stimulus(protocol)[1].values["area"])
    scales = scales_of(linear.model)
    current = {
        port: MappingProxyType({place: gain * factor for place, gain in gains.items()})
        for port, gains in scales.current.items()
    }
    changed = replace(scales, current=MappingProxyType(current))
    return replace(linear, model=replace(linear.model, scales=changed)), usual


def _of_cell(stage: Stage, target: Target, usual: Quantity) -> list[str]:
    """Return sentences on the passive values and on the window."""
    area = recorded_stimulus(stage.targets[0].protocol)[1].values["area"]
    listed = "" if stage.values is None else ", ".join(
        f"{name} = {row['value']:.4g} {row['unit']}" for name, row in stage.values.iterrows()
    )  # fmt: skip
    start, stop = (t * 1e3 for t in target.protocol.window)
    notes = [
        f"Spikes and rates are those from {start:g} to {stop:g} ms of each sweep.",
        f"From the hyperpolarising sweeps: {listed}. The reduced neuron takes a current in ampere "
        f"as a membrane of {describe(usual)}, the area of protocol recorded, so that the cell's "
        "area need not be given.",
    ]
    assert target.clamp is not None  # a recorded cell
    notes += neuron_axis.clamp_doubts(target.protocol, len(target.responses))
    per_area = specific_capacitance(stage.model)
    if target.cell is not None and per_area is not None:
        fitted, own = float(per_area * area), target.cell.capacitance
        if not own / APART < fitted < own * APART:
            notes.append(
                f"The fitted membrane has {fitted * 1e12:.3g} pF and the cell {own * 1e12:.3g} pF: "
                "a value that is not among the passive ones may shape the potential at rest."
            )
    return notes


def _potential_error(found: Reduction, target: Target, area: Quantity) -> str:
    """Return a sentence on the potential in the hyperpolarising sweeps, which no cost contains."""
    (quiet,) = hyperpolarised(target)
    protocol = _with_area(quiet.protocol, area)
    run = simulate(found.model, protocol, record_dt=found.model.dt, device="numpy", progress=False,
                   diverged="nan")  # fmt: skip
    v, errors = run.voltage("soma"), []
    for k, response in enumerate(quiet.responses):
        inside = (response.times >= response.start) & (response.times < response.stop)
        assert response.v is not None  # a recorded cell
        own = np.interp(response.times[inside], run.times, v[:, k])
        errors.append(np.mean((own - response.v[inside]) ** 2))
    error = float(np.sqrt(np.mean(errors)))
    return (
        f"The fit is to the times of spikes alone: in the hyperpolarising sweeps the potential is "
        f"{error * 1e3:.2g} mV off (root mean square)."
    )


def _protocols(
    file: str,
    sweeps: Sequence[int] | None,
    unseen: Sequence[int] | None,
    measure: Mapping[str, Any] | None,
) -> tuple[list[Protocol], list[Protocol]]:
    """Return the protocols of the fit and of its evaluation."""
    played = load_protocol("recorded").with_(file=file)
    if measure is not None:
        played = played.with_(measure=dict(measure))
    stop = math.ceil(played.window[1] / ROUND) * ROUND
    if stop < float(played.duration):
        start, end = played.window
        played = played.with_(duration=f"{stop!r} second", measure={
            "start": f"{start!r} second", "stop": f"{end!r} second",
        })  # fmt: skip
    known = recorded_stimulus(played)[1].sweep_numbers
    if sweeps is None:
        left = known if unseen is None else [k for k in known if k not in _listed(unseen)]
        sweeps = left[::2] if unseen is None else left
    if unseen is None:
        unseen = [k for k in known if k not in _listed(sweeps)]
    if not len(_listed(sweeps)):
        raise DendrosimError(f"{file}: no sweep is left to fit; give sweeps")
    fits, others = (
        [played.with_(sweeps=list(listed))] if len(_listed(listed)) else []
        for listed in (sweeps, unseen)
    )
    return fits, others


def _listed(sweeps: Any) -> list[int]:
    if not checks.is_row(sweeps):
        raise DendrosimError(f"sweeps = {checks.short(sweeps)} should be a list of numbers")
    return [checks.whole(one, "sweeps") for one in sweeps]


def _with_area(protocol: Protocol, area: Quantity) -> Protocol:
    return protocol.with_(stimuli={recorded_stimulus(protocol)[0]: {"area": area}})


def _timing(target: Target, area: Quantity) -> Timing:
    trains = tuple(response.inside for response in target.responses)
    return Timing(_with_area(target.protocol, area), trains)
