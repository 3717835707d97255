"""Write a complete C++ or CUDA project: readable source and its values, to run elsewhere."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from dendrosim import checks
from dendrosim.devices import arguments, cuda, cuda_check, cuda_toolkit, execute, standalone
from dendrosim.devices.compiler import compiler
from dendrosim.devices.job import Job
from dendrosim.errors import DendrosimError
from dendrosim.files import path_text

README = """{title}
{underline}

Written by dendrosim for device {device}; Brian2 {brian2}.

    {make}
    sh run.sh                # or: sh run.sh neurons.g_c=21 control.run_duration=0.2 ...

`run.sh` gives the program its numbers, `group.variable=VALUE`: a number in SI units, or a file of
plain binary values, one a neuron (a number stands for all).  An argument given to `run.sh` comes
after those in it and wins; a wrong one is told.  Paths are taken from this folder{letters}.
Times are in seconds, and a stimulus ends at its own `stop`, whatever `control.run_duration` is.
{sizes}
The files in `arguments/` may be replaced by others of as many values:

{inputs}

`values` of a signal are its samples, `sample_dt` seconds apart, one row of all neurons after the
other (or one value for all).  Times after the sample number `last`, counted from 0, take that one;
`columns` is how many values a row has.

The arrays are written to `results/`, or to the folder that `RESULTS=folder sh run.sh` names, as
plain binary files, for `numpy.fromfile(file, dtype)`:

{outputs}

`spike_i` and `spike_t` are the neuron of each spike and the beginning of its step in seconds;
`fired` and a trace have one row of all neurons a sample; `finite` is the state at the end.

One step is done in this order:

{order}
"""

_SIZES = """
`neurons.N` is the number of neurons that are run, at most those of the arrays;
`traces.run_recorded` is how many of `traces._indices` are recorded.  With `control.run_freeze=1` a
neuron that diverges is named and frozen while the others go on; else the program ends at the first.
"""

#: Command that builds a project; for CUDA also on a machine with another compiler or GPU.
MAKE = {
    "cpp": "make                     # needs g++",
    "cuda": "make                     # needs nvcc, curand; elsewhere: make NVCC=nvcc ARCH=native",
}


def generate_project(
    job: Job, folder: str | os.PathLike, *, device: str = "cuda", title: str = "dendrosim",
    check: bool = False, build: bool = False, threads: int = 1,
) -> Path:  # fmt: skip
    """Write a project.

    Parameters
    ----------
    job
        The job that the program executes.
    folder
        Folder of the project; it must be new or empty.
    device
        ``"cpp"`` or ``"cuda"``.
    title
        First line of its README.
    check
        Whether to compile host and device code without linking, which takes seconds.
    build
        Whether to build the program.
    threads
        OpenMP threads, only for device ``cpp``.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    DendrosimError
        If the folder is not empty or not writable, a required tool is missing, or the compiler
        fails; in these cases no files are left.
    """
    if not isinstance(device, str) or device not in standalone.TARGETS:
        raise DendrosimError(f"device {device!r} has no source to write; valid: cpp, cuda")
    for name, value in (("check", check), ("build", build)):
        checks.flag(value, name)
    checks.text(title, "title")
    checks.whole(threads, "threads", least=1, most=execute.MAX_THREADS)
    if not callable(getattr(job, "build", None)):
        raise DendrosimError(
            f"job = {checks.short(job)} should be what make_job or NetworkJob returns"
        )
    job, folder = job.for_a_project(), Path(path_text(folder, "folder"))
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DendrosimError(f"{folder} is there already and not empty")
    if not folder.absolute().parent.is_dir():
        raise DendrosimError(f"{folder}: there is no folder {folder.absolute().parent}")
    if device == "cuda":
        cuda_toolkit.require(compiler=check or build, gpu=False)
    scratch = folder
    try:
        scratch = Path(tempfile.mkdtemp(prefix=".generate-", dir=folder.absolute().parent))
        arrays = execute.write_source(job, device, scratch, threads=threads, build=build)
        if device == "cuda":
            cuda.make_portable(scratch)
        _beside(job, scratch, device, title, arrays)
        if check:
            (cuda_check.check_source if device == "cuda" else _check_cpp)(scratch)
        if folder.exists():
            folder.rmdir()
        scratch.rename(folder)
        folder.chmod(0o755)
    except OSError as error:
        raise DendrosimError(f"{folder}: cannot be written ({error.strerror or error})") from None
    finally:
        if scratch != folder:
            shutil.rmtree(scratch, ignore_errors=True)
    return folder


def _beside(job: Job, folder: Path, device: str, title: str, arrays: dict) -> None:
    """Write the values, the script that runs the program with them, and the README."""
    from importlib.metadata import version

    numbers = folder / "arguments"
    numbers.mkdir()
    given = arguments.write(job, numbers, "arguments", sized=standalone.TARGETS[device].SIZED)
    lines = " \\\n    ".join(['./main --results_dir "$results/"', *given, '"$@"'])
    (folder / "run.sh").write_text(
        '#!/bin/sh\ncd "$(dirname "$0")" || exit 1\nresults=${RESULTS:-results}\n'
        f'mkdir -p "$results"\nexec {lines}\n'
    )
    (folder / "manifest.json").write_text(json.dumps(arrays, indent=2) + "\n")
    sizes = _SIZES if standalone.TARGETS[device].SIZED and job.sizes else ""
    source = (folder / f"main.{'cu' if device == 'cuda' else 'cpp'}").read_text()
    files = [word.partition("=") for word in given if word.endswith(".bin")]
    inputs = [f"- `{name}`: {_count(folder / file, name, job.dtype)}" for name, _, file in files]
    (folder / "README.md").write_text(
        README.format(
            sizes=sizes, title=title, underline="=" * len(title), device=device,
            brian2=version("brian2"), make=MAKE[device],
            letters=", in small letters" if device == "cuda" else "",
            inputs="\n".join(inputs) or "- none of this program",
            outputs="\n".join(f"- `{file}`: {k}, {dtype}" for k, (file, dtype) in arrays.items()),
            order="\n".join(f"{k + 1}. {name}" for k, name in enumerate(step_order(source))),
        )
    )  # fmt: skip


def _count(file: Path, name: str, dtype: str) -> str:
    dtype = "float64" if name.endswith(".values") else dtype
    return f"{file.stat().st_size // np.dtype(dtype).itemsize:,} {dtype}"


def step_order(main: str) -> list[str]:
    """Return the names of the operations of a step, in order, from the source of ``main``."""
    added = (line.strip() for line in main.splitlines() if ".add(&" in line)
    return [line.partition("_run_")[2].rstrip(");") for line in added if "_run_" in line]


def _check_cpp(folder: Path) -> None:
    """Check the syntax of a C++ project without object files."""
    sources = sorted([*folder.glob("*.cpp"), *folder.glob("code_objects/*.cpp")])
    makefile = (folder / "makefile").read_text()
    include = next(line for line in makefile.splitlines() if line.startswith("OPTIMISATIONS"))
    flags = [
        f.strip('"') for f in include.partition("=")[2].split() if f.startswith(("-I", "-std"))
    ]
    command = [*compiler(), "-fsyntax-only", "-w", *flags, "-I.", *map(str, sources)]
    run = subprocess.run(
        [f.replace('"', "") for f in command], capture_output=True, text=True, cwd=folder,
        check=False,
    )  # fmt: skip
    if run.returncode:
        wrong = next((line for line in run.stderr.splitlines() if "error" in line), "g++ failed")
        raise DendrosimError(f"the C++ project does not compile: {wrong.strip()}")
