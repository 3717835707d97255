"""Networks in files: safetensors with weights, model texts, step order and metadata."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from dendrosim import checks
from dendrosim.errors import DendrosimError
from dendrosim.library import is_file, path_text
from dendrosim.model_table import model_from_table, to_table
from dendrosim.network import Array, Layer, Network
from dendrosim.writing import replacing

FORMAT = "dendrosim network 1"
ORDER = "layer k+1 sees layer k in the same step; recurrent spikes act one step later"
MAX_BYTES = 4_000_000_000

_TABLES = ("input_weights", "recurrent_weights", "bias", "parameters")


def write(network: Network, path: str | os.PathLike) -> None:
    """Write a network; see `Network.save`."""
    from safetensors.numpy import save

    tensors, layers = {}, []
    for k, layer in enumerate(network.layers):
        for label in _TABLES:
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


def as_network(value: Any) -> Network:
    """Return a network, loaded where a path is given.

    Raises
    ------
    DendrosimError
        If it is something else, or there is no such file.
    """
    return checks.loaded(value, Network, load_network, "a network, nor the path of one")


def load_network(path: str | os.PathLike) -> Network:
    """Read a file that `Network.save` wrote; nothing in it is run.

    Raises
    ------
    DendrosimError
        If there is no such file, it is something else, is cut short, or holds a wrong shape, a
        number that is not finite, or text that is not a model.
    """
    path = Path(path_text(path, "network"))
    head, tensors = read_safetensors(path)
    if head.get("format") != FORMAT:
        raise DendrosimError(f"{path}: a safetensors file, but not a dendrosim network")
    if head.get("order", ORDER) != ORDER:
        raise DendrosimError(f"{path}: order = {head['order']!r} is not known; valid: {ORDER!r}")
    try:
        listed = json.loads(head.get("tensors", "[]"))  # files of before the list have none
        if missing := [name for name in listed if name not in tensors]:
            raise DendrosimError(
                f"{path}: lacks the tensors {', '.join(map(repr, missing))} that its head lists"
            )
        entries, metadata = json.loads(head["layers"]), json.loads(head.get("metadata", "{}"))
        layers = [_layer(entry, k, tensors, path) for k, entry in enumerate(entries)]
        readout = tensors.pop("readout.weights"), tensors.pop("readout.bias")
    except DendrosimError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DendrosimError(f"{path}: not a dendrosim network ({error!r})") from None
    if tensors:
        raise DendrosimError(f"{path}: holds tensors that no layer has: {', '.join(tensors)}")
    if not isinstance(metadata, dict):
        raise DendrosimError(f"{path}: not a dendrosim network (metadata = {metadata!r})")
    try:
        return Network(layers, *readout, metadata=metadata)
    except DendrosimError as error:
        raise DendrosimError(f"{path}: {error}") from None


def read_safetensors(path: Path) -> tuple[dict[str, str], dict[str, Array]]:
    """Read the head and the tensors of a safetensors file.

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
        with safe_open(path, framework="numpy") as file:
            head = file.metadata() or {}
            return head, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, TypeError, AttributeError) as error:
        raise DendrosimError(f"{path}: not a readable safetensors file ({error})") from None


def is_quantised(dtype: np.dtype) -> bool:
    """Whether numbers of a type are quantised ones, which mean nothing without their scale.

    Whole numbers of 64 bits are what Python and numpy make of numbers that a person writes.
    """
    return dtype.kind in "biu" and dtype.itemsize < 8


def _layer(entry: dict, k: int, tensors: dict[str, Array], path: Path) -> Layer:
    where = f"{path}: layers.{k}"
    model = model_from_table(entry["model"], where, str(entry["name"]))
    tables: dict[str, dict] = {label: {} for label in _TABLES}
    for name in list(tensors):
        prefix, _, port = name.rpartition(".")
        label = prefix.removeprefix(f"layers.{k}.")
        if prefix.startswith(f"layers.{k}.") and label in tables:
            tables[label][port] = tensors.pop(name)
    try:
        layer = Layer(model, entry["n_in"], entry["n"], entry["recurrent"], **tables)
    except DendrosimError as error:
        raise DendrosimError(f"{where}: {error}") from None
    if not layer.is_drawn:
        raise DendrosimError(f"{where}: the file lacks its input or recurrent weights")
    return layer
