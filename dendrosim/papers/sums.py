"""Numbers of the papers that depend only on sizes and rates: energies and parameter counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dendrosim import energy
from dendrosim.energy.text_operations import Operations
from dendrosim.networks.architecture import n_parameters, sizes_of
from dendrosim.papers.claims import Found


def parameters(
    sizes: str, recurrent: bool | Sequence[bool] = False, ports: int = 1,
    recurrent_bias: bool = False, unit: float = 1e3, a_neuron: int = 0, a_class: int = 0,
) -> Found:  # fmt: skip
    """Count the trained numbers of a network, in thousands or another unit.

    Parameters
    ----------
    sizes, recurrent, ports, recurrent_bias
        Arguments of `architecture.n_parameters`, for weights and biases.
    unit
        Unit of the printed number.
    a_neuron, a_class
        Additional trained numbers per hidden neuron and per readout.
    """
    count = n_parameters(sizes, recurrent, ports, recurrent_bias)
    _, *hidden, classes = sizes_of(sizes)
    count += a_neuron * sum(hidden) + a_class * classes
    return Found(count / unit, f"{sizes} has {count:,}")


def spent(
    of: Sequence[Mapping[str, Any]], quantity: str = "nJ", part: str = "", layer: int | None = None
) -> Found:
    """Sum the energy, or one kind of operation, of networks; layers may be given separately.

    Parameters
    ----------
    of
        Arguments of `energy.operations`, or of `energy.lstm_operations` if the model is
        ``"lstm"``.
    quantity
        ``"nJ"``, ``"AC"`` or ``"MAC"``.
    part
        Parts to include, joined by ``+``; all by default.
    layer
        Index of the network to use if layers are given separately; all by default.
    """
    total = _operations(of if layer is None else [of[layer]], part)
    found = {"nJ": total.nanojoules(), "AC": total.ac, "MAC": total.mac}[quantity]
    return Found(found, f"{total.ac:,.3f} AC, {total.mac:,.0f} MAC")


def ratio(
    above: Sequence[Mapping[str, Any]], below: Sequence[Mapping[str, Any]], quantity: str = "nJ",
    saving: bool = False,
) -> Found:  # fmt: skip
    """Divide the costs of two networks; or return the saving of `above` in per cent."""
    a, b = (spent(one, quantity).value for one in (above, below))
    value = 100 * (1 - a / b) if saving else a / b
    return Found(value, f"{a:,.2f} against {b:,.2f} {quantity}")


def less(
    one: Sequence[Mapping[str, Any]], than: Sequence[Mapping[str, Any]], quantity: str = "nJ"
) -> Found:
    """Test whether one network costs less than another."""
    a, b = (spent(network, quantity).value for network in (one, than))
    return Found(a < b, f"{a:,.2f} against {b:,.2f} {quantity}")


def surplus(of: Mapping[str, Any], over: Mapping[str, Any], ac: float, mac: float) -> Found:
    """Test whether a network needs this many more accumulates and multiplications than another."""
    a, b = (_operations([one], "") for one in (of, over))
    found = (a.ac - b.ac, a.mac - b.mac)
    return Found(
        bool(np.allclose(found, (ac, mac))), f"{found[0]:,.3f} AC and {found[1]:,.0f} MAC more"
    )


def fewer_parameters(one: Mapping[str, Any], than: Mapping[str, Any], factor: float) -> Found:
    """Test whether a network has at most `factor` times the parameters of another."""
    a, b = (n_parameters(**network) for network in (one, than))
    return Found(a <= factor * b, f"{a:,} against {b:,} parameters")


def difference(a: float, b: float) -> Found:
    """Subtract two printed numbers."""
    return Found(a - b, f"{a:g} - {b:g}")


def stated(value: float, where: str) -> Found:
    """Return the same number as given at another position."""
    return Found(value, f"{where}: {value:,g}")


def happens(epochs: int, milestones: Sequence[int]) -> Found:
    """Test whether a training is long enough for all epochs at which its rate decreases."""
    late = [str(milestone) for milestone in milestones if milestone >= epochs]
    return Found(not late, f"{epochs} epochs end before {', '.join(late)}" if late else "")


def _operations(networks: Sequence[Mapping[str, Any]], part: str) -> Operations:
    total = Operations()
    for network in networks:
        options = dict(network)
        model = options.pop("model")
        make = energy.lstm_operations if model == "lstm" else energy.operations
        count = make(**options) if model == "lstm" else make(model, **options)
        for name, found in count.parts.items():
            if not part or name in part.split("+"):
                total += found
    return total
