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
from dendrosim.errors import DendrosimError
from dendrosim.fitting.free import with_unit
from dendrosim.fitting.report import records
from dendrosim.model.model import Model
from dendrosim.tables import aligned

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dendrosim.fitting.features import Response
    from dendrosim.fitting.posterior.result import Posterior
    from dendrosim.fitting.problem import Problem
    from dendrosim.fitting.targets import Target
    from dendrosim.simulation.protocol import Protocol


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
    protocols
        The fitted protocols, with the fitted values of their stimuli.
    passive
        The passive values that were found first, with the columns of `values`; None without them.
    cell
        Properties of a recorded cell and of the fitted model, measured in the same way on the
        hyperpolarising sweeps; None without such sweeps.
    errors_note
        Which values the standard errors belong to if least squares were not used, or why there are
        none; empty if they belong to the values after least squares.
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
    protocols: tuple[Protocol, ...] = ()
    passive: pd.DataFrame | None = None
    cell: pd.DataFrame | None = None
    errors_note: str = ""
    _shown: tuple[tuple[str, Target, list[Response] | None], ...] = ()
    _problem: Problem | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Return what can be pickled: a problem holds functions."""
        return vars(self) | {"_problem": None}

    def __repr__(self) -> str:
        """Short: model, values and cost."""
        values = ", ".join(
            f"{name} = {with_unit(format(row['value'], '.6g'), row['unit'])}"
            for name, row in self.values.iterrows()
        )
        return f"<Fit of {self.model.name}: {values}; cost {self.cost:.3g}>"

    def __str__(self) -> str:
        return self.text()

    def text(self, width: int = 100) -> str:
        """Return the report as text for a terminal."""
        width = checks.whole(width, "width", least=20)
        lines = [f"{self.model.name}: cost {self.cost:.4g}"]
        values = self.values.reset_index()
        tables = [("", values, 1), ("", self.table, 2)]
        if self.cell is not None:
            tables.insert(0, ("the cell and the model:", self.cell.reset_index(), 1))
        if self.passive is not None:
            tables.insert(0, ("passive values:", self.passive.reset_index(), 1))
        for title, table, keys in tables:
            columns = {str(name): column.tolist() for name, column in table.items()}
            lines += ["", *([title] if title else []), *aligned(columns, width, keys=keys)]
            if table is values and self.errors_note:
                lines += ["", *textwrap.wrap(self.errors_note, width)]
        for note in self.notes:
            lines += ["", *textwrap.wrap(note, width)]
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON; a missing value is None."""
        return {
            "model": self.model.name, "cost": self.cost,
            "condition": self.condition if np.isfinite(self.condition) else None,
            "values": records(self.values.reset_index()), "table": records(self.table),
            "optima": records(self.optima),
            "passive": None if self.passive is None else records(self.passive.reset_index()),
            "cell": None if self.cell is None else records(self.cell.reset_index()),
            "standard errors": self.errors_note, "notes": list(self.notes), "meta": dict(self.meta),
        }  # fmt: skip

    def posterior(
        self, *, n: int = 1024, samples: int = 2000, checked: int = 200, seed: int = 0,
        progress: bool | None = None,
    ) -> Posterior:  # fmt: skip
        """Return which values explain the target: neural posterior estimation.

        Needs the extra `posterior` (sbi).  The prior is uniform in the ranges, in logarithms for a
        range above 0.  A difference of one spread in a feature counts as one standard deviation:
        the simulator has no noise, so the network learns from features with Gaussian noise of one
        spread, and the likelihood is that of the noise.

        Rounds of candidates first narrow the ranges to where the target is met: at most twelve, of
        ``n/4`` candidates and at least 256.  Then `n` candidates train the network.  The same seed
        gives the same samples on the same machine.

        Parameters
        ----------
        n
            Number of candidates that train the network, a power of two: a scrambled Sobol sequence.
        samples
            Number of samples of the posterior.
        checked
            How many samples are simulated and compared with the target; at most `samples`.
        seed
            Seed of the candidates, of the network and of the samples.
        progress
            As in `simulate`.

        Raises
        ------
        DendrosimError
            If an argument is invalid, sbi is not installed, the fit was unpickled, or the
            candidates diverge or have the same features.

        References
        ----------
        Papamakarios & Murray (2016) Fast epsilon-free inference of simulation models with Bayesian
        conditional density estimation. NeurIPS; Deistler et al. (2022) Truncated proposals for
        scalable and hassle-free simulation-based inference. NeurIPS, for the narrowing; Dax et al.
        (2023) Neural importance sampling for rapid and reliable gravitational-wave inference. Phys
        Rev Lett 130:171403, for the efficiency.
        """
        from dendrosim.fitting.posterior.infer import infer, read_settings

        settings = read_settings(n, samples, checked, seed)
        if self._problem is None:
            raise DendrosimError(
                "this Fit no longer has its target, because it was copied or unpickled; "
                "a new dendrosim.fit has a posterior"
            )
        return infer(self._problem, self.values["value"], settings, progress)

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
