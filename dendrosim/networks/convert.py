"""Import and export of weights: torch checkpoints and safetensors files with a given mapping.

A checkpoint holds tensors with its author's names; a network has layers, ports and parameters.
The mapping assigns one to the other, one ``NAME=TARGET`` per tensor, and is printed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from dendrosim.errors import DendrosimError, at, did_you_mean
from dendrosim.files import replacing
from dendrosim.model.model import Model
from dendrosim.model.toml import as_model
from dendrosim.networks.layer import Layer
from dendrosim.networks.mapping import TARGET, propose
from dendrosim.networks.network import Network
from dendrosim.networks.tensors import is_quantised, read_safetensors
from dendrosim.tables import aligned

Array = np.ndarray
TORCH = (".pt", ".pth", ".ckpt", ".tar", ".bin")
_PART = re.compile(r"(?P<name>.+?)(?:\[(?P<index>[\d:,\s]+)\])?")
_VALID = (
    "layers.K.input_weights.PORT, layers.K.recurrent_weights.PORT, layers.K.bias.PORT, "
    "layers.K.parameters.NAME, readout.weights, readout.bias"
)


@dataclass(frozen=True, eq=False)
class Conversion:
    """A network made from a checkpoint, and the mapping that was used.

    Attributes
    ----------
    network
        The network.
    rows
        Tensor or sum of tensors, its shape, and its target.
    notes
        Further changes and omissions, one sentence each.
    """

    network: Network
    rows: tuple[tuple[str, str, str], ...]
    notes: tuple[str, ...] = ()

    def text(self) -> str:
        """Return the mapping as a table."""
        heads = ("tensor", "shape", "goes to")
        columns = dict(zip(heads, zip(*self.rows, strict=True), strict=True))
        return "\n".join([*aligned(columns), *(f"note: {note}" for note in self.notes)])

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        rows = [dict(zip(("tensor", "shape", "target"), row, strict=True)) for row in self.rows]
        return {"mapping": rows, "notes": list(self.notes), "network": repr(self.network)}


def import_state_dict(
    path: str | os.PathLike,
    model: Model | str | Sequence[Model | str],
    mapping: Sequence[str] | None = None,
    ignore: Sequence[str] = (),
) -> Conversion:
    """Create a network from the tensors of a torch checkpoint or a safetensors file.

    Parameters
    ----------
    path
        A file of ``torch.save`` (read with ``weights_only=True``) or safetensors.
    model
        Discrete model for all layers, or one model per layer.
    mapping
        ``"NAME=TARGET"`` with a target such as ``layers.0.input_weights.I``,
        ``layers.0.recurrent_weights.I``, ``layers.0.bias.I``, ``layers.0.parameters.c_1``,
        ``readout.weights`` or ``readout.bias``.  ``"A+B=TARGET"`` adds tensors (two biases),
        ``"A[0,1]=TARGET"`` and ``"A[0:64]=TARGET"`` select a part.  ``["auto"]`` uses the only
        mapping that fits by name, or by shape and order (see `propose`).
    ignore
        Names of tensors to leave out; all others must be mapped.

    Returns
    -------
    Conversion

    Raises
    ------
    DendrosimError
        If the file cannot be read safely; if a tensor is unknown, unmapped, has a wrong shape or
        is not finite; if there is no mapping (the message then proposes one if possible).
    """
    path = Path(path)
    tensors, notes = _read(path)
    models = _models(model)
    for name in ignore:
        if name not in tensors:
            raise DendrosimError(
                f"{path}: no tensor {name!r} to ignore; {did_you_mean(name, tensors)}"
            )
    used = {name: array for name, array in tensors.items() if name not in ignore}
    if not mapping or list(mapping) == ["auto"]:
        shapes = {name: array.shape for name, array in used.items()}
        with at(str(path)):
            proposed = propose(shapes, models, path.suffix != ".safetensors")
        if not mapping:
            told = " ".join(f"--map {entry}" for entry in proposed)
            raise DendrosimError(f"{path}: no mapping was given; --map auto would take {told}")
        notes.append("the mapping was found by name, or by shape and order: check it")
        mapping = proposed
    parts, rows, taken = _filled(mapping, tensors, path)
    if left := [name for name in used if name not in taken]:
        raise DendrosimError(
            f"{path}: not mapped and not ignored: "
            + ", ".join(f"{name} {tensors[name].shape}" for name in left)
        )
    rows += [(name, str(tensors[name].shape), "(ignored)") for name in ignore]
    network = _network(parts, models, path)
    return Conversion(network, tuple(rows), tuple(notes))


def export_state_dict(network: Network, path: str | os.PathLike) -> list[str]:
    """Write weights, biases and all neuron parameters as float64 tensors.

    Parameters
    ----------
    network
        The network to write.
    path
        ``.pt`` or ``.pth`` (torch) or ``.safetensors``.

    Returns
    -------
    list of str
        Names of the tensors, which are the targets of `import_state_dict`.

    Raises
    ------
    DendrosimError
        If the path has another ending, or the folder is not writable.
    """
    path = Path(path)
    tensors: dict[str, Array] = {}
    for k, layer in enumerate(network.layers):
        given = {name: np.asarray(p.value) for name, p in layer.model.parameters.items()}
        tables = {
            "input_weights": layer.input_weights, "recurrent_weights": layer.recurrent_weights,
            "bias": layer.bias, "parameters": given | dict(layer.parameters),
        }  # fmt: skip
        for kind, table in tables.items():
            tensors |= {f"layers.{k}.{kind}.{name}": value for name, value in table.items()}
    if network.n_out:
        tensors |= {
            "readout.weights": network.readout_weights, "readout.bias": network.readout_bias,
        }  # fmt: skip
    tensors = {name: np.array(value, dtype=float, order="C") for name, value in tensors.items()}
    if path.suffix in TORCH:
        import_module("dendrosim.networks.torch_files").write_checkpoint(path, tensors)
    elif path.suffix == ".safetensors":
        from safetensors.numpy import save

        with replacing(path) as temporary:
            temporary.write_bytes(save(tensors))
    else:
        raise DendrosimError(f"{path}: a state_dict ends in .pt, .pth or .safetensors")
    return list(tensors)


def _read(path: Path) -> tuple[dict[str, Array], list[str]]:
    if not path.is_file():
        raise DendrosimError(f"{path}: there is no such file")
    if path.suffix == ".safetensors":
        tensors, notes = read_safetensors(path)[1], []
    else:
        tensors, notes = import_module("dendrosim.networks.torch_files").read_checkpoint(path)
    if tensors and all(name.startswith("module.") for name in tensors):
        notes.append("the prefix 'module.' of every name was dropped")
        tensors = {name.removeprefix("module."): array for name, array in tensors.items()}
    if not tensors:
        raise DendrosimError(f"{path}: holds no tensors")
    return tensors, notes


def _models(model: Model | str | Sequence[Model | str]) -> list[Model]:
    names = [model] if isinstance(model, Model | str | os.PathLike) else model
    if not (models := [as_model(name) for name in names]):
        raise DendrosimError("the layers need a model")
    return models


def _filled(
    mapping: Sequence[str], tensors: Mapping[str, Array], path: Path
) -> tuple[dict[str, Array], list[tuple[str, str, str]], set[str]]:
    """Return the arrays by target, the rows of the table, and the tensor names used."""
    parts: dict[str, Array] = {}
    rows: list[tuple[str, str, str]] = []
    taken: set[str] = set()
    for entry in mapping:
        source, equals, target = (part.strip() for part in entry.rpartition("="))
        if not equals or not source or not TARGET.fullmatch(target):
            raise DendrosimError(f"mapping {entry!r} is not NAME=TARGET; targets: {_VALID}")
        if target in parts:
            raise DendrosimError(f"mapping {entry!r}: {target} is already given")
        terms = []
        for term in [source] if source in tensors else source.split("+"):
            name, array = _part(term.strip(), tensors, path)
            taken.add(name)
            terms.append(array)
        if len({term.shape for term in terms}) > 1:
            shapes = " and ".join(str(term.shape) for term in terms)
            raise DendrosimError(f"{path}: {source} cannot be added up: shapes {shapes}")
        parts[target] = np.sum(terms, axis=0) if len(terms) > 1 else terms[0]
        if not np.all(np.isfinite(parts[target])):
            raise DendrosimError(f"{path}: {source} holds a number that is not finite")
        rows.append((source, str(parts[target].shape), target))
    return parts, rows, taken


def _part(term: str, tensors: Mapping[str, Array], path: Path) -> tuple[str, Array]:
    match = _PART.fullmatch(term)
    name, index = (term, None) if term in tensors or not match else match.group("name", "index")
    if name not in tensors:
        raise DendrosimError(f"{path}: there is no tensor {name!r}; {did_you_mean(name, tensors)}")
    if is_quantised(tensors[name].dtype):
        raise DendrosimError(
            f"{path}: {name} holds {tensors[name].dtype}, quantised weights without their scale; "
            "multiply by the scale and save floating-point numbers"
        )
    array = np.asarray(tensors[name], dtype=float)
    if index is None:
        return name, array
    try:
        pieces = [piece.strip().split(":") for piece in index.split(",")]
        picked = tuple(
            int(p[0]) if len(p) == 1 else slice(*(int(n) if n else None for n in p)) for p in pieces
        )
        return name, array[picked]
    except (IndexError, ValueError, TypeError):
        raise DendrosimError(
            f"{path}: {term} does not fit the tensor's shape {array.shape}"
        ) from None


def _network(parts: Mapping[str, Array], models: Sequence[Model], path: Path) -> Network:
    tables: dict[int, dict[str, dict[str, Array]]] = {}
    readout: dict[str, Array] = {}
    for target, array in parts.items():
        match = TARGET.fullmatch(target)
        assert match is not None  # the mapping has been checked
        if match["readout"]:
            readout[match["readout"]] = array
        else:
            layer = tables.setdefault(int(match["k"]), {})
            layer.setdefault(match["kind"], {})[match["name"]] = array
    layers = []
    for k in range(max(tables, default=-1) + 1):
        weights = tables.get(k, {}).get("input_weights", {})
        if not weights:
            raise DendrosimError(f"{path}: the mapping gives layers.{k} no input_weights")
        first = next(iter(weights.values()))
        if first.ndim != 2:
            raise DendrosimError(
                f"{path}: input_weights of layers.{k} have shape {first.shape}, not two dimensions"
            )
        n, n_in = first.shape
        with at(str(path)), at(f"layers.{k}"):
            layers.append(Layer(
                _model_of(models, k), n_in, n, recurrent="recurrent_weights" in tables[k],
                **tables[k],
            ))  # fmt: skip
    if len(models) > 1 and len(models) != len(layers):
        raise DendrosimError(f"{path}: {len(layers)} layer(s), but {len(models)} models")
    if "bias" in readout and "weights" not in readout:
        raise DendrosimError(f"{path}: the mapping gives readout.bias without readout.weights")
    with at(str(path)):
        return Network(layers, readout.get("weights"), readout.get("bias"))


def _model_of(models: Sequence[Model], k: int) -> Model:
    return models[min(k, len(models) - 1)]
