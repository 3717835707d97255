"""The result of a run: spikes, traces and how they were made, as plain values."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from brian2 import Quantity, second

from dendrosim.errors import DendrosimError, did_you_mean
from dendrosim.hdf5 import check_hdf5
from dendrosim.library import is_file, path_text
from dendrosim.quantities import DENSITY, parse_unit

if TYPE_CHECKING:
    import neo
    import pandas as pd
    import xarray as xr

FORMAT = "dendrosim recording 1"
# What the methods of a recording read
_META = {
    "model", "protocol", "neurons", "duration", "sweep", "potentials", "scales", "dt", "record_dt"
}  # fmt: skip

#: Bytes that one byte of a packed file can stand for (deflate: 1,032).
MOST_PACKED = 1_100


@dataclass(frozen=True, eq=False)
class Recording:
    """What a simulation gave.

    Attributes
    ----------
    spike_i, spike_t
        Neuron (int) and time (seconds) of each spike, in order of time.  A spike has the time of
        the state that crossed the threshold.
    traces
        ``xarray.Dataset`` with dimensions ``time`` (seconds) and ``neuron``, of the neurons that
        were recorded; each variable has its SI unit in ``attrs["units"]``.
    meta
        How it was made: model, its text hash, parameters, protocol, dt, method, device, threads,
        seed, versions, ``compiled``, ``compile_seconds``, ``run_seconds``,
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
        """Length in seconds."""
        return float(self.meta["duration"])

    def spikes(self, neuron: int) -> np.ndarray:
        """Return the spike times of one neuron in seconds."""
        return self.spike_t[self.spike_i == neuron]

    @property
    def trains(self) -> list[np.ndarray]:
        """Spike times in seconds, one array a neuron."""
        order = np.argsort(self.spike_i, kind="stable")
        bounds = np.searchsorted(self.spike_i[order], np.arange(1, self.n))
        return np.split(self.spike_t[order], bounds)

    @property
    def spike_times(self) -> list[Quantity]:
        """Spike times, one `Quantity` array a neuron."""
        return [Quantity(train, dim=second.dim) for train in self.trains]

    @property
    def sweep(self) -> tuple[str, np.ndarray, str] | None:
        """Key, values (one a neuron, SI) and unit of the protocol's grid; None without one."""
        entry = self.meta["sweep"]
        if entry is None:
            return None
        return entry["key"], np.asarray(entry["values"]), entry["unit"]

    def voltage(self, place: str = "soma") -> np.ndarray:
        """Return the potential of a place in volt, shape (samples, recorded neurons).

        A discrete model's potential is scaled by its reduction; without scales it is as it is.

        Raises
        ------
        DendrosimError
            If the place has no potential or it was not recorded.
        """
        potentials = self.meta["potentials"]
        if place not in potentials:
            raise DendrosimError(
                f"{self.meta['model']} has no potential of {place!r}; "
                f"{did_you_mean(place, potentials)}"
            )
        name = potentials[place]
        if name not in self.traces:
            raise DendrosimError(f"{name} was not recorded; simulate with record=[{name!r}]")
        values = self.traces[name].values
        scale = self.meta["scales"]
        if scale is None:
            return values
        return scale["rest"].get(name, 0.0) + scale["voltage"] * values

    @property
    def recorded(self) -> np.ndarray:
        """Numbers of the neurons whose traces were recorded."""
        return self.traces["neuron"].values

    @property
    def times(self) -> np.ndarray:
        """Times of the traces in seconds."""
        return self.traces["time"].values

    def to_dataframe(self) -> pd.DataFrame:
        """Return the spikes as a table with the columns ``neuron`` and ``time`` (seconds)."""
        import pandas as pd

        table = pd.DataFrame({"neuron": self.spike_i, "time": self.spike_t})
        if self.sweep is not None:
            key, values, _ = self.sweep
            table[key] = values[self.spike_i]
        return table.sort_values(["neuron", "time"], ignore_index=True)

    def to_neo(self) -> neo.Block:
        """Return a Neo block: a segment a neuron, with a spike train and its traces.

        Raises
        ------
        DendrosimError
            If neo is not installed.
        """
        try:
            import neo
        except ImportError:
            raise DendrosimError("Neo is not installed: pip install 'dendrosim[ephys]'") from None
        block = neo.Block(name=self.meta["model"], description=self.meta["protocol"])
        for neuron, train in enumerate(self.trains):
            segment = neo.Segment(name=f"neuron {neuron}", index=neuron)
            segment.spiketrains.append(
                neo.SpikeTrain(train, units="s", t_stop=max(self.duration, *train, 0.0))
            )
            recorded = len(self.times) > 1 and neuron in self.recorded
            for name in self.traces.data_vars if recorded else ():
                array = self.traces[name]
                segment.analogsignals.append(
                    neo.AnalogSignal(
                        array.sel(neuron=[neuron]).values,
                        units=_neo_unit(array.attrs["units"]),
                        sampling_period=_neo_time(self.meta["record_dt"]),
                        name=name,
                    )
                )
            block.segments.append(segment)
        return block

    def save(self, path: str | os.PathLike) -> None:
        """Write a netCDF 4 file, whole or not at all.

        Raises
        ------
        DendrosimError
            If the folder cannot be written.
        """
        data = self.traces.copy()
        data["spike_neuron"] = ("spike", self.spike_i)
        data["spike_time"] = ("spike", self.spike_t, {"units": "second"})
        data.attrs |= {"format": FORMAT, "meta": json.dumps(dict(self.meta))}
        with replacing(path) as temporary:
            data.to_netcdf(temporary, engine="h5netcdf")


def load_recording(path: str | os.PathLike) -> Recording:
    """Read a file that `Recording.save` wrote.

    Raises
    ------
    DendrosimError
        If there is no such file or it is something else.
    """
    import xarray as xr

    path = Path(path_text(path, "recording"))
    if not is_file(path):
        raise DendrosimError(f"{path}: there is no such recording")
    check_hdf5(path)
    try:
        with xr.open_dataset(path, engine="h5netcdf") as file:
            claimed = sum(variable.nbytes for variable in file.variables.values())
            if claimed > path.stat().st_size * MOST_PACKED + 1_000_000:
                raise DendrosimError(
                    f"{path}: says that it holds {claimed:,} bytes, which its size cannot"
                )
            data = file.load()
        if data.attrs.pop("format", None) != FORMAT:
            raise DendrosimError(f"{path}: a netCDF file, but not a dendrosim recording")
        meta = json.loads(data.attrs.pop("meta"))
        spikes = data["spike_neuron"].values, data["spike_time"].values
        traces = data.drop_vars(["spike_neuron", "spike_time"])
    except DendrosimError:
        raise
    except Exception as error:  # h5netcdf raises many kinds for a broken file
        raise DendrosimError(f"{path}: not a dendrosim recording ({_first(error)})") from None
    whole = isinstance(meta, dict) and meta.keys() >= _META and spikes[0].shape == spikes[1].shape
    if not whole:
        raise DendrosimError(f"{path}: a dendrosim recording that lacks a part")
    return Recording(*spikes, traces, meta)


class replacing:  # noqa: N801 (reads as a verb: with replacing(path) as temporary)
    """Write a file under a temporary name and rename it when all went well.

    Parameters
    ----------
    path
        The file to make.

    Raises
    ------
    DendrosimError
        If the folder is not there or cannot be written.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = Path(path_text(path, "file"))

    def __enter__(self) -> Path:
        """Return the temporary path, with the same ending."""
        try:
            if self.path.is_dir():
                raise IsADirectoryError(f"{self.path} is a folder")
            handle, name = tempfile.mkstemp(
                prefix=f".{self.path.stem}-", suffix=self.path.suffix, dir=self.path.parent
            )
        except (OSError, ValueError) as error:  # a null byte is a ValueError
            raise DendrosimError(f"{self.path}: cannot be written ({_first(error)})") from None
        os.close(handle)
        self.temporary = Path(name)
        return self.temporary

    def __exit__(self, kind: type | None, error: BaseException | None, *_: object) -> None:
        """Rename, or take the temporary file away."""
        try:
            if kind is None:
                self.temporary.chmod(0o666 & ~_umask())
                self.temporary.replace(self.path)
        except OSError as failed:
            error = failed
        finally:
            self.temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise DendrosimError(f"{self.path}: cannot be written ({_first(error)})") from None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _first(error: Exception) -> str:
    return (str(error).splitlines() or ["unreadable"])[0]


def _neo_unit(unit: str) -> Any:
    import quantities as pq

    known = {"volt": pq.V, "second": pq.s, "hertz": pq.Hz, "1": pq.dimensionless}
    if unit in known:
        return known[unit]
    if parse_unit(unit).dim is DENSITY:
        return pq.A / pq.m**2
    if parse_unit(unit).dim is parse_unit("siemens/meter**2").dim:
        return pq.S / pq.m**2
    return pq.dimensionless


def _neo_time(seconds: float) -> Any:
    import quantities as pq

    return seconds * pq.s
