"""Sizes of layered networks and how many weights they have.

A network is written as its sizes, input and readout included: ``"1-64-256-256-10"``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from dendrosim.errors import DendrosimError


def sizes_of(text: str | Sequence[int]) -> tuple[int, ...]:
    """Return the sizes that a text or a sequence gives.

    >>> sizes_of("1-64-256-256-10")
    (1, 64, 256, 256, 10)

    Raises
    ------
    DendrosimError
        If they are not at least two whole numbers from 1.
    """
    parts = text.split("-") if isinstance(text, str) else list(text)
    whole = [str(part).strip() for part in parts]
    if len(whole) < 2 or not all(re.fullmatch(r"[1-9]\d{0,8}", part, re.ASCII) for part in whole):
        raise DendrosimError(f"sizes = {text!r} are not whole numbers from 1, such as 1-64-256-10")
    return tuple(map(int, whole))


def recurrent_layers(recurrent: bool | Sequence[bool], n_layers: int) -> tuple[bool, ...]:
    """Return for each hidden layer whether it sees its own spikes.

    Raises
    ------
    DendrosimError
        If there is not one truth value for each layer.
    """
    each = (recurrent,) * n_layers if isinstance(recurrent, bool) else tuple(recurrent)
    if len(each) != n_layers or not all(isinstance(one, bool) for one in each):
        raise DendrosimError(
            f"recurrent = {recurrent!r} is neither True nor False nor one of them for each of "
            f"{n_layers} hidden layers"
        )
    return each


def n_parameters(
    sizes: str | Sequence[int],
    recurrent: bool | Sequence[bool] = False,
    ports: int = 1,
    recurrent_bias: bool = False,
) -> int:
    """Return how many weights and biases a network has.

    Parameters
    ----------
    sizes
        Of input, hidden layers and readout: ``"1-64-256-256-10"``.
    recurrent
        Whether the hidden layers have dense weights on their own spikes: one for all or each.
    ports
        Currents that each neuron takes, with weights and a bias each: 3 for LRMM.
    recurrent_bias
        Whether recurrent weights come with a second bias, as in the released code of LSTM-LIF.

    Examples
    --------
    The networks of LSTM-LIF on S-MNIST (Zhang et al. 2023, Table 4) and one layer of LRMM.

    >>> n_parameters("1-64-256-256-10")
    85130
    >>> n_parameters("1-64-256-256-10", (True, True, False), recurrent_bias=True)
    155082
    >>> n_parameters("1-128-10", True, ports=3)
    51210

    Raises
    ------
    DendrosimError
        If the sizes are not whole numbers from 1 or a layer is left out.
    """
    *below, n, n_out = sizes_of(sizes)
    if not below:
        raise DendrosimError(f"sizes = {sizes!r} hold no hidden layer")
    hidden = [*below[1:], n]
    total = n * n_out + n_out
    for m, k, own in zip(
        below, hidden, recurrent_layers(recurrent, len(hidden)), strict=True
    ):  # fmt: skip
        total += ports * (m * k + k)
        total += ports * (k * k + recurrent_bias * k) if own else 0
    return total
