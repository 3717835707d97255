"""The posterior of a fit as a result: samples, tables, text, figure and files."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from dendrosim import checks
from dendrosim.fitting.free import with_unit
from dendrosim.fitting.report import records
from dendrosim.tables import aligned

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Most rows of the check that the text shows.
ROWS = 12


@dataclass(frozen=True, eq=False, repr=False)
class Posterior:
    """Which values of a fit explain the target, from `Fit.posterior`.

    Attributes
    ----------
    samples
        One row per sample and one column per free value, in the usual units of `Fit.values`.
    table
        One row per free value: unit, mean, standard deviation, quantiles, the part of the range
        that the middle 90 % take (in logarithms for a range above 0), and the range.
    correlation
        Rank correlations (Spearman) between the values.
    check
        One row per feature of each protocol and stimulus: the target, and quantiles of simulations
        of samples (posterior predictive).  `inside` says whether the target lies between the 5 %
        and 95 % quantiles, or less than one spread beyond.
    efficiency
        Effective part of the simulated samples, weighted by their likelihood: 1 for an exact
        posterior.
    notes
        Sentences on what a reader should doubt.
    meta
        Settings, numbers of simulations and features, versions.
    """

    samples: pd.DataFrame
    table: pd.DataFrame
    correlation: pd.DataFrame
    check: pd.DataFrame
    efficiency: float
    notes: tuple[str, ...]
    meta: Mapping[str, Any]
    _fitted: pd.Series
    _log: tuple[bool, ...]

    def __repr__(self) -> str:
        """Short: model and the middle 90 % of each value."""
        values = ", ".join(
            f"{name} = {row['5 %']:.4g} to {with_unit(format(row['95 %'], '.4g'), row['unit'])}"
            for name, row in self.table.iterrows()
        )
        return f"<Posterior of {self.meta['model']}: {values}>"

    def __str__(self) -> str:
        return self.text()

    def text(self, width: int = 100) -> str:
        """Return the report as text for a terminal.

        Raises
        ------
        DendrosimError
            If the width is no whole number of at least 20.
        """
        width = checks.whole(width, "width", least=20)
        head = (
            f"posterior of {self.meta['model']}: {len(self.samples):,} samples from "
            f"{self.meta['simulated']:,} simulations; {self.efficiency:.0%} of the checked samples "
            "are effective"
        )
        lines = [*textwrap.wrap(head, width), "", *_shown(self.table.reset_index(), width)]
        if len(self.correlation) > 1:
            table = self.correlation.rename_axis("rank correlation").reset_index()
            lines += ["", *_shown(table, width)]
        outside = self.check[~self.check["inside"]].drop(columns="inside")
        met = (
            f"{len(self.check) - len(outside)} of {len(self.check)} features of the target are met"
        )
        lines += ["", f"{met}{'; the others:' if len(outside) else '.'}"]
        if len(outside):
            lines += ["", *_shown(outside.head(ROWS), width, keys=3)]
        for note in self.notes:
            lines += ["", *textwrap.wrap(note, width)]
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """Return all but the samples as plain values for JSON; a missing value is None."""
        return {
            "values": records(self.table.reset_index()),
            "correlation": self.correlation.to_dict(), "check": records(self.check),
            "efficiency": self.efficiency, "notes": list(self.notes), "meta": dict(self.meta),
        }  # fmt: skip

    def plot(self, path: str | os.PathLike | None = None) -> Figure:
        """Draw the samples of each value and of each pair; the fitted values are marked.

        Raises
        ------
        DendrosimError
            If the file cannot be written.
        """
        from dendrosim.figures.style import save_figure
        from dendrosim.fitting.posterior.figure import posterior_figure

        figure = posterior_figure(self)
        if path is not None:
            save_figure(figure, path)
        return figure

    def save(self, folder: str | os.PathLike) -> list[Path]:
        """Write the samples, the tables and the figure into a folder, each file atomically.

        The files are ``posterior.csv``, ``posterior.json`` and ``posterior.png``.

        Raises
        ------
        DendrosimError
            If the folder cannot be created or written.
        """
        from dendrosim.fitting.files import write_posterior

        return write_posterior(self, folder)


def _shown(table: pd.DataFrame, width: int, keys: int = 1) -> list[str]:
    return aligned({str(name): own.tolist() for name, own in table.items()}, width, keys=keys)
