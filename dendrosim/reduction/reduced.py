"""The result of a reduction: a discrete neuron and its physical units."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from brian2 import Quantity

from dendrosim.model.model import Model
from dendrosim.model.optional import scales_of
from dendrosim.pickling import Pickled
from dendrosim.reduction.saved import save_model

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Reduction(Pickled):
    """A discrete two-compartment neuron and its physical units.

    Attributes
    ----------
    model
        The ``two_compartment`` or ``two_compartment_adaptive`` model with coefficients and scales,
        for use with any protocol.
    coefficients
        The values of the model's parameters, such as ``alpha_1`` and ``V_th``.
    scales
        ``voltage`` (volts per unit of potential) and, for each port, the current density per
        unit of input (``I`` into the dendrite, ``I_s`` into the soma).
    method
        ``"exact"``, ``"euler"``, ``"quasi_active"`` or ``"adaptive"``.
    threshold, held
        In volt: the somatic potentials for V_th and for 0.
    source
        Name of the reduced model.
    report
        After a fit: a DataFrame with one row per protocol, its role (``fit`` or ``unseen``) and
        errors.
    searches
        After a fit of the adaptive neuron: a DataFrame with one row per seed, its cost and the
        coincidence factor within 4 ms.  Searches that end far apart have not found the best values.
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
    searches: pd.DataFrame | None = None

    @property
    def coefficients(self) -> Mapping[str, float]:
        """The values of the parameters: of eqs 6-8, or of the adaptive neuron."""
        values = self.model.values()
        return {name: float(values[name]) for name in self.model.parameters}

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
        save_model(
            self.model, path, f"Two-compartment reduction of {self.source} ({self.method})",
            f"dendrosim reduce {self.source}, {self.method}",
        )  # fmt: skip
