"""The C++ compiler of this machine."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from dendrosim.devices.program_cache import made_once
from dendrosim.errors import DendrosimError


def compiler() -> list[str]:
    """Return the command that compiles C++ (``CXX``, else g++).

    Raises
    ------
    DendrosimError
        If ``CXX`` is not a valid command: a quote in it is not closed.
    """
    text = os.environ.get("CXX") or "g++"
    try:
        return shlex.split(text) or ["g++"]
    except ValueError as error:
        raise DendrosimError(
            f"the environment variable CXX = {text!r} is not a command ({error}); valid: the name "
            "of a C++ compiler, such as g++, and options"
        ) from None


def compiler_version() -> str:
    """Return the compiler command, including options in ``CXX``, and its version line.

    Raises
    ------
    DendrosimError
        If the compiler does not run.
    """
    return _version(tuple(compiler()))


def has_compiler() -> bool:
    """Return whether a working C++ compiler is installed."""
    try:
        compiler_version()
    except DendrosimError:
        return False
    return True


@cache
def _version(command: tuple[str, ...]) -> str:
    try:
        run = subprocess.run(
            [*command, "--version"], capture_output=True, text=True, errors="replace", check=True
        )
        return f"{shlex.join(command)}: {run.stdout.splitlines()[0]}"
    except (OSError, ValueError, IndexError, subprocess.CalledProcessError):
        raise DendrosimError(
            f"device 'cpp' needs a C++ compiler and {shlex.join(command)!r} does not run; install "
            "one (apt-get install g++), or use device 'cython' or 'numpy'"
        ) from None


def precompiled(header: Path, flags: Sequence[str]) -> Path | None:
    """Return a precompiled header, compiled once for each compiler and set of flags.

    None if the compiler cannot precompile it; a precompiled header only saves time.
    """

    def make(folder: Path) -> Path:
        command = [*compiler(), *flags, "-x", "c++-header", str(header), "-o", "header.gch"]
        subprocess.run(command, cwd=folder, capture_output=True, check=True)
        return folder / "header.gch"

    of = [compiler_version(), machine(), *flags, header.read_text()]
    try:
        return made_once("headers/{}.gch", of, make)
    except (OSError, subprocess.CalledProcessError):
        return None


def machine() -> str:
    """Return the type of processor, because the code from ``-march=native`` depends on it.

    A cache shared by several computers then contains one program per type.
    """
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    flags = (line for line in lines if line.startswith(("flags", "Features")))
    return f"{platform.machine()} {next(flags, platform.processor())}"
