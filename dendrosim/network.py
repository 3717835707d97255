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
from dendrosim.errors import DendrosimError, did_you_mean
from dendrosim.model import Model
from dendrosim.model_table import load_model
from dendrosim.quantities import quantity

Array = np.ndarray

#: More sources or neurons of a layer than any network has.
MOST = 10**7

#: What a layer is made of.
LAYER = (
    "model", "n_in", "n", "recurrent", "input_weights", "recurrent_weights", "bias", "parameters",
)  # fmt: skip


@dataclass(frozen=True, init=False, eq=False, repr=False)
class Layer:
    """Neurons of one model and what flows into them.

    Parameters
    ----------
    model
        A discrete model, or its name or path.
    n_in, n
        Number of sources and of neurons.
    recurrent
        Whether the layer sees its own spikes of the step before.
    input_weights
        Port to weights of shape (n, n_in); a port without weights gets nothing from below.
    recurrent_weights
        Port to weights of shape (n, n); None with ``recurrent=True`` leaves them to be drawn.
    bias
        Port to shape (n,).
    parameters
        Name to a number, its text, or an array of shape (n,), instead of the model's own.

    Raises
    ------
    DendrosimError
        Naming the layer, the port or parameter and the shape that is needed.
    """

    model: Model
    n_in: int
    n: int
    recurrent: bool
    input_weights: Mapping[str, Array]
    recurrent_weights: Mapping[str, Array]
    bias: Mapping[str, Array]
    parameters: Mapping[str, Array]

    def __init__(
        self,
        model: Model | str | os.PathLike,
        n_in: int,
        n: int,
        recurrent: bool = False,
        input_weights: Mapping[str, Any] | None = None,
        recurrent_weights: Mapping[str, Any] | None = None,
        bias: Mapping[str, Any] | None = None,
        parameters: Mapping[str, Any] | None = None,
        **unknown: Any,
    ) -> None:
        model = model if isinstance(model, Model) else load_model(model)
        where = f"layer of {model.name}"
        for name in unknown:
            raise DendrosimError(
                f"{where}: a layer has no argument {name!r}; {did_you_mean(name, LAYER)}"
            )
        if model.kind != "discrete":
            raise DendrosimError(f"{where}: a network needs a discrete model")
        for label, size in (("n_in", n_in), ("n", n)):
            checks.whole(size, f"{where}: {label}", least=1, most=MOST)
        if not isinstance(recurrent, bool | np.bool_):
            raise DendrosimError(f"{where}: recurrent = {recurrent!r} is not True or False")
        if recurrent and not model.recurrent:
            raise DendrosimError(f"{where}: this model has no recurrent connections")
        if _table(recurrent_weights, f"{where}: recurrent_weights") and not recurrent:
            raise DendrosimError(f"{where}: recurrent_weights are given, but recurrent is False")
        ports = model.ports
        shapes = {"input_weights": (n, n_in), "recurrent_weights": (n, n), "bias": (n,)}
        tables = {
            "input_weights": input_weights, "recurrent_weights": recurrent_weights, "bias": bias,
        }  # fmt: skip
        for label, table in tables.items():
            checked = {
                port: _array(value, shapes[label], f"{where}: {label}[{port!r}]", port, ports)
                for port, value in _table(table, f"{where}: {label}").items()
            }
            object.__setattr__(self, label, MappingProxyType(checked))
        values = {}
        for name, value in _table(parameters, f"{where}: parameters").items():
            if name not in model.parameters:
                hint = did_you_mean(name, model.parameters)
                raise DendrosimError(f"{where}: {name!r} is not a parameter; {hint}")
            label = f"{where}: parameters[{name!r}]"
            array = _numbers(quantity(value, label) if isinstance(value, str) else value, label)
            array = array.reshape(()) if array.size == 1 else array
            values[name] = _array(array, () if array.size == 1 else (n,), label)
        own = {name: p.value for name, p in model.parameters.items() if name not in values}
        for name, value in {**own, **model.initial}.items():
            if np.size(value) not in (1, n):
                raise DendrosimError(
                    f"{where}: {name} of the model has {np.size(value)} values, but there are "
                    f"{n} neurons"
                )
        fields = {
            "model": model, "n_in": int(n_in), "n": int(n), "recurrent": bool(recurrent),
            "parameters": MappingProxyType(values),
        }  # fmt: skip
        for label, value in fields.items():
            object.__setattr__(self, label, value)

    def __repr__(self) -> str:
        """Short: sizes and model."""
        kind = "recurrent " if self.recurrent else ""
        return f"<Layer {self.n_in}-{self.n} of {kind}{self.model.name}, {self.n_weights} weights>"

    def __reduce__(self) -> tuple:
        """Pickle and copy by what the layer is made of, checked again."""
        tables = (self.input_weights, self.recurrent_weights, self.bias, self.parameters)
        return Layer, (self.model, self.n_in, self.n, self.recurrent, *map(dict, tables))

    @property
    def is_drawn(self) -> bool:
        """Whether the layer has all the weights that it declares."""
        return bool(self.input_weights) and (not self.recurrent or bool(self.recurrent_weights))

    @property
    def n_weights(self) -> int:
        """Weights and biases."""
        tables = (self.input_weights, self.recurrent_weights, self.bias)
        return sum(value.size for table in tables for value in table.values())

    def values(self) -> dict[str, Array]:
        """Return every parameter and derived value: a number, or an array of shape (n,)."""
        given = {name: quantity(value) for name, value in self.parameters.items()}
        values = self.model.with_(parameters=given).values() if given else self.model.values()
        return {name: _number_or_array(value) for name, value in values.items()}

    def initial(self) -> dict[str, Array]:
        """Return the state before the first step: numbers, or arrays of shape (n,)."""
        given = {name: quantity(value) for name, value in self.parameters.items()}
        model = self.model.with_(parameters=given) if given and self.model.starts else self.model
        return {name: _number_or_array(value) for name, value in model.initial.items()}

    def with_(self, **changes: Any) -> Layer:
        """Return a copy with other weights, biases or parameters."""
        return Layer(**{name: getattr(self, name) for name in LAYER} | changes)

    def drawn(self, rng: np.random.Generator) -> Layer:
        """Return the layer with the weights that it lacks.

        Input weights are Xavier uniform, recurrent ones orthogonal, biases 0.
        """
        ports = self.model.ports
        changes: dict[str, Any] = {}
        if not self.input_weights:
            limit = np.sqrt(6 / (self.n_in + self.n))
            changes["input_weights"] = {
                port: rng.uniform(-limit, limit, (self.n, self.n_in)) for port in ports
            }
            if not self.bias:
                changes["bias"] = {port: np.zeros(self.n) for port in ports}
        if self.recurrent and not self.recurrent_weights:
            changes["recurrent_weights"] = {port: _orthogonal(rng, self.n) for port in ports}
        return self.with_(**changes)


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
        weights = _numbers(weights, "readout_weights")
        n_out = len(weights) if weights.ndim == 2 else 0
        weights = _array(weights, (n_out, n), "readout_weights")
        bias = np.zeros(n_out) if readout_bias is None else readout_bias
        bias = _array(bias, (n_out,), "readout_bias")
        fields = {
            "layers": layers, "readout_weights": weights, "readout_bias": bias,
            "metadata": MappingProxyType(dict(_table(metadata, "metadata of a network"))),
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
        from dendrosim.network_files import write

        write(self, path)


def _layers(layers: Any) -> tuple[Layer, ...]:
    """Return layers as a tuple, refusing what is none."""
    if not isinstance(layers, Sequence) or isinstance(layers, str):
        raise DendrosimError(f"layers = {layers!r} should be a list of Layer")
    for k, layer in enumerate(layers):
        if not isinstance(layer, Layer):
            raise DendrosimError(f"layer {k}: {layer!r} is not a Layer")
    return tuple(layers)


def _array(
    value: Any, shape: tuple[int, ...], where: str, port: str | None = None,
    ports: Sequence[str] = (),
) -> Array:  # fmt: skip
    if port is not None and port not in ports:
        raise DendrosimError(f"{where}: {port!r} is not a port; {did_you_mean(port, ports)}")
    array = np.array(_numbers(value, where))  # a copy
    if array.shape != shape:
        raise DendrosimError(f"{where} has shape {array.shape}, but {shape} is needed")
    if not np.all(np.isfinite(array)):
        raise DendrosimError(f"{where} holds a number that is not finite")
    array.flags.writeable = False
    return array


def _numbers(value: Any, where: str) -> Array:
    """Return numbers of any shape; of a tensor that needs a gradient numpy makes none."""
    try:
        return checks.numbers(value, where, kinds="biuf" if np.ndim(value) else "iuf")
    except (DendrosimError, ValueError, RuntimeError, TypeError):
        raise DendrosimError(f"{where} = {checks.short(value)} does not hold numbers") from None


def _number_or_array(value: Any) -> Array:
    array = np.asarray(value, dtype=float)
    return array.reshape(()) if array.size == 1 else array


def _orthogonal(rng: np.random.Generator, n: int) -> Array:
    # QR of a Gaussian matrix, signs fixed so that the law is uniform (Mezzadri 2007)
    q, r = np.linalg.qr(rng.standard_normal((n, n)))
    return q * np.sign(np.diag(r))


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


def as_record(
    network: Network, record: Mapping[int, str | Sequence[str]] | None
) -> dict[int, tuple[str, ...]]:
    """Return which variables of which layer are recorded, all of them known.

    Raises
    ------
    DendrosimError
        If there is no such layer, or it has no such variable.
    """
    found = {k: names for k, names in _table(record, "record").items()}
    for k, names in found.items():
        if isinstance(k, bool) or k not in range(len(network.layers)):
            raise DendrosimError(f"record: there is no layer {k!r}")
        found[k] = names = tuple(checks.texts(names, f"record: layer {k}"))
        known = network.layers[k].model.states
        for name in names:
            if name not in known:
                raise DendrosimError(
                    f"record: layer {k} has no {name!r}; {did_you_mean(name, known)}"
                )
    return found


def _dense(x: Any) -> Array:
    """Return an input as an array; what numpy would make objects of is refused."""
    try:
        array = np.asarray(x)
    except Exception as error:  # lists of several lengths, a sparse tensor of torch
        said = (str(error).splitlines() or [""])[0]
        raise DendrosimError(f"input is no dense array of numbers ({said})") from None
    if array.dtype.kind == "O":
        hint = ": x.toarray() gives one" if hasattr(x, "toarray") else ""
        raise DendrosimError(f"input is {type(x).__name__}, no dense array of numbers{hint}")
    return array


def _table(value: Any, where: str) -> Mapping:
    """Return what maps names to values; None is empty.

    Raises
    ------
    DendrosimError
        If it is something else.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise DendrosimError(f"{where} = {value!r} should map names to values")
    return value


def as_input(network: Network, x: Any) -> Array:
    """Return an input as float64 of shape (B, T, n_in).

    Raises
    ------
    DendrosimError
        If it has another shape or a number that is not finite.
    """
    x = _dense(x)
    if x.ndim not in (2, 3) or x.shape[-1] != network.n_in or 0 in x.shape:
        n = network.n_in
        raise DendrosimError(f"input has shape {x.shape}, but (T, {n}) or (B, T, {n}) is needed")
    x = x[None] if x.ndim == 2 else x
    if x.dtype.kind not in "biuf":
        raise DendrosimError(f"input holds {x.dtype}, not numbers")
    x = x.astype(float)
    if not np.all(np.isfinite(x)):
        raise DendrosimError("input holds a number that is not finite")
    return x
