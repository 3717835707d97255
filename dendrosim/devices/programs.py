"""Compiled programs: built once per source and build settings, cached, and run with any values."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import brian2 as b2

from dendrosim.devices import standalone
from dendrosim.devices.job import Job
from dendrosim.devices.program_cache import (
    cache_folder,
    digest,
    is_whole,
    key_of,
    locked,
    scratch_folder,
)

FORMAT = 15


@dataclass(frozen=True)
class Program:
    """A compiled program.

    Attributes
    ----------
    folder
        Folder of the program and its source.
    arrays
        Name of an output to its file and type.
    sized
        Whether the program reads the numbers of neurons, see `group_size`.
    compile_seconds, compiled
        Compile time, and whether this call compiled it; 0 and False for a cached program.
    """

    folder: Path
    arrays: Mapping[str, tuple[str, str]]
    sized: bool
    compile_seconds: float
    compiled: bool


def program_of(job: Job, device: str, threads: int) -> Program:
    """Return the compiled program of a job, from the cache if an intact one is there.

    Raises
    ------
    DendrosimError
        If there is no compiler, it fails, or the cache is not writable.
    """
    target = standalone.TARGETS[device]
    key = key_of({
        "job": job.structure,
        "sizes": None if target.SIZED else [[*place, n] for place, n in job.sizes.items()],
        "device": device,
        "dtype": job.dtype,
        "threads": threads,
        "brian2": b2.__version__,
        "format": FORMAT,
        "target": target.fingerprint(),
    })  # fmt: skip
    folder = cache_folder() / key
    arrays = _stored(folder, key)
    if arrays is not None:
        return Program(folder, arrays, target.SIZED, 0.0, False)
    with locked(key):
        arrays = _stored(folder, key)  # another process may have made it meanwhile
        if arrays is not None:
            return Program(folder, arrays, target.SIZED, 0.0, False)
        started = time.perf_counter()
        scratch = scratch_folder(key)
        try:
            arrays = standalone.write_project(job, device, scratch, threads=threads, build=True)
            write_manifest(scratch, key, arrays)
            shutil.rmtree(folder, ignore_errors=True)  # a damaged entry
            if not folder.is_dir():
                folder.unlink(missing_ok=True)
            scratch.rename(folder)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return Program(folder, arrays, target.SIZED, time.perf_counter() - started, True)


def write_manifest(folder: Path, key: str, arrays: Mapping[str, Sequence[str]]) -> None:
    """Write the key of a program, its outputs, and digests to verify both."""
    told = {"key": key, "arrays": dict(arrays), "main": digest(folder / "main")}
    (folder / "manifest.json").write_text(json.dumps(told | {"digest": key_of(told)}))


def _stored(folder: Path, key: str) -> dict[str, tuple[str, str]] | None:
    """Return the outputs of the cached program of a key, None if it is missing or damaged."""
    path = folder / "manifest.json"
    try:
        manifest = json.loads(path.read_text())
        told = {name: manifest[name] for name in ("key", "arrays", "main")}
        # verify the list of outputs, too, not only the code
        if told["key"] != key or manifest["digest"] != key_of(told):
            return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    arrays = told["arrays"]
    if not is_whole(folder / "main", told["main"]):
        return None
    with contextlib.suppress(OSError):
        (folder / "main").chmod(0o755)
        path.touch()  # record the time of use
    return arrays
