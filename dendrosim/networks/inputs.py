"""Arguments of a network run: the input, and the variables to record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dendrosim import checks
from dendrosim.errors import DendrosimError, did_you_mean
from dendrosim.networks.network import Network
from dendrosim.networks.values import Array, table_of


def as_record(
    network: Network, record: Mapping[int, str | Sequence[str]] | None
) -> dict[int, tuple[str, ...]]:
    """Return the variables to record by layer, after checking that they exist.

    Raises
    ------
    DendrosimError
        If the layer does not exist, or has no such variable.
    """
    found = {k: names for k, names in table_of(record, "record").items()}
    for k, names in found.items():
        if isinstance(k, bool) or k not in range(len(network.layers)):
            raise DendrosimError(f"record: there is no layer {k!r}")
        found[k] = names = tuple(checks.texts(names, f"record: layer {k}"))
        known = network.layers[k].model.states
        for name in names:
            if name not in known:
                raise DendrosimError(
                    f"record: layer {k} has no {name!r}; {did_you_mean(name, known)}"
                )
    return found


def _dense(x: Any) -> Array:
    """Return an input as an array; refuse values that numpy would store as objects."""
    try:
        array = np.asarray(x)
    except Exception as error:  # lists of different lengths, a sparse torch tensor
        said = (str(error).splitlines() or [""])[0]
        raise DendrosimError(f"input is no dense array of numbers ({said})") from None
    if array.dtype.kind == "O":
        hint = ": x.toarray() gives one" if hasattr(x, "toarray") else ""
        raise DendrosimError(f"input is {type(x).__name__}, no dense array of numbers{hint}")
    return array


def as_input(network: Network, x: Any) -> Array:
    """Return an input as float64 of shape (B, T, n_in).

    Raises
    ------
    DendrosimError
        If it has another shape or contains a number that is not finite.
    """
    x = _dense(x)
    if x.ndim not in (2, 3) or x.shape[-1] != network.n_in or 0 in x.shape:
        n = network.n_in
        raise DendrosimError(f"input has shape {x.shape}, but (T, {n}) or (B, T, {n}) is needed")
    x = x[None] if x.ndim == 2 else x
    if x.dtype.kind not in "biuf":
        raise DendrosimError(f"input holds {x.dtype}, not numbers")
    x = x.astype(float)
    if not np.all(np.isfinite(x)):
        raise DendrosimError("input holds a number that is not finite")
    return x
