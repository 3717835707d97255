"""Usual units of the field, for tables and figures."""

from __future__ import annotations

import numpy as np

from dendrosim.model.quantities import display_unit, parse_unit


def in_usual_unit(values: np.ndarray, unit: str) -> tuple[np.ndarray, str]:
    """Return SI values in the usual unit of the field, and that unit.

    The gain of an f-I curve, ``"hertz/(amp)"``, is in hertz per usual unit of the current.
    """
    if unit.startswith("hertz/("):
        current = unit.removeprefix("hertz/(").removesuffix(")")
        usual = display_unit(parse_unit(current).dim)
        per = float(parse_unit(usual)) / float(parse_unit(current))
        shown = "Hz" if usual == "1" else f"Hz/({usual})" if "/" in usual else f"Hz/{usual}"
        return np.round(values * per, 12), shown
    usual = display_unit(parse_unit(unit).dim)
    return np.round(values / float(parse_unit(usual)) * float(parse_unit(unit)), 12), usual
