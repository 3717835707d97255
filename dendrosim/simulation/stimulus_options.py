"""Options of a stimulus besides the quantities of its shape: files, sweeps, channels, seeds."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from dendrosim.errors import DendrosimError
from dendrosim.model.quantities import parse_unit, quantity

#: Definition of a spike of a recorded cell, see `spike_detection.SpikeRule`.
SPIKE_RULE = {"spike_slope": ("slope", "volt/second"), "spike_peak": ("peak", "volt"),
              "spike_height": ("height", "volt")}  # fmt: skip
#: Options of each shape besides its values, with their defaults.
OPTIONS: dict[str, dict[str, Any]] = {
    "ou": {"seed": 0, "independent": False},
    "recorded": dict.fromkeys(("file", "sweeps", "channel", "command_channel", *SPIKE_RULE)),
}


def read_option(key: str, value: Any) -> Any:
    """Return an option as a stimulus stores it.

    Raises
    ------
    DendrosimError
        If it is invalid; the message names the key, the value and what is valid.
    """
    kinds = {"seed": int, "independent": bool, "file": str}
    if key in SPIKE_RULE:
        return None if value is None else _of_spikes(key, value)
    if key in ("channel", "command_channel"):
        number = isinstance(value, int | np.integer) and not isinstance(value, bool)
        if value is not None and not isinstance(value, str) and not (number and value >= 0):
            raise DendrosimError(f"{key} = {value!r} should be a name, or a number from 0")
        return int(value) if number else value
    if key == "sweeps":
        if value is None:
            return None
        sweeps = value if isinstance(value, list | tuple | range) else [value]
        if not sweeps or not all(isinstance(s, int) and not isinstance(s, bool) for s in sweeps):
            raise DendrosimError(f"{key} = {value!r} should be a list of whole numbers")
        return list(sweeps)
    if key == "file" and isinstance(value, os.PathLike):
        value = str(value)
    if key == "seed" and isinstance(value, np.ndarray):
        value = value.tolist()
    if key == "seed" and isinstance(value, list | tuple | range) and value:
        if any(isinstance(one, list | tuple | range | np.ndarray) for one in value):
            raise DendrosimError(f"{key} = {value!r} should be one row of whole numbers")
        return [read_option(key, one) for one in value]
    if key == "seed" and isinstance(value, np.integer):
        value = int(value)
    words = {"seed": "a whole number from 0", "independent": "true or false", "file": "a path"}
    wrong_bool = isinstance(value, bool) and key != "independent"
    if value is not None and (not isinstance(value, kinds[key]) or wrong_bool):
        raise DendrosimError(f"{key} = {value!r} should be {words[key]}")
    if key == "seed" and (value is None or value < 0):
        raise DendrosimError(f"{key} = {value!r} should be a whole number from 0")
    return value


def _of_spikes(key: str, value: Any) -> str:
    """Return a number of the definition of a spike as checked text."""
    unit = SPIKE_RULE[key][1]
    found = quantity(value, key, like=parse_unit(unit))
    if found.ndim or (key != "spike_peak" and not found > 0):
        raise DendrosimError(f"{key} = {value!r} should be one value above 0")
    return value if isinstance(value, str) else f"{float(found)!r} {unit}"
