"""Energy of a network per step: accumulates and multiply-and-accumulates times their energy.

The functions ``*_network`` take sizes and firing rates; `count` takes a network and a run of it.
The definition of an operation depends on a convention: see `dendrosim.energy.conventions`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from dendrosim.energy.conventions import CONVENTIONS, Count, rule_of
from dendrosim.energy.runs import count, counts, inner_spikes
from dendrosim.energy.text_operations import E_AC, E_MAC, Operations, spikes
from dendrosim.errors import DendrosimError, did_you_mean
from dendrosim.model.model import Model
from dendrosim.model.optional import output_of
from dendrosim.model.toml import load_model
from dendrosim.networks.architecture import recurrent_layers, sizes_of

if TYPE_CHECKING:
    import os

__all__ = [
    "CONVENTIONS", "E_AC", "E_MAC", "Count", "count", "counts", "inner_spikes", "lif_network",
    "lrmm_network", "lstm_lif_network", "lstm_network", "lstm_operations", "operations",
]  # fmt: skip

Rates = float | Mapping[str, float]

#: Operations of an LSTM unit in addition to its matrix products (Zhang et al. 2023, Table 6).
LSTM_UNIT = 17


def operations(
    model: Model | str | os.PathLike,
    sizes: str | Sequence[int],
    recurrent: bool | Sequence[bool],
    rates: Sequence[Rates],
    *,
    input_rate: float | None = None,
    n_out: int = 0,
    convention: str = "text",
) -> Count:
    """Count the operations of a dense network with given firing rates.

    Parameters
    ----------
    model
        Model of all hidden layers: a discrete model, its name or path.
    sizes
        Sizes of input and hidden layers: ``(1, 64, 256, 256)`` or ``"1-64-256-256"``.
    recurrent
        Whether the hidden layers are recurrent: one value for all or one per layer.
    rates
        Spikes per step of each hidden layer: a number, or for a model with several spikes a table
        such as ``{"S_I": 0.168, "S_M": 0.274, "S_C": 0.366, "S_O": 0.311}``.
    input_rate
        Spikes per step of an input; without it, the operations of the input are not counted.
    n_out
        Number of readouts; 0 excludes the readout.
    convention
        One of `CONVENTIONS`.

    Returns
    -------
    Count

    Raises
    ------
    DendrosimError
        If sizes, rates or convention are invalid.
    """
    model = model if isinstance(model, Model) else load_model(model)
    rule, values, ports = rule_of(model, convention), model.values(), len(model.ports)
    sizes = sizes_of(sizes)
    own = recurrent_layers(recurrent, len(sizes) - 1)
    if len(rates) != len(own):
        raise DendrosimError(f"{len(rates)} rates are given for {len(own)} hidden layers")
    parts = {}
    below = None if input_rate is None else _rate(input_rate, "input_rate", np.inf)
    for k, (m, n) in enumerate(pairwise(sizes)):
        fired = _rates(model, rates[k], f"rates[{k}]")
        rate = fired[output_of(model)]
        own_events = ports * n * n * rate if own[k] else 0.0
        inner = rule.units(n, values, fired) + rule.recurrence(own_events, n, rate)
        from_below = rule.synapses(ports * m * n * below) if below is not None else Operations()
        if k == 0 and below is not None:
            parts["input"] = from_below
        parts[f"layer {k}"] = inner + from_below if k else inner
        below = rate
    if n_out and below is not None:
        parts["readout"] = rule.readout(sizes[-1] * n_out * below)
    return Count(parts, convention)


def lif_network(
    sizes: str | Sequence[int], recurrent: bool | Sequence[bool], rates: Sequence[float],
    *, input_rate: float | None = None, n_out: int = 0, e_ac: float = E_AC, e_mac: float = E_MAC,
) -> float:  # fmt: skip
    """Return the nanojoules per step of a LIF network; arguments as in `operations`.

    The network of Zhang et al. (2023), Table 2, on S-MNIST:

    >>> round(lif_network((1, 64, 256, 256), (True, True, False), (0.219, 0.145, 0.004)), 2)
    23.84
    """
    found = operations("lif", sizes, recurrent, rates, input_rate=input_rate, n_out=n_out)
    return found.nanojoules(e_ac, e_mac)


def lstm_lif_network(
    sizes: str | Sequence[int], recurrent: bool | Sequence[bool], rates: Sequence[float],
    *, input_rate: float | None = None, n_out: int = 0, e_ac: float = E_AC, e_mac: float = E_MAC,
) -> float:  # fmt: skip
    """Return the nanojoules per step of an LSTM-LIF network; arguments as in `operations`.

    >>> round(lstm_lif_network((1, 64, 256, 256), (True, True, False), (0.294, 0.146, 0.03)), 2)
    28.06
    """
    found = operations("lstm_lif", sizes, recurrent, rates, input_rate=input_rate, n_out=n_out)
    return found.nanojoules(e_ac, e_mac)


def lrmm_network(
    sizes: str | Sequence[int], recurrent: bool | Sequence[bool], rates: Sequence[Rates],
    *, input_rate: float | None = None, n_out: int = 0, convention: str = "printed",
    e_ac: float = E_AC, e_mac: float = E_MAC,
) -> float:  # fmt: skip
    """Return the nanojoules per step of an LRMM network; arguments as in `operations`.

    `sizes` count circuits of four neurons: 128 for the paper's 512 neurons.
    """
    found = operations(
        "lrmm", sizes, recurrent, rates, input_rate=input_rate, n_out=n_out, convention=convention
    )
    return found.nanojoules(e_ac, e_mac)


def lstm_operations(
    sizes: str | Sequence[int], recurrent: bool | Sequence[bool] = True, *, n_out: int = 0
) -> Count:
    """Count the operations of an LSTM network (Zhang et al. 2023, Tables 2 and 6).

    All products are dense, so there are no rates, and the products with the input are always
    counted.  ``recurrent=False`` excludes the products with the previous state, as in the printed
    sum for a layer that is feed-forward in the spiking networks.
    """
    sizes = sizes_of(sizes)
    own = recurrent_layers(recurrent, len(sizes) - 1)
    parts = {}
    for k, (m, n) in enumerate(pairwise(sizes)):
        products = 4 * (m * n + (n * n if own[k] else 0))
        parts[f"layer {k}"] = Operations(mac=products + LSTM_UNIT * n)
    if n_out:
        parts["readout"] = Operations(mac=sizes[-1] * n_out)
    return Count(parts, "printed")


def lstm_network(
    sizes: str | Sequence[int], recurrent: bool | Sequence[bool] = True, *, n_out: int = 0,
    e_mac: float = E_MAC,
) -> float:  # fmt: skip
    """Return the nanojoules per step of an LSTM network; arguments as in `lstm_operations`.

    >>> round(lstm_network((1, 64, 256, 256), (True, True, False)), 2)
    2834.78
    """
    return lstm_operations(sizes, recurrent, n_out=n_out).nanojoules(e_mac=e_mac)


def _rates(model: Model, given: Rates, where: str) -> dict[str, float]:
    """Return the rate of each spike variable of a model, from a number or a table."""
    names = spikes(model)
    table = given if isinstance(given, Mapping) else {output_of(model): given}
    for name in sorted(set(table) - set(names)):
        raise DendrosimError(
            f"{where}: {name!r} is not a spike of {model.name}; {did_you_mean(name, names)}"
        )
    if missing := [name for name in names if name not in table]:
        raise DendrosimError(f"{where}: the rate of {', '.join(missing)} is missing")
    return {name: _rate(table[name], f"{where}[{name!r}]", 1.0) for name in names}


def _rate(value: Any, where: str, most: float) -> float:
    is_number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= most:
        upper = f" to {most:g}" if np.isfinite(most) else ""
        raise DendrosimError(
            f"{where} = {value!r} is not a number of spikes per step from 0{upper}"
        )
    return float(value)
