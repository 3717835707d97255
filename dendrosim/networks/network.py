"""Layers of discrete neurons with their weights: plain values that can be saved and loaded.

The same network is trained in torch and run in Brian2.  The order within a step is that of the
papers: layer k+1 receives the spikes of layer k in the same step, recurrent weights act on the
spikes of the previous step, and every state starts at its initial value.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from dendrosim import checks
from dendrosim.errors import DendrosimError
from dendrosim.networks.layer import MOST, Layer
from dendrosim.networks.tensors import write
from dendrosim.networks.values import Array, array_of, numbers_of, table_of


@dataclass(frozen=True, init=False, eq=False)
class Network:
    """A sequence of layers and a linear readout.

    Parameters
    ----------
    layers
        Each receives the spikes of the previous layer.
    readout_weights, readout_bias
        Shapes (n_out, n) and (n_out,); without weights there is no readout.
    metadata
        Texts or numbers stored in the file.

    Raises
    ------
    DendrosimError
        If two sizes do not match.
    """

    layers: tuple[Layer, ...]
    readout_weights: Array
    readout_bias: Array
    metadata: Mapping[str, Any]

    def __init__(
        self,
        layers: Sequence[Layer],
        readout_weights: Any = None,
        readout_bias: Any = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        layers = _layers(layers)
        if not layers:
            raise DendrosimError("a network needs a layer")
        for k, layer in enumerate(layers):
            if k and layer.n_in != layers[k - 1].n:
                raise DendrosimError(
                    f"layer {k} takes {layer.n_in} inputs, but layer {k - 1} has "
                    f"{layers[k - 1].n} neurons"
                )
        n = layers[-1].n
        weights = np.zeros((0, n)) if readout_weights is None else readout_weights
        weights = numbers_of(weights, "readout_weights")
        n_out = len(weights) if weights.ndim == 2 else 0
        weights = array_of(weights, (n_out, n), "readout_weights")
        bias = np.zeros(n_out) if readout_bias is None else readout_bias
        bias = array_of(bias, (n_out,), "readout_bias")
        fields = {
            "layers": layers, "readout_weights": weights, "readout_bias": bias,
            "metadata": MappingProxyType(dict(table_of(metadata, "metadata of a network"))),
        }  # fmt: skip
        for label, value in fields.items():
            object.__setattr__(self, label, value)

    def __repr__(self) -> str:
        """Short form: sizes and models."""
        sizes = "-".join(map(str, [self.layers[0].n_in, *(la.n for la in self.layers), self.n_out]))
        models = ", ".join(dict.fromkeys(layer.model.name for layer in self.layers))
        return f"<Network {sizes} of {models}, {self.n_weights} weights>"

    def __reduce__(self) -> tuple:
        """Pickle and copy by the arguments, which are checked again."""
        return Network, (
            self.layers, self.readout_weights, self.readout_bias, dict(self.metadata),
        )  # fmt: skip

    @property
    def n_in(self) -> int:
        """Number of inputs."""
        return self.layers[0].n_in

    @property
    def n_out(self) -> int:
        """Number of readouts."""
        return len(self.readout_bias)

    @property
    def n_weights(self) -> int:
        """Number of weights and biases of all layers and the readout, without neuron parameters."""
        readout = self.readout_weights.size + self.readout_bias.size
        return sum(layer.n_weights for layer in self.layers) + readout

    @staticmethod
    def random(layers: Sequence[Layer], n_out: int = 0, seed: int = 0) -> Network:
        """Return a network with missing weights drawn at random.

        Parameters
        ----------
        layers
            Layers with or without weights.
        n_out
            Number of readouts.
        seed
            Seed of the random generator.

        Raises
        ------
        DendrosimError
            If a size does not match, or `n_out` or `seed` is not a whole number from 0.
        """
        checks.whole(n_out, "n_out", most=MOST)
        checks.whole(seed, "seed")
        rng = np.random.default_rng(seed)
        drawn = [layer if layer.is_drawn else layer.drawn(rng) for layer in _layers(layers)]
        n = drawn[-1].n if drawn else 0
        limit = np.sqrt(6 / (n + n_out)) if n_out else 0
        weights = rng.uniform(-limit, limit, (n_out, n)) if n_out else None
        return Network(drawn, weights, np.zeros(n_out) if n_out else None)

    def readout(self, spikes: Array) -> Array:
        """Return the readout for the last layer's spikes: (B, T, n) to (B, T, n_out)."""
        return spikes.astype(float) @ self.readout_weights.T + self.readout_bias

    def save(self, path: str | os.PathLike) -> None:
        """Write one safetensors file: weights, model texts, step order and metadata.

        Raises
        ------
        DendrosimError
            If the folder is not writable, or the metadata are not texts, numbers and lists.
        """
        write(self, path)


def _layers(layers: Any) -> tuple[Layer, ...]:
    """Return layers as a tuple; refuse anything that is not a list of `Layer`."""
    if not isinstance(layers, Sequence) or isinstance(layers, str):
        raise DendrosimError(f"layers = {layers!r} should be a list of Layer")
    for k, layer in enumerate(layers):
        if not isinstance(layer, Layer):
            raise DendrosimError(f"layer {k}: {layer!r} is not a Layer")
    return tuple(layers)


def check_network(network: Any) -> None:
    """Refuse anything but a `Network`.

    Raises
    ------
    DendrosimError
    """
    if not isinstance(network, Network):
        raise DendrosimError(
            f"{network!r} is not a Network; load_network(path) reads a file of one"
        )
