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
from typing import Any

from dendrosim import checks
from dendrosim.errors import DendrosimError
from dendrosim.files import path_text
from dendrosim.fitting.electrode import read_electrode
from dendrosim.fitting.passive_stage import passive_stage
from dendrosim.fitting.responses import Runs
from dendrosim.fitting.searches import read_seeds
from dendrosim.fitting.targets import Target, recorded_stimulus, refuse_shared_sweeps, targets_of
from dendrosim.model.model import Model
from dendrosim.model.toml import as_model
from dendrosim.reduction.adaptive import fit_adaptive
from dendrosim.reduction.reduced import Reduction
from dendrosim.reduction.reduction import reduce, search_sizes
from dendrosim.reduction.timing import Timing
from dendrosim.simulation.protocol import Protocol
from dendrosim.simulation.protocol_files import load_protocol

#: Values of the model that the hyperpolarising sweeps tell.
PASSIVE = ("g_L", "E_L", "area")
#: The runs end at the first multiple of this after the measured window (s).
ROUND = 10e-3


def reduce_cell(
    recording: str | os.PathLike, model: Model | str | os.PathLike = "kepecs_wang_2000",
    dt: Any = "0.5 ms", *, sweeps: Sequence[int] | None = None,
    unseen_sweeps: Sequence[int] | None = None,
    passive: Mapping[str, Any] | Sequence[str] = PASSIVE, series_resistance: Any = None,
    junction: Any = None, device: str = "cpp", generations: int | None = None,
    population: int | None = None, seed: int | Sequence[int] = 0, progress: bool | None = None,
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
        Values of the model that are found first, from the hyperpolarising sweeps, see `fit`.
    series_resistance, junction
        Corrections of the recorded potential, see `fit`.
    device, progress
        As in `simulate`.
    generations, population, seed
        Settings of the search, see `reduce`.

    Returns
    -------
    Reduction
        Its `report` has the rows ``fit`` and ``unseen``.

    Raises
    ------
    DendrosimError
        If the file is no current-clamp recording, none of its fitted sweeps is hyperpolarising or
        has spikes, a sweep is both fitted and unseen, or the model cannot be reduced.
    """
    neuron, file = as_model(model), path_text(recording, "recording")
    name = Path(file).name
    sizes, seeds = search_sizes("adaptive", True, generations, population), read_seeds(seed)
    fits, others = _protocols(file, sweeps, unseen_sweeps)
    electrode, runs = read_electrode(series_resistance, junction), Runs(device)
    targets, unseen = (
        targets_of([file] * len(listed), listed, runs, "recording", electrode, neuron)
        for listed in (fits, others)
    )
    refuse_shared_sweeps(targets, unseen)
    stage = passive_stage(neuron, targets, unseen, passive, [], runs)
    linear = reduce(stage.model, dt)
    assert isinstance(linear, Reduction)  # the linear one
    found = fit_adaptive(
        replace(linear, source=name), name, [_timing(t) for t in stage.targets],
        [_timing(t) for t in stage.judged], device=device, progress=progress, seeds=seeds, **sizes,
    )  # fmt: skip
    return replace(found, notes=(*stage.notes, *found.notes))


def _protocols(
    file: str, sweeps: Sequence[int] | None, unseen: Sequence[int] | None
) -> tuple[list[Protocol], list[Protocol]]:
    """Return the protocols of the fit and of its evaluation."""
    played = load_protocol("recorded").with_(file=file)
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


def _timing(target: Target) -> Timing:
    return Timing(target.protocol, tuple(response.inside for response in target.responses))
