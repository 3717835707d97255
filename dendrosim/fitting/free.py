"""Free values of a fit: their names, ranges and scales."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from brian2 import Quantity, volt
from numpy.typing import NDArray

from dendrosim import checks
from dendrosim.errors import DendrosimError, at
from dendrosim.model.model import Model
from dendrosim.model.quantities import display_unit, parse_unit, quantity, unit_text, with_dim
from dendrosim.simulation.protocol import Protocol
from dendrosim.simulation.value_names import full_name
from dendrosim.sweeps.axes import set_value

Array = NDArray[np.float64]

#: A range that is not given goes from a quarter to four times the value, and that of a potential
#: from so much below to so much above it (V): the zero of a potential has no meaning.
QUARTER, AROUND = 4.0, 20e-3
#: Values that no candidate can change: all of a fit run for the same time.
FIXED = ("protocol.", "measure.")


@dataclass(frozen=True, eq=False)
class Free:
    """A value that a fit may change.

    Attributes
    ----------
    key
        Full name, such as ``"parameters.g_c"``.
    low, high
        Bounds in SI units.
    start
        Where a search begins, in SI units: the model's value, moved into the bounds.
    own
        The model's value in SI units.
    dim
        Dimension.
    log
        Whether it is searched on a logarithmic scale: if both bounds are above 0.
    """

    key: str
    low: float
    high: float
    start: float
    own: float
    dim: Any
    log: bool

    @property
    def name(self) -> str:
        """Last part of the name."""
        return self.key.rpartition(".")[2]

    @property
    def unit(self) -> str:
        """Usual unit."""
        return display_unit(self.dim)

    @property
    def text(self) -> str:
        """The range as text, equal for equal ranges."""
        return f"{self.low!r}..{self.high!r} {unit_text(self.dim)}"

    @property
    def range_shown(self) -> str:
        """The range for a message: in the usual unit, as a user would write it."""
        numbers = f"{self.shown(self.low):.6g}..{self.shown(self.high):.6g}"
        return with_unit(numbers, self.unit)

    def value(self, x: Array) -> Array:
        """Return SI values at positions from 0 (low) to 1 (high)."""
        x = np.clip(x, 0.0, 1.0)
        if self.log:
            return self.low * (self.high / self.low) ** x
        return self.low + (self.high - self.low) * x

    def position(self, value: float) -> float:
        """Return the position of an SI value in the range, from 0 to 1."""
        if self.log:
            return float(np.log(value / self.low) / np.log(self.high / self.low))
        return (value - self.low) / (self.high - self.low)

    def slope(self, x: float) -> float:
        """Return the change of the value per position."""
        value = float(self.value(np.array(x)))
        return value * float(np.log(self.high / self.low)) if self.log else self.high - self.low

    def shown(self, value: Any) -> Any:
        """Return an SI value, or an array of them, in the usual unit."""
        return value / float(parse_unit(self.unit))


def with_unit(number: str, unit: str) -> str:
    """Return a number with its unit; a number without one stands alone."""
    return number if unit == "1" else f"{number} {unit}"


def read_free(
    free: Mapping[str, Any] | Sequence[str], model: Model, protocols: Sequence[Protocol],
    what: str = "free", factor: float = QUARTER,
) -> tuple[Free, ...]:  # fmt: skip
    """Read the free values of a fit.

    Parameters
    ----------
    free
        Name to range, such as ``{"g_NaP": "0.05..0.3 mS/cm**2"}``; None for a quarter to four times
        the value of the model, for a potential 20 mV around it.  A list of names is valid, too.
    model, protocols
        Owners of the values; a value of a stimulus must exist in every protocol.
    what
        Name of the argument in error messages.
    factor
        Part and multiple of a value that its range goes to if none is given.

    Raises
    ------
    DendrosimError
        If a name or a range is invalid.
    """
    listed = isinstance(free, Mapping) or (checks.is_row(free) and not isinstance(free, str))
    if not listed or not len(free):
        raise DendrosimError(
            f"{what} = {checks.short(free)} should map names to ranges, such as "
            "{'g_NaP': '0.05..0.3 mS/cm**2'}"
        )
    ranges = free if isinstance(free, Mapping) else dict.fromkeys(checks.texts(free, what))
    found: dict[str, Free] = {}
    for name, given in ranges.items():
        key = full_name(str(name), [model], protocols[0], f"{what}: ", FIXED)
        for protocol in protocols[1:]:
            full_name(key, [model], protocol, f"{what}: ", FIXED)
        if key in found:
            raise DendrosimError(f"{what}: {key} is given twice")
        with at(what):
            found[key] = _free(key, given, model, protocols, factor)
    return tuple(found.values())


def labels(free: Sequence[Free]) -> list[str]:
    """Return the names of free values: the last part, or the full name where two share that."""
    names = [one.name for one in free]
    return [n if names.count(n) == 1 else one.key for n, one in zip(names, free, strict=True)]


def _free(key: str, given: Any, model: Model, protocols: Sequence[Protocol], factor: float) -> Free:
    own = _own(key, model, protocols[0])
    if not isinstance(own, Quantity) or own.ndim:
        raise DendrosimError(f"{key} is not one number that a fit could change")
    value = float(own)
    if given is None and own.dim is volt.dim:
        low, high = value - AROUND, value + AROUND
    elif given is None:
        if not value:
            unit = "" if display_unit(own.dim) == "1" else f" {display_unit(own.dim)}"
            raise DendrosimError(f"{key} is 0, so it needs a range, such as '0..1{unit}'")
        low, high = sorted((value / factor, value * factor))
    else:
        low, high = _bounds(key, given, own)
    made = Free(key, low, high, min(max(value, low), high), value, own.dim, low > 0)
    for bound in (low, high):
        try:
            for protocol in protocols:
                set_value(model, protocol, key, with_dim(bound, own.dim))
        except DendrosimError as error:
            raise DendrosimError(f"{key} from {made.range_shown}: {error}") from None
    return made


def _bounds(key: str, given: Any, own: Quantity) -> tuple[float, float]:
    """Read ``"0.05..0.3 mS/cm**2"``, or a pair of quantities."""
    said = f"{key} = {checks.short(given)}"
    if isinstance(given, str):
        low, dots, rest = given.partition("..")
        number, _, unit = rest.strip().partition(" ")
        if not dots:
            raise DendrosimError(f"{said} should be a range, '0.05..0.3 mS/cm**2'")
        parts = [f"{low.strip()} {unit}".strip(), f"{number} {unit}".strip()]
    elif checks.is_row(given) and len(given) == 2:
        parts = list(given)
    else:
        raise DendrosimError(f"{said} should be a range: '0.05..0.3 mS'")
    first, last = (float(quantity(part, key, like=own.dim)) for part in parts)
    if not first < last:
        raise DendrosimError(f"{said} should go from a lower to a higher value")
    return first, last


def _own(key: str, model: Model, protocol: Protocol) -> Any:
    kind, _, rest = key.partition(".")
    if kind == "parameters":
        return model.parameters[rest].value
    if kind == "initial":
        return model.initial[rest]
    if kind == "stimuli":
        number, _, name = rest.partition(".")
        return protocol.stimuli[int(number)].values.get(name)
    return None
