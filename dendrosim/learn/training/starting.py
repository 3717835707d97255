"""The initial torch module of a recipe: drawn weights, frozen parameters, dropout."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

from dendrosim.learn.networks.torch_cells import CELLS, CellNetwork
from dendrosim.learn.networks.torch_network import TorchNetwork
from dendrosim.learn.training.initial import initial_network
from dendrosim.learn.training.recipe import Recipe


def starting_module(recipe: Recipe, n_in: int, n_out: int, seed: int) -> TorchNetwork | CellNetwork:
    """Return the module to train: a `TorchNetwork`, or a `CellNetwork` of torch's units.

    Parameters
    ----------
    recipe
        Layers, readout and surrogate.
    n_in, n_out
        Inputs and classes of the task.
    seed
        Seed of the weights.
    """
    if recipe.layers[0].model in CELLS:
        sizes = [n_in, *(layer.n for layer in recipe.layers)]
        module: TorchNetwork | CellNetwork = CellNetwork(recipe.layers[0].model, sizes, n_out, seed)
    else:
        module = _spiking(recipe, n_in, n_out, seed)
    layers: Sequence[nn.Module] = module.layers
    for entry, layer in zip(recipe.layers, layers, strict=True):
        if entry.dropout:
            layer.register_forward_pre_hook(_dropping(entry.dropout))
    return module


def _spiking(recipe: Recipe, n_in: int, n_out: int, seed: int) -> TorchNetwork:
    start, how = initial_network(recipe, n_in, n_out, seed), recipe.surrogate
    module = TorchNetwork(start, how.name, how.width, how.detach_reset)
    for entry, layer in zip(recipe.layers, module.layers, strict=True):
        for name in entry.fixed:
            layer.parameters_[name].requires_grad_(False)
    if not start.n_out:  # an empty readout has no gradient
        module.readout_weights.requires_grad_(False)
        module.readout_bias.requires_grad_(False)
    return module


def _dropping(share: float) -> Callable:
    def drop(module: nn.Module, arguments: Sequence[Any]) -> tuple[Any, ...]:
        x, *others = arguments
        return (nn.functional.dropout(x, share, module.training), *others)

    return drop
