"""Layers of discrete neurons with their weights: plain values that can be saved and loaded.

A network is what is trained in torch and run in Brian2.  The order within a step is the one of the
papers: layer k+1 sees the spikes that layer k fires in the same step, recurrent weights see those
of the step before, and every state starts at its initial value.
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
    """Layers in a row and a linear readout.

    Parameters
    ----------
    layers
        Each takes the spikes of the one before.
    readout_weights, readout_bias
        Shapes (n_out, n) and (n_out,); without weights the readout is empty.
    metadata
        Text or numbers that are kept with the file.

    Raises
    ------
    DendrosimError
        If two sizes do not fit.
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
        """Short: sizes and models."""
        sizes = "-".join(map(str, [self.layers[0].n_in, *(la.n for la in self.layers), self.n_out]))
        models = ", ".join(dict.fromkeys(layer.model.name for layer in self.layers))
        return f"<Network {sizes} of {models}, {self.n_weights} weights>"

    def __reduce__(self) -> tuple:
        """Pickle and copy by what the network is made of, checked again."""
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
        """Weights and biases of all layers and the readout; neuron parameters do not count."""
        readout = self.readout_weights.size + self.readout_bias.size
        return sum(layer.n_weights for layer in self.layers) + readout

    @staticmethod
    def random(layers: Sequence[Layer], n_out: int = 0, seed: int = 0) -> Network:
        """Return a network whose missing weights are drawn.

        Parameters
        ----------
        layers
            Layers with or without weights.
        n_out
            Number of readouts.
        seed
            Of the generator.

        Raises
        ------
        DendrosimError
            If a size does not fit, or `n_out` or `seed` is not a whole number from 0.
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
        """Return the readout of the last layer's spikes: (B, T, n) to (B, T, n_out)."""
        return spikes.astype(float) @ self.readout_weights.T + self.readout_bias

    def save(self, path: str | os.PathLike) -> None:
        """Write one safetensors file: weights, model texts, step order and metadata.

        Raises
        ------
        DendrosimError
            If the folder cannot be written, or the metadata are not text, numbers and lists.
        """
        write(self, path)


def _layers(layers: Any) -> tuple[Layer, ...]:
    """Return layers as a tuple, refusing what is none."""
    if not isinstance(layers, Sequence) or isinstance(layers, str):
        raise DendrosimError(f"layers = {layers!r} should be a list of Layer")
    for k, layer in enumerate(layers):
        if not isinstance(layer, Layer):
            raise DendrosimError(f"layer {k}: {layer!r} is not a Layer")
    return tuple(layers)


def check_network(network: Any) -> None:
    """Refuse what is not a `Network`.

    Raises
    ------
    DendrosimError
    """
    if not isinstance(network, Network):
        raise DendrosimError(
            f"{network!r} is not a Network; load_network(path) reads a file of one"
        )
