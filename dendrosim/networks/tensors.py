"""The file format of a network: safetensors with weights, model texts and metadata."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dendrosim.errors import DendrosimError
from dendrosim.files import is_file, replacing
from dendrosim.model.toml import to_table
from dendrosim.networks.values import Array

if TYPE_CHECKING:
    from dendrosim.networks.network import Network

FORMAT = "dendrosim network 1"
ORDER = "layer k+1 sees layer k in the same step; recurrent spikes act one step later"
MAX_BYTES = 4_000_000_000
TABLES = ("input_weights", "recurrent_weights", "bias", "parameters")


def write(network: Network, path: str | os.PathLike) -> None:
    """Write a network; see `Network.save`."""
    from safetensors.numpy import save

    tensors, layers = {}, []
    for k, layer in enumerate(network.layers):
        for label in TABLES:
            for name, value in getattr(layer, label).items():
                tensors[f"layers.{k}.{label}.{name}"] = np.ascontiguousarray(value)
        layers.append({
            "model": to_table(layer.model), "name": layer.model.name, "n_in": layer.n_in,
            "n": layer.n, "recurrent": layer.recurrent,
        })  # fmt: skip
    tensors["readout.weights"] = np.ascontiguousarray(network.readout_weights)
    tensors["readout.bias"] = np.ascontiguousarray(network.readout_bias)
    head = {"format": FORMAT, "order": ORDER, "layers": json.dumps(layers)}
    head["tensors"] = json.dumps(list(tensors))
    try:
        head["metadata"] = json.dumps(dict(network.metadata))
    except (TypeError, ValueError) as error:
        raise DendrosimError(f"metadata cannot be kept in a file: {error}") from None
    with replacing(path) as temporary:
        temporary.write_bytes(save(tensors, metadata=head))


def read_safetensors(path: Path) -> tuple[dict[str, str], dict[str, Array]]:
    """Read the header and the tensors of a safetensors file.

    Raises
    ------
    DendrosimError
        If it is missing, too large, cut short or not safetensors.
    """
    from safetensors import SafetensorError, safe_open

    if not is_file(path):
        raise DendrosimError(f"{path}: there is no such file")
    if path.stat().st_size > MAX_BYTES:
        raise DendrosimError(f"{path}: larger than {MAX_BYTES} bytes")
    try:
        with path.open("rb"):
            pass  # safetensors reports an unreadable file as missing
    except OSError as error:
        raise DendrosimError(f"{path}: cannot be read ({error.strerror})") from None
    try:
        with safe_open(path, framework="numpy") as file:
            head = file.metadata() or {}
            return head, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, TypeError, AttributeError) as error:
        raise DendrosimError(f"{path}: not a readable safetensors file ({error})") from None


def is_quantised(dtype: np.dtype) -> bool:
    """Whether a number type is quantised, so that its values need a scale.

    64-bit integers are not: Python and numpy use them for numbers written by hand.
    """
    return dtype.kind in "biu" and dtype.itemsize < 8


def is_network_file(path: Path) -> bool:
    """Whether a safetensors file was written by `Network.save`.

    Raises
    ------
    DendrosimError
        If the file is not a readable safetensors file.
    """
    return read_safetensors(path)[0].get("format") == FORMAT
