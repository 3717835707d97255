"""Proposal of a mapping for a checkpoint: used only if exactly one mapping fits."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from dendrosim.errors import DendrosimError
from dendrosim.model.model import Model

Shape = tuple[int, ...]

#: Valid targets of a tensor.
TARGET = re.compile(
    r"layers\.(?P<k>\d{1,3})\.(?P<kind>input_weights|recurrent_weights|bias|parameters)"
    r"\.(?P<name>\w+)|readout\.(?P<readout>weights|bias)"
)
#: Names in `TorchNetwork.state_dict` that differ from the targets.
_OF_MODULE = (
    (re.compile(r"(layers\.\d{1,3}\.)parameters_\.(\w+)"), r"\1parameters.\2"),
    (re.compile(r"(layers\.\d{1,3}\.)value_(\w+)"), r"\1parameters.\2"),
    (re.compile(r"readout_(weights|bias)"), r"readout.\1"),
)
_MOST = 100


def propose(
    shapes: Mapping[str, Shape], models: Sequence[Model], in_order: bool = True
) -> list[str]:
    """Return the only mapping that fits.

    Parameters
    ----------
    shapes
        Name to shape, in the order of the file.
    models
        One model for all layers, or one per layer.
    in_order
        Whether the order is that of the author; safetensors files use their own order.

    Returns
    -------
    list of str
        ``"NAME=TARGET"``.

    Raises
    ------
    DendrosimError
        If none or more than one fits.

    Notes
    -----
    Names that are targets, or names of ``TorchNetwork.state_dict``, are used directly.  Otherwise
    the order decides.  Each layer has a matrix (n, n_in), optionally a bias, and optionally a
    square recurrent matrix with a second bias that is added to the first.  The last matrix is the
    readout.  A square matrix that could also belong to the next layer makes the mapping ambiguous.
    """
    named = {name: _target(name) for name in shapes}
    if all(named.values()) and len(set(named.values())) == len(named):
        return [f"{name}={target}" for name, target in named.items()]
    if not in_order:
        raise DendrosimError(f"a file without an order needs a mapping (--map): {_listed(shapes)}")
    if any(len(model.ports) != 1 for model in models):
        raise DendrosimError("a model with several ports needs a mapping (--map)")
    if len(shapes) > _MOST or any(len(shape) not in (1, 2) for shape in shapes.values()):
        raise DendrosimError(
            "more than matrices and biases, so a mapping is needed (--map): " + _listed(shapes)
        )
    count = len(models) if len(models) > 1 else None
    found = []
    for mapping in _parses(list(shapes.items()), models, None, 0):
        layers = {target.split(".")[1] for _, target in mapping if target[0] == "l"}
        if count in (None, len(layers)):
            found.append(mapping)
        if len(found) > 1:
            break
    if len(found) != 1:
        what = "several mappings fit" if found else "no mapping fits"
        raise DendrosimError(
            f"{what} by shape and order, so one is needed (--map): {_listed(shapes)}"
        )
    targets: dict[str, list[str]] = {}
    for name, target in found[0]:
        targets.setdefault(target, []).append(name)
    return [f"{'+'.join(names)}={target}" for target, names in targets.items()]


def _target(name: str) -> str | None:
    for pattern, replacement in _OF_MODULE:
        if pattern.fullmatch(name):
            name = pattern.sub(replacement, name)
    return name if TARGET.fullmatch(name) else None


def _parses(
    rest: list[tuple[str, Shape]], models: Sequence[Model], n: int | None, k: int
) -> Iterator[list[tuple[str, str]]]:
    """Yield every possible assignment of the tensors from layer k on, with n sources."""
    if not rest:
        yield []
        return
    if len(rest[0][1]) != 2 or rest[0][1][1] != (n or rest[0][1][1]):
        return
    (name, shape), after = rest[0], rest[1:]
    if k and all(len(other) == 1 for _, other in after):  # the last matrix: only biases follow
        readout = [(name, "readout.weights")]
        if not after:
            yield readout
        elif [other for _, other in after] == [shape[:1]]:
            yield [*readout, (after[0][0], "readout.bias")]
        return
    port = models[min(k, len(models) - 1)].ports[0]
    names = [f"layers.{k}.{kind}.{port}" for kind in ("input_weights", "bias", "recurrent_weights")]
    size = shape[0]
    for kinds in ("W", "Wb", "WV", "WbV", "WVb", "WbVb"):
        wanted = [{"W": shape, "b": (size,), "V": (size, size)}[kind] for kind in kinds]
        if [other for _, other in rest[: len(kinds)]] == wanted:
            targets = [names["WbV".index(kind)] for kind in kinds]
            here = [(rest[i][0], target) for i, target in enumerate(targets)]
            for others in _parses(rest[len(kinds) :], models, size, k + 1):
                yield here + others


def _listed(shapes: Mapping[str, Shape]) -> str:
    return ", ".join(f"{name} {shape}" for name, shape in shapes.items())
