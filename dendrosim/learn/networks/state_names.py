"""The names in the state_dict of a `TorchNetwork`: those that `dendrosim convert` reads and writes.

A module of torch cannot have an attribute ``parameters`` of its own, so within a `TorchLayer` the
trained parameters are called ``parameters_.NAME`` and the others ``value_NAME``.  Outside all are
``layers.K.parameters.NAME``; files of before are read too.
"""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from typing import Any

from torch import Tensor, nn

_WITHIN = re.compile(r"(?P<layer>layers\.\d+\.)(?:parameters_\.|value_)(?P<name>\w+)")
_OUTSIDE = re.compile(r"layers\.(?P<k>\d+)\.parameters\.(?P<name>\w+)")
_READOUT = {"readout_weights": "readout.weights", "readout_bias": "readout.bias"}


def use_targets(module: nn.Module) -> None:
    """Let a `TorchNetwork` write these names in its ``state_dict`` and read them."""
    module.register_state_dict_post_hook(_written)
    module.register_load_state_dict_pre_hook(_read)


def _written(module: nn.Module, state: MutableMapping, prefix: str, *_: Any) -> None:
    for key in [key for key in state if key.startswith(prefix)]:
        state[prefix + _outside(key.removeprefix(prefix))] = state.pop(key)


def _outside(name: str) -> str:
    if match := _WITHIN.fullmatch(name):
        return f"{match['layer']}parameters.{match['name']}"
    return _READOUT.get(name, name)


def _read(module: nn.Module, state: MutableMapping, prefix: str, *_: Any) -> None:
    own = dict(module.named_parameters()) | dict(module.named_buffers())
    within = {_outside(name): name for name in own}
    for key in [key for key in state if key.startswith(prefix)]:
        name = within.get(key.removeprefix(prefix), key.removeprefix(prefix))
        value = state.pop(key)
        alike = name in own and isinstance(value, Tensor) and value.ndim == 0
        # One number is the value of every neuron
        state[prefix + name] = value.expand(own[name].shape) if alike else value
    for name in _READOUT:  # a network without a readout writes none
        if prefix + name not in state and not own[name].numel():
            state[prefix + name] = own[name].detach().clone()
