"""Compiled programs: made once for a text and a build setting, kept, and used with any numbers."""

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
        Where it lies, with its source.
    arrays
        Name of an output to its file and type.
    sized
        Whether it reads the numbers of neurons, see `group_size`.
    compile_seconds, compiled
        What making it took in this call; 0 and False where it was kept.
    """

    folder: Path
    arrays: Mapping[str, tuple[str, str]]
    sized: bool
    compile_seconds: float
    compiled: bool


def program_of(job: Job, device: str, threads: int) -> Program:
    """Return the compiled program of a job, from the cache where it is there and whole.

    Raises
    ------
    DendrosimError
        If there is no compiler, it fails, or the cache cannot be written.
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
            shutil.rmtree(folder, ignore_errors=True)  # what is left of a damaged one
            if not folder.is_dir():
                folder.unlink(missing_ok=True)
            scratch.rename(folder)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return Program(folder, arrays, target.SIZED, time.perf_counter() - started, True)


def write_manifest(folder: Path, key: str, arrays: Mapping[str, Sequence[str]]) -> None:
    """Write what a program is, what it gives, and by which both are known to be whole."""
    told = {"key": key, "arrays": dict(arrays), "main": digest(folder / "main")}
    (folder / "manifest.json").write_text(json.dumps(told | {"digest": key_of(told)}))


def _stored(folder: Path, key: str) -> dict[str, tuple[str, str]] | None:
    """Return the outputs of a compiled program, None where there is no whole one of this key."""
    path = folder / "manifest.json"
    try:
        manifest = json.loads(path.read_text())
        told = {name: manifest[name] for name in ("key", "arrays", "main")}
        # what a program gives is as much a part of it as its code
        if told["key"] != key or manifest["digest"] != key_of(told):
            return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    arrays = told["arrays"]
    if not is_whole(folder / "main", told["main"]):
        return None
    with contextlib.suppress(OSError):
        (folder / "main").chmod(0o755)
        path.touch()  # when it was last used
    return arrays
