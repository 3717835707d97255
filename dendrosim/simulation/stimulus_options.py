"""The arguments of a stimulus: places, values of its shape, and options such as seeds and files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from brian2 import Quantity

from dendrosim import checks
from dendrosim.errors import DendrosimError, did_you_mean
from dendrosim.model.quantities import parse_unit, quantity
from dendrosim.simulation.shapes import SHAPES, TIME

#: Definition of a spike of a recorded cell, see `spike_detection.SpikeRule`.
SPIKE_RULE = {"spike_slope": ("slope", "volt/second"), "spike_peak": ("peak", "volt"),
              "spike_height": ("height", "volt")}  # fmt: skip
#: Options of each shape besides its values, with their defaults.
OPTIONS: dict[str, dict[str, Any]] = {
    "ou": {"seed": 0, "independent": False},
    "recorded": dict.fromkeys(("file", "sweeps", "channel", "command_channel", *SPIKE_RULE)),
}


#: Values of noise that cannot be grids, because they shape the sampled signal itself.
_SINGLE = {"tau", "sample"}
_POSITIVE = ("tau", "sample", "width", "period", "interval", "area", "frequency")


def read_places(into: Any, shape: Any) -> tuple[str, ...]:
    """Check the shape; return the places of a stimulus.

    Raises
    ------
    DendrosimError
        If one of them is invalid.
    """
    if not isinstance(shape, str) or shape not in SHAPES:
        raise DendrosimError(f"unknown shape {shape!r}; {did_you_mean(shape, SHAPES)}")
    places = (into,) if isinstance(into, str) else into
    if (
        not isinstance(places, list | tuple)
        or not places
        or not all(isinstance(place, str) and place for place in places)
    ):
        raise DendrosimError(f"into = {into!r} should name a place such as 'soma'")
    return tuple(places)


def read_values(
    shape: str, values: Mapping[str, Any]
) -> tuple[dict[str, Quantity], dict[str, Any]]:
    """Return all values and options of a shape, with their defaults.

    Raises
    ------
    DendrosimError
        If a value is invalid; the message names the key, the value and what is valid.
    """
    spec, options = SHAPES[shape], dict(OPTIONS.get(shape, {}))
    window = {"start": (TIME, None if spec.needs_window else "0 ms"), "stop": (TIME, None)}
    wanted = window | dict(spec.values)
    result: dict[str, Quantity] = {}
    for key, value in values.items():
        if key in options:
            options[key] = read_option(key, value)
        elif key not in wanted:
            known = [*wanted, *options]
            raise DendrosimError(f"{key} is not a key of {shape}; {did_you_mean(key, known)}")
        else:
            result[key] = quantity(value, key, like=wanted[key][0])
            if shape == "ou" and key in _SINGLE and result[key].ndim:
                raise DendrosimError(f"{key} cannot be a grid")
    for key, (_, default) in wanted.items():
        if key not in result and default is not None:
            # "0" is zero current in any dimension of the input
            result[key] = quantity(default)
    missing = wanted.keys() - result.keys() - {*spec.optional}
    missing -= set() if spec.needs_window else {"stop"}
    if missing:
        raise DendrosimError(f"{shape} needs {', '.join(sorted(missing))}")
    _check_signs(result)
    return result, options


def _check_signs(values: Mapping[str, Quantity]) -> None:
    for key in _POSITIVE:
        if key in values and not np.all(values[key] > 0):
            raise DendrosimError(f"{key} = {checks.short(values[key])} is not above 0")
    if not np.all(values.get("sigma", 0) >= 0):
        raise DendrosimError(
            f"sigma = {checks.short(values['sigma'])} is a standard deviation below 0"
        )
    count = np.asarray(values.get("count", 1.0))
    if np.any(count < 1) or np.any(count != np.rint(count)):
        raise DendrosimError(f"count = {count} should be a whole number, 1 or larger")


def read_option(key: str, value: Any) -> Any:
    """Return an option as a stimulus stores it.

    Raises
    ------
    DendrosimError
        If it is invalid; the message names the key, the value and what is valid.
    """
    kinds: dict[str, type] = {"seed": int, "independent": bool, "file": str}
    if key in SPIKE_RULE:
        return None if value is None else _of_spikes(key, value)
    if key in ("channel", "command_channel"):
        number = isinstance(value, int | np.integer) and not isinstance(value, bool)
        if value is not None and not isinstance(value, str) and not (number and value >= 0):
            raise DendrosimError(
                f"{key} = {checks.short(value)} should be a name, or a number from 0"
            )
        return int(value) if number else value
    if key == "sweeps":
        if value is None:
            return None
        sweeps = value if isinstance(value, list | tuple | range) else [value]
        if not sweeps or not all(isinstance(s, int) and not isinstance(s, bool) for s in sweeps):
            raise DendrosimError(f"{key} = {checks.short(value)} should be a list of whole numbers")
        return list(sweeps)
    if key == "file" and isinstance(value, os.PathLike):
        value = str(value)
    if key in ("seed", "independent") and isinstance(value, np.ndarray):
        value = value.tolist()
    if key == "independent" and isinstance(value, list | tuple | range) and value:
        return [checks.whole(one, "independent") for one in value]
    if key == "seed" and isinstance(value, list | tuple | range) and value:
        if any(isinstance(one, list | tuple | range | np.ndarray) for one in value):
            raise DendrosimError(
                f"{key} = {checks.short(value)} should be one row of whole numbers"
            )
        return [read_option(key, one) for one in value]
    if key == "seed" and isinstance(value, np.integer):
        value = int(value)
    words = {
        "seed": "a whole number from 0",
        "independent": "true, false or numbers",
        "file": "a path",
    }
    wrong_bool = isinstance(value, bool) and key != "independent"
    if value is not None and (not isinstance(value, kinds[key]) or wrong_bool):
        raise DendrosimError(f"{key} = {checks.short(value)} should be {words[key]}")
    if key == "seed" and not (isinstance(value, int) and value >= 0):
        raise DendrosimError(f"{key} = {checks.short(value)} should be a whole number from 0")
    return value


def _of_spikes(key: str, value: Any) -> str:
    """Return a number of the definition of a spike as checked text."""
    unit = SPIKE_RULE[key][1]
    found = quantity(value, key, like=parse_unit(unit))
    if found.ndim or (key != "spike_peak" and not found > 0):
        raise DendrosimError(f"{key} = {checks.short(value)} should be one value above 0")
    return value if isinstance(value, str) else f"{float(found)!r} {unit}"
