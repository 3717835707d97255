"""The spike cut: a neuron without the time course of its spikes.

Below threshold the neuron is integrated as its text says.  When it crosses the threshold, every
state jumps to the value that it has where the spike ends, and is held for as long as the spike
lasts.  Values and duration are an affine map of the states at the threshold, measured on the whole
neuron.  The fast rise and fall of the spike, which dictate the time step, are gone; all slow states
are kept.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from brian2 import second

from dendrosim.errors import DendrosimError
from dendrosim.model.expressions import Expression
from dendrosim.model.model import Model
from dendrosim.model.quantities import display_unit, parse_unit, unit_text
from dendrosim.model.toml import as_model, model_from_table, to_table
from dendrosim.pickling import Pickled
from dendrosim.reduction.drive import usual_drives
from dendrosim.reduction.jump import DURATION, Jump, measure_jump
from dendrosim.reduction.saved import save_model
from dendrosim.simulation.protocol import Protocol
from dendrosim.simulation.protocol_files import as_protocol

#: Names that the cut adds to a model.
SINCE, FREE = "since_spike", "is_free"
#: A map that leaves more than this part of a state's spread is doubtful.
DOUBTFUL = 0.5
#: Significant digits of the numbers of the map in the text.
DIGITS = 7


@dataclass(frozen=True, eq=False)
class SpikeCut(Pickled):
    """A neuron whose spikes are a jump.

    Attributes
    ----------
    model
        The model, for any protocol and device.
    table
        One row for the duration of a spike, ``t_spike``, and for each state: its unit, its mean at
        the threshold and after a spike, its standard deviation after a spike, and what of it the
        map leaves.
    spikes
        Number of spikes that were measured.
    source
        Name of the whole neuron.
    jump
        The map.
    notes
        Sentences on what a reader should doubt.
    """

    model: Model
    table: pd.DataFrame
    spikes: int
    source: str
    jump: Jump
    notes: tuple[str, ...] = ()

    def save(self, path: str | os.PathLike) -> None:
        """Write the model as a file for `load_model`.

        Raises
        ------
        DendrosimError
            If the file cannot be written.
        """
        save_model(self.model, path)


def spike_cut(
    model: Model | str | os.PathLike, drive: Any = None, *, device: str = "cpp"
) -> SpikeCut:
    """Replace the spikes of a biophysical neuron by a jump that is measured on it.

    Parameters
    ----------
    model
        A continuous model whose threshold is a condition and that has no reset; or its name or
        path.
    drive
        Protocol, or list of protocols, under which the jump is measured; by default noise around
        the rheobase, into each compartment.
    device
        As in `simulate`.

    Returns
    -------
    SpikeCut

    Raises
    ------
    DendrosimError
        If the model cannot be cut, or does not fire enough.

    Examples
    --------
    >>> import dendrosim as ds
    >>> cut = ds.reduction.spike_cut("kepecs_wang_2000")
    >>> run = ds.simulate(cut.model, "dendritic_step", dt="0.1 ms")
    >>> bool(len(run.spike_t))
    True
    """
    model = as_model(model)
    _check(model)
    drives = usual_drives(model, device) if drive is None else _listed(drive)
    jump = measure_jump(model, drives, device)
    reduced = model_from_table(_table(model, jump), model.source, f"{model.name}_cut")
    return SpikeCut(
        reduced, _report(model, jump), len(jump.widths), model.name, jump, tuple(_doubts(jump))
    )


def _listed(drive: Any) -> list[Protocol]:
    listed = drive if isinstance(drive, list | tuple) else [drive]
    if not listed:
        raise DendrosimError("drive = [] has no protocol")
    return [as_protocol(one) for one in listed]


def _check(model: Model) -> None:
    if model.kind == "discrete":
        raise DendrosimError(f"{model.name} is discrete: it has no time course of a spike to cut")
    if model.reset:
        raise DendrosimError(f"{model.name} has a reset, so its spikes are a jump already")
    if not isinstance(model.threshold, Expression):
        raise DendrosimError(f"{model.name} has no threshold, so nothing says when it fires")
    if not model.threshold.names & set(model.states):
        raise DendrosimError(
            f"{model.name}: the threshold {model.threshold.text!r} does not depend on a state"
        )
    for name, value in model.values().items():
        if np.ndim(value):
            raise DendrosimError(f"{model.name}: {name} has several values; cut one neuron")
    if model.dt is None:
        raise DendrosimError(f"{model.name} has no time step of its own")
    taken = {SINCE, FREE, DURATION} & model.dims.keys()
    if taken:
        raise DendrosimError(f"{model.name} has a {min(taken)} of its own; is it a cut already?")


def _table(model: Model, jump: Jump) -> dict[str, Any]:
    """Return the table of the model file of the cut."""
    table = to_table(model)
    lines = []
    for equation in model.equations:
        if equation.kind == "differential":
            unit = unit_text(equation.dim)
            lines.append(f"d{equation.name}/dt = {FREE}*({equation.right.text}) : {unit}")
        else:
            lines.append(equation.text)
    lines += [f"d{SINCE}/dt = 1 : second", f"d{DURATION}/dt = 0 : second"]
    # half a step early, because sums of steps have rounding errors
    lines.append(f"{FREE} = int({SINCE} > {DURATION} - 0.5*dt) : 1 (constant over dt)")
    table["equations"] = "\n".join(lines)
    table["reset"] = "\n".join(_reset(model, jump))
    table.pop("refractory", None)
    table["initial"] = {**table["initial"], SINCE: "1 second", DURATION: "0 second"}
    table["title"] = f"{model.title}, its spikes replaced by a jump"
    made = (
        f"The spikes of {model.name} are replaced: at the threshold all states jump to the values "
        "that they have after a spike, and are held for its duration t_spike. Both are an affine "
        f"map of the states at the threshold, measured on {len(jump.widths)} spikes."
    )
    table["description"] = f"{made}\n\n{model.description}"
    return table


def _reset(model: Model, jump: Jump) -> list[str]:
    """Return the statements of the jump; each state is read as it was at the threshold."""
    lines = [f"{SINCE} = 0*second"]
    used = [name for k, name in enumerate(jump.predictors) if jump.slopes[:, k].any()]
    lines += [f"{name}_before = {name}" for name in used]
    dims = {DURATION: second.dim, **model.dims}
    for i, state in enumerate(jump.outcomes):
        unit = display_unit(dims[state])
        terms = [_number(jump.mean_after[i], unit)]
        for k, name in enumerate(jump.predictors):
            if name not in used:
                continue
            own = display_unit(dims[name])
            # change of one unit of the state per unit of the predictor
            slope = jump.slopes[i, k] * float(parse_unit(own)) / float(parse_unit(unit))
            ratio = unit if own == "1" else f"{unit}/({own})"
            number = f"{slope:.{DIGITS}g}" if unit == own else f"{slope:.{DIGITS}g}*{ratio}"
            mean = _number(jump.mean_before[k], own)
            terms.append(f"({number})*({name}_before - ({mean}))")
        value = " + ".join(terms)
        if state not in jump.predictors:
            # beyond the spikes that were measured a straight line gives any number: a duration
            # below 0, or a potential above the threshold
            low, high = (_number(bound[i], unit) for bound in (jump.lowest, jump.highest))
            value = f"clip({value}, {low}, {high})"
        lines.append(f"{state} = {value}")
    return lines


def _number(value: float, unit: str) -> str:
    text = f"{value / float(parse_unit(unit)):.{DIGITS}g}"
    return text if unit == "1" else f"{text}*{unit}"


def _report(model: Model, jump: Jump) -> pd.DataFrame:
    rows = []
    for i, state in enumerate(jump.outcomes):
        unit = display_unit(second if state == DURATION else model.dims[state])
        scale = float(parse_unit(unit))
        before = (
            jump.mean_before[jump.predictors.index(state)] if state in jump.predictors else np.nan
        )
        numbers = before, jump.mean_after[i], jump.spread[i], jump.residual[i]
        rows.append([unit, *(float(value) / scale for value in numbers)])
    columns = ["unit", "mean at threshold", "mean after", "sd after", "sd left"]
    return pd.DataFrame(rows, index=pd.Index(jump.outcomes, name="state"), columns=columns)


def _doubts(jump: Jump) -> list[str]:
    notes = []
    # a state of the threshold ends where it began, so that nothing of its spread can be explained
    known = {DURATION, *jump.predictors}
    for name, spread, left in zip(jump.outcomes, jump.spread, jump.residual, strict=True):
        if name in known and left > DOUBTFUL * spread:
            notes.append(
                f"{name} after a spike is hardly a function of the states at the threshold: "
                f"{left / spread:.0%} of its spread is left."
            )
    return notes
