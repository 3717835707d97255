"""The result of a run: spikes, traces and the settings of the run, as plain values."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from brian2 import Quantity, second

from dendrosim import checks
from dendrosim.errors import DendrosimError, did_you_mean
from dendrosim.model.quantities import parse_unit, unit_text, with_dim
from dendrosim.simulation.neo_block import as_block
from dendrosim.simulation.recording_files import read, write

if TYPE_CHECKING:
    import neo
    import pandas as pd
    import xarray as xr


@dataclass(frozen=True, eq=False)
class Recording:
    """The result of a simulation.

    Attributes
    ----------
    spike_i, spike_t
        Neuron (int) and time (seconds) of each spike, in order of time.  A spike has the time of
        the state that crossed the threshold.
    traces
        ``xarray.Dataset`` of the recorded neurons, with dimensions ``time`` (seconds) and
        ``neuron``; each variable has its SI unit in ``attrs["units"]``.
    meta
        Settings of the run: model, its text hash, parameters, protocol, dt, method, device,
        threads, seed, versions, ``compiled``, ``compile_seconds``, ``run_seconds``,
        ``processor_seconds``.
    """

    spike_i: np.ndarray
    spike_t: np.ndarray
    traces: xr.Dataset
    meta: Mapping[str, Any]

    def __repr__(self) -> str:
        """Short: model, protocol, neurons and spikes."""
        return (
            f"<Recording of {self.meta['model']} under {self.meta['protocol']}: "
            f"{self.n} neuron(s), {len(self.spike_t)} spikes>"
        )

    @property
    def n(self) -> int:
        """Number of neurons."""
        return int(self.meta["neurons"])

    @property
    def duration(self) -> float:
        """Duration in seconds."""
        return float(self.meta["duration"])

    @property
    def diverged(self) -> dict[int, float]:
        """Neurons that diverged and were frozen, with the time of detection in seconds.

        The rate of such a neuron is unknown, because it has no spikes afterwards.
        """
        return {int(k): float(at) for k, at in self.meta.get("diverged", {}).items()}

    def spikes(self, neuron: int) -> np.ndarray:
        """Return the spike times of one neuron in seconds.

        Raises
        ------
        DendrosimError
            If there is no such neuron.
        """
        neuron = checks.whole(neuron, "neuron", most=self.n - 1)
        return self.spike_t[self.spike_i == neuron]

    @property
    def trains(self) -> list[np.ndarray]:
        """Spike times in seconds, one array per neuron."""
        # numpy sorts 16-bit integers by their digits, in a tenth of the time
        keys = self.spike_i.astype(np.uint16) if self.n <= 2**16 else self.spike_i
        order = np.argsort(keys, kind="stable")
        bounds = np.searchsorted(self.spike_i[order], np.arange(1, self.n))
        return np.split(self.spike_t[order], bounds)

    @property
    def spike_times(self) -> list[Quantity]:
        """Spike times, one `Quantity` array per neuron."""
        return [Quantity(train, dim=second.dim) for train in self.trains]

    @property
    def sweep(self) -> tuple[str, np.ndarray, str] | None:
        """Name, values (one per neuron, SI) and unit of the first grid; None without a grid."""
        for name, values in self.grids.items():
            return name, np.asarray(values), unit_text(values.dim)
        return None

    @property
    def grids(self) -> dict[str, Quantity]:
        """Values of the grids of protocol and model, one per neuron, by name.

        The name is short, ``"g_c"``, if it is unique among the grids, else full,
        ``"stimuli.0.amplitude"``.
        """
        entries = {entry["key"]: entry for entry in self.meta["grids"]}
        short = {key: "sweep" if key.endswith(".sweeps") else key.rpartition(".")[2]
                 for key in entries}  # fmt: skip
        taken = [*short.values()]
        return {
            (short[key] if taken.count(short[key]) == 1 else key): with_dim(
                entry["values"], parse_unit(entry["unit"]).dim
            )
            for key, entry in entries.items()
        }

    def voltage(
        self, place: str = "soma", neurons: Sequence[int] | np.ndarray | None = None
    ) -> np.ndarray:
        """Return the potential of a place in volt, shape (samples, neurons).

        A discrete model's potential is scaled by its reduction; without scales it is returned
        unchanged.

        Parameters
        ----------
        neurons
            Indices of the neurons; all recorded neurons by default, in the order of `recorded`.

        Raises
        ------
        DendrosimError
            If the place has no potential, or if it was not recorded for a neuron.
        """
        potentials = self.meta["potentials"]
        if not isinstance(place, str) or place not in potentials:
            raise DendrosimError(
                f"{self.meta['model']} has no potential of {place!r}; "
                f"{did_you_mean(place, potentials)}"
            )
        name = potentials[place]
        if name not in self.traces:
            raise DendrosimError(f"{name} was not recorded; simulate with record=[{name!r}]")
        values = self.traces[name].values
        if neurons is not None:
            if not checks.is_row(neurons):
                raise DendrosimError(
                    f"neurons = {checks.short(neurons)} should be a list of numbers of neurons"
                )
            values = values[:, [self.column(neuron) for neuron in neurons]]
        scale = self.meta["scales"]
        if scale is None:
            return values
        return scale["rest"].get(name, 0.0) + scale["voltage"] * values

    @property
    def recorded(self) -> np.ndarray:
        """Indices of the neurons whose traces were recorded, in the order of their columns."""
        return self.traces["neuron"].values

    def column(self, neuron: int) -> int:
        """Return the column of a neuron in the traces.

        Raises
        ------
        DendrosimError
            If no trace of the neuron was recorded.
        """
        neuron = checks.whole(neuron, "neuron")
        (found,) = np.nonzero(self.recorded == neuron)
        if not found.size:
            shown = ", ".join(map(str, self.recorded[:20])) or "none"
            more = ", ..." if len(self.recorded) > 20 else ""
            raise DendrosimError(
                f"{self.meta['model']}: no trace of neuron {neuron} was recorded; recorded: "
                f"{shown}{more}"
            )
        return int(found[0])

    def both_recorded(self, other: Recording) -> np.ndarray:
        """Return the indices of the neurons whose traces both recordings contain."""
        return self.recorded[np.isin(self.recorded, other.recorded)]

    @property
    def times(self) -> np.ndarray:
        """Times of the traces in seconds."""
        return self.traces["time"].values

    def to_dataframe(self) -> pd.DataFrame:
        """Return the spikes as a table with the columns ``neuron`` and ``time`` (seconds)."""
        import pandas as pd

        table = pd.DataFrame({"neuron": self.spike_i, "time": self.spike_t})
        for name, values in self.grids.items():
            table[name] = np.asarray(values)[self.spike_i]
        return table.sort_values(["neuron", "time"], ignore_index=True)

    def to_neo(self) -> neo.Block:
        """Return a Neo block: one segment per neuron, with its spike train and traces.

        Raises
        ------
        DendrosimError
            If neo is not installed.
        """
        return as_block(self)

    def save(self, path: str | os.PathLike) -> None:
        """Write a netCDF 4 file atomically.

        Raises
        ------
        DendrosimError
            If the file cannot be written, see `dendrosim.files.replacing`.
        """
        write(self, path)


def volts(
    recording: Recording, place: str = "soma",
    neurons: Sequence[int] | np.ndarray | None = None,
) -> np.ndarray | None:  # fmt: skip
    """Return the potential of a place in volt, or None if there is none.

    Parameters
    ----------
    neurons
        Indices of the neurons; all recorded neurons by default.

    Returns
    -------
    ndarray, shape (samples, neurons), or None
    """
    checks.instance(recording, Recording, "recording")
    checks.text(place, "place")
    name = recording.meta["potentials"].get(place)
    if name is None or name not in recording.traces or not len(recording.times):
        return None
    unit = recording.traces[name].attrs["units"]
    scaled = unit == "volt" or recording.meta["scales"]
    return recording.voltage(place, neurons) if scaled else None


def load_recording(path: str | os.PathLike) -> Recording:
    """Read a file that `Recording.save` wrote.

    Raises
    ------
    DendrosimError
        If there is no such file, if it is not a recording, or if one of its fields is invalid.
    """
    return Recording(*read(path))
