"""Checks of arguments that must be tensors."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import Tensor

from dendrosim import checks
from dendrosim.errors import DendrosimError

DTYPES = (torch.float32, torch.float64)


def check_dtype(dtype: Any) -> torch.dtype:
    """Return the number type of a network.

    Raises
    ------
    DendrosimError
        If the type is not supported.
    """
    if not isinstance(dtype, torch.dtype) or dtype not in DTYPES:
        valid = ", ".join(map(str, DTYPES))
        raise DendrosimError(f"dtype = {checks.short(dtype)}; valid: {valid}")
    return dtype


def check_values(table: Any, needed: Collection[str], name: str) -> None:
    """Refuse a table that does not map names to tensors or numbers, or that lacks a name.

    Raises
    ------
    DendrosimError
        With the argument and the missing names.
    """
    if not isinstance(table, Mapping):
        raise DendrosimError(f"{name} = {checks.short(table)} should map names to tensors")
    for key, value in table.items():
        if not isinstance(value, Tensor):
            checks.numbers(value, f"{name}[{key!r}]")
    if lacking := [key for key in needed if key not in table]:
        raise DendrosimError(f"{name} lacks {', '.join(lacking)}")
