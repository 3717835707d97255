"""How far a neuron carries a rounding of its input.

Some trained neurons are unstable between spikes: what differs in the last bit in one step has
grown to a hundredth a hundred steps later.  Two devices that add in different orders then differ
by more than any fixed tolerance, without an error in either.  The growth is measured: the neuron
runs alone, several times, on its own input with the last bit changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dendrosim.model.switches import Switch
from dendrosim.networks.layer import Layer
from dendrosim.networks.network import Network
from dendrosim.networks.run import run_network
from dendrosim.verification.distance import Place, distance

if TYPE_CHECKING:
    from dendrosim.networks.run import NetworkOutput

#: Runs with a changed input, beside one with the input as it is.
DRAWS = 8
#: The tolerance is as many times the largest change of distance in these runs.
MARGIN = 4


def amplified_rounding(place: Place, switch: Switch, run: NetworkOutput) -> float:
    """Return a tolerance for the distance of one neuron to its threshold.

    Parameters
    ----------
    place
        The neuron, step and sample.
    switch
        The spike variable.
    run
        A run with the spikes that the neuron received.

    Returns
    -------
    float
        `MARGIN` times the largest change of distance when the input of every step is changed by
        at most 2**-52 of the sum of absolute terms.  NaN for an output that is not written as
        ``int(a > b)``.
    """
    if switch.sides is None:
        return float("nan")
    layer = place.layer
    ports = tuple(layer.model.inputs.values())
    whole, size = place.currents(run), place.currents(run, absolute=True)
    rng = np.random.default_rng(0)
    change = rng.uniform(-1, 1, (len(ports), place.step + 1, DRAWS + 1)) * np.finfo(float).eps
    change[..., 0] = 0
    x = np.concatenate(
        [whole[p][:, None] + change[k] * size[p][:, None] for k, p in enumerate(ports)], axis=1
    )[None]
    alone = Network([_copies(layer, place.neuron, DRAWS + 1)], np.zeros((1, DRAWS + 1)))
    record = {0: tuple(layer.model.states)}
    out = run_network(alone, x, device="numpy", record=record, progress=False)
    distances = np.array([
        distance(Place(alone, x, 0, 0, place.step, n), switch, out) for n in range(DRAWS + 1)
    ])  # fmt: skip
    return float(MARGIN * np.abs(distances - distances[0]).max())


def _copies(layer: Layer, neuron: int, n: int) -> Layer:
    """Return a layer of copies of a neuron; each has one input per port, with weight 1."""
    ports = tuple(layer.model.inputs.values())
    own = {
        name: float(np.asarray(value).reshape(-1)[neuron if np.size(value) > 1 else 0])
        for name, value in layer.parameters.items()
    }
    weights = {p: np.eye(n, n * len(ports), k * n) for k, p in enumerate(ports)}
    return Layer(
        layer.model, n * len(ports), n, input_weights=weights,
        bias=dict.fromkeys(ports, np.zeros(n)), parameters=own,
    )  # fmt: skip
