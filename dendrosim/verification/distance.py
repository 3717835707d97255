"""The spikes in the text of a discrete model, and the distance of a neuron from each threshold.

A statement ``S = int(a > b)`` is a switch: ``a - b`` is the distance to threshold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from dendrosim.model.switches import Switch
from dendrosim.networks.layer import Layer
from dendrosim.networks.network import Network

if TYPE_CHECKING:
    from dendrosim.networks.run import NetworkOutput


@dataclass(frozen=True, eq=False)
class Place:
    """A neuron of a network in one step of one sample.

    Attributes
    ----------
    network, x
        The network and its input, shape (B, T, n_in).
    k, sample, step, neuron
        Layer, sample, step and neuron.
    table
        Parameters and derived values of the layer, if already computed.
    """

    network: Network
    x: np.ndarray
    k: int
    sample: int
    step: int
    neuron: int
    table: Mapping[str, np.ndarray] | None = None

    @property
    def layer(self) -> Layer:
        """The neuron's layer."""
        return self.network.layers[self.k]

    @cached_property
    def values(self) -> dict[str, float]:
        """Parameters and derived values of this neuron."""
        return {
            name: float(value if value.ndim == 0 else value[self.neuron])
            for name, value in (self.table or self.layer.values()).items()
        }

    def currents(self, run: NetworkOutput, absolute: bool = False) -> dict[str, np.ndarray]:
        """Return the input of each port in every step up to this one, shape (step + 1,).

        Parameters
        ----------
        run
            Run with the spikes.
        absolute
            Whether to sum absolute values instead: the magnitude of the terms.
        """
        size = np.abs if absolute else np.asarray
        upto = slice(0, self.step + 1)
        below = self.x if self.k == 0 else run.spikes[self.k - 1]
        below = size(below[self.sample, upto].astype(float))
        own = run.spikes[self.k][self.sample, upto].astype(float)
        own = np.concatenate([np.zeros((1, own.shape[1])), own[:-1]])  # previous step
        result = {port: np.zeros(self.step + 1) for port in self.layer.model.inputs.values()}
        for table, source in (
            (self.layer.input_weights, below), (self.layer.recurrent_weights, own),
        ):  # fmt: skip
            for port, weights in table.items():
                result[port] = result[port] + source @ size(weights[self.neuron])
        for port, bias in self.layer.bias.items():
            result[port] = result[port] + size(bias[self.neuron])
        return result

    def state(self, run: NetworkOutput, name: str, step: int) -> float:
        """Return a recorded variable of this neuron after a step; -1 is the initial state."""
        if step < 0:
            initial = np.broadcast_to(self.layer.initial()[name], (self.layer.n,))
            return float(initial[self.neuron])
        return float(run.states[self.k][name][self.sample, step, self.neuron])


def distance(place: Place, switch: Switch, run: NetworkOutput) -> float:
    """Return the distance to threshold: left minus right side of the comparison.

    Parameters
    ----------
    place
        The neuron, step and sample.
    switch
        The spike variable.
    run
        The run with the states.

    Returns
    -------
    float
        NaN for an output that is not written as ``int(a > b)``.
    """
    if switch.sides is None:
        return float("nan")
    names = dict(place.values)
    for name in switch.reads & set(place.layer.model.states):
        step = place.step if name in switch.before else place.step - 1
        names[name] = place.state(run, name, step)
    if switch.reads & set(place.layer.model.inputs.values()):
        names |= {port: float(sums[-1]) for port, sums in place.currents(run).items()}
    left, right = (float(side(names)) for side in switch.sides)
    return left - right


def magnitude(place: Place, run: NetworkOutput) -> float:
    """Return the largest magnitude in the neuron up to this step.

    The largest absolute recorded state, plus the largest sum of absolute weighted inputs.
    """
    upto = slice(0, place.step + 1)
    states = [
        np.abs(values[place.sample, upto, place.neuron]).max()
        for values in run.states[place.k].values()
    ]
    currents = [sums.max() for sums in place.currents(run, absolute=True).values()]
    return float(max(states, default=0.0)) + float(sum(currents))
