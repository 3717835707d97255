"""Files of networks: safetensors with weights, model texts, step order and metadata."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from dendrosim import shelves
from dendrosim.errors import DendrosimError, at
from dendrosim.files import path_text
from dendrosim.model.toml import model_from_table
from dendrosim.networks.layer import Layer
from dendrosim.networks.network import Network
from dendrosim.networks.tensors import FORMAT, ORDER, TABLES, read_safetensors
from dendrosim.networks.values import Array


def as_network(value: Any) -> Network:
    """Return a network, loading it if `value` is a path.

    Raises
    ------
    DendrosimError
        If it has another type, or the file does not exist.
    """
    return shelves.loaded(value, Network, load_network, "a network, nor the path of one")


def load_network(path: str | os.PathLike) -> Network:
    """Read a file written by `Network.save`; no code in it is executed.

    Raises
    ------
    DendrosimError
        If the file does not exist, has another format, is cut short, or contains a wrong shape, a
        number that is not finite, or text that is not a model.
    """
    path = Path(path_text(path, "network"))
    head, tensors = read_safetensors(path)
    if head.get("format") != FORMAT:
        raise DendrosimError(f"{path}: a safetensors file, but not a dendrosim network")
    if head.get("order", ORDER) != ORDER:
        raise DendrosimError(f"{path}: order = {head['order']!r} is not known; valid: {ORDER!r}")
    try:
        listed = json.loads(head.get("tensors", "[]"))  # older files have no such list
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
    with at(str(path)):
        return Network(layers, *readout, metadata=metadata)


def _layer(entry: dict, k: int, tensors: dict[str, Array], path: Path) -> Layer:
    place = f"{path}: layers.{k}"
    model = model_from_table(entry["model"], place, str(entry["name"]))
    tables: dict[str, dict] = {label: {} for label in TABLES}
    for name in list(tensors):
        prefix, _, port = name.rpartition(".")
        label = prefix.removeprefix(f"layers.{k}.")
        if prefix.startswith(f"layers.{k}.") and label in tables:
            tables[label][port] = tensors.pop(name)
    with at(place):
        layer = Layer(model, entry["n_in"], entry["n"], entry["recurrent"], **tables)
        if not layer.is_drawn:
            raise DendrosimError("the file lacks its input or recurrent weights")
    return layer
