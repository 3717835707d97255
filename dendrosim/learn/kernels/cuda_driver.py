"""From CUDA source to a launch: NVIDIA's run-time compiler and driver, by their own bindings.

``cuda-bindings`` and the compiler come with torch for CUDA; no toolkit and no nvcc is needed.
"""

from __future__ import annotations

import ctypes
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dendrosim.devices.program_cache import made_once
from dendrosim.errors import DendrosimError

# Contraction would round a*b + c once where torch rounds twice.  Not every statement of a text is
# needed both ways: what nothing reads (177) is no mistake.
FLAGS = ("--std=c++17", "--fmad=false", "--diag-suppress=177")


@cache
def available() -> bool:
    """Return whether CUDA source can be compiled here; say so once where it cannot."""
    try:
        from cuda.bindings import nvrtc

        _checked(nvrtc.nvrtcVersion())
    except (ImportError, RuntimeError, OSError) as error:
        warnings.warn(
            f"layers run step by step on the GPU, by torch alone: no CUDA compiler ({error}); "
            "pip install cuda-bindings nvidia-cuda-nvrtc",
            stacklevel=2,
        )
        return False
    return True


class Program:
    """Kernels of one source.

    Parameters
    ----------
    binary
        Machine code.
    device
        Where it runs.
    """

    def __init__(self, binary: bytes, device: torch.device) -> None:
        from cuda.bindings import driver

        self._device = device
        self._driver = driver
        # A library belongs to no context, as a module would
        (self._library,) = _checked(driver.cuLibraryLoadData(binary, [], [], 0, [], [], 0))
        self._functions: dict[str, Any] = {}

    def launch(self, name: str, blocks: int, threads: int, shared: int, memory: np.ndarray) -> None:
        """Start a kernel on torch's stream.

        Parameters
        ----------
        name
            Of the kernel.
        blocks, threads
            Blocks, and threads of each.
        shared
            Bytes of shared memory of each block.
        memory
            The structure that it is given.
        """
        if name not in self._functions:
            (kernel,) = _checked(self._driver.cuLibraryGetKernel(self._library, name.encode()))
            self._functions[name] = self._driver.CUfunction(int(kernel))
        pointers = (ctypes.c_void_p * 1)(memory.ctypes.data)
        with torch.cuda.device(self._device):
            _checked(self._driver.cuLaunchKernel(
                self._functions[name], blocks, 1, 1, threads, 1, 1, shared,
                torch.cuda.current_stream().cuda_stream, ctypes.addressof(pointers), 0,
            ))  # fmt: skip


@cache
def load(source: str, device: torch.device) -> Program:
    """Compile a source for a GPU, or take it from the cache."""
    major, minor = torch.cuda.get_device_capability(device)
    with torch.cuda.device(device):
        return Program(compiled(source, f"sm_{major}{minor}"), device)


def compiled(source: str, architecture: str) -> bytes:
    """Return machine code, kept beside the compiled programs of Brian2.

    Parameters
    ----------
    source
        CUDA C++.
    architecture
        Of the GPU, ``"sm_90"``.

    Raises
    ------
    DendrosimError
        If the compiler refuses the source or does not know the GPU.
    """
    from cuda.bindings import nvrtc

    def make(folder: Path) -> Path:
        made = folder / "kernel.cubin"
        made.write_bytes(_compile(source, architecture)[0])
        return made

    version = _checked(nvrtc.nvrtcVersion())
    return made_once(
        "kernel-{}.cubin", [source, *FLAGS, architecture, str(version)], make
    ).read_bytes()


def _compile(source: str, architecture: str, *more: str) -> tuple[bytes, str]:
    """Return machine code and what the compiler says of it."""
    from cuda.bindings import nvrtc

    flags = [flag.encode() for flag in (f"--gpu-architecture={architecture}", *FLAGS, *more)]
    (program,) = _checked(nvrtc.nvrtcCreateProgram(source.encode(), b"kernel.cu", 0, [], []))
    try:
        (failed,) = nvrtc.nvrtcCompileProgram(program, len(flags), flags)
        (size,) = _checked(nvrtc.nvrtcGetProgramLogSize(program))
        log = b" " * size
        _checked(nvrtc.nvrtcGetProgramLog(program, log))
        said = log.decode(errors="replace").strip("\0 \n")
        if failed:
            raise DendrosimError(
                f"the fused kernel does not compile for {architecture}: {failed.name}: {said[:500]}"
            )
        (size,) = _checked(nvrtc.nvrtcGetCUBINSize(program))
        binary = b" " * size
        _checked(nvrtc.nvrtcGetCUBIN(program, binary))
    finally:
        nvrtc.nvrtcDestroyProgram(program)
    return binary, said


def _checked(answer: tuple) -> tuple:
    """Return what a call gives besides its status.

    Raises
    ------
    DendrosimError
        If the status is not success.
    """
    status, *values = answer
    if int(status):
        raise DendrosimError(f"CUDA answers {status.name}")
    return tuple(values)
