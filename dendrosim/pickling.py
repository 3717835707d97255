"""Pickling of values that Python and Brian2 do not pickle correctly.

A ``MappingProxyType`` cannot be pickled, and a dimensionless `Quantity` becomes a plain number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from brian2 import Quantity


@dataclass
class _Table:
    """The contents of a ``MappingProxyType``."""

    items: dict[Any, Any]


@dataclass
class _Number:
    """The numbers of a dimensionless quantity."""

    value: np.ndarray


class Pickled:
    """A frozen dataclass with exact copies, also in other processes."""

    def __getstate__(self) -> dict[str, Any]:
        """Return the fields in a form that can be pickled."""
        return {name: _packed(value) for name, value in vars(self).items()}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Restore the fields."""
        for name, value in state.items():
            object.__setattr__(self, name, _unpacked(value))


def _packed(value: Any) -> Any:
    if isinstance(value, MappingProxyType):
        return _Table({key: _packed(inner) for key, inner in value.items()})
    if isinstance(value, dict):
        return {key: _packed(inner) for key, inner in value.items()}
    if isinstance(value, Quantity) and value.dim.is_dimensionless:
        return _Number(np.asarray(value))
    return value


def _unpacked(value: Any) -> Any:
    if isinstance(value, _Table):
        return MappingProxyType({key: _unpacked(inner) for key, inner in value.items.items()})
    if isinstance(value, dict):
        return {key: _unpacked(inner) for key, inner in value.items()}
    return Quantity(value.value) if isinstance(value, _Number) else value
