"""Compiled programs: made once for a text and a build setting, kept, and run with any numbers.

A program reads parameters, initial state, amplitudes, signals, time step and duration when it
starts, so none of them compiles anything again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import brian2 as b2
import numpy as np
from brian2.devices.device import Device, get_device, reset_device, set_device

from dendrosim import arguments, cpp_target, cuda_target
from dendrosim.errors import DendrosimError
from dendrosim.job import Built, Done, Job, Progress, check_finite, limit_of
from dendrosim.toolchain import cache_folder, scratch_folder

#: What is particular to each kind of program.
TARGETS = {"cpp": cpp_target, "cuda": cuda_target}


@dataclass(frozen=True)
class Program:
    """A compiled program.

    Attributes
    ----------
    folder
        Where it lies, with its source.
    arrays
        Name of an output to its file and type.
    compile_seconds, compiled
        What making it took in this call; 0 and False where it was kept.
    """

    folder: Path
    arrays: Mapping[str, tuple[str, str]]
    compile_seconds: float
    compiled: bool


def program_of(job: Job, device: str, threads: int) -> Program:
    """Return the compiled program of a job, from the cache where it is there.

    Raises
    ------
    DendrosimError
        If there is no compiler, it fails, or the cache cannot be written.
    """
    setting = {
        "job": job.structure,
        "device": device,
        "dtype": job.dtype,
        "threads": threads,
        "brian2": b2.__version__,
        "format": 13,
        "target": TARGETS[device].fingerprint(),
    }
    key = hashlib.sha256(json.dumps(setting, sort_keys=True).encode()).hexdigest()[:24]
    folder = cache_folder() / key
    arrays = _stored(folder)
    if arrays is not None:
        return Program(folder, arrays, 0.0, False)
    started = time.perf_counter()
    scratch = scratch_folder(key)
    try:
        arrays = write_project(job, device, scratch, threads=threads, build=True)
        (scratch / "manifest.json").write_text(json.dumps(arrays))
        if _stored(folder) is None:
            shutil.rmtree(folder, ignore_errors=True)  # what is left of a broken one
        try:
            scratch.rename(folder)
        except OSError:  # another process was first: its program is the same
            if _stored(folder) is None:
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return Program(folder, arrays, time.perf_counter() - started, True)


def _stored(folder: Path) -> dict[str, tuple[str, str]] | None:
    """Return the manifest of a compiled program, None where there is no whole one."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text())
    except (OSError, ValueError):
        return None
    return manifest if (folder / "main").is_file() and isinstance(manifest, dict) else None


def write_project(
    job: Job, device: str, folder: Path, *, threads: int = 1, build: bool
) -> dict[str, tuple[str, str]]:
    """Write the whole source of a program, and compile it if asked.

    Returns
    -------
    dict
        File and type of each output.

    Raises
    ------
    DendrosimError
        If the compiler fails, with its first error.
    """
    target = TARGETS[device]
    target.configure(job, threads)
    set_device(target.DEVICE, build_on_run=False)
    standalone = get_device()
    standalone.reinit()
    standalone.activate(build_on_run=False)
    try:
        built = job.build()
        standalone.apply_run_args()
        standalone.insert_code("before_start", arguments.check(job, built, target.AS_READ))
        standalone.insert_code("before_network_run", _main_loop(job, built, standalone, target))
        with target.own_code():
            built.network.run(0 * b2.second, namespace={})
        target.write_headers(folder)
        lent = target.building(job, threads, folder) if build else contextlib.nullcontext()
        with lent, _quiet(folder / "build.log"):
            standalone.build(directory=str(folder), compile=build, run=False, with_output=False)
        return {
            name: (Path(standalone.get_array_filename(v)).name, np.dtype(v.dtype).name)
            for name, v in (*built.outputs.items(), *_watched(built))
        }
    except RuntimeError as error:
        if _interrupted(error):
            raise KeyboardInterrupt from None
        log = (folder / "build.log").read_text(errors="replace") if folder.is_dir() else ""
        wrong = next((line for line in log.splitlines() if "error" in line.lower()), str(error))
        raise DendrosimError(
            f"the {target.NAME} program could not be built: {wrong.strip()}"
        ) from None
    finally:
        standalone.reinit()
        reset_device("runtime")


def _interrupted(error: RuntimeError) -> bool:
    """Whether Ctrl-C ended make.

    While it runs only make hears of it: Python's `os.system` has the signal ignored here, and
    Brian2 puts the status that it returns into a sentence.
    """
    status = re.search(r"error code: ([0-9]+)", str(error))
    return bool(status) and os.waitstatus_to_exitcode(int(status[1])) == -signal.SIGINT


def _watched(built: Built) -> list[tuple[str, object]]:
    return [(f"finite.{label}", variable) for label, variable in built.finite.items()]


@contextlib.contextmanager
def _quiet(log: Path) -> Iterator[None]:
    # make writes to the process' own streams, past Python's
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    with log.open("w") as file:
        saved = os.dup(1), os.dup(2)
        try:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
            yield
        finally:
            os.dup2(saved[0], 1)
            os.dup2(saved[1], 2)
            os.close(saved[0])
            os.close(saved[1])


def _main_loop(job: Job, built: Built, device: Device, target: ModuleType) -> str:
    """C++ that runs the network in pieces, and stops when a state has diverged.

    Brian2 prints duration and time step into the program; here both come with its arguments.
    """

    def array(variable: object) -> str:
        return device.get_array_name(variable)

    control = built.control.variables
    checks = "\n".join(
        target.check(device, variable, limit_of(job, label))
        for label, variable in built.finite.items()
    )
    slower = "\n".join(
        f"{array(clock.variables['dt'])}[0] = {every}*{array(control['run_dt'])}[0];"
        for clock, every in built.slower.items()
    )
    clock = array(built.clock.variables["dt"])
    return f"""
    {{
        {clock}[0] = {array(control["run_dt"])}[0];
        {slower}
        {target.prepare(device, built)}
        const double dt = {clock}[0];
        const int64_t steps = (int64_t)ceil({array(control["run_duration"])}[0]/dt*(1 - 1e-12)
                                            - 1e-9);
        int64_t piece = {target.PIECE};
        if (piece < 1) piece = 1;
        std::chrono::duration<double> spent(0);
        double processor = 0;
        int64_t bad = -1, percent = 0;
        for (int64_t done = 0; done < steps && bad < 0; done += piece)
        {{
            const int64_t next = done + piece < steps ? done + piece : steps;
            const auto began = std::chrono::steady_clock::now();
            const clock_t used = clock();
            {target.advance(built)}
            {checks}
            spent += std::chrono::steady_clock::now() - began;
            processor += double(clock() - used)/CLOCKS_PER_SEC;
            if (bad >= 0) std::cout << "diverged " << bad << " " << next*dt << std::endl;
            if (100*next/steps > percent)
            {{
                percent = 100*next/steps;
                std::cout << "percent " << percent << std::endl;
            }}
        }}
        std::cout.precision(9);
        std::cout << "seconds " << spent.count() << " " << processor << std::endl;
    }}
    """


def run_program(program: Program, job: Job, progress: Progress | None) -> Done:
    """Run a program with the numbers of a job.

    Raises
    ------
    DivergenceError
        If a state has diverged.
    DendrosimError
        If the program fails.
    """
    with tempfile.TemporaryDirectory(prefix="dendrosim-") as folder:
        results = Path(folder) / "results"
        results.mkdir()
        (seconds, processor), diverged = _run_binary(
            program, results, arguments.write(job, Path(folder)), progress
        )
        arrays = {
            name: np.fromfile(results / file, dtype=dtype)
            for name, (file, dtype) in program.arrays.items()
        }
    if diverged is not None:
        states = {
            name.removeprefix("finite."): values
            for name, values in arrays.items()
            if name.startswith("finite.")
        }
        check_finite(job, states, diverged)
    return Done(arrays, program.compile_seconds, seconds, processor, program.compiled)


# OpenMP threads wait for each other some times a step: long enough awake to meet (a tenth of a
# millisecond), not so long that they take the processor from one another where others use it, too
_PATIENCE = {"GOMP_SPINCOUNT": "10000"}


def _run_binary(
    program: Program, results: Path, arguments: list[str], progress: Progress | None
) -> tuple[tuple[float, float], float | None]:
    """Run the program; return its loop's seconds, the processor's, and the time of a divergence."""
    main = program.folder.absolute() / "main"
    command = [str(main), "--results_dir", f"{results}{os.sep}", *arguments]
    seconds, diverged, tail = (0.0, 0.0), None, ""
    with subprocess.Popen(
        command, cwd=program.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**_PATIENCE, **os.environ},
    ) as process:  # fmt: skip
        for line in process.stdout:
            word, *rest = line.split() or [""]
            if word == "percent" and progress:
                progress(float(rest[0]) / 100)
            elif word == "seconds":
                seconds = float(rest[0]), float(rest[1])
            elif word == "diverged":
                diverged = float(rest[1])
            elif word not in ("percent", ""):
                tail = line.strip()
    if process.returncode:
        raise DendrosimError(f"the C++ program ended with {process.returncode}: {tail}")
    return seconds, diverged
