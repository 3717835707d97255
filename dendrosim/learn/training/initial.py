"""The initial network of a recipe: all weights and parameters drawn from one seed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from dendrosim.errors import DendrosimError, at
from dendrosim.learn.training.draws import read_draw
from dendrosim.learn.training.recipe import Recipe
from dendrosim.learn.training.recipe_parts import LayerRecipe
from dendrosim.model.model import Model
from dendrosim.networks.layer import Layer
from dendrosim.networks.network import Network


def initial_network(recipe: Recipe, n_in: int, n_out: int, seed: int) -> Network:
    """Draw the initial network of a recipe.

    Parameters
    ----------
    recipe
        Layers, readout and their initial values.
    n_in, n_out
        Inputs and classes of the task.
    seed
        Seed of the random generator.

    Returns
    -------
    Network
        Without a readout for the rule ``"rate"``, where the last layer is the output.

    Raises
    ------
    DendrosimError
        If a layer does not support its model; or, if rates are the scores, if the last layer
        does not have one neuron per class.
    """
    rng = np.random.default_rng(seed)
    layers: list[Layer] = []
    for k, entry in enumerate(recipe.layers):
        with at(f"{recipe.name}: layers.{k}"):
            sources = layers[-1].n if layers else n_in
            layers.append(_layer(entry, recipe.model(entry.model), sources, rng))
    n = layers[-1].n
    readout = recipe.readout
    if readout.rule == "rate":
        if n != n_out:
            raise DendrosimError(
                f"{recipe.name}: the rates of the last layer are the scores, so it needs {n_out} "
                f"neurons, not {n}"
            )
        return Network(layers)
    with at(f"{recipe.name}: [readout]"):
        weights = read_draw(readout.weights, "weights", matrix=True)(rng, (n_out, n))
        bias = read_draw(readout.bias, "bias")(rng, (n_out,), n)
    return Network(layers, weights, bias)


def _layer(entry: LayerRecipe, model: Model, n_in: int, rng: np.random.Generator) -> Layer:
    n, ports = entry.n, model.ports
    tables = {
        "input_weights": _tables(entry.weights, ports, (n, n_in), n_in, rng),
        "bias": _tables(entry.bias, ports, (n,), n_in, rng),
    }
    if entry.recurrent:
        back = _tables(entry.recurrent_weights, ports, (n, n), n, rng)
        if not entry.self_weights:
            back = {port: weights * (1 - np.eye(n)) for port, weights in back.items()}
        tables["recurrent_weights"] = back
    if entry.mask == "disjoint":
        _disjoint(tables, n_in, rng)
    parameters = {
        name: _parameter(value, model.parameters[name].shape, n, rng, name)
        for name, value in entry.parameters.items()
    }
    return Layer(model, n_in, n, entry.recurrent, **tables, parameters=parameters)


def _disjoint(
    tables: dict[str, dict[str, np.ndarray]], n_in: int, rng: np.random.Generator
) -> None:
    """Keep one port for each source of a neuron, with equal numbers of sources per port."""
    inputs, back = tables["input_weights"], tables.get("recurrent_weights", {})
    n, ports = len(next(iter(inputs.values()))), list(inputs)
    sources = np.arange(n_in + (n if back else 0))
    owner = rng.permuted(np.tile(sources % len(ports), (n, 1)), axis=1)
    for k, port in enumerate(ports):
        inputs[port] *= owner[:, :n_in] == k
        if port in back:
            back[port] *= owner[:, n_in:] == k


def _tables(
    value: Any, ports: tuple[str, ...], shape: tuple[int, ...], n_in: int,
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:  # fmt: skip
    """Draw one array per port."""
    each = value if isinstance(value, Mapping) else dict.fromkeys(ports, value)
    return {
        port: read_draw(each[port], port, matrix=len(shape) == 2)(rng, shape, n_in)
        for port in ports if port in each
    }  # fmt: skip


def _parameter(value: Any, shape: str, n: int, rng: np.random.Generator, key: str) -> np.ndarray:
    draw = read_draw(value, key)
    return draw(rng, (n,)) if shape == "neuron" and draw.rule != "constant" else draw(rng, ())
