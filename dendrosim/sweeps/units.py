"""Usual units of the field, for tables and figures."""

from __future__ import annotations

import numpy as np

from dendrosim.model.quantities import display_unit, parse_unit


def in_usual_unit(values: np.ndarray, unit: str) -> tuple[np.ndarray, str]:
    """Return SI values in the usual unit of the field, and that unit."""
    if "(" in unit:  # the gain of an f-I curve
        return values, unit
    usual = display_unit(parse_unit(unit).dim)
    return np.round(values / float(parse_unit(usual)) * float(parse_unit(unit)), 12), usual
