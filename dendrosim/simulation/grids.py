"""Grids: values of a model or of a stimulus that differ between the neurons of a run.

Several grids can be paired or crossed.  The caller must choose one of the two, because otherwise
the effect of one grid could be mistaken for that of another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from brian2 import Quantity

from dendrosim import checks
from dendrosim.errors import DendrosimError
from dendrosim.model.model import Model
from dendrosim.model.quantities import with_dim
from dendrosim.simulation.protocol import Protocol
from dendrosim.simulation.shapes import spread

HOW = ("zip", "cross")


class Grid(NamedTuple):
    """A value that differs between the neurons of a run.

    Attributes
    ----------
    key
        Full name, as for ``--set``: ``"parameters.g_c"``, ``"stimuli.0.amplitude"``.
    values
        One value per point.
    """

    key: str
    values: Quantity

    @property
    def size(self) -> int:
        """Number of points."""
        return self.values.size


def grids_of(model: Model, protocol: Protocol) -> list[Grid]:
    """Return the grids of a protocol, then those of a model."""
    found = list(protocol.grids_given())
    named = {f"parameters.{name}": p.value for name, p in model.parameters.items()}
    named |= {f"initial.{name}": value for name, value in model.initial.items()}
    found += [(key, value) for key, value in named.items() if value.ndim and value.size > 1]
    return [Grid(key, Quantity(value)) for key, value in found]


def arranged(
    model: Model, protocol: Protocol, how: str | None
) -> tuple[Model, Protocol, list[Grid]]:
    """Pair or cross the grids of a model and a protocol.

    Parameters
    ----------
    model, protocol
        Model and protocol of the run.
    how
        ``"zip"`` pairs the grids.  ``"cross"`` takes every combination; the first grid varies
        slowest.  None if there is only one grid.

    Returns
    -------
    model, protocol
        The same, with the values of crossed grids written out.
    grids
        Grids of both.

    Raises
    ------
    DendrosimError
        If there are several grids and `how` is None.
    """
    how = protocol.grids if how is None else how
    if how is not None:
        checks.one_of(how, HOW, "unknown grids")
    found = grids_of(model, protocol)
    if len(found) > 1 and how is None:
        text = " and ".join(f"{grid.key} of {grid.size} values" for grid in found)
        raise DendrosimError(
            f"{model.name} under {protocol.name} has {len(found)} grids, {text}; "
            "grids = 'zip' pairs their values, grids = 'cross' takes every combination"
        )
    if how == "cross" and len(found) > 1:
        found = _crossed(found)
        model, protocol = _with(model, protocol, found)
    return model, protocol, found


def neurons_of(grids: Sequence[Grid], n: int, name: str) -> int:
    """Return the number of neurons of a run: `n` per point of its grids.

    A grid of the model may also have one value per neuron.

    Raises
    ------
    DendrosimError
        If the grids of the model `name` differ in length.
    """
    points = max((g.size for g in grids if g.key.startswith("stimuli.")), default=1)
    own = {grid.size for grid in grids if not grid.key.startswith("stimuli.")}
    if own == {points * n}:
        return points * n
    lengths = own | ({points} if points > 1 else set())
    if len(lengths) > 1:
        text = ", ".join(f"{grid.key} has {grid.size}" for grid in grids)
        raise DendrosimError(f"{name}: grids differ in length: {text}")
    return n * max(lengths, default=1)


def per_neuron(grid: Grid, neurons: int) -> np.ndarray:
    """Return the value of each neuron in SI units, shape (neurons,)."""
    return spread(np.asarray(grid.values, dtype=float)[None], neurons)[0]


def _crossed(grids: Sequence[Grid]) -> list[Grid]:
    inner = int(np.prod([grid.size for grid in grids]))
    result, outer = [], 1
    for grid in grids:
        inner //= grid.size
        values = np.tile(np.repeat(np.asarray(grid.values), inner), outer)
        result.append(Grid(grid.key, with_dim(values, grid.values.dim)))
        outer *= grid.size
    return result


def _with(model: Model, protocol: Protocol, grids: Sequence[Grid]) -> tuple[Model, Protocol]:
    values: dict[str, dict] = {"parameters": {}, "initial": {}, "stimuli": {}}
    for key, value in grids:
        kind, name, *rest = key.split(".")
        if kind != "stimuli":
            values[kind][name] = value
            continue
        if rest[0] in ("sweeps", "seed"):  # options are whole numbers
            value = [int(number) for number in value]
        values["stimuli"].setdefault(int(name), {})[rest[0]] = value
    protocol = protocol.with_(stimuli=values.pop("stimuli"), grids="zip")
    own: dict[str, Any] = {kind: given for kind, given in values.items() if given}
    return model.with_(**own), protocol
