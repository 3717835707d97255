"""Write a whole C++ or CUDA project: readable, with its numbers beside it, to be run elsewhere."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from dendrosim import cuda_target, devices, standalone
from dendrosim.errors import DendrosimError
from dendrosim.job import Job

README = """{title}
{underline}

Written by dendrosim for device {device}; Brian2 {brian2}.

    make                     # needs {needs}
    sh run.sh                # or: sh run.sh neurons.g_c=21 ...

`run.sh` passes the numbers of the model to the program: each `group.variable=VALUE`, where VALUE is
a number in SI units or a file of {dtype} values, one a neuron. An argument given to `run.sh` comes
after those and wins. `control.run_duration` and `control.run_dt` are in seconds.

The program writes its arrays to `results/`, as plain binary files:

{outputs}

One step is done in this order:

{order}
"""


def generate_project(
    job: Job, folder: str | os.PathLike, *, device: str = "cuda", title: str = "dendrosim",
    check: bool = False, build: bool = False, threads: int = 1,
) -> Path:  # fmt: skip
    """Write a project.

    Parameters
    ----------
    job
        What the program does.
    folder
        Where it goes; must not exist or be empty.
    device
        ``"cpp"`` or ``"cuda"``.
    title
        First line of its README.
    check
        Whether to compile host and device code without linking (seconds).
    build
        Whether to make the program.
    threads
        OpenMP threads, device ``cpp`` only.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    DendrosimError
        If the folder is in use, something needed is missing, or the compiler fails; then nothing
        is left behind.
    """
    if device not in standalone.TARGETS:
        raise DendrosimError(f"device {device!r} has no source to write; valid: cpp, cuda")
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DendrosimError(f"{folder} is there already and not empty")
    if not folder.absolute().parent.is_dir():
        raise DendrosimError(f"{folder}: there is no folder {folder.absolute().parent}")
    if device == "cuda":
        cuda_target.require(compiler=check or build, gpu=False)
    scratch = Path(tempfile.mkdtemp(prefix=".generate-", dir=folder.absolute().parent))
    try:
        arrays = devices.write_source(job, device, scratch, threads=threads, build=build)
        _beside(job, scratch, device, title, arrays)
        if check:
            (cuda_target.check_source if device == "cuda" else _check_cpp)(scratch)
        if folder.exists():
            folder.rmdir()
        scratch.rename(folder)
        folder.chmod(0o755)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return folder


def _beside(job: Job, folder: Path, device: str, title: str, arrays: dict) -> None:
    """Write the numbers, the script that runs the program with them, and the README."""
    from importlib.metadata import version

    numbers = folder / "arguments"
    numbers.mkdir()
    arguments = standalone.write_arguments(job, numbers, "arguments")
    lines = " \\\n    ".join(["./main --results_dir results/", *arguments, '"$@"'])
    (folder / "run.sh").write_text(
        f'#!/bin/sh\ncd "$(dirname "$0")" || exit 1\nmkdir -p results\nexec {lines}\n'
    )
    (folder / "manifest.json").write_text(json.dumps(arrays, indent=2) + "\n")
    outputs = "\n".join(f"- `{file}`: {name}, {dtype}" for name, (file, dtype) in arrays.items())
    needs = "nvcc and curand" if device == "cuda" else "g++"
    source = (folder / f"main.{'cu' if device == 'cuda' else 'cpp'}").read_text()
    order = "\n".join(f"{k + 1}. {name}" for k, name in enumerate(step_order(source)))
    (folder / "README.md").write_text(
        README.format(
            title=title, underline="=" * len(title), device=device, brian2=version("brian2"),
            needs=needs, dtype=job.dtype, outputs=outputs, order=order,
        )
    )  # fmt: skip


def step_order(main: str) -> list[str]:
    """Return the names of the operations of a step, in order, from the source of ``main``."""
    added = (line.strip() for line in main.splitlines() if ".add(&" in line)
    return [line.partition("_run_")[2].rstrip(");") for line in added if "_run_" in line]


def _check_cpp(folder: Path) -> None:
    """Check the syntax of a C++ project without making objects."""
    sources = sorted([*folder.glob("*.cpp"), *folder.glob("code_objects/*.cpp")])
    makefile = (folder / "makefile").read_text()
    include = next(line for line in makefile.splitlines() if line.startswith("OPTIMISATIONS"))
    flags = [
        f.strip('"') for f in include.partition("=")[2].split() if f.startswith(("-I", "-std"))
    ]
    command = [
        os.environ.get("CXX") or "g++",
        "-fsyntax-only",
        "-w",
        *flags,
        "-I.",
        *map(str, sources),
    ]
    run = subprocess.run(
        [f.replace('"', "") for f in command], capture_output=True, text=True, cwd=folder,
        check=False,
    )  # fmt: skip
    if run.returncode:
        wrong = next((line for line in run.stderr.splitlines() if "error" in line), "g++ failed")
        raise DendrosimError(f"the C++ project does not compile: {wrong.strip()}")
