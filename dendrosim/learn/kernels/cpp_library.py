"""C++ libraries for training, compiled once per source and cached next to Brian2's programs."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

import torch

from dendrosim.devices.compiler import compiler, compiler_version, machine
from dendrosim.devices.program_cache import made_once
from dendrosim.errors import DendrosimError

# Contraction would round a*b + c once, but torch rounds twice.  -D__FAST_MATH__ lets the compiler
# use glibc's vector functions; it does not change the arithmetic of this code.
FLAGS = (
    "-O3", "-march=native", "-std=c++17", "-fPIC", "-fopenmp", "-ffp-contract=off",
    "-fno-math-errno", "-fno-trapping-math", "-fno-signed-zeros", "-D__FAST_MATH__",
)  # fmt: skip


def load(source: str) -> ctypes.CDLL:
    """Compile a source, or load it from the cache.

    Raises
    ------
    DendrosimError
        If there is no compiler or it fails.
    """
    of = [source, *FLAGS, compiler_version(), machine()]
    return ctypes.CDLL(str(made_once("kernel-{}.so", of, lambda folder: _compile(source, folder))))


def _compile(source: str, folder: Path) -> Path:
    file, made, library = (folder / f"kernel.{ending}" for ending in ("cpp", "o", "so"))
    file.write_text(source)
    _call([*compiler(), *FLAGS, "-c", "-o", str(made), str(file)])
    _call([*compiler(), "-shared", "-o", str(library), str(made), *_openmp()])
    return library


def _call(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise DendrosimError(f"no C++ compiler for the fused kernels: {error}") from None
    if done.returncode:
        raise DendrosimError(f"the fused kernel does not compile: {done.stderr.strip()[:500]}")


def _openmp() -> list[str]:
    """Return the OpenMP library to link: torch's own if it has one.

    With two OpenMP libraries, two sets of threads would compete for the same cores.
    """
    found = sorted(Path(torch.__file__).parent.glob("lib/libgomp*.so*"))
    return [str(found[0])] if found else ["-fopenmp"]
