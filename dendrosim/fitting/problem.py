"""The problem of a fit: a model with free values, and its targets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dendrosim.fitting.costs import Cost
from dendrosim.fitting.free import Free
from dendrosim.fitting.responses import Runs, respond
from dendrosim.fitting.targets import Target
from dendrosim.model.model import Model
from dendrosim.model.quantities import with_dim
from dendrosim.simulation.protocol import Protocol
from dendrosim.sweeps.axes import set_value

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
        model, protocols = self.model, []
        for target in self.targets:
            model, protocol = self.model, target.protocol
            for k, one in enumerate(self.free):
                value = with_dim(float(one.value(x[k])), one.dim)
                model, protocol = set_value(model, protocol, one.key, value)
            protocols.append(protocol)
        return model, protocols
