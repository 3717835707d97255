"""The result of a reduction: a discrete neuron and its physical units."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from brian2 import Quantity

from dendrosim import shelves
from dendrosim.files import replacing
from dendrosim.model.model import Model
from dendrosim.model.optional import scales_of
from dendrosim.model.toml import to_table
from dendrosim.pickling import Pickled

if TYPE_CHECKING:
    import pandas as pd

COEFFICIENTS = ("alpha_1", "beta_1", "alpha_2", "beta_2")


@dataclass(frozen=True, eq=False)
class Reduction(Pickled):
    """A discrete two-compartment neuron and its physical units.

    Attributes
    ----------
    model
        The ``two_compartment`` model with coefficients and scales, for use with any protocol.
    coefficients
        ``alpha_1``, ``beta_1``, ``alpha_2``, ``beta_2``, ``rho``, ``gamma``, ``V_th``.
    scales
        ``voltage`` (volts per unit of potential) and, for each port, the current density per
        unit of input (``I`` into the dendrite, ``I_s`` into the soma).
    method
        ``"exact"``, ``"euler"`` or ``"quasi_active"``.
    threshold, held
        In volt: the somatic potentials for V_th and for 0.
    source
        Name of the reduced model.
    report
        After a fit: a DataFrame with one row per protocol, its role (``fit`` or ``unseen``) and
        errors.
    notes
        Remarks on a fit, one sentence each, such as a value at a bound of its search range.
    """

    model: Model
    method: str
    threshold: Quantity
    held: Quantity
    source: str
    report: pd.DataFrame | None = None
    notes: tuple[str, ...] = ()

    @property
    def coefficients(self) -> Mapping[str, float]:
        """The coefficients of eqs 6-8."""
        values = self.model.values()
        return {name: float(values[name]) for name in (*COEFFICIENTS, "rho", "gamma", "V_th")}

    @property
    def scales(self) -> Mapping[str, Quantity]:
        """Volts per unit of potential, and current density per unit of each input."""
        scales = scales_of(self.model)
        units = {"voltage": scales.voltage}
        for port, place in {"I": "dendrite", "I_s": "soma"}.items():
            units[port] = 1 / scales.current[port][place]
        return units

    def save(self, path: str | os.PathLike) -> None:
        """Write the reduced neuron as a model file for `load_model`."""
        table = to_table(self.model)
        table["title"] = f"Two-compartment reduction of {self.source} ({self.method})"
        for parameter in table["parameters"].values():
            parameter["source"] = f"dendrosim reduce {self.source}, {self.method}"
        with replacing(path) as temporary:
            temporary.write_text(shelves.toml_text(table), encoding="utf-8")
