"""The problem of a fit: a model with free values, and its targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from brian2 import Quantity
from numpy.typing import NDArray

from dendrosim.fitting.costs import Cost
from dendrosim.fitting.free import Free
from dendrosim.fitting.responses import Runs, respond
from dendrosim.fitting.targets import Target
from dendrosim.model.model import Model
from dendrosim.model.quantities import with_dim
from dendrosim.simulation.protocol import Protocol

Array = NDArray[np.float64]


class Problem:
    """A model with free values, and its targets."""

    def __init__(
        self, model: Model, free: Sequence[Free], targets: Sequence[Target], cost: Cost, runs: Runs
    ) -> None:
        self.model, self.free, self.targets, self.cost, self.runs = model, free, targets, cost, runs
        self.start = np.array([one.position(one.start) for one in free])

    def respond(self, x: Array, targets: Sequence[Target] | None = None) -> list[list]:
        """Return the responses of each candidate under each target's protocol."""
        values = {one.key: with_dim(one.value(x[:, k]), one.dim) for k, one in enumerate(self.free)}
        every = [
            respond(self.model, target.protocol, values, len(x), self.runs, target.times)
            for target in (self.targets if targets is None else targets)
        ]
        return [list(own) for own in zip(*every, strict=True)]

    def costs(self, x: Array) -> Array:
        """Return the cost of each candidate."""
        return np.array([self.cost.of(self.targets, own) for own in self.respond(x)])

    def fitted(self, x: Array) -> tuple[Model, list[Protocol]]:
        """Return the model and the protocols of the targets at a position."""
        return with_values(
            self.model, [target.protocol for target in self.targets], values_at(self.free, x)
        )


def values_at(free: Sequence[Free], x: Array) -> dict[str, Quantity]:
    """Return the values at a position by their full names."""
    return {one.key: with_dim(float(one.value(x[k])), one.dim) for k, one in enumerate(free)}


def with_values(
    model: Model, protocols: Sequence[Protocol], values: Mapping[str, Any]
) -> tuple[Model, list[Protocol]]:
    """Return a model and protocols with other values.

    Parameters
    ----------
    values
        Full name to value: of parameters and initial states of the model, and of stimuli, which
        every protocol has.

    Raises
    ------
    DendrosimError
        If a value is invalid.
    """
    of_model: dict[str, dict[str, Any]] = {"parameters": {}, "initial": {}}
    of_stimuli: dict[int, dict[str, Any]] = {}
    for key, value in values.items():
        kind, _, name = key.partition(".")
        if kind in of_model:
            of_model[kind][name] = value
        else:
            number, _, name = name.partition(".")
            of_stimuli.setdefault(int(number), {})[name] = value
    changed = model.with_(parameters=of_model["parameters"], initial=of_model["initial"])
    return changed, [one.with_(stimuli=of_stimuli) for one in protocols]
