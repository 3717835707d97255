"""Constraints applied after every optimiser step: parameter ranges, weights that stay 0."""

from __future__ import annotations

from collections.abc import Callable

import torch

from dendrosim.learn.networks.torch_cells import CellNetwork
from dendrosim.learn.networks.torch_network import TorchNetwork
from dendrosim.learn.training.recipe import Recipe


def constraints(recipe: Recipe, module: TorchNetwork | CellNetwork) -> Callable[[], None]:
    """Return a function that applies the constraints to the weights and parameters.

    Parameters
    ----------
    recipe
        `limits`, `mask` and `self_weights` of its layers.
    module
        The initial network; a masked weight that is 0 in it stays 0.
    """
    if isinstance(module, CellNetwork):  # a recipe allows no constraint on these
        return lambda: None
    ranges, masks = [], []
    for entry, layer in zip(recipe.layers, module.layers, strict=True):
        ranges += [(layer.parameters_[name], *pair) for name, pair in entry.limits.items()]
        if entry.mask != "none":
            masks += [(w, (w != 0).to(w.dtype)) for w in layer.input_weights.values()]
        if entry.mask != "none" or not entry.self_weights:
            masks += [(w, (w != 0).to(w.dtype)) for w in layer.recurrent_weights.values()]

    @torch.no_grad()
    def project() -> None:
        for parameter, low, high in ranges:
            parameter.clamp_(low, high)
        for weights, mask in masks:
            weights.mul_(mask)

    project()
    return project
