"""Sizes of layered networks and their number of weights.

The sizes of a network include input and readout: ``"1-64-256-256-10"``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from dendrosim.errors import DendrosimError


def sizes_of(text: str | Sequence[int]) -> tuple[int, ...]:
    """Return the sizes as a tuple, from a text or a sequence.

    >>> sizes_of("1-64-256-256-10")
    (1, 64, 256, 256, 10)

    Raises
    ------
    DendrosimError
        If they are not at least two positive whole numbers.
    """
    parts = text.split("-") if isinstance(text, str) else list(text)
    whole = [str(part).strip() for part in parts]
    if len(whole) < 2 or not all(re.fullmatch(r"[1-9]\d{0,8}", part, re.ASCII) for part in whole):
        raise DendrosimError(f"sizes = {text!r} are not whole numbers from 1, such as 1-64-256-10")
    return tuple(map(int, whole))


def recurrent_layers(recurrent: bool | Sequence[bool], n_layers: int) -> tuple[bool, ...]:
    """Return for each hidden layer whether it is recurrent.

    Raises
    ------
    DendrosimError
        If the number of truth values differs from the number of layers.
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
    """Return the number of weights and biases of a network.

    Parameters
    ----------
    sizes
        Sizes of input, hidden layers and readout: ``"1-64-256-256-10"``.
    recurrent
        Whether the hidden layers have dense recurrent weights: one value for all or one per layer.
    ports
        Input currents per neuron, each with its own weights and bias: 3 for LRMM.
    recurrent_bias
        Whether recurrent weights have a second bias, as in the released code of LSTM-LIF.

    Examples
    --------
    The networks of LSTM-LIF on S-MNIST (Zhang et al. 2023, Table 4), and one layer of LRMM.

    >>> n_parameters("1-64-256-256-10")
    85130
    >>> n_parameters("1-64-256-256-10", (True, True, False), recurrent_bias=True)
    155082
    >>> n_parameters("1-128-10", True, ports=3)
    51210

    Raises
    ------
    DendrosimError
        If a size is not a positive whole number, or there are fewer than two.
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
