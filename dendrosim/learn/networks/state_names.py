"""The names in the state_dict of a `TorchNetwork`: the same as in `dendrosim convert`.

A torch module cannot have an attribute named ``parameters``.  Inside a `TorchLayer`, trained
parameters are therefore called ``parameters_.NAME`` and the others ``value_NAME``.  In the
state_dict all are called ``layers.K.parameters.NAME``; older files can also be loaded.
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
    """Make the ``state_dict`` of a `TorchNetwork` use these names, for saving and loading."""
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
        # a single number applies to all neurons
        state[prefix + name] = value.expand(own[name].shape) if alike else value
    for name in _READOUT:  # the state_dict of a network without a readout has no such entry
        if prefix + name not in state and not own[name].numel():
            state[prefix + name] = own[name].detach().clone()
