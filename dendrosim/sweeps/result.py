"""The result of a sweep, read from its store."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dendrosim import checks
from dendrosim.errors import DendrosimError, did_you_mean
from dendrosim.sweeps.integrity import BROKEN
from dendrosim.sweeps.layout import FAILED, STATUS, TO_DO
from dendrosim.sweeps.store import Store
from dendrosim.sweeps.units import in_usual_unit

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from matplotlib.figure import Figure


class Sweep:
    """The results of a sweep.

    Parameters
    ----------
    path
        Folder of the store.

    Raises
    ------
    DendrosimError
        If there is no sweep.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self._store = Store(path)

    def __repr__(self) -> str:
        """Short: points and how many are done."""
        counts = self.counts
        text = ", ".join(f"{n:,} {name}" for name, n in counts.items() if n)
        return f"<Sweep of {sum(counts.values()):,} points: {text.replace('_', ' ')}>"

    @property
    def path(self) -> Path:
        """Folder of the store."""
        return self._store.path

    @property
    def manifest(self) -> dict[str, Any]:
        """The settings of the sweep as plain values."""
        return self._store.manifest

    @property
    def counts(self) -> dict[str, int]:
        """Number of points by status: to_do, done, diverged, failed."""
        numbers = np.bincount(self._store.statuses(), minlength=len(STATUS))
        return dict(zip(STATUS, numbers.tolist(), strict=True))

    @property
    def measures(self) -> tuple[str, ...]:
        """Names of the measures."""
        return tuple(self.manifest["measures"])

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the axes, as coordinates of `to_xarray`."""
        names = self._store.group["status"].attrs["coordinates"].split()
        return tuple(names[: len(self.manifest["axes"])])

    def to_xarray(self, *, unstack: bool = True) -> xr.Dataset:
        """Return the results as an ``xarray.Dataset``, loaded.

        Parameters
        ----------
        unstack
            Whether a grid gets one dimension for each axis (and ``repeat``) instead of ``point``.

        Returns
        -------
        xarray.Dataset
            One variable per measure, with its unit in ``attrs["units"]``; coordinates are the axes
            in SI units.  A point that is not done has nan.

        Raises
        ------
        DendrosimError
            If a file of the store is missing or damaged.
        """
        import xarray as xr

        checks.flag(unstack, "unstack")
        self._store.check()
        try:
            opened = xr.open_zarr(self.path, chunks=None)
            found = opened.drop_vars("quantiles", errors="ignore").load()
        except BROKEN as error:
            self._store.check(read=True)  # names the file, unless its chunk is not finished
            raise DendrosimError(f"{self.path}: a file is damaged ({error})") from None
        if not unstack or self.manifest["design"] != "grid":
            return found
        names = [*self.axes, *(["repeat"] if self.manifest["repeats"] > 1 else [])]
        return _unstacked(found, names)

    def to_dataframe(self) -> pd.DataFrame:
        """Return axes and results as a table, one row per point (and value of a grid).

        Numbers are in the usual units of the field, which the headings name.
        """
        found = self.to_xarray(unstack=False).drop_dims("time", errors="ignore")
        table = found.to_dataframe()
        index = [str(name) for name in table.index.names]
        if len(index) > 1:
            table = table.reset_index(index[1:])
        return _usual(table, found)

    def failed(self) -> pd.DataFrame:
        """Return the points that diverged or failed: their axes, status, time and error."""
        import pandas as pd

        found = self.to_xarray(unstack=False)
        status = found["status"].values
        (rows,) = np.nonzero((status != TO_DO) & (status != STATUS.index("done")))
        table = pd.DataFrame(
            {name: found[name].values[rows] for name in self.axes},
            index=pd.Index(rows, name="point"),
        )
        table = _usual(table, found)
        table["status"] = [STATUS[k] for k in status[rows]]
        table["diverged at (s)"] = found["diverged_at"].values[rows]
        table["error"] = found["error"].values[rows]
        return table

    def spikes(self, point: int) -> list[np.ndarray]:
        """Return the spike times of a point in s, one array per value of the protocol's own grid.

        Raises
        ------
        DendrosimError
            If the sweep did not keep spikes, or if the point is not done.
        """
        point = checks.whole(point, "point", most=self._store.status.shape[0] - 1)
        if not self.manifest["spikes"]:
            raise DendrosimError(f"{self.path}: this sweep did not keep spikes (spikes=True)")
        status = int(self._store.statuses()[point])
        if status in (TO_DO, FAILED):
            raise DendrosimError(
                f"{self.path}: point {point} is {STATUS[status].replace('_', ' ')}"
            )
        self._store.check()
        k, row = divmod(point, self.manifest["chunk"])
        counts, times = self._store.spikes(k)
        ends = np.cumsum(counts.ravel()).reshape(counts.shape)
        return [times[end - n : end] for end, n in zip(ends[row], counts[row], strict=True)]

    def quantiles(self) -> np.ndarray:
        """Return where each drawn combination lies in the ranges, from 0 to 1: (sets, axes)."""
        self._store.check_axes()
        return self._store.group["quantiles"][:]

    def sensitivity(self, measure: str) -> pd.DataFrame:
        """Return how much a measure depends on each axis, from a saltelli or morris design.

        Parameters
        ----------
        measure
            Name of the measure.

        Returns
        -------
        DataFrame
            One row per axis.  Design ``"saltelli"``: first-order and total Sobol indices with the
            half-width of their 95 % interval.  Design ``"morris"``: mean, mean absolute value and
            standard deviation of the elementary effects, per range of the axis.

        Raises
        ------
        DendrosimError
            If the design is another, a point is undefined, or SALib is not installed.

        References
        ----------
        Saltelli et al. (2010), Computer Physics Communications 181, 259; Morris (1991),
        Technometrics 33, 161; Herman and Usher (2017), SALib.
        """
        from dendrosim.sweeps.sensitivity import indices

        return indices(self, self._checked(measure))

    def plot(
        self, x: str, y: str | None = None, measure: str | None = None,
        path: str | os.PathLike | None = None,
    ) -> Figure:  # fmt: skip
        """Draw a measure over one axis or two.

        Parameters
        ----------
        x, y
            Names of axes.  A grid over `x` alone gives lines, over both a heat map; a drawn design
            gives points.  Other axes and repeats are averaged.
        measure
            Name of the measure; the first by default.
        path
            File to write, if any.

        Raises
        ------
        DendrosimError
            If there is no such axis or measure.
        """
        from dendrosim.sweeps.figure import sweep_figure

        check_axes(x, y, [*self.axes, *self._own_grid])
        return sweep_figure(
            self, x, y, self._checked(self.measures[0] if measure is None else measure), path
        )

    @property
    def _own_grid(self) -> list[str]:
        """Name of the protocol's own grid, if it has one."""
        known = {"point", "time", "set", "axis"}
        dims = [a.attrs["_ARRAY_DIMENSIONS"] for _, a in self._store.group.arrays()]
        return sorted({dim for own in dims for dim in own} - known)

    def _checked(self, measure: Any) -> str:
        if not isinstance(measure, str) or measure not in self.measures:
            raise DendrosimError(
                f"{checks.short(measure)} is not a measure of this sweep; "
                f"{did_you_mean(str(measure), self.measures)}"
            )
        return measure


def _unstacked(found: xr.Dataset, names: Sequence[str]) -> xr.Dataset:
    """Return a grid with one dimension for each name instead of ``point``."""
    import xarray as xr

    values = {name: np.array(list(dict.fromkeys(found[name].values.tolist()))) for name in names}
    shape = [len(own) for own in values.values()]
    made = {
        str(name): array if "point" not in array.dims else xr.Variable(
            [*names, *array.dims[1:]], array.values.reshape(*shape, *array.shape[1:]),
            array.attrs,
        )
        for name, array in found.variables.items()
        if name not in names
    }  # fmt: skip
    coordinates = {name: (name, own, found[name].attrs) for name, own in values.items()}
    kept = {str(name): made.pop(str(name)) for name in found.coords if name in made}
    return xr.Dataset(made, {**coordinates, **kept}, found.attrs)


def load_sweep(path: str | os.PathLike) -> Sweep:
    """Open the store of a sweep, finished or not.

    Raises
    ------
    DendrosimError
        If there is none.
    """
    return Sweep(path)


def check_axes(x: Any, y: Any, axes: Sequence[str]) -> None:
    """Refuse names to draw over that are not axes.

    Raises
    ------
    DendrosimError
        With the valid names.
    """
    for name in (x,) if y is None else (x, y):
        if not isinstance(name, str) or name not in axes:
            raise DendrosimError(
                f"plot: no axis {checks.short(name)}; {did_you_mean(str(name), axes)}"
            )
    if x == y:
        raise DendrosimError(f"plot: x and y are both {x}; give two axes")


def _usual(table: pd.DataFrame, found: xr.Dataset) -> pd.DataFrame:
    """Return a table in usual units, with the units in its headings."""
    table = table.copy()
    names = {}
    for column in table.columns:
        unit = found[column].attrs.get("units", "") if column in found else ""
        if unit in ("", "1") or table[column].dtype.kind != "f":
            continue
        values, usual = in_usual_unit(table[column].to_numpy(), unit)
        table[column] = values
        names[column] = f"{column} ({usual})"
    return table.rename(columns=names)
