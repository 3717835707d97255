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
from dendrosim.sweeps.layout import TO_DO, lay_out
from dendrosim.sweeps.plan import SweepPlan

FORMAT = 1


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
