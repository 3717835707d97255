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
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dendrosim.errors import DendrosimError
from dendrosim.files import path_text
from dendrosim.sweeps.differences import differences
from dendrosim.sweeps.integrity import (
    BROKEN,
    check_descriptions,
    check_fixed,
    checksum,
    chunk_keys,
    has_file,
    is_whole,
)
from dendrosim.sweeps.layout import STATUS, TO_DO, lay_out, trace_name
from dendrosim.sweeps.manifests import FORMAT, READABLE, manifest_of
from dendrosim.sweeps.plan import SweepPlan

#: zarr's settings are of the process, so one thread writes at a time.
_writing = threading.Lock()


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
        # Any, because zarr cannot tell an array from a group by its name
        self.group: Any
        self.status: Any
        try:
            self.group = zarr.open_group(self.path, mode="r+", use_consolidated=False)
            self.manifest = json.loads(self.group.attrs["dendrosim_sweep"])
            self.status = self.group["status"]
        except (OSError, KeyError, ValueError, TypeError):
            check_descriptions(self.path)
            raise DendrosimError(f"{path} is not the store of a sweep") from None
        if self.manifest.get("format") not in READABLE:
            raise DendrosimError(
                f"{path} is a sweep in format {self.manifest.get('format')}, not {FORMAT}; it was "
                "written by another version of dendrosim"
            )
        check_descriptions(self.path)
        self.arrays: dict[str, Any] = dict(self.group.arrays())
        expected = {*self.manifest["measures"], *map(trace_name, self.manifest["traces"])}
        lost = {*expected, *self.fixed} - self.arrays.keys()
        if lost:
            raise DendrosimError(f"{path}: the array {min(lost)} of this sweep is missing")

    @property
    def chunk(self) -> int:
        """Points per chunk."""
        return int(self.manifest["chunk"])

    def done(self, k: int) -> bool:
        """Whether a chunk is finished, and all its files are there and whole."""
        try:
            own = self.status[k * self.chunk : (k + 1) * self.chunk]
        except BROKEN:
            return False
        finished = ((own > TO_DO) & (own < len(STATUS))).all()
        return bool(finished) and not any(self.wrong(k))

    def wrong(self, k: int, read: bool = True) -> Iterator[tuple[str, str]]:
        """Yield the arrays of which a finished chunk has no file, or a damaged one, and which.

        Damage is noticed when a file is read, which takes time for large traces.
        """
        for name in self.results:
            array = self.arrays[name]
            key = ".".join([str(k), *["0"] * (array.ndim - 1)])
            if not (self.path / name / key).is_file():
                yield name, "lacks the file"
            elif read and not is_whole(array, slice(k * self.chunk, (k + 1) * self.chunk)):
                yield name, f"has a damaged file, {name}/{key},"
        if self.manifest["spikes"]:
            for name in (f"spike_times/{part}_{k}" for part in ("count", "time")):
                if not has_file(self.path / name):
                    yield name, "lacks the file"
                elif read and not is_whole(self.group[name], slice(None)):
                    yield name, "has a damaged file"

    def statuses(self) -> np.ndarray:
        """Return the status of each point.

        Raises
        ------
        DendrosimError
            If it cannot be read, or if there is no such status.
        """
        for key, part in chunk_keys(self.status):
            there = (self.path / "status" / key).is_file()
            if there and not is_whole(self.status, part):
                raise DendrosimError(
                    f"{self.path}/status/{key} is damaged; the same sweep again computes its points"
                )
        found = self.status[:]
        (unknown,) = np.nonzero((found < 0) | (found >= len(STATUS)))
        if unknown.size:
            raise DendrosimError(
                f"{self.path}: point {unknown[0]} has status {found[unknown[0]]}, which does not "
                f"exist (0 to {len(STATUS) - 1}); the same sweep again computes it"
            )
        return found

    def check(self, read: bool = False) -> None:
        """Refuse a store whose axes or finished chunks lack files, or have damaged ones.

        Parameters
        ----------
        read
            Whether to read every file of results, too, for damage.

        Raises
        ------
        DendrosimError
            With the first such file.
        """
        self.check_axes()
        status, chunk = self.statuses(), self.chunk
        for k in range(-(-len(status) // chunk)):
            own = status[k * chunk : (k + 1) * chunk]
            for name, what in self.wrong(k, read) if (own != TO_DO).all() else ():
                raise DendrosimError(
                    f"{self.path}: {name} {what} of points {k * chunk} to "
                    f"{k * chunk + len(own) - 1}; the same sweep again computes them"
                )

    def spikes(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the numbers of spikes of a finished chunk, and all of its spike times in s.

        Raises
        ------
        DendrosimError
            If a file is damaged.
        """
        try:
            found = (self.group[f"spike_times/{part}_{k}"][:] for part in ("count", "time"))
            counts, times = found
        except BROKEN:
            self.check(read=True)
            raise
        return counts, times

    def check_axes(self) -> None:
        """Refuse a store whose axes, seeds or times lack files, or have damaged ones.

        Raises
        ------
        DendrosimError
        """
        if self.manifest["format"] > 1:  # before, a chunk of zeros had no file
            fixed = {n: a for n, a in self.arrays.items() if n not in self.results}
            check_fixed(self.path, {n: a for n, a in fixed.items() if n != "status"})

    @property
    def fixed(self) -> set[str]:
        """Names of the coordinates of points, which were written with the store."""
        return set(self.status.attrs["coordinates"].split())

    @property
    def results(self) -> list[str]:
        """Names of the arrays that are written chunk by chunk, without the status."""
        return [
            name
            for name, array in self.arrays.items()
            if array.attrs["_ARRAY_DIMENSIONS"][0] == "point"
            and name not in {*self.fixed, "status"}
        ]

    def write(self, k: int, values: Mapping[str, np.ndarray]) -> None:
        """Write the results of a chunk, and its status last.

        Raises
        ------
        DendrosimError
            If the store cannot be written.
        """
        import zarr

        start = k * self.chunk
        every = {name: a for name, a in self._empty(len(values["status"])) if name not in values}
        try:
            # a file for every chunk, also for one of nan alone, so that a lost file is noticed
            with _writing, zarr.config.set({"array.write_empty_chunks": True}):
                self._write(k, start, {**every, **values})
        except OSError as error:
            raise DendrosimError(
                f"{self.path}: cannot be written ({error.strerror or error})"
            ) from None

    def _empty(self, points: int) -> Iterator[tuple[str, np.ndarray]]:
        """Yield nan, or "", for each array with results."""
        for name in self.results:
            array = self.arrays[name]
            fill = "" if array.dtype.kind == "U" else np.nan if array.dtype.kind == "f" else 0
            yield name, np.full((points, *array.shape[1:]), fill, dtype=array.dtype)

    def _write(self, k: int, start: int, values: Mapping[str, np.ndarray]) -> None:
        for name, array in values.items():
            if name.startswith("spike_times/"):
                self.group["spike_times"].create_array(
                    f"{name.removeprefix('spike_times/')}_{k}",
                    data=array,
                    overwrite=True,
                    filters=[checksum()],
                )
            elif name != "status":
                self.group[name][start : start + len(array)] = array
        self.status[start : start + len(values["status"])] = values["status"]


def open_or_create(path: str | os.PathLike, plan: SweepPlan) -> Store:
    """Open the store of a plan, or create it under a temporary name and rename it.

    Raises
    ------
    DendrosimError
        If there is something else, a store of another sweep, or if it cannot be written.
    """
    path = Path(path_text(path, "sweep"))
    wanted = manifest_of(plan)
    if not os.path.lexists(path):
        _create(path, plan, wanted)
    store = Store(path)
    there = {key: store.manifest.get(key) for key in wanted}
    # the size of a chunk changes no result
    found = list(differences(there | {"chunk": wanted["chunk"]}, wanted))
    if found:
        raise DendrosimError(f"{path} holds another sweep: {'; '.join(found)}. Give another folder")
    store.check_axes()
    return store


def _create(path: Path, plan: SweepPlan, manifest: Mapping[str, Any]) -> None:
    import zarr

    scratch = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{path.name[:80]}-", dir=path.parent))
        inside = scratch / "store"
        group = zarr.create_group(inside, zarr_format=2)
        # a file for every chunk, also for one of zeros
        with _writing, zarr.config.set({"array.write_empty_chunks": True}):
            lay_out(group, plan)
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
