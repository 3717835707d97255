"""Files of trained LSTM or ReLU networks, as `Network.save` for spiking networks."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dendrosim.errors import DendrosimError
from dendrosim.files import replacing
from dendrosim.learn.networks.torch_cells import CellNetwork
from dendrosim.networks.files import load_network
from dendrosim.networks.network import Network
from dendrosim.networks.tensors import FORMAT as NETWORK
from dendrosim.networks.tensors import read_safetensors

FORMAT = "dendrosim cells 1"


@dataclass(frozen=True, eq=False)
class TrainedCells:
    """A network of torch's units and its metadata.

    Attributes
    ----------
    module
        The network.
    metadata
        Texts or numbers stored in the file.
    """

    module: CellNetwork
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Short form: sizes and kind."""
        sizes = "-".join(map(str, [*self.sizes, self.n_out]))
        return f"<Network {sizes} of {self.module.kind}, {self.n_weights} weights>"

    @property
    def sizes(self) -> list[int]:
        """Number of inputs, then number of units per layer."""
        return [self.n_in, *(layer.hidden_size for layer in self.module.layers)]

    @property
    def n_in(self) -> int:
        """Number of inputs."""
        return self.module.n_in

    @property
    def n_out(self) -> int:
        """Number of readouts."""
        return self.module.n_out

    @property
    def n_weights(self) -> int:
        """Number of weights and biases."""
        return self.module.n_weights

    def save(self, path: str | os.PathLike) -> None:
        """Write one safetensors file.

        Raises
        ------
        DendrosimError
            If the folder is not writable.
        """
        from safetensors.numpy import save

        tensors = {k: v.detach().cpu().numpy() for k, v in self.module.state_dict().items()}
        head = {
            "format": FORMAT, "kind": self.module.kind, "sizes": json.dumps(self.sizes),
            "n_out": str(self.n_out), "metadata": json.dumps(dict(self.metadata)),
        }  # fmt: skip
        with replacing(path) as temporary:
            temporary.write_bytes(save(tensors, metadata=head))


def load_trained(path: str | os.PathLike) -> Network | TrainedCells:
    """Read the network of a training run: a spiking network, or one of torch's units.

    Raises
    ------
    DendrosimError
        If the file does not exist or has another format.
    """
    path = Path(path)
    head, tensors = read_safetensors(path)
    if head.get("format") == NETWORK:
        return load_network(path)
    if head.get("format") != FORMAT:
        raise DendrosimError(f"{path}: a safetensors file, but not a dendrosim network")
    try:
        sizes, metadata = json.loads(head["sizes"]), json.loads(head["metadata"])
        module = CellNetwork(head["kind"], sizes, int(head["n_out"]))
        module.load_state_dict({k: torch.from_numpy(np.array(v)) for k, v in tensors.items()})
    except (KeyError, ValueError, TypeError, RuntimeError, RecursionError) as error:
        said = (str(error).splitlines() or [""])[0]
        raise DendrosimError(f"{path}: not a dendrosim network ({said})") from None
    if not isinstance(metadata, dict):
        raise DendrosimError(f"{path}: not a dendrosim network (metadata = {metadata!r})")
    return TrainedCells(module, metadata)
