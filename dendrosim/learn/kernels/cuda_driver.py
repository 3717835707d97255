"""Compilation and launch of CUDA source with NVIDIA's run-time compiler and driver bindings.

``cuda-bindings`` and the compiler are installed with torch for CUDA; no toolkit or nvcc is needed.
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

# Contraction would round a*b + c once, but torch rounds twice.  Warning 177 (unused variable) is
# off: forward or backward code does not use every statement of a text.
FLAGS = ("--std=c++17", "--fmad=false", "--diag-suppress=177")


@cache
def available() -> bool:
    """Return whether CUDA source can be compiled here; warn once if not."""
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
    """Compiled kernels of one source.

    Parameters
    ----------
    binary
        Machine code.
    device
        The GPU that runs it.
    """

    def __init__(self, binary: bytes, device: torch.device) -> None:
        from cuda.bindings import driver

        self._device = device
        self._driver = driver
        # unlike a module, a library does not belong to a context
        (self._library,) = _checked(driver.cuLibraryLoadData(binary, [], [], 0, [], [], 0))
        self._functions: dict[str, Any] = {}

    def launch(self, name: str, blocks: int, threads: int, shared: int, memory: np.ndarray) -> None:
        """Start a kernel on torch's stream.

        Parameters
        ----------
        name
            Name of the kernel.
        blocks, threads
            Number of blocks, and of threads per block.
        shared
            Bytes of shared memory per block.
        memory
            The argument structure.
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
    """Compile a source for a GPU, or load it from the cache."""
    major, minor = torch.cuda.get_device_capability(device)
    with torch.cuda.device(device):
        return Program(compiled(source, f"sm_{major}{minor}"), device)


def compiled(source: str, architecture: str) -> bytes:
    """Return machine code, cached next to the compiled programs of Brian2.

    Parameters
    ----------
    source
        CUDA C++.
    architecture
        Architecture of the GPU, such as ``"sm_90"``.

    Raises
    ------
    DendrosimError
        If the compiler rejects the source or does not support the GPU.
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
    """Return machine code and the compiler's log."""
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
    """Return the result of a driver call without its status.

    Raises
    ------
    DendrosimError
        If the status is not success.
    """
    status, *values = answer
    if int(status):
        raise DendrosimError(f"CUDA answers {status.name}")
    return tuple(values)
