"""Carrying out a job on a device; the one place that sets Brian2's device and preferences.

``numpy`` and ``cython`` run in this process; ``cpp`` runs a compiled program, see `standalone`.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator
from pathlib import Path

import brian2 as b2
import numpy as np
from brian2.devices.device import all_devices, get_device
from brian2.stateupdaters.base import StateUpdateMethod, UnsupportedEquationsException

import dendrosim.integrators  # noqa: F401 (registers its methods with Brian2)
from dendrosim import cuda_target, signals, standalone
from dendrosim.errors import DendrosimError, did_you_mean
from dendrosim.job import Done, Job, Progress, check_finite, steps_between_checks, steps_of

DEVICES = ("numpy", "cython", "cpp", "cuda")
DTYPES = ("float64", "float32")
MAX_THREADS = 256


def check_device(device: str, threads: int) -> None:
    """Refuse an unknown device, and threads where there are none.

    Raises
    ------
    DendrosimError
    """
    if device not in DEVICES:
        raise DendrosimError(f"unknown device {device!r}; {did_you_mean(device, DEVICES)}")
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
        raise DendrosimError(f"threads = {threads!r} is not a whole number from 1")
    if threads > MAX_THREADS:
        raise DendrosimError(f"threads = {threads} is more than {MAX_THREADS}")
    if threads > 1 and device != "cpp":
        raise DendrosimError(f"threads = {threads} needs device 'cpp', not {device!r}")


def check_dtype(dtype: str) -> None:
    """Refuse a type that is not one of `DTYPES`."""
    if dtype not in DTYPES:
        raise DendrosimError(f"unknown dtype {dtype!r}; {did_you_mean(str(dtype), DTYPES)}")


def check_method(method: str) -> None:
    """Refuse an integration method that Brian2 does not have."""
    known = StateUpdateMethod.stateupdaters
    if not isinstance(method, str) or method not in known:
        raise DendrosimError(f"unknown method {method!r}; {did_you_mean(method, known)}")


def execute(job: Job, device: str, threads: int = 1, progress: Progress | None = None) -> Done:
    """Carry out a job.

    Parameters
    ----------
    job
        What to do.
    device
        One of `DEVICES`.
    threads
        OpenMP threads, for ``cpp``.
    progress
        Called with the finished fraction now and then.

    Raises
    ------
    DivergenceError
        If a state has diverged; see `job.limit_of`.
    DendrosimError
        If the method does not suit the equations, the compiler fails, or Brian2 refuses anything
        else; what it said is the error's cause.
    """
    with _own_brian2(), np.errstate(all="ignore"):  # what is not finite is found and named
        b2.prefs.core.default_float_dtype = np.dtype(job.dtype).type
        try:
            if device == "cuda":
                cuda_target.require(compiler=True, gpu=True)
            if device in standalone.TARGETS:
                program = standalone.program_of(job, device, threads)
                return standalone.run_program(program, job, progress)
            return _run_here(job, device, progress)
        except DendrosimError:
            raise
        except Exception as error:
            raise DendrosimError(_refusal(error, job)) from error


def write_source(
    job: Job, device: str, folder: Path, *, threads: int = 1, build: bool = False
) -> dict[str, tuple[str, str]]:
    """Write the source of a job's program; see `standalone.write_project`."""
    with _own_brian2():
        b2.prefs.core.default_float_dtype = np.dtype(job.dtype).type
        try:
            return standalone.write_project(job, device, folder, threads=threads, build=build)
        except DendrosimError:
            raise
        except Exception as error:
            raise DendrosimError(_refusal(error, job)) from error


def _refusal(error: BaseException, job: Job) -> str:
    # Brian2 wraps an error in one that says where it happened
    while error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, UnsupportedEquationsException):
        return f"{job.what}: the method does not suit: {error}"
    if isinstance(error, MemoryError):
        return f"a run of {job.duration:g} s, {job.what}, needs more memory than there is"
    return f"the run failed ({type(error).__name__}: {error})"


@contextlib.contextmanager
def _own_brian2() -> Iterator[None]:
    """Leave the caller's Brian2 preferences and device as they were."""
    device = get_device()
    if device is not all_devices["runtime"]:
        raise DendrosimError(
            "Brian2 is set to a standalone device; reset_device() before calling dendrosim"
        )
    saved = {name: b2.prefs[name] for name in _PREFERENCES if name in b2.prefs}
    # A threshold without a reset is meant: the text of such a model resets itself
    resets = logging.getLogger("brian2.groups.neurongroup.only_threshold")
    level = resets.level
    resets.setLevel(logging.ERROR)
    try:
        yield
    finally:
        resets.setLevel(level)
        for name, value in saved.items():
            b2.prefs[name] = value


# Every preference that this package sets
_PREFERENCES = (
    "codegen.target",
    "core.default_float_dtype",
    "codegen.cpp.extra_compile_args_gcc",
    "codegen.cpp.headers",
    "codegen.cpp.include_dirs",
    "codegen.cpp.library_dirs",
    "codegen.cpp.runtime_library_dirs",
    "devices.cpp_standalone.openmp_threads",
    "devices.cpp_standalone.extra_make_args_unix",
)


def _run_here(job: Job, device: str, progress: Progress | None) -> Done:
    started, since = time.perf_counter(), time.time()
    b2.prefs.codegen.target = device
    built = job.build()
    sampled = signals.numbers(job.samples)
    for (group, name), value in (*job.values.items(), *sampled):
        built.groups[group].variables[name].set_value(value)

    def states() -> dict[str, np.ndarray]:
        return {label: np.asarray(v.get_value()) for label, v in built.finite.items()}

    def watch(t: b2.core.variables.VariableView) -> None:
        check_finite(job, states(), float(t[:]))
        if progress:
            progress(float(t[:]) / job.duration)

    every = steps_between_checks(job) * job.dt * b2.second
    built.network.add(b2.NetworkOperation(watch, dt=every, when="start", name="watch"))
    built.network.run(0 * b2.second, namespace={})
    compile_seconds = time.perf_counter() - started
    compiled = _was_compiled(built.network, since)
    started, used = time.perf_counter(), time.process_time()
    built.network.run(steps_of(job) * job.dt * b2.second, namespace={})
    run_seconds, processor = time.perf_counter() - started, time.process_time() - used
    check_finite(job, states(), job.duration)
    arrays = {name: np.array(v.get_value()) for name, v in built.outputs.items()}
    return Done(arrays, compile_seconds, run_seconds, processor, compiled)


def _was_compiled(network: b2.Network, since: float) -> bool:
    """Whether a Cython module of the network is younger than `since`: Brian2 keeps the others."""
    return any(
        Path(module.__file__).stat().st_mtime >= since
        for thing in network.sorted_objects
        for code in thing.code_objects
        for module in code.compiled_code.values()
        if hasattr(module, "__file__")
    )
