"""Recordings in netCDF 4 files; every field is checked on reading."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dendrosim.errors import DendrosimError
from dendrosim.files import is_file, path_text, write_made
from dendrosim.hdf5 import check_hdf5
from dendrosim.simulation.recording_checks import check_arrays, check_meta

if TYPE_CHECKING:
    from dendrosim.simulation.recording import Recording

FORMAT, FIRST_FORMAT = "dendrosim recording 2", "dendrosim recording 1"

#: Largest number of bytes to which one byte of a packed file can expand (deflate: 1,032).
MOST_PACKED = 1_100


def write(recording: Recording, path: str | os.PathLike) -> None:
    """Write a file; see `Recording.save`."""
    data = recording.traces.copy()
    data["spike_neuron"] = ("spike", recording.spike_i)
    data["spike_time"] = ("spike", recording.spike_t, {"units": "second"})
    data.attrs |= {"format": FORMAT, "meta": json.dumps(dict(recording.meta))}
    # created in memory first, because HDF5 may end the process if the disk is full
    write_made(path, lambda file: data.to_netcdf(file, engine="h5netcdf"))


def read(path: str | os.PathLike) -> tuple[Any, Any, Any, dict[str, Any]]:
    """Return the fields of the recording in a file; see `load_recording`."""
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
        format_ = data.attrs.pop("format", None)
        if format_ not in (FORMAT, FIRST_FORMAT):
            raise DendrosimError(f"{path}: a netCDF file, but not a dendrosim recording")
        meta = json.loads(data.attrs.pop("meta"))
        if format_ == FIRST_FORMAT:
            meta = _with_grids(meta)
        spikes = data["spike_neuron"].values, data["spike_time"].values
        traces = data.drop_vars(["spike_neuron", "spike_time"])
    except DendrosimError:
        raise
    except Exception as error:  # h5netcdf raises many kinds of errors for a damaged file
        raise DendrosimError(f"{path}: not a dendrosim recording ({_first(error)})") from None
    check_arrays(path, check_meta(path, meta), *spikes, traces)
    return *spikes, traces, meta


def _with_grids(meta: Any) -> Any:
    """Convert the meta of the first format, which stored only the grid of the protocol."""
    if not isinstance(meta, dict):
        return meta
    sweep = meta.get("sweep")
    if isinstance(sweep, dict):
        key = "sweeps" if sweep.get("key") == "sweep" else sweep.get("key")
        sweep = sweep | {"key": f"stimuli.0.{key}"}
    return meta | {"grids": [] if sweep is None else [sweep]}


def _first(error: Exception) -> str:
    return (str(error).splitlines() or ["unreadable"])[0]
