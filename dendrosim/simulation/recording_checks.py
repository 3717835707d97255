"""Checks of a recording that was read from a file: every field of its meta, and its arrays.

A file may come from elsewhere or be damaged.  The message of each check names the file, the key,
the value and what is valid.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from dendrosim.errors import DendrosimError
from dendrosim.model.quantities import parse_unit

if TYPE_CHECKING:
    import xarray as xr

#: The largest number of neurons in a run, and the largest float.
MOST, LARGEST = 10**7, sys.float_info.max


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _number(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and abs(value) <= LARGEST


def _positive(value: Any) -> bool:
    return _number(value) and value > 0


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MOST


def _texts(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(v, str) for v in value.values())


def _unit(value: Any) -> bool:
    try:
        parse_unit(value)
    except (DendrosimError, TypeError, AttributeError):
        return False
    return isinstance(value, str)


def _scales(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and _number(value.get("voltage"))
        and isinstance(value.get("rest"), dict)
        and all(_number(rest) for rest in value["rest"].values())
    )


def _grid(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and _text(value.get("key"))
        and _unit(value.get("unit"))
        and isinstance(value.get("values"), list)
        and all(_number(v) for v in value["values"])
    )


def _grids(value: Any) -> bool:
    return isinstance(value, list) and all(_grid(entry) for entry in value)


def _neurons(value: Any) -> bool:
    return isinstance(value, dict) and all(
        re.fullmatch("[0-9]{1,9}", key) and _positive(at) for key, at in value.items()
    )


def _window(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(_number(v) for v in value)


def _either(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or check(value)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


#: Key to a description of valid values, the check, and whether the key is optional.
FIELDS: dict[str, tuple[str, Callable[[Any], bool], bool]] = {
    "model": ("a text", _text, False),
    "protocol": ("a text", _text, False),
    "neurons": (f"a whole number from 1 to {MOST:,}", _count, False),
    "duration": ("a number of seconds above 0", _positive, False),
    "dt": ("a number of seconds above 0", _positive, False),
    "record_dt": ("a number of seconds above 0, or null", _either(_positive), False),
    "potentials": ("an object of places and names of variables", _texts, False),
    "scales": ("null, or an object with 'voltage' and 'rest'", _either(_scales), False),
    "grids": ("a list of objects with 'key', 'values' and 'unit'", _grids, False),
    "diverged": ("an object of numbers of neurons and seconds", _neurons, True),
    "method": ("a text, or null", _either(_text), True),
    "device": ("a text", _text, True),
    "threads": ("a whole number", _whole, True),
    "seed": (
        "a whole number, a list of them, or null",
        lambda v: v is None or isinstance(v, int | list),
        True,
    ),
    "compiled": ("true or false", lambda v: isinstance(v, bool), True),
    "compile_seconds": ("a number", _number, True),
    "run_seconds": ("a number", _number, True),
    "processor_seconds": ("a number, or null", _either(_number), True),
    "text_hash": ("a text", _text, True),
    "parameters": ("an object", lambda v: isinstance(v, dict), True),
    "initial": ("an object", lambda v: isinstance(v, dict), True),
    "input_units": ("an object of places and units", _texts, True),
    "stimuli": ("a list of objects", lambda v: isinstance(v, list), True),
    "measure": ("a list of two numbers of seconds", _window, True),
    "versions": ("an object of names and texts", _texts, True),
}


def check_meta(path: Any, meta: Any) -> Mapping[str, Any]:
    """Return the meta of a file after checking it.

    Raises
    ------
    DendrosimError
        If a key is missing or invalid; the message names the key, its value and what is valid.
    """
    if not isinstance(meta, dict):
        raise DendrosimError(f"{path}: its meta is {_short(meta)}, not an object")
    for key, (valid, check, optional) in FIELDS.items():
        if key not in meta:
            if optional:
                continue
            raise DendrosimError(f"{path}: a dendrosim recording that lacks a part: meta.{key}")
        if not check(meta[key]):
            raise DendrosimError(f"{path}: meta.{key} = {_short(meta[key])} should be {valid}")
    n = meta["neurons"]
    for k, entry in enumerate(meta["grids"]):
        if len(entry["values"]) != n:
            raise DendrosimError(
                f"{path}: meta.grids.{k} has {len(entry['values'])} values for {n} neurons"
            )
    beyond = [key for key in meta.get("diverged", {}) if int(key) >= n]
    if beyond:
        raise DendrosimError(f"{path}: meta.diverged names neuron {beyond[0]} of {n}")
    return meta


def check_arrays(
    path: Any, meta: Mapping[str, Any], spike_i: np.ndarray, spike_t: np.ndarray, traces: xr.Dataset
) -> None:
    """Check the arrays of a file.

    Raises
    ------
    DendrosimError
        If an array is invalid; the message names the array and what is valid.
    """
    n = meta["neurons"]
    if spike_i.ndim != 1 or spike_i.shape != spike_t.shape or spike_i.dtype.kind not in "iu":
        raise _wrong(path, "spike_neuron", "one whole number for each of spike_time")
    if spike_i.size and not (spike_i.min() >= 0 and spike_i.max() < n):
        raise _wrong(path, "spike_neuron", f"numbers of neurons from 0 to {n - 1}")
    if spike_t.dtype.kind != "f" or not np.isfinite(spike_t).all():
        raise _wrong(path, "spike_time", "finite times in seconds")
    for name in ("time", "neuron"):
        if name not in traces.coords or traces[name].dims != (name,):
            raise _wrong(path, name, "a coordinate of the traces")
    times, neurons = traces["time"].values, traces["neuron"].values
    increasing = times.dtype.kind == "f" and np.isfinite(times).all() and (np.diff(times) > 0).all()
    if times.size and not increasing:
        raise _wrong(path, "time", "increasing times in seconds")
    known = neurons.dtype.kind in "iu" and np.unique(neurons).size == neurons.size
    if neurons.size and not (known and neurons.min() >= 0 and neurons.max() < n):
        raise _wrong(path, "neuron", f"different numbers of neurons from 0 to {n - 1}")
    for key, trace in traces.data_vars.items():
        name = str(key)
        if trace.dims != ("time", "neuron") or trace.dtype.kind not in "fiub":
            raise _wrong(path, name, "numbers, one for each time and neuron")
        unit = trace.attrs.get("units")
        if unit is None:
            raise DendrosimError(f"{path}: {name} has no unit")
        if not _unit(unit):
            raise DendrosimError(f"{path}: {_short(unit)} is not a unit (of {name})")


def _wrong(path: Any, name: Any, valid: str) -> DendrosimError:
    return DendrosimError(f"{path}: {name} does not hold {valid}")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
