"""Parts of a model (parameters, scales, places, conditions), each parsed from a file entry."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from brian2 import Quantity
from brian2.units.fundamentalunits import DIMENSIONLESS, Dimension

from dendrosim import shelves
from dendrosim.errors import DendrosimError, at
from dendrosim.model.expressions import Expression, parse_condition, parse_expression, parse_number
from dendrosim.model.names import is_name
from dendrosim.model.quantities import UNITS, describe, parse_unit, quantity
from dendrosim.pickling import Pickled


@dataclass(frozen=True)
class Parameter(Pickled):
    """A named value of a model.

    Attributes
    ----------
    value
        With its unit; an array gives one value per neuron.
    text
        As written in the file.
    doc, source
        Description, and source of the number.
    trainable
        Whether training may change it.
    shape
        ``"layer"`` (one value for all neurons) or ``"neuron"`` (one value per neuron).
    """

    value: Quantity
    text: str
    doc: str = ""
    source: str = ""
    trainable: bool = False
    shape: str = "layer"


@dataclass(frozen=True)
class Scales(Pickled):
    """Physical units of the dimensionless numbers of a discrete model.

    Attributes
    ----------
    voltage
        Volts per unit of potential.
    rest
        State variable to the potential that its value 0 stands for.
    current
        Port to place (``"soma"``, ``"dendrite"``) to units of input per ampere/meter**2.
    bias
        Port to the input at zero current; nonzero if `rest` is not the resting potential of
        the neuron without input.
    """

    voltage: Quantity
    rest: Mapping[str, Quantity]
    current: Mapping[str, Mapping[str, Quantity]]
    bias: Mapping[str, float] = field(default_factory=dict)

    def values(self) -> dict[str, Any]:
        """Return all numbers, each under a unique name."""
        values: dict[str, Any] = {"scales.voltage": self.voltage}
        values |= {f"scales.rest.{name}": value for name, value in self.rest.items()}
        values |= {f"scales.bias.{port}": value for port, value in self.bias.items()}
        for port, places in self.current.items():
            values |= {f"scales.current.{port}.{place}": v for place, v in places.items()}
        return values


_PARAMETER: dict[str, shelves.Kinds] = {
    "value": (str, int, float), "doc": str, "source": str, "trainable": bool, "shape": str,
}  # fmt: skip


def read_parameter(name: str, entry: Any) -> Parameter:
    """Read a value with its unit, or a table with the value and its description."""
    if not isinstance(entry, dict):
        entry = {"value": entry}
    with at(f"parameters.{name}"):
        shelves.check_keys(entry, _PARAMETER)
        if "value" not in entry:
            raise DendrosimError("the key 'value' is missing")
        if entry.get("shape", "layer") not in ("layer", "neuron"):
            raise DendrosimError(f"shape = {entry['shape']!r}; valid: layer, neuron")
    value = quantity(entry["value"], f"parameters.{name}")
    rest = {key: value for key, value in entry.items() if key != "value"}
    return Parameter(value, str(entry["value"]), **rest)


def time_step(value: Any, name: str = "dt") -> Quantity:
    """Read a positive time.

    Raises
    ------
    DendrosimError
        If it is not a single positive time.
    """
    dt = quantity(value, name, like=UNITS["second"])
    if dt.ndim or not dt > 0:
        raise DendrosimError(f"{name}: {describe(dt, 'ms')} is not a time above 0")
    return dt


def read_threshold(text: Any, name: str) -> Expression | None:
    """Read a condition; None for an empty text."""
    return None if isinstance(text, str) and not text else parse_condition(text, name)


def read_refractory(value: Any, name: str) -> Expression | Quantity | None:
    """Read a time or a condition; None for an empty text."""
    if isinstance(value, str) and not value:
        return None
    if isinstance(value, str) and not value.lstrip(" +-.")[:1].isdigit():
        return parse_expression(value, name)
    time = quantity(value, name, like=UNITS["second"])
    if np.any(time < 0):
        raise DendrosimError(f"{name}: {value!r} is below 0")
    return time


def read_names(table: dict | list, key: str) -> Mapping[str, str]:
    """Read places and their variables; in a list, place and variable have the same name."""
    pairs = list(table.items()) if isinstance(table, dict) else [(name, name) for name in table]
    for place, name in pairs:
        if not is_name(name) or not is_name(place):
            raise DendrosimError(f"{key}: {place} = {name!r} does not name a variable")
    names = [name for _, name in pairs]
    twice = [name for k, name in enumerate(names) if name in names[:k]]
    if twice:
        raise DendrosimError(f"{key}: the variable {twice[0]} is given twice")
    return MappingProxyType(dict(pairs))


def read_derived(table: Mapping[str, str], key: str) -> dict[str, Expression]:
    """Read the values that are computed from the parameters."""
    return {name: parse_number(text, f"{key}.{name}") for name, text in table.items()}


def read_initial(
    table: Mapping[str, Any], names: Collection[str]
) -> tuple[dict[str, Quantity], dict[str, Expression]]:
    """Read the initial state: values, and expressions of the parameters.

    Parameters
    ----------
    table
        State to value.
    names
        Parameters and derived values that an initial value may use; none for a continuous model.
    """
    starts = {
        state: parse_number(text, f"initial.{state}")
        for state, text in table.items()
        if isinstance(text, str) and set(names) & set(re.findall(r"[A-Za-z_]\w*", text))
    }
    values = {
        state: quantity(value, f"initial.{state}")
        for state, value in table.items()
        if state not in starts
    }
    return values, starts


def read_scales(table: dict) -> Scales:
    """Read the physical units of the numbers of a discrete model."""
    keys = {"voltage": str, "rest": dict, "current": dict, "bias": dict}
    with at("scales"):
        shelves.check_keys(table, keys)
    current = table.get("current", {})
    with at("scales.current"):
        shelves.check_keys(current, dict.fromkeys(current, dict))
    volt, per_density = UNITS["volt"].dim, parse_unit("meter**2/amp").dim
    bias = _scalars(table.get("bias", {}), "scales.bias", DIMENSIONLESS)
    return Scales(
        voltage=_scalar(table.get("voltage", ""), "scales.voltage", volt),
        rest=_scalars(table.get("rest", {}), "scales.rest", volt),
        current=MappingProxyType(
            {
                port: _scalars(places, f"scales.current.{port}", per_density)
                for port, places in current.items()
            }
        ),
        bias=MappingProxyType({port: float(value) for port, value in bias.items()}),
    )


def _scalar(value: Any, key: str, dim: Dimension) -> Quantity:
    result = quantity(value, key, like=dim)
    if result.ndim:
        raise DendrosimError(f"{key}: {value!r} cannot be a grid")
    return result


def _scalars(table: dict, key: str, dim: Dimension) -> Mapping[str, Quantity]:
    return MappingProxyType(
        {name: _scalar(value, f"{key}.{name}", dim) for name, value in table.items()}
    )
