"""Generation and compilation of the program of a job.

A program reads parameters, initial state, amplitudes, signals, time step and duration when it
starts.  Changing them needs no new compilation.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
from pathlib import Path
from types import ModuleType

import brian2 as b2
import numpy as np
from brian2.devices.device import Device, get_device, reset_device, set_device

from dendrosim.devices import arguments, cpp, cuda
from dendrosim.devices.job import Built, Job, limit_of
from dendrosim.errors import DendrosimError
from dendrosim.time_grid import STEPS_CPP

#: Device to the module with its specific code.
TARGETS = {"cpp": cpp, "cuda": cuda}


def write_project(
    job: Job, device: str, folder: Path, *, threads: int = 1, build: bool
) -> dict[str, tuple[str, str]]:
    """Write the complete source of a program, and compile it if `build` is true.

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
        check = arguments.check(job, built, target.AS_READ, target.SIZED)
        standalone.insert_code("before_start", target.START + check)
        standalone.insert_code("before_network_run", _main_loop(job, built, standalone, target))
        given_back = [*built.outputs.items(), *_watched(built)]
        before, after = target.check_written(standalone, [v for _, v in given_back])
        standalone.insert_code("before_end", before)
        standalone.insert_code("after_end", after)
        with target.own_code():
            built.network.run(0 * b2.second, namespace={})
        target.write_headers(folder)
        lent = target.building(job, threads, folder) if build else contextlib.nullcontext()
        with lent:
            standalone.build(directory=str(folder), compile=False, run=False)
            if build:
                target.before_make(folder)
                _make(folder, target.NAME)
        return {
            name: (Path(standalone.get_array_filename(v)).name, np.dtype(v.dtype).name)
            for name, v in given_back
        }
    finally:
        standalone.reinit()
        reset_device("runtime")


def _watched(built: Built) -> list[tuple[str, object]]:
    return [(f"finite.{label}", variable) for label, variable in built.finite.items()]


def _make(folder: Path, name: str) -> None:
    """Compile a project; stop the compilers when this process is interrupted.

    Raises
    ------
    DendrosimError
        With the compiler's first error.
    """
    prefs = b2.prefs.devices.cpp_standalone
    command = [*shlex.split(prefs.make_cmd_unix), *prefs.extra_make_args_unix]
    log = folder / "build.log"
    try:
        with log.open("w") as file:
            process = subprocess.Popen(
                command, cwd=folder, stdin=subprocess.DEVNULL, stdout=file, stderr=file,
                start_new_session=True, env={**os.environ, "TMPDIR": str(folder)},
            )  # fmt: skip
            try:
                status = process.wait()
            except BaseException:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                raise
    except OSError as error:
        raise DendrosimError(
            f"the {name} program could not be built: {shlex.join(command)} does not run "
            f"({error.strerror or error})"
        ) from None
    if status or not (folder / "main").is_file():
        lines = log.read_text(errors="replace").splitlines()
        silent = f"{shlex.join(command)} ended with status {status} and made no program"
        wrong = next((line for line in lines if "error" in line.lower()), silent)
        raise DendrosimError(f"the {name} program could not be built: {wrong.strip()}")


def _main_loop(job: Job, built: Built, device: Device, target: ModuleType) -> str:
    """Return C++ that runs the network in pieces, and stops when a state has diverged.

    Brian2 writes duration and time step into the source; here both are arguments of the program.
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
    steps = STEPS_CPP.format(duration=f"{array(control['run_duration'])}[0]", dt="dt")
    freezing = _freezing(job, built, device, target)
    return f"""
    {{
        {clock}[0] = {array(control["run_dt"])}[0];
        {slower}
        {target.prepare(device, built)}
        const double dt = {clock}[0];
        const int64_t steps = {steps};
        int64_t piece = {target.PIECE};
        if (piece < 1) piece = 1;
        const bool freeze = {array(control["run_freeze"])}[0];
        {freezing[0]}
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
            {freezing[1]}
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


def _freezing(job: Job, built: Built, device: Device, target: ModuleType) -> tuple[str, str]:
    """Return C++, for before and inside the loop, that freezes neurons with diverged states.

    All their states become NaN, which no later step can change into a number or a spike.
    """
    if not job.sizes:
        return "", ""
    arrays = {label: device.get_array_name(variable) for label, variable in built.finite.items()}
    (group, name), *_ = job.sizes
    number = built.groups[group].variables[name]
    size = f"{device.get_array_name(number)}[0]" if target.SIZED else number.get_value()
    found = "\n".join(
        target.mark(name, size, limit_of(job, label)) for label, name in arrays.items()
    )
    stopped = " ".join(f"{name}[j] = NAN;" for name in arrays.values())
    return (
        f"std::vector<char> frozen({size}, 0);",
        f"""
            if (freeze)
            {{
                std::vector<int64_t> now;
                {found}
                for (const int64_t j : now)
                    std::cout << "frozen " << j << " " << done*dt << " " << next*dt << std::endl;
                for (int64_t j = 0; j < {size}; j++) if (frozen[j]) {{ {stopped} }}
            }}""",
    )
