"""Compiled programs: made once for a text and a build setting, kept, and run with any numbers.

A program reads parameters, initial state, amplitudes, signals, time step and duration when it
starts, so none of them compiles anything again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import brian2 as b2
import numpy as np
from brian2.codegen.generators.cpp_generator import CPPCodeGenerator
from brian2.core.functions import DEFAULT_FUNCTIONS
from brian2.devices.device import Device, get_device, reset_device, set_device

from dendrosim.errors import DendrosimError
from dendrosim.job import Built, Done, Job, Progress, check_finite

# Brian2's own flags, of which -fno-finite-math-only keeps isnan meaningful, and two that let GCC
# vectorise the loop over neurons: glibc declares its vector functions only to who says
# __FAST_MATH__ (which -fno-finite-math-only takes back), and Brian2's many arrays need more checks
# for overlap than GCC makes by default.
FLAGS = (
    "-w", "-O3", "-ffast-math", "-fno-finite-math-only", "-march=native", "-std=c++11",
    "-D__FAST_MATH__", "--param=vect-max-version-for-alias-checks=200",
)  # fmt: skip


# In float32 a literal such as 1.0 must not turn the arithmetic around it into double
SINGLE_FLAGS = ("-fsingle-precision-constant",)

# Brian2's own exprel and clip branch and compute in double; these vectorise in either type
_FUNCTIONS = {
    "exprel": """
template <typename T> static inline T _exprel(const T x)
{
    const T least = sizeof(T) == 4 ? 1e-6 : 1e-12;
    const T z = std::fabs(x) < least ? least : x;
    return std::expm1(z)/z;
}
""",
    "clip": """
template <typename T> static inline T _clip(const T value, const T low, const T high)
{
    const T raised = value < low ? low : value;
    return raised > high ? high : raised;
}
template <typename T, typename L, typename H>
static inline T _clip(const T value, const L low, const H high)
{
    return _clip<T>(value, (T)low, (T)high);
}
""",
}


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


def cache_folder() -> Path:
    """Return where compiled programs are kept (``DENDROSIM_CACHE``, else the user's cache)."""
    base = os.environ.get("DENDROSIM_CACHE")
    if base:
        return Path(base)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dendrosim"


def program_of(job: Job, threads: int) -> Program:
    """Return the compiled program of a job, from the cache where it is there.

    Raises
    ------
    DendrosimError
        If there is no compiler, it fails, or the cache cannot be written.
    """
    setting = {
        "job": job.structure,
        "dtype": job.dtype,
        "threads": threads,
        "brian2": b2.__version__,
        "flags": FLAGS + SINGLE_FLAGS,
        "format": 5,
        "compiler": _compiler(),
        "machine": _machine(),
    }
    key = hashlib.sha256(json.dumps(setting, sort_keys=True).encode()).hexdigest()[:24]
    folder = cache_folder() / key
    arrays = _stored(folder)
    if arrays is not None:
        return Program(folder, arrays, 0.0, False)
    started = time.perf_counter()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f"{key}.", dir=folder.parent))
    except OSError as error:
        raise DendrosimError(
            f"compiled programs cannot be kept in {folder.parent} ({error.strerror}); set "
            "DENDROSIM_CACHE to a folder that can be written"
        ) from None
    try:
        arrays = _build(job, threads, scratch)
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


def _machine() -> str:
    # -march=native: a cache that two computers share has a program for each kind
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    flags = (line for line in lines if line.startswith(("flags", "Features")))
    return f"{platform.machine()} {next(flags, platform.processor())}"


def _compiler() -> str:
    name = os.environ.get("CXX") or "g++"
    try:
        run = subprocess.run(
            [*shlex.split(name), "--version"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        raise DendrosimError(
            f"device 'cpp' needs a C++ compiler and {name!r} does not run; install one "
            "(apt-get install g++), or use device 'cython' or 'numpy'"
        ) from None
    return run.stdout.splitlines()[0]


def _build(job: Job, threads: int, folder: Path) -> dict[str, tuple[str, str]]:
    """Generate and compile; return file and type of each output."""
    single = SINGLE_FLAGS if job.dtype == "float32" else ()
    b2.prefs.codegen.cpp.extra_compile_args_gcc = [*FLAGS, *single]
    b2.prefs.codegen.cpp.headers = ["<chrono>", "<cmath>"]  # of `_main_loop`
    b2.prefs.devices.cpp_standalone.openmp_threads = threads if threads > 1 else 0
    b2.prefs.devices.cpp_standalone.extra_make_args_unix = [f"-j{os.cpu_count() or 1}"]
    set_device("cpp_standalone", build_on_run=False)
    device = get_device()
    device.reinit()
    device.activate(build_on_run=False)
    try:
        built = job.build()
        device.apply_run_args()
        device.insert_code("before_network_run", _main_loop(built, device))
        with _vector_functions():
            built.network.run(0 * b2.second, namespace={})
        with _quiet(folder / "build.log"):
            device.build(directory=str(folder), compile=True, run=False, with_output=False)
        return {
            name: (Path(device.get_array_filename(variable)).name, np.dtype(variable.dtype).name)
            for name, variable in (*built.outputs.items(), *_watched(built))
        }
    except RuntimeError as error:
        log = (folder / "build.log").read_text(errors="replace") if folder.is_dir() else ""
        wrong = next((line for line in log.splitlines() if "error" in line.lower()), str(error))
        raise DendrosimError(f"the C++ program could not be built: {wrong.strip()}") from None
    finally:
        device.reinit()
        reset_device("runtime")


@contextlib.contextmanager
def _vector_functions() -> Iterator[None]:
    """Give Brian2's C++ generator our text of the functions that keep a loop from vectorising."""
    kept = {}
    for name, code in _FUNCTIONS.items():
        table = DEFAULT_FUNCTIONS[name].implementations
        kept[name] = table._implementations.get(CPPCodeGenerator)
        table.add_implementation(CPPCodeGenerator, code=code, name=f"_{name}")
    try:
        yield
    finally:
        for name, implementation in kept.items():
            DEFAULT_FUNCTIONS[name].implementations._implementations[CPPCodeGenerator] = (
                implementation
            )


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


def _main_loop(built: Built, device: Device) -> str:
    """C++ that runs the network in pieces, and stops when a state is not finite.

    Brian2 prints duration and time step into the program; here both come with its arguments.
    """

    def array(variable: object) -> str:
        return device.get_array_name(variable)

    control = built.control.variables
    checks = "\n".join(
        f"""
        for (int j = 0; j < {variable.size} && bad < 0; j++)
            if (!std::isfinite({array(variable)}[j])) bad = j;"""
        for variable in built.finite.values()
    )
    slower = "\n".join(
        f"{array(clock.variables['dt'])}[0] = {every}*{array(control['run_dt'])}[0];"
        for clock, every in built.slower.items()
    )
    clock = array(built.clock.variables["dt"])
    name = built.network.name
    return f"""
    {{
        {clock}[0] = {array(control["run_dt"])}[0];
        {slower}
        const double dt = {clock}[0];
        const int64_t steps = (int64_t)ceil({array(control["run_duration"])}[0]/dt*(1 - 1e-12)
                                            - 1e-9);
        int64_t piece = steps/100 < 100 ? steps/100 : 100;
        if (piece < 1) piece = 1;
        std::chrono::duration<double> spent(0);
        int bad = -1, percent = 0;
        for (int64_t done = 0; done < steps && bad < 0; done += piece)
        {{
            const int64_t next = done + piece < steps ? done + piece : steps;
            {name}.t = done*dt;
            const auto began = std::chrono::steady_clock::now();
            {name}.run(next*dt - done*dt, NULL, 10.0);
            spent += std::chrono::steady_clock::now() - began;
            {checks}
            if (bad >= 0) std::cout << "diverged " << bad << " " << next*dt << std::endl;
            if (100*next/steps > percent)
            {{
                percent = 100*next/steps;
                std::cout << "percent " << percent << std::endl;
            }}
        }}
        std::cout.precision(9);
        std::cout << "seconds " << spent.count() << std::endl;
    }}
    """


def run_program(program: Program, job: Job, progress: Progress | None) -> Done:
    """Run a program with the numbers of a job.

    Raises
    ------
    DivergenceError
        If a state is no longer finite.
    DendrosimError
        If the program fails.
    """
    with tempfile.TemporaryDirectory(prefix="dendrosim-") as folder:
        results = Path(folder) / "results"
        results.mkdir()
        seconds, diverged = _run_binary(program, results, _arguments(job, Path(folder)), progress)
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
    return Done(arrays, program.compile_seconds, seconds, program.compiled)


def _arguments(job: Job, folder: Path) -> list[str]:
    control = {("control", "run_duration"): job.duration, ("control", "run_dt"): job.dt}
    arguments = []
    for (group, name), value in {**job.values, **control}.items():
        text = repr(float(value)) if np.ndim(value) == 0 else str(folder / f"{group}.{name}")
        if np.ndim(value):
            np.ascontiguousarray(value, dtype=job.dtype).tofile(text)
        arguments.append(f"{group}.{name}={text}")
    for name, (values, _) in job.samples.items():
        np.ascontiguousarray(values, dtype=float).tofile(folder / name)
        arguments.append(f"{name}.values={folder / name}")
    return arguments


def _run_binary(
    program: Program, results: Path, arguments: list[str], progress: Progress | None
) -> tuple[float, float | None]:
    """Run the program; return the seconds that its loop took and the time of a divergence."""
    main = program.folder.absolute() / "main"
    command = [str(main), "--results_dir", f"{results}{os.sep}", *arguments]
    seconds, diverged, tail = 0.0, None, ""
    with subprocess.Popen(
        command, cwd=program.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        for line in process.stdout:
            word, *rest = line.split() or [""]
            if word == "percent" and progress:
                progress(float(rest[0]) / 100)
            elif word == "seconds":
                seconds = float(rest[0])
            elif word == "diverged":
                diverged = float(rest[1])
            elif word not in ("percent", ""):
                tail = line.strip()
    if process.returncode:
        raise DendrosimError(f"the C++ program ended with {process.returncode}: {tail}")
    return seconds, diverged
