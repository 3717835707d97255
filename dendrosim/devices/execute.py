"""Execution of a job on a device.

``numpy`` and ``cython`` run in this process, see `runtime`; ``cpp`` and ``cuda`` run a compiled
program, see `programs`.
"""

from __future__ import annotations

from pathlib import Path

import brian2 as b2
import numpy as np
from brian2.stateupdaters.base import StateUpdateMethod, UnsupportedEquationsException

import dendrosim.integrators  # noqa: F401 (registers its methods with Brian2)
from dendrosim import checks
from dendrosim.devices import cuda_toolkit, standalone
from dendrosim.devices.job import Done, Job, Progress
from dendrosim.devices.own_brian2 import own_brian2
from dendrosim.devices.program_cache import cache_folder
from dendrosim.devices.program_run import run_program
from dendrosim.devices.programs import program_of
from dendrosim.devices.runtime import run_here
from dendrosim.errors import DendrosimError

DEVICES = ("numpy", "cython", "cpp", "cuda")
DTYPES = ("float64", "float32")
MAX_THREADS = 256


def check_device(device: str, threads: int) -> None:
    """Check the name of a device, and that it supports threads if there are several.

    Raises
    ------
    DendrosimError
    """
    checks.one_of(device, DEVICES, "unknown device")
    checks.whole(threads, "threads", least=1, most=MAX_THREADS)
    if threads > 1 and device != "cpp":
        raise DendrosimError(f"threads = {threads} needs device 'cpp', not {device!r}")


def check_dtype(dtype: str) -> None:
    """Raise an error if a type is not one of `DTYPES`."""
    checks.one_of(dtype, DTYPES, "unknown dtype")


def check_method(method: str) -> None:
    """Raise an error if Brian2 does not have an integration method."""
    checks.one_of(method, StateUpdateMethod.stateupdaters, "unknown method")


def execute(
    job: Job, device: str, threads: int = 1, progress: Progress | None = None,
    freeze: bool = False,
) -> Done:  # fmt: skip
    """Execute a job.

    If several threads of a process call this function, only one at a time creates Brian2 objects
    and programs; compiled programs run in parallel.

    Parameters
    ----------
    job
        The job to execute.
    device
        One of `DEVICES`.
    threads
        OpenMP threads, for ``cpp``.
    progress
        Called regularly with the completed fraction.
    freeze
        Whether a diverging neuron is frozen and listed in `Done.diverged` while the others
        continue; otherwise the run ends with a `DivergenceError`.

    Raises
    ------
    DivergenceError
        If a state has diverged; see `job.limit_of`.
    DendrosimError
        If the method does not suit the equations, the compiler fails, or Brian2 raises another
        error, which is then the cause.
    KeyboardInterrupt
        If Ctrl-C or Brian2's ``stop()`` stopped the run before its last step.
    """
    if device == "cuda":
        if freeze:
            raise DendrosimError(
                "diverged = 'nan' needs device 'numpy', 'cython' or 'cpp': states on a GPU are "
                "looked at only after the last step"
            )
        cuda_toolkit.require(compiler=True, gpu=True)
    try:
        with own_brian2(), np.errstate(all="ignore"):  # divergence has its own check
            b2.prefs.core.default_float_dtype = np.dtype(job.dtype).type
            if device not in standalone.TARGETS:
                return run_here(job, device, progress, freeze)
            program = program_of(job, device, threads)
        return run_program(program, job, progress, freeze)
    except DendrosimError:
        raise
    except Exception as error:
        raise DendrosimError(_refusal(error, job)) from error


def compile_program(job: Job, device: str, threads: int = 1) -> None:
    """Compile the program of a job, if the device has one and the cache does not.

    Processes that run the same program afterwards then find it in the cache.

    Raises
    ------
    DendrosimError
        As for `execute`.
    """
    if device not in standalone.TARGETS:
        return
    try:
        with own_brian2():
            b2.prefs.core.default_float_dtype = np.dtype(job.dtype).type
            program_of(job, device, threads)
    except DendrosimError:
        raise
    except Exception as error:
        raise DendrosimError(_refusal(error, job)) from error


def write_source(
    job: Job, device: str, folder: Path, *, threads: int = 1, build: bool = False
) -> dict[str, tuple[str, str]]:
    """Write the source of a job's program; see `standalone.write_project`."""
    with own_brian2():
        b2.prefs.core.default_float_dtype = np.dtype(job.dtype).type
        try:
            return standalone.write_project(job, device, folder, threads=threads, build=build)
        except DendrosimError:
            raise
        except Exception as error:
            raise DendrosimError(_refusal(error, job)) from error


def _refusal(error: BaseException, job: Job) -> str:
    # Brian2 wraps an error in another one that gives the location
    while error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, UnsupportedEquationsException):
        return f"{job.what}: the method does not suit: {error}"
    if isinstance(error, MemoryError):
        return f"a run of {job.duration:g} s, {job.what}, needs more memory than there is"
    said = str(error)
    if isinstance(error, OSError | ImportError) and "ython" in said:
        return (
            f"Cython modules cannot be kept in {cache_folder() / 'cython'} ({said[:200]}); set "
            "DENDROSIM_CACHE to a folder that can be written, or use device 'numpy'"
        )
    if type(error).__name__ in ("LinkError", "CompileError"):
        return (
            f"{job.what}: Cython's modules could not be compiled; what the compiler said stands "
            "above. A full disk and a compiler that is missing are the usual causes; device "
            "'numpy' needs neither"
        )
    return f"the run failed ({type(error).__name__}: {error})"
