"""The store of a sweep: a zarr group that is written chunk by chunk, by any number of processes.

Every array has the dimension ``point``, in chunks of one run.  A process writes the results of a
chunk first and its status last.  The status is the commit: a chunk without one is computed again,
and a chunk with one is never computed twice.  Each file is written under a temporary name and
renamed (zarr's ``LocalStore``), so a killed process leaves no part of a file.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dendrosim.errors import DendrosimError
from dendrosim.files import path_text
from dendrosim.model.model import Model
from dendrosim.model.quantities import parse_unit, unit_text
from dendrosim.simulation import neuron_axis
from dendrosim.sweeps.plan import SweepPlan

FORMAT = 1
#: Status of a point.
TO_DO, DONE, DIVERGED, FAILED = range(4)
STATUS = ("to_do", "done", "diverged", "failed")
#: Most characters of the error of a failed point.
MESSAGE = 300


class Store:
    """An open store.

    Parameters
    ----------
    path
        Its folder.

    Raises
    ------
    DendrosimError
        If the folder is not the store of a sweep.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        import zarr

        self.path = Path(path_text(path, "sweep"))
        try:
            self.group = zarr.open_group(self.path, mode="r+", use_consolidated=False)
            self.manifest = json.loads(self.group.attrs["dendrosim_sweep"])
            self.status = self.group["status"]
        except (OSError, KeyError, ValueError, TypeError):
            raise DendrosimError(f"{path} is not the store of a sweep") from None
        if self.manifest.get("format") != FORMAT:
            raise DendrosimError(
                f"{path} is a sweep in format {self.manifest.get('format')}, not {FORMAT}; it was "
                "written by another version of dendrosim"
            )

    def done(self, k: int, chunk: int) -> bool:
        """Whether a chunk is finished."""
        return bool((self.status[k * chunk : (k + 1) * chunk] != TO_DO).all())

    def write(self, k: int, chunk: int, values: Mapping[str, np.ndarray]) -> None:
        """Write the results of a chunk, and its status last.

        Raises
        ------
        DendrosimError
            If the store cannot be written.
        """
        start = k * chunk
        try:
            for name, array in values.items():
                if name == "status":
                    continue
                if name.startswith("spike_times/"):
                    self.group["spike_times"].create_array(
                        f"{name.removeprefix('spike_times/')}_{k}", data=array, overwrite=True
                    )
                else:
                    self.group[name][start : start + len(array)] = array
            status = values["status"]
            self.status[start : start + len(status)] = status
        except OSError as error:
            raise DendrosimError(
                f"{self.path}: cannot be written ({error.strerror or error})"
            ) from None


def open_or_create(path: str | os.PathLike, plan: SweepPlan) -> Store:
    """Open the store of a plan, or create it under a temporary name and rename it.

    Raises
    ------
    DendrosimError
        If there is something else, a store of another sweep, or if it cannot be written.
    """
    path = Path(path_text(path, "sweep"))
    wanted = _manifest(plan)
    if not os.path.lexists(path):
        _create(path, plan, wanted)
    store = Store(path)
    differences = [
        f"{key} {_shortened(store.manifest.get(key))} there and {_shortened(wanted[key])} here"
        for key in wanted
        if store.manifest.get(key) != wanted[key]
    ]
    if differences:
        raise DendrosimError(
            f"{path} holds another sweep: {'; '.join(differences)}. Give another folder"
        )
    return store


def _manifest(plan: SweepPlan) -> dict[str, Any]:
    # as it is read back from the file
    own = {"format": FORMAT, **plan.manifest, "chunk": plan.chunk}
    return json.loads(json.dumps(own))


def _shortened(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _create(path: Path, plan: SweepPlan, manifest: Mapping[str, Any]) -> None:
    import zarr

    scratch = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{path.name[:80]}-", dir=path.parent))
        inside = scratch / "store"
        group = zarr.create_group(inside, zarr_format=2)
        _fill(group, plan)
        group.attrs["dendrosim_sweep"] = json.dumps(manifest)
        zarr.consolidate_metadata(inside, zarr_format=2)
        with contextlib.suppress(FileExistsError):  # another task has created it meanwhile
            _rename(inside, path)
    except OSError as error:
        raise DendrosimError(f"{path}: cannot be written ({error.strerror or error})") from None
    finally:
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)


def _rename(folder: Path, path: Path) -> None:
    """Rename a folder, unless the new name exists: a folder cannot replace one that holds files."""
    try:
        folder.rename(path)
    except OSError as error:
        if not path.is_dir():
            raise
        raise FileExistsError(path) from error


def _fill(group: Any, plan: SweepPlan) -> None:
    """Create the arrays: axes, seeds, measures, traces and status."""
    design, points = plan.design, plan.design.points
    every = np.arange(points)

    def add(
        name: str, dims: tuple[str, ...], *, data: Any = None, shape: tuple = (),
        dtype: Any = float, **attrs: Any,
    ) -> None:  # fmt: skip
        if data is not None:
            data = np.asarray(data)
            shape, dtype = data.shape, data.dtype
        chunks = tuple(
            max(1, min(plan.chunk, n)) if dim == "point" else max(1, n)
            for dim, n in zip(dims, shape, strict=True)
        )
        array = group.create_array(
            name, shape=shape, dtype=dtype, chunks=chunks,
            # what xarray takes for missing: without it, a chunk that is to do reads as 0 or ""
            fill_value=np.nan if np.dtype(dtype).kind == "f" and data is None else None,
        )  # fmt: skip
        array.attrs.update({"_ARRAY_DIMENSIONS": list(dims), **attrs})
        if data is not None:
            array[...] = data

    coordinates = []
    values = design.values(every)
    for axis, name in zip(design.axes, axis_names(plan), strict=True):
        own = values[axis.key] if axis.labels is None else np.array(axis.labels)[values[axis.key]]
        attrs = {"units": axis.unit} if axis.unit else {}
        add(name, ("point",), data=own, long_name=axis.key, **attrs)
        coordinates.append(name)
    if design.repeats > 1:
        add("repeat", ("point",), data=every % design.repeats)
        coordinates.append("repeat")
    if plan.noisy:
        add("seed", ("point",), data=np.array(design.noise(every), dtype=np.int64))
        coordinates.append("seed")
    if design.quantiles is not None:
        add("quantiles", ("set", "axis"), data=design.quantiles)
    grid = own_grid(plan)
    if grid is not None:
        name, numbers, unit = grid
        add(name, (name,), data=numbers, units=unit)
    extra = () if grid is None else ((grid[0], len(grid[1])),)
    attrs = {"coordinates": " ".join(coordinates)}
    for measure in plan.measures:
        dims = () if measure.of_point else extra
        add(
            measure.name, ("point", *(dim for dim, _ in dims)),
            shape=(points, *(n for _, n in dims)), units=measure.unit, long_name=measure.doc,
            **attrs,
        )  # fmt: skip
    times = trace_times(plan)
    if times is not None:
        add("time", ("time",), data=times, units="second")
        for name in plan.traces:
            shape = (points, *(n for _, n in extra), len(times))
            dims = ("point", *(dim for dim, _ in extra), "time")
            add(trace_name(name), dims, shape=shape, units=_unit_of(name, plan), **attrs)
    if plan.spikes:
        group.create_group("spike_times")
    add("diverged_at", ("point",), shape=(points,), units="second", **attrs)
    add("error", ("point",), shape=(points,), dtype=f"<U{MESSAGE}", **attrs)
    add("status", ("point",), shape=(points,), dtype=np.int8,
        flag_values=list(range(len(STATUS))), flag_meanings=" ".join(STATUS), **attrs)  # fmt: skip


def trace_name(name: str) -> str:
    """Return the name of the array of a recorded trace."""
    return f"trace_{name}"


def axis_names(plan: SweepPlan) -> list[str]:
    """Return the names of the axes: short, ``g_c``, if that is unique, else the full name."""
    taken = {m.name for m in plan.measures} | {
        "status", "seed", "repeat", "diverged_at", "error", "time", "point", "spikes",
    }  # fmt: skip
    keys = [axis.key for axis in plan.design.axes]
    grid = plan.protocol.grid if len(plan.wholes()[1]) == 1 else None
    short = [key.rpartition(".")[2] for key in keys]
    used = short + ([grid[0]] if grid is not None else [])
    return [
        name if used.count(name) == 1 and name not in taken else key
        for key, name in zip(keys, short, strict=True)
    ]


def own_grid(plan: SweepPlan) -> tuple[str, np.ndarray, str] | None:
    """Return name, SI values and unit of the protocol's own grid; None without one."""
    _, first = next(plan.packs(np.arange(1)))
    if first.each == 1:
        return None
    protocols = plan.wholes()[1]
    grid = neuron_axis.grid(first.base, first.each)
    if len(protocols) > 1 or grid is None:
        return "stimulus", np.arange(first.each), "1"
    unit = parse_unit(grid.unit)
    return grid.name, grid.values * float(unit), unit_text(unit.dim)


def trace_times(plan: SweepPlan) -> np.ndarray | None:
    """Return the times of the kept traces in s; None if none is kept."""
    if not plan.traces:
        return None
    _, first = next(plan.packs(np.arange(1)))
    step = float(plan.run_settings(first.model)["record_dt"])
    return np.arange(int(np.ceil(float(first.base.duration) / step - 1e-9))) * step


def _unit_of(name: str, plan: SweepPlan) -> str:
    from dendrosim.simulation.plan import recordable

    models: tuple[Model, ...] = tuple(plan.wholes()[0])
    return recordable(models[0]).get(name, "1")
