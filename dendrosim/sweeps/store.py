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
from dendrosim.sweeps.layout import TO_DO, lay_out, trace_name
from dendrosim.sweeps.plan import SweepPlan

FORMAT = 1


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
            raise DendrosimError(f"{path} is not the store of a sweep") from None
        if self.manifest.get("format") != FORMAT:
            raise DendrosimError(
                f"{path} is a sweep in format {self.manifest.get('format')}, not {FORMAT}; it was "
                "written by another version of dendrosim"
            )

        expected = {*self.manifest["measures"], *map(trace_name, self.manifest["traces"])}
        lost = expected - {name for name, _ in self.group.arrays()}
        if lost:
            raise DendrosimError(f"{path}: the array {min(lost)} of this sweep is missing")

    @property
    def chunk(self) -> int:
        """Points per chunk."""
        return int(self.manifest["chunk"])

    def done(self, k: int) -> bool:
        """Whether a chunk is finished, and all its files are there."""
        try:
            own = self.status[k * self.chunk : (k + 1) * self.chunk]
        except (OSError, RuntimeError, ValueError):  # a damaged file
            return False
        return bool((own != TO_DO).all()) and not self.missing(k)

    def missing(self, k: int) -> list[str]:
        """Return the names of the arrays of which a finished chunk has no file."""
        found = []
        for name, array in self.group.arrays():
            dims = array.attrs["_ARRAY_DIMENSIONS"]
            if dims[0] == "point" and name not in self.fixed:
                key = ".".join([str(k), *["0"] * (len(dims) - 1)])
                if not (self.path / name / key).is_file():
                    found.append(name)
        if self.manifest["spikes"]:
            names = (f"spike_times/{part}_{k}" for part in ("count", "time"))
            found += [name for name in names if not _is_whole(self.path / name)]
        return found

    def check(self) -> None:
        """Refuse a store whose finished chunks lack files.

        Raises
        ------
        DendrosimError
            With the first missing array.
        """
        status, chunk = self.status[:], self.chunk
        for k in range(-(-len(status) // chunk)):
            own = status[k * chunk : (k + 1) * chunk]
            lost = self.missing(k) if (own != TO_DO).all() else []
            if lost:
                raise DendrosimError(
                    f"{self.path}: {lost[0]} lacks the file of points {k * chunk} to "
                    f"{k * chunk + len(own) - 1}; the same sweep again computes them"
                )

    @property
    def fixed(self) -> set[str]:
        """Names of the arrays that were written with the store."""
        return set(self.status.attrs["coordinates"].split())

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
        for name, array in self.group.arrays():
            if array.attrs["_ARRAY_DIMENSIONS"][0] == "point" and name not in self.fixed:
                fill = "" if array.dtype.kind == "U" else np.nan if array.dtype.kind == "f" else 0
                yield name, np.full((points, *array.shape[1:]), fill, dtype=array.dtype)

    def _write(self, k: int, start: int, values: Mapping[str, np.ndarray]) -> None:
        for name, array in values.items():
            if name.startswith("spike_times/"):
                self.group["spike_times"].create_array(
                    f"{name.removeprefix('spike_times/')}_{k}", data=array, overwrite=True
                )
            elif name != "status":
                self.group[name][start : start + len(array)] = array
        self.status[start : start + len(values["status"])] = values["status"]


def _is_whole(folder: Path) -> bool:
    """Whether the array of a folder has its file; one without values has none."""
    try:
        shape = json.loads((folder / ".zarray").read_text())["shape"]
    except (OSError, ValueError, KeyError):
        return False
    key = ".".join(["0"] * len(shape))
    return 0 in shape or (folder / key).is_file()


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
    there = {key: store.manifest.get(key) for key in wanted}
    # the size of a chunk changes no result
    found = list(differences(there | {"chunk": wanted["chunk"]}, wanted))
    if found:
        raise DendrosimError(f"{path} holds another sweep: {'; '.join(found)}. Give another folder")
    return store


def _manifest(plan: SweepPlan) -> dict[str, Any]:
    # as it is read back from the file
    own = {"format": FORMAT, **plan.manifest, "chunk": plan.chunk}
    return json.loads(json.dumps(own))


def _create(path: Path, plan: SweepPlan, manifest: Mapping[str, Any]) -> None:
    import zarr

    scratch = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{path.name[:80]}-", dir=path.parent))
        inside = scratch / "store"
        group = zarr.create_group(inside, zarr_format=2)
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
