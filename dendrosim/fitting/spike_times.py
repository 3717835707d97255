"""Spikes of a recorded potential, timed as the fitted model times its own.

A model fires when its potential crosses a threshold, and a recording is searched for fast rises.
The two times differ by a few tenths of a millisecond, which a fit would correct with wrong values.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from brian2 import Quantity
from numpy.typing import NDArray

from dendrosim.measures.spike_detection import Found, find_spikes
from dendrosim.model.expressions import Expression
from dendrosim.model.model import Model
from dendrosim.model.quantities import UNITS
from dendrosim.model.syntax import FUNCTIONS, evaluate
from dendrosim.time_grid import EARLY

Array = NDArray[np.float64]
#: Between two crossings, a potential without noise goes further than this (V) or stays longer (s).
FAR, SOON = 5e-3, 0.3e-3
#: The times of a table are rounded by less than this part of a step.
ROUNDED = 1e-4


@dataclass(frozen=True)
class Threshold:
    """A model's threshold as a level of its somatic potential.

    Attributes
    ----------
    level
        In V.
    step
        Time step of the model in s: its spikes are at the ends of steps.
    pause
        Refractory time in s; 0 if the model fires again once the potential was below the level.
    """

    level: float
    step: float
    pause: float = 0.0


def threshold_of(model: Model, step: Any, free: Collection[str] = ()) -> Threshold | None:
    """Return the threshold of a model, if it is a level that its somatic potential shows.

    None for a model with a reset, whose trace ends at the threshold, and for a level that a free
    value would move.

    Parameters
    ----------
    model
        The fitted model.
    step
        Its time step.
    free
        Full names of the free values.
    """
    text, pause = model.threshold, model.refractory
    if text is None or model.reset or pause is None or step is None:
        return None
    tree = text.tree
    if not isinstance(tree, ast.Compare) or not isinstance(tree.ops[0], ast.Gt | ast.GtE):
        return None
    left, right = tree.left, tree.comparators[0]
    if not isinstance(left, ast.Name) or left.id != model.potentials.get("soma"):
        return None
    if isinstance(pause, Expression) and pause.text != text.text:
        return None
    values: dict[str, Any] = {name: float(unit) for name, unit in UNITS.items()}
    for name, parameter in model.parameters.items():
        if f"parameters.{name}" not in free and parameter.value.ndim == 0:
            values[name] = float(parameter.value)
    used = {node.id for node in ast.walk(right) if isinstance(node, ast.Name)}
    if not used <= values.keys() or (isinstance(pause, Quantity) and pause.ndim):
        return None
    wait = 0.0 if isinstance(pause, Expression) else float(pause)
    return Threshold(float(evaluate(right, values, FUNCTIONS)), float(step), wait)


def crossings(v: Array, dt: float, first: float, own: Threshold) -> Array:
    """Return the times at which a model with this threshold would have fired, in s.

    Between samples the potential is a straight line.  The time is the end of the model's step.

    Parameters
    ----------
    v
        Potential in V, shape (samples,).
    dt, first
        Time between samples, and that of the first one, in s.
    """
    above = v > own.level
    (at,) = np.nonzero(above[1:] & ~above[:-1])
    part = (own.level - v[at]) / (v[at + 1] - v[at])
    steps = np.floor((first + (at + part) * dt) / own.step + EARLY) + 1
    # not after the sample that is above, whose time in a table is rounded
    last = np.ceil((first + (at + 1) * dt) / own.step - ROUNDED)
    times = np.minimum(steps, last) * own.step
    return _apart(times, own.pause) if own.pause else times


def _apart(times: Array, pause: float) -> Array:
    kept: list[float] = []
    for time in times.tolist():
        if not kept or time - kept[-1] >= pause * (1 - 1e-9):
            kept.append(time)
    return np.array(kept)


def spike_times(
    v: Array, dt: float, first: float, own: Threshold | None, found: Found | None = None
) -> Array:
    """Return the spikes of a recorded potential in s.

    Its fast rises are its spikes, see `find_spikes`, and the model's threshold times them.  Without
    noise, the crossings are the spikes: a slow rise that crosses is one for the model as well.  A
    noisy potential crosses a level many times, so a crossing must then be within a fast rise.

    Parameters
    ----------
    v
        Potential in V, shape (samples,).
    dt, first
        Time between samples, and that of the first one, in s.
    own
        The model's threshold; None if it is not a level of the potential.
    found
        The fast rises; None to look for them.
    """
    found = find_spikes(v, dt) if found is None else found
    if own is None:
        return np.asarray(first + found.onsets * dt, dtype=float)
    times = crossings(v, dt, first, own)
    return _of_rises(times, found, first, dt) if _trembles(v, dt, own.level) else times


def spikes_of(
    v: Array, dt: float, first: float, own: Threshold | None, found: Sequence[Found] | None = None
) -> tuple[list[Array], int]:
    """Return the `spike_times` of each column of potentials, and the number of fast rises in all.

    Parameters
    ----------
    v
        Potentials in V, shape (samples, columns).
    dt, first, own, found
        As in `spike_times`; one `found` for each column.
    """
    rises = [find_spikes(one, dt) for one in v.T] if found is None else found
    trains = [spike_times(one, dt, first, own, rise) for one, rise in zip(v.T, rises, strict=True)]
    return trains, sum(len(rise.onsets) for rise in rises)


def _trembles(v: Array, dt: float, level: float) -> bool:
    """Whether the potential crosses a level and soon returns without having gone far: noise."""
    above = v > level
    (ends,) = np.nonzero(above[1:] != above[:-1])
    parts = np.split(np.abs(v - level), ends + 1)[1:-1]
    return any(part.max() < FAR and len(part) * dt < SOON for part in parts)


def _of_rises(times: Array, found: Found, first: float, dt: float) -> Array:
    """Return the first crossing in the rise of each spike; a spike without one is none."""
    kept = []
    for onset, peak in zip(found.onsets, found.peaks, strict=True):
        own = times[(times >= first + onset * dt) & (times <= first + (peak + 1) * dt)]
        kept.extend(own[:1])
    return np.array(kept, dtype=float)
