"""The result of a fit."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dendrosim import checks
from dendrosim.model.model import Model
from dendrosim.tables import aligned

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dendrosim.fitting.features import Response
    from dendrosim.fitting.responses import Target


@dataclass(frozen=True, eq=False, repr=False)
class Fit:
    """A fitted model, and how well it is determined.

    Attributes
    ----------
    model
        The model with the best values.
    values
        One row per free value: value, standard error, range, start, in the usual unit.
    table
        One row per protocol, fitted and unseen: spikes of target and fit, coincidence factor, error
        of the potential.
    history
        Best cost of each seed by the number of evaluations.
    optima
        Best cost and values of each seed.
    cost
        Best cost of the search.
    condition
        Condition number of the Jacobian of the potential; nan without one.
    notes
        Sentences on what a reader should doubt.
    meta
        Settings of the fit.
    """

    model: Model
    values: pd.DataFrame
    table: pd.DataFrame
    history: pd.DataFrame
    optima: pd.DataFrame
    cost: float
    condition: float
    notes: tuple[str, ...]
    meta: Mapping[str, Any]
    _shown: tuple[tuple[str, Target, list[Response] | None], ...] = ()

    def __repr__(self) -> str:
        """Short: model, values and cost."""
        values = ", ".join(
            f"{name} = {row['value']:.6g} {row['unit']}" for name, row in self.values.iterrows()
        )
        return f"<Fit of {self.model.name}: {values}; cost {self.cost:.3g}>"

    def __str__(self) -> str:
        return self.text()

    def text(self, width: int = 100) -> str:
        """Return the report as text for a terminal."""
        width = checks.whole(width, "width", least=20)
        shown = self.values.reset_index()
        columns = {str(name): values.tolist() for name, values in shown.items()}
        lines = [f"{self.model.name}: cost {self.cost:.4g}", ""]
        lines += [*aligned(columns, width), ""]
        columns = {str(name): values.tolist() for name, values in self.table.items()}
        lines += aligned(columns, width, keys=2)
        for note in self.notes:
            lines += ["", *textwrap.wrap(note, width)]
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON; a missing value is None."""

        def rows(table: pd.DataFrame) -> list[dict[str, Any]]:
            plain = table.astype(object).where(table.notna(), None)
            return plain.to_dict("records")

        return {
            "model": self.model.name, "cost": self.cost,
            "condition": self.condition if np.isfinite(self.condition) else None,
            "values": rows(self.values.reset_index()), "table": rows(self.table),
            "optima": rows(self.optima), "notes": list(self.notes), "meta": dict(self.meta),
        }  # fmt: skip

    def plot(self, path: str | os.PathLike | None = None) -> Figure:
        """Draw the traces of target and fit, and the cost by evaluations.

        Raises
        ------
        DendrosimError
            If the file cannot be written.
        """
        from dendrosim.figures.style import save_figure
        from dendrosim.fitting.figure import fit_figure

        figure = fit_figure(self)
        if path is not None:
            save_figure(figure, path)
        return figure

    def save(self, folder: str | os.PathLike) -> list[Path]:
        """Write the model, the tables and the figure into a folder, each file atomically.

        Raises
        ------
        DendrosimError
            If the folder cannot be created or written.
        """
        from dendrosim.fitting.files import write_fit

        return write_fit(self, folder)
