"""The electrode of a recorded cell: what its potential differs from that of the membrane by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from brian2 import ohm, volt

from dendrosim import checks
from dendrosim.errors import DendrosimError
from dendrosim.model.quantities import quantity

#: The series resistance that is estimated from the recording itself.
ESTIMATE = "estimate"
#: Largest values that an electrode has (ohm, V).
MOST_SERIES, MOST_JUNCTION = 500e6, 0.1


@dataclass(frozen=True)
class Electrode:
    """Corrections of a recorded potential.

    Attributes
    ----------
    series_resistance
        In ohm; None to estimate it from the hyperpolarising steps of the file.
    junction
        Liquid junction potential in V, subtracted from the recorded potential.
    """

    series_resistance: float | None = 0.0
    junction: float = 0.0


def read_electrode(series_resistance: Any, junction: Any) -> Electrode:
    """Read the corrections from quantities, their text, ``"estimate"``, or None.

    Raises
    ------
    DendrosimError
        If a value is invalid.
    """
    if isinstance(series_resistance, str) and series_resistance.strip() == ESTIMATE:
        series = None
    elif series_resistance is None:
        series = 0.0
    else:
        try:
            series = float(_one(series_resistance, "series_resistance", ohm))
        except DendrosimError as error:
            raise DendrosimError(f"{error}; valid: {ESTIMATE!r}, or '12 Mohm'") from None
        if not 0 <= series <= MOST_SERIES:
            raise DendrosimError(
                f"series_resistance = {checks.short(series_resistance)} should be from 0 to "
                f"{MOST_SERIES * 1e-6:.0f} Mohm"
            )
    potential = 0.0 if junction is None else float(_one(junction, "junction", volt))
    if not abs(potential) <= MOST_JUNCTION:
        raise DendrosimError(
            f"junction = {checks.short(junction)} should be within "
            f"{MOST_JUNCTION * 1e3:.0f} mV of 0"
        )
    return Electrode(series, potential)


def _one(value: Any, name: str, like: Any) -> Any:
    found = quantity(value, name, like=like)
    if found.ndim:
        raise DendrosimError(f"{name} = {checks.short(value)} should be one value")
    return found
