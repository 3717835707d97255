"""Carrying out a plan on a device; the one place that touches Brian2's device and preferences.

``numpy`` and ``cython`` run in this process.  ``cpp`` compiles a program once for each text and
build setting and keeps it in a cache; the program reads every number (parameters, initial state,
amplitudes, signals, time step, duration) when it starts, so other numbers never compile again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import brian2 as b2
import numpy as np
from brian2.devices.device import all_devices, get_device, reset_device, set_device
from brian2.stateupdaters.base import StateUpdateMethod, UnsupportedEquationsException

from dendrosim.errors import DendrosimError, DivergenceError, did_you_mean
from dendrosim.plan import Plan

DEVICES = ("numpy", "cython", "cpp")
Progress = Callable[[float], None]


@dataclass(frozen=True, eq=False)
class Result:
    """What a device gives back, in SI units.

    Attributes
    ----------
    spike_i, spike_t
        Neuron and time of each spike, in order of time, then neuron.  The time is that of the
        state which crossed: the end of the step in which it was computed.
    trace_t, traces
        Times (samples,) and name to values (samples, neurons).
    compile_seconds, run_seconds
        Making the program, and the loop over time alone.
    compiled
        Whether anything was compiled in this call.
    """

    spike_i: np.ndarray
    spike_t: np.ndarray
    trace_t: np.ndarray
    traces: Mapping[str, np.ndarray]
    compile_seconds: float
    run_seconds: float
    compiled: bool
    final: Mapping[str, np.ndarray] = field(default_factory=dict)


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
    if threads > 1 and device != "cpp":
        raise DendrosimError(f"threads = {threads} needs device 'cpp', not {device!r}")


def check_method(method: str) -> None:
    """Refuse an integration method that Brian2 does not have."""
    known = StateUpdateMethod.stateupdaters
    if method not in known:
        raise DendrosimError(f"unknown method {method!r}; {did_you_mean(method, known)}")


def execute(plan: Plan, device: str, threads: int = 1, progress: Progress | None = None) -> Result:
    """Carry out a plan.

    Parameters
    ----------
    plan
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
        If a state is no longer finite.
    DendrosimError
        If the method does not suit the equations or the compiler fails.
    """
    with _own_brian2():
        try:
            if device == "cpp":
                return _run_program(_program(plan, threads), plan, progress)
            return _run_here(plan, device, progress)
        except UnsupportedEquationsException as error:
            message = " ".join(str(error).split())
            raise DendrosimError(f"method {plan.method!r} does not suit: {message}") from None


@contextlib.contextmanager
def _own_brian2() -> Iterator[None]:
    """Leave the caller's Brian2 preferences and device as they were."""
    device = get_device()
    if device is not all_devices["runtime"]:
        raise DendrosimError(
            "Brian2 is set to a standalone device; reset_device() before calling dendrosim"
        )
    saved = {name: b2.prefs[name] for name in _PREFERENCES}
    clock_dt = b2.defaultclock.dt
    try:
        yield
    finally:
        for name, value in saved.items():
            b2.prefs[name] = value
        b2.defaultclock.dt = clock_dt


# Every preference that this module sets
_PREFERENCES = (
    "codegen.target",
    "codegen.cpp.extra_compile_args_gcc",
    "codegen.cpp.headers",
    "devices.cpp_standalone.openmp_threads",
    "devices.cpp_standalone.extra_make_args_unix",
)


# --- the objects, the same on every device -------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Objects:
    neurons: b2.NeuronGroup
    spikes: b2.SpikeMonitor | None
    traces: b2.StateMonitor | None
    samples: Mapping[str, b2.TimedArray]
    network: b2.Network


def _objects(plan: Plan, extra: tuple[str, ...] = ()) -> _Objects:
    clock = b2.defaultclock
    clock.dt = plan.dt * b2.second
    samples = {
        name: b2.TimedArray(values, dt=dt * b2.second, name=name)
        for name, (values, dt) in plan.samples.items()
    }
    options = {"refractory": plan.refractory} if plan.refractory else {}
    if plan.threshold:
        options |= {"threshold": plan.threshold, "reset": plan.reset}
    neurons = b2.NeuronGroup(
        plan.neurons,
        "\n".join((*plan.equations, *extra)),
        method=plan.method,
        namespace={**samples, "mS": b2.mS},
        name="neurons",
        **options,
    )
    objects: list = [neurons]
    if plan.update:
        neurons.run_regularly("\n".join(plan.update), when="groups", name="neurons_update")
    spikes = traces = None
    if plan.threshold:
        spikes = b2.SpikeMonitor(neurons, name="spikes")
        objects.append(spikes)
    if plan.record:
        traces = b2.StateMonitor(
            neurons, list(plan.record), record=True, dt=plan.record_dt * b2.second, name="traces"
        )
        objects.append(traces)
    return _Objects(neurons, spikes, traces, samples, b2.Network(*objects))


def _check_finite(plan: Plan, states: Mapping[str, np.ndarray], at: float) -> None:
    for name in plan.states:
        bad = np.flatnonzero(~np.isfinite(states[name]))
        if bad.size:
            raise DivergenceError(
                f"{name} of neuron {bad[0]} is not finite at t = {at * 1e3:g} ms "
                f"(method {plan.method}, dt {plan.dt * 1e3:g} ms); try a smaller dt or another "
                "method"
            )


def _steps(plan: Plan) -> int:
    return int(np.ceil(plan.duration / plan.dt * (1 - 1e-12) - 1e-9))


def _steps_between_checks(plan: Plan) -> int:
    # Often enough to name the time of a divergence, seldom enough to cost nothing
    return max(1, min(100, _steps(plan) // 100))


# --- numpy and cython ----------------------------------------------------------------------------


def _run_here(plan: Plan, device: str, progress: Progress | None) -> Result:
    started = time.perf_counter()
    b2.prefs.codegen.target = device
    objects = _objects(plan)
    for name, value in plan.values.items():
        getattr(objects.neurons, f"{name}_")[:] = value
    every = _steps_between_checks(plan)
    steps = _steps(plan)

    def watch(t: b2.core.variables.VariableView) -> None:
        state = {name: np.asarray(getattr(objects.neurons, f"{name}_")) for name in plan.states}
        _check_finite(plan, state, float(t[:]))
        if progress:
            progress(float(t[:]) / plan.duration)

    objects.network.add(
        b2.NetworkOperation(watch, dt=every * plan.dt * b2.second, when="start", name="watch")
    )
    objects.network.run(0 * b2.second, namespace={})
    compile_seconds = time.perf_counter() - started
    started = time.perf_counter()
    objects.network.run(steps * plan.dt * b2.second, namespace={})
    run_seconds = time.perf_counter() - started
    final = {name: np.array(getattr(objects.neurons, f"{name}_")) for name in plan.states}
    _check_finite(plan, final, plan.duration)
    empty = np.zeros(0)
    spikes, traces = objects.spikes, objects.traces
    return _result(
        plan,
        np.array(spikes.i) if spikes else empty,
        np.array(spikes.t_) if spikes else empty,
        np.array(traces.t_) if traces else empty,
        {name: np.array(getattr(traces, f"{name}_")).T for name in plan.record},
        final,
        (compile_seconds, run_seconds, device == "cython"),
    )


def _result(
    plan: Plan, i: np.ndarray, t: np.ndarray, trace_t: np.ndarray, traces: Mapping,
    final: Mapping, timing: tuple[float, float, bool],
) -> Result:  # fmt: skip
    # Brian2 writes the beginning of the step; the state that crossed is that of its end.  From
    # the number of the step the time is exact: not a sum of rounded ones.
    order = np.lexsort((i, t))
    at = (np.rint(t[order] / plan.dt) + 1) * plan.dt
    return Result(i[order].astype(np.int64), at, trace_t, traces, *timing, final)


# --- C++ standalone, compiled once ---------------------------------------------------------------


def cache_folder() -> Path:
    """Return where compiled programs are kept (``DENDROSIM_CACHE``, else the user's cache)."""
    base = os.environ.get("DENDROSIM_CACHE")
    if base:
        return Path(base)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dendrosim"


@dataclass(frozen=True)
class _Program:
    folder: Path
    arrays: Mapping[str, str]
    compile_seconds: float
    compiled: bool


def _program(plan: Plan, threads: int) -> _Program:
    """Return the compiled program of a plan, from the cache where it is there."""
    setting = {
        "plan": plan.structure,
        "threads": threads,
        "brian2": b2.__version__,
        "flags": _FLAGS,
        "format": 1,
        "compiler": _compiler(),
    }
    key = hashlib.sha256(json.dumps(setting, sort_keys=True).encode()).hexdigest()[:24]
    folder = cache_folder() / key
    manifest = folder / "manifest.json"
    if manifest.is_file():
        return _Program(folder, json.loads(manifest.read_text()), 0.0, False)
    started = time.perf_counter()
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f"{key}.", dir=folder.parent))
    try:
        arrays = _build(plan, threads, scratch)
        (scratch / "manifest.json").write_text(json.dumps(arrays))
        try:
            scratch.rename(folder)
        except OSError:  # another process was first: its program is the same
            if not manifest.is_file():
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return _Program(folder, arrays, time.perf_counter() - started, True)


# Brian2's own flags; -fno-finite-math-only keeps isnan meaningful
_FLAGS = ("-w", "-O3", "-ffast-math", "-fno-finite-math-only", "-march=native", "-std=c++11")


def _compiler() -> str:
    name = os.environ.get("CXX", "g++")
    try:
        run = subprocess.run([name, "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        raise DendrosimError(
            f"device 'cpp' needs a C++ compiler and {name!r} does not run; install one "
            "(apt-get install g++), or use device 'cython' or 'numpy'"
        ) from None
    return run.stdout.splitlines()[0]


def _build(plan: Plan, threads: int, folder: Path) -> dict[str, str]:
    """Generate and compile; return the file name of each array of results."""
    b2.prefs.codegen.cpp.extra_compile_args_gcc = list(_FLAGS)
    b2.prefs.codegen.cpp.headers = ["<chrono>", "<cmath>"]  # of `_main_loop`
    b2.prefs.devices.cpp_standalone.openmp_threads = threads if threads > 1 else 0
    b2.prefs.devices.cpp_standalone.extra_make_args_unix = [f"-j{os.cpu_count() or 1}"]
    set_device("cpp_standalone", build_on_run=False)
    device = get_device()
    device.reinit()
    device.activate(build_on_run=False)
    try:
        objects = _objects(plan, ("run_duration : second (shared)", "run_dt : second (shared)"))
        device.apply_run_args()
        device.insert_code("before_network_run", _main_loop(plan, objects, device))
        objects.network.run(0 * b2.second, namespace={})
        with _quiet(folder / "build.log"):
            device.build(directory=str(folder), compile=True, run=False, with_output=False)
        return _array_files(plan, objects, device)
    except RuntimeError as error:
        log = (folder / "build.log").read_text(errors="replace") if folder.is_dir() else ""
        wrong = next((line for line in log.splitlines() if "error" in line.lower()), str(error))
        raise DendrosimError(f"the C++ program could not be built: {wrong.strip()}") from None
    finally:
        device.reinit()
        reset_device("runtime")


@contextlib.contextmanager
def _quiet(log: Path) -> Iterator[None]:
    # make writes to the process' own streams, past Python's
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


def _main_loop(plan: Plan, objects: _Objects, device: b2.devices.Device) -> str:
    """C++ that runs the network in pieces, and stops when a state is not finite.

    Brian2 prints duration and time step into the program; here both come with its arguments.
    """

    def array(name: str) -> str:
        return device.get_array_name(objects.neurons.variables[name])

    checks = "\n".join(
        f"""
        for (int j = 0; j < {plan.neurons} && bad < 0; j++)
            if (!std::isfinite({array(name)}[j])) bad = j;"""
        for name in plan.states
    )
    clock = device.get_array_name(b2.defaultclock.variables["dt"])
    trace_clock = ""
    if objects.traces is not None and objects.traces.clock is not b2.defaultclock:
        recorded = device.get_array_name(objects.traces.clock.variables["dt"])
        every = round(plan.record_dt / plan.dt)
        trace_clock = f"{recorded}[0] = {every}*{array('run_dt')}[0];"
    name = objects.network.name
    return f"""
    {{
        {clock}[0] = {array("run_dt")}[0];
        {trace_clock}
        const double dt = {clock}[0];
        const int64_t steps = (int64_t)ceil({array("run_duration")}[0]/dt*(1 - 1e-12) - 1e-9);
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


def _array_files(plan: Plan, objects: _Objects, device: b2.devices.Device) -> dict[str, str]:
    variables = {f"final.{n}": objects.neurons.variables[n] for n in plan.states}
    if objects.spikes is not None:
        variables |= {"spike_i": objects.spikes.variables["i"]}
        variables |= {"spike_t": objects.spikes.variables["t"]}
    if objects.traces is not None:
        variables |= {"trace_t": objects.traces.variables["t"]}
        variables |= {f"trace.{n}": objects.traces.variables[n] for n in plan.record}
    return {
        name: Path(device.get_array_filename(variable)).name for name, variable in variables.items()
    }


def _run_program(program: _Program, plan: Plan, progress: Progress | None) -> Result:
    with tempfile.TemporaryDirectory(prefix="dendrosim-") as folder:
        results = Path(folder) / "results"
        results.mkdir()
        arguments = _arguments(plan, Path(folder))
        seconds = _run_binary(program, plan, results, arguments, progress)

        def read(name: str, dtype: type) -> np.ndarray:
            if name not in program.arrays:
                return np.zeros(0, dtype)
            return np.fromfile(results / program.arrays[name], dtype=dtype)

        traces = {
            name: read(f"trace.{name}", float).reshape(-1, plan.neurons) for name in plan.record
        }
        return _result(
            plan, read("spike_i", np.int32), read("spike_t", float), read("trace_t", float),
            traces, {name: read(f"final.{name}", float) for name in plan.states},
            (program.compile_seconds, seconds, program.compiled),
        )  # fmt: skip


def _arguments(plan: Plan, folder: Path) -> list[str]:
    numbers = {**plan.values, "run_duration": plan.duration, "run_dt": plan.dt}
    arguments = []
    for name, value in numbers.items():
        text = repr(float(value)) if np.ndim(value) == 0 else str(folder / name)
        if np.ndim(value):
            np.ascontiguousarray(value, dtype=float).tofile(folder / name)
        arguments.append(f"neurons.{name}={text}")
    for name, (values, _) in plan.samples.items():
        np.ascontiguousarray(values, dtype=float).tofile(folder / name)
        arguments.append(f"{name}.values={folder / name}")
    return arguments


def _run_binary(
    program: _Program, plan: Plan, results: Path, arguments: list[str], progress: Progress | None
) -> float:
    """Run the program; return the seconds that its loop took."""
    command = [str(program.folder / "main"), "--results_dir", f"{results}{os.sep}", *arguments]
    seconds = 0.0
    diverged = None
    with subprocess.Popen(
        command, cwd=program.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        tail = ""
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
    if diverged is not None:
        final = {
            name: np.fromfile(results / program.arrays[f"final.{name}"]) for name in plan.states
        }
        _check_finite(plan, final, diverged)
    return seconds
