"""Constraints applied after every optimiser step: parameter ranges, weights that stay 0."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from dendrosim.learn.training.recipe import Recipe


def constraints(recipe: Recipe, module: nn.Module) -> Callable[[], None]:
    """Return a function that applies the constraints to the weights and parameters.

    Parameters
    ----------
    recipe
        `limits`, `mask` and `self_weights` of its layers.
    module
        The initial network; a masked weight that is 0 in it stays 0.
    """
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
