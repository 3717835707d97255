"""A layer of discrete neurons and its input connections: plain values."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from dendrosim import checks
from dendrosim.errors import DendrosimError, at, did_you_mean
from dendrosim.model.model import Model
from dendrosim.model.quantities import quantity
from dendrosim.model.toml import load_model
from dendrosim.networks.values import Array, array_of, number_or_array, numbers_of, table_of

#: Upper limit for the sources and neurons of a layer, above any real network.
MOST = 10**7
#: The arguments of a layer.
LAYER = (
    "model", "n_in", "n", "recurrent", "input_weights", "recurrent_weights", "bias", "parameters",
)  # fmt: skip


@dataclass(frozen=True, init=False, eq=False, repr=False)
class Layer:
    """Neurons of one model and their input connections.

    Parameters
    ----------
    model
        A discrete model, or its name or path.
    n_in, n
        Number of sources and of neurons.
    recurrent
        Whether the layer receives its own spikes of the previous step.
    input_weights
        Port to weights of shape (n, n_in); a port without weights gets no input from below.
    recurrent_weights
        Port to weights of shape (n, n); with ``recurrent=True``, None means drawn at random.
    bias
        Port to shape (n,).
    parameters
        Name to a number, its text, or an array of shape (n,), replacing the model's value.

    Raises
    ------
    DendrosimError
        With the layer, the port or parameter and the required shape.
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
        ports = model.ports
        shapes = {"input_weights": (n, n_in), "recurrent_weights": (n, n), "bias": (n,)}
        tables = {
            "input_weights": input_weights, "recurrent_weights": recurrent_weights, "bias": bias,
        }  # fmt: skip
        fields: dict[str, Any] = {}
        with at(f"layer of {model.name}"):
            for name in unknown:
                raise DendrosimError(
                    f"a layer has no argument {name!r}; {did_you_mean(name, LAYER)}"
                )
            _check_sizes(model, n_in, n, recurrent)
            if table_of(recurrent_weights, "recurrent_weights") and not recurrent:
                raise DendrosimError("recurrent_weights are given, but recurrent is False")
            for label, table in tables.items():
                fields[label] = {
                    port: array_of(value, shapes[label], f"{label}[{port!r}]", port, ports)
                    for port, value in table_of(table, label).items()
                }
            fields["parameters"] = _own_values(model, n, parameters)
        fields = {label: MappingProxyType(table) for label, table in fields.items()}
        fields |= {"model": model, "n_in": int(n_in), "n": int(n), "recurrent": bool(recurrent)}
        for label, value in fields.items():
            object.__setattr__(self, label, value)

    def __repr__(self) -> str:
        """Short form: sizes and model."""
        kind = "recurrent " if self.recurrent else ""
        return f"<Layer {self.n_in}-{self.n} of {kind}{self.model.name}, {self.n_weights} weights>"

    def __reduce__(self) -> tuple:
        """Pickle and copy by the arguments, which are checked again."""
        tables = (self.input_weights, self.recurrent_weights, self.bias, self.parameters)
        return Layer, (self.model, self.n_in, self.n, self.recurrent, *map(dict, tables))

    @property
    def is_drawn(self) -> bool:
        """Whether the layer has all its weights."""
        return bool(self.input_weights) and (not self.recurrent or bool(self.recurrent_weights))

    @property
    def n_weights(self) -> int:
        """Number of weights and biases."""
        tables = (self.input_weights, self.recurrent_weights, self.bias)
        return sum(value.size for table in tables for value in table.values())

    def values(self) -> dict[str, Array]:
        """Return all parameters and derived values: numbers, or arrays of shape (n,)."""
        given = {name: quantity(value) for name, value in self.parameters.items()}
        values = self.model.with_(parameters=given).values() if given else self.model.values()
        return {name: number_or_array(value) for name, value in values.items()}

    def initial(self) -> dict[str, Array]:
        """Return the initial state: numbers, or arrays of shape (n,)."""
        given = {name: quantity(value) for name, value in self.parameters.items()}
        model = self.model.with_(parameters=given) if given and self.model.starts else self.model
        return {name: number_or_array(value) for name, value in model.initial.items()}

    def with_(self, **changes: Any) -> Layer:
        """Return a copy with other weights, biases or parameters."""
        return Layer(**{name: getattr(self, name) for name in LAYER} | changes)

    def drawn(self, rng: np.random.Generator) -> Layer:
        """Return the layer with missing weights drawn at random.

        Input weights are Xavier uniform, recurrent weights are orthogonal, biases are 0.
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


def _check_sizes(model: Model, n_in: Any, n: Any, recurrent: Any) -> None:
    if model.kind != "discrete":
        raise DendrosimError("a network needs a discrete model")
    for label, size in (("n_in", n_in), ("n", n)):
        checks.whole(size, label, least=1, most=MOST)
    if not isinstance(recurrent, bool | np.bool_):
        raise DendrosimError(f"recurrent = {recurrent!r} is not True or False")
    if recurrent and not model.recurrent:
        raise DendrosimError("this model has no recurrent connections")


def _own_values(model: Model, n: int, parameters: Any) -> dict[str, Array]:
    """Return the parameters that replace the model's values, after checking both."""
    values = {}
    for name, value in table_of(parameters, "parameters").items():
        if name not in model.parameters:
            hint = did_you_mean(name, model.parameters)
            raise DendrosimError(f"{name!r} is not a parameter; {hint}")
        label = f"parameters[{name!r}]"
        array = numbers_of(quantity(value, label) if isinstance(value, str) else value, label)
        array = array.reshape(()) if array.size == 1 else array
        values[name] = array_of(array, () if array.size == 1 else (n,), label)
    own = {name: p.value for name, p in model.parameters.items() if name not in values}
    for name, value in {**own, **model.initial}.items():
        if np.size(value) not in (1, n):
            raise DendrosimError(
                f"{name} of the model has {np.size(value)} values, but there are {n} neurons"
            )
    return values


def _orthogonal(rng: np.random.Generator, n: int) -> Array:
    # QR of a Gaussian matrix, with signs fixed for a uniform distribution (Mezzadri 2007)
    q, r = np.linalg.qr(rng.standard_normal((n, n)))
    return q * np.sign(np.diag(r))
